/* SPDX-License-Identifier: Apache-2.0 */
/* YAML by libyaml's event parser, straight into JSON. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/jobfile.h"

#define DEPTH_MAX 32

struct level {
	json_t *container; /* borrowed from the root */
	char *key;	   /* of the value that comes next; objects only */
};
struct builder {
	struct level levels[DEPTH_MAX];
	int depth;
	json_t *root;
	bool ended;
};

static json_t *plain_scalar(const char *s, size_t len)
{
	static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
	static const char *const trues[] = {"true", "True", "TRUE"}, *const falses[] = {"false", "False",
											"FALSE"};
	for (size_t i = 0; i < ARRAY_LEN(nulls); i++)
		if (!strcmp(s, nulls[i]))
			return json_null();
	for (size_t i = 0; i < ARRAY_LEN(trues); i++)
		if (!strcmp(s, trues[i]))
			return json_true();
	for (size_t i = 0; i < ARRAY_LEN(falses); i++)
		if (!strcmp(s, falses[i]))
			return json_false();
	const char *digits = s + (*s == '-' || *s == '+');
	if (*digits && strspn(digits, "0123456789") == strlen(digits)) {
		errno = 0;
		long long v = strtoll(s, NULL, 10);
		if (!errno)
			return json_integer(v);
	}
	if (*digits && strspn(digits, "0123456789.eE+-") == strlen(digits) && strpbrk(digits, "0123456789")) {
		char *end = NULL;
		double v = strtod(s, &end);
		if (!*end && isfinite(v))
			return json_real(v);
	}
	return json_stringn(s, len);
}

/* Takes value. */
static int add_value(struct builder *b, json_t *value, size_t line, struct err *err)
{
	if (!value)
		return err_set(err, ERR_INVALID, "line %zu: not valid UTF-8 text", line);
	if (!b->depth) {
		if (b->root) {
			json_decref(value);
			return err_set(err, ERR_INVALID, "line %zu: more than one document", line);
		}
		b->root = value;
		return 0;
	}
	struct level *l = &b->levels[b->depth - 1];
	if (json_is_array(l->container))
		return json_array_append_new(l->container, value) < 0
			   ? err_set(err, ERR_NO_MEMORY, "no memory")
			   : 0;
	if (json_object_get(l->container, l->key)) {
		json_decref(value);
		return err_set(err, ERR_INVALID, "line %zu: the key '%s' is there twice", line, l->key);
	}
	int r = json_object_set_new(l->container, l->key, value);
	free(l->key);
	l->key = NULL;
	return r < 0 ? err_set(err, ERR_INVALID, "line %zu: not valid UTF-8 text", line) : 0;
}

static int open_container(struct builder *b, json_t *container, size_t line, struct err *err)
{
	struct level *l = b->depth ? &b->levels[b->depth - 1] : NULL;
	if (b->depth >= DEPTH_MAX || (l && json_is_object(l->container) && !l->key)) {
		json_decref(container);
		return err_set(err, ERR_INVALID,
			       b->depth >= DEPTH_MAX ? "line %zu: nested too deeply"
						     : "line %zu: a key must be text",
			       line);
	}
	int r = add_value(b, container, line, err);
	if (r < 0)
		return r;
	b->levels[b->depth++] = (struct level){.container = container};
	return 0;
}

static int scalar(struct builder *b, const yaml_event_t *e, size_t line, struct err *err)
{
	const char *s = (const char *)e->data.scalar.value;
	size_t len = e->data.scalar.length;
	if (memchr(s, '\0', len))
		return err_set(err, ERR_INVALID, "line %zu: text with a NUL character", line);
	struct level *l = b->depth ? &b->levels[b->depth - 1] : NULL;
	if (l && json_is_object(l->container) && !l->key) {
		l->key = mem_strndup(s, len);
		return 0;
	}
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return add_value(b, plain ? plain_scalar(s, len) : json_stringn(s, len), line, err);
}

static int handle_event(struct builder *b, const yaml_event_t *e, struct err *err)
{
	size_t line = e->start_mark.line + 1;
	bool marked = (e->type == YAML_SCALAR_EVENT && (e->data.scalar.anchor || e->data.scalar.tag)) ||
		      (e->type == YAML_SEQUENCE_START_EVENT &&
		       (e->data.sequence_start.anchor || e->data.sequence_start.tag)) ||
		      (e->type == YAML_MAPPING_START_EVENT &&
		       (e->data.mapping_start.anchor || e->data.mapping_start.tag));
	if (marked || e->type == YAML_ALIAS_EVENT)
		return err_set(err, ERR_INVALID, "line %zu: anchors, aliases and tags are not allowed here",
			       line);
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return scalar(b, e, line, err);
	case YAML_SEQUENCE_START_EVENT:
		return open_container(b, json_array(), line, err);
	case YAML_MAPPING_START_EVENT:
		return open_container(b, json_object(), line, err);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return 0;
	case YAML_STREAM_END_EVENT:
		b->ended = true;
		return 0;
	default:
		return 0;
	}
}

int jobfile_parse_yaml(const char *text, size_t len, json_t **ret, struct err *err)
{
	yaml_parser_t parser;
	struct builder b = {0};
	int r = 0;
	if (len > JOBFILE_BYTES_MAX)
		return err_set(err, ERR_TOO_LARGE, "the file is over %d KiB", JOBFILE_BYTES_MAX >> 10);
	if (!yaml_parser_initialize(&parser))
		return err_set(err, ERR_NO_MEMORY, "no memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (r >= 0 && !b.ended) {
		yaml_event_t event;
		if (!yaml_parser_parse(&parser, &event)) {
			r = err_set(err, ERR_INVALID, "line %zu: %s", parser.problem_mark.line + 1,
				    parser.problem ? parser.problem : "not YAML");
			break;
		}
		r = handle_event(&b, &event, err);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	for (int i = 0; i < DEPTH_MAX; i++)
		free(b.levels[i].key);
	if (r >= 0 && !b.root)
		r = err_set(err, ERR_INVALID, "the file is empty");
	if (r < 0) {
		json_decref(b.root);
		return r;
	}
	*ret = b.root;
	return 0;
}

int jobfile_read(const char *path, json_t **ret, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	int r = fd_read_file(AT_FDCWD, path, JOBFILE_BYTES_MAX, &text, err);
	if (r >= 0)
		r = jobfile_parse_yaml(buf_str(&text), text.len, ret, err);
	if (r < 0)
		return err_wrap(err, "reading '%s'", path);
	if (!json_is_object(*ret)) {
		json_decref(*ret);
		*ret = NULL;
		return err_set(
		    err, ERR_INVALID,
		    "reading '%s': a job file is a mapping of fields such as 'command: [python, train.py]'",
		    path);
	}
	return 0;
}
