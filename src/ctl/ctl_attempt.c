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

int ctl_replica_find(struct ctl *c, const char *id, int64_t attempt, const struct service **ret,
		     struct err *err)
{
	const struct ctl_service *cs = map_get(c->services, id);
	const struct service *s = cs ? cs->service : NULL;
	bool is_live = s && (s->state == SERVICE_STARTING || s->state == SERVICE_READY), found = false;
	enum role role;
	for (size_t i = 0; is_live && i < s->replica_count; i++)
		found = found || s->replicas[i].attempt == attempt;
	if (!found || attempt <= 0 || service_kind_of(s) != SERVICE_TENSORBOARD)
		return err_set(err, ERR_UNAUTHENTICATED, "attempt %lld of TensorBoard '%.16s' does not run",
			       (long long)attempt, id);
	*ret = s;
	return auth_role_of(c, s->org, s->user, &role, err);
}
