/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses in the store: fds://bucket/key (also s3://). The key may be empty or end in '/' for a prefix. */
#ifndef CORE_URI_H
#define CORE_URI_H

#include <stddef.h>
#include "core/core.h"

#define URI_KEY_MAX 1024 /* as S3 */

struct uri {
	char bucket[CORE_NAME_MAX + 1];
	char key[URI_KEY_MAX + 1];
};
/* ERR_INVALID when the scheme, bucket or key is not clean (see base/path.h; one trailing '/' is allowed). */
int uri_parse(const char *text, struct uri *ret, struct err *err);
void uri_format(const struct uri *u, char *ret, size_t cap);
int uri_key_check(const char *key, bool allow_prefix, struct err *err);

#endif
