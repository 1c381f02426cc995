/* SPDX-License-Identifier: Apache-2.0 */
/* The console: its files from the binary; a path that is no file is a page that the console itself draws. */
#include "api/api_int.h"

#include <string.h>
#include "api/console_files.h"
#include "net/http_header.h"

static const struct console_file *find_file(const char *path)
{
	for (size_t i = 0; i < console_file_count; i++)
		if (!strcmp(console_files[i].path, path))
			return &console_files[i];
	return NULL;
}

static const struct console_file *choose_file(const struct http_exchange *x)
{
	char path[512];
	size_t len = 0;
	for (size_t i = 0; i < x->uri.segment_count; i++) {
		int n = snprintf(path + len, sizeof(path) - len, "/%s", x->uri.segments[i]);
		if (n < 0 || (size_t)n >= sizeof(path) - len)
			return NULL;
		len += (size_t)n;
	}
	const struct console_file *file = len ? find_file(path) : NULL;
	const char *last = x->uri.segment_count ? x->uri.segments[x->uri.segment_count - 1] : "";
	return file || strchr(last, '.') ? file : find_file("/index.html");
}

/* The tag in the table is quoted already. */
static bool is_known(const struct http_exchange *x, const struct console_file *file)
{
	const char *header = http_header(x, "If-None-Match");
	return header && strstr(header, file->etag);
}

void api_console(struct http_exchange *x, void *app)
{
	const struct console_file *file = choose_file(x);
	if (!file) {
		api_reply_failure(x, ERR_NOT_FOUND, "there is nothing at this address");
		return;
	}
	/* Names below /assets/ hold the digest of what is in them. */
	http_reply_header(x, "Cache-Control",
			  str_starts(file->path, "/assets/") ? "public, max-age=31536000, immutable"
							     : "no-cache");
	http_reply_header(x, "ETag", file->etag);
	if (is_known(x, file)) {
		http_reply_empty(x, 304);
		return;
	}
	if (file->gzip) /* every browser reads it */
		http_reply_header(x, "Content-Encoding", "gzip");
	http_reply_header(x, "Vary", "Accept-Encoding");
	http_reply_static(x, 200, file->content_type, file->data, file->len);
}
