/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CORS: which pages of other origins a browser lets read a bucket's answers. The rules are kept as the
 * document that was put, and read when a request names an Origin. They let nobody in: a request still has to
 * be signed, only the browser's question before it (OPTIONS) is not.
 */
#include "s3/s3_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define RULES_MAX 100
#define LIST_MAX 64 /* of one kind in a rule */

enum list { ORIGINS, METHODS, HEADERS, EXPOSED, LIST_COUNT };
static const char *const elements[] = {[ORIGINS] = "AllowedOrigin",
				       [METHODS] = "AllowedMethod",
				       [HEADERS] = "AllowedHeader",
				       [EXPOSED] = "ExposeHeader"};

struct rule {
	struct texts {
		const char *items[LIST_MAX];
		size_t count;
	} lists[LIST_COUNT];
	const char *max_age; /* NULL = not said */
};
/* Rules are looked at one by one as they are read; the first that fits is copied. */
struct reader {
	struct arena *arena;
	struct rule rule;
	size_t count;
	enum s3_error e;
	const char *origin, *method, *headers; /* origin NULL: only read; headers NULL: not asked about */
	struct rule found;
	bool has_found;
};

static bool matches(const char *pattern, const char *text, bool any_case)
{
	int (*same)(const char *, const char *, size_t) = any_case ? strncasecmp : strncmp;
	size_t head = strcspn(pattern, "*"), len = strlen(text);
	if (!pattern[head])
		return len == head && same(pattern, text, len) == 0;
	size_t tail = strlen(pattern + head + 1);
	return len >= head + tail && same(pattern, text, head) == 0 &&
	       same(pattern + head + 1, text + len - tail, tail) == 0;
}

static const char *find(const struct texts *t, const char *text, bool any_case)
{
	for (size_t i = 0; i < t->count; i++)
		if (matches(t->items[i], text, any_case))
			return t->items[i];
	return NULL;
}

static bool allows_headers(const struct texts *allowed, struct arena *arena, const char *asked)
{
	while (*asked) {
		asked += strspn(asked, " ,\t");
		size_t len = strcspn(asked, " ,\t");
		if (len && !find(allowed, arena_strndup(arena, asked, len), true))
			return false;
		asked += len;
	}
	return true;
}

static bool has_one_star(const char *text)
{
	const char *star = strchr(text, '*');
	return !star || !strchr(star + 1, '*');
}

static enum s3_error check_text(enum list kind, const char *text)
{
	static const char *const methods[] = {"GET", "PUT", "POST", "DELETE", "HEAD"};
	if (!*text || strpbrk(text, "\r\n") || strlen(text) > 256)
		return S3_MALFORMED_XML;
	if (kind == EXPOSED)
		return strchr(text, '*') ? S3_INVALID_REQUEST : S3_OK;
	if (kind != METHODS)
		return has_one_star(text) ? S3_OK : S3_INVALID_REQUEST;
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (strcmp(methods[i], text) == 0)
			return S3_OK;
	return S3_INVALID_REQUEST;
}

static enum s3_error end_rule(struct reader *c)
{
	struct rule *rule = &c->rule;
	if (!rule->lists[ORIGINS].count || !rule->lists[METHODS].count || ++c->count > RULES_MAX)
		return S3_MALFORMED_XML;
	if (c->origin && !c->has_found && find(&rule->lists[ORIGINS], c->origin, false) &&
	    find(&rule->lists[METHODS], c->method, false) &&
	    (!c->headers || allows_headers(&rule->lists[HEADERS], c->arena, c->headers))) {
		c->found = *rule;
		c->has_found = true;
	}
	*rule = (struct rule){0};
	return S3_OK;
}

static enum s3_error take_element(struct reader *c, const char *name, const char *text)
{
	for (size_t i = 0; i < LIST_COUNT; i++) {
		if (strcmp(elements[i], name) != 0)
			continue;
		struct texts *t = &c->rule.lists[i];
		if (t->count == LIST_MAX)
			return S3_MALFORMED_XML;
		t->items[t->count++] = arena_strndup(c->arena, text, strlen(text));
		return check_text((enum list)i, text);
	}
	if (strcmp(name, "MaxAgeSeconds") == 0) {
		c->rule.max_age = arena_strndup(c->arena, text, strlen(text));
		bool is_number = *text && strspn(text, "0123456789") == strlen(text) && strlen(text) < 10;
		return is_number ? S3_OK : S3_MALFORMED_XML;
	}
	return strcmp(name, "ID") == 0 ? S3_OK : S3_MALFORMED_XML;
}

static int element(void *arg, const char *path, const char *text, bool end)
{
	static const char rule[] = "CORSConfiguration/CORSRule";
	struct reader *c = arg;
	if (!end)
		return 0;
	if (strcmp(path, rule) == 0)
		c->e = end_rule(c);
	else if (strncmp(path, rule, sizeof(rule) - 1) == 0 && path[sizeof(rule) - 1] == '/')
		c->e = text ? take_element(c, path + sizeof(rule), text) : S3_MALFORMED_XML;
	else if (strcmp(path, "CORSConfiguration") != 0)
		c->e = S3_MALFORMED_XML;
	return c->e ? -1 : 0;
}

static enum s3_error read_rules(struct reader *c, struct str document)
{
	struct err err = ERR_INIT;
	if (xml_read(document.data, document.len, element, c, &err) < 0)
		return c->e ? c->e : S3_MALFORMED_XML;
	return c->count ? S3_OK : S3_MALFORMED_XML;
}

enum s3_error cors_check(struct arena *arena, struct str document)
{
	CLEANUP(free) struct reader *c = MEM_NEW(struct reader);
	c->arena = arena;
	return read_rules(c, document);
}

/* The first rule of the request's bucket that fits; false when there is none. */
static bool find_rule(struct s3_request *r, struct reader *c)
{
	struct blob_store *s = r->s3->config.blobs;
	CLEANUP(free) char *attributes = NULL;
	struct err ignored = ERR_INIT;
	if (!s->ops->bucket_attributes ||
	    s->ops->bucket_attributes(s, r->bucket, &attributes, &ignored) < 0 || !attributes)
		return false;
	CLEANUP(json) json_t *j = json_loads(attributes, 0, NULL);
	const char *document = json_string_value(json_object_get(j, "cors"));
	c->arena = &r->x->arena;
	return document && read_rules(c, str_from(document)) == S3_OK && c->has_found;
}

static void reply_list(struct s3_request *r, const char *header, const struct texts *t)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	for (size_t i = 0; i < t->count; i++)
		buf_printf(&b, "%s%s", i ? ", " : "", t->items[i]);
	if (b.len)
		http_reply_header(r->x, header, buf_str(&b));
}

static void reply_rule(struct s3_request *r, const struct reader *c)
{
	bool is_any = strcmp(find(&c->found.lists[ORIGINS], c->origin, false), "*") == 0;
	http_reply_header(r->x, "Access-Control-Allow-Origin", is_any ? "*" : c->origin);
	if (!is_any)
		http_reply_header(r->x, "Access-Control-Allow-Credentials", "true");
	reply_list(r, "Access-Control-Allow-Methods", &c->found.lists[METHODS]);
	reply_list(r, "Access-Control-Expose-Headers", &c->found.lists[EXPOSED]);
	if (c->found.max_age)
		http_reply_header(r->x, "Access-Control-Max-Age", c->found.max_age);
	http_reply_header(r->x, "Vary",
			  "Origin, Access-Control-Request-Headers, Access-Control-Request-Method");
}

void cors_reply(struct s3_request *r)
{
	const char *origin = request_header(r, "origin");
	if (!origin || !r->bucket || !*r->bucket || strcmp(r->x->method, "OPTIONS") == 0)
		return;
	CLEANUP(free) struct reader *c = MEM_NEW(struct reader);
	c->origin = origin;
	c->method = r->x->method;
	if (find_rule(r, c))
		reply_rule(r, c);
}

void cors_preflight(struct s3_request *r)
{
	CLEANUP(free) struct reader *c = MEM_NEW(struct reader);
	c->origin = request_header(r, "origin");
	c->method = request_header(r, "access-control-request-method");
	c->headers = request_header(r, "access-control-request-headers");
	if (!c->origin || !c->method || !*r->bucket) {
		reply_error(r, S3_INVALID_REQUEST,
			    "Insufficient information: a bucket, Origin and Access-Control-Request-Method "
			    "are needed");
		return;
	}
	if (!c->headers)
		c->headers = "";
	if (!find_rule(r, c)) {
		reply_error(r, S3_CORS_REFUSED, NULL);
		return;
	}
	reply_rule(r, c);
	if (*c->headers)
		http_reply_header(r->x, "Access-Control-Allow-Headers", c->headers);
	reply_empty(r, 200);
}
