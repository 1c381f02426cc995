/* SPDX-License-Identifier: Apache-2.0 */
/* Writing of JSON text. Unlike jansson's, numbers are the shortest that read back the same: 0.1, not
 * 0.10000000000000001. */
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer {
	struct buf *out;
	bool pretty;
	int depth;
};

static void write_value(struct writer *w, const json_t *j);

static void write_string(struct buf *out, const char *s, size_t len)
{
	buf_addc(out, '"');
	size_t from = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = s[i];
		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		buf_add(out, s + from, i - from);
		from = i + 1;
		switch (c) {
		case '"':
			buf_adds(out, "\\\"");
			break;
		case '\\':
			buf_adds(out, "\\\\");
			break;
		case '\n':
			buf_adds(out, "\\n");
			break;
		case '\r':
			buf_adds(out, "\\r");
			break;
		case '\t':
			buf_adds(out, "\\t");
			break;
		default:
			buf_printf(out, "\\u%04x", c);
		}
	}
	buf_add(out, s + from, len - from);
	buf_addc(out, '"');
}

static void write_real(struct buf *out, double value)
{
	char text[40];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buf_adds(out, text);
	if (!strpbrk(text, ".e")) /* stays a real when read again */
		buf_adds(out, ".0");
}

static void new_line(struct writer *w)
{
	if (!w->pretty)
		return;
	buf_addc(w->out, '\n');
	for (int i = 0; i < w->depth; i++)
		buf_adds(w->out, "  ");
}

static void write_array(struct writer *w, const json_t *j)
{
	size_t count = json_array_size(j);
	buf_addc(w->out, '[');
	w->depth++;
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_addc(w->out, ',');
		new_line(w);
		write_value(w, json_array_get(j, i));
	}
	w->depth--;
	if (count)
		new_line(w);
	buf_addc(w->out, ']');
}

static void write_object(struct writer *w, const json_t *j)
{
	bool first = true;
	buf_addc(w->out, '{');
	w->depth++;
	json_t *object = (json_t *)j; /* jansson's iterators take no const; nothing is changed */
	for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
		if (!first)
			buf_addc(w->out, ',');
		first = false;
		new_line(w);
		write_string(w->out, json_object_iter_key(it), strlen(json_object_iter_key(it)));
		buf_adds(w->out, w->pretty ? ": " : ":");
		write_value(w, json_object_iter_value(it));
	}
	w->depth--;
	if (!first)
		new_line(w);
	buf_addc(w->out, '}');
}

static void write_value(struct writer *w, const json_t *j)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		write_object(w, j);
		break;
	case JSON_ARRAY:
		write_array(w, j);
		break;
	case JSON_STRING:
		write_string(w->out, json_string_value(j), json_string_length(j));
		break;
	case JSON_INTEGER:
		buf_printf(w->out, "%" JSON_INTEGER_FORMAT, json_integer_value(j));
		break;
	case JSON_REAL:
		write_real(w->out, json_real_value(j));
		break;
	case JSON_TRUE:
		buf_adds(w->out, "true");
		break;
	case JSON_FALSE:
		buf_adds(w->out, "false");
		break;
	case JSON_NULL:
		buf_adds(w->out, "null");
		break;
	}
}

void json_write(const json_t *j, struct buf *ret)
{
	struct writer w = {.out = ret};
	write_value(&w, j);
}

void json_write_pretty(const json_t *j, struct buf *ret)
{
	struct writer w = {.out = ret, .pretty = true};
	write_value(&w, j);
	buf_addc(ret, '\n');
}
