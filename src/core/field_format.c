/* SPDX-License-Identifier: Apache-2.0 */
/* JSON and JSON Schema from a field table. */
#include "core/field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/unit.h"
#include "core/job.h"

#define MEMBER(type, object, f) ((type const *)(const void *)((const char *)(object) + (f)->offset))

json_t *field_text_json(const char *s)
{
	json_t *j = json_string(s);
	if (j)
		return j;
	CLEANUP(free) char *copy = mem_strdup(s);
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	return json_string(copy);
}

/* The largest binary unit that loses nothing, so that the text parses back to the same number. */
static json_t *format_bytes(int64_t bytes)
{
	static const struct {
		int64_t unit;
		const char *suffix;
	} units[] = {{1LL << 40, "T"}, {1LL << 30, "G"}, {1LL << 20, "M"}, {1LL << 10, "K"}};
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (bytes != 0 && bytes % units[i].unit == 0)
			return json_sprintf("%lld%s", (long long)(bytes / units[i].unit), units[i].suffix);
	return json_sprintf("%lld", (long long)bytes);
}

static json_t *format_cpu(int64_t milli)
{
	char text[40];
	int len =
	    snprintf(text, sizeof(text), "%lld.%03lld", (long long)(milli / 1000), (long long)(milli % 1000));
	while (text[len - 1] == '0')
		text[--len] = '\0';
	if (text[len - 1] == '.')
		text[--len] = '\0';
	return json_string(text);
}

static json_t *format_duration(int64_t ms)
{
	if (ms % 3600000 == 0)
		return json_sprintf("%lldh", (long long)(ms / 3600000));
	if (ms % 60000 == 0)
		return json_sprintf("%lldm", (long long)(ms / 60000));
	if (ms % 1000 == 0)
		return json_sprintf("%llds", (long long)(ms / 1000));
	return json_sprintf("%lldms", (long long)ms);
}

static json_t *format_env(char *const *strings)
{
	json_t *object = json_object();
	for (size_t i = 0; strings[i]; i++) {
		const char *equals = strchr(strings[i], '=');
		if (!equals)
			continue;
		CLEANUP(free) char *name = mem_strndup(strings[i], (size_t)(equals - strings[i]));
		json_object_set_new(object, name, json_string(equals + 1));
	}
	return object;
}

static bool is_default(const struct field *f, const void *object)
{
	return f->type == FIELD_INT && *MEMBER(int64_t, object, f) == f->number;
}

static json_t *format_field(const struct field *f, const void *object);

static json_t *format_group(const struct field *fields, const void *object)
{
	json_t *j = json_object();
	for (const struct field *f = fields; f->key; f++) {
		json_t *value = is_default(f, object) ? NULL : format_field(f, object);
		if (value)
			json_object_set_new(j, f->key, value);
	}
	if (json_object_size(j))
		return j;
	json_decref(j);
	return NULL;
}

/* NULL when the field is not set. */
static json_t *format_field(const struct field *f, const void *object)
{
	switch (f->type) {
	case FIELD_STRING: {
		const char *s = *MEMBER(char *, object, f);
		return s && s[0] ? field_text_json(s) : NULL;
	}
	case FIELD_CHARS: {
		const char *s = MEMBER(char, object, f);
		return s[0] ? field_text_json(s) : NULL;
	}
	case FIELD_STRINGS: {
		char **s = *MEMBER(char **, object, f);
		return s && s[0] ? json_from_strings(s) : NULL;
	}
	case FIELD_ENV: {
		char **s = *MEMBER(char **, object, f);
		return s && s[0] ? format_env(s) : NULL;
	}
	case FIELD_INT:
		return json_integer(*MEMBER(int64_t, object, f));
	case FIELD_INT32:
		return json_integer(*MEMBER(int, object, f));
	case FIELD_BYTES:
		return format_bytes(*MEMBER(int64_t, object, f));
	case FIELD_CPU:
		return format_cpu(*MEMBER(int64_t, object, f));
	case FIELD_DURATION: {
		int64_t ms = *MEMBER(int64_t, object, f);
		return ms != f->number ? format_duration(ms) : NULL;
	}
	case FIELD_TIME: {
		char text[32];
		int64_t ms = *MEMBER(int64_t, object, f);
		unit_format_time(ms, text);
		return ms ? json_string(text) : NULL;
	}
	case FIELD_BOOL:
		return *MEMBER(bool, object, f) != (f->number != 0) ? json_boolean(*MEMBER(bool, object, f))
								    : NULL;
	case FIELD_WORD:
		return json_string(f->words[*MEMBER(int, object, f)]);
	case FIELD_PROGRESS:
		return progress_format(MEMBER(struct progress, object, f));
	case FIELD_GROUP:
		return format_group(f->group, MEMBER(char, object, f));
	}
	return NULL;
}

json_t *fields_format(const struct field *fields, const void *object)
{
	json_t *j = json_object();
	for (const struct field *f = fields; f->key; f++) {
		json_t *value = format_field(f, object);
		if (value)
			json_object_set_new(j, f->key, value);
	}
	return j;
}

static json_t *schema_string(const struct field *f)
{
	json_t *j =
	    json_pack("{s:s, s:I}", "type", "string", "maxLength",
		      (json_int_t)(f->cap ? (f->type == FIELD_CHARS ? f->cap - 1 : f->cap) : CORE_TEXT_MAX));
	if (f->pattern)
		json_object_set_new(j, "pattern", json_string(f->pattern));
	if (f->words) {
		json_t *words = json_array();
		for (size_t i = 0; f->words[i]; i++)
			json_array_append_new(words, json_string(f->words[i]));
		json_object_set_new(j, "enum", words);
	}
	return j;
}

static json_t *schema_properties(const struct field *fields);

static json_t *schema_type(const struct field *f)
{
	switch (f->type) {
	case FIELD_STRING:
	case FIELD_CHARS:
	case FIELD_WORD:
		return schema_string(f);
	case FIELD_STRINGS:
		return json_pack("{s:s, s:i, s:o}", "type", "array", "maxItems", CORE_ARGS_MAX, "items",
				 schema_string(f));
	case FIELD_ENV:
		return json_pack("{s:s, s:i, s:o}", "type", "object", "maxProperties", CORE_ARGS_MAX,
				 "additionalProperties", schema_string(f));
	case FIELD_INT:
	case FIELD_INT32:
		return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)f->min,
				 "maximum", (json_int_t)f->max);
	case FIELD_BYTES:
	case FIELD_CPU:
	case FIELD_DURATION:
		return json_pack("{s:[s,s]}", "type", "string", "number");
	case FIELD_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case FIELD_TIME:
		return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
	case FIELD_PROGRESS:
		return json_pack("{s:s}", "type", "object");
	case FIELD_GROUP:
		return json_pack("{s:s, s:b, s:o}", "type", "object", "additionalProperties", 0, "properties",
				 schema_properties(f->group));
	}
	return json_object();
}

static json_t *schema_default(const struct field *f)
{
	switch (f->type) {
	case FIELD_STRING:
		return f->text ? json_string(f->text) : NULL;
	case FIELD_INT:
	case FIELD_INT32:
		return f->number < f->min ? NULL : json_integer(f->number);
	case FIELD_BYTES:
		return format_bytes(f->number);
	case FIELD_CPU:
		return format_cpu(f->number);
	case FIELD_BOOL:
		return json_boolean(f->number != 0);
	case FIELD_WORD:
		return json_string(f->words[f->number]);
	default:
		return NULL;
	}
}

static json_t *schema_properties(const struct field *fields)
{
	json_t *properties = json_object();
	for (const struct field *f = fields; f->key; f++) {
		json_t *j = schema_type(f);
		json_t *value = schema_default(f);
		if (value)
			json_object_set_new(j, "default", value);
		if (f->about)
			json_object_set_new(j, "description", json_string(f->about));
		json_object_set_new(properties, f->key, j);
	}
	return properties;
}

json_t *fields_schema(const struct field *fields, const char *title)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:o}", "$schema",
			 "https://json-schema.org/draft/2020-12/schema", "title", title, "type", "object",
			 "additionalProperties", 0, "properties", schema_properties(fields));
}
