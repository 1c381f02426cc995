/* SPDX-License-Identifier: Apache-2.0 */
/* The streams, their queue, and the line that shows how far they are. */
#include "cli/transfer_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/unit.h"

#define QUEUE_MAX 64
#define TRIES 5
#define FIRST_PAUSE_US 200000
#define DRAW_MS 200
#define TOLD_MAX 200 /* bytes of a name in a message */

int64_t piece_offset(const struct piece *p)
{
	return (int64_t)p->number * p->of->piece_bytes;
}

int64_t piece_size(const struct piece *p)
{
	int64_t left = p->of->size - piece_offset(p);
	return left < p->of->piece_bytes ? left : p->of->piece_bytes;
}

/* ---- what is shown; under the lock ---- */

static void undraw(struct transfers *t)
{
	if (t->drawn)
		fputs("\r\033[K", stderr);
	t->drawn = false;
}

static void draw(struct transfers *t)
{
	char done[32], total[32], rate[32], left[32] = "";
	int64_t now = clock_monotonic_ms(&clock_real), ms = now - t->begun_ms;
	if (!t->cli->tty_err || t->cli->quiet || t->cli->json || now - t->drawn_ms < DRAW_MS || ms < 1)
		return;
	int64_t per_s = t->done_bytes * 1000 / ms;
	unit_format_bytes(t->done_bytes, done);
	unit_format_bytes(t->total_bytes, total);
	unit_format_bytes(per_s, rate);
	if (per_s > 0)
		cli_format_span((t->total_bytes - t->done_bytes) / per_s * 1000, left);
	int full = t->total_bytes ? (int)(t->done_bytes * 20 / t->total_bytes) : 0;
	fprintf(stderr, "\r\033[K[%.*s%.*s] %s of %s, %s/s%s%s", full, "####################", 20 - full,
		"....................", done, total, rate, *left ? ", left " : "", left);
	t->drawn_ms = now;
	t->drawn = true;
}

void transfers_note_bytes(struct transfers *t, int64_t by)
{
	pthread_mutex_lock(&t->lock);
	t->done_bytes += by;
	draw(t);
	pthread_mutex_unlock(&t->lock);
}

bool transfers_failed(struct transfers *t)
{
	pthread_mutex_lock(&t->lock);
	bool failed = t->err.code != 0;
	pthread_mutex_unlock(&t->lock);
	return failed;
}

/* ---- one file ---- */

static void transfer_free(struct transfer *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->part_file)
		unlink(f->part_file);
	free(f->file);
	free(f->bucket);
	free(f->key);
	free(f->version);
	free(f->from_bucket);
	free(f->from_key);
	free(f->upload);
	free(f->etags);
	free(f->part_file);
	json_decref(f->state);
	free(f);
}

int transfer_retry(struct transfers *t, transfer_call_fn *call, void *arg, struct client *client,
		   struct err *err)
{
	useconds_t pause = FIRST_PAUSE_US;
	for (int i = 1;; i++, pause *= 2) {
		int r = call(arg, client, err);
		bool passing =
		    r == -ERR_UNAVAILABLE || r == -ERR_TIMEOUT || r == -ERR_BUSY || r == -ERR_LIMIT;
		if (!passing || i == TRIES || transfers_failed(t))
			return r;
		usleep(pause);
	}
}

static void fail(struct transfers *t, const struct err *err)
{
	pthread_mutex_lock(&t->lock);
	if (!t->err.code)
		t->err = *err;
	pthread_cond_broadcast(&t->work);
	pthread_cond_broadcast(&t->room);
	pthread_mutex_unlock(&t->lock);
}

/* Errors of one object, not of the server or of who asks. */
static bool is_of_object(int code)
{
	return code == ERR_NOT_FOUND || code == ERR_INVALID || code == ERR_CONFLICT || code == ERR_STATE ||
	       code == ERR_CORRUPT || code == ERR_BUSY;
}

/* Of a long name its end, so that the cause has room behind it. */
static void name_file(struct err *err, const char *file)
{
	size_t len = strlen(file), from = len > TOLD_MAX ? len - TOLD_MAX : 0;
	while (from && ((unsigned char)file[from] & 0xc0) == 0x80)
		from++;
	err_wrap(err, "copying '%s%s'", from ? "…" : "", file + from);
}

/* Ends all, or is noted while the others go on. */
static void fail_one(struct transfer *f, struct err *err)
{
	struct transfers *t = f->all;
	name_file(err, f->file);
	if (!f->is_one_of_many || !is_of_object(err->code)) {
		fail(t, err);
		return;
	}
	pthread_mutex_lock(&t->lock);
	undraw(t);
	if (!t->refused++)
		t->refusal = *err;
	cli_changed(t->cli,
		    json_pack("{s:s, s:{s:s, s:s}}", "from", f->file, "error", "code", err_word(err->code),
			      "message", err->msg),
		    "%s", err->msg);
	pthread_mutex_unlock(&t->lock);
}

static void finish(struct transfer *f, struct client *client)
{
	struct transfers *t = f->all;
	struct err err = ERR_INIT;
	json_t *item = NULL;
	if (transfers_failed(t))
		return;
	if (f->ops->finish(f, client, &item, &err) < 0) {
		fail_one(f, &err);
		return;
	}
	pthread_mutex_lock(&t->lock);
	undraw(t);
	cli_changed(t->cli, item, "%s", f->file);
	pthread_mutex_unlock(&t->lock);
}

static void queue_piece(struct transfers *t, struct transfer *f, size_t number)
{
	struct piece *p = MEM_NEW(struct piece);
	p->of = f;
	p->number = number;
	list_append(&t->queue, &p->node);
	t->queued++;
}

/* The first piece of a file finds out how many there are; the others follow it at the queue's head, so that
 * few files are open at a time. */
static int begin(struct piece *p, struct client *client, struct err *err)
{
	struct transfer *f = p->of;
	struct transfers *t = f->all;
	int r = f->ops->begin(f, client, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&t->lock);
	f->left = f->pieces;
	t->total_bytes += f->size;
	for (size_t i = 1; i < f->pieces; i++)
		queue_piece(t, f, i);
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

static void run(struct piece *p, struct client *client)
{
	struct transfer *f = p->of;
	struct err err = ERR_INIT;
	int r = 0;
	bool failed = transfers_failed(f->all);
	if (p->number == 0 && !failed)
		r = begin(p, client, &err);
	if (r >= 0 && !failed)
		r = f->ops->piece(p, client, &err);
	if (r < 0)
		fail_one(f, &err);
	pthread_mutex_lock(&f->all->lock);
	bool last = f->left == 0 || --f->left == 0; /* 0: it did not begin */
	pthread_mutex_unlock(&f->all->lock);
	if (!last)
		return;
	if (r >= 0)
		finish(f, client);
	transfer_free(f);
}

/* ---- streams ---- */

static struct piece *take(struct transfers *t)
{
	struct piece *p = NULL;
	pthread_mutex_lock(&t->lock);
	while (!t->queued && !(t->ending && !t->busy))
		pthread_cond_wait(&t->work, &t->lock);
	if (t->queued) {
		p = CONTAINER_OF(t->queue.next, struct piece, node);
		list_remove(&p->node);
		t->queued--;
		t->busy++;
		pthread_cond_broadcast(&t->room);
	}
	pthread_mutex_unlock(&t->lock);
	return p;
}

static void *stream(void *arg)
{
	struct transfers *t = arg;
	struct client *client = NULL;
	struct err err = ERR_INIT;
	if (client_new(t->cli->config.endpoint, t->cli->config.token, &client, &err) < 0)
		fail(t, &err);
	for (struct piece *p; (p = take(t));) {
		run(p, client);
		free(p);
		pthread_mutex_lock(&t->lock);
		t->busy--;
		pthread_cond_broadcast(&t->work);
		pthread_mutex_unlock(&t->lock);
	}
	client_free(client);
	return NULL;
}

struct transfers *transfers_new(struct cli *c, bool keep_times)
{
	struct transfers *t = MEM_NEW(struct transfers);
	t->cli = c;
	t->keep_times = keep_times;
	t->begun_ms = clock_monotonic_ms(&clock_real);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->work, NULL);
	pthread_cond_init(&t->room, NULL);
	list_init(&t->queue);
	return t;
}

/* Streams are started as files come: most copies are of one small file. */
static int add(struct transfers *t, struct transfer *f, struct err *err)
{
	int r = 0;
	if (t->thread_count < TRANSFER_STREAMS &&
	    pthread_create(&t->threads[t->thread_count], NULL, stream, t) == 0)
		t->thread_count++;
	pthread_mutex_lock(&t->lock);
	while (t->queued >= QUEUE_MAX && !t->err.code)
		pthread_cond_wait(&t->room, &t->lock);
	if (!t->thread_count && !t->err.code)
		err_set(&t->err, ERR_NO_MEMORY, "no thread for a transfer could be started");
	if (t->err.code) {
		*err = t->err;
		r = -t->err.code;
	} else {
		queue_piece(t, f, 0);
		pthread_cond_signal(&t->work);
	}
	draw(t);
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		transfer_free(f);
	return r;
}

static struct transfer *transfer_new(struct transfers *t, const char *file, const char *bucket,
				     const char *key)
{
	struct transfer *f = MEM_NEW(struct transfer);
	f->all = t;
	f->fd = -1;
	f->file = mem_strdup(file);
	f->bucket = mem_strdup(bucket);
	f->key = mem_strdup(key);
	return f;
}

int transfers_up(struct transfers *t, const char *file, const char *bucket, const char *key, struct err *err)
{
	struct transfer *f = transfer_new(t, file, bucket, key);
	f->ops = &transfer_up;
	return add(t, f, err);
}

int transfers_down(struct transfers *t, const char *bucket, const char *key, const char *version,
		   const char *file, struct err *err)
{
	struct transfer *f = transfer_new(t, file, bucket, key);
	f->ops = &transfer_down;
	f->version = version ? mem_strdup(version) : NULL;
	return add(t, f, err);
}

int transfers_across(struct transfers *t, const struct transfer_source *from, const char *bucket,
		     const char *key, struct err *err)
{
	CLEANUP(free) char *source = mem_printf("fds://%s/%s", from->bucket, from->key);
	struct transfer *f = transfer_new(t, source, bucket, key);
	f->ops = &transfer_across;
	f->from_bucket = mem_strdup(from->bucket);
	f->from_key = mem_strdup(from->key);
	f->version = from->version ? mem_strdup(from->version) : NULL;
	f->size = from->size;
	f->moves = from->moves;
	f->is_one_of_many = from->is_one_of_many;
	return add(t, f, err);
}

/* A large file's pieces come when a stream has begun it: there may be work for more streams than files. */
static void fill_streams(struct transfers *t)
{
	while (t->thread_count && t->thread_count < TRANSFER_STREAMS &&
	       pthread_create(&t->threads[t->thread_count], NULL, stream, t) == 0)
		t->thread_count++;
}

int transfers_end(struct transfers *t, int r, struct err *err)
{
	if (r < 0)
		fail(t, err);
	fill_streams(t);
	pthread_mutex_lock(&t->lock);
	t->ending = true;
	pthread_cond_broadcast(&t->work);
	pthread_mutex_unlock(&t->lock);
	for (size_t i = 0; i < t->thread_count; i++)
		pthread_join(t->threads[i], NULL);
	undraw(t);
	if (!t->err.code && t->refused) {
		t->err = t->refusal;
		if (t->refused > 1)
			err_wrap(&t->err, "%zu objects were not copied; the first of them", t->refused);
	}
	if (t->err.code) {
		*err = t->err;
		r = -t->err.code;
	}
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->work);
	pthread_cond_destroy(&t->room);
	free(t);
	return r;
}
