/* SPDX-License-Identifier: Apache-2.0 */
/* The quotas that the scheduler goes by: a table in memory, filled by whoever keeps them. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "ctl/ctl_int.h"

static struct ctl_quota *quota_find(struct ctl *c, const char *org)
{
	struct ctl_quota *q = map_get(c->quotas, org);
	if (!q) {
		q = MEM_NEW(struct ctl_quota);
		quota_init(&q->quota);
		map_set(c->quotas, org, q);
	}
	return q;
}

void ctl_quota_set(struct ctl *c, const char *org, const struct quota *quota)
{
	quota_find(c, org)->quota = *quota;
	ctl_want_schedule(c);
	if (c->attached)
		ctl_pump(c);
}

void ctl_quota_get(struct ctl *c, const char *org, struct quota *ret,
		   struct quota_limit ret_used[PURPOSE_COUNT])
{
	struct ctl_want *w;
	*ret = quota_find(c, org)->quota;
	memset(ret_used, 0, PURPOSE_COUNT * sizeof(*ret_used));
	LIST_EACH(w, &c->placed, node)
	{
		if (strcmp(w->item.org, org) != 0)
			continue;
		resources_add(&ret_used[w->item.purpose].most, &w->item.want);
		ret_used[w->item.purpose].count++;
	}
}
