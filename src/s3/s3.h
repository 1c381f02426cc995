/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The S3 gateway: core/blob.h as Amazon's S3 REST API, on a port of its own.
 *
 * Ideas. Every request is read once into struct s3_request (path, query and headers, s3_request.c), then
 * passes the one verifier (s3_sign.c) before any handler sees it; the table in s3.c says which handler serves
 * a method and a subresource, and whether it changes something. Bodies come through s3_body.c, which takes
 * the payload's form apart (plain, aws-chunked, signed chunks, trailers), checks signatures and checksums,
 * and lets nothing become visible before all of them agree.
 *
 * Invariants: nothing is served without a signature; an unknown payload form is refused; signatures are
 * compared in constant time; "not yours" and "not there" answer alike.
 *
 * Xiaomi's FDS is a second dialect on the same port: chosen by its signature (fds_sign.c), served by the same
 * handlers through a table of its own (fds.c), answered in JSON.
 *
 * What is supported is listed in docs/s3.md. To add an operation: a row in the table of s3.c and a function
 * in the file of its noun.
 */
#ifndef S3_S3_H
#define S3_S3_H

#include "base/clock.h"
#include "core/blob.h"
#include "loop/loop.h"

struct s3;

#define S3_ACCESS_KEY_MAX 64
#define S3_SECRET_MAX 64

/* Who an access key belongs to. */
struct s3_key {
	char secret[S3_SECRET_MAX + 1];
	char org[CORE_NAME_MAX + 1];
	char user[CORE_NAME_MAX + 1];
	bool may_write;
	/* Of the program of a job: nothing but objects at and below these fds:// addresses may be written.
	 * Owned, NULL-terminated; NULL = everywhere. */
	char **writes;
	/* Of a TensorBoard: nothing but objects at and below these addresses may be read, and listed. Owned,
	 * as above. */
	char **reads;
};
struct s3_config {
	struct loop *loop; /* kept, as all that follows */
	struct blob_store *blobs;
	const char *address; /* numeric */
	int port;	     /* 0 = any */
	int own_fd;	     /* > 0: a listening socket, taken: served as well, without TLS */
	const char *domain;  /* of virtual-host style: BUCKET.domain; NULL = path style only */
	const char *tls_certificate, *tls_key; /* PEM; NULL = no TLS */
	/* ERR_UNAUTHENTICATED when there is no such key, or no longer. On the loop's thread, at once. ret is
	 * zero before; what it owns goes with the request. */
	int (*find_key)(void *arg, const char *access_key, struct s3_key *ret, struct err *err);
	void *find_key_arg;
	struct clock *clock; /* of dates in signatures; NULL = real */
};
int s3_new(const struct s3_config *config, struct s3 **ret, struct err *err);
int s3_port(const struct s3 *s);
void s3_free(struct s3 *s, int grace_ms); /* NULL is fine */

#endif
