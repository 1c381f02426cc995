/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes, their batches, and where they run; see batcher.h. */
#include "serving/batcher.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "serving/batch_run.h"

struct batcher {
	struct server *server;
	const struct batch_rules *rules;
	struct list active; /* lanes in which requests wait */
	uint64_t turn;	    /* of the loop */
	struct loop_timer timer;
};

struct batch_lane {
	struct batch_lane *next; /* of the version */
	struct list node;	 /* in batcher->active */
	struct batcher *batcher;
	const struct signature *signature;
	struct batch_queue queue;
	bool batchable;
	uint64_t
	    passed; /* the turn in which a request passed: what comes in the same turn may run together */
};

struct batch {
	struct loop_job job;
	struct batch_lane *lane;
	struct model_version *version; /* one reference */
	struct batch_run run;
};

static struct predict *of_item(const struct batch_item *item)
{
	return CONTAINER_OF(item, struct predict, item);
}

/* Requests that may run together: same outputs wanted, and inputs of the same shape but for the rows. */
static bool is_same(const struct batch_item *a, const struct batch_item *b)
{
	const struct predict *p = of_item(a), *q = of_item(b);

	if (p->output_count != q->output_count ||
	    memcmp(p->output_index, q->output_index, p->output_count * sizeof(size_t)) != 0)
		return false;
	for (size_t i = 0; i < p->signature->input_count; i++) {
		const struct tensor *x = p->ordered[i], *y = q->ordered[i];
		if (x->rank != y->rank || x->dtype != y->dtype)
			return false;
		if (!p->lane->batcher->rules->pad_shapes &&
		    memcmp(x->dims + 1, y->dims + 1, (size_t)(x->rank - 1) * sizeof(x->dims[0])) != 0)
			return false;
	}
	return true;
}

static bool has_rows(const struct signature_tensor *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!items[i].unknown_rank && (items[i].rank == 0 || items[i].dims[0] != -1))
			return false;
	return count > 0;
}

static struct batch_lane *lane_of(struct batcher *b, struct predict *p)
{
	const struct signature *s = p->signature;
	struct batch_lane *lane = p->version->lanes;

	for (; lane; lane = lane->next)
		if (lane->signature == s)
			return lane;
	lane = MEM_NEW(struct batch_lane);
	lane->batcher = b;
	lane->signature = s;
	lane->batchable = has_rows(s->inputs, s->input_count) && has_rows(s->outputs, s->output_count);
	list_init(&lane->node);
	batch_queue_init(&lane->queue, b->rules, is_same);
	lane->next = p->version->lanes;
	p->version->lanes = lane;
	return lane;
}

void batch_lanes_free(struct batch_lane *lanes)
{
	while (lanes) {
		struct batch_lane *next = lanes->next;
		list_remove(&lanes->node);
		free(lanes);
		lanes = next;
	}
}

/* All inputs have the same number of rows, and some. */
static int64_t rows_of(const struct predict *p)
{
	int64_t rows = 0;

	for (size_t i = 0; i < p->signature->input_count; i++) {
		const struct tensor *t = p->ordered[i];
		if (t->rank == 0 || t->dims[0] < 1 || (i > 0 && t->dims[0] != rows))
			return 0;
		rows = t->dims[0];
	}
	return rows;
}

static void fail(struct predict *p, int code, const char *why)
{
	err_set(&p->err, code, "%s", why);
	p->lane = NULL;
	p->output_count = 0;
	p->done(p);
}

bool batcher_takes(struct batcher *b, struct predict *p)
{
	struct batch_lane *lane = lane_of(b, p);

	p->item.rows = rows_of(p);
	if (!lane->batchable || p->item.rows == 0)
		return false;
	p->item.arrived_ns = clock_monotonic_ns();
	p->item.deadline_ns = p->deadline_ns;
	if (lane->passed != b->turn && batch_queue_passes(&lane->queue, &p->item)) {
		lane->passed = b->turn;
		p->passing = lane;
		return false;
	}
	p->lane = lane;
	if (batch_queue_add(&lane->queue, &p->item, &p->err) < 0) {
		p->lane = NULL;
		p->output_count = 0;
		p->done(p);
		return true;
	}
	list_remove(&lane->node);
	list_append(&b->active, &lane->node);
	return true;
}

static void count_queued(struct predict *p)
{
	metrics_add_queued(predict_metrics(p), p->run_start_ns - p->item.arrived_ns, p->item.rows);
}

void batcher_passed(struct predict *p)
{
	const struct metric_batch one = {1, p->item.rows, p->item.rows};

	batch_queue_ran(&p->passing->queue);
	p->passing = NULL;
	if (p->run_ns == 0) /* it has not begun */
		return;
	metrics_add_batch(predict_metrics(p), &one);
	count_queued(p);
}

void batcher_remove(struct predict *p)
{
	batch_queue_remove(&p->lane->queue, &p->item);
	fail(p, ERR_CANCELLED, "the client has left");
}

static void batch_compute(struct loop_job *j)
{
	batch_run(&CONTAINER_OF(j, struct batch, job)->run);
}

static void count_batch(const struct batch_run *run)
{
	const struct metric_batch counted = {run->runs, run->rows, run->filled};

	if (run->runs == 0) /* all came too late */
		return;
	metrics_add_batch(predict_metrics(run->members[0]), &counted);
	for (size_t i = 0; i < run->count; i++)
		if (run->members[i]->run_ns > 0)
			count_queued(run->members[i]);
}

static void batch_done(struct loop_job *j)
{
	struct batch *batch = CONTAINER_OF(j, struct batch, job);
	struct batch_lane *lane = batch->lane;
	struct model_version *version = batch->version;

	batch_queue_ran(&lane->queue);
	version->stats.execution_count++;
	count_batch(&batch->run);
	if (batch->run.is_unfit)
		lane->batchable = false;
	for (size_t i = 0; i < batch->run.count; i++)
		predict_finish(batch->run.members[i]);
	batch_run_done(&batch->run);
	free(batch);
	model_version_unref(version);
}

static void start(struct batch_lane *lane, struct list *items, int64_t rows)
{
	struct batcher *b = lane->batcher;
	struct batch *batch = MEM_NEW(struct batch);
	struct batch_item *item;
	size_t count = 0;

	for (const struct list *n = items->next; n != items; n = n->next)
		count++;
	batch_run_init(&batch->run, b->rules, count, rows, (size_t)b->server->options->message_bytes_max);
	count = 0;
	LIST_EACH(item, items, node)
	{
		struct predict *p = of_item(item);
		list_remove(&item->node);
		p->lane = NULL;
		batch->run.members[count++] = p;
	}
	batch->lane = lane;
	batch->version = model_version_ref(batch->run.members[0]->version);
	batch->job.run = batch_compute;
	batch->job.done = batch_done;
	if (predict_is_short(b->server, batch->version)) {
		batch_compute(&batch->job);
		batch_done(&batch->job);
	} else {
		server_loop_submit(b->server->loop, &batch->job);
	}
}

/* Runs one batch of the lane, if one is to run, and leaves the lane where it is; else it goes to 'waiting'
 * and *first is when to look again at the latest. The lane may be gone afterwards. */
static void lane_step(struct batch_lane *lane, int64_t now_ns, struct list *waiting, int64_t *first)
{
	struct list batch = LIST_INIT(batch), expired = LIST_INIT(expired);
	struct batch_item *item;
	int64_t due, rows = batch_queue_take(&lane->queue, now_ns, &batch, &expired, &due);
	bool empty = list_empty(&lane->queue.items);

	if (empty || rows == 0)
		list_remove(&lane->node);
	if (!empty && rows == 0) {
		list_append(waiting, &lane->node);
		*first = due < *first ? due : *first;
	}
	if (rows > 0)
		start(lane, &batch, rows);
	LIST_EACH(item, &expired, node)
	{
		list_remove(&item->node);
		fail(of_item(item), ERR_TIMEOUT, "the deadline passed before the model could run");
	}
}

void batcher_before_wait(struct batcher *b)
{
	int64_t now, first = INT64_MAX;
	struct list waiting = LIST_INIT(waiting);

	b->turn++;
	if (list_empty(&b->active))
		return;
	now = clock_monotonic_ns();
	while (!list_empty(&b->active))
		lane_step(LIST_ENTRY(b->active.next, struct batch_lane, node), now, &waiting, &first);
	while (!list_empty(&waiting)) {
		struct list *node = waiting.next;
		list_remove(node);
		list_append(&b->active, node);
	}
	if (first < INT64_MAX)
		server_loop_timer_start(b->server->loop, &b->timer, first);
}

static void on_timer(struct loop_timer *t)
{
	/* The loop looks at the lanes before it waits again. */
}

struct batcher *batcher_new(struct server *s, const struct batch_rules *rules)
{
	struct batcher *b = MEM_NEW(struct batcher);

	b->server = s;
	b->rules = rules;
	b->turn = 1;
	b->timer.on_timer = on_timer;
	list_init(&b->active);
	return b;
}

void batcher_free(struct batcher *b)
{
	if (!b)
		return;
	while (!list_empty(&b->active)) /* lanes belong to their versions */
		list_remove(b->active.next);
	server_loop_timer_stop(b->server->loop, &b->timer);
	free(b);
}
