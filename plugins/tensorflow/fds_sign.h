/* SPDX-License-Identifier: Apache-2.0 */
/* Amazon's Signature Version 4 in the Authorization header, for the service s3. */
#ifndef FDS_SIGN_H
#define FDS_SIGN_H

#include <stddef.h>
#include "base/buf.h"

struct fds_header {
	const char *name, *value; /* name in lower case */
};
struct fds_signing {
	const char *method;
	const char *path;		  /* as it is sent: encoded, from '/' on */
	const char *query;		  /* encoded, names in order, every name with '='; "" = none */
	const struct fds_header *headers; /* all that are signed, by name; with host and x-amz-date */
	size_t header_count;
	const char *payload_hash;
	const char *date; /* "20130524T000000Z" */
	const char *access_key, *secret, *region;
};
/* Appends the header's value. */
void fds_sign(const struct fds_signing *s, struct buf *ret);

#endif
