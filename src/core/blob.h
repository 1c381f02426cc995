/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where bytes live: objects in buckets, each bucket owned by one organisation. Implementations: the built-in
 * store (room blobs), later an external S3. Shaped after S3's semantics: whole objects, atomic replace, list
 * by prefix in byte order of keys.
 *
 * "Not yours" and "not there" answer alike: ERR_NOT_FOUND. Keys are clean paths (core/uri.h). All calls block
 * on the disk: call them from a pool thread (loop_work) unless stated otherwise. All are thread-safe. An
 * object becomes visible only when it is whole and durable (put_commit returned 0).
 */
#ifndef CORE_BLOB_H
#define CORE_BLOB_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "core/core.h"

#define BLOB_LIST_MAX 1000

struct blob_info {
	int64_t size_bytes;
	int64_t modified_ms;	/* Unix time */
	char etag[65];		/* hex SHA-256 of the content */
	char content_type[128]; /* "" when unknown */
};
struct blob_entry {
	char *key; /* whole key; a common prefix ends in the delimiter */
	bool is_prefix;
	struct blob_info info; /* zero for a prefix */
};
struct blob_list {
	struct blob_entry *entries;
	size_t count;
	bool truncated; /* more follow after the last key */
};
void blob_list_done(struct blob_list *l);

struct blob_store;
struct blob_put; /* one upload in progress */
struct blob_get; /* one download in progress */

struct blob_ops {
	const char *name;
	void (*close)(struct blob_store *s);

	/* ERR_EXISTS when another organisation has it; success when this one has it already. */
	int (*bucket_create)(struct blob_store *s, const char *org, const char *bucket, struct err *err);
	/* The entries' keys are the buckets' names. */
	int (*bucket_list)(struct blob_store *s, const char *org, struct blob_list *ret, struct err *err);
	/* With everything in it; uploads into it that are in progress fail at their commit. Removing what was
	 * half removed before succeeds. ERR_NOT_FOUND. */
	int (*bucket_remove)(struct blob_store *s, const char *org, const char *bucket, struct err *err);

	/* Upload: begin, write any number of times, then commit or abort; both free *put. expected_size -1 =
	 * unknown; a known size is checked at commit and lets a full disk be refused at once (ERR_DISK_FULL).
	 * expected_sha256 NULL or 64 hex characters, checked at commit (ERR_INVALID, nothing becomes
	 * visible). put_write may be called on the loop's thread (page cache only). */
	int (*put_begin)(struct blob_store *s, const char *org, const char *bucket, const char *key,
			 const char *content_type, int64_t expected_size, const char *expected_sha256,
			 struct blob_put **ret, struct err *err);
	int (*put_write)(struct blob_put *p, const void *data, size_t len, struct err *err);
	int (*put_commit)(struct blob_put *p, struct blob_info *ret, struct err *err);
	void (*put_abort)(struct blob_put *p);

	/* Download; the object read stays the one opened even when it is replaced or removed meanwhile. */
	int (*get_open)(struct blob_store *s, const char *org, const char *bucket, const char *key,
			struct blob_get **ret, struct blob_info *ret_info, struct err *err);
	ssize_t (*get_read)(struct blob_get *g, int64_t offset, void *data, size_t len,
			    struct err *err); /* 0 at the end */
	void (*get_close)(struct blob_get *g);

	int (*stat)(struct blob_store *s, const char *org, const char *bucket, const char *key,
		    struct blob_info *ret, struct err *err);
	/* Removing what is not there succeeds (as S3). */
	int (*remove)(struct blob_store *s, const char *org, const char *bucket, const char *key,
		      struct err *err);
	/* Keys > after (NULL = from the start) with the prefix, at most 'limit' (≤ BLOB_LIST_MAX); with
	 * delimiter '/' keys are rolled up to common prefixes; delimiter 0 = flat. */
	int (*list)(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		    const char *after, char delimiter, size_t limit, struct blob_list *ret, struct err *err);
};
struct blob_store {
	const struct blob_ops *ops;
};

#endif
