/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the page for people, see page.h. */
#include "serving/page.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "serving/form.h"
#include "serving/http.h"
#include "serving/json_text.h"
#include "serving/rest_run.h"

#define HTML_TYPE "text/html; charset=utf-8"
#define SHOWN_BYTES_MAX ((size_t)64 * 1024)
#define FIELDS_BYTES 4096 /* beside the body */
#define NS_PER_MS 1e6

static void reply_html(struct http_call *c, int status, struct buf *takes_body)
{
	http_add_header(
	    c, "Content-Security-Policy",
	    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
	    "frame-ancestors 'none'");
	http_add_header(c, "X-Content-Type-Options", "nosniff");
	http_add_header(c, "Referrer-Policy", "no-referrer");
	http_add_header(c, "Cache-Control", "no-store");
	http_reply(c, status, HTML_TYPE, takes_body);
}

static void reply_problem(struct http_call *c, int status, const char *why)
{
	struct buf b = BUF_INIT;

	page_begin(&b, "Problem");
	buf_adds(&b, "<h1>This does not work</h1>\n<p>");
	html_adds(&b, why);
	buf_adds(&b, "</p>\n<p><a href=\"/\">All models</a></p>\n");
	page_end(&b);
	reply_html(c, status, &b);
}

/* One use of the form. */
struct attempt {
	struct http_call *call;
	struct arena arena;
	int64_t counted_bytes, started_ns;
	struct str body;
	struct rest_route route;
	struct str verb;
};

static void attempt_free(struct attempt *a)
{
	a->call->server->request_bytes -= a->counted_bytes;
	arena_done(&a->arena);
	free(a);
}

static void add_shown(struct buf *b, const char *title, struct str text)
{
	size_t shown = text.len > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : text.len;

	while (shown < text.len && shown > 0 && ((unsigned char)text.data[shown] & 0xc0) == 0x80)
		shown--; /* not inside a character */
	buf_printf(b, "<h2>%s</h2>\n<pre>", title);
	html_add(b, (struct str){text.data, shown});
	buf_adds(b, "</pre>\n");
	if (shown < text.len)
		buf_printf(b, "<p>%zu more bytes are not shown.</p>\n", text.len - shown);
}

static void attempt_done(void *arg, const struct err *err, struct buf *takes_json)
{
	struct attempt *a = arg;
	struct http_call *c = a->call;
	double ms = (double)(clock_monotonic_ns() - a->started_ns) / NS_PER_MS;
	struct buf b = BUF_INIT;

	page_begin(&b, "Result");
	buf_adds(&b, "<h1>");
	html_add(&b, a->route.spec.name);
	buf_printf(&b, ": %.*s</h1>\n<p><a href=\"/\">All models</a></p>\n", (int)a->verb.len, a->verb.data);
	if (err->code) {
		buf_printf(&b, "<p class=\"state END\">Failed after %.1f ms, status %d</p>\n", ms,
			   rest_status(err->code));
		add_shown(&b, "Reason", str_from(err->msg));
	} else {
		buf_printf(&b, "<p class=\"state AVAILABLE\">Answered after %.1f ms</p>\n", ms);
		add_shown(&b, "Answer", (struct str){buf_str(takes_json), takes_json->len});
	}
	add_shown(&b, "Request", a->body);
	page_end(&b);
	buf_done(takes_json);
	attempt_free(a);
	reply_html(c, err->code ? rest_status(err->code) : 200, &b);
}

static bool read_verb(struct str verb, enum rest_verb *ret)
{
	static const struct {
		const char *word;
		enum rest_verb verb;
	} verbs[] = {{"predict", REST_PREDICT}, {"classify", REST_CLASSIFY}, {"regress", REST_REGRESS}};

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (str_eq(verb, verbs[i].word)) {
			*ret = verbs[i].verb;
			return true;
		}
	return false;
}

static bool read_form(struct attempt *a, struct str form)
{
	struct model_spec *spec = &a->route.spec;
	struct str version;
	char *end;

	if (!form_field(form, "model", &a->arena, &spec->name) ||
	    !form_field(form, "verb", &a->arena, &a->verb) || !read_verb(a->verb, &a->route.verb) ||
	    !form_field(form, "body", &a->arena, &a->body))
		return false;
	if (form_field(form, "version", &a->arena, &version) && version.len > 0) {
		spec->has_version = true;
		spec->version = strtoll(version.data, &end, 10);
		if (*end || spec->version < 0)
			return false;
	}
	return true;
}

/* Browsers say where a form comes from; pages of other sites must not send it. */
static bool is_own(struct http_call *c)
{
	const char *site = http_header(c, "Sec-Fetch-Site");

	return !site || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
}

static void handle_try(struct http_call *c)
{
	struct attempt *a;

	if (strcmp(c->method, "POST") != 0) {
		reply_problem(c, 405, "This address takes the form of a model only.");
		return;
	}
	if (!is_own(c)) {
		reply_problem(c, 403, "The form came from another site.");
		return;
	}
	a = MEM_NEW(struct attempt);
	a->call = c;
	a->started_ns = clock_monotonic_ns();
	a->arena = ARENA_INIT(c->body.len + FIELDS_BYTES);
	if (!read_form(a, c->body)) {
		attempt_free(a);
		reply_problem(c, 400, "The form lacks a model, what to do with it, or a body.");
		return;
	}
	a->counted_bytes = (int64_t)a->arena.used_bytes;
	c->server->request_bytes += a->counted_bytes;
	rest_run(c, &a->route, a->body, attempt_done, a);
}

static void handle_style(struct http_call *c)
{
	struct buf b = BUF_INIT;

	buf_add(&b, page_style, page_style_len);
	http_add_header(c, "X-Content-Type-Options", "nosniff");
	http_add_header(c, "Cache-Control", "max-age=300");
	http_reply(c, 200, "text/css; charset=utf-8", &b);
}

void page_handle(struct http_call *c)
{
	bool is_get = strcmp(c->method, "GET") == 0 || strcmp(c->method, "HEAD") == 0;
	struct buf b = BUF_INIT;

	if (strcmp(c->path, "/page/try") == 0) {
		handle_try(c);
	} else if (is_get && strcmp(c->path, "/page/style.css") == 0) {
		handle_style(c);
	} else if (is_get && strcmp(c->path, "/") == 0) {
		page_write_models(c->server, &b);
		reply_html(c, 200, &b);
	} else {
		reply_problem(c, is_get ? 404 : 405, "There is nothing here.");
	}
}
