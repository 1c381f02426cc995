/* SPDX-License-Identifier: Apache-2.0 */
/* What only the mount's files share: calls to the store, open files. */
#ifndef MOUNT_MOUNT_INT_H
#define MOUNT_MOUNT_INT_H

#include <stdint.h>
#include <stddef.h>
#include <jansson.h>
#include <sys/types.h>
#include "mount/mount.h"

struct mount_store;
/* Copies the strings. interrupted: asked between two tries, may be called by any thread. Returns owned. */
struct mount_store *mount_store_new(const struct mount_options *o, bool (*interrupted)(void));
void mount_store_free(struct mount_store *s);

/* All below: any thread, block, answer 0 or -errno. path as FUSE has it: "/a/b", "/" = the top. */
struct mount_object {
	int64_t size, modified_ms;
	char etag[128];
	char version[128]; /* "" = the bucket keeps no versions */
};
int mount_store_stat(struct mount_store *s, const char *path, struct mount_object *ret); /* -ENOENT */
/* One page of at most 'limit' entries of a folder, one level. *ret is the API's answer, owned. */
int mount_store_list(struct mount_store *s, const char *path, const char *after, int limit, json_t **ret);
/* Keys in a list's answer are views of the whole key: what comes after the folder's own. NULL: not of it. */
const char *mount_store_name(const struct mount_store *s, const char *path, const char *key);
/* Exactly 'size' bytes from 'offset' on, of the object as 'o' says, or -ESTALE. */
int mount_store_read(struct mount_store *s, const char *path, const struct mount_object *o, int64_t offset,
		     size_t size, char *ret);
int mount_store_bytes(struct mount_store *s, int64_t *ret_bytes, int64_t *ret_objects);

/* An open file: its object and a window of its bytes. */
struct mount_file;
int mount_file_open(struct mount_store *s, const char *path, struct mount_file **ret); /* returns owned */
void mount_file_free(struct mount_file *f);
ssize_t mount_file_read(struct mount_file *f, char *ret, size_t size, int64_t offset);
const struct mount_object *mount_file_object(const struct mount_file *f);

#endif
