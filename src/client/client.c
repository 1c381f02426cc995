/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking calls on libcurl. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "base/mem.h"
#include "client/client_int.h"

static void global_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int client_new(const char *endpoint, const char *token, struct client **ret, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, global_init);
	if (!str_starts(endpoint, "http://") && !str_starts(endpoint, "https://"))
		return err_set(err, ERR_INVALID, "the endpoint '%s' is not an http:// or https:// address",
			       endpoint);
	struct client *c = MEM_NEW(struct client);
	c->endpoint = mem_strdup(endpoint);
	size_t n = strlen(c->endpoint);
	while (n && c->endpoint[n - 1] == '/')
		c->endpoint[--n] = '\0';
	c->token = mem_strdup(token);
	c->curl = curl_easy_init();
	if (!c->curl) {
		client_free(c);
		return err_set(err, ERR_NO_MEMORY, "no memory for a connection");
	}
	*ret = c;
	return 0;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	if (c->curl)
		curl_easy_cleanup(c->curl);
	free(c->endpoint);
	free(c->token);
	free(c);
}

const char *client_endpoint(const struct client *c)
{
	return c->endpoint;
}

void client_limit(struct client *c, long limit_ms)
{
	c->limit_ms = limit_ms;
}

struct curl_slist *client_header(struct curl_slist *list, const char *fmt, ...)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	return curl_slist_append(list, buf_str(&b));
}

struct curl_slist *client_prepare(struct client *c, CURL *curl, const char *method, const char *path)
{
	CLEANUP(free) char *url = mem_printf("%s%s", c->endpoint, path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS,
			 1L); /* '..' in a key is refused by the server, not resolved here */
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, c->limit_ms);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "cloudml/" CLOUDML_VERSION);
	/* The server is often on this machine: a proxy meant for the outside must not see our token. */
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "127.0.0.1,localhost,::1");
	/* A large body waits for the server's word (RFC 9110 section 10.1.1): what is refused is not sent, so
	 * that the refusal is not lost in a connection that was closed in the middle of the body. */
	curl_easy_setopt(curl, CURLOPT_EXPECT_100_TIMEOUT_MS, 10000L);
	return c->token ? client_header(NULL, "Authorization: Bearer %s", c->token) : NULL;
}

int client_transport_error(struct client *c, CURLcode code, struct err *err)
{
	if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
		return err_set(err, ERR_UNAVAILABLE,
			       "cannot reach the server at %s; start it with 'cloudml up'", c->endpoint);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "the server at %s did not answer in time", c->endpoint);
	if (code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR)
		return err_set(
		    err, ERR_UNAVAILABLE,
		    "the server at %s went away during the call; see 'cloudml status', start it with "
		    "'cloudml up'",
		    c->endpoint);
	return err_set(err, ERR_UNAVAILABLE, "talking to the server at %s: %s", c->endpoint,
		       curl_easy_strerror(code));
}

static int code_of_status(long status)
{
	switch (status) {
	case 401:
		return ERR_UNAUTHENTICATED;
	case 403:
		return ERR_DENIED;
	case 404:
		return ERR_NOT_FOUND;
	case 503:
		return ERR_UNAVAILABLE;
	default:
		return status < 500 ? ERR_INVALID : ERR_INTERNAL;
	}
}

int client_answer_error(long status, const struct buf *body, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	if (json_parse(buf_str(body), body->len, 1 << 20, &j, NULL) >= 0) {
		const json_t *e = json_object_get(j, "error");
		const char *message = json_string_value(json_object_get(e, "message"));
		const char *word = json_string_value(json_object_get(e, "code"));
		if (!message) /* TensorFlow Serving's shape, passed through by the model proxy */
			message = json_string_value(e);
		if (message)
			return err_set(err, word ? err_from_word(word) : code_of_status(status), "%s",
				       message);
	}
	return err_set(err, code_of_status(status), "the server answered with HTTP status %ld", status);
}

static size_t collect(char *data, size_t size, size_t count, void *arg)
{
	struct buf *b = arg;
	size_t n = size * count;
	if (b->len + n > CLIENT_ANSWER_BYTES_MAX)
		return 0;
	buf_add(b, data, n);
	return n;
}

/* Runs the prepared handle and reads a JSON answer. Takes headers. */
static int perform_json(struct client *c, struct curl_slist *headers, json_t **ret, struct err *err)
{
	CLEANUP(buf) struct buf body = BUF_INIT;
	long status = 0;
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &body);
	CURLcode code = curl_easy_perform(c->curl);
	curl_slist_free_all(headers);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 400) /* also when the server refused an upload before it had read it all */
		return client_answer_error(status, &body, err);
	if (code != CURLE_OK)
		return client_transport_error(c, code, err);
	if (!ret)
		return 0;
	*ret = NULL;
	if (!body.len)
		return 0;
	int r = json_parse(body.data, body.len, CLIENT_ANSWER_BYTES_MAX, ret, err);
	return r < 0 ? err_wrap(err, "reading the server's answer") : 0;
}

int client_call(struct client *c, const char *method, const char *path, const json_t *body,
		const char *idempotency_key, json_t **ret, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	curl_easy_reset(c->curl);
	struct curl_slist *headers = client_prepare(c, c->curl, method, path);
	if (idempotency_key)
		headers = client_header(headers, "Idempotency-Key: %s", idempotency_key);
	if (body) {
		json_write(body, &text);
		headers = client_header(headers, "Content-Type: application/json");
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)text.len);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, buf_str(&text));
	} else if (!strcmp(method, "POST")) {
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, "");
	}
	return perform_json(c, headers, ret, err);
}

char *client_escape(const char *text, bool keep_slash)
{
	static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	struct buf b = BUF_INIT;
	for (const char *p = text; *p; p++) {
		if (strchr(safe, *p) || (keep_slash && *p == '/'))
			buf_addc(&b, *p);
		else
			buf_printf(&b, "%%%02X", (unsigned char)*p);
	}
	return buf_steal(&b);
}

struct upload {
	int fd;
	int64_t offset, done, total;
	client_progress_fn *progress;
	void *arg;
};

static size_t upload_read(char *data, size_t size, size_t count, void *arg)
{
	struct upload *u = arg;
	int64_t left = u->total - u->done;
	size_t want = (int64_t)(size * count) < left ? size * count : (size_t)left;
	ssize_t n = pread(u->fd, data, want, u->offset + u->done);
	if (n < 0)
		return CURL_READFUNC_ABORT;
	u->done += n;
	if (u->progress)
		u->progress(u->arg, u->done, u->total);
	return (size_t)n;
}

/* A connection that was kept and has ended meanwhile is noticed only when the body is on its way. */
static int upload_seek(void *arg, curl_off_t offset, int origin)
{
	struct upload *u = arg;
	if (origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	u->done = offset;
	return CURL_SEEKFUNC_OK;
}

static void give_up_when_stalled(CURL *curl)
{
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, 60L);
}

int client_upload(struct client *c, const char *path, int fd, int64_t size_bytes, const char *sha256,
		  client_progress_fn *progress, void *arg, json_t **ret, struct err *err)
{
	return client_upload_at(c, path, fd, 0, size_bytes, sha256, progress, arg, ret, err);
}

int client_upload_at(struct client *c, const char *path, int fd, int64_t offset, int64_t size_bytes,
		     const char *sha256, client_progress_fn *progress, void *arg, json_t **ret,
		     struct err *err)
{
	struct upload u = {.fd = fd, .offset = offset, .total = size_bytes, .progress = progress, .arg = arg};
	curl_easy_reset(c->curl);
	struct curl_slist *headers = client_prepare(c, c->curl, "PUT", path);
	headers = client_header(headers, "Content-Type: application/octet-stream");
	if (sha256)
		headers = client_header(headers, "X-Content-SHA256: %s", sha256);
	curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size_bytes);
	curl_easy_setopt(c->curl, CURLOPT_READFUNCTION, upload_read);
	curl_easy_setopt(c->curl, CURLOPT_READDATA, &u);
	curl_easy_setopt(c->curl, CURLOPT_SEEKFUNCTION, upload_seek);
	curl_easy_setopt(c->curl, CURLOPT_SEEKDATA, &u);
	give_up_when_stalled(c->curl);
	curl_easy_setopt(c->curl, CURLOPT_UPLOAD_BUFFERSIZE, 512L * 1024);
	return perform_json(c, headers, ret, err);
}

struct download {
	CURL *curl;
	client_sink_fn *sink;
	void *arg;
	struct buf error_body;
	bool stopped;
};

static size_t download_write(char *data, size_t size, size_t count, void *arg)
{
	struct download *d = arg;
	size_t n = size * count;
	long status = 0;
	curl_easy_getinfo(d->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 400) {
		if (d->error_body.len + n < 65536)
			buf_add(&d->error_body, data, n);
		return n;
	}
	if (d->sink(d->arg, data, n) < 0) {
		d->stopped = true;
		return 0;
	}
	return n;
}

static int download(struct client *c, const char *path, const char *range, client_sink_fn *sink, void *arg,
		    struct err *err)
{
	struct download d = {.curl = c->curl, .sink = sink, .arg = arg};
	long status = 0;
	curl_easy_reset(c->curl);
	struct curl_slist *headers = client_prepare(c, c->curl, "GET", path);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c->curl, CURLOPT_RANGE, range);
	if (range)
		give_up_when_stalled(c->curl);
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, download_write);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &d);
	CURLcode code = curl_easy_perform(c->curl);
	curl_slist_free_all(headers);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	int r = 0;
	if (d.stopped)
		r = err_set(err, ERR_CANCELLED, "stopped by the receiver");
	else if (code != CURLE_OK)
		r = client_transport_error(c, code, err);
	else if (status >= 400)
		r = client_answer_error(status, &d.error_body, err);
	buf_done(&d.error_body);
	return r;
}

int client_download(struct client *c, const char *path, client_sink_fn *sink, void *arg, struct err *err)
{
	return download(c, path, NULL, sink, arg, err);
}

int client_download_range(struct client *c, const char *path, int64_t offset, int64_t size_bytes,
			  client_sink_fn *sink, void *arg, struct err *err)
{
	char range[64];
	snprintf(range, sizeof(range), "%lld-%lld", (long long)offset, (long long)(offset + size_bytes - 1));
	return download(c, path, range, sink, arg, err);
}
