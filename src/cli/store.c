/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses in the store and pages of its lists. */
#include "cli/store.h"

#include <stdlib.h>
#include <string.h>

bool store_is_uri(const char *text)
{
	return str_starts(text, "fds://") || str_starts(text, "s3://");
}

int store_uri_parse(const char *text, struct store_uri *ret, struct err *err)
{
	if (!store_is_uri(text))
		return err_set(err, ERR_INVALID, "'%s' is not an address like fds://bucket/key", text);
	const char *rest = strstr(text, "://") + 3, *slash = strchr(rest, '/');
	size_t len = slash ? (size_t)(slash - rest) : strlen(rest);
	if (!len)
		return err_set(err, ERR_INVALID, "'%s' names no bucket", text);
	ret->bucket = mem_strndup(rest, len);
	ret->key = mem_strdup(slash ? slash + 1 : "");
	CLEANUP(free) char *bucket = client_escape(ret->bucket, false);
	CLEANUP(free) char *key = client_escape(ret->key, true);
	ret->path = mem_printf("%s/%s", bucket, key);
	return 0;
}

void store_uri_done(struct store_uri *u)
{
	free(u->bucket);
	free(u->key);
	free(u->path);
	*u = (struct store_uri){0};
}

char *store_route(const char *route, const char *bucket, const char *key, const char *version)
{
	CLEANUP(free) char *b = client_escape(bucket, false);
	CLEANUP(free) char *k = client_escape(key, true);
	CLEANUP(free) char *v = version ? client_escape(version, false) : NULL;
	return mem_printf("/api/v1/%s/%s%s%s%s%s", route, b, *k ? "/" : "", k, v ? "?version=" : "",
			  v ? v : "");
}

static char *page_path(const struct store_list *l, const char *after, const char *after_version)
{
	CLEANUP(free) char *bucket = client_escape(l->bucket, false);
	CLEANUP(free) char *prefix = client_escape(l->prefix, false);
	CLEANUP(free) char *key = client_escape(after, false);
	struct buf b = BUF_INIT;
	buf_printf(&b, "/api/v1/store/%s?prefix=%s&after=%s&limit=1000%s", bucket, prefix, key,
		   l->flat ? "" : "&delimiter=/");
	if (l->versions)
		buf_printf(&b, "&versions=true%s%s", *after_version ? "&after_version=" : "", after_version);
	return buf_steal(&b);
}

int store_each_page(struct cli *c, const struct store_list *l, store_page_fn *fn, void *arg, struct err *err)
{
	CLEANUP(free) char *after = mem_strdup("");
	CLEANUP(free) char *after_version = mem_strdup("");
	for (bool more = true; more;) {
		CLEANUP(json) json_t *page = NULL;
		CLEANUP(free) char *path = page_path(l, after, after_version);
		int r = client_call(c->client, "GET", path, NULL, NULL, &page, err);
		const json_t *entries = json_object_get(page, "data");
		size_t count = json_array_size(entries);
		if (r >= 0)
			r = fn(c, arg, entries, err);
		if (r < 0)
			return r;
		const json_t *last = json_array_get(entries, count - 1);
		free(after);
		free(after_version);
		after = mem_strdup(*cli_str(last, "key") ? cli_str(last, "key") : cli_str(last, "prefix"));
		after_version = mem_strdup(cli_str(last, "version"));
		more = json_is_true(json_object_get(page, "truncated")) && count > 0;
	}
	return 0;
}
