/* SPDX-License-Identifier: Apache-2.0 */
/* The strict reader of JSON objects, and arrays of strings. */
#include "unit/test.h"

#include <stdlib.h>
#include "base/json.h"

struct thing {
	char *name;
	int64_t count, bytes, wait_ms, cpu_milli;
	bool on;
	double rate;
	char **args;
};

static int read_thing(const char *text, struct thing *t, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	int r = json_parse(text, strlen(text), 100000, &j, err);
	if (r < 0)
		return r;
	struct json_reader reader;
	json_reader_begin(&reader, j, "thing");
	json_get_string(&reader, "name", 8, &t->name);
	json_get_int(&reader, "count", 1, 10, &t->count);
	json_get_bytes(&reader, "bytes", &t->bytes);
	json_get_duration_ms(&reader, "wait", &t->wait_ms);
	json_get_cpu_milli(&reader, "cpu", &t->cpu_milli);
	json_get_bool(&reader, "on", &t->on);
	json_get_double(&reader, "rate", &t->rate);
	json_get_strings(&reader, "args", 3, 5, &t->args);
	json_get_array(&reader, "list", 2);
	json_get_object(&reader, "inner");
	return json_reader_end(&reader, err);
}

static void thing_done(struct thing *t)
{
	free(t->name);
	strings_free(t->args);
}

TEST(all_kinds_of_fields_are_read)
{
	struct err err = ERR_INIT;
	struct thing t = {.name = mem_strdup("old")};
	EXPECT_OK(
	    read_thing(
		"{\"name\":\"n\",\"count\":3,\"bytes\":\"4K\",\"wait\":\"1m\",\"cpu\":\"500m\",\"on\":true,"
		"\"rate\":2,\"args\":[\"a\",\"\"],\"list\":[1,2],\"inner\":{}}",
		&t, &err),
	    &err);
	assert_string_equal(t.name, "n");
	assert_int_equal(t.count, 3);
	assert_int_equal(t.bytes, 4096);
	assert_int_equal(t.wait_ms, 60000);
	assert_int_equal(t.cpu_milli, 500);
	assert_true(t.on);
	assert_true(t.rate == 2.0);
	assert_int_equal(strings_count(t.args), 2);
	assert_string_equal(t.args[1], "");
	thing_done(&t);
}

TEST(absent_and_null_fields_keep_their_defaults)
{
	struct err err = ERR_INIT;
	struct thing t = {.count = 7, .on = true, .name = mem_strdup("default")};
	EXPECT_OK(read_thing("{\"name\":null,\"count\":null,\"args\":null}", &t, &err), &err);
	assert_string_equal(t.name, "default");
	assert_int_equal(t.count, 7);
	assert_true(t.on);
	assert_null(t.args);
	thing_done(&t);
}

TEST(numbers_stand_for_quantities_too)
{
	struct err err = ERR_INIT;
	struct thing t = {0};
	EXPECT_OK(read_thing("{\"bytes\":1073741824,\"wait\":1.5,\"cpu\":2}", &t, &err), &err);
	assert_int_equal(t.bytes, 1 << 30);
	assert_int_equal(t.wait_ms, 1500);
	assert_int_equal(t.cpu_milli, 2000);
	thing_done(&t);
}

TEST(faults_are_refused_with_a_helpful_message)
{
	static const struct {
		const char *text, *message;
	} rows[] = {
	    {"[]", "thing must be an object"},
	    {"{\"nmae\":\"x\"}", "unknown field 'nmae' in thing; did you mean 'name'?"},
	    {"{\"coutn\":1}", "did you mean 'count'?"},
	    {"{\"completely_else\":1}", "unknown field 'completely_else' in thing"},
	    {"{\"name\":1}", "field 'name' in thing must be a string"},
	    {"{\"name\":\"123456789\"}", "too long: 9 bytes, at most 8"},
	    {"{\"count\":0}", "must be between 1 and 10, not 0"},
	    {"{\"count\":1.0}", "must be a whole number"},
	    {"{\"on\":1}", "must be true or false"},
	    {"{\"rate\":\"1\"}", "must be a number"},
	    {"{\"bytes\":\"4Q\"}", "unknown unit"},
	    {"{\"bytes\":-1}", "must be a size"},
	    {"{\"bytes\":1.5}", "must be a size"},
	    {"{\"wait\":-1}", "must be a duration"},
	    {"{\"wait\":1e30}", "must be a duration"},
	    {"{\"cpu\":[]}", "must be a number of CPUs"},
	    {"{\"args\":[\"a\",1]}", "item 2 must be a string"},
	    {"{\"args\":[\"a\",\"b\",\"c\",\"d\"]}", "has 4 items; at most 3"},
	    {"{\"args\":[\"123456\"]}", "too long"},
	    {"{\"list\":{}}", "must be an array"},
	    {"{\"inner\":[]}", "must be an object"},
	    {"{\"count\":99,\"unknown\":1}", "must be between"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct thing t = {0};
		EXPECT_ERR(read_thing(rows[i].text, &t, &err), ERR_INVALID, &err, rows[i].message);
		thing_done(&t);
	}
}

TEST(the_callers_own_fault_sticks_too)
{
	struct err err = ERR_INIT;
	struct json_reader r;
	CLEANUP(json) json_t *j = json_object();
	json_reader_begin(&r, j, "thing");
	json_reader_fail(&r, "first %d", 1);
	json_reader_fail(&r, "second");
	EXPECT_ERR(json_reader_end(&r, &err), ERR_INVALID, &err, "first 1");
}

TEST(arrays_of_strings_copy_and_convert)
{
	char *const args[] = {"a", "", "c", NULL};
	CLEANUP(strings) char **copy = strings_copy(args), **none = strings_copy(NULL);
	CLEANUP(json) json_t *j = json_from_strings(copy), *empty = json_from_strings(NULL);
	assert_null(none);
	assert_int_equal(strings_count(copy), 3);
	assert_int_equal(strings_count(NULL), 0);
	assert_int_equal(json_array_size(j), 3);
	assert_int_equal(json_array_size(empty), 0);
}
