/* SPDX-License-Identifier: Apache-2.0 */
/* The few facts we need of Python's own files. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "cli/jobfile.h"

#define REQUIREMENTS_MAX 256

struct toml {
	const char *p, *end;
	int line;
	struct err *err;
};

static int toml_fail(struct toml *t, const char *what)
{
	return err_set(t->err, ERR_INVALID, "pyproject.toml line %d: %s", t->line, what);
}

static void skip_blank(struct toml *t, bool newlines)
{
	for (; t->p < t->end; t->p++) {
		if (*t->p == '#') {
			while (t->p < t->end && *t->p != '\n')
				t->p++;
			if (t->p == t->end)
				return;
		}
		if (*t->p == '\n' && newlines)
			t->line++;
		else if (*t->p != ' ' && *t->p != '\t' && *t->p != '\r')
			return;
	}
}

/* "basic" with the common escapes, or 'literal'; not the three-quote forms. Appends. */
static int toml_string(struct toml *t, struct buf *ret)
{
	char quote = *t->p++;
	if (t->end - t->p >= 2 && t->p[0] == quote && t->p[1] == quote)
		return toml_fail(t, "multi-line strings are not supported here; use requirements.txt");
	while (t->p < t->end && *t->p != quote) {
		char c = *t->p++;
		if (c == '\n' || c == '\0')
			return toml_fail(t, "the string does not end on its line");
		if (c == '\\' && quote == '"') {
			if (t->p == t->end || !strchr("\"\\tn", *t->p))
				return toml_fail(t, "an escape that is not supported here");
			c = *t->p == 't' ? '\t' : *t->p == 'n' ? '\n' : *t->p;
			t->p++;
		}
		buf_addc(ret, c);
	}
	if (t->p == t->end)
		return toml_fail(t, "the string does not end");
	t->p++;
	return 0;
}

static int toml_string_array(struct toml *t, json_t *array)
{
	t->p++;
	for (;;) {
		skip_blank(t, true);
		if (t->p < t->end && *t->p == ']') {
			t->p++;
			return 0;
		}
		if (t->p == t->end || (*t->p != '"' && *t->p != '\''))
			return toml_fail(t, "expected a string in the list");
		CLEANUP(buf) struct buf s = BUF_INIT;
		int r = toml_string(t, &s);
		if (r < 0)
			return r;
		if (json_array_size(array) >= REQUIREMENTS_MAX ||
		    json_array_append_new(array, json_stringn(buf_str(&s), s.len)) < 0)
			return toml_fail(t, "too many entries, or text that is not UTF-8");
		skip_blank(t, true);
		if (t->p < t->end && *t->p == ',')
			t->p++;
		else if (t->p == t->end || *t->p != ']')
			return toml_fail(t, "expected ',' or ']'");
	}
}

/* Skips the value of a key that we do not read: to the end of the line, through strings and brackets. */
static int toml_skip_value(struct toml *t)
{
	int depth = 0;
	while (t->p < t->end && (*t->p != '\n' || depth > 0)) {
		const char c = *t->p;
		if (t->end - t->p >= 3 && (c == '"' || c == '\'') && t->p[1] == c && t->p[2] == c) {
			const char quote[4] = {c, c, c, 0};
			const char *close = memmem(t->p + 3, (size_t)(t->end - t->p - 3), quote, 3);
			if (!close)
				return toml_fail(t, "the string does not end");
			for (; t->p < close + 3; t->p++)
				t->line += *t->p == '\n';
			continue;
		}
		if (c == '"' || c == '\'') {
			CLEANUP(buf) struct buf ignored = BUF_INIT;
			const char *start = ++t->p;
			while (t->p < t->end && *t->p != c && *t->p != '\n')
				t->p += *t->p == '\\' && c == '"' && t->p + 1 < t->end ? 2 : 1;
			if (t->p >= t->end || *t->p != c)
				return toml_fail(t, start == t->end ? "the string does not end"
								    : "the string does not end on its line");
			t->p++;
			continue;
		}
		if (c == '#') {
			while (t->p < t->end && *t->p != '\n')
				t->p++;
			continue;
		}
		depth += (c == '[' || c == '{') - (c == ']' || c == '}');
		t->line += c == '\n';
		t->p++;
	}
	return 0;
}

/* Bare or dotted key before '='. */
static int toml_key(struct toml *t, char *ret, size_t cap)
{
	size_t n = 0;
	while (t->p < t->end && *t->p != '=' && *t->p != '\n') {
		if (!isspace((unsigned char)*t->p) && *t->p != '"' && n + 1 < cap)
			ret[n++] = *t->p;
		t->p++;
	}
	ret[n] = '\0';
	if (t->p == t->end || *t->p != '=')
		return toml_fail(t, "expected 'key = value'");
	t->p++;
	skip_blank(t, false);
	return 0;
}

static int project_key(struct toml *t, const char *key, json_t *ret)
{
	if (!strcmp(key, "name") && t->p < t->end && (*t->p == '"' || *t->p == '\'')) {
		CLEANUP(buf) struct buf s = BUF_INIT;
		int r = toml_string(t, &s);
		if (r >= 0)
			json_object_set_new(ret, "name", json_stringn(buf_str(&s), s.len));
		return r;
	}
	if (!strcmp(key, "dependencies") && t->p < t->end && *t->p == '[') {
		json_t *array = json_array();
		json_object_set_new(ret, "dependencies", array);
		return toml_string_array(t, array);
	}
	if (!strcmp(key, "dynamic") && t->p < t->end && *t->p == '[') {
		CLEANUP(json) json_t *array = json_array();
		int r = toml_string_array(t, array);
		size_t i;
		const json_t *item;
		json_array_foreach(array, i, item)
		{
			if (!strcmp(json_string_value(item), "dependencies"))
				json_object_set_new(ret, "dynamic_dependencies", json_true());
		}
		return r;
	}
	return toml_skip_value(t);
}

static int toml_table(struct toml *t, char *ret, size_t cap)
{
	const char *close = memchr(t->p, '\n', (size_t)(t->end - t->p));
	size_t n = close ? (size_t)(close - t->p) : (size_t)(t->end - t->p);
	snprintf(ret, cap, "%.*s", (int)n, t->p);
	for (size_t i = strlen(ret); i > 0 && isspace((unsigned char)ret[i - 1]); i--)
		ret[i - 1] = '\0';
	t->p += n;
	return 0;
}

int pyproject_parse(const char *text, size_t len, json_t **ret, struct err *err)
{
	struct toml t = {text, text + len, 1, err};
	CLEANUP(json) json_t *found = json_object();
	char table[128] = "", key[128];
	if (len > JOBFILE_BYTES_MAX)
		return err_set(err, ERR_TOO_LARGE, "pyproject.toml is over %d KiB", JOBFILE_BYTES_MAX >> 10);
	for (;;) {
		skip_blank(&t, true);
		if (t.p >= t.end)
			break;
		int r = 0;
		if (*t.p == '[') {
			r = toml_table(&t, table, sizeof(table));
		} else {
			r = toml_key(&t, key, sizeof(key));
			if (r >= 0)
				r = str_starts(table, "[project]") ? project_key(&t, key, found)
								   : toml_skip_value(&t);
			if (r >= 0)
				skip_blank(&t, false);
		}
		if (r < 0)
			return r;
		if (t.p < t.end && *t.p != '\n')
			return toml_fail(&t, "unexpected text after the value");
	}
	*ret = STEAL(found);
	return 0;
}

static int requirement_line(const char *line, size_t len, int number, json_t *array, struct err *err)
{
	while (len && isspace((unsigned char)line[0]))
		line++, len--;
	for (size_t i = 0; i < len; i++)
		if (line[i] == '#' && (i == 0 || isspace((unsigned char)line[i - 1])))
			len = i;
	while (len && isspace((unsigned char)line[len - 1]))
		len--;
	if (!len)
		return 0;
	if (line[0] == '-')
		return err_set(
		    err, ERR_INVALID,
		    "requirements line %d: the option '%.*s' is not supported; name the packages themselves",
		    number, (int)(len < 60 ? len : 60), line);
	if (json_array_size(array) >= REQUIREMENTS_MAX)
		return err_set(err, ERR_TOO_LARGE, "more than %d requirements", REQUIREMENTS_MAX);
	if (json_array_append_new(array, json_stringn(line, len)) < 0)
		return err_set(err, ERR_INVALID, "requirements line %d: not valid UTF-8 text", number);
	return 0;
}

int requirements_parse(const char *text, size_t len, json_t *array, struct err *err)
{
	CLEANUP(buf) struct buf line = BUF_INIT;
	int number = 1, r = 0;
	for (size_t i = 0; i <= len && r >= 0; i++) {
		if (i < len && text[i] != '\n') {
			buf_addc(&line, text[i]);
			continue;
		}
		if (line.len && line.data[line.len - 1] == '\r')
			line.data[--line.len] = '\0';
		if (line.len && line.data[line.len - 1] == '\\' && i < len) {
			line.data[line.len - 1] = ' ';
		} else {
			r = requirement_line(buf_str(&line), line.len, number, array, err);
			buf_clear(&line);
		}
		number++;
	}
	return r;
}
