/* SPDX-License-Identifier: Apache-2.0 */
/* Errors: a value on the caller's stack and one table of codes. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/* code, word (API and exit record), HTTP status, gRPC status (google.rpc.Code), S3 error word, exit status of
 * the CLI. The only copy: API answers, gRPC statuses and exit statuses are read from here. */
#define ERR_TABLE(X)                                                                                         \
	X(ERR_INVALID, "invalid", 400, 3, "InvalidArgument", 2)                                              \
	X(ERR_UNAUTHENTICATED, "unauthenticated", 401, 16, "InvalidAccessKeyId", 3)                          \
	X(ERR_DENIED, "denied", 403, 7, "AccessDenied", 3)                                                   \
	X(ERR_NOT_FOUND, "not_found", 404, 5, "NoSuchKey", 4)                                                \
	X(ERR_METHOD, "method_not_allowed", 405, 12, "MethodNotAllowed", 2)                                  \
	X(ERR_CONFLICT, "conflict", 409, 10, "OperationAborted", 5)                                          \
	X(ERR_EXISTS, "already_exists", 409, 6, "BucketAlreadyExists", 5)                                    \
	X(ERR_STATE, "failed_precondition", 409, 9, "InvalidRequest", 5)                                     \
	X(ERR_TOO_LARGE, "too_large", 413, 8, "EntityTooLarge", 2)                                           \
	X(ERR_LIMIT, "too_many_requests", 429, 8, "SlowDown", 6)                                             \
	X(ERR_BUSY, "busy", 429, 14, "SlowDown", 75)                                                         \
	X(ERR_QUOTA, "quota", 429, 8, "QuotaExceeded", 6)                                                    \
	X(ERR_CANCELLED, "cancelled", 499, 1, "RequestTimeout", 130)                                         \
	X(ERR_INTERNAL, "internal", 500, 13, "InternalError", 70)                                            \
	X(ERR_CORRUPT, "data_loss", 500, 15, "InternalError", 70)                                            \
	X(ERR_IO, "io", 500, 13, "InternalError", 74)                                                        \
	X(ERR_UNSUPPORTED, "unsupported", 501, 12, "NotImplemented", 69)                                     \
	X(ERR_BACKEND, "backend", 502, 13, "InternalError", 69)                                              \
	X(ERR_UNAVAILABLE, "unavailable", 503, 14, "ServiceUnavailable", 69)                                 \
	X(ERR_NO_MEMORY, "out_of_memory", 503, 8, "ServiceUnavailable", 71)                                  \
	X(ERR_TIMEOUT, "timeout", 504, 4, "RequestTimeout", 75)                                              \
	X(ERR_DISK_FULL, "disk_full", 507, 8, "InternalError", 74)

enum err_code {
	ERR_NONE = 0,
#define ERR_ENUM(code, word, http, grpc, s3, exit_status) code,
	ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
	    ERR_CODE_COUNT
};

/* Nothing to release. 'sys' is the errno at the origin, 0 when there was none. */
struct err {
	int code, sys;
	char msg[480];
};

#define ERR_INIT ((struct err){0})

/* At the origin, once. Replaces what was there. Returns -code. 'e' may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* As err_set from an errno: maps ENOSPC and EDQUOT to ERR_DISK_FULL, ENOENT to ERR_NOT_FOUND, ENOMEM to
 * ERR_NO_MEMORY, EACCES and EPERM to ERR_DENIED, everything else to ERR_IO; appends ": " and the errno's
 * text. */
int err_sys(struct err *e, int sys, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Prefixes "what we were doing: "; keeps the code. Returns -code. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

const char *err_word(int code);	 /* "invalid"; "ok" for 0; "internal" for an unknown code */
int err_http(int code);		 /* HTTP status; 200 for 0 */
int err_grpc(int code);		 /* google.rpc.Code; 0 for 0 */
int err_exit(int code);		 /* exit status of the command line; 0 for 0 */
int err_from_word(const char *); /* code of a word, ERR_INTERNAL when unknown */

#endif
