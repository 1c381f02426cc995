/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit: the queue, the database thread, savepoints, delivery; and the manual executor made of the
 * same parts. */
#include <stdlib.h>
#include "base/failpoint.h"
#include "base/mem.h"
#include "store/store_int.h"

static void request_settle(struct store_request *q, int r, const struct err *err)
{
	q->r = r;
	if (err)
		q->err = *err;
}

/* Whoever succeeded in the transaction that was lost has failed now. */
static void batch_lose(struct list *batch, const struct store_request *until, const struct err *why)
{
	struct store_request *q;
	LIST_EACH(q, batch, node)
	{
		if (q == until)
			return;
		if (q->r >= 0)
			request_settle(q, -why->code, why);
	}
}

/* Posted functions find the store by its mailbox, which outlives it. Under the lock. */
static void post(struct store *s, void (*fn)(void *mailbox))
{
	if (!s->loop || s->stopping)
		return;
	__atomic_add_fetch(&s->mailbox->posted, 1, __ATOMIC_SEQ_CST);
	loop_post(s->loop, fn, s->mailbox);
}

/* The store, unless it was closed meanwhile. */
static struct store *posted_store(struct store_mailbox *box)
{
	int left = __atomic_sub_fetch(&box->posted, 1, __ATOMIC_SEQ_CST);
	struct store *s = box->store;
	if (!s && !left)
		free(box);
	return s;
}

static void failure_posted(void *mailbox)
{
	struct store *s = posted_store(mailbox);
	if (s)
		s->on_failure(s->on_failure_arg, &s->why);
}

static void store_stop(struct store *s, const struct err *why)
{
	pthread_mutex_lock(&s->lock);
	if (!s->failed) {
		s->failed = true;
		if (why->code == ERR_STATE) /* see begin() */
			err_set(&s->why, ERR_UNAVAILABLE, "the metadata store stopped: %s", why->msg);
		else
			err_set(&s->why, ERR_UNAVAILABLE,
				"the metadata store stopped after a failed write (%s); check the disk, then "
				"restart",
				why->msg);
		if (s->on_failure)
			post(s, failure_posted);
	}
	pthread_mutex_unlock(&s->lock);
}

/* A damaged file or a failed write or fsync: what is on the disk is unknown, so nothing more is written. */
static bool is_fatal(int code)
{
	return code == ERR_IO || code == ERR_CORRUPT;
}

/* The transaction as a whole is given up; a database that cannot even do that is in a state that nobody
 * knows. */
static void roll_back(struct store *s)
{
	struct err err = ERR_INIT;
	if (s->tx.ops->in_transaction(&s->tx) && s->tx.ops->control(&s->tx, SQL_ROLLBACK, &err) < 0)
		store_stop(s, &err);
}

/* Keeps what the request wrote, or takes it back. When neither can be done, what is in the transaction is not
 * what was asked for, and it goes with all that is in it. */
static int end_request(struct store *s, int r, struct err *err)
{
	const struct driver_ops *db = s->tx.ops;
	struct err end = ERR_INIT;
	int undone = r < 0 ? db->control(&s->tx, SQL_UNDO, &end) : 0;
	if (undone >= 0 && db->control(&s->tx, SQL_RELEASE, &end) >= 0)
		return r;
	roll_back(s);
	if (r < 0) /* the first error is the one to tell */
		return r;
	*err = end;
	return -end.code;
}

static void run_one(struct store *s, struct store_request *q)
{
	struct err err = ERR_INIT;
	const struct driver_ops *db = s->tx.ops;
	int r = db->control(&s->tx, SQL_SAVE, &err);
	bool is_saved = r >= 0;
	if (is_saved)
		r = q->fn(&s->tx, q->arg, &err);
	if (r < 0 && err.code == 0)
		err_set(&err, -r, "the request failed");
	if (!is_saved)
		roll_back(s);
	else if (db->in_transaction(&s->tx))
		r = end_request(s, r, &err);
	else if (r >= 0)
		r = err_set(&err, ERR_INTERNAL, "the transaction ended inside a request");
	request_settle(q, r, r < 0 ? &err : NULL);
}

/* ERR_STATE: another server has the database now, and what this one remembers is no longer true. */
static int begin(struct store *s, struct err *err)
{
	pthread_mutex_lock(&s->lock);
	bool failed = s->failed;
	if (failed)
		*err = s->why;
	pthread_mutex_unlock(&s->lock);
	int r = failed ? -err->code : s->tx.ops->control(&s->tx, SQL_BEGIN, err);
	if (r < 0 && !failed && (is_fatal(err->code) || err->code == ERR_STATE))
		store_stop(s, err);
	return r;
}

static void commit(struct store *s, struct list *batch)
{
	struct err err = ERR_INIT;
	FP("store.commit.before");
	if (s->tx.ops->control(&s->tx, SQL_COMMIT, &err) >= 0) {
		FP("store.commit.after");
		return;
	}
	roll_back(s);
	if (is_fatal(err.code))
		store_stop(s, &err);
	err_wrap(&err, "writing");
	batch_lose(batch, NULL, &err);
}

static void tend(struct store *s)
{
	struct err err = ERR_INIT;
	if (s->tx.ops->tend(s, &err) < 0 && is_fatal(err.code))
		store_stop(s, &err);
}

static void run_batch(struct store *s, struct list *batch)
{
	struct err err = ERR_INIT;
	bool open = false;
	struct store_request *q;
	LIST_EACH(q, batch, node)
	{
		if (!open) {
			int r = begin(s, &err);
			if (r < 0) {
				request_settle(q, r, &err);
				continue;
			}
			open = true;
		}
		run_one(s, q);
		if (q->r < 0 && is_fatal(q->err.code))
			store_stop(s, &q->err);
		/* Everything was rolled back: full disk, failed write, no memory, lost connection. And a
		 * store that has stopped commits nothing more. */
		if (!s->tx.ops->in_transaction(&s->tx) || s->failed) {
			roll_back(s);
			batch_lose(batch, q, &q->err);
			open = false;
		}
	}
	if (open)
		commit(s, batch);
	tend(s);
}

static void list_take(struct list *from, struct list *to, size_t max)
{
	for (; max && !list_empty(from); max--) {
		struct list *node = from->next;
		list_remove(node);
		list_append(to, node);
	}
}

static void deliver_posted(void *mailbox)
{
	struct store *s = posted_store(mailbox);
	if (s)
		txn_deliver(s);
}

void txn_post_delivery(struct store *s)
{
	post(s, deliver_posted);
}

/* Hands finished requests over, under the lock; true when the loop has to be told. */
static bool hand_over(struct store *s, struct list *batch)
{
	bool was_empty = list_empty(&s->delivered);
	struct store_request *q;
	LIST_EACH(q, batch, node)
	{
		q->finished = true;
		list_remove(&q->node);
		if (q->waited_for)
			pthread_cond_broadcast(&s->finished);
		else
			list_append(&s->delivered, &q->node);
	}
	return was_empty && !list_empty(&s->delivered);
}

static bool commit_queued(struct store *s)
{
	struct list batch = LIST_INIT(batch);
	pthread_mutex_lock(&s->lock);
	list_take(&s->queued, &batch, STORE_BATCH_MAX);
	pthread_mutex_unlock(&s->lock);
	if (list_empty(&batch))
		return false;
	run_batch(s, &batch);
	pthread_mutex_lock(&s->lock);
	struct store_request *q;
	LIST_EACH(q, &batch, node)
	{
		s->queued_count--;
	}
	if (hand_over(s, &batch))
		txn_post_delivery(s);
	pthread_mutex_unlock(&s->lock);
	return true;
}

void *txn_thread(void *store)
{
	struct store *s = store;
	for (;;) {
		pthread_mutex_lock(&s->lock);
		while (list_empty(&s->queued) && !s->stopping && !backup_is_due(s))
			pthread_cond_wait(&s->wake, &s->lock);
		bool end = list_empty(&s->queued) && !backup_is_due(s);
		pthread_mutex_unlock(&s->lock);
		if (end)
			return NULL;
		commit_queued(s);
		backup_advance(s);
	}
}

void txn_deliver(struct store *s)
{
	backup_deliver(s);
	struct list batch = LIST_INIT(batch);
	pthread_mutex_lock(&s->lock);
	list_take(&s->delivered, &batch, SIZE_MAX);
	pthread_mutex_unlock(&s->lock);
	while (!list_empty(&batch)) {
		struct store_request *q = LIST_ENTRY(batch.next, struct store_request, node);
		list_remove(&q->node);
		if (q->done)
			q->done(q->arg, q->r, &q->err);
		free(q);
	}
}

static struct store_request *enqueue(struct store *s, store_fn *fn, store_done_fn *done, void *arg,
				     bool waited_for)
{
	struct store_request *q = MEM_NEW(struct store_request);
	q->fn = fn;
	q->done = done;
	q->arg = arg;
	q->waited_for = waited_for;
	list_init(&q->node);
	pthread_mutex_lock(&s->lock);
	list_append(&s->queued, &q->node);
	s->queued_count++;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	return q;
}

void store_submit(struct store *s, store_fn *fn, store_done_fn *done, void *arg)
{
	enqueue(s, fn, done, arg, false);
}

int store_run(struct store *s, store_fn *fn, void *arg, struct err *err)
{
	CLEANUP(free) struct store_request *q = enqueue(s, fn, NULL, arg, true);
	if (!s->loop) {
		while (!q->finished)
			commit_queued(s);
	}
	pthread_mutex_lock(&s->lock);
	while (!q->finished)
		pthread_cond_wait(&s->finished, &s->lock);
	pthread_mutex_unlock(&s->lock);
	if (q->r < 0 && err)
		*err = q->err;
	return q->r;
}

bool store_pump_commit(struct store *s)
{
	bool copies = backup_is_due(s);
	backup_advance(s);
	return commit_queued(s) || copies;
}

bool store_pump_deliver(struct store *s)
{
	bool any = !list_empty(&s->delivered) || s->backup.is_finished;
	txn_deliver(s);
	return any;
}

bool store_pump(struct store *s)
{
	bool committed = store_pump_commit(s);
	return store_pump_deliver(s) || committed;
}

size_t store_queued(const struct store *s)
{
	return s->queued_count;
}

void store_drop(struct store *s)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_CANCELLED, "the store was closed before this was done");
	struct store_request *q;
	LIST_EACH(q, &s->delivered, node)
	{
		request_settle(q, -err.code, &err);
	}
	LIST_EACH(q, &s->queued, node)
	{
		request_settle(q, -err.code, &err);
	}
	list_take(&s->queued, &s->delivered, SIZE_MAX);
	s->queued_count = 0;
	txn_deliver(s);
}
