/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about accounting. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "ctl/ctl_admin_int.h"

static int check_days(const struct admin_request *q, struct err *err)
{
	if (q->first_day > q->last_day)
		return err_set(err, ERR_INVALID, "'since' is after 'until'");
	if (q->last_day - q->first_day >= CTL_USAGE_DAYS_MAX)
		return err_set(err, ERR_INVALID, "that is more than %d days; ask for fewer at a time",
			       CTL_USAGE_DAYS_MAX);
	return 0;
}

/* The id of a job or a model that 'job' names; jobs go first. */
static int find_owner(struct store_tx *tx, struct admin_call *a, char ret[16], struct err *err)
{
	CLEANUP(job) struct job *job = NULL;
	CLEANUP(service) struct service *service = NULL;
	struct err missing = ERR_INIT;
	if (store_job_get(tx, a->who.org, a->job, &job, &missing) >= 0) {
		snprintf(ret, 16, "%s", job->id);
		return 0;
	}
	if (missing.code == ERR_NOT_FOUND &&
	    store_service_get(tx, a->who.org, a->job, &service, &missing) >= 0) {
		snprintf(ret, 16, "%s", service->id);
		return 0;
	}
	if (missing.code != ERR_NOT_FOUND) {
		*err = missing;
		return -err->code;
	}
	return err_set(err, ERR_NOT_FOUND, "there is no job or model '%s'; run 'cloudml jobs list'", a->job);
}

static int usage_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	char owner[16];
	const struct admin_request *r = &a->request;
	struct usage_query q = {.org = a->who.org,
				.user = r->user,
				.first_day = r->first_day,
				.last_day = r->last_day,
				.now_ms = a->now_ms,
				.by = r->by,
				.limit = (size_t)r->limit};
	int res = check_days(r, err);
	if (res >= 0 && r->job) {
		q.owner = owner;
		res = find_owner(tx, a, owner, err);
	}
	return res < 0 ? res : store_usage_query(tx, &q, &a->answer.usage, err);
}

/* Organisation by organisation, so that each is a short range of its days. */
static int all_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct store_orgs orgs = {0};
	int r = check_days(&a->request, err);
	if (r >= 0)
		r = store_org_list(tx, NULL, SIZE_MAX, &orgs, err);
	for (size_t i = 0; r >= 0 && i < orgs.count; i++) {
		struct usage_query q = {.org = orgs.items[i].name,
					.first_day = a->request.first_day,
					.last_day = a->request.last_day,
					.now_ms = a->now_ms,
					.by = a->request.by};
		r = store_usage_query(tx, &q, &a->answer.usage, err);
	}
	store_orgs_done(&orgs);
	return r;
}

const struct admin_verb_rule admin_usage = {.run = usage_run};
const struct admin_verb_rule admin_usage_all = {.run = all_run};
