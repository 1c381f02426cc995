/* SPDX-License-Identifier: Apache-2.0 */
/* Reading objects: GET, HEAD, attributes. */
#include "s3/s3_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/mem.h"
#include "net/http_header.h"

#define DIRECT_MAX (INT64_C(1) << 30) /* a range up to here is checked as a whole and sent from its file */
#define SMALL_MAX (128 * 1024)

struct read_work {
	struct s3_work work;
	struct blob_get *get;
	struct blob_info info;
	int64_t first, length; /* of the range */
	int part;
	bool is_range;
	enum s3_error refused;
	char *attributes; /* owned; of GetObjectAttributes */
	int fd;		  /* of the content, owned; -1 = none */
	int64_t file_offset;
	struct buf small;
};

/* "Tue, 25 Nov 2026 10:11:12 GMT" in seconds; -1 when it is none. */
static int64_t parse_date(const char *s)
{
	struct tm tm = {0};
	return s && strptime(s, "%a, %d %b %Y %H:%M:%S", &tm) ? (int64_t)timegm(&tm) : -1;
}

static void format_date(int64_t ms, char ret[40])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	strftime(ret, 40, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&seconds, &tm));
}

/* RFC 9110, section 13.2.2. */
static enum s3_error check_conditions(const struct s3_request *r, const struct blob_info *info)
{
	const char *match = request_header(r, "if-match"), *none = request_header(r, "if-none-match");
	int64_t at = info->modified_ms / 1000;
	int64_t since = parse_date(request_header(r, "if-modified-since"));
	int64_t unmodified = parse_date(request_header(r, "if-unmodified-since"));
	if (match && !http_etag_matches(match, info->etag))
		return S3_PRECONDITION_FAILED;
	if (!match && unmodified >= 0 && at > unmodified)
		return S3_PRECONDITION_FAILED;
	if (none && http_etag_matches(none, info->etag))
		return S3_NOT_MODIFIED;
	if (!none && since >= 0 && at <= since)
		return S3_NOT_MODIFIED;
	return S3_OK;
}

static enum s3_error choose_range(struct read_work *w)
{
	struct s3_request *r = w->work.r;
	struct blob_store *s = r->s3->config.blobs;
	struct err ignored = ERR_INIT;
	w->first = 0;
	w->length = w->info.size_bytes;
	if (w->part) {
		if (s->ops->get_part(w->get, w->part, &w->first, &w->length, &ignored) < 0)
			return S3_INVALID_RANGE;
		w->is_range = true;
		return S3_OK;
	}
	switch (http_range_parse(request_header(r, "range"), w->info.size_bytes, &w->first, &w->length)) {
	case HTTP_RANGE_PART:
		w->is_range = true;
		return S3_OK;
	case HTTP_RANGE_UNSATISFIED:
		return S3_INVALID_RANGE;
	default:
		return S3_OK;
	}
}

/* FDS asks for headers by GET, too. */
static bool no_content(const struct s3_request *r)
{
	return strcmp(r->x->method, "HEAD") == 0 || (r->is_fds && request_query(r, "metadata"));
}

static void reply_head(struct read_work *w, int status, const char *type)
{
	struct s3_request *r = w->work.r;
	if (strcmp(r->x->method, "HEAD") == 0) {
		http_reply_head(r->x, status, type, w->length);
		return;
	}
	http_reply_header(r->x, "x-xiaomi-meta-content-length",
			  arena_printf(&r->x->arena, "%lld", (long long)w->length));
	http_reply_bytes(r->x, status, type, "", 0);
}

/* Content that lies in one file is sent from there; a little is read at once; the rest is a stream. */
static int prepare_content(struct read_work *w, struct err *err)
{
	struct blob_store *s = w->work.r->s3->config.blobs;
	int fd = -1;
	int64_t n = 0;
	if (w->length == 0 || no_content(w->work.r))
		return 0;
	if (w->length > SMALL_MAX && w->length <= DIRECT_MAX) {
		n = s->ops->get_extent(w->get, w->first, w->length, &fd, &w->file_offset, err);
		if (n < 0)
			return (int)n;
	}
	if (n == w->length) {
		w->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		return 0;
	}
	if (w->length > SMALL_MAX)
		return 0;
	buf_reserve(&w->small, (size_t)w->length);
	ssize_t got = s->ops->get_read(w->get, w->first, w->small.data, (size_t)w->length, err);
	if (got < 0)
		return (int)got;
	w->small.len = (size_t)got;
	return 0;
}

static void opened(struct read_work *w)
{
	w->refused = check_conditions(w->work.r, &w->info);
	if (!w->refused)
		w->refused = choose_range(w);
	if (w->refused || prepare_content(w, &w->work.err) >= 0)
		w->work.err = ERR_INIT;
}

static void run(struct s3_work *work)
{
	struct read_work *w = CONTAINER_OF(work, struct read_work, work);
	struct s3_request *r = work->r;
	struct blob_store *s = r->s3->config.blobs;
	if (s->ops->get_open(s, r->who.org, r->bucket, r->key, request_query(r, "versionId"), &w->get,
			     &w->info, &work->err) >= 0)
		opened(w);
}

/* What lies in memory costs less than the way to another thread and back. */
static bool open_at_once(struct read_work *w)
{
	struct s3_request *r = w->work.r;
	struct blob_store *s = r->s3->config.blobs;
	return s->ops->get_open_at_once && !request_query(r, "versionId") &&
	       s->ops->get_open_at_once(s, r->who.org, r->bucket, r->key, &w->get, &w->info) > 0;
}

/* Headers that a presigned address may ask for. */
static void override_headers(struct s3_request *r)
{
	static const char *const names[][2] = {{"response-cache-control", "Cache-Control"},
					       {"response-content-disposition", "Content-Disposition"},
					       {"response-content-encoding", "Content-Encoding"},
					       {"response-content-language", "Content-Language"},
					       {"response-expires", "Expires"}};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = request_query(r, names[i][0]);
		if (value && !strpbrk(value, "\r\n"))
			http_reply_header(r->x, names[i][1], value);
	}
}

static const char *content_type(struct s3_request *r, const struct blob_info *info)
{
	const char *asked = request_query(r, "response-content-type");
	if (asked && !strpbrk(asked, "\r\n"))
		return asked;
	return *info->content_type ? info->content_type : "binary/octet-stream";
}

static void object_headers(struct read_work *w)
{
	struct s3_request *r = w->work.r;
	struct arena *a = &r->x->arena;
	char date[40];
	const char *mode = request_header(r, "x-amz-checksum-mode");
	format_date(w->info.modified_ms, date);
	http_reply_header(r->x, "Last-Modified", date);
	http_reply_header(r->x, "ETag", arena_printf(a, "\"%s\"", w->info.etag));
	http_reply_header(r->x, "Accept-Ranges", "bytes");
	if (strcmp(w->info.version, BLOB_NULL_VERSION) != 0 || request_query(r, "versionId"))
		http_reply_header(r->x, "x-amz-version-id", w->info.version);
	if (w->info.part_count)
		http_reply_header(r->x, "x-amz-mp-parts-count", arena_printf(a, "%d", w->info.part_count));
	attributes_reply(r, r->s3->config.blobs->ops->get_attributes(w->get),
			 mode && strcmp(mode, "ENABLED") == 0 && !w->is_range);
	if (w->is_range && w->length)
		http_reply_header(r->x, "Content-Range",
				  arena_printf(a, "bytes %lld-%lld/%lld", (long long)w->first,
					       (long long)(w->first + w->length - 1),
					       (long long)w->info.size_bytes));
	override_headers(r);
	reply_headers(r);
}

/* ---- content of several files, or too much to be checked at once ---- */

struct content_stream {
	struct blob_store *blobs;
	struct blob_get *get;
	struct http_exchange *x; /* NULL once it is closed */
	struct s3 *s3;
	int64_t offset, left;
	bool reading;
	char *block;
	ssize_t got;
	struct err err;
};

#define BLOCK_BYTES (256 * 1024)

static void stream_free(struct content_stream *c)
{
	c->blobs->ops->get_close(c->get);
	free(c->block);
	free(c);
}

static void read_block(void *arg)
{
	struct content_stream *c = arg;
	size_t len = c->left < BLOCK_BYTES ? (size_t)c->left : BLOCK_BYTES;
	c->got = c->blobs->ops->get_read(c->get, c->offset, c->block, len, &c->err);
}

static void block_read(void *arg)
{
	struct content_stream *c = arg;
	c->reading = false;
	c->s3->works--;
	if (!c->x) {
		stream_free(c);
		return;
	}
	if (c->got <= 0) {
		http_stream_fail(c->x); /* damaged: the client sees a broken connection, never other bytes */
		return;
	}
	c->offset += c->got;
	c->left -= c->got;
	http_stream_write(c->x, c->block, (size_t)c->got);
	if (c->left == 0)
		http_stream_end(c->x);
}

static void stream_want(void *arg)
{
	struct content_stream *c = arg;
	if (c->reading || c->left == 0)
		return;
	c->reading = true;
	c->s3->works++;
	loop_work(c->s3->config.loop, read_block, block_read, c);
}

static void stream_closed(void *arg)
{
	struct content_stream *c = arg;
	c->x = NULL;
	if (!c->reading)
		stream_free(c);
}

static const struct http_stream_ops stream_ops = {stream_want, stream_closed};

static void reply_stream(struct read_work *w, int status, const char *type)
{
	struct s3_request *r = w->work.r;
	struct content_stream *c = MEM_NEW(struct content_stream);
	*c = (struct content_stream){.blobs = r->s3->config.blobs,
				     .get = STEAL(w->get),
				     .x = r->x,
				     .s3 = r->s3,
				     .offset = w->first,
				     .left = w->length,
				     .block = mem_alloc(BLOCK_BYTES)};
	http_reply_stream(r->x, status, type, w->length, &stream_ops, c);
}

static void reply_content(struct read_work *w)
{
	struct s3_request *r = w->work.r;
	int status = w->is_range ? 206 : 200;
	const char *type = content_type(r, &w->info);
	object_headers(w);
	if (no_content(r))
		reply_head(w, status, type);
	else if (w->fd >= 0)
		http_reply_file(r->x, status, type, w->fd, w->file_offset, w->length);
	else if (w->length <= SMALL_MAX)
		http_reply_buf(r->x, status, type, &w->small);
	else
		reply_stream(w, status, type);
	w->fd = no_content(r) ? w->fd : -1;
	request_free(r);
}

static void done(struct s3_work *work)
{
	struct read_work *w = CONTAINER_OF(work, struct read_work, work);
	struct s3_request *r = work->r;
	struct s3 *s3 = r->s3;
	if (work->err.code) {
		if (work->err.code == ERR_METHOD)
			http_reply_header(r->x, "x-amz-delete-marker", "true");
		reply_err(r, &work->err, S3_NO_SUCH_KEY);
	} else if (w->refused == S3_NOT_MODIFIED) {
		http_reply_header(r->x, "ETag", arena_printf(&r->x->arena, "\"%s\"", w->info.etag));
		reply_error(r, w->refused, NULL);
	} else if (w->refused) {
		reply_error(r, w->refused, NULL);
	} else {
		reply_content(w);
	}
	if (w->get)
		s3->config.blobs->ops->get_close(w->get);
	if (w->fd >= 0)
		close(w->fd);
	buf_done(&w->small);
	free(w);
}

static void start(struct s3_request *r)
{
	struct read_work *w = MEM_NEW(struct read_work);
	int64_t part;
	w->work = (struct s3_work){.r = r, .run = run, .done = done};
	w->fd = -1;
	if (request_int(r, "partNumber", 1, BLOB_PART_MAX, 0, &part)) {
		free(w);
		reply_error(r, S3_INVALID_ARGUMENT, NULL);
		return;
	}
	w->part = (int)part;
	if (!open_at_once(w)) {
		work_start(&w->work);
		return;
	}
	opened(w);
	done(&w->work);
}

void get_object(struct s3_request *r)
{
	start(r);
}

void head_object(struct s3_request *r)
{
	start(r);
}

/* ---- GetObjectAttributes ---- */

static void attributes_done(struct s3_work *work)
{
	struct read_work *w = CONTAINER_OF(work, struct read_work, work);
	struct s3_request *r = work->r;
	const char *asked = request_header(r, "x-amz-object-attributes");
	if (work->err.code)
		reply_err(r, &work->err, S3_NO_SUCH_KEY);
	else if (!asked)
		reply_error(r, S3_INVALID_ARGUMENT, "The header x-amz-object-attributes is missing");
	else {
		struct buf b = BUF_INIT;
		char date[40];
		format_date(w->info.modified_ms, date);
		http_reply_header(r->x, "Last-Modified", date);
		xml_begin(&b, "GetObjectAttributesResponse");
		if (strstr(asked, "ETag"))
			xml_text(&b, "ETag", w->info.etag);
		if (strstr(asked, "Checksum"))
			attributes_checksum(&b, r, w->attributes);
		if (strstr(asked, "ObjectParts") && w->info.part_count) {
			xml_open(&b, "ObjectParts");
			xml_int(&b, "PartsCount", w->info.part_count);
			xml_close(&b, "ObjectParts");
		}
		if (strstr(asked, "StorageClass"))
			xml_text(&b, "StorageClass", "STANDARD");
		if (strstr(asked, "ObjectSize"))
			xml_int(&b, "ObjectSize", w->info.size_bytes);
		xml_close(&b, "GetObjectAttributesResponse");
		reply_xml(r, 200, &b);
	}
	free(w->attributes);
	free(w);
}

static void attributes_run(struct s3_work *work)
{
	struct read_work *w = CONTAINER_OF(work, struct read_work, work);
	struct s3_request *r = work->r;
	struct blob_store *s = r->s3->config.blobs;
	if (s->ops->stat(s, r->who.org, r->bucket, r->key, request_query(r, "versionId"), &w->info,
			 &w->attributes, &work->err) >= 0)
		work->err = ERR_INIT;
}

void get_object_attributes(struct s3_request *r)
{
	struct read_work *w = MEM_NEW(struct read_work);
	w->work = (struct s3_work){.r = r, .run = attributes_run, .done = attributes_done};
	work_start(&w->work);
}
