/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders, which a store of objects does not have: "a/b" is one when there is an object below "a/b/". An
 * empty one is an empty object "a/b/", as other tools have it; lists do not show it.
 */
#ifndef FDS_FOLDER_H
#define FDS_FOLDER_H

#include "fds_store.h"

#define FDS_NAMES_MAX 5000000 /* of one list */

struct fds_names {
	char **items; /* each owned (malloc), and the array */
	size_t count, cap;
};
void fds_names_done(struct fds_names *n);
static inline void cleanup_fds_names(struct fds_names *n)
{
	fds_names_done(n);
}

struct fds_status {
	bool is_folder;
	struct fds_object object; /* zero for a folder */
};
/* ERR_NOT_FOUND */
int fds_folder_stat(struct fds_store *s, const struct fds_path *at, struct fds_status *ret, struct err *err);
/* Names relative to the folder. ERR_NOT_FOUND; ERR_STATE for a file. */
int fds_folder_list(struct fds_store *s, const struct fds_path *at, struct fds_names *ret, struct err *err);
/* Whole addresses that match a shell pattern, in which '*' and '?' do not match '/'. */
int fds_folder_match(struct fds_store *s, const char *pattern, struct fds_names *ret, struct err *err);
/* ERR_EXISTS, ERR_STATE for a file. */
int fds_folder_create(struct fds_store *s, const struct fds_path *at, struct err *err);
/* An empty one. ERR_NOT_FOUND, ERR_STATE. */
int fds_folder_delete(struct fds_store *s, const struct fds_path *at, struct err *err);
/* With all that is below; a file as well. *ret_left: how many objects are still there after an error. */
int fds_folder_delete_tree(struct fds_store *s, const struct fds_path *at, uint64_t *ret_left,
			   struct err *err);
/* ERR_NOT_FOUND, ERR_STATE for a folder. */
int fds_file_delete(struct fds_store *s, const struct fds_path *at, struct err *err);
int fds_file_copy(struct fds_store *s, const struct fds_path *from, const struct fds_path *to,
		  struct err *err);
/* Copies, then deletes; a folder object by object, so that others see it in two places meanwhile. */
int fds_file_rename(struct fds_store *s, const struct fds_path *from, const struct fds_path *to,
		    struct err *err);

#endif
