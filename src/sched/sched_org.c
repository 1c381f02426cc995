/* SPDX-License-Identifier: Apache-2.0 */
/* Organisations: what they may hold, what they hold, and their dominant share (Dominant Resource Fairness,
 * Ghodsi et al., NSDI 2011: the greatest of the shares of each resource; the least goes next). */
#include <stdlib.h>
#include <string.h>
#include "sched/sched_int.h"

static void user_free(void *user)
{
	struct sched_user *u = user;
	free(u->name);
	free(u);
}

struct sched_org *org_get(struct sched *s, const char *name)
{
	struct sched_org *org = map_get(s->orgs, name);
	if (org)
		return org;
	org = MEM_NEW(struct sched_org);
	org->sched = s;
	org->name = mem_strdup(name);
	quota_init(&org->quota);
	org->users = map_new(user_free);
	list_init(&org->levels);
	list_init(&org->running);
	list_init(&org->touched);
	map_set(s->orgs, name, org);
	return org;
}

void org_free(void *p)
{
	struct sched_org *org = p;
	map_free(org->users);
	free(org->name);
	free(org);
}

struct sched_user *user_get(struct sched_org *org, const char *name)
{
	struct sched_user *u = map_get(org->users, name);
	if (u)
		return u;
	u = MEM_NEW(struct sched_user);
	u->org = org;
	u->name = mem_strdup(name);
	map_set(org->users, name, u);
	return u;
}

int64_t quota_limit_of(const struct quota_limit *l, int which)
{
	return which == 0   ? l->most.cpu_milli
	       : which == 1 ? l->most.memory_bytes
	       : which == 2 ? l->most.gpu
			    : l->count;
}

bool quota_fits(const struct quota_limit *limit, const struct quota_limit *used,
		const struct quota_limit *more, int *ret_short)
{
	for (int i = 0; i < 4; i++) {
		int64_t most = quota_limit_of(limit, i), wanted = quota_limit_of(more, i);
		if (most == QUOTA_NONE || !wanted || quota_limit_of(used, i) + wanted <= most)
			continue;
		if (ret_short)
			*ret_short = i;
		return false;
	}
	return true;
}

struct quota_limit item_needs(const struct sched_item *item)
{
	int64_t n = item_tasks(item);
	return (struct quota_limit){
	    {item->want.cpu_milli * n, item->want.memory_bytes * n, item->want.gpu * n}, n};
}

bool limit_is_none(const struct quota_limit *l)
{
	return l->most.cpu_milli == QUOTA_NONE && l->most.memory_bytes == QUOTA_NONE &&
	       l->most.gpu == QUOTA_NONE && l->count == QUOTA_NONE;
}

void quota_limit_add(struct quota_limit *sum, const struct quota_limit *more, int sign)
{
	sum->most.cpu_milli += sign * more->most.cpu_milli;
	sum->most.memory_bytes += sign * more->most.memory_bytes;
	sum->most.gpu += sign * more->most.gpu;
	sum->count += sign * more->count;
}

static double part(int64_t used, int64_t capacity)
{
	return capacity > 0 ? (double)used / (double)capacity : 0;
}

static double dominant(const struct resources *used, const struct resources *capacity)
{
	double cpu = part(used->cpu_milli, capacity->cpu_milli),
	       memory = part(used->memory_bytes, capacity->memory_bytes),
	       gpu = part(used->gpu, capacity->gpu);
	double most = cpu > memory ? cpu : memory;
	return most > gpu ? most : gpu;
}

/* Within its quota again: all that it runs is owed to it. */
static void forget_borrowing(struct sched_org *org, int purpose)
{
	struct sched_item *item;
	LIST_EACH(item, &org->running, node)
	{
		if ((int)item->purpose == purpose)
			item->is_borrowing = false;
	}
}

static void over_update(struct sched_org *org)
{
	static const struct quota_limit nothing = {{0}, 0};
	for (int p = 0; p < PURPOSE_COUNT; p++) {
		bool is_over = !quota_fits(&org->quota.purposes[p], &nothing, &org->used[p], NULL);
		if (is_over != org->is_over[p])
			org->sched->over_count += is_over ? 1 : (size_t)-1;
		if (org->is_over[p] && !is_over)
			forget_borrowing(org, p);
		org->is_over[p] = is_over;
	}
}

double org_share(const struct sched_org *org, const struct resources *used)
{
	return dominant(used, &org->sched->capacity) * QUOTA_WEIGHT / (double)org->quota.weight;
}

void org_share_update(struct sched_org *org)
{
	struct org_level *ol;
	over_update(org);
	org->share = org_share(org, &org->used_all);
	LIST_EACH(ol, &org->levels, of_org)
	{
		heap_fix(&ol->level->orgs, ol);
	}
}

void org_use(struct sched_org *org, const struct sched_item *item, int sign)
{
	struct quota_limit needs = item_needs(item);
	struct resources zero = {0};
	resources_sub(&zero, &needs.most);
	quota_limit_add(&org->used[item->purpose], &needs, sign);
	resources_add(&org->used_all, sign > 0 ? &needs.most : &zero);
	resources_add(&org->sched->used, sign > 0 ? &needs.most : &zero);
	if (item->purpose == PURPOSE_TRAINING)
		item->owner->running += sign;
	org_share_update(org);
}
