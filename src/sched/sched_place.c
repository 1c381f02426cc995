/* SPDX-License-Identifier: Apache-2.0 */
/* The decision: in order, with a reservation for the first item that does not fit. */
#include "sched/sched_int.h"

int sched_compare(const struct sched_item *a, const struct sched_item *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority ? -1 : 1;
	return a->seq < b->seq ? -1 : a->seq > b->seq;
}

/* What may still be given to items behind the head once the head's need is set aside. */
static struct resources beside_head(const struct sched_snapshot *s, const struct sched_item *head)
{
	struct resources room = s->capacity;
	resources_sub(&room, &head->want);
	for (size_t i = 0; i < s->running_count; i++) {
		const struct sched_item *r = &s->running[i];
		if (r->is_permanent || sched_compare(head, r) < 0)
			resources_sub(&room, &r->want);
	}
	return room;
}

void sched_decide(const struct sched_snapshot *s, struct sched_decision *ret)
{
	struct resources free_now = s->capacity, room = {0}, kept = {0};
	const struct sched_item *head = NULL;
	for (size_t i = 0; i < s->running_count; i++)
		resources_sub(&free_now, &s->running[i].want);
	for (size_t i = 0; i < s->queued_count; i++) {
		const struct sched_item *item = &s->queued[i];
		ret[i] = (struct sched_decision){0};
		if (!resources_fit(&item->want, &free_now)) {
			explain_insufficient(s, item, &free_now, &ret[i]);
			/* What can never fit reserves nothing: it would stop the machine. */
			if (!head && resources_fit(&item->want, &s->capacity)) {
				head = item;
				room = beside_head(s, head);
				resources_sub(&room, &kept);
			}
		} else if (head && !resources_fit(&item->want, &room)) {
			explain_reserved(item, head, &ret[i]);
		} else {
			ret[i].start = true;
			resources_sub(&free_now, &item->want);
			resources_sub(&room, &item->want);
			if (item->is_permanent)
				resources_add(&kept, &item->want);
		}
	}
}
