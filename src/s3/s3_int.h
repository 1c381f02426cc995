/* SPDX-License-Identifier: Apache-2.0 */
/* What only this room sees: a request, its signature, its body, answers. */
#ifndef S3_S3_INT_H
#define S3_S3_INT_H

#include "base/buf.h"
#include "base/digest.h"
#include "core/lifecycle.h"
#include "net/http_server.h"
#include "s3/s3.h"

#define S3_PARAMS_MAX 64
#define S3_HEADERS_MAX 96
#define S3_XML_MAX (1024 * 1024) /* of a body of XML */
#define S3_OBJECT_MAX (INT64_C(5) << 40)
#define S3_SKEW_MS (15 * 60 * INT64_C(1000))
#define S3_REGION "us-east-1"

/* One row for each error word: HTTP status and the usual text. */
#define S3_ERROR_TABLE(X)                                                                                    \
	X(S3_ACCESS_DENIED, "AccessDenied", 403, "Access Denied")                                            \
	X(S3_AUTHORIZATION_MALFORMED, "AuthorizationHeaderMalformed", 400,                                   \
	  "The authorization header is malformed")                                                           \
	X(S3_AUTHORIZATION_QUERY, "AuthorizationQueryParametersError", 400,                                  \
	  "The query parameters of the signature are malformed")                                             \
	X(S3_BAD_DIGEST, "BadDigest", 400, "The Content-MD5 or checksum does not match what was received")   \
	X(S3_BUCKET_EXISTS, "BucketAlreadyExists", 409, "The bucket's name is taken")                        \
	X(S3_BUCKET_NOT_EMPTY, "BucketNotEmpty", 409, "The bucket is not empty")                             \
	X(S3_CHECKSUM_MISMATCH, "XAmzContentChecksumMismatch", 400,                                          \
	  "The x-amz-checksum header does not match the content")                                            \
	X(S3_CONTENT_SHA256_MISMATCH, "XAmzContentSHA256Mismatch", 400,                                      \
	  "The x-amz-content-sha256 header does not match the content")                                      \
	X(S3_ENTITY_TOO_LARGE, "EntityTooLarge", 400, "The object is too large")                             \
	X(S3_ENTITY_TOO_SMALL, "EntityTooSmall", 400, "A part but the last is smaller than 5 MiB")           \
	X(S3_EXPIRED, "AccessDenied", 403, "Request has expired")                                            \
	X(S3_INCOMPLETE_BODY, "IncompleteBody", 400, "The body has another length than was said")            \
	X(S3_INTERNAL, "InternalError", 500, "The server failed; try again")                                 \
	X(S3_INVALID_ACCESS_KEY, "InvalidAccessKeyId", 403, "The access key does not exist")                 \
	X(S3_INVALID_ARGUMENT, "InvalidArgument", 400, "An argument is not valid")                           \
	X(S3_INVALID_BUCKET_NAME, "InvalidBucketName", 400, "The bucket's name is not valid")                \
	X(S3_INVALID_DIGEST, "InvalidDigest", 400, "The Content-MD5 is not valid")                           \
	X(S3_INVALID_PART, "InvalidPart", 400, "A part was not uploaded or has another ETag")                \
	X(S3_INVALID_PART_ORDER, "InvalidPartOrder", 400, "Parts are not in ascending order")                \
	X(S3_INVALID_RANGE, "InvalidRange", 416, "The range cannot be satisfied")                            \
	X(S3_INVALID_REQUEST, "InvalidRequest", 400, "The request is not valid")                             \
	X(S3_INVALID_TAG, "InvalidTag", 400, "A tag is not valid")                                           \
	X(S3_KEY_TOO_LONG, "KeyTooLongError", 400, "The key is longer than 1024 bytes")                      \
	X(S3_MALFORMED_XML, "MalformedXML", 400, "The XML is not well-formed or not what is expected")       \
	X(S3_METHOD_NOT_ALLOWED, "MethodNotAllowed", 405, "The method is not allowed here")                  \
	X(S3_MISSING_CONTENT_LENGTH, "MissingContentLength", 411, "The length must be said")                 \
	X(S3_NO_SUCH_BUCKET, "NoSuchBucket", 404, "The bucket does not exist")                               \
	X(S3_NO_SUCH_CORS, "NoSuchCORSConfiguration", 404, "The bucket has no CORS rules")                   \
	X(S3_NO_SUCH_KEY, "NoSuchKey", 404, "The key does not exist")                                        \
	X(S3_NO_SUCH_LIFECYCLE, "NoSuchLifecycleConfiguration", 404, "The bucket has no lifecycle rules")    \
	X(S3_NO_SUCH_POLICY, "NoSuchBucketPolicy", 404, "The bucket has no policy")                          \
	X(S3_NO_SUCH_TAG_SET, "NoSuchTagSet", 404, "There are no tags")                                      \
	X(S3_NO_SUCH_UPLOAD, "NoSuchUpload", 404, "The upload does not exist")                               \
	X(S3_NO_SUCH_VERSION, "NoSuchVersion", 404, "The version does not exist")                            \
	X(S3_NOT_IMPLEMENTED, "NotImplemented", 501, "This is not implemented")                              \
	X(S3_NOT_MODIFIED, "NotModified", 304, "Not modified")                                               \
	X(S3_OPERATION_ABORTED, "OperationAborted", 409, "Another operation is in the way; try again")       \
	X(S3_PRECONDITION_FAILED, "PreconditionFailed", 412, "A condition of the request does not hold")     \
	X(S3_QUOTA, "QuotaExceeded", 403, "The organisation's quota is used up")                             \
	X(S3_SIGNATURE, "SignatureDoesNotMatch", 403,                                                        \
	  "The signature is not the one that the server computed; check key and signing method")             \
	X(S3_SKEW, "RequestTimeTooSkewed", 403, "The request's time is too far from the server's")           \
	X(S3_SLOW_DOWN, "SlowDown", 503, "Please reduce your request rate")                                  \
	X(S3_UNAVAILABLE, "ServiceUnavailable", 503, "The store cannot serve now")                           \
	X(S3_CORS_REFUSED, "AccessForbidden", 403, "CORSResponse: This CORS request is not allowed")         \
	X(S3_DISK_FULL, "InsufficientStorage", 507, "The disk is full")

enum s3_error {
	S3_OK = 0,
#define S3_ERROR_ENUM(id, word, status, text) id,
	S3_ERROR_TABLE(S3_ERROR_ENUM)
#undef S3_ERROR_ENUM
	    S3_ERROR_COUNT
};

enum checksum_kind {
	CHECKSUM_NONE,
	CHECKSUM_CRC32,
	CHECKSUM_CRC32C,
	CHECKSUM_CRC64NVME,
	CHECKSUM_SHA1,
	CHECKSUM_SHA256,
};

struct s3_pair {
	const char *name, *value; /* header names in lower case */
};

/* How the body comes (x-amz-content-sha256). */
enum s3_payload {
	S3_PAYLOAD_HASHED, /* hex SHA-256 of the whole */
	S3_PAYLOAD_UNSIGNED,
	S3_PAYLOAD_CHUNKS,	     /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD */
	S3_PAYLOAD_CHUNKS_TRAILER,   /* …-TRAILER */
	S3_PAYLOAD_UNSIGNED_TRAILER, /* STREAMING-UNSIGNED-PAYLOAD-TRAILER */
};
struct s3_signing { /* what signatures of chunks go on from */
	unsigned char key[32];
	char date[20], scope[160];
	char signature[65];
};

struct s3_request {
	struct s3 *s3;
	struct http_exchange *x;
	char id[17];
	const char *path;   /* decoded, as it came: begins with '/' */
	const char *bucket; /* "" = none */
	const char *key;    /* "" = none */
	bool is_host_style;
	bool is_fds; /* signed as FDS: answers are JSON */
	struct s3_pair query[S3_PARAMS_MAX], headers[S3_HEADERS_MAX];
	size_t query_count, header_count;
	enum s3_payload payload;
	const char *content_sha256;
	struct s3_signing signing;
	struct s3_key who;
	char access_key[S3_ACCESS_KEY_MAX + 1];
	const struct s3_operation *operation;
	json_t *attributes;		  /* owned; of the object that is being put */
	enum checksum_kind checksum_kind; /* of a body that was read */
	char checksum[64];		  /* base64; "" = none */
	void *work;			  /* of the handler; freed with the request */
};

struct s3 {
	struct s3_config config;
	struct http_server *server, *own_server; /* the latter may be NULL */
	size_t works;				 /* on the pool */
	uint64_t next_id;			 /* of requests; begins anywhere */
};

/* s3_request.c: everything lives in the exchange's arena */
enum s3_error request_read(struct s3_request *r); /* of r->x: headers, then the target */
void request_add_header(struct s3_request *r, const char *name, const char *value);
enum s3_error request_parse(struct s3_request *r, const char *target);	 /* after the headers: Host matters */
const char *request_query(const struct s3_request *r, const char *name); /* NULL when absent */
const char *request_header(const struct s3_request *r, const char *name); /* lower case; NULL when absent */
/* Whole number of a query parameter in [min, max], or 'otherwise' when it is absent. */
enum s3_error request_int(const struct s3_request *r, const char *name, int64_t min, int64_t max,
			  int64_t otherwise, int64_t *ret);
/* Reads "a=1&b=2" into form->query. */
enum s3_error request_form(struct s3_request *form, const char *text);
/* Percent-decoded, in the arena; NULL when broken. */
char *request_decode(struct s3_request *r, const char *text, size_t len);
/* Percent-encodes all but unreserved characters (RFC 3986), and '/' unless with_slash. */
void uri_encode(struct buf *ret, const char *s, bool with_slash);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* s3_sign.c */
enum s3_error sign_verify(struct s3_request *r);
/* The signature of the next chunk or trailer; 'kind' is PAYLOAD or TRAILER. */
void sign_next(struct s3_signing *s, const char *kind, const char *sha256, char ret[65]);

enum s3_error sign_find_key(struct s3_request *r, const char *access_key); /* into r->who */
int64_t sign_now(const struct s3_request *r);				   /* Unix milliseconds */
int64_t sign_http_date(const char *s);					   /* the same; -1 = none */

/* fds_sign.c: Galaxy-V2, from sign_verify; then headers have S3's names */
bool fds_is_signed(const struct s3_request *r);
enum s3_error fds_verify(struct s3_request *r);

/* fds.c: the other dialect */
enum s3_error fds_choose(struct s3_request *r);
void fds_reply(struct s3_request *r, json_t *j); /* takes; frees the request */
void fds_reply_put(struct s3_request *r);
json_t *fds_owner(const struct s3_request *r); /* owned */
enum s3_error fds_names(struct str body, struct arena *arena, struct blob_removal *items, size_t *ret_count);
enum s3_error fds_parts(struct str body, struct blob_part *parts, size_t *ret_count);

/* s3_chunks.c: a body in aws-chunked form, taken apart as it comes */
struct s3_chunk_ops {
	int (*data)(void *arg, const char *data, size_t len, struct err *err); /* < 0 stops */
	void (*trailer)(void *arg, const char *name, const char *value);
};
enum chunks_stage { CHUNKS_SIZE, CHUNKS_DATA, CHUNKS_DATA_END, CHUNKS_TRAILER, CHUNKS_OVER };
struct s3_chunks {
	enum chunks_stage stage;
	bool is_signed, has_trailer;
	struct s3_signing *signing;
	const struct s3_chunk_ops *ops;
	void *arg;
	struct buf line;
	int64_t left; /* of the chunk */
	char signature[65];
	struct digest hash;  /* of the chunk */
	struct buf trailers; /* as they are signed */
	size_t trailer_count;
	char trailer_signature[65];
	enum s3_error failed; /* why chunks_take failed; S3_OK when data() did */
};
/* Keeps signing and ops. */
void chunks_init(struct s3_chunks *c, enum s3_payload payload, struct s3_signing *signing,
		 const struct s3_chunk_ops *ops, void *arg);
int chunks_take(struct s3_chunks *c, const char *data, size_t len, struct err *err);
enum s3_error chunks_end(struct s3_chunks *c); /* after the last byte: is it whole, is its trailer signed? */
void chunks_done(struct s3_chunks *c);

/* s3_scope.c: what the key may change. Asked once, before every handler of r->operation; handlers whose body
 * names the keys ask for each of them as well. */
bool scope_may_write(const struct s3_request *r, const char *bucket, const char *key);
enum s3_error scope_check(const struct s3_request *r);

/* s3_reply.c */
int s3_status(enum s3_error e);
const char *error_word(enum s3_error e);
void reply_error(struct s3_request *r, enum s3_error e, const char *text); /* text NULL = the usual */
enum s3_error error_of(const struct err *err, enum s3_error not_found);
void reply_err(struct s3_request *r, const struct err *err, enum s3_error not_found);
void reply_xml(struct s3_request *r, int status, struct buf *xml); /* takes */
void reply_empty(struct s3_request *r, int status);
void reply_headers(struct s3_request *r); /* what every answer has */
void request_free(struct s3_request *r);

/* s3_xml.c */
#define S3_XMLNS "http://s3.amazonaws.com/doc/2006-03-01/"
void xml_begin(struct buf *b, const char *root);
void xml_open(struct buf *b, const char *name);
void xml_close(struct buf *b, const char *name);
void xml_text(struct buf *b, const char *name, const char *value);
void xml_url(struct buf *b, const char *name, const char *value,
	     bool encoded); /* percent-encoded when asked for */
void xml_int(struct buf *b, const char *name, int64_t value);
void xml_bool(struct buf *b, const char *name, bool value);
void xml_time(struct buf *b, const char *name, int64_t ms);
void xml_etag(struct buf *b, const char *etag);
/* Reads a document without attributes or mixed content. path is "Delete/Object/Key"; text is the element's,
 * for leaves; end: the element is over. 0, or ERR_INVALID. fn < 0 stops. */
typedef int xml_element_fn(void *arg, const char *path, const char *text, bool end);
int xml_read(const char *data, size_t len, xml_element_fn *fn, void *arg, struct err *err);

/* s3_document.c: what bodies of XML say */
#define DELETE_MAX 1000
#define TAGS_MAX 10
enum s3_error tag_add(json_t *tags, const char *name, const char *value);
enum s3_error document_tags(struct str body, json_t *tags);
/* items: room for DELETE_MAX; keys and versions live in the arena. At least one. */
enum s3_error document_delete(struct str body, struct arena *arena, struct blob_removal *items,
			      size_t *ret_count, bool *ret_quiet);
/* parts: room for BLOB_PART_MAX. At least one. */
enum s3_error document_parts(struct str body, struct blob_part *parts, size_t *ret_count);
enum s3_error document_versioning(struct str body, enum blob_versioning *ret);

/* s3_lifecycle.c: prefixes and days; S3_NOT_IMPLEMENTED for what else S3's rules may say. ret is zero before.
 */
enum s3_error document_lifecycle(struct str body, struct lifecycle *ret);

/* s3_checksum.c */
struct checksum;
enum checksum_kind checksum_kind_of(const char *name); /* "crc32", "CRC32C", …; CHECKSUM_NONE when unknown */
const char *checksum_word(enum checksum_kind k);       /* "CRC32" */
const char *checksum_header(struct s3_request *r, enum checksum_kind k); /* "x-amz-checksum-crc32" */
struct checksum *checksum_new(enum checksum_kind k);			 /* returns owned */
void checksum_update(struct checksum *c, const void *data, size_t len);
void checksum_base64(struct checksum *c, char ret[64]); /* ends it */
void checksum_free(struct checksum *c);
void base64_encode(const void *data, size_t len, char *ret); /* 4 * ((len + 2) / 3) + 1 bytes */
/* Exactly len bytes, or false. */
bool base64_decode(const char *s, void *ret, size_t len);

/* s3_composite.c: the checksum of a multipart object */
struct s3_composite {
	enum checksum_kind kind; /* CHECKSUM_NONE: none was asked for */
	bool is_full;		 /* FULL_OBJECT, else COMPOSITE */
};
/* Of x-amz-checksum-algorithm and x-amz-checksum-type, NULL when absent; S3_INVALID_REQUEST. */
enum s3_error composite_choose(const char *name, const char *type, struct s3_composite *ret);
const char *composite_type(const struct s3_composite *c);
void composite_keep(json_t *attributes, const struct s3_composite *c); /* with an upload */
struct s3_composite composite_take(json_t *attributes);		       /* of an upload; they lose it */
/* A part's checksum of that kind; false when it has none. ret_raw: 32 bytes. */
bool composite_part(const struct s3_composite *c, const struct blob_part *part, unsigned char *ret_raw);
/* 0, or the number of the part that has no such checksum. */
int composite_compute(const struct s3_composite *c, const struct blob_part *parts, size_t count,
		      char ret[80]);
bool composite_matches(const char *announced, const char *computed); /* "-N" may be left out */

/* s3_body.c: the body of an object or part, decoded and checked, into a put */
struct s3_body;
/* Begins a body for 'put' (taken). Answers errors itself. 'done' is called when the content is durable, or
 * with an error that was not answered yet. */
typedef void s3_body_done_fn(struct s3_request *r, const struct blob_info *info, const struct err *err);
void body_to_put(struct s3_request *r, struct blob_put *put, bool is_part, s3_body_done_fn *done);
/* A small body whole (XML), checked like the others. */
typedef void s3_bytes_done_fn(struct s3_request *r, struct str body);
void body_to_bytes(struct s3_request *r, size_t max, s3_bytes_done_fn *done);
/* Decoded length that was announced; -1 = not. */
int64_t body_length(const struct s3_request *r);

/* s3_cors.c */
enum s3_error cors_check(struct arena *arena, struct str document); /* the rules that are to be kept */
void cors_preflight(struct s3_request *r);			    /* OPTIONS, which nobody signs; answers */
void cors_reply(struct s3_request *r); /* headers of any other answer; nothing without an Origin */

/* s3_work.c: calls that block run on the pool; err is the work's own */
struct s3_work {
	struct s3_request *r;
	void (*run)(struct s3_work *w);
	void (*done)(struct s3_work *w);
	struct err err;
};
void work_start(struct s3_work *w);

/* s3_attributes.c: what is kept with an object, as JSON text in blob attributes */
json_t *attributes_of_request(const struct s3_request *r,
			      enum s3_error *ret_error); /* owned; headers to be kept */
char *attributes_text(json_t *j);			 /* owned; NULL when empty */
void attributes_reply(struct s3_request *r, const char *attributes,
		      bool with_checksum); /* headers of GET and HEAD */
void attributes_checksum(struct buf *b, struct s3_request *r, const char *attributes); /* as an element */

/* Handlers. */
struct s3_operation {
	const char *method;
	bool on_bucket, on_key; /* neither: the service */
	const char *query;	/* parameter that must be there; NULL = none of the subresources */
	const char *header;	/* header that must be there; NULL = any */
	bool changes;
	bool has_body; /* the handler reads it; the others' is checked before and dropped */
	void (*handle)(struct s3_request *r);
};
extern const struct s3_operation s3_operations[]; /* ends with a NULL method */
/* The row for a request, of a table and the parameters that choose (NULL-terminated, first one wins). */
enum s3_error operation_choose(struct s3_request *r, const struct s3_operation *table,
			       const char *const *subresources);

/* s3_put.c: x-amz-copy-source and its conditions */
enum s3_error copy_source(struct s3_request *r, const char **bucket, const char **key, const char **version);
enum s3_error copy_conditions(const struct s3_request *r, const struct blob_info *info);

void list_buckets(struct s3_request *r);
void create_bucket(struct s3_request *r);
void head_bucket(struct s3_request *r);
void delete_bucket(struct s3_request *r);
void get_bucket_location(struct s3_request *r);
void get_bucket_versioning(struct s3_request *r);
void put_bucket_versioning(struct s3_request *r);
void get_bucket_document(struct s3_request *r);
void put_bucket_document(struct s3_request *r);
void delete_bucket_document(struct s3_request *r);
void get_bucket_lifecycle(struct s3_request *r);
void put_bucket_lifecycle(struct s3_request *r);
void delete_bucket_lifecycle(struct s3_request *r);
void get_acl(struct s3_request *r);
void put_acl(struct s3_request *r);
void list_objects_v1(struct s3_request *r);
void list_objects_v2(struct s3_request *r);
void list_object_versions(struct s3_request *r);
void get_object(struct s3_request *r);
void head_object(struct s3_request *r);
void put_object(struct s3_request *r);
void copy_object(struct s3_request *r);
void delete_object(struct s3_request *r);
void delete_objects(struct s3_request *r);
void get_object_attributes(struct s3_request *r);
void get_object_tagging(struct s3_request *r);
void put_object_tagging(struct s3_request *r);
void delete_object_tagging(struct s3_request *r);
void create_multipart_upload(struct s3_request *r);
void upload_part(struct s3_request *r);
void upload_part_copy(struct s3_request *r);
void complete_multipart_upload(struct s3_request *r);
void abort_multipart_upload(struct s3_request *r);
void list_parts(struct s3_request *r);
void list_multipart_uploads(struct s3_request *r);

#endif
