/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of REST paths, see rest_route.h. */
#include "serving/rest_route.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "base/mem.h"

#define NAME_BYTES_MAX 512

static const struct {
	const char *word;
	enum rest_verb verb;
} post_verbs[] = {{"predict", REST_PREDICT}, {"classify", REST_CLASSIFY}, {"regress", REST_REGRESS}};

static bool word_is(struct str s, const char *word)
{
	return s.len == strlen(word) && strncasecmp(s.data, word, s.len) == 0;
}

/* The part of *rest before 'until' (or all of it); *rest moves behind it, data NULL when nothing is left. */
static struct str cut(struct str *rest, char until)
{
	const char *at = memchr(rest->data, until, rest->len);
	struct str part = *rest;

	if (!at) {
		*rest = (struct str){NULL, 0};
		return part;
	}
	part.len = (size_t)(at - part.data);
	*rest = (struct str){at + 1, rest->len - part.len - 1};
	return part;
}

static int hex_digit(int c)
{
	return c >= '0' && c <= '9'			? c - '0'
	       : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
							: -1;
}

bool rest_path_decode(struct str s, struct arena *arena, struct str *ret)
{
	char *to;
	size_t n = 0;

	if (s.len == 0 || s.len > NAME_BYTES_MAX)
		return false;
	to = arena_alloc(arena, s.len);
	for (size_t i = 0; i < s.len; i++) {
		int c = (unsigned char)s.data[i];
		if (c == '%') {
			int high = i + 2 < s.len ? hex_digit(s.data[i + 1]) : -1;
			int low = i + 2 < s.len ? hex_digit(s.data[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = high * 16 + low;
			i += 2;
		}
		if (c == 0)
			return false;
		to[n++] = (char)c;
	}
	*ret = (struct str){to, n};
	return true;
}

static bool parse_version(struct str s, struct model_spec *spec)
{
	int64_t v = 0;

	if (s.len == 0 || s.len > 19)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!isdigit((unsigned char)s.data[i]) || __builtin_mul_overflow(v, (int64_t)10, &v) ||
		    __builtin_add_overflow(v, (int64_t)(s.data[i] - '0'), &v))
			return false;
	spec->version = v;
	spec->has_version = true;
	return true;
}

/* What follows the name: versions/N, labels/L, metadata. */
static bool parse_tail(struct str rest, bool is_get, struct arena *arena, struct rest_route *ret)
{
	struct str word;

	if (!rest.data)
		return true;
	word = cut(&rest, '/');
	if (word_is(word, "versions") || word_is(word, "labels")) {
		struct str value = rest.data ? cut(&rest, '/') : (struct str){"", 0};
		if (!(word_is(word, "versions") ? parse_version(value, &ret->spec)
						: rest_path_decode(value, arena, &ret->spec.label)))
			return false;
		if (!rest.data)
			return true;
		word = cut(&rest, '/');
	}
	if (!is_get || !word_is(word, "metadata") || rest.data)
		return false;
	ret->verb = REST_METADATA;
	return true;
}

static bool parse_verb(struct str verb, struct rest_route *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(post_verbs); i++) {
		if (word_is(verb, post_verbs[i].word)) {
			ret->verb = post_verbs[i].verb;
			return true;
		}
	}
	return false;
}

static bool parse_models(const char *method, struct str rest, struct arena *arena, struct rest_route *ret)
{
	bool is_get = strcmp(method, "GET") == 0, is_post = strcmp(method, "POST") == 0;
	const char *colon = memrchr(rest.data, ':', rest.len);
	struct str name;

	if (!is_get && !is_post)
		return false;
	ret->verb = REST_STATUS;
	if (is_post) {
		if (!colon ||
		    !parse_verb((struct str){colon + 1, (size_t)(rest.data + rest.len - colon - 1)}, ret))
			return false;
		rest.len = (size_t)(colon - rest.data);
	}
	name = cut(&rest, '/');
	return rest_path_decode(name, arena, &ret->spec.name) && parse_tail(rest, is_get, arena, ret);
}

int rest_route_parse(const char *method, const char *path, struct arena *arena, struct rest_route *ret,
		     struct err *err)
{
	static const char prefix[] = "/v1/models/";

	*ret = (struct rest_route){0};
	if (strncasecmp(path, "/v1/", 4) != 0)
		return err_set(err, ERR_NOT_FOUND, "Not found: %.200s", path);
	if (strncasecmp(path, prefix, strlen(prefix)) == 0 &&
	    parse_models(method, str_from(path + strlen(prefix)), arena, ret))
		return 0;
	return err_set(err, ERR_INVALID, "Malformed request: %.16s %.200s", method, path);
}
