/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of one signature of one model, see batch_queue.h. */
#include "serving/batch_queue.h"

void batch_queue_init(struct batch_queue *q, const struct batch_rules *rules,
		      bool (*same)(const struct batch_item *a, const struct batch_item *b))
{
	*q = (struct batch_queue){.rules = rules, .same = same, .oldest_due = INT64_MAX};
	list_init(&q->items);
}

int batch_queue_add(struct batch_queue *q, struct batch_item *item, struct err *err)
{
	const struct batch_rules *rules = q->rules;

	if (item->rows > rules->request_rows_max)
		return err_set(err, ERR_INVALID,
			       "Task size %lld is larger than maximum input batch size %lld",
			       (long long)item->rows, (long long)rules->request_rows_max);
	/* What is larger than the whole queue is let in when nothing else waits. */
	if (q->rows > 0 && q->rows + item->rows > rules->enqueued_max * rules->rows_max)
		return err_set(err, ERR_BUSY,
			       "The batch scheduling queue to which this task was submitted is full; "
			       "try again later");
	list_append(&q->items, &item->node);
	q->rows += item->rows;
	if (item->deadline_ns < q->oldest_due)
		q->oldest_due = item->deadline_ns;
	return 0;
}

void batch_queue_remove(struct batch_queue *q, struct batch_item *item)
{
	list_remove(&item->node);
	q->rows -= item->rows;
}

static void take_expired(struct batch_queue *q, int64_t now_ns, struct list *expired)
{
	struct batch_item *item;

	if (now_ns < q->oldest_due)
		return;
	q->oldest_due = INT64_MAX;
	LIST_EACH(item, &q->items, node)
	{
		if (item->deadline_ns <= now_ns) {
			batch_queue_remove(q, item);
			list_append(expired, &item->node);
		} else if (item->deadline_ns < q->oldest_due) {
			q->oldest_due = item->deadline_ns;
		}
	}
}

/* What would go with the oldest. True when nothing more fits. */
static bool survey(const struct batch_queue *q, const struct batch_item *oldest, int64_t *rows, int *members)
{
	struct batch_item *item;

	*rows = 0;
	*members = 0;
	LIST_EACH(item, &q->items, node)
	{
		if (item != oldest && !q->same(oldest, item))
			continue;
		if (*members > 0 && *rows + item->rows > q->rules->rows_max)
			return true;
		*rows += item->rows;
		(*members)++;
	}
	return *rows >= q->rules->rows_max;
}

int64_t batch_queue_take(struct batch_queue *q, int64_t now_ns, struct list *ret, struct list *expired,
			 int64_t *ret_due)
{
	struct batch_item *oldest, *item;
	int64_t rows, wait_end, taken = 0;
	int members;
	bool full;

	take_expired(q, now_ns, expired);
	*ret_due = q->oldest_due;
	if (list_empty(&q->items) || q->running >= q->rules->threads)
		return 0;
	oldest = LIST_ENTRY(q->items.next, struct batch_item, node);
	full = survey(q, oldest, &rows, &members);
	wait_end = oldest->arrived_ns + q->rules->wait_ns;
	if (!full && members < q->company && now_ns < wait_end) {
		if (wait_end < *ret_due)
			*ret_due = wait_end;
		return 0;
	}
	LIST_EACH(item, &q->items, node)
	{
		if (members == 0)
			break;
		if (item != oldest && !q->same(oldest, item))
			continue;
		batch_queue_remove(q, item);
		list_append(ret, &item->node);
		taken++;
		members--;
	}
	q->company = (int)taken;
	q->running++;
	return rows;
}

void batch_queue_ran(struct batch_queue *q)
{
	q->running--;
}

bool batch_queue_passes(struct batch_queue *q, const struct batch_item *item)
{
	const struct batch_rules *rules = q->rules;

	if (q->running > 0 || q->company > 1 || !list_empty(&q->items) || item->rows > rules->rows_max ||
	    batch_fill(rules, item->rows) != item->rows)
		return false;
	q->running++;
	q->company = 1;
	return true;
}

int64_t batch_fill(const struct batch_rules *rules, int64_t rows)
{
	for (int i = 0; i < rules->allowed_count; i++)
		if (rules->allowed[i] >= rows)
			return rules->allowed[i];
	return rows;
}
