/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses in the store: parse, check, format. */
#include "core/uri.h"

#include <stdio.h>
#include <string.h>
#include <jansson.h>
#include "base/path.h"

_Static_assert(URI_KEY_MAX <= PATH_CLEAN_MAX, "every key is a path that base/path.h takes");

/* Jansson checks UTF-8 when it makes a string. Other keys could be written but never be named in a list. */
static bool is_utf8(const char *s, size_t len)
{
	json_t *j = json_stringn(s, len);
	json_decref(j);
	return j != NULL;
}

int uri_key_check(const char *key, bool allow_prefix, struct err *err)
{
	size_t len = strlen(key);
	if (len > URI_KEY_MAX)
		return err_set(err, ERR_INVALID, "key of %zu bytes is longer than %d", len, URI_KEY_MAX);
	if (allow_prefix) {
		if (len == 0)
			return 0;
		if (key[len - 1] == '/')
			len--;
	}
	int r = path_check(key, len, err);
	if (r < 0)
		return err_wrap(err, "key");
	if (!is_utf8(key, len))
		return err_set(err, ERR_INVALID, "key is not UTF-8");
	return 0;
}

int uri_parse(const char *text, struct uri *ret, struct err *err)
{
	const char *rest;
	if (strncmp(text, "fds://", 6) == 0)
		rest = text + 6;
	else if (strncmp(text, "s3://", 5) == 0)
		rest = text + 5;
	else
		return err_set(err, ERR_INVALID, "address '%.120s' does not start with fds:// or s3://",
			       text);
	const char *slash = strchr(rest, '/');
	size_t bucket_len = slash ? (size_t)(slash - rest) : strlen(rest);
	struct uri u = {0};
	if (bucket_len > CORE_NAME_MAX)
		return err_set(err, ERR_INVALID, "bucket in address '%.120s' is longer than %d bytes", text,
			       CORE_NAME_MAX);
	memcpy(u.bucket, rest, bucket_len);
	int r = core_name_check("bucket", u.bucket, err);
	if (r < 0)
		return err_wrap(err, "address '%.120s'", text);
	const char *key = slash ? slash + 1 : "";
	r = uri_key_check(key, true, err);
	if (r < 0)
		return err_wrap(err, "address '%.120s'", text);
	memcpy(u.key, key, strlen(key));
	*ret = u;
	return 0;
}

void uri_format(const struct uri *u, char *ret, size_t cap)
{
	snprintf(ret, cap, "fds://%s/%s", u->bucket, u->key);
}
