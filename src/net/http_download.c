/* SPDX-License-Identifier: Apache-2.0 */
/* A source that blocks on the disk, sent block by block: read on the pool while the last block is on its way.
 */
#include "net/http_server_int.h"

#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "net/http_header.h"

#define DOWNLOAD_BLOCK_BYTES (128 * 1024)

struct download {
	struct http_exchange *x; /* NULL once the stream is closed */
	struct loop *loop;
	const struct http_source_ops *ops;
	void *arg;
	int64_t offset, left;
	bool reading;
	char *block;
	ssize_t got;
	struct err err;
};

static void download_free(struct download *d)
{
	d->ops->close(d->arg);
	free(d->block);
	free(d);
}

static void read_block(void *arg)
{
	struct download *d = arg;
	size_t len = d->left < DOWNLOAD_BLOCK_BYTES ? (size_t)d->left : DOWNLOAD_BLOCK_BYTES;
	d->got = d->ops->read(d->arg, d->offset, d->block, len, &d->err);
}

static void block_read(void *arg)
{
	struct download *d = arg;
	d->reading = false;
	if (!d->x) {
		download_free(d);
		return;
	}
	if (d->got <= 0) {
		log_warn("http.download offset=%lld message=\"%s\"", (long long)d->offset,
			 d->got < 0 ? d->err.msg : "the source is shorter than it said");
		http_stream_fail(d->x);
		return;
	}
	d->offset += d->got;
	d->left -= d->got;
	http_stream_write(d->x, d->block, (size_t)d->got);
	if (d->left == 0)
		http_stream_end(d->x);
}

static void download_want(void *arg)
{
	struct download *d = arg;
	if (d->reading || d->left == 0)
		return;
	d->reading = true;
	loop_work(d->loop, read_block, block_read, d);
}

static void download_closed(void *arg)
{
	struct download *d = arg;
	d->x = NULL;
	if (!d->reading)
		download_free(d);
}

static const struct http_stream_ops download_stream = {download_want, download_closed};

static bool not_modified(struct http_exchange *x, const struct http_download *src)
{
	return *src->etag && http_etag_matches(http_header(x, "If-None-Match"), src->etag);
}

static void set_headers(struct http_exchange *x, const struct http_download *src)
{
	char quoted[160];
	if (*src->etag) {
		snprintf(quoted, sizeof(quoted), "\"%s\"", src->etag);
		http_reply_header(x, "ETag", quoted);
	}
	http_reply_header(x, "Accept-Ranges", "bytes");
}

/* 200, 206 or 416, after RFC 9110. If-Range with another tag means the whole. */
static int choose_range(struct http_exchange *x, const struct http_download *src, int64_t *first,
			int64_t *length)
{
	char text[96];
	const char *if_range = http_header(x, "If-Range");
	const char *range = http_header(x, "Range");
	if (if_range && (!*src->etag || !http_etag_matches(if_range, src->etag)))
		range = NULL;
	*first = 0;
	*length = src->size;
	switch (http_range_parse(range, src->size, first, length)) {
	case HTTP_RANGE_PART:
		snprintf(text, sizeof(text), "bytes %lld-%lld/%lld", (long long)*first,
			 (long long)(*first + *length - 1), (long long)src->size);
		http_reply_header(x, "Content-Range", text);
		return 206;
	case HTTP_RANGE_UNSATISFIED:
		snprintf(text, sizeof(text), "bytes */%lld", (long long)src->size);
		http_reply_header(x, "Content-Range", text);
		return 416;
	default:
		return 200;
	}
}

void http_reply_download(struct http_exchange *x, const struct http_download *src)
{
	struct exchange *e = EXCHANGE(x);
	int64_t first = 0, length = 0;
	set_headers(x, src);
	int status = not_modified(x, src) ? 304 : choose_range(x, src, &first, &length);
	if (status == 304 || status == 416 || !e->server) {
		src->ops->close(src->arg);
		http_reply_empty(x, status);
		return;
	}
	struct download *d = MEM_NEW(struct download);
	d->x = x;
	d->loop = e->server->config.loop;
	d->ops = src->ops;
	d->arg = src->arg;
	d->offset = first;
	d->left = length;
	d->block = mem_alloc(DOWNLOAD_BLOCK_BYTES);
	http_reply_stream(x, status, *src->content_type ? src->content_type : "application/octet-stream",
			  length, &download_stream, d);
}
