/* SPDX-License-Identifier: Apache-2.0 */
/* Walking and writing JSON text, see json_text.h. */
#include "serving/json_text.h"

#include <string.h>
#include "base/utf8.h"

void json_text_init(struct json_text *j, struct str text)
{
	j->start = j->pos = text.data;
	j->end = text.data + text.len;
}

int json_text_fail(const struct json_text *j, struct err *err, const char *what)
{
	return err_set(err, ERR_INVALID, "JSON Parse error: %s at offset: %zu", what,
		       (size_t)(j->pos - j->start));
}

bool json_text_take_word(struct json_text *j, const char *word)
{
	size_t len;

	if (json_text_peek(j) != word[0])
		return false;
	len = strlen(word);
	if ((size_t)(j->end - j->pos) < len || memcmp(j->pos, word, len) != 0)
		return false;
	j->pos += len;
	return true;
}

static int hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int c = p[i], d;
		if (c >= '0' && c <= '9')
			d = c - '0';
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			d = (c | 0x20) - 'a' + 10;
		else
			return -1;
		v = v * 16 + d;
	}
	return v;
}

static char *put_utf8(char *to, unsigned c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
		*to++ = (char)(0x80 | (c & 0x3f));
	}
	return to;
}

/* The escape at p (behind the backslash); NULL when malformed. A character never needs more bytes than its
 * escape. */
static const char *unescape(const char *p, const char *end, char **to)
{
	static const char from[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
	const char *simple = p < end && *p ? strchr(from, *p) : NULL;
	int c, low;

	if (simple) {
		*(*to)++ = plain[simple - from];
		return p + 1;
	}
	if (p == end || *p != 'u')
		return NULL;
	c = hex4(p + 1, end);
	p += 5;
	if (c < 0 || (c >= 0xdc00 && c < 0xe000))
		return NULL;
	if (c >= 0xd800 && c < 0xdc00) {
		if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
			return NULL;
		low = hex4(p + 2, end);
		if (low < 0xdc00 || low >= 0xe000)
			return NULL;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		p += 6;
	}
	*to = put_utf8(*to, (unsigned)c);
	return p;
}

/* Finds the closing quote; the text begins behind the opening one. */
static const char *string_end(struct json_text *j, bool *escapes, struct err *err)
{
	const char *p = j->pos;

	*escapes = false;
	for (; p < j->end && *p != '"'; p++) {
		if ((unsigned char)*p < 0x20) {
			j->pos = p;
			json_text_fail(j, err, "Control character in a string");
			return NULL;
		}
		if (*p == '\\') {
			*escapes = true;
			if (++p == j->end)
				break;
		}
	}
	if (p < j->end)
		return p;
	json_text_fail(j, err, "Missing a closing quotation mark in string");
	return NULL;
}

int json_text_string(struct json_text *j, struct arena *arena, struct str *ret, struct err *err)
{
	const char *end, *p;
	char *copy, *to;
	bool escapes;

	if (!json_text_take(j, '"'))
		return json_text_fail(j, err, "A string is missing");
	end = string_end(j, &escapes, err);
	if (!end)
		return -err->code;
	*ret = (struct str){j->pos, (size_t)(end - j->pos)};
	if (escapes) {
		copy = to = arena_try_alloc(arena, ret->len, 1);
		if (!copy)
			return err_set(err, ERR_TOO_LARGE,
				       "request needs more memory than one request may use");
		for (p = j->pos; p < end;) {
			if (*p != '\\') {
				*to++ = *p++;
				continue;
			}
			p = unescape(p + 1, end, &to);
			if (!p)
				return json_text_fail(j, err, "Invalid escape character in string");
		}
		*ret = (struct str){copy, (size_t)(to - copy)};
	}
	j->pos = end + 1;
	return 0;
}

static int skip_scalar(struct json_text *j, int c, struct err *err)
{
	struct json_number number;
	const char *end;
	bool escapes;

	if (c == '"') {
		j->pos++;
		end = string_end(j, &escapes, err);
		if (!end)
			return -err->code;
		j->pos = end + 1;
		return 0;
	}
	if ((c == 't' && json_text_take_word(j, "true")) || (c == 'f' && json_text_take_word(j, "false")) ||
	    (c == 'n' && json_text_take_word(j, "null")))
		return 0;
	return json_text_number(j, &number, err);
}

static int skip_key(struct json_text *j, struct err *err)
{
	int r;

	if (json_text_peek(j) != '"')
		return json_text_fail(j, err, "Missing a name for object member.");
	r = skip_scalar(j, '"', err);
	if (r >= 0 && !json_text_take(j, ':'))
		r = json_text_fail(j, err, "Missing a colon after a name of object member.");
	return r;
}

/* Behind a value at 'depth': passes commas and closing brackets. 1: another value follows, 0: all closed. */
static int skip_after_value(struct json_text *j, const char *open, int *depth, struct err *err)
{
	int r;

	while (*depth > 0) {
		if (json_text_take(j, ',')) {
			r = open[*depth - 1] == '{' ? skip_key(j, err) : 0;
			return r < 0 ? r : 1;
		}
		if (!json_text_take(j, open[*depth - 1] == '{' ? '}' : ']'))
			return json_text_fail(j, err, "Missing a comma or a closing bracket");
		(*depth)--;
	}
	return 0;
}

int json_text_skip(struct json_text *j, size_t *scalars, struct err *err)
{
	char open[JSON_TEXT_DEPTH_MAX];
	int depth = 0, r;

	do {
		int c = json_text_peek(j);
		if (c == '[' || c == '{') {
			if (depth == JSON_TEXT_DEPTH_MAX)
				return json_text_fail(j, err, "More than 64 levels");
			open[depth++] = (char)c;
			j->pos++;
			if (json_text_peek(j) == (c == '{' ? '}' : ']')) {
				j->pos++;
				depth--;
			} else {
				r = c == '{' ? skip_key(j, err) : 0;
				if (r < 0)
					return r;
				continue;
			}
		} else {
			r = skip_scalar(j, c, err);
			if (r < 0)
				return r;
			if (scalars)
				(*scalars)++;
		}
		r = skip_after_value(j, open, &depth, err);
		if (r <= 0)
			return r;
	} while (true);
}

int json_text_member(struct json_text *j, bool *first, struct arena *arena, struct str *ret_key,
		     struct err *err)
{
	int r;

	if (*first ? !json_text_take(j, '{') : json_text_take(j, '}'))
		return *first ? json_text_fail(j, err, "An object is missing") : 0;
	if (*first && json_text_take(j, '}'))
		return 0;
	if (!*first && !json_text_take(j, ','))
		return json_text_fail(j, err, "Missing a comma or } after an object member.");
	*first = false;
	r = json_text_string(j, arena, ret_key, err);
	if (r >= 0 && !json_text_take(j, ':'))
		r = json_text_fail(j, err, "Missing a colon after a name of object member.");
	return r < 0 ? r : 1;
}

int json_text_bool(struct json_text *j, bool *ret, struct err *err)
{
	*ret = json_text_take_word(j, "true");
	if (*ret || json_text_take_word(j, "false"))
		return 0;
	return json_text_fail(j, err, "true or false is expected");
}

int json_text_end(struct json_text *j, struct err *err)
{
	json_text_peek(j); /* a NUL is no end */
	return j->pos == j->end ? 0 : json_text_fail(j, err, "Something follows the request");
}

int json_text_element(struct json_text *j, bool *first, struct err *err)
{
	if (*first ? !json_text_take(j, '[') : json_text_take(j, ']'))
		return *first ? json_text_fail(j, err, "An array is missing") : 0;
	if (*first && json_text_take(j, ']'))
		return 0;
	if (!*first && !json_text_take(j, ','))
		return json_text_fail(j, err, "Missing a comma or ] after an array element.");
	*first = false;
	return 1;
}

/* A character of several bytes, or the mark for what is none in place of one byte: names of strangers and
 * messages that were cut stand in answers, and those must be JSON. Returns the bytes it stands for. */
static size_t write_character(struct buf *b, const char *p, const char *end)
{
	size_t n = utf8_length(p, end);

	if (n > 0)
		buf_add(b, p, n);
	else
		buf_adds(b, "\xef\xbf\xbd");
	return n > 0 ? n : 1;
}

void json_text_write_string(struct buf *b, struct str s)
{
	buf_reserve(b, s.len + 2);
	buf_addc(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];
		if (c == '"' || c == '\\')
			buf_addc(b, '\\');
		if (c >= 0x80)
			i += write_character(b, s.data + i, s.data + s.len) - 1;
		else if (c >= 0x20)
			buf_addc(b, (char)c);
		else if (c == '\n')
			buf_adds(b, "\\n");
		else if (c == '\t')
			buf_adds(b, "\\t");
		else if (c == '\r')
			buf_adds(b, "\\r");
		else
			buf_printf(b, "\\u%04x", c);
	}
	buf_addc(b, '"');
}
