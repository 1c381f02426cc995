/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: a walk over the index in the order of keys that leaps over what a common prefix stands for. */
#include "blobs/blobs_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define VERSIONS_BEFORE_LEAP 16 /* rows of one key that are read before a new search is cheaper */

struct walk {
	struct index *ix;
	uint64_t bucket;
	struct str prefix, after, delimiter; /* delimiter: empty = flat */
	bool all_versions;
	size_t limit;
	struct blob_list list;
	struct buf key;	  /* of the row before */
	struct buf start; /* where the next search begins */
	size_t same;	  /* rows of that key so far */
	bool leap;
};

static void cleanup_walk(struct walk *w)
{
	buf_done(&w->key);
	buf_done(&w->start);
	blob_list_done(&w->list);
}

static bool has_prefix(struct str s, struct str prefix)
{
	return s.len >= prefix.len && memcmp(s.data, prefix.data, prefix.len) == 0;
}

static int compare(struct str a, struct str b)
{
	int r = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
	return r ? r : (a.len > b.len) - (a.len < b.len);
}

/* 'key' and what it starts are passed: the next search begins behind. */
static void leap_over(struct walk *w, struct str key, bool whole_prefix)
{
	buf_clear(&w->start);
	buf_add(&w->start, key.data, key.len);
	if (whole_prefix)
		w->start.data[w->start.len - 1]++; /* no byte of UTF-8 is 0xff */
	else
		buf_addc(&w->start, '\0');
	w->leap = true;
}

static void append(struct walk *w, struct str key, bool is_prefix, const struct blob_info *info)
{
	struct blob_list *l = &w->list;
	if (l->count == w->limit) {
		l->truncated = true;
		return;
	}
	if ((l->count & (l->count - 1)) == 0)
		l->entries = mem_realloc(l->entries, (l->count ? 2 * l->count : 1) * sizeof(*l->entries));
	l->entries[l->count++] = (struct blob_entry){.key = mem_strndup(key.data, key.len),
						     .is_prefix = is_prefix,
						     .info = info ? *info : (struct blob_info){0}};
}

/* The common prefix that stands for 'key'; .len 0 when there is none. */
static struct str common_prefix(const struct walk *w, struct str key)
{
	const char *found = w->delimiter.len && key.len > w->prefix.len
				? memmem(key.data + w->prefix.len, key.len - w->prefix.len, w->delimiter.data,
					 w->delimiter.len)
				: NULL;
	return found ? (struct str){key.data, (size_t)(found - key.data) + w->delimiter.len} : STR("");
}

static int visit(struct walk *w, struct str key, sqlite3_stmt *st, bool is_newest, struct err *err)
{
	struct str rolled = common_prefix(w, key);
	if (rolled.len) {
		if (compare(rolled, w->after) > 0)
			append(w, rolled, true, NULL);
		leap_over(w, rolled, true);
		return 0;
	}
	CLEANUP(row) struct row row = {0};
	CLEANUP(object) struct object o = {0};
	index_row(st, 1, &row);
	int r = row_object(&row, &o, err);
	if (r < 0)
		return r;
	o.info.is_latest = is_newest;
	append(w, key, false, &o.info);
	return 0;
}

/* 1 = go on, 0 = the end. */
static int walk_row(struct walk *w, sqlite3_stmt *st, struct err *err)
{
	struct str key = index_blob(st, 0), before = {w->key.data, w->key.len};
	if (!has_prefix(key, w->prefix))
		return 0;
	bool is_newest = !w->key.data || compare(key, before) != 0;
	if (is_newest) {
		buf_clear(&w->key);
		buf_add(&w->key, key.data, key.len);
		w->same = 0;
	} else if (!w->all_versions) {
		if (++w->same == VERSIONS_BEFORE_LEAP)
			leap_over(w, key, false);
		return 1;
	}
	bool is_marker = (unsigned)sqlite3_column_int64(st, 2) & RECORD_MARKER;
	if (is_marker && !w->all_versions)
		return 1;
	int r = visit(w, key, st, is_newest, err);
	return r < 0 ? r : !w->list.truncated;
}

static int walk(struct walk *w, sqlite3_stmt *st, struct err *err)
{
	int r = 1;
	while (r > 0) {
		r = index_step(w->ix, st, err);
		if (r <= 0)
			return r;
		r = walk_row(w, st, err);
		if (r <= 0 || !w->leap)
			continue;
		w->leap = false;
		sqlite3_reset(st);
		r = index_query(w->ix, INDEX_PAGE, &st, err, "ib", (int64_t)w->bucket,
				(struct str){w->start.data, w->start.len});
		r = r < 0 ? r : 1;
	}
	sqlite3_reset(st);
	return r;
}

/* Where the list of versions goes on: behind one version of a key, or behind all of them. */
static int begin_versions(struct walk *w, const char *after_version, sqlite3_stmt **ret, struct err *err)
{
	CLEANUP(row) struct row row = {0};
	int r = index_find(w->ix, w->bucket, w->after, after_version, &row, err);
	if (r < 0)
		return r;
	/* The version may be gone: its number still says where. */
	uint64_t seq = r > 0 ? row.seq : strtoull(after_version, NULL, 16);
	buf_clear(&w->key);
	buf_add(&w->key, w->after.data, w->after.len);
	return index_query(w->ix, INDEX_PAGE_FROM, ret, err, "ibi", (int64_t)w->bucket, w->after,
			   (int64_t)seq);
}

static int begin_walk(struct walk *w, const char *after_version, sqlite3_stmt **ret, struct err *err)
{
	if (after_version && w->after.len)
		return begin_versions(w, after_version, ret, err);
	if (w->after.len && compare(w->after, w->prefix) >= 0)
		leap_over(w, w->after, false);
	else
		buf_add(&w->start, w->prefix.data, w->prefix.len);
	w->leap = false;
	return index_query(w->ix, INDEX_PAGE, ret, err, "ib", (int64_t)w->bucket,
			   (struct str){w->start.data, w->start.len});
}

static int list(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		const char *after, const char *after_version, const char *delimiter, size_t limit,
		bool all_versions, struct blob_list *ret, struct err *err)
{
	struct blobs *b = blobs_of(s);
	struct bucket known;
	int r = bucket_find(b, org, bucket, &known, err);
	if (r < 0)
		return r;
	if (prefix && strlen(prefix) > BLOB_KEY_MAX)
		return err_set(err, ERR_INVALID, "prefix is longer than %d bytes", BLOB_KEY_MAX);
	if (delimiter && strlen(delimiter) > BLOB_KEY_MAX)
		return err_set(err, ERR_INVALID, "delimiter is longer than %d bytes", BLOB_KEY_MAX);
	if (after && strlen(after) > 2 * BLOB_KEY_MAX)
		return err_set(err, ERR_INVALID, "place to go on from is longer than %d bytes",
			       2 * BLOB_KEY_MAX);
	CLEANUP(walk)
	struct walk w = {.bucket = known.id,
			 .prefix = str_from(prefix ? prefix : ""),
			 .after = str_from(after ? after : ""),
			 .delimiter = str_from(delimiter ? delimiter : ""),
			 .all_versions = all_versions,
			 .limit = limit > BLOB_LIST_MAX ? BLOB_LIST_MAX : limit};
	if (limit > 0 && (r = reader_take(b, &w.ix, err)) == 0) {
		sqlite3_stmt *st;
		r = begin_walk(&w, after_version, &st, err);
		if (r >= 0)
			r = walk(&w, st, err);
		reader_give(b, w.ix);
	}
	if (r < 0)
		return r;
	*ret = w.list;
	w.list = (struct blob_list){0};
	return 0;
}

int list_objects(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		 const char *after, const char *delimiter, size_t limit, struct blob_list *ret,
		 struct err *err)
{
	return list(s, org, bucket, prefix, after, NULL, delimiter, limit, false, ret, err);
}

int list_versions(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		  const char *after, const char *after_version, const char *delimiter, size_t limit,
		  struct blob_list *ret, struct err *err)
{
	return list(s, org, bucket, prefix, after, after_version, delimiter, limit, true, ret, err);
}
