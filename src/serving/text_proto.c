/* SPDX-License-Identifier: Apache-2.0 */
/* Reading Protocol Buffers in text, see text_proto.h. */
#include "serving/text_proto.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serving/text_proto_int.h"

static int line_of(const struct text_proto *t)
{
	int line = 1;

	for (const char *p = t->start; p < t->pos; p++)
		line += *p == '\n';
	return line;
}

int text_proto_bad(const struct text_proto *t, struct err *err, const char *why)
{
	return err_set(err, ERR_INVALID, "line %d: %s", line_of(t), why);
}

int text_proto_fail(const struct text_proto *t, const struct text_proto_field *f, const char *why,
		    struct err *err)
{
	return err_set(err, ERR_INVALID, "line %d: field '%.*s' %s", line_of(t),
		       (int)(f->name.len > 100 ? 100 : f->name.len), f->name.data, why);
}

int text_proto_init(struct text_proto *t, struct str text, struct arena *arena, struct err *err)
{
	*t = (struct text_proto){
	    .start = text.data, .pos = text.data, .end = text.data + text.len, .arena = arena};
	if (text.len > TEXT_PROTO_BYTES_MAX)
		return err_set(err, ERR_TOO_LARGE, "the text has %zu bytes, at most %zu are read", text.len,
			       TEXT_PROTO_BYTES_MAX);
	return 0;
}

/* The next byte that is neither white space nor comment, not consumed; 0 at the end. */
int text_proto_peek(struct text_proto *t)
{
	while (t->pos < t->end) {
		if (*t->pos == '#') {
			const char *eol = memchr(t->pos, '\n', (size_t)(t->end - t->pos));
			t->pos = eol ? eol : t->end;
		} else if (isspace((unsigned char)*t->pos)) {
			t->pos++;
		} else {
			return (unsigned char)*t->pos;
		}
	}
	return 0;
}

static bool take(struct text_proto *t, char c)
{
	if (text_proto_peek(t) != (unsigned char)c || t->pos >= t->end)
		return false;
	t->pos++;
	return true;
}

static bool is_word(int c)
{
	return isalnum(c) || c == '_';
}

static struct str take_word(struct text_proto *t)
{
	const char *from = t->pos;

	while (t->pos < t->end && is_word((unsigned char)*t->pos))
		t->pos++;
	return (struct str){from, (size_t)(t->pos - from)};
}

static int read_name(struct text_proto *t, struct str *ret, struct err *err)
{
	int c = text_proto_peek(t);

	if (c == '[') {
		const char *from = t->pos, *close = memchr(from, ']', (size_t)(t->end - from));
		if (!close || close == from + 1)
			return text_proto_bad(t, err, "the name in brackets does not end");
		for (const char *p = from + 1; p < close; p++)
			if (!is_word((unsigned char)*p) && !strchr("./-", *p))
				return text_proto_bad(t, err, "a name in brackets holds a stray character");
		*ret = (struct str){from, (size_t)(close + 1 - from)};
		t->pos = close + 1;
		return 0;
	}
	if (!isalpha(c) && c != '_')
		return text_proto_bad(t, err, "the name of a field is expected");
	*ret = take_word(t);
	return 0;
}

/* A number or a word, with its sign. */
static int read_plain(struct text_proto *t, struct text_proto_field *f, struct err *err)
{
	const char *from = t->pos;
	bool negative = take(t, '-');
	int c = text_proto_peek(t);

	if (negative && t->pos != from + 1)
		return text_proto_bad(t, err, "there is a gap behind '-'");
	if (isalpha(c) || c == '_') {
		f->kind = TEXT_PROTO_WORD;
		take_word(t);
	} else if (isdigit(c) || c == '.') {
		f->kind = TEXT_PROTO_NUMBER;
		while (t->pos < t->end &&
		       (is_word((unsigned char)*t->pos) || *t->pos == '.' ||
			((*t->pos == '+' || *t->pos == '-') && (t->pos[-1] | 0x20) == 'e')))
			t->pos++;
	} else {
		return text_proto_bad(t, err, "a value is expected");
	}
	f->value = (struct str){from, (size_t)(t->pos - from)};
	return 0;
}

static int read_scalar(struct text_proto *t, struct text_proto_field *f, struct err *err)
{
	int c = text_proto_peek(t), r;

	if (c == '"' || c == '\'') {
		f->kind = TEXT_PROTO_STRING;
		r = text_proto_read_string(t, &f->value, err);
	} else {
		r = read_plain(t, f, err);
	}
	return r < 0 ? r : TEXT_PROTO_VALUE;
}

static int open_message(struct text_proto *t, char closer, struct err *err)
{
	if (t->depth == TEXT_PROTO_DEPTH_MAX)
		return err_set(err, ERR_TOO_LARGE, "line %d: more than %d messages inside each other",
			       line_of(t), TEXT_PROTO_DEPTH_MAX);
	t->depth++;
	t->levels[t->depth].closer = closer;
	t->levels[t->depth].in_list = false;
	return TEXT_PROTO_OPEN;
}

/* A message or a scalar: what a field or an element of a list is. */
static int read_value(struct text_proto *t, struct text_proto_field *f, bool scalar_allowed, struct err *err)
{
	if (take(t, '{'))
		return open_message(t, '}', err);
	if (take(t, '<'))
		return open_message(t, '>', err);
	if (!scalar_allowed)
		return text_proto_fail(t, f, "is not followed by ':' or a message", err);
	return read_scalar(t, f, err);
}

/* Between two elements of a list. Returns 1 when an element follows, 0 when the list has ended. */
static int list_goes_on(struct text_proto *t, struct err *err)
{
	if (take(t, ','))
		return 1;
	if (!take(t, ']'))
		return text_proto_bad(t, err, "',' or ']' is expected in a list");
	t->levels[t->depth].in_list = false;
	return 0;
}

static int close_message(struct text_proto *t)
{
	t->depth--;
	return TEXT_PROTO_CLOSE;
}

static int read_field(struct text_proto *t, struct text_proto_field *f, struct err *err)
{
	bool colon;
	int r = read_name(t, &f->name, err);

	if (r < 0)
		return r;
	colon = take(t, ':');
	if (!take(t, '['))
		return read_value(t, f, colon, err);
	if (take(t, ']'))
		return -ERR_CODE_COUNT; /* an empty list is nothing */
	t->levels[t->depth].in_list = true;
	t->levels[t->depth].list_name = f->name;
	return read_value(t, f, true, err);
}

int text_proto_next(struct text_proto *t, struct text_proto_field *ret, struct err *err)
{
	*ret = (struct text_proto_field){0};
	for (;;) {
		char closer = t->levels[t->depth].closer;
		if (t->levels[t->depth].in_list) {
			int r = list_goes_on(t, err);
			if (r < 0)
				return r;
			if (r > 0) {
				ret->name = t->levels[t->depth].list_name;
				return read_value(t, ret, true, err);
			}
		}
		if (!take(t, ','))
			take(t, ';');
		if (closer && take(t, closer))
			return close_message(t);
		text_proto_peek(t);
		if (t->pos >= t->end)
			return closer ? text_proto_bad(t, err, "the text ends inside a message")
				      : TEXT_PROTO_EOF;
		int r = read_field(t, ret, err);
		if (r != -ERR_CODE_COUNT)
			return r;
	}
}

int text_proto_skip(struct text_proto *t, struct err *err)
{
	int until = t->depth - 1, r = 0;
	struct text_proto_field f;

	while (t->depth > until && r >= 0)
		r = text_proto_next(t, &f, err);
	return r < 0 ? r : 0;
}
