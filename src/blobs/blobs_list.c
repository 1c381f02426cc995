/* SPDX-License-Identifier: Apache-2.0 */
/* Listing in byte order of keys, reading no more folders than the page needs. */
#include "blobs/blobs_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"

/* What sorts: an object by its name, a folder by its name and '/'. */
struct candidate {
	char *name;
	bool is_folder;
};

struct candidates {
	struct candidate *items;
	size_t count, cap;
	size_t keep;  /* only so many of the smallest are wanted */
	bool dropped; /* there were more */
};

struct lister {
	struct blobs *store;
	const char *bucket, *prefix, *after;
	size_t prefix_len;
	char delimiter;
	size_t limit;
	struct blob_list *ret;
	char key[URI_KEY_MAX + 2]; /* of the folder being read: "" or ends in '/' */
	size_t key_len;
};

static int compare_candidates(const void *a, const void *b)
{
	return strcmp(((const struct candidate *)a)->name, ((const struct candidate *)b)->name);
}

static void candidates_done(struct candidates *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->items[i].name);
	free(c->items);
	*c = (struct candidates){0};
}

/* Sorts and drops all but the smallest 'keep'. */
static void candidates_trim(struct candidates *c)
{
	if (c->count)
		qsort(c->items, c->count, sizeof(*c->items), compare_candidates);
	while (c->count > c->keep) {
		free(c->items[--c->count].name);
		c->dropped = true;
	}
}

static void candidates_add(struct candidates *c, char *name, bool is_folder)
{
	if (c->count == c->cap) {
		if (c->count >= 2 * c->keep)
			candidates_trim(c);
		if (c->count == c->cap) {
			c->cap = c->cap ? 2 * c->cap : 64;
			c->items = mem_realloc(c->items, c->cap * sizeof(*c->items));
		}
	}
	c->items[c->count++] = (struct candidate){name, is_folder};
}

/* Whether something at or below the whole key may belong on the page. */
static bool is_wanted(struct lister *l, const char *key, bool is_folder)
{
	size_t len = strlen(key);
	bool inside = len >= l->prefix_len && memcmp(key, l->prefix, l->prefix_len) == 0;
	bool above = is_folder && len < l->prefix_len && memcmp(key, l->prefix, len) == 0;
	if (!inside && !above)
		return false;
	if (strcmp(key, l->after) > 0)
		return true;
	/* A folder before 'after' is passed, except the one that 'after' lies in; rolled up it is passed as
	 * well. */
	return is_folder && !(l->delimiter && inside) && strncmp(l->after, key, len) == 0;
}

/* Reads one folder of the store; those entries whose sorting name is greater than 'cursor' become candidates.
 */
static int gather_from(struct lister *l, const char *folder, bool is_folder, const char *cursor,
		       struct candidates *c, struct err *err)
{
	int fd = path_open(l->store->data_fd, folder, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd == -ERR_NOT_FOUND)
		return 0;
	if (fd < 0)
		return fd;
	CLEANUP(dir) DIR *d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_sys(err, errno, "cannot read a folder of bucket '%s'", l->bucket);
	}
	for (struct dirent *e; (errno = 0, e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    strcmp(e->d_name, OBJECTS_FOLDER) == 0)
			continue;
		size_t name_len = strlen(e->d_name);
		if (l->key_len + name_len + is_folder >= sizeof(l->key))
			continue;
		memcpy(l->key + l->key_len, e->d_name, name_len);
		strcpy(l->key + l->key_len + name_len, is_folder ? "/" : "");
		const char *sorting = l->key + l->key_len;
		if (strcmp(sorting, cursor) > 0 && is_wanted(l, l->key, is_folder))
			candidates_add(c, mem_strdup(sorting), is_folder);
		l->key[l->key_len] = '\0';
	}
	return errno ? err_sys(err, errno, "cannot read a folder of bucket '%s'", l->bucket) : 0;
}

static int gather(struct lister *l, const char *cursor, struct candidates *c, struct err *err)
{
	char path[OBJECT_PATH_MAX];
	c->keep = l->limit + 1 - l->ret->count;
	path_format(path, sizeof(path), "%s/%s" OBJECTS_FOLDER, l->bucket, l->key);
	int r = gather_from(l, path, false, cursor, c, err);
	if (r < 0)
		return r;
	path_format(path, sizeof(path), "%s/%s", l->bucket, l->key);
	r = gather_from(l, path, true, cursor, c, err);
	if (r < 0)
		return r;
	candidates_trim(c);
	return 0;
}

/* 'path' is a folder below data/. Folders without objects are left by interrupted uploads. */
static bool has_object(struct blobs *b, char *path, size_t cap)
{
	struct err ignored = ERR_INIT;
	size_t len = strlen(path);
	int fd = path_open(b->data_fd, path, O_RDONLY | O_DIRECTORY, 0, &ignored);
	if (fd < 0)
		return false;
	CLEANUP(dir) DIR *d = fdopendir(fd);
	if (!d) {
		close(fd);
		return false;
	}
	bool in_objects = str_ends(path, "/" OBJECTS_FOLDER);
	bool found = false;
	for (struct dirent *e; !found && (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (in_objects)
			return true;
		if (len + 1 + strlen(e->d_name) >= cap)
			continue;
		path[len] = '/';
		strcpy(path + len + 1, e->d_name);
		found = has_object(b, path, cap);
		path[len] = '\0';
	}
	return found;
}

static bool is_full(const struct lister *l)
{
	return l->ret->truncated;
}

static void append(struct lister *l, bool is_prefix, const struct blob_info *info)
{
	struct blob_list *list = l->ret;
	if (list->count == l->limit) {
		list->truncated = true;
		return;
	}
	if ((list->count & (list->count - 1)) == 0)
		list->entries =
		    mem_realloc(list->entries, (list->count ? 2 * list->count : 1) * sizeof(*list->entries));
	list->entries[list->count++] =
	    (struct blob_entry){.key = mem_strdup(l->key), .is_prefix = is_prefix, .info = *info};
}

static int list_folder(struct lister *l, struct err *err);

/* l->key is the whole key, with '/' at the end of a folder's. */
static int visit(struct lister *l, bool is_folder, struct err *err)
{
	struct blob_info info = {0};
	if (is_folder && l->delimiter && l->key_len >= l->prefix_len) {
		char path[OBJECT_PATH_MAX + PATH_SEGMENT_MAX];
		path_format(path, sizeof(path), "%s/%.*s", l->bucket, (int)(l->key_len - 1), l->key);
		if (has_object(l->store, path, sizeof(path)))
			append(l, true, &info);
		return 0;
	}
	if (is_folder)
		return list_folder(l, err);
	CLEANUP(fd) int fd = object_open(l->store, l->bucket, l->key, &info, err);
	if (fd == -ERR_NOT_FOUND)
		return 0; /* removed meanwhile */
	if (fd < 0 && fd != -ERR_CORRUPT)
		return fd;
	/* A damaged object is shown, with size 0 and no ETag: reading it says what is wrong. */
	append(l, false, fd < 0 ? &(struct blob_info){0} : &info);
	return 0;
}

static int list_folder(struct lister *l, struct err *err)
{
	size_t folder_len = l->key_len;
	CLEANUP(free) char *cursor = mem_strdup("");
	for (bool more = true; more && !is_full(l);) {
		struct candidates c = {0};
		int r = gather(l, cursor, &c, err);
		for (size_t i = 0; r == 0 && i < c.count && !is_full(l); i++) {
			strcpy(l->key + folder_len, c.items[i].name);
			l->key_len = strlen(l->key);
			r = visit(l, c.items[i].is_folder, err);
			l->key_len = folder_len;
			l->key[folder_len] = '\0';
		}
		/* Candidates that turned out to be empty or gone leave room for those that were dropped. */
		more = c.dropped && c.count;
		if (more) {
			free(cursor);
			cursor = mem_strdup(c.items[c.count - 1].name);
		}
		candidates_done(&c);
		if (r < 0)
			return r;
	}
	return 0;
}

int list_objects(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		 const char *after, char delimiter, size_t limit, struct blob_list *ret, struct err *err)
{
	int r = bucket_check(blobs_of(s), org, bucket, err);
	if (r < 0)
		return r;
	if (delimiter && delimiter != '/')
		return err_set(err, ERR_UNSUPPORTED, "delimiter '%c' is not supported; use '/'", delimiter);
	prefix = prefix ? prefix : "";
	if (strlen(prefix) > URI_KEY_MAX)
		return err_set(err, ERR_INVALID, "prefix is longer than %d bytes", URI_KEY_MAX);
	struct blob_list list = {0};
	struct lister l = {.store = blobs_of(s),
			   .bucket = bucket,
			   .prefix = prefix,
			   .prefix_len = strlen(prefix),
			   .after = after ? after : "",
			   .delimiter = delimiter,
			   .ret = &list};
	l.limit = limit > BLOB_LIST_MAX ? BLOB_LIST_MAX : limit;
	const char *slash = strrchr(prefix, '/');
	if (slash) {
		/* A prefix whose folder is no clean path has no keys below it. */
		struct err ignored = ERR_INIT;
		if (path_check(prefix, (size_t)(slash - prefix), &ignored) < 0) {
			*ret = list;
			return 0;
		}
		l.key_len = (size_t)(slash + 1 - prefix);
		memcpy(l.key, prefix, l.key_len);
	}
	r = limit ? list_folder(&l, err) : 0;
	if (r < 0) {
		blob_list_done(&list);
		return r;
	}
	*ret = list;
	return 0;
}
