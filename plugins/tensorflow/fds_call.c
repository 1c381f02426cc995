/* SPDX-License-Identifier: Apache-2.0 */
/* One signed request with its retries. */
#include "fds_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include "base/digest.h"
#include "base/mem.h"

#define ERROR_TEXT_MAX 65536
#define PAUSE_MAX_MS 5000
#define HEADERS_MAX 9

const struct fds_config *fds_store_config(struct fds_store *s, struct err *err)
{
	pthread_mutex_lock(&s->lock);
	if (!s->is_ready)
		s->is_ready = fds_config_read(s->is_fds, getenv, &s->config, err) >= 0;
	const struct fds_config *c = s->is_ready ? &s->config : NULL;
	pthread_mutex_unlock(&s->lock);
	return c;
}

void fds_store_done(struct fds_store *s)
{
	fds_pool_done(&s->pool);
	explicit_bzero(&s->config, sizeof(s->config));
	s->is_ready = false;
}

void fds_call_done(struct fds_call *c)
{
	buf_done(&c->text);
}

static int compare_headers(const void *a, const void *b)
{
	return strcmp(((const struct fds_header *)a)->name, ((const struct fds_header *)b)->name);
}

/* Head of the request with its signature. The date is that of this attempt. */
static void write_head(const struct fds_config *config, const struct fds_call *c, struct buf *b)
{
	CLEANUP(buf) struct buf path = BUF_INIT, authorization = BUF_INIT;
	struct fds_header headers[HEADERS_MAX];
	char date[32], hash[DIGEST_HEX_LEN + 1];
	size_t count = 0;
	time_t now = time(NULL);
	struct tm tm;
	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	digest_of(c->data ? c->data : "", c->len, hash);
	buf_addc(&path, '/');
	buf_adds(&path, c->at->bucket);
	if (c->at->key[0]) {
		buf_addc(&path, '/');
		fds_encode(&path, c->at->key, true);
	}
	headers[count++] = (struct fds_header){"host", config->authority};
	headers[count++] = (struct fds_header){"x-amz-content-sha256", hash};
	headers[count++] = (struct fds_header){"x-amz-date", date};
	if (config->token[0])
		headers[count++] = (struct fds_header){"x-amz-security-token", config->token};
	for (size_t i = 0; i < ARRAY_LEN(c->headers) && c->headers[i].name; i++)
		headers[count++] = c->headers[i];
	qsort(headers, count, sizeof(*headers), compare_headers);
	const char *query = c->query ? c->query : "";
	fds_sign(&(struct fds_signing){.method = c->method,
				       .path = buf_str(&path),
				       .query = query,
				       .headers = headers,
				       .header_count = count,
				       .payload_hash = hash,
				       .date = date,
				       .access_key = config->access_key,
				       .secret = config->secret,
				       .region = config->region},
		 &authorization);
	buf_printf(b, "%s %s%s%s HTTP/1.1\r\n", c->method, buf_str(&path), *query ? "?" : "", query);
	for (size_t i = 0; i < count; i++)
		buf_printf(b, "%s: %s\r\n", headers[i].name, headers[i].value);
	if (c->data || !strcmp(c->method, "PUT") || !strcmp(c->method, "POST"))
		buf_printf(b, "content-length: %zu\r\n", c->len);
	buf_printf(b, "user-agent: cloudml-fds/" CLOUDML_VERSION "\r\nauthorization: %s\r\n\r\n",
		   buf_str(&authorization));
}

static int receive(struct fds_connection *n, struct fds_call *c, struct err *err)
{
	buf_clear(&c->text);
	c->got = 0;
	int r = fds_wire_head(&n->wire, &c->answer, err);
	if (r < 0)
		return r;
	bool good = c->answer.status / 100 == 2;
	struct fds_body body = {.into = good ? c->into : NULL,
				.text = &c->text,
				.max = !good	 ? ERROR_TEXT_MAX
				       : c->into ? c->max
						 : FDS_XML_MAX};
	r = fds_wire_body(&n->wire, &c->answer, !strcmp(c->method, "HEAD"), &body, err);
	c->got = body.len;
	return r;
}

/* One attempt. *ret_was_kept: it failed on a connection that was used before. */
static int attempt(struct fds_store *s, const struct fds_config *config, struct fds_call *c,
		   bool *ret_was_kept, struct err *err)
{
	CLEANUP(buf) struct buf head = BUF_INIT;
	struct fds_connection *n;
	*ret_was_kept = false;
	int r = fds_pool_get(&s->pool, config, &n, err);
	if (r < 0)
		return r;
	write_head(config, c, &head);
	struct iovec parts[2] = {{head.data, head.len}, {(void *)c->data, c->len}};
	struct err send_err = ERR_INIT;
	int sent = fds_connection_send(n, parts, c->len ? 2 : 1, &send_err);
	/* A server that refuses a body answers before it has read all of it. */
	r = receive(n, c, err);
	if (r < 0) {
		*ret_was_kept = n->is_used;
		if (sent < 0)
			*err = send_err;
	}
	if (r < 0 || sent < 0 || c->answer.close)
		fds_connection_free(n);
	else
		fds_pool_put(&s->pool, n);
	return r < 0 && sent < 0 ? sent : r;
}

static const struct {
	int status, code;
} codes[] = {
    {400, ERR_INVALID},	    {401, ERR_UNAUTHENTICATED}, {403, ERR_DENIED},	{404, ERR_NOT_FOUND},
    {405, ERR_UNSUPPORTED}, {409, ERR_CONFLICT},	{411, ERR_INVALID},	{412, ERR_STATE},
    {413, ERR_TOO_LARGE},   {416, ERR_STATE},		{429, ERR_BUSY},	{500, ERR_UNAVAILABLE},
    {501, ERR_UNSUPPORTED}, {502, ERR_UNAVAILABLE},	{503, ERR_UNAVAILABLE}, {504, ERR_TIMEOUT},
    {507, ERR_DISK_FULL},
};

/* The error that an answer says, 0 when it says none. */
static int judge(struct fds_call *c, struct err *err)
{
	char message[256];
	int code = ERR_BACKEND;
	c->code[0] = '\0';
	if (c->answer.status / 100 == 2)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i].status == c->answer.status)
			code = codes[i].code;
	fds_xml_error(c->text.data ? c->text.data : "", c->text.len, c->code, message);
	if (!strcmp(c->code, "QuotaExceeded"))
		code = ERR_QUOTA;
	if (!c->code[0])
		return err_set(err, code, "the store said %d", c->answer.status);
	return err_set(err, code, "the store said %d %s: %s", c->answer.status, c->code, message);
}

static bool may_repeat(int code)
{
	return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_BUSY;
}

/* Twice as long every time, somewhere in the upper half: many clients that lost one server come back spread.
 */
static void pause_before(int attempts_made, int pause_ms)
{
	unsigned int random = 0;
	int64_t ms = pause_ms;
	for (int i = 1; i < attempts_made && ms < PAUSE_MAX_MS; i++)
		ms *= 2;
	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = 0;
	ms = ms / 2 + random % (ms / 2 + 1);
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	while (nanosleep(&t, &t) < 0)
		;
}

int fds_call_run(struct fds_store *s, struct fds_call *c, struct err *err)
{
	struct err last = ERR_INIT;
	const struct fds_config *config = fds_store_config(s, err);
	if (!config)
		return -err->code;
	int kept = 0;
	for (int made = 1;; made++) {
		bool was_kept;
		last = ERR_INIT;
		int r = attempt(s, config, c, &was_kept, &last);
		bool answered = r >= 0;
		if (answered)
			r = judge(c, &last);
		if (r >= 0)
			return 0;
		if (!may_repeat(-r))
			break;
		c->was_uncertain = true;
		/* The server had closed it before our request came: no attempt was used up. */
		if (!answered && was_kept && r == -ERR_UNAVAILABLE && kept++ < FDS_IDLE_MAX) {
			made--;
			continue;
		}
		if (made >= config->attempts)
			break;
		pause_before(made, config->pause_ms);
	}
	*err = last;
	return err_wrap(err, "%s 'fds://%s%s%.300s'", c->doing, c->at->bucket, c->at->key[0] ? "/" : "",
			c->at->key);
}
