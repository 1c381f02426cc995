/* SPDX-License-Identifier: Apache-2.0 */
/* A watch (Server-Sent Events, WHATWG HTML section 9.2) and a log stream side by side on one curl multi
 * handle. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "client/client_int.h"

#define LINE_BYTES_MAX (4 << 20)
#define RETRY_MS_MAX 3000
#define GIVE_UP_MS 120000

struct stream {
	CURL *curl;
	struct curl_slist *headers;
	bool active, wanted;
	int64_t retry_at_ms;
	struct buf error_body;
};

struct follow {
	struct client *c;
	struct client_follow *f;
	CURLM *multi;
	struct stream watch, log;
	struct buf line, data;
	char event[32];
	int result; /* of on_change: 1 = final, negative = stop */
	int64_t broken_since_ms;
	int retry_ms;
};

static void event_end(struct follow *x)
{
	if (x->data.len) {
		CLEANUP(json) json_t *j = NULL;
		if (json_parse(x->data.data, x->data.len, LINE_BYTES_MAX, &j, NULL) >= 0) {
			int r = x->f->on_change(x->f->arg, x->event, j);
			if (r)
				x->result = r;
		}
	}
	buf_clear(&x->data);
	x->event[0] = '\0';
}

static void event_line(struct follow *x, const char *line)
{
	if (!*line) {
		event_end(x);
	} else if (str_starts(line, "event:")) {
		snprintf(x->event, sizeof(x->event), "%s", line + 6 + (line[6] == ' '));
	} else if (str_starts(line, "data:")) {
		if (x->data.len)
			buf_addc(&x->data, '\n');
		buf_adds(&x->data, line + 5 + (line[5] == ' '));
	}
}

/* Bytes of an error answer are kept apart; true when the answer is one. */
static bool is_error(struct stream *s, const char *data, size_t n)
{
	long status = 0;
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 400)
		return false;
	if (s->error_body.len + n < 65536)
		buf_add(&s->error_body, data, n);
	return true;
}

static void connected(struct follow *x)
{
	if (x->broken_since_ms && x->f->on_note)
		x->f->on_note(x->f->arg, NULL);
	x->broken_since_ms = 0;
	x->retry_ms = 0;
}

static size_t watch_write(char *data, size_t size, size_t count, void *arg)
{
	struct follow *x = arg;
	size_t n = size * count;
	if (is_error(&x->watch, data, n))
		return n;
	connected(x);
	for (size_t i = 0; i < n; i++) {
		if (data[i] == '\n') {
			if (x->line.len && x->line.data[x->line.len - 1] == '\r')
				x->line.data[--x->line.len] = '\0';
			event_line(x, buf_str(&x->line));
			buf_clear(&x->line);
		} else if (x->line.len < LINE_BYTES_MAX) {
			buf_addc(&x->line, data[i]);
		}
	}
	return n;
}

static size_t log_write_bytes(char *data, size_t size, size_t count, void *arg)
{
	struct follow *x = arg;
	size_t n = size * count;
	if (is_error(&x->log, data, n))
		return n;
	x->f->log_offset += (int64_t)n;
	x->f->on_log(x->f->arg, data, n);
	return n;
}

static void stream_start(struct follow *x, struct stream *s, const char *path,
			 size_t (*write_fn)(char *, size_t, size_t, void *))
{
	if (!s->curl)
		s->curl = curl_easy_init();
	if (!s->curl)
		abort();
	curl_easy_reset(s->curl);
	curl_slist_free_all(s->headers);
	s->headers = client_prepare(x->c, s->curl, "GET", path);
	curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers);
	curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, write_fn);
	curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, x);
	buf_clear(&s->error_body);
	curl_multi_add_handle(x->multi, s->curl);
	s->active = true;
}

static void start_due(struct follow *x, int64_t now)
{
	if (x->watch.wanted && !x->watch.active && now >= x->watch.retry_at_ms && !x->result) {
		buf_clear(&x->line);
		buf_clear(&x->data);
		stream_start(x, &x->watch, x->f->watch_path, watch_write);
	}
	if (x->log.wanted && !x->log.active && now >= x->log.retry_at_ms) {
		CLEANUP(free)
		char *path = mem_printf("%s%cfollow=1&offset=%lld", x->f->log_path,
					strchr(x->f->log_path, '?') ? '&' : '?', (long long)x->f->log_offset);
		stream_start(x, &x->log, path, log_write_bytes);
	}
}

/* A stream ended. Broken connections and a server that is not up yet are tried again; an error answer is
 * final. */
static int stream_ended(struct follow *x, struct stream *s, CURLcode code, int64_t now, struct err *err)
{
	long status = 0;
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(x->multi, s->curl);
	s->active = false;
	if (code == CURLE_OK && status >= 400 && status != 503)
		return client_answer_error(status, &s->error_body, err);
	if (s == &x->log && code == CURLE_OK && status < 400) {
		/* The end of a log is the end of the job; one that comes before is a server that is shutting
		 * down. */
		s->wanted = x->result == 0;
		s->retry_at_ms = now + 200;
		return 0;
	}
	if (x->result)
		return 0;
	if (!x->broken_since_ms) {
		x->broken_since_ms = now;
		if (x->f->on_note)
			x->f->on_note(x->f->arg, "the server went away; reconnecting");
	} else if (now - x->broken_since_ms > GIVE_UP_MS) {
		return code != CURLE_OK ? client_transport_error(x->c, code, err)
					: err_set(err, ERR_UNAVAILABLE, "the server at %s does not come back",
						  x->c->endpoint);
	}
	x->retry_ms = x->retry_ms ? x->retry_ms * 2 : 100;
	if (x->retry_ms > RETRY_MS_MAX)
		x->retry_ms = RETRY_MS_MAX;
	s->retry_at_ms = now + x->retry_ms;
	return 0;
}

static int follow_turn(struct follow *x, struct err *err)
{
	int running = 0, left = 0;
	int64_t now = clock_monotonic_ms(&clock_real);
	start_due(x, now);
	curl_multi_perform(x->multi, &running);
	for (CURLMsg *m; (m = curl_multi_info_read(x->multi, &left));) {
		if (m->msg != CURLMSG_DONE)
			continue;
		struct stream *s = m->easy_handle == x->watch.curl ? &x->watch : &x->log;
		int r = stream_ended(x, s, m->data.result, now, err);
		if (r < 0)
			return r;
	}
	if (x->result < 0)
		return x->result;
	if (x->result > 0 && !x->log.wanted)
		return 1;
	if (x->f->stop && *x->f->stop)
		return err_set(err, ERR_CANCELLED, "detached");
	curl_multi_poll(x->multi, NULL, 0, x->watch.active || x->log.active ? 200 : 50, NULL);
	if (x->f->on_idle)
		x->f->on_idle(x->f->arg);
	return 0;
}

static void stream_done(struct follow *x, struct stream *s)
{
	if (s->active)
		curl_multi_remove_handle(x->multi, s->curl);
	if (s->curl)
		curl_easy_cleanup(s->curl);
	curl_slist_free_all(s->headers);
	buf_done(&s->error_body);
}

int client_follow(struct client *c, struct client_follow *f, struct err *err)
{
	struct follow x = {.c = c, .f = f, .multi = curl_multi_init()};
	if (!x.multi)
		return err_set(err, ERR_NO_MEMORY, "no memory for a connection");
	x.watch.wanted = true;
	x.log.wanted = f->log_path != NULL;
	int r = 0;
	while (r == 0)
		r = follow_turn(&x, err);
	stream_done(&x, &x.watch);
	stream_done(&x, &x.log);
	curl_multi_cleanup(x.multi);
	buf_done(&x.line);
	buf_done(&x.data);
	return r < 0 ? r : 0;
}
