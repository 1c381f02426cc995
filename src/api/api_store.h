/* SPDX-License-Identifier: Apache-2.0 */
/* What the routes about buckets, objects and uploads share: one call on the pool. */
#ifndef API_API_STORE_H
#define API_API_STORE_H

#include "api/api_int.h"
#include "core/lifecycle.h"

/* One call on the pool: what it needs, what it found. Texts are the exchange's. */
struct store_call {
	struct http_exchange *x;
	struct api *api;
	struct blob_store *blobs;
	char org[CORE_NAME_MAX + 1];
	const char *bucket, *key;
	const char *version; /* NULL = the newest */
	/* lists */
	const char *prefix, *after, *after_version;
	const char *delimiter;
	bool with_versions;
	int64_t limit;
	struct blob_list list;
	/* objects */
	struct blob_put *put;
	struct blob_get *get;
	struct blob_info info;
	const char *content_type, *sha256;
	int64_t length;
	int64_t *part_sizes; /* of a multipart object; owned */
	/* uploads in parts */
	const char *upload;
	char upload_id[BLOB_UPLOAD_ID_MAX + 1];
	bool is_ours;
	int64_t part; /* number */
	struct blob_parts parts;
	/* copies; what is named by bucket and key is the target */
	const char *from_bucket, *from_key;
	bool moves;
	/* buckets */
	struct blob_bucket state;
	int versioning; /* that is wished; -1 = as it is */
	struct lifecycle rules;
	bool sets_rules;
	/* many objects */
	struct blob_removal *removals; /* owned; count entries */
	size_t count;
	struct err err;
};

/* Returns owned: store_call_free, or a call that failed its check. */
struct store_call *store_call_new(struct http_exchange *x, struct api *a);
void store_call_free(struct store_call *c);
/* Only the result tells failure: on the way to success the store may have noted what it got over. */
void store_call_result(struct store_call *c, int r);
/* Answers the error, when there is one, and frees. */
bool store_call_failed(struct store_call *c);
/* Are the names of bucket and key possible ones? Answers and frees when not. */
bool store_call_check(struct store_call *c);
/* Pool works' ends: c->put was begun, its body is to come; what was put is whole, the answer is 201. */
void store_call_receive(void *arg);
void store_call_committed(void *arg);
/* api_store_copy.c: the handler of POST store-copies. */
void store_copy_post(struct http_exchange *x, void *app);
/* version, is_latest, is_delete_marker. */
void store_format_version(json_t *j, const struct blob_info *info);

#endif
