/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas as the scheduler goes by them, and how many unfinished jobs each user has. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "ctl/ctl_int.h"

static struct ctl_quota *quota_find(struct ctl *c, const char *org)
{
	struct ctl_quota *q = map_get(c->quotas, org);
	if (!q) {
		q = MEM_NEW(struct ctl_quota);
		q->users = map_new(free);
		map_set(c->quotas, org, q);
	}
	return q;
}

void quota_free(void *quota)
{
	struct ctl_quota *q = quota;
	map_free(q->users);
	free(q);
}

void ctl_quota_set(struct ctl *c, const char *org, const struct quota *quota)
{
	sched_quota_set(c->sched, org, quota);
	if (c->config.storage_limit)
		c->config.storage_limit(c->config.storage_arg, org, &quota->storage);
	ctl_want_schedule(c);
	arrays_wake(c, org);
	if (c->attached)
		ctl_pump(c);
}

void ctl_quota_get(struct ctl *c, const char *org, struct quota *ret,
		   struct quota_limit ret_used[PURPOSE_COUNT])
{
	*ret = *sched_quota(c->sched, org);
	sched_quota_used(c->sched, org, ret_used);
}

void quota_count(struct ctl *c, const char *org, const char *user, int by)
{
	struct map *users = quota_find(c, org)->users;
	int64_t *count = map_get(users, user);
	if (!count) {
		count = MEM_NEW(int64_t);
		map_set(users, user, count);
	}
	*count += by;
	if (!*count)
		map_delete(users, user);
}

int quota_check(struct ctl *c, const char *org, const char *user, int64_t more, struct err *err)
{
	const int64_t *count = map_get(quota_find(c, org)->users, user);
	int64_t most = sched_quota(c->sched, org)->user_queued, live = count ? *count : 0;
	if (most == QUOTA_NONE || live + more <= most)
		return 0;
	return err_set(
	    err, ERR_QUOTA,
	    "user '%s' has %lld unfinished jobs, and %lld are allowed; wait for some to end, or ask an "
	    "administrator for a greater user_queued in the quota of '%s'",
	    user, (long long)live, (long long)most, org);
}
