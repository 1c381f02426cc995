/* SPDX-License-Identifier: Apache-2.0 */
/* The engine behind the field tables: defaults, release, copy and parse. Formatting is in field_format.c. */
#include "core/field.h"

#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/unit.h"
#include "core/job.h"

#define MEMBER(type, object, f) ((type *)(void *)((char *)(object) + (f)->offset))

void fields_init(const struct field *fields, void *object)
{
	for (const struct field *f = fields; f->key; f++) {
		switch (f->type) {
		case FIELD_STRING:
			*MEMBER(char *, object, f) = mem_strdup(f->text);
			break;
		case FIELD_CHARS:
			memset(MEMBER(char, object, f), 0, f->cap);
			break;
		case FIELD_STRINGS:
		case FIELD_ENV:
			*MEMBER(char **, object, f) = NULL;
			break;
		case FIELD_INT:
		case FIELD_BYTES:
		case FIELD_CPU:
		case FIELD_DURATION:
		case FIELD_TIME:
			*MEMBER(int64_t, object, f) = f->number;
			break;
		case FIELD_BOOL:
			*MEMBER(bool, object, f) = f->number != 0;
			break;
		case FIELD_INT32:
		case FIELD_WORD:
			*MEMBER(int, object, f) = (int)f->number;
			break;
		case FIELD_PROGRESS:
			*MEMBER(struct progress, object, f) = PROGRESS_NONE;
			break;
		case FIELD_GROUP:
			fields_init(f->group, MEMBER(char, object, f));
			break;
		}
	}
}

void fields_done(const struct field *fields, void *object)
{
	for (const struct field *f = fields; f->key; f++) {
		if (f->type == FIELD_STRING) {
			free(*MEMBER(char *, object, f));
			*MEMBER(char *, object, f) = NULL;
		} else if (f->type == FIELD_STRINGS || f->type == FIELD_ENV) {
			strings_free(*MEMBER(char **, object, f));
			*MEMBER(char **, object, f) = NULL;
		} else if (f->type == FIELD_GROUP) {
			fields_done(f->group, MEMBER(char, object, f));
		}
	}
}

void fields_copy(const struct field *fields, const void *from, void *to)
{
	for (const struct field *f = fields; f->key; f++) {
		switch (f->type) {
		case FIELD_STRING:
			free(*MEMBER(char *, to, f));
			*MEMBER(char *, to, f) = mem_strdup(*MEMBER(char *const, from, f));
			break;
		case FIELD_CHARS:
			memcpy(MEMBER(char, to, f), MEMBER(const char, from, f), f->cap);
			break;
		case FIELD_STRINGS:
		case FIELD_ENV: {
			char **old = *MEMBER(char **, from, f);
			strings_free(*MEMBER(char **, to, f));
			*MEMBER(char **, to, f) = old ? strings_copy(old) : NULL;
			break;
		}
		case FIELD_INT:
		case FIELD_BYTES:
		case FIELD_CPU:
		case FIELD_DURATION:
		case FIELD_TIME:
			*MEMBER(int64_t, to, f) = *MEMBER(const int64_t, from, f);
			break;
		case FIELD_BOOL:
			*MEMBER(bool, to, f) = *MEMBER(const bool, from, f);
			break;
		case FIELD_INT32:
		case FIELD_WORD:
			*MEMBER(int, to, f) = *MEMBER(const int, from, f);
			break;
		case FIELD_PROGRESS:
			*MEMBER(struct progress, to, f) = *MEMBER(const struct progress, from, f);
			break;
		case FIELD_GROUP:
			fields_copy(f->group, MEMBER(const char, from, f), MEMBER(char, to, f));
			break;
		}
	}
}

static bool texts_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool lists_equal(char *const *a, char *const *b)
{
	size_t i = 0;
	if (!a || !b)
		return a == b;
	while (a[i] && b[i] && strcmp(a[i], b[i]) == 0)
		i++;
	return !a[i] && !b[i];
}

static bool field_equal(const struct field *f, const void *a, const void *b)
{
	switch (f->type) {
	case FIELD_STRING:
		return texts_equal(*MEMBER(char *const, a, f), *MEMBER(char *const, b, f));
	case FIELD_CHARS:
		return strncmp(MEMBER(const char, a, f), MEMBER(const char, b, f), f->cap) == 0;
	case FIELD_STRINGS:
	case FIELD_ENV:
		return lists_equal(*MEMBER(char **const, a, f), *MEMBER(char **const, b, f));
	case FIELD_INT:
	case FIELD_BYTES:
	case FIELD_CPU:
	case FIELD_DURATION:
	case FIELD_TIME:
		return *MEMBER(const int64_t, a, f) == *MEMBER(const int64_t, b, f);
	case FIELD_BOOL:
		return *MEMBER(const bool, a, f) == *MEMBER(const bool, b, f);
	case FIELD_INT32:
	case FIELD_WORD:
		return *MEMBER(const int, a, f) == *MEMBER(const int, b, f);
	case FIELD_GROUP:
		return fields_equal(f->group, MEMBER(const char, a, f), MEMBER(const char, b, f));
	case FIELD_PROGRESS:
		break;
	}
	return false;
}

bool fields_equal(const struct field *fields, const void *a, const void *b)
{
	const struct field *f = fields;
	while (f->key && field_equal(f, a, b))
		f++;
	return !f->key;
}

static void words_list(const char *const *words, char *ret, size_t cap)
{
	size_t len = 0;
	ret[0] = '\0';
	for (size_t i = 0; words[i] && len < cap; i++)
		len += (size_t)snprintf(ret + len, cap - len, "%s'%s'", i ? ", " : "", words[i]);
}

static int word_find(const struct field *f, const char *value)
{
	for (int i = 0; f->words[i]; i++)
		if (strcmp(f->words[i], value) == 0)
			return i;
	return -1;
}

static void fail_word_list(struct json_reader *r, const struct field *f, const char *value)
{
	char list[200];
	words_list(f->words, list, sizeof(list));
	json_reader_fail(r, "%s '%.40s' is unknown; it is one of %s", f->key, value, list);
}

static void check_string(struct json_reader *r, const struct field *f, const char *value)
{
	struct err err = ERR_INIT;
	if (f->words && word_find(f, value) < 0)
		fail_word_list(r, f, value);
	else if (f->check && f->check(f->key, value, &err) < 0)
		json_reader_fail(r, "%s", err.msg);
}

static size_t string_max(const struct field *f)
{
	return f->cap ? f->cap : CORE_TEXT_MAX;
}

static void parse_string(struct json_reader *r, const struct field *f, char **ret)
{
	CLEANUP(free) char *value = NULL;
	json_get_string(r, f->key, string_max(f), &value);
	if (!value)
		return;
	/* An empty string says "not set", or what the default's empty string says. */
	if (value[0])
		check_string(r, f, value);
	free(*ret);
	*ret = value[0] || f->text ? STEAL(value) : NULL;
}

static void parse_chars(struct json_reader *r, const struct field *f, char *ret)
{
	CLEANUP(free) char *value = NULL;
	json_get_string(r, f->key, f->cap - 1, &value);
	if (!value || strlen(value) >= f->cap)
		return;
	if (value[0])
		check_string(r, f, value);
	memset(ret, 0, f->cap);
	memcpy(ret, value, strlen(value));
}

static void take_strings(struct json_reader *r, const struct field *f, char **strings, char ***ret)
{
	for (size_t i = 0; strings[i]; i++)
		check_string(r, f, strings[i]);
	strings_free(*ret);
	*ret = strings[0] ? strings : NULL;
	if (!strings[0])
		strings_free(strings);
}

static void parse_strings(struct json_reader *r, const struct field *f, char ***ret)
{
	char **strings = NULL;
	json_get_strings(r, f->key, CORE_ARGS_MAX, string_max(f), &strings);
	if (strings)
		take_strings(r, f, strings, ret);
}

static void parse_env(struct json_reader *r, const struct field *f, char ***ret)
{
	const json_t *object = json_get_object(r, f->key);
	if (!object)
		return;
	if (json_object_size(object) > CORE_ARGS_MAX) {
		json_reader_fail(r, "%s has %zu entries; at most %d are allowed", f->key,
				 json_object_size(object), CORE_ARGS_MAX);
		return;
	}
	char **strings = mem_alloc((json_object_size(object) + 1) * sizeof(char *));
	size_t count = 0;
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)object, name, value)
	{
		if (!json_is_string(value)) {
			json_reader_fail(r, "%s '%.60s' is not a string; quote the value", f->key, name);
			continue;
		}
		if (!name[0] || strchr(name, '=')) {
			json_reader_fail(
			    r, "%s has a variable named '%.60s'; a name is not empty and has no '='", f->key,
			    name);
			continue;
		}
		if (strlen(name) + json_string_length(value) > string_max(f)) {
			json_reader_fail(r, "%s '%.60s' is longer than %zu bytes", f->key, name,
					 string_max(f));
			continue;
		}
		strings[count++] = mem_printf("%s=%s", name, json_string_value(value));
	}
	take_strings(r, f, strings, ret);
}

static void format_bound(const struct field *f, int64_t value, char ret[32])
{
	if (f->type == FIELD_CPU)
		unit_format_cpu(value, ret);
	else if (f->type == FIELD_BYTES)
		unit_format_bytes(value, ret);
	else
		unit_format_duration(value, ret);
}

static void parse_number(struct json_reader *r, const struct field *f, int64_t *ret)
{
	int64_t value = *ret;
	switch (f->type) {
	case FIELD_BYTES:
		json_get_bytes(r, f->key, &value);
		break;
	case FIELD_CPU:
		json_get_cpu_milli(r, f->key, &value);
		break;
	case FIELD_DURATION:
		json_get_duration_ms(r, f->key, &value);
		break;
	default:
		json_get_int(r, f->key, f->min, f->max, &value);
		*ret = value;
		return;
	}
	if (value >= f->min && value <= f->max) {
		*ret = value;
		return;
	}
	char bound[32];
	format_bound(f, value < f->min ? f->min : f->max, bound);
	json_reader_fail(r, "%s is too %s; it is at %s %s", f->key, value < f->min ? "small" : "large",
			 value < f->min ? "least" : "most", bound);
}

/* RFC 3339 text; the time zone must be there, so that nobody has to guess it. */
static void parse_time(struct json_reader *r, const struct field *f, int64_t *ret)
{
	CLEANUP(free) char *value = NULL;
	struct err err = ERR_INIT;
	json_get_string(r, f->key, 64, &value);
	if (value && value[0] && unit_parse_time_ms(value, ret, &err) < 0)
		json_reader_fail(r, "%s %s", f->key, err.msg);
	else if (value && !value[0])
		*ret = 0;
}

static void parse_word(struct json_reader *r, const struct field *f, int *ret)
{
	CLEANUP(free) char *value = NULL;
	json_get_string(r, f->key, 64, &value);
	if (!value)
		return;
	int i = word_find(f, value);
	if (i < 0)
		fail_word_list(r, f, value);
	else
		*ret = i;
}

static void parse_group(struct json_reader *r, const struct field *f, void *object)
{
	struct err err = ERR_INIT;
	const json_t *j = json_get_object(r, f->key);
	if (j && fields_parse(f->group, f->key, j, object, &err) < 0)
		json_reader_fail(r, "%s", err.msg);
}

int fields_parse(const struct field *fields, const char *what, const json_t *j, void *object, struct err *err)
{
	if (!json_is_object(j))
		return err_set(err, ERR_INVALID, "%s is not a JSON object", what);
	struct json_reader r;
	json_reader_begin(&r, j, what);
	for (const struct field *f = fields; f->key; f++) {
		switch (f->type) {
		case FIELD_STRING:
			parse_string(&r, f, MEMBER(char *, object, f));
			break;
		case FIELD_CHARS:
			parse_chars(&r, f, MEMBER(char, object, f));
			break;
		case FIELD_STRINGS:
			parse_strings(&r, f, MEMBER(char **, object, f));
			break;
		case FIELD_ENV:
			parse_env(&r, f, MEMBER(char **, object, f));
			break;
		case FIELD_INT:
		case FIELD_BYTES:
		case FIELD_CPU:
		case FIELD_DURATION:
			parse_number(&r, f, MEMBER(int64_t, object, f));
			break;
		case FIELD_TIME:
			parse_time(&r, f, MEMBER(int64_t, object, f));
			break;
		case FIELD_BOOL:
			json_get_bool(&r, f->key, MEMBER(bool, object, f));
			break;
		case FIELD_INT32: {
			int64_t value = *MEMBER(int, object, f);
			json_get_int(&r, f->key, f->min, f->max, &value);
			*MEMBER(int, object, f) = (int)value;
			break;
		}
		case FIELD_WORD:
			parse_word(&r, f, MEMBER(int, object, f));
			break;
		case FIELD_PROGRESS:
			progress_parse(json_get_object(&r, f->key), MEMBER(struct progress, object, f));
			break;
		case FIELD_GROUP:
			parse_group(&r, f, MEMBER(char, object, f));
			break;
		}
	}
	return json_reader_end(&r, err);
}
