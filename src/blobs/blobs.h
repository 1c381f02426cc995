/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in object store: core/blob.h on plain files below DATA/objects.
 *
 * Ideas: an object is one file with a header, made visible by one rename and acknowledged after the folders
 * are synced (docs/formats/objects.md); the tree of folders is the index, read in the order of keys; a
 * bucket's owner is a small file of its own. Invariants: what a reader can open is whole; a bucket's owner
 * never changes; paths from outside are checked by core/uri.h and opened by base/path.h only.
 *
 * Must never call: anything above core. To add a call: core/blob.h first, then a file here named by the
 * call's noun.
 */
#ifndef BLOBS_BLOBS_H
#define BLOBS_BLOBS_H

#include "core/blob.h"

#define BLOBS_OBJECT_MAX_BYTES (5LL << 40)
#define BLOBS_TREE_FILES_MAX 100000 /* default limits of one tree */
#define BLOBS_TREE_BYTES_MAX (1LL << 40)
#define BLOBS_TREE_DEPTH_MAX 64

/* Opens or makes data_folder/objects. Borrows data_folder. Removes what interrupted uploads have left. *ret
 * is owned by the caller: ret->ops->close(ret). ERR_CONFLICT when another server uses the folder,
 * ERR_UNSUPPORTED for another format, ERR_IO, ERR_DISK_FULL. Listing order, paging: with a delimiter an
 * entry, common prefixes included, is given when it is greater than 'after', so that the last entry of a page
 * is the 'after' of the next one. */
int blobs_open(const char *data_folder, struct blob_store **ret, struct err *err);

struct blobs_limits {
	int64_t files, bytes; /* at most; 0 = the defaults above */
};
struct blobs_stats {
	int64_t files, bytes;	 /* transferred */
	int64_t unchanged;	 /* there already with the same content */
	int64_t skipped_special; /* symbolic links, devices, sockets, pipes */
	int64_t skipped_names;	 /* names that cannot be keys, and trees that are too deep */
	char first_skipped[128]; /* for a message; "" when nothing was */
};

/* The following work on any store through its ops and block: pool thread. 'limits' and 'stats' may be NULL.
 * 'prefix' is
 * "" or a clean path, a trailing '/' makes no difference: key = prefix/path below the folder. */

/* Uploads the regular files below folder_fd, which untrusted code wrote and may still be writing. Never
 * follows a link, skips and counts what is no regular file and what has no clean name. May be repeated: what
 * is there already with the same content is not written again. ERR_TOO_LARGE past a limit; what was uploaded
 * until then stays. */
int blobs_import_tree(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		      int folder_fd, const struct blobs_limits *limits, struct blobs_stats *stats,
		      struct err *err);
/* Writes every object below the prefix under folder_fd, replacing files. Content is checked against its hash:
 * ERR_CORRUPT. ERR_NOT_FOUND when there is no object, ERR_CONFLICT when a key is both a file and a folder.
 * Not synced. */
int blobs_export_tree(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		      int folder_fd, const struct blobs_limits *limits, struct blobs_stats *stats,
		      struct err *err);
/* Writes one object to the clean path 'path' below folder_fd, mode 0644, making folders. As above. */
int blobs_export_object(struct blob_store *s, const char *org, const char *bucket, const char *key,
			int folder_fd, const char *path, struct err *err);
/* Uploads one regular file that is open for reading, from its start. 'ret' may be NULL. */
int blobs_import_object(struct blob_store *s, const char *org, const char *bucket, const char *key,
			int file_fd, struct blob_info *ret, struct err *err);

#endif
