/* SPDX-License-Identifier: Apache-2.0 */
/* Forms, escaping, and bodies to start from. */
#include <stdlib.h>
#include "base/mem.h"
#include "serving/form.h"
#include "serving/json_tensor.h"
#include "serving/page.h"
#include "unit/test.h"

TEST(fields_of_a_form_are_decoded)
{
	static const struct {
		const char *form, *expected; /* of the field 'b', NULL = there is none */
	} rows[] = {
	    {"b=1", "1"},
	    {"a=1&b=two+words&c=3", "two words"},
	    {"a=1&b=%7b%22x%22%3A+1%7D", "{\"x\": 1}"},
	    {"b=", ""},
	    {"b=1&b=2", "1"},
	    {"bb=1&b=2", "2"},
	    {"b=50%&a=", "50%"},
	    {"b=%zz%4", "%zz%4"},
	    {"b=a=b", "a=b"},
	    {"&&b=1&", "1"},
	    {"", NULL},
	    {"b", NULL},
	    {"a=b", NULL},
	    {"B=1", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena = ARENA_INIT(4096);
		struct str value = {NULL, 0};
		bool found = form_field(str_from(rows[i].form), "b", &arena, &value);
		assert_int_equal(found, rows[i].expected != NULL);
		if (found) {
			EXPECT_STR(rows[i].form, value.data, rows[i].expected);
			assert_int_equal(value.len, strlen(value.data));
		}
		arena_done(&arena);
	}
}

TEST(a_field_that_is_larger_than_its_memory_is_not_there)
{
	struct arena arena = ARENA_INIT(64);
	CLEANUP(buf) struct buf form = BUF_INIT;
	struct str value;

	buf_adds(&form, "b=");
	for (int i = 0; i < 1000; i++)
		buf_addc(&form, 'x');
	assert_false(form_field((struct str){form.data, form.len}, "b", &arena, &value));
	arena_done(&arena);
}

TEST(html_is_escaped_inside_and_outside_of_quotes)
{
	CLEANUP(buf) struct buf b = BUF_INIT;

	html_adds(&b, "<a href=\"x\" b='y'>&amp;");
	assert_string_equal(buf_str(&b), "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;");
}

TEST(the_sample_of_a_signature_is_a_body_that_it_takes)
{
	struct signature_tensor inputs[] = {
	    {.alias = "image", .dtype = DT_FLOAT, .rank = 3, .dims = {-1, 2, 3}},
	    {.alias = "mask \"quoted\"", .dtype = DT_BOOL, .rank = 1, .dims = {-1}},
	    {.alias = "name", .dtype = DT_STRING, .rank = 0},
	    {.alias = "n", .dtype = DT_INT64, .rank = 2, .dims = {1, 0}},
	};
	const struct signature s = {.name = "serving_default",
				    .method_name = SIGNATURE_METHOD_PREDICT,
				    .input_count = ARRAY_LEN(inputs),
				    .inputs = inputs};
	struct arena arena = ARENA_INIT(1 << 20);
	CLEANUP(buf) struct buf b = BUF_INIT;
	struct json_predict_head head;
	struct named_tensor *read;
	struct err err = ERR_INIT;
	size_t count;

	page_sample(&s, &b);
	EXPECT_OK(json_predict_scan((struct str){b.data, b.len}, &arena, &head, &err), &err);
	EXPECT_OK(json_predict_inputs(&head, &s, &arena, &read, &count, &err), &err);
	assert_int_equal(count, 4);
	for (size_t i = 0; i < count; i++)
		EXPECT_OK(signature_check_input(&inputs[i], &read[i].tensor, &err), &err);
	arena_done(&arena);
}

TEST(the_sample_of_a_huge_input_stays_small)
{
	struct signature_tensor input = {
	    .alias = "x", .dtype = DT_FLOAT, .rank = 4, .dims = {-1, INT64_MAX, INT64_MAX, 3}};
	const struct signature s = {
	    .name = "s", .method_name = SIGNATURE_METHOD_PREDICT, .input_count = 1, .inputs = &input};
	CLEANUP(buf) struct buf b = BUF_INIT;

	page_sample(&s, &b);
	assert_true(b.len < 200);
	assert_non_null(strstr(buf_str(&b), "\"x\": []"));
}
