/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at folders: status, list, pattern. */
#include "fds_folder.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define PAGE 1000

void fds_names_done(struct fds_names *n)
{
	for (size_t i = 0; i < n->count; i++)
		free(n->items[i]);
	free(n->items);
	*n = (struct fds_names){0};
}

static int add_name(struct fds_names *n, char *name, struct err *err)
{
	if (n->count == FDS_NAMES_MAX) {
		free(name);
		return err_set(err, ERR_TOO_LARGE, "more than %d names", FDS_NAMES_MAX);
	}
	if (n->count == n->cap) {
		n->cap = n->cap ? n->cap * 2 : 64;
		n->items = mem_realloc(n->items, n->cap * sizeof(*n->items));
	}
	n->items[n->count++] = name;
	return 0;
}

static int no_such(const struct fds_path *at, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "'fds://%s/%.300s' does not exist", at->bucket, at->key);
}

int fds_folder_stat(struct fds_store *s, const struct fds_path *at, struct fds_status *ret, struct err *err)
{
	CLEANUP(fds_list) struct fds_list list = {0};
	CLEANUP(buf) struct buf prefix = BUF_INIT;
	memset(ret, 0, sizeof(*ret));
	if (at->key[0]) {
		int r = fds_object_stat(s, at, &ret->object, err);
		if (r != -ERR_NOT_FOUND)
			return r;
		*err = ERR_INIT;
	}
	fds_path_prefix(at, &prefix);
	int r = fds_object_list(s, at, buf_str(&prefix), false, NULL, 1, &list, err);
	if (r < 0)
		return r;
	ret->is_folder = list.count > 0 || !at->key[0];
	return ret->is_folder ? 0 : no_such(at, err);
}

/* Calls 'each' for what is directly below a prefix: its name without the prefix, and whether it is a folder.
 */
static int each_child(struct fds_store *s, const struct fds_path *at, const char *prefix, size_t skip,
		      int (*each)(void *arg, char *name, bool is_folder, struct err *err), void *arg,
		      bool *ret_any, struct err *err)
{
	CLEANUP(fds_list) struct fds_list list = {0};
	do {
		int r = fds_object_list(s, at, prefix, true, list.token, PAGE, &list, err);
		for (size_t i = 0; i < list.count && r >= 0; i++) {
			char *name = list.entries[i].key + skip;
			size_t len = strlen(name);
			*ret_any = true;
			if (list.entries[i].is_prefix && len)
				name[len - 1] = '\0';
			if (name[0])
				r = each(arg, name, list.entries[i].is_prefix, err);
		}
		if (r < 0)
			return r;
	} while (list.token);
	return 0;
}

static int add_child(void *arg, char *name, bool is_folder, struct err *err)
{
	struct fds_names *names = arg;
	/* "a" and "a/" come next to each other or a page apart; the file is the one that was listed. */
	return add_name(names, mem_strdup(name), err);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts and drops what is there twice: a file and a folder may have the same name. */
static void settle(struct fds_names *n)
{
	size_t kept = 0;
	if (!n->count)
		return;
	qsort(n->items, n->count, sizeof(*n->items), compare_names);
	for (size_t i = 1; i < n->count; i++) {
		if (!strcmp(n->items[kept], n->items[i]))
			free(n->items[i]);
		else
			n->items[++kept] = n->items[i];
	}
	n->count = kept + 1;
}

int fds_folder_list(struct fds_store *s, const struct fds_path *at, struct fds_names *ret, struct err *err)
{
	CLEANUP(buf) struct buf prefix = BUF_INIT;
	struct fds_status status;
	bool any = false;
	fds_path_prefix(at, &prefix);
	int r = each_child(s, at, buf_str(&prefix), prefix.len, add_child, ret, &any, err);
	settle(ret);
	if (r < 0 || any || !at->key[0])
		return r;
	r = fds_folder_stat(s, at, &status, err);
	if (r >= 0 && !status.is_folder)
		return err_set(err, ERR_STATE, "'fds://%s/%.300s' is a file", at->bucket, at->key);
	return r;
}

/* ---- patterns: one step of the address after the other ---- */

struct match {
	struct fds_store *store;
	const struct fds_path *at;
	const char *scheme;	 /* "fds://" */
	const char *base;	 /* what is matched so far, "" or ending in '/' */
	const char *step, *rest; /* the step that is matched, and what follows it, "" = nothing */
	struct fds_names *found;
};

static int match_below(struct fds_store *s, const struct fds_path *at, const char *scheme, const char *base,
		       const char *pattern, struct fds_names *found, struct err *err);

static int match_child(void *arg, char *name, bool is_folder, struct err *err)
{
	struct match *m = arg;
	if (fnmatch(m->step, name, 0) != 0)
		return 0;
	if (!*m->rest)
		return add_name(m->found, mem_printf("%s%s/%s%s", m->scheme, m->at->bucket, m->base, name),
				err);
	if (!is_folder)
		return 0;
	CLEANUP(free) char *base = mem_printf("%s%s/", m->base, name);
	return match_below(m->store, m->at, m->scheme, base, m->rest, m->found, err);
}

/* The whole address is known: is it there? */
static int match_literal(struct fds_store *s, const struct fds_path *at, const char *scheme, const char *key,
			 struct fds_names *found, struct err *err)
{
	CLEANUP(free) char *address = mem_printf("%s%s/%s", scheme, at->bucket, key);
	struct fds_path path;
	struct fds_status status;
	int r = fds_path_parse(address, &path, err);
	if (r >= 0)
		r = fds_folder_stat(s, &path, &status, err);
	if (r == -ERR_NOT_FOUND) {
		*err = ERR_INIT;
		return 0;
	}
	return r < 0 ? r : add_name(found, STEAL(address), err);
}

/* 'base' is fixed; the pattern's steps that have no special characters join it without a call. */
static int match_below(struct fds_store *s, const struct fds_path *at, const char *scheme, const char *base,
		       const char *pattern, struct fds_names *found, struct err *err)
{
	CLEANUP(buf) struct buf fixed = BUF_INIT, prefix = BUF_INIT;
	buf_adds(&fixed, base);
	size_t special = strcspn(pattern, "*?[\\"), len = special;
	if (!pattern[special]) {
		buf_adds(&fixed, pattern);
		return match_literal(s, at, scheme, buf_str(&fixed), found, err);
	}
	while (len && pattern[len - 1] != '/')
		len--;
	buf_add(&fixed, pattern, len);
	buf_add(&prefix, fixed.data, fixed.len);
	buf_add(&prefix, pattern + len, special - len);
	size_t step = strcspn(pattern + len, "/");
	CLEANUP(free) char *step_text = mem_strndup(pattern + len, step);
	const char *rest = pattern + len + step;
	struct match m = {s, at, scheme, buf_str(&fixed), step_text, rest + (*rest == '/'), found};
	bool any = false;
	return each_child(s, at, buf_str(&prefix), fixed.len, match_child, &m, &any, err);
}

int fds_folder_match(struct fds_store *s, const char *pattern, struct fds_names *ret, struct err *err)
{
	struct fds_path at;
	CLEANUP(free) char *clean = fds_path_clean(pattern);
	int r = fds_path_parse(clean, &at, err);
	if (r < 0)
		return r;
	const char *scheme = str_starts(clean, "s3://") ? "s3://" : "fds://";
	r = match_below(s, &at, scheme, "", at.key, ret, err);
	settle(ret);
	return r;
}
