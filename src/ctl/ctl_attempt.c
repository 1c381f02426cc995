/* SPDX-License-Identifier: Apache-2.0 */
/* The attempt of a job that runs now, for whoever serves its program. */
#include <string.h>
#include "ctl/ctl_int.h"

int ctl_attempt_find(struct ctl *c, const char *id, int64_t attempt, const struct job **ret,
		     enum role *ret_role, struct err *err)
{
	const struct ctl_job *cj = map_get(c->jobs, id);
	const struct job *job = cj ? cj->job : NULL;
	bool is_live = job && (job->state == JOB_STARTING || job->state == JOB_RUNNING);
	if (!is_live || attempt <= 0 || job->attempt != attempt)
		return err_set(err, ERR_UNAUTHENTICATED, "attempt %lld of job '%.16s' does not run",
			       (long long)attempt, id);
	int r = auth_role_of(c, job->org, job->user, ret_role, err);
	if (r < 0)
		return r;
	*ret = job;
	return 0;
}
