/* SPDX-License-Identifier: Apache-2.0 */
/* The XML answers of S3 that this plugin needs. Everything in them is a stranger's. */
#ifndef FDS_XML_H
#define FDS_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define FDS_XML_MAX (8u << 20) /* bytes of a document */
#define FDS_PAGE_MAX 10000     /* entries of one list answer; S3 has 1,000 */

struct fds_entry {
	char *key; /* whole key; a common prefix ends in '/' */
	bool is_prefix;
	int64_t size, modified_ns;
};
struct fds_list {
	struct fds_entry *entries; /* keys, then common prefixes, each in the server's order */
	size_t count, cap;
	char *token; /* of the next page; NULL = this was the last */
};
void fds_list_clear(struct fds_list *l);
static inline void cleanup_fds_list(struct fds_list *l)
{
	fds_list_clear(l);
}

/* ListBucketResult (version 2). ERR_BACKEND when it is none. */
int fds_xml_list(const char *text, size_t len, struct fds_list *ret, struct err *err);
/* InitiateMultipartUploadResult, CopyObjectResult, CopyPartResult, CompleteMultipartUploadResult: one value
 * of a document, "Root/Element"; '' when it is not there. An <Error> document is an error: these come with
 * status 200. */
int fds_xml_value(const char *text, size_t len, const char *path, char *ret, size_t cap, struct err *err);
/* An <Error> document: code and message, "" when it says none or is no XML at all. Control characters become
 * '?'. */
void fds_xml_error(const char *text, size_t len, char code[64], char message[256]);
/* DeleteResult: how many were not deleted; the first one's code. ERR_BACKEND. */
int fds_xml_deleted(const char *text, size_t len, size_t *ret_failed, char code[64], struct err *err);

#endif
