/* SPDX-License-Identifier: Apache-2.0 */
/* What only this room sees: the open store, paths, the header of an object's file. */
#ifndef BLOBS_BLOBS_INT_H
#define BLOBS_BLOBS_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/map.h"
#include "blobs/blobs.h"
#include "core/uri.h"

#define OBJECT_HEADER_BYTES 256
#define OBJECTS_FOLDER "\\" /* holds a folder's objects: no clean key has such a segment */
#define OBJECT_PATH_MAX (CORE_NAME_MAX + URI_KEY_MAX + 8)

struct blobs {
	struct blob_store base;
	int root_fd, lock_fd, buckets_fd, data_fd, tmp_fd;
	atomic_uint_fast64_t next_tmp;
	pthread_mutex_t lock; /* of owners */
	struct map *owners;   /* bucket -> owning organisation, as read from buckets/ */
};
static inline struct blobs *blobs_of(struct blob_store *s)
{
	return (struct blobs *)s;
}

/* blobs_bucket.c */
int bucket_create(struct blob_store *s, const char *org, const char *bucket, struct err *err);
int bucket_list(struct blob_store *s, const char *org, struct blob_list *ret, struct err *err);
int bucket_remove(struct blob_store *s, const char *org, const char *bucket, struct err *err);
/* Success when org owns the bucket; ERR_NOT_FOUND else. Every call with a bucket begins here. */
int bucket_check(struct blobs *b, const char *org, const char *bucket, struct err *err);

/* blobs_object.c */
struct object_name {		      /* of a key, relative to data/ */
	char folder[OBJECT_PATH_MAX]; /* "bucket/a/b/\" */
	const char *leaf;	      /* view of the key */
};
void object_name(const char *bucket, const char *key, struct object_name *ret);
void object_header_format(const struct blob_info *info, unsigned char ret[OBJECT_HEADER_BYTES]);
/* Opens for reading and checks the header. Returns the fd (owned). ERR_NOT_FOUND, ERR_CORRUPT. */
int object_open(struct blobs *b, const char *bucket, const char *key, struct blob_info *ret, struct err *err);
int object_stat(struct blob_store *s, const char *org, const char *bucket, const char *key,
		struct blob_info *ret, struct err *err);
int object_remove(struct blob_store *s, const char *org, const char *bucket, const char *key,
		  struct err *err);
int get_open(struct blob_store *s, const char *org, const char *bucket, const char *key,
	     struct blob_get **ret, struct blob_info *ret_info, struct err *err);
ssize_t get_read(struct blob_get *g, int64_t offset, void *data, size_t len, struct err *err);
void get_close(struct blob_get *g);

/* blobs_put.c */
int put_begin(struct blob_store *s, const char *org, const char *bucket, const char *key,
	      const char *content_type, int64_t expected_size, const char *expected_sha256,
	      struct blob_put **ret, struct err *err);
int put_write(struct blob_put *p, const void *data, size_t len, struct err *err);
int put_commit(struct blob_put *p, struct blob_info *ret, struct err *err);
void put_abort(struct blob_put *p);

/* blobs_list.c */
int list_objects(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		 const char *after, char delimiter, size_t limit, struct blob_list *ret, struct err *err);

#endif
