/* SPDX-License-Identifier: Apache-2.0 */
/* What the store removes by itself. */
#include "main/server_lifecycle.h"

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/lifecycle.h"

#define CHECKPOINTS_MAX 100000 /* below one prefix */

struct checkpoint {
	const char *name; /* the map's */
	int64_t newest_ms;
	bool goes;
};
struct walk {
	struct blob_store *blobs;
	const char *org, *bucket;
	const struct lifecycle_rule *rule;
	const struct lifecycle *rules; /* the bucket's */
	bool is_default;	       /* rule is the platform's, for what the bucket says nothing of */
	int64_t now_ms, removed;
	const atomic_bool *stop;
	struct map *checkpoints; /* struct checkpoint by name */
};

typedef int entry_fn(struct walk *w, const struct blob_entry *e, struct err *err);

static int each_object(struct walk *w, entry_fn *fn, struct err *err)
{
	CLEANUP(free) char *after = NULL;
	for (bool more = true; more && !(w->stop && atomic_load(w->stop));) {
		struct blob_list list = {0};
		int r = w->blobs->ops->list(w->blobs, w->org, w->bucket, w->rule->prefix, after, 0,
					    BLOB_LIST_MAX, &list, err);
		for (size_t i = 0; i < list.count && r >= 0; i++)
			r = fn(w, &list.entries[i], err);
		more = list.truncated && list.count;
		if (list.count) {
			free(after);
			after = mem_strdup(list.entries[list.count - 1].key);
		}
		blob_list_done(&list);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Looked at once more right before: what was written since the list was read stays. */
static int remove_object(struct walk *w, const struct blob_entry *e, const char *why, struct err *err)
{
	struct blob_info now;
	int r = w->blobs->ops->stat(w->blobs, w->org, w->bucket, e->key, NULL, &now, NULL, err);
	if (r == -ERR_NOT_FOUND || (r >= 0 && now.modified_ms != e->info.modified_ms))
		return 0;
	if (r >= 0)
		r = w->blobs->ops->remove(w->blobs, w->org, w->bucket, e->key, err);
	if (r < 0)
		return r;
	w->removed++;
	log_info("store.lifecycle org=%s bucket=%s prefix=\"%s\" key=\"%s\" why=%s", w->org, w->bucket,
		 w->rule->prefix, e->key, why);
	return 0;
}

static int expire(struct walk *w, const struct blob_entry *e, struct err *err)
{
	return w->now_ms - e->info.modified_ms > w->rule->expire_ms ? remove_object(w, e, "expired", err) : 0;
}

/* ---- the last N checkpoints ---- */

static char *checkpoint_name(const struct walk *w, const char *key)
{
	const char *below = key + strlen(w->rule->prefix);
	size_t len = lifecycle_checkpoint(below);
	return len ? mem_strndup(below, len) : NULL;
}

static int note_checkpoint(struct walk *w, const struct blob_entry *e, struct err *err)
{
	CLEANUP(free) char *name = checkpoint_name(w, e->key);
	if (!name)
		return 0;
	struct checkpoint *c = map_get(w->checkpoints, name);
	if (!c) {
		if (map_count(w->checkpoints) >= CHECKPOINTS_MAX)
			return err_set(err, ERR_TOO_LARGE, "there are more than %d checkpoints",
				       CHECKPOINTS_MAX);
		c = MEM_NEW(struct checkpoint);
		map_set(w->checkpoints, name, c);
	}
	if (e->info.modified_ms > c->newest_ms)
		c->newest_ms = e->info.modified_ms;
	return 0;
}

static int remove_old_checkpoint(struct walk *w, const struct blob_entry *e, struct err *err)
{
	CLEANUP(free) char *name = checkpoint_name(w, e->key);
	const struct checkpoint *c = name ? map_get(w->checkpoints, name) : NULL;
	return c && c->goes ? remove_object(w, e, "keep_last", err) : 0;
}

/* "ckpt-100" is after "ckpt-20". */
static int by_name(const char *a, const char *b)
{
	size_t x = strlen(a), y = strlen(b);
	return x != y ? (x < y ? -1 : 1) : strcmp(a, b);
}

static int newest_first(const void *a, const void *b)
{
	const struct checkpoint *x = *(struct checkpoint *const *)a, *y = *(struct checkpoint *const *)b;
	if (x->newest_ms != y->newest_ms)
		return x->newest_ms > y->newest_ms ? -1 : 1;
	return by_name(y->name, x->name);
}

static int keep_last(struct walk *w, struct err *err)
{
	const char *name;
	void *value;
	size_t count = 0;
	w->checkpoints = map_new(free);
	int r = each_object(w, note_checkpoint, err);
	CLEANUP(free)
	struct checkpoint **order = mem_alloc((map_count(w->checkpoints) + 1) * sizeof(struct checkpoint *));
	for (size_t i = 0; map_next(w->checkpoints, &i, &name, &value);) {
		order[count] = value;
		order[count++]->name = name;
	}
	qsort(order, count, sizeof(*order), newest_first);
	for (size_t i = (size_t)w->rule->keep_last; i < count; i++)
		order[i]->goes = true;
	if (r >= 0 && count > (size_t)w->rule->keep_last)
		r = each_object(w, remove_old_checkpoint, err);
	map_free(w->checkpoints);
	return r;
}

/* ---- older versions, and uploads that nobody ends ---- */

/* A version is what is not the newest since the next newer one, which comes before it in the list. */
static int remove_noncurrent(struct walk *w, struct err *err)
{
	CLEANUP(free) char *after = NULL;
	CLEANUP(free) struct blob_removal *items = mem_alloc(BLOB_LIST_MAX * sizeof(*items));
	char after_version[BLOB_VERSION_MAX + 1] = "";
	int64_t newer_ms = 0;
	int r = 0;
	for (bool more = true; more && r >= 0 && !(w->stop && atomic_load(w->stop));) {
		struct blob_list list = {0};
		size_t count = 0;
		r = w->blobs->ops->list_versions(w->blobs, w->org, w->bucket, w->rule->prefix, after,
						 after ? after_version : NULL, NULL, BLOB_LIST_MAX, &list,
						 err);
		for (size_t i = 0; i < list.count; i++) {
			const struct blob_entry *e = &list.entries[i];
			if (!e->info.is_latest && w->now_ms - newer_ms > w->rule->noncurrent_ms)
				items[count++] =
				    (struct blob_removal){.key = e->key, .version = e->info.version};
			newer_ms = e->info.modified_ms;
		}
		if (r >= 0 && count)
			r = w->blobs->ops->remove_many(w->blobs, w->org, w->bucket, items, count, err);
		for (size_t i = 0; i < count && r >= 0; i++)
			w->removed += items[i].err.code == 0;
		more = list.truncated && list.count;
		if (list.count) {
			free(after);
			after = mem_strdup(list.entries[list.count - 1].key);
			memcpy(after_version, list.entries[list.count - 1].info.version,
			       sizeof(after_version));
		}
		blob_list_done(&list);
	}
	return r;
}

static bool has_upload_rule(const struct walk *w, const char *key)
{
	for (size_t i = 0; i < w->rules->count; i++)
		if (w->rules->rules[i].abort_ms && str_starts(key, w->rules->rules[i].prefix))
			return true;
	return false;
}

/* 1 = yes. The platform's own rule spares what parts still come for, however long ago it began. */
static int upload_goes(struct walk *w, const struct blob_entry *e, struct err *err)
{
	struct blob_parts parts = {0};
	int64_t last_ms = e->info.modified_ms;
	if (w->now_ms - last_ms <= w->rule->abort_ms)
		return 0;
	if (!w->is_default)
		return 1;
	if (has_upload_rule(w, e->key))
		return 0;
	int r = w->blobs->ops->part_list(w->blobs, w->org, w->bucket, e->key, e->upload_id, 0, BLOB_PART_MAX,
					 &parts, err);
	for (size_t i = 0; i < parts.count; i++)
		if (parts.items[i].modified_ms > last_ms)
			last_ms = parts.items[i].modified_ms;
	free(parts.items);
	return r < 0 ? r : w->now_ms - last_ms > w->rule->abort_ms;
}

static int abort_upload(struct walk *w, const struct blob_entry *e, struct err *err)
{
	int r = upload_goes(w, e, err);
	if (r == 0)
		return 0;
	if (r > 0)
		r = w->blobs->ops->upload_abort(w->blobs, w->org, w->bucket, e->key, e->upload_id, err);
	if (r == -ERR_NOT_FOUND) { /* it ended by itself */
		*err = ERR_INIT;
		return 0;
	}
	if (r < 0)
		return r;
	w->removed++;
	log_info("store.lifecycle org=%s bucket=%s prefix=\"%s\" key=\"%s\" why=%s", w->org, w->bucket,
		 w->rule->prefix, e->key, w->is_default ? "abandoned" : "abort_uploads");
	return 0;
}

static int abort_uploads(struct walk *w, struct err *err)
{
	CLEANUP(free) char *after = NULL;
	CLEANUP(free) char *after_id = NULL;
	int r = 0;
	for (bool more = true; more && r >= 0 && !(w->stop && atomic_load(w->stop));) {
		struct blob_list list = {0};
		r = w->blobs->ops->upload_list(w->blobs, w->org, w->bucket, w->rule->prefix, after, after_id,
					       BLOB_LIST_MAX, &list, err);
		for (size_t i = 0; i < list.count && r >= 0; i++)
			r = abort_upload(w, &list.entries[i], err);
		more = list.truncated && list.count;
		if (list.count) {
			free(after);
			free(after_id);
			after = mem_strdup(list.entries[list.count - 1].key);
			after_id = mem_strdup(list.entries[list.count - 1].upload_id);
		}
		blob_list_done(&list);
	}
	return r;
}

/* ---- walks ---- */

static int forget_abandoned(struct walk *w, int64_t abandoned_ms, struct err *err)
{
	const struct lifecycle_rule rule = {.prefix = (char *)"", .abort_ms = abandoned_ms};
	w->rule = &rule;
	w->is_default = true;
	int r = abort_uploads(w, err);
	w->is_default = false;
	w->rule = NULL;
	return r;
}

static void walk_bucket(struct walk *w, int64_t abandoned_ms)
{
	struct err err = ERR_INIT;
	struct blob_bucket state = {0};
	CLEANUP(lifecycle) struct lifecycle l = {0};
	int r = w->blobs->ops->bucket_stat(w->blobs, w->org, w->bucket, &state, &err);
	if (r >= 0)
		r = lifecycle_of_bucket(state.attributes, &l, &err);
	free(state.attributes);
	w->rules = &l;
	for (size_t i = 0; i < l.count && r >= 0; i++) {
		w->rule = &l.rules[i];
		if (w->rule->expire_ms)
			r = each_object(w, expire, &err);
		if (w->rule->noncurrent_ms && r >= 0)
			r = remove_noncurrent(w, &err);
		if (w->rule->abort_ms && r >= 0)
			r = abort_uploads(w, &err);
		if (w->rule->keep_last && r >= 0)
			r = keep_last(w, &err);
	}
	if (abandoned_ms && r >= 0)
		r = forget_abandoned(w, abandoned_ms, &err);
	w->rules = NULL;
	if (r < 0 && r != -ERR_NOT_FOUND)
		log_error("store.lifecycle org=%s bucket=%s error=\"%s\"", w->org, w->bucket, err.msg);
}

int64_t lifecycle_walk(struct blob_store *blobs, const char *org, int64_t now_ms, int64_t abandoned_ms,
		       const atomic_bool *stop)
{
	struct err err = ERR_INIT;
	struct blob_list buckets = {0};
	struct walk w = {.blobs = blobs, .org = org, .now_ms = now_ms, .stop = stop};
	if (blobs->ops->bucket_list(blobs, org, &buckets, &err) < 0)
		log_error("store.lifecycle org=%s error=\"%s\"", org, err.msg);
	for (size_t i = 0; i < buckets.count && !(stop && atomic_load(stop)); i++) {
		w.bucket = buckets.entries[i].key;
		walk_bucket(&w, abandoned_ms);
	}
	blob_list_done(&buckets);
	return w.removed;
}

static void walk_all(void *arg)
{
	struct server_lifecycle *l = arg;
	for (size_t i = 0; i < l->walk_count; i++)
		lifecycle_walk(l->blobs, l->walk[i], clock_wall_ms(l->clock), l->abandoned_ms, &l->stop);
}

static void walked(void *arg)
{
	struct server_lifecycle *l = arg;
	for (size_t i = 0; i < l->walk_count; i++)
		free(l->walk[i]);
	free(l->walk);
	l->walk = NULL;
}

static void on_timer(void *arg)
{
	struct server_lifecycle *l = arg;
	const char *name;
	void *value;
	if (l->walk)
		return; /* the one before goes on */
	l->walk = mem_alloc((map_count(l->orgs) + 1) * sizeof(*l->walk));
	l->walk_count = 0;
	for (size_t i = 0; map_next(l->orgs, &i, &name, &value);)
		l->walk[l->walk_count++] = mem_strdup(name);
	loop_work(l->loop, walk_all, walked, l);
}

void server_lifecycle_open(struct server_lifecycle *l, struct loop *loop, struct blob_store *blobs,
			   struct clock *clock, int64_t abandoned_ms)
{
	l->loop = loop;
	l->blobs = blobs;
	l->clock = clock;
	l->abandoned_ms = abandoned_ms;
	l->orgs = map_new(NULL);
	l->timer = loop_timer_new(loop, on_timer, l);
	loop_timer_set(l->timer, LIFECYCLE_EVERY_MS, LIFECYCLE_EVERY_MS);
}

void server_lifecycle_org(struct server_lifecycle *l, const char *org)
{
	map_set(l->orgs, org, l);
}

void server_lifecycle_close(struct server_lifecycle *l)
{
	if (!l->orgs)
		return;
	atomic_store(&l->stop, true);
	loop_timer_free(l->timer);
	while (l->walk)
		loop_run_once(l->loop, 100);
	map_free(l->orgs);
	l->orgs = NULL;
}
