/* SPDX-License-Identifier: Apache-2.0 */
/* Changing folders and files: create, delete, copy, rename. */
#include "fds_folder.h"

#include <stdio.h>
#include <string.h>
#include "base/mem.h"

#define PAGE 1000

/* The empty object that stands for an empty folder. */
static int marker_of(const struct fds_path *at, struct fds_path *ret, struct err *err)
{
	size_t len = strlen(at->key);
	if (len + 1 > FDS_KEY_MAX)
		return err_set(err, ERR_INVALID, "the folder's name is longer than %d bytes",
			       FDS_KEY_MAX - 1);
	*ret = *at;
	ret->key[len] = '/';
	return 0;
}

static int is_a(const struct fds_path *at, const char *what, struct err *err)
{
	return err_set(err, ERR_STATE, "'fds://%s/%.300s' is a %s", at->bucket, at->key, what);
}

int fds_folder_create(struct fds_store *s, const struct fds_path *at, struct err *err)
{
	struct fds_status status;
	struct fds_path marker;
	int r = fds_folder_stat(s, at, &status, err);
	if (r >= 0)
		return status.is_folder ? err_set(err, ERR_EXISTS, "'fds://%s/%.300s' is there already",
						  at->bucket, at->key)
					: is_a(at, "file", err);
	if (r != -ERR_NOT_FOUND || !at->key[0])
		return r;
	*err = ERR_INIT;
	r = marker_of(at, &marker, err);
	return r < 0 ? r : fds_object_put(s, &marker, NULL, 0, err);
}

int fds_folder_delete(struct fds_store *s, const struct fds_path *at, struct err *err)
{
	CLEANUP(fds_list) struct fds_list list = {0};
	CLEANUP(buf) struct buf prefix = BUF_INIT;
	struct fds_status status;
	struct fds_path marker;
	if (!at->key[0])
		return err_set(err, ERR_STATE, "'fds://%s' is a bucket; buckets are not deleted from here",
			       at->bucket);
	fds_path_prefix(at, &prefix);
	int r = fds_object_list(s, at, buf_str(&prefix), false, NULL, 2, &list, err);
	if (r < 0)
		return r;
	if (list.count > 1 || (list.count == 1 && strcmp(list.entries[0].key, buf_str(&prefix)) != 0))
		return err_set(err, ERR_STATE, "'fds://%s/%.300s' is not empty", at->bucket, at->key);
	if (list.count == 0) {
		r = fds_folder_stat(s, at, &status, err);
		return r < 0 ? r : is_a(at, "file", err);
	}
	r = marker_of(at, &marker, err);
	return r < 0 ? r : fds_object_delete(s, &marker, err);
}

/* What is left is listed from the beginning: a token may speak of keys that are gone. */
static int delete_below(struct fds_store *s, const struct fds_path *at, const char *prefix,
			uint64_t *ret_deleted, uint64_t *ret_left, struct err *err)
{
	for (;;) {
		CLEANUP(fds_list) struct fds_list list = {0};
		size_t failed = 0;
		int r = fds_object_list(s, at, prefix, false, NULL, PAGE, &list, err);
		if (r >= 0 && list.count)
			r = fds_object_delete_many(s, at, &list, &failed, err);
		if (r < 0) {
			*ret_left = failed ? failed : 1;
			return r;
		}
		*ret_deleted += list.count;
		if (!list.token)
			return 0;
	}
}

int fds_folder_delete_tree(struct fds_store *s, const struct fds_path *at, uint64_t *ret_left,
			   struct err *err)
{
	CLEANUP(buf) struct buf prefix = BUF_INIT;
	uint64_t deleted = 0;
	*ret_left = 0;
	fds_path_prefix(at, &prefix);
	int r = delete_below(s, at, buf_str(&prefix), &deleted, ret_left, err);
	if (r < 0 || deleted || !at->key[0])
		return r;
	return fds_file_delete(s, at, err);
}

static int stat_file(struct fds_store *s, const struct fds_path *at, struct fds_status *ret, struct err *err)
{
	int r = fds_folder_stat(s, at, ret, err);
	return r >= 0 && ret->is_folder ? is_a(at, "folder", err) : r;
}

int fds_file_delete(struct fds_store *s, const struct fds_path *at, struct err *err)
{
	struct fds_status status;
	int r = stat_file(s, at, &status, err);
	return r < 0 ? r : fds_object_delete(s, at, err);
}

int fds_file_copy(struct fds_store *s, const struct fds_path *from, const struct fds_path *to,
		  struct err *err)
{
	struct fds_status status;
	if (!to->key[0])
		return is_a(to, "folder", err);
	int r = stat_file(s, from, &status, err);
	if (r < 0 || (!strcmp(from->bucket, to->bucket) && !strcmp(from->key, to->key)))
		return r;
	return fds_object_copy(s, from, to, status.object.size, err);
}

/* ---- rename ---- */

static int copy_page(struct fds_store *s, const struct fds_list *list, const struct fds_path *from,
		     const struct fds_path *to, size_t skip, struct err *err)
{
	for (size_t i = 0; i < list->count; i++) {
		struct fds_path source = *from, target = *to;
		const char *key = list->entries[i].key;
		int a = snprintf(source.key, sizeof(source.key), "%s", key);
		int b = snprintf(target.key, sizeof(target.key), "%s%s%s", to->key, to->key[0] ? "/" : "",
				 key + skip);
		if (a > FDS_KEY_MAX || b > FDS_KEY_MAX)
			return err_set(err, ERR_INVALID,
				       "a name below 'fds://%s/%.300s' would be longer than %d bytes",
				       to->bucket, to->key, FDS_KEY_MAX);
		int r = fds_object_copy(s, &source, &target, list->entries[i].size, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* As rename(2): onto an empty folder or none. */
static int check_target(struct fds_store *s, const struct fds_path *from, const struct fds_path *to,
			const char *prefix, struct err *err)
{
	CLEANUP(fds_list) struct fds_list list = {0};
	CLEANUP(buf) struct buf below = BUF_INIT;
	struct fds_object o;
	fds_path_prefix(to, &below);
	if (!strcmp(from->bucket, to->bucket) && str_starts(buf_str(&below), prefix))
		return err_set(err, ERR_INVALID, "'fds://%s/%.300s' cannot become a part of itself",
			       from->bucket, from->key);
	int r = fds_object_list(s, to, buf_str(&below), false, NULL, 2, &list, err);
	if (r < 0)
		return r;
	if (list.count > 1 || (list.count == 1 && strcmp(list.entries[0].key, buf_str(&below)) != 0))
		return err_set(err, ERR_STATE, "'fds://%s/%.300s' is not empty", to->bucket, to->key);
	r = to->key[0] ? fds_object_stat(s, to, &o, err) : -ERR_NOT_FOUND;
	if (r >= 0)
		return is_a(to, "file", err);
	if (r == -ERR_NOT_FOUND)
		*err = ERR_INIT;
	return r == -ERR_NOT_FOUND ? 0 : r;
}

static int rename_folder(struct fds_store *s, const struct fds_path *from, const struct fds_path *to,
			 struct err *err)
{
	CLEANUP(fds_list) struct fds_list list = {0};
	CLEANUP(buf) struct buf prefix = BUF_INIT;
	uint64_t deleted = 0, left;
	fds_path_prefix(from, &prefix);
	int r = check_target(s, from, to, buf_str(&prefix), err);
	if (r < 0)
		return r;
	do {
		r = fds_object_list(s, from, buf_str(&prefix), false, list.token, PAGE, &list, err);
		if (r >= 0)
			r = copy_page(s, &list, from, to, prefix.len, err);
		if (r < 0)
			return r;
	} while (list.token);
	return delete_below(s, from, buf_str(&prefix), &deleted, &left, err);
}

int fds_file_rename(struct fds_store *s, const struct fds_path *from, const struct fds_path *to,
		    struct err *err)
{
	struct fds_status status;
	int r = fds_folder_stat(s, from, &status, err);
	if (r < 0 || (!strcmp(from->bucket, to->bucket) && !strcmp(from->key, to->key)))
		return r;
	if (!from->key[0])
		return err_set(err, ERR_STATE, "'fds://%s' is a bucket, which has one name", from->bucket);
	if (status.is_folder)
		return rename_folder(s, from, to, err);
	if (!to->key[0])
		return is_a(to, "folder", err);
	r = fds_object_copy(s, from, to, status.object.size, err);
	return r < 0 ? r : fds_object_delete(s, from, err);
}
