/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store as the plugin sees it: one function per call of S3, each retried until it is answered or the
 * attempts are used up. All calls made here may be repeated: what they do a second time is what they did the
 * first time.
 *
 * Errors: ERR_NOT_FOUND, ERR_DENIED, ERR_UNAUTHENTICATED, ERR_STATE (412, 416), ERR_UNAVAILABLE, ERR_TIMEOUT,
 * …; the message names the address and what the store said, never a credential.
 */
#ifndef FDS_STORE_H
#define FDS_STORE_H

#include <pthread.h>
#include "fds_connection.h"
#include "fds_path.h"
#include "fds_sign.h"
#include "fds_xml.h"

#define FDS_UPLOAD_ID_MAX 1024
#define FDS_PARTS_MAX 10000
#define FDS_COPY_MAX ((int64_t)1 << 30) /* bytes copied by one call; S3 allows 5 GiB */

struct fds_store {
	bool is_fds; /* which names the environment may use */
	pthread_mutex_t lock;
	bool is_ready;
	struct fds_config config;
	struct fds_pool pool;
};
/* The configuration, read at the first call that succeeds; view. */
const struct fds_config *fds_store_config(struct fds_store *s, struct err *err);
void fds_store_done(struct fds_store *s);

/* ---- one call, fds_call.c ---- */

struct fds_call {
	const char *doing; /* "reading": begins the message of an error */
	const char *method;
	const struct fds_path *at;
	const char *query;	      /* encoded, sorted; NULL = "" */
	struct fds_header headers[4]; /* signed with the rest; name NULL = none. Sorted after host, before or
				       * after x-amz-*: fds_call_run sorts */
	const void *data;	      /* sent; NULL = nothing */
	size_t len;
	char *into; /* where the bytes of a 2xx answer go: here when not NULL, else into 'text' */
	size_t max;
	/* the answer */
	struct fds_answer answer;
	struct buf text;
	size_t got;
	char code[64];	    /* S3's word for an error */
	bool was_uncertain; /* an earlier attempt may have been carried out */
};
int fds_call_run(struct fds_store *s, struct fds_call *c, struct err *err);
void fds_call_done(struct fds_call *c);
static inline void cleanup_fds_call(struct fds_call *c)
{
	fds_call_done(c);
}

/* ---- objects, fds_object.c ---- */

struct fds_object {
	int64_t size, modified_ns;
	char etag[FDS_ETAG_MAX + 1];
};
int fds_object_stat(struct fds_store *s, const struct fds_path *at, struct fds_object *ret, struct err *err);
/* Up to len bytes from offset on; the number of bytes, fewer only at the end, 0 at or behind it (then
 * ret->size is -1 when the store does not say it). */
ssize_t fds_object_read(struct fds_store *s, const struct fds_path *at, int64_t offset, char *data,
			size_t len, struct fds_object *ret, struct err *err);
int fds_object_put(struct fds_store *s, const struct fds_path *at, const void *data, size_t len,
		   struct err *err);
/* Of any size. */
int fds_object_copy(struct fds_store *s, const struct fds_path *from, const struct fds_path *to, int64_t size,
		    struct err *err);
int fds_object_delete(struct fds_store *s, const struct fds_path *at, struct err *err);
/* One page of keys that begin with at's bucket and 'prefix'; with 'flat' not below the next '/'. 'token' is
 * that of the page before or NULL, limit 1 to 1000. Replaces *ret. */
int fds_object_list(struct fds_store *s, const struct fds_path *at, const char *prefix, bool flat,
		    const char *token, int limit, struct fds_list *ret, struct err *err);
/* At most 1000 keys. */
int fds_object_delete_many(struct fds_store *s, const struct fds_path *at, const struct fds_list *keys,
			   size_t *ret_failed, struct err *err);

/* ---- multipart uploads, fds_upload.c ---- */

struct fds_upload {
	struct fds_store *store; /* borrowed */
	struct fds_path at;
	char id[FDS_UPLOAD_ID_MAX + 1]; /* "" = none is open */
	char (*etags)[FDS_ETAG_MAX + 1];
	int count;
	int64_t bytes;
};
int fds_upload_begin(struct fds_upload *u, struct err *err);
int fds_upload_add(struct fds_upload *u, const void *data, size_t len, struct err *err);
/* Adds bytes [0, size) of an object as parts; size is at least 5 MiB. */
int fds_upload_add_object(struct fds_upload *u, const struct fds_path *from, int64_t size, struct err *err);
/* The object is there, whole, and the upload is none any more. */
int fds_upload_complete(struct fds_upload *u, struct err *err);
/* Best effort; whatever came of it, the upload is none any more. */
void fds_upload_abort(struct fds_upload *u);

#endif
