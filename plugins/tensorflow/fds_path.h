/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses fds://bucket/key and s3://bucket/key, and the percent-encoding of S3. */
#ifndef FDS_PATH_H
#define FDS_PATH_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/err.h"

#define FDS_BUCKET_MAX 63
#define FDS_KEY_MAX 1024

struct fds_path {
	char bucket[FDS_BUCKET_MAX + 1];
	char key[FDS_KEY_MAX + 1]; /* without '/' at its end; "" = the bucket itself */
};

/* The same address without empty, "." and ".." steps and without '/' at the end; what is no such address
 * comes back as it is. Returns owned (malloc). */
char *fds_path_clean(const char *uri);
/* Cleans as well. ERR_INVALID; an address with credentials in it is refused and not repeated in the message.
 */
int fds_path_parse(const char *uri, struct fds_path *ret, struct err *err);
/* "bucket" and "key" or "key/" as a prefix of what is below: "" for a bucket. */
void fds_path_prefix(const struct fds_path *p, struct buf *ret);

/* Appends s with everything but A-Z a-z 0-9 - . _ ~ as %XX, '/' too unless keep_slash. */
void fds_encode(struct buf *b, const char *s, bool keep_slash);
/* In place; '+' is a space. false when a '%' is not followed by two hex digits, or by 00. */
bool fds_decode(char *s);

#endif
