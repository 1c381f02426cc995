/* SPDX-License-Identifier: Apache-2.0 */
/* What was put of a tree, by key. */
#include "local/store_seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/mem.h"

struct store_seen {
	struct map *files; /* key -> struct seen */
};

struct seen {
	struct stat st;
	char etag[BLOB_ETAG_MAX + 1];
	bool keeps_times;
	bool exists; /* seen in the last pass */
};

struct store_seen *store_seen_new(void)
{
	struct store_seen *s = MEM_NEW(struct store_seen);
	s->files = map_new(free);
	return s;
}

void store_seen_free(struct store_seen *s)
{
	if (!s)
		return;
	map_free(s->files);
	free(s);
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool store_seen_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       is_same_time(&a->st_mtim, &b->st_mtim) && is_same_time(&a->st_ctim, &b->st_ctim);
}

static bool is_still_ours(const struct seen *f, const char *key, const struct store_place *at)
{
	struct blob_info info;
	struct err err = ERR_INIT;
	return at->store->ops->stat(at->store, at->org, at->bucket, key, NULL, &info, NULL, &err) >= 0 &&
	       strcmp(info.etag, f->etag) == 0;
}

bool store_seen_has(struct store_seen *s, const char *key, const struct stat *st,
		    const struct store_place *at)
{
	const struct seen *f = map_get(s->files, key);
	return f && store_seen_same(&f->st, st) && (!at || (f->keeps_times && is_still_ours(f, key, at)));
}

void store_seen_add(struct store_seen *s, const char *key, const struct stat *st, const char *etag,
		    bool keeps_times)
{
	struct seen *f = MEM_NEW(struct seen);
	f->st = *st;
	f->exists = true;
	f->keeps_times = keeps_times;
	snprintf(f->etag, sizeof(f->etag), "%s", etag);
	map_set(s->files, key, f);
}

void store_seen_begin_last(struct store_seen *s)
{
	const char *key;
	void *value;
	for (size_t i = 0; map_next(s->files, &i, &key, &value);)
		((struct seen *)value)->exists = false;
}

void store_seen_mark(struct store_seen *s, const char *key)
{
	struct seen *f = map_get(s->files, key);
	if (f)
		f->exists = true;
}

int store_seen_end_last(struct store_seen *s, const struct store_place *at, struct err *err)
{
	const char *key;
	void *value;
	int r = 0;
	for (size_t i = 0; r >= 0 && map_next(s->files, &i, &key, &value);) {
		const struct seen *f = value;
		if (!f->exists && is_still_ours(f, key, at))
			r = at->store->ops->remove(at->store, at->org, at->bucket, key, err);
	}
	return r;
}
