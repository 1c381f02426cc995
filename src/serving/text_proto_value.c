/* SPDX-License-Identifier: Apache-2.0 */
/* Values of Protocol Buffers in text: strings with escapes, numbers, words. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serving/text_proto_int.h"

static int hex_value(int c)
{
	return c >= '0' && c <= '9'			? c - '0'
	       : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
							: -1;
}

static void add_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_addc(b, (char)c);
	} else if (c < 0x800) {
		buf_addc(b, (char)(0xc0 | c >> 6));
		buf_addc(b, (char)(0x80 | (c & 0x3f)));
	} else {
		if (c < 0x10000) {
			buf_addc(b, (char)(0xe0 | c >> 12));
		} else {
			buf_addc(b, (char)(0xf0 | c >> 18));
			buf_addc(b, (char)(0x80 | (c >> 12 & 0x3f)));
		}
		buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_addc(b, (char)(0x80 | (c & 0x3f)));
	}
}

/* Up to 'max' digits of a base; false when there is none. */
static bool read_digits(struct text_proto *t, int base, int max, uint32_t *ret)
{
	int n = 0;

	for (*ret = 0; n < max && t->pos < t->end; n++, t->pos++) {
		int digit = hex_value((unsigned char)*t->pos);
		if (digit < 0 || digit >= base)
			break;
		*ret = *ret * (uint32_t)base + (uint32_t)digit;
	}
	return n > 0;
}

static int read_unicode(struct text_proto *t, int digits, struct buf *b, struct err *err)
{
	const char *from = t->pos;
	uint32_t c;

	if (!read_digits(t, 16, digits, &c) || t->pos != from + digits || c > 0x10ffff ||
	    (c >= 0xd800 && c <= 0xdfff))
		return text_proto_bad(t, err, "\\u or \\U does not name a character");
	add_utf8(b, c);
	return 0;
}

/* Behind the backslash. */
static int read_escape(struct text_proto *t, struct buf *b, struct err *err)
{
	static const char letters[] = "abfnrtv\\'\"?", meanings[] = "\a\b\f\n\r\t\v\\'\"?";
	const char *letter;
	uint32_t value;
	char c;

	if (t->pos >= t->end)
		return text_proto_bad(t, err, "a string does not end");
	c = *t->pos;
	if (c >= '0' && c <= '7') {
		read_digits(t, 8, 3, &value);
		if (value > 255)
			return text_proto_bad(t, err, "an octal escape is larger than a byte");
		buf_addc(b, (char)value);
		return 0;
	}
	t->pos++;
	if (c == 'x' || c == 'X') {
		if (!read_digits(t, 16, 2, &value))
			return text_proto_bad(t, err, "\\x has no digits");
		buf_addc(b, (char)value);
		return 0;
	}
	if (c == 'u' || c == 'U')
		return read_unicode(t, c == 'u' ? 4 : 8, b, err);
	letter = c ? strchr(letters, c) : NULL;
	if (!letter)
		return text_proto_bad(t, err, "a string holds an unknown escape");
	buf_addc(b, meanings[letter - letters]);
	return 0;
}

static int read_quoted(struct text_proto *t, struct buf *b, struct err *err)
{
	char quote = *t->pos++;
	int r;

	while (t->pos < t->end) {
		char c = *t->pos++;
		if (c == quote)
			return 0;
		if (c == '\n')
			break;
		if (c != '\\') {
			buf_addc(b, c);
			continue;
		}
		r = read_escape(t, b, err);
		if (r < 0)
			return r;
	}
	return text_proto_bad(t, err, "a string does not end");
}

int text_proto_read_string(struct text_proto *t, struct str *ret, struct err *err)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	int c, r;

	while ((c = text_proto_peek(t)) == '"' || c == '\'') {
		r = read_quoted(t, &b, err);
		if (r < 0)
			return r;
	}
	ret->data = arena_strndup(t->arena, buf_str(&b), b.len);
	ret->len = b.len;
	if (!ret->data)
		return err_set(err, ERR_TOO_LARGE, "the text's strings need more memory than they may use");
	return 0;
}

/* The value as a C string on the caller's stack; false when it is too long for any number. */
static bool copy_number(const struct text_proto_field *f, char ret[64])
{
	if (f->value.len >= 64)
		return false;
	memcpy(ret, f->value.data, f->value.len);
	ret[f->value.len] = 0;
	return true;
}

int text_proto_int(const struct text_proto *t, const struct text_proto_field *f, int64_t min, int64_t max,
		   int64_t *ret, struct err *err)
{
	char text[64], *end;
	long long v;

	if (f->kind != TEXT_PROTO_NUMBER || !copy_number(f, text))
		return text_proto_fail(t, f, "must be a whole number", err);
	errno = 0;
	v = strtoll(text, &end, 0);
	if (*end || end == text)
		return text_proto_fail(t, f, "must be a whole number", err);
	if (errno || v < min || v > max) {
		CLEANUP(free)
		char *why = mem_printf("must be from %lld to %lld", (long long)min, (long long)max);
		return text_proto_fail(t, f, why, err);
	}
	*ret = v;
	return 0;
}

int text_proto_bool(const struct text_proto *t, const struct text_proto_field *f, bool *ret, struct err *err)
{
	static const char *const yes[] = {"true", "True", "t", "1"}, *const no[] = {"false", "False", "f",
										    "0"};

	for (size_t i = 0; i < ARRAY_LEN(yes) && f->kind != TEXT_PROTO_STRING; i++) {
		if (str_eq(f->value, yes[i]) || str_eq(f->value, no[i])) {
			*ret = str_eq(f->value, yes[i]);
			return 0;
		}
	}
	return text_proto_fail(t, f, "must be true or false", err);
}

int text_proto_double(const struct text_proto *t, const struct text_proto_field *f, double *ret,
		      struct err *err)
{
	char text[64], *end;

	if (f->kind == TEXT_PROTO_STRING || !copy_number(f, text))
		return text_proto_fail(t, f, "must be a number", err);
	*ret = strtod(text, &end);
	if (end != text && (*end == 'f' || *end == 'F'))
		end++;
	if (end == text || *end)
		return text_proto_fail(t, f, "must be a number", err);
	return 0;
}

int text_proto_string(const struct text_proto *t, const struct text_proto_field *f, size_t max,
		      const char **ret, struct err *err)
{
	if (f->kind != TEXT_PROTO_STRING)
		return text_proto_fail(t, f, "must be a string in quotes", err);
	if (f->value.len > max || memchr(f->value.data, 0, f->value.len))
		return text_proto_fail(t, f, "is too long or holds a NUL", err);
	*ret = f->value.data;
	return 0;
}
