/* SPDX-License-Identifier: Apache-2.0 */
/* Straight-down reading of one JSON object; the first error sticks, unknown keys are refused with a guess. */
#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/unit.h"

#define WORD_MAX 48 /* longer keys get no guess */

void json_reader_begin(struct json_reader *r, const json_t *object, const char *what)
{
	r->object = object;
	r->what = what;
	r->known_count = 0;
	r->err = ERR_INIT;
	if (!json_is_object(object))
		json_reader_fail(r, "%s must be an object", what);
}

void json_reader_fail(struct json_reader *r, const char *fmt, ...)
{
	if (r->err.code)
		return;
	char text[sizeof(r->err.msg)];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(&r->err, ERR_INVALID, "%s", text);
}

/* Edit distance with transpositions (optimal string alignment), on three rows. */
static int distance(const char *a, const char *b)
{
	int la = (int)strlen(a), lb = (int)strlen(b);
	int rows[3][WORD_MAX + 1];
	for (int j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (int i = 1; i <= la; i++) {
		int *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
		row[0] = i;
		for (int j = 1; j <= lb; j++) {
			int best = above[j - 1] + (a[i - 1] != b[j - 1]);
			best = above[j] + 1 < best ? above[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = above2[j - 2] + 1 < best ? above2[j - 2] + 1 : best;
			row[j] = best;
		}
	}
	return rows[la % 3][lb];
}

static const char *guess(const struct json_reader *r, const char *key)
{
	size_t len = strlen(key);
	if (len > WORD_MAX)
		return NULL;
	int best_distance = len < 4 ? 1 : len < 8 ? 2 : 3;
	const char *best = NULL;
	for (size_t i = 0; i < r->known_count; i++) {
		if (strlen(r->known[i]) > WORD_MAX || json_object_get(r->object, r->known[i]))
			continue;
		int d = distance(key, r->known[i]);
		if (d < best_distance || (d == best_distance && !best)) {
			best_distance = d;
			best = r->known[i];
		}
	}
	return best;
}

static bool is_known(const struct json_reader *r, const char *key)
{
	for (size_t i = 0; i < r->known_count; i++)
		if (strcmp(r->known[i], key) == 0)
			return true;
	return false;
}

static void refuse_unknown(struct json_reader *r)
{
	json_t *object = (json_t *)r->object; /* jansson's iterators take no const; nothing is changed */
	for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
		const char *key = json_object_iter_key(it);
		if (is_known(r, key))
			continue;
		const char *meant = guess(r, key);
		if (meant)
			json_reader_fail(r, "unknown field '%.100s' in %s; did you mean '%s'?", key, r->what,
					 meant);
		else
			json_reader_fail(r, "unknown field '%.100s' in %s", key, r->what);
		return;
	}
}

int json_reader_end(struct json_reader *r, struct err *err)
{
	if (!r->err.code)
		refuse_unknown(r);
	if (!r->err.code)
		return 0;
	return err_set(err, r->err.code, "%s", r->err.msg);
}

/* By address: keys are literals, and one that is noted twice does no harm. */
static bool is_noted(const struct json_reader *r, const char *key)
{
	for (size_t i = 0; i < r->known_count; i++)
		if (r->known[i] == key)
			return true;
	return false;
}

const json_t *json_get_any(struct json_reader *r, const char *key)
{
	if (!is_noted(r, key)) {
		assert(r->known_count < JSON_READER_KEYS_MAX);
		r->known[r->known_count++] = key;
	}
	if (r->err.code)
		return NULL;
	const json_t *j = json_object_get(r->object, key);
	return json_is_null(j) ? NULL : j;
}

/* The value when it is there and has the type; a fault when it is there and has not. */
static const json_t *get_typed(struct json_reader *r, const char *key, bool (*is_type)(const json_t *),
			       const char *type)
{
	const json_t *j = json_get_any(r, key);
	if (!j || is_type(j))
		return j;
	json_reader_fail(r, "field '%s' in %s must be %s", key, r->what, type);
	return NULL;
}

#define IS_TYPE(name)                                                                                        \
	static bool is_##name(const json_t *j)                                                               \
	{                                                                                                    \
		return json_is_##name(j);                                                                    \
	}
IS_TYPE(string)
IS_TYPE(integer)
IS_TYPE(boolean)
IS_TYPE(number)
IS_TYPE(array)
IS_TYPE(object)

static bool string_fits(struct json_reader *r, const char *key, const json_t *j, size_t max_len)
{
	size_t len = json_string_length(j);
	if (len > max_len)
		json_reader_fail(r, "field '%s' in %s is too long: %zu bytes, at most %zu are allowed", key,
				 r->what, len, max_len);
	else if (memchr(json_string_value(j), 0, len))
		json_reader_fail(r, "field '%s' in %s has a NUL character", key, r->what);
	return !r->err.code;
}

void json_get_string(struct json_reader *r, const char *key, size_t max_len, char **ret)
{
	const json_t *j = get_typed(r, key, is_string, "a string");
	if (!j || !string_fits(r, key, j, max_len))
		return;
	free(*ret);
	*ret = mem_strdup(json_string_value(j));
}

void json_get_int(struct json_reader *r, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	const json_t *j = get_typed(r, key, is_integer, "a whole number");
	if (!j)
		return;
	int64_t value = json_integer_value(j);
	if (value < min || value > max)
		json_reader_fail(r,
				 "field '%s' in %s must be between %" PRId64 " and %" PRId64 ", not %" PRId64,
				 key, r->what, min, max, value);
	else
		*ret = value;
}

void json_get_bool(struct json_reader *r, const char *key, bool *ret)
{
	const json_t *j = get_typed(r, key, is_boolean, "true or false");
	if (j)
		*ret = json_is_true(j);
}

void json_get_double(struct json_reader *r, const char *key, double *ret)
{
	const json_t *j = get_typed(r, key, is_number, "a number");
	if (j)
		*ret = json_number_value(j);
}

/* A quantity is text with a unit or a bare number, which counts in units of 1/scale of the result. */
static void get_quantity(struct json_reader *r, const char *key, int64_t scale, const char *type,
			 int (*parse)(const char *, int64_t *, struct err *), int64_t *ret)
{
	const json_t *j = json_get_any(r, key);
	if (!j)
		return;
	struct err e = ERR_INIT;
	if (json_is_string(j)) {
		if (string_fits(r, key, j, WORD_MAX) && parse(json_string_value(j), ret, &e) < 0)
			json_reader_fail(r, "field '%s' in %s: %s", key, r->what, e.msg);
		return;
	}
	double value = json_number_value(j) * (double)scale;
	bool fits = json_is_number(j) && value >= 0 && value < 9.2e18;
	if (json_is_integer(j) && fits)
		*ret = json_integer_value(j) * scale;
	else if (json_is_real(j) && fits && scale > 1)
		*ret = (int64_t)(value + 0.5);
	else
		json_reader_fail(r, "field '%s' in %s must be %s", key, r->what, type);
}

void json_get_bytes(struct json_reader *r, const char *key, int64_t *ret)
{
	get_quantity(r, key, 1, "a size like \"4G\" or a number of bytes", unit_parse_bytes, ret);
}

void json_get_duration_ms(struct json_reader *r, const char *key, int64_t *ret)
{
	get_quantity(r, key, 1000, "a duration like \"2h\" or a number of seconds", unit_parse_duration_ms,
		     ret);
}

void json_get_cpu_milli(struct json_reader *r, const char *key, int64_t *ret)
{
	get_quantity(r, key, 1000, "a number of CPUs like 2, 1.5 or \"500m\"", unit_parse_cpu_milli, ret);
}

const json_t *json_get_array(struct json_reader *r, const char *key, size_t max_items)
{
	const json_t *j = get_typed(r, key, is_array, "an array");
	if (!j || json_array_size(j) <= max_items)
		return j;
	json_reader_fail(r, "field '%s' in %s has %zu items; at most %zu are allowed", key, r->what,
			 json_array_size(j), max_items);
	return NULL;
}

const json_t *json_get_object(struct json_reader *r, const char *key)
{
	return get_typed(r, key, is_object, "an object");
}

void json_get_strings(struct json_reader *r, const char *key, size_t max_items, size_t max_len, char ***ret)
{
	const json_t *array = json_get_array(r, key, max_items);
	if (!array)
		return;
	size_t n = json_array_size(array);
	CLEANUP(strings) char **strings = mem_alloc((n + 1) * sizeof(*strings));
	for (size_t i = 0; i < n; i++) {
		const json_t *j = json_array_get(array, i);
		if (!json_is_string(j)) {
			json_reader_fail(r, "field '%s' in %s: item %zu must be a string", key, r->what,
					 i + 1);
			return;
		}
		if (!string_fits(r, key, j, max_len))
			return;
		strings[i] = mem_strdup(json_string_value(j));
	}
	strings_free(*ret);
	*ret = STEAL(strings);
}
