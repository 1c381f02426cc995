/* SPDX-License-Identifier: Apache-2.0 */
/* Between the store and folders: packages and models come out, outputs go in. Only the blob vtable is used.
 * All calls block; for pool threads. */
#ifndef LOCAL_STORE_COPY_H
#define LOCAL_STORE_COPY_H

#include <stdint.h>
#include "core/blob.h"
#include "core/uri.h"

#define STORE_TREE_FILES_MAX 100000
#define STORE_TREE_DEPTH_MAX 64
#define STORE_MODEL_BYTES_MAX ((int64_t)200 << 30)

struct store_place {
	struct blob_store *store;
	const char *org;
	const char *bucket;
};

/* One object to the clean path 'path' beneath folder_fd, folders made. */
int store_get_file(const struct store_place *at, const char *key, int folder_fd, const char *path,
		   struct err *err);
/* A model, as version folders beneath folder_fd: a numbered folder keeps its number (only that of 'version'
 * when that is not 0, or those that have weights, as in core/service.h), everything else goes to VERSION/ (1
 * when 0). uri->key: an object or a prefix. ERR_NOT_FOUND. */
int store_get_model(const struct store_place *at, const struct uri *uri, int64_t version, const char *weights,
		    int folder_fd, struct err *err);

struct store_put_stats {
	int64_t files, bytes, skipped;
	char first_skipped[128];
	int64_t refused, refused_bytes; /* of files and bytes: what the quota kept out */
	char first_refused[128];
};
/* 'seen' NULL: every file is put. Else those that have changed since they were put (store_seen.h); with
 * settled_ms only those that have not changed for so long, and what changes while it is read is left for
 * later, except of TensorBoard's event files, of which what is there is put; without, it is the last pass,
 * and objects whose files have gone go as well. */
struct store_seen;
struct store_put_how {
	struct store_seen *seen;
	int64_t settled_ms;
};
/* The regular files of a tree that untrusted code wrote; links and special files are skipped and counted.
 * ERR_QUOTA: the others were put all the same. */
int store_put_tree(const struct store_place *at, const char *prefix, int folder_fd,
		   const struct store_put_how *how, struct store_put_stats *ret, struct err *err);
int store_put_fd(const struct store_place *at, const char *key, const char *content_type, int fd,
		 struct err *err);
int store_put_bytes(const struct store_place *at, const char *key, const char *content_type, const void *data,
		    size_t len, struct err *err);

#endif
