/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where bytes live: objects in buckets, each bucket owned by one organisation. Implementations: the built-in
 * store (room blobs), later an external S3. Shaped after S3's semantics: whole objects, atomic replace,
 * versions, list by prefix in byte order of keys.
 *
 * "Not yours" and "not there" answer alike: ERR_NOT_FOUND. A key is 1 to 1024 bytes of UTF-8
 * (blob_key_check); whoever makes files of keys checks them with core/uri.h first. All calls may block on the
 * disk: call them from a pool thread (loop_work) unless stated otherwise. All are thread-safe. An object
 * becomes visible only when it is whole and durable (put_commit returned 0).
 */
#ifndef CORE_BLOB_H
#define CORE_BLOB_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"
#include "core/core.h"

#define BLOB_KEY_MAX 1024
#define BLOB_LIST_MAX 1000
/* Bytes that belong to an object or bucket and mean nothing to the store. */
#define BLOB_ATTRIBUTES_MAX 16384
#define BLOB_ETAG_MAX 71
#define BLOB_VERSION_MAX 16
#define BLOB_UPLOAD_ID_MAX 32
#define BLOB_PART_MAX 10000	 /* numbers of parts are 1 to 10000, as S3 */
#define BLOB_CHECKSUM_MAX 127	 /* text kept with a part */
#define BLOB_NULL_VERSION "null" /* of an object that was put while its bucket kept no versions */

int blob_key_check(const char *key, struct err *err); /* ERR_INVALID */

struct blob_info {
	int64_t size_bytes;
	int64_t modified_ms; /* Unix time */
	char etag[BLOB_ETAG_MAX +
		  1];		/* hex SHA-256 of the content, MD5 for BLOB_HASH_MD5, "MD5-N" of N parts */
	char sha256[65];	/* hex; "" = not known */
	char content_type[128]; /* "" when unknown */
	char version[BLOB_VERSION_MAX + 1]; /* 16 hex digits, or "null" */
	bool is_latest, is_delete_marker;
	int part_count; /* of a multipart object, else 0 */
};
struct blob_entry {
	char *key; /* whole key; a common prefix ends in the delimiter */
	bool is_prefix;
	struct blob_info info; /* zero for a prefix */
	char *upload_id;       /* upload_list only */
};
struct blob_list {
	struct blob_entry *entries;
	size_t count;
	bool truncated; /* more follow after the last key */
};
void blob_list_done(struct blob_list *l);

enum blob_versioning { BLOB_VERSIONING_OFF, BLOB_VERSIONING_ON, BLOB_VERSIONING_SUSPENDED };
struct blob_bucket {
	int64_t created_ms;
	enum blob_versioning versioning;
	int64_t objects, bytes; /* all versions */
	char *attributes;	/* owned by whom asked; NULL = none */
};

/* What a put wants beside its bytes; zero is the default for all but expected_size (-1 = unknown). */
enum blob_hash { BLOB_HASH_SHA256 = 0, BLOB_HASH_MD5 = 1 };
struct blob_put_options {
	const char *content_type; /* NULL = "" */
	int64_t expected_size;	  /* checked at commit; lets a full disk be refused at once (ERR_DISK_FULL) */
	const char *expected_sha256; /* NULL, or 64 hex characters checked at commit (ERR_INVALID) */
	enum blob_hash etag;	     /* which hash becomes the ETag */
	bool if_absent;		     /* ERR_STATE when there is a newest version */
	const char *if_etag;	     /* ERR_STATE unless the newest version has it; ERR_NOT_FOUND when none */
	const char *attributes;	     /* text kept with the object */
};
struct blob_part {
	int number;
	int64_t size_bytes, modified_ms;
	char etag[BLOB_ETAG_MAX + 1]; /* MD5 */
	char checksum[BLOB_CHECKSUM_MAX + 1];
};
struct blob_parts {
	struct blob_part *items; /* owned */
	size_t count;
	bool truncated;
};
struct blob_removal {
	const char *key, *version; /* version NULL = the newest */
	struct blob_info ret;	   /* the version that went, or the delete marker that was made */
	struct err err;		   /* code 0 = done */
};

/* What a check of the whole store has found. */
struct blob_check {
	int64_t objects, bytes;		    /* that were read and are whole */
	int64_t objects_total, bytes_total; /* of all versions when it began */
	int64_t damaged;		    /* objects or parts that cannot be served */
	int64_t faults;			    /* of index, counters, log, files that nobody owns */
};
/* Called on the thread that checks; each may be NULL. */
struct blob_check_watch {
	void (*found)(void *arg, const char *what); /* once for each damage and fault; borrowed text */
	bool (*go_on)(void *arg, const struct blob_check *so_far); /* often; false = stop */
	void *arg;
};

struct blob_store;
struct blob_put; /* one upload in progress */
struct blob_get; /* one download in progress */
/* On a thread of the store's own; must not block or call the store. info is a view, NULL on failure. */
typedef void blob_done_fn(void *arg, int r, const struct blob_info *info, const struct err *err);

struct blob_position {
	uint32_t segment; /* the last one of which something counts */
	uint64_t end;	  /* its bytes that count */
};

struct blob_ops {
	const char *name;
	void (*close)(struct blob_store *s);

	/* ERR_EXISTS when another organisation has it; success when this one has it already. */
	int (*bucket_create)(struct blob_store *s, const char *org, const char *bucket, struct err *err);
	/* ERR_STATE while it has objects, versions or uploads. */
	int (*bucket_delete)(struct blob_store *s, const char *org, const char *bucket, struct err *err);
	/* ret_attributes are owned. */
	int (*bucket_stat)(struct blob_store *s, const char *org, const char *bucket, struct blob_bucket *ret,
			   struct err *err);
	/* What a bucket of whatever organisation keeps, for questions that nobody signs. Memory only: for the
	 * loop's thread as well. ret_attributes are owned, NULL = none. NULL = the store cannot tell. */
	int (*bucket_attributes)(struct blob_store *s, const char *bucket, char **ret_attributes,
				 struct err *err);
	/* Versioning can be suspended, never switched off again (ERR_STATE). attributes NULL = as they are,
	 * "" = none. */
	int (*bucket_set)(struct blob_store *s, const char *org, const char *bucket,
			  enum blob_versioning versioning, const char *attributes, struct err *err);
	/* The entries' keys are the buckets' names, modified_ms is when they were made. */
	int (*bucket_list)(struct blob_store *s, const char *org, struct blob_list *ret, struct err *err);
	/* With everything in it; uploads into it that are in progress fail at their commit. Removing what was
	 * half removed before succeeds. ERR_NOT_FOUND. */
	int (*bucket_remove)(struct blob_store *s, const char *org, const char *bucket, struct err *err);

	/* Upload: begin, write any number of times, then commit or abort; both free the put. Borrows options.
	 * begin and put_write may be called on the loop's thread (memory and page cache only). */
	int (*put_begin)(struct blob_store *s, const char *org, const char *bucket, const char *key,
			 const struct blob_put_options *options, struct blob_put **ret, struct err *err);
	int (*put_write)(struct blob_put *p, const void *data, size_t len, struct err *err);
	/* ret may be NULL. */
	int (*put_commit)(struct blob_put *p, struct blob_info *ret, struct err *err);
	/* The same without waiting, for puts that put_is_small; the others would block. */
	void (*put_commit_async)(struct blob_put *p, blob_done_fn *done, void *arg);
	bool (*put_is_small)(const struct blob_put *p);
	/* Text to be kept instead of the options' (checksums that are known at the end). */
	void (*put_attributes)(struct blob_put *p, const char *attributes);
	void (*put_abort)(struct blob_put *p);

	/* Download; the object read stays the one opened even when it is replaced or removed meanwhile.
	 * version NULL = the newest. ret_info may be NULL. ERR_CORRUPT when what is read is not what was put:
	 * such bytes are never handed out. A newest version that is a delete marker is not found; a marker
	 * named by its version is ERR_METHOD. */
	int (*get_open)(struct blob_store *s, const char *org, const char *bucket, const char *key,
			const char *version, struct blob_get **ret, struct blob_info *ret_info,
			struct err *err);
	/* The newest version, without waiting for anything but memory, for the loop's thread: 1, or 0 when
	 * that is not possible or anything is unusual: then get_open tells. NULL = never possible. */
	int (*get_open_at_once)(struct blob_store *s, const char *org, const char *bucket, const char *key,
				struct blob_get **ret, struct blob_info *ret_info);
	ssize_t (*get_read)(struct blob_get *g, int64_t offset, void *data, size_t len,
			    struct err *err);			 /* 0 at the end */
	const char *(*get_attributes)(const struct blob_get *g); /* view; "" = none */
	/* Where bytes from 'offset' on lie in one file, checked, for sendfile(2): the count, at most 'len'; 0
	 * when they are in memory only (get_read is cheap then). *ret_fd is a view. */
	int64_t (*get_extent)(struct blob_get *g, int64_t offset, int64_t len, int *ret_fd,
			      int64_t *ret_file_offset, struct err *err);
	/* Offset and size of a part of a multipart object; ERR_NOT_FOUND. */
	int (*get_part)(const struct blob_get *g, int number, int64_t *ret_offset, int64_t *ret_size,
			struct err *err);
	void (*get_close)(struct blob_get *g);

	/* ret_attributes may be NULL; else owned, NULL when there are none. */
	int (*stat)(struct blob_store *s, const char *org, const char *bucket, const char *key,
		    const char *version, struct blob_info *ret, char **ret_attributes, struct err *err);
	/* Replaces the attributes of a version; content and time stay. */
	int (*set_attributes)(struct blob_store *s, const char *org, const char *bucket, const char *key,
			      const char *version, const char *attributes, struct err *err);
	/* Removing what is not there succeeds (as S3). Without a version in a bucket that keeps versions a
	 * delete marker is made. */
	int (*remove)(struct blob_store *s, const char *org, const char *bucket, const char *key,
		      struct err *err);
	/* Many in one commit; each has its own result. < 0: none was tried. */
	int (*remove_many)(struct blob_store *s, const char *org, const char *bucket,
			   struct blob_removal *items, size_t count, struct err *err);
	/* Copies within the organisation; content is not moved when it lies in files of its own. options:
	 * attributes NULL = the source's; content_type NULL = the source's. The ETag is kept. */
	int (*copy)(struct blob_store *s, const char *org, const char *from_bucket, const char *from_key,
		    const char *from_version, const char *bucket, const char *key,
		    const struct blob_put_options *options, struct blob_info *ret, struct err *err);

	/* Keys > after (NULL = from the start) with the prefix, at most 'limit' (≤ BLOB_LIST_MAX); with a
	 * delimiter ("/", or any text) keys are rolled up to common prefixes; NULL or "" = flat. With a
	 * delimiter an entry, common prefixes included, is given when it is greater than 'after', so that the
	 * last entry of a page is the 'after' of the next one. */
	int (*list)(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		    const char *after, const char *delimiter, size_t limit, struct blob_list *ret,
		    struct err *err);
	/* All versions and delete markers, newest first within a key; after_version NULL = all of 'after'
	 * are passed. */
	int (*list_versions)(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
			     const char *after, const char *after_version, const char *delimiter,
			     size_t limit, struct blob_list *ret, struct err *err);

	/* Multipart: an upload has parts, each put and durable by itself; complete makes one object of some
	 * of them, abort forgets all. ERR_NOT_FOUND: no such upload. */
	int (*upload_begin)(struct blob_store *s, const char *org, const char *bucket, const char *key,
			    const struct blob_put_options *options, char ret_id[BLOB_UPLOAD_ID_MAX + 1],
			    struct err *err);
	/* A put of one part; replaces a part of that number. put_attributes sets its checksum text. */
	int (*part_begin)(struct blob_store *s, const char *org, const char *bucket, const char *key,
			  const char *upload_id, int number, const struct blob_put_options *options,
			  struct blob_put **ret, struct err *err);
	/* parts: number and etag, in ascending order. ERR_INVALID: order, ETag, a missing part, or one but
	 * the last below 5 MiB (says which). options: attributes, if_absent, if_etag; the rest is the
	 * upload's. */
	int (*upload_complete)(struct blob_store *s, const char *org, const char *bucket, const char *key,
			       const char *upload_id, const struct blob_part *parts, size_t count,
			       const struct blob_put_options *options, struct blob_info *ret,
			       struct err *err);
	int (*upload_abort)(struct blob_store *s, const char *org, const char *bucket, const char *key,
			    const char *upload_id, struct err *err);
	/* The attributes given to upload_begin. ret is owned, NULL = none. */
	int (*upload_stat)(struct blob_store *s, const char *org, const char *bucket, const char *key,
			   const char *upload_id, char **ret_attributes, struct err *err);
	int (*upload_list)(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
			   const char *after, const char *after_id, size_t limit, struct blob_list *ret,
			   struct err *err);
	int (*part_list)(struct blob_store *s, const char *org, const char *bucket, const char *key,
			 const char *upload_id, int after, size_t limit, struct blob_parts *ret,
			 struct err *err);

	/* Quota of an organisation, in memory: -1 = none. A put or part past it fails with ERR_QUOTA. */
	void (*quota_set)(struct blob_store *s, const char *org, int64_t bytes, int64_t objects);
	int (*usage)(struct blob_store *s, const char *org, int64_t *ret_bytes, int64_t *ret_objects,
		     struct err *err);

	/* Reads every object of every organisation and compares it with what the store knows, while it works.
	 * watch may be NULL. 0 also when it found something; ERR_CANCELLED when it was told to stop. Blocks
	 * for long. NULL = the store has no such check. */
	int (*check)(struct blob_store *s, const struct blob_check_watch *watch, struct blob_check *ret,
		     struct err *err);

	/* For those who copy the store's files while it works: until as many calls of 'release' no file that
	 * the log names goes, though the objects do. None of the three blocks for long; none survives a
	 * restart. NULL = the store has no files. */
	void (*hold)(struct blob_store *s);
	void (*release)(struct blob_store *s);
	/* Up to where the log is durable: with the files there are during a hold, a store as of this moment.
	 */
	void (*position)(struct blob_store *s, struct blob_position *ret);
};
struct blob_store {
	const struct blob_ops *ops;
};

/* A put in one call. Borrows. */
int blob_put(struct blob_store *s, const char *org, const char *bucket, const char *key,
	     const struct blob_put_options *options, const void *data, size_t len, struct blob_info *ret,
	     struct err *err);

#endif
