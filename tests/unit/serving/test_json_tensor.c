/* SPDX-License-Identifier: Apache-2.0 */
/* REST bodies to tensors and back. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "serving/json_tensor.h"
#include "unit/test.h"

#define MEMORY ((size_t)1 << 20)

static struct signature_tensor one_float[] = {{.alias = "x", .dtype = DT_FLOAT, .unknown_rank = true}};
static struct signature_tensor one_string[] = {{.alias = "s", .dtype = DT_STRING, .unknown_rank = true}};
static struct signature_tensor two[] = {{.alias = "a", .dtype = DT_INT8, .unknown_rank = true},
					{.alias = "b_bytes", .dtype = DT_STRING, .unknown_rank = true}};
static const struct signature floats = {"serving_default", "", 1, 1, one_float, one_float, NULL};
static const struct signature strings = {"serving_default", "", 1, 1, one_string, one_string, NULL};
static const struct signature pair = {"serving_default", "", 2, 2, two, two, NULL};

static int parse(const char *text, const struct signature *s, struct arena *arena,
		 struct named_tensor **inputs, struct json_predict_head *head, struct err *err)
{
	size_t count;
	int r = json_predict_scan(str_from(text), arena, head, err);

	return r < 0 ? r : json_predict_inputs(head, s, arena, inputs, &count, err);
}

TEST(rows_get_a_batch_dimension_and_columns_do_not)
{
	struct arena arena = ARENA_INIT(MEMORY);
	struct named_tensor *in;
	struct json_predict_head head;
	struct err err = ERR_INIT;

	EXPECT_OK(parse("{\"instances\": [[1,2],[3,4],[5,6.5]]}", &floats, &arena, &in, &head, &err), &err);
	EXPECT_INT("rank", in->tensor.rank, 2);
	EXPECT_INT("dim 0", in->tensor.dims[0], 3);
	assert_memory_equal(in->tensor.data, ((float[]){1, 2, 3, 4, 5, 6.5f}), 24);
	EXPECT_OK(parse(" {\"inputs\":{\"x\":[[1,2]]},\"signature_name\":\"s\\u00e9\"} ", &floats, &arena,
			&in, &head, &err),
		  &err);
	EXPECT_INT("dim 0", in->tensor.dims[0], 1);
	assert_true(str_eq(head.signature, "s\xc3\xa9"));
	EXPECT_OK(parse("{\"inputs\": 7}", &floats, &arena, &in, &head, &err), &err);
	EXPECT_INT("scalar", in->tensor.rank, 0);
	EXPECT_OK(parse("{\"instances\": [NaN, -Infinity, Infinity]}", &floats, &arena, &in, &head, &err),
		  &err);
	assert_true(isnan(((const float *)in->tensor.data)[0]) && isinf(((const float *)in->tensor.data)[1]));
	EXPECT_OK(parse("{\"inputs\": [[], []]}", &floats, &arena, &in, &head, &err), &err);
	EXPECT_INT("empty", in->tensor.dims[1], 0);
	arena_done(&arena);
}

TEST(objects_name_several_inputs)
{
	struct arena arena = ARENA_INIT(MEMORY);
	struct named_tensor *in;
	struct json_predict_head head;
	struct err err = ERR_INIT;

	EXPECT_OK(parse("{\"instances\":[{\"a\":-128,\"b_bytes\":{\"b64\":\"AAE=\"}},{\"b_bytes\":\"t\\n\","
			"\"a\":127}]}",
			&pair, &arena, &in, &head, &err),
		  &err);
	assert_memory_equal(in[0].tensor.data, ((int8_t[]){-128, 127}), 2);
	EXPECT_INT("binary", (int64_t)in[1].tensor.strings[0].len, 2);
	assert_memory_equal(in[1].tensor.strings[0].data, "\0\1", 2);
	assert_true(str_eq(in[1].tensor.strings[1], "t\n"));
	EXPECT_OK(parse("{\"instances\":[{\"b64\":\"YWI\"},\"x\"]}", &strings, &arena, &in, &head, &err),
		  &err);
	assert_true(str_eq(in[0].tensor.strings[0], "ab"));
	arena_done(&arena);
}

TEST(bodies_that_make_no_tensor_are_refused_and_say_why)
{
	static const struct {
		const struct signature *s;
		const char *body, *why;
	} rows[] = {
	    {&floats, "", "empty"},
	    {&floats, "[1]", "not of expected type: object"},
	    {&floats, "{}", "Missing 'inputs' or 'instances'"},
	    {&floats, "{\"instances\":[1],\"inputs\":[1]}", "exactly one"},
	    {&floats, "{\"instances\":[]}", "empty"},
	    {&floats, "{\"instances\":1}", "must be a list"},
	    {&floats, "{\"instances\":[[1,2],[3]]}", "shape"},
	    {&floats, "{\"inputs\":[[1,2],[3]]}", "level 1"},
	    {&floats, "{\"inputs\":[1,[3]]}", "nested alike"},
	    {&floats, "{\"inputs\":[[],[[1]]]}", "nested alike"},
	    {&floats, "{\"inputs\":[1,\"a\"]}", "not of expected type: float"},
	    {&floats, "{\"inputs\":[true]}", "not of expected type: float"},
	    {&floats, "{\"inputs\":[1,]}", "JSON Parse error"},
	    {&floats, "{\"inputs\":[1] ", "JSON Parse error"},
	    {&floats, "{\"inputs\":[1]} x", "must not be followed"},
	    {&floats, "{\"inputs\":[01]}", "leading zero"},
	    {&floats, "{\"inputs\":[1.]}", "fraction"},
	    {&floats, "{\"inputs\":[1e]}", "exponent"},
	    {&floats, "{\"inputs\":{\"y\":1}}", "no input"},
	    {&floats, "{\"inputs\":{\"x\":1,\"x\":1}}", "twice"},
	    {&floats, "{\"instances\":[1,{\"x\":1}]}", "mix"},
	    {&pair, "{\"instances\":[{\"a\":1}]}", "'b_bytes' is missing"},
	    {&pair, "{\"instances\":[1]}", "multiple input tensors"},
	    {&pair, "{\"instances\":[{\"a\":128,\"b_bytes\":\"\"}]}", "not of expected type: int8"},
	    {&pair, "{\"instances\":[{\"a\":-129,\"b_bytes\":\"\"}]}", "not of expected type: int8"},
	    {&pair, "{\"instances\":[{\"a\":1.0,\"b_bytes\":\"\"}]}", "not of expected type: int8"},
	    {&strings, "{\"inputs\":[{\"b64\":\"!\"}]}", "base64"},
	    {&strings, "{\"inputs\":[{\"b64\":\"YQ==\",\"c\":1}]}", "single key"},
	    {&strings, "{\"inputs\":[\"\\ud800\"]}", "escape"},
	    {&strings, "{\"inputs\":[\"a\nb\"]}", "Control character"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena = ARENA_INIT(MEMORY);
		struct named_tensor *in;
		struct json_predict_head head;
		struct err err = ERR_INIT;
		int r = parse(rows[i].body, rows[i].s, &arena, &in, &head, &err);
		if (r >= 0)
			fail_msg("accepted: %s", rows[i].body);
		EXPECT_ERR(r, ERR_INVALID, &err, rows[i].why);
		arena_done(&arena);
	}
}

TEST(a_quarter_million_open_brackets_are_refused)
{
	struct arena arena = ARENA_INIT(MEMORY);
	struct json_predict_head head;
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT;

	buf_adds(&b, "{\"instances\":");
	for (int i = 0; i < 250000; i++)
		buf_addc(&b, '[');
	EXPECT_ERR(json_predict_scan((struct str){b.data, b.len}, &arena, &head, &err), ERR_INVALID, &err,
		   "64 levels");
	buf_done(&b);
	arena_done(&arena);
}

static void expect_written(bool rows, const struct signature *s, const struct tensor *t, size_t count,
			   const char *expected)
{
	const size_t index[] = {0, 1};
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	EXPECT_OK(json_predict_write(rows, s, index, t, count, &b, &err), &err);
	EXPECT_STR("json", buf_str(&b), expected);
	buf_done(&b);
}

TEST(answers_are_written_as_rows_or_columns)
{
	const float values[] = {1, 2.5f, 0.1f, NAN, INFINITY, -INFINITY};
	const int8_t bytes[] = {-1, 2};
	const struct str texts[] = {STR("a\"b"), STR("\xff")};
	struct tensor t[2] = {{0}};
	struct err err = ERR_INIT;

	tensor_set_shape(&t[0], DT_FLOAT, 3, (int64_t[]){2, 1, 3}, &err);
	t[0].data = values;
	expect_written(true, &floats, t, 1, "{\"predictions\":[[[1.0,2.5,0.1]],[[NaN,Infinity,-Infinity]]]}");
	expect_written(false, &floats, t, 1, "{\"outputs\":[[[1.0,2.5,0.1]],[[NaN,Infinity,-Infinity]]]}");
	tensor_set_shape(&t[0], DT_INT8, 1, (int64_t[]){2}, &err);
	t[0].data = bytes;
	tensor_set_shape(&t[1], DT_STRING, 1, (int64_t[]){2}, &err);
	t[1].strings = texts;
	expect_written(true, &pair, t, 2,
		       "{\"predictions\":[{\"a\":-1,\"b_bytes\":{\"b64\":\"YSJi\"}},{\"a\":2,\"b_bytes\":{"
		       "\"b64\":\"/w==\"}}]}");
	expect_written(false, &pair, t, 2,
		       "{\"outputs\":{\"a\":[-1,2],\"b_bytes\":[{\"b64\":\"YSJi\"},{\"b64\":\"/w==\"}]}}");
	expect_written(false, &strings, &t[1], 1, "{\"outputs\":[\"a\\\"b\",{\"b64\":\"/w==\"}]}");
	tensor_set_shape(&t[0], DT_FLOAT, 2, (int64_t[]){2, 0}, &err);
	expect_written(true, &floats, t, 1, "{\"predictions\":[[],[]]}");
	tensor_set_shape(&t[0], DT_FLOAT, 2, (int64_t[]){0, 2}, &err);
	expect_written(true, &floats, t, 1, "{\"predictions\":[]}");
	expect_written(false, &floats, t, 1, "{\"outputs\":[]}");
	tensor_set_shape(&t[0], DT_FLOAT, 0, NULL, &err);
	t[0].data = values;
	expect_written(false, &floats, t, 1, "{\"outputs\":1.0}");
}

static size_t significant_digits(const char *text)
{
	size_t n = 0, zeros = 0;

	for (const char *p = text; *p && *p != 'e'; p++) {
		if (*p < '0' || *p > '9' || (n == 0 && *p == '0'))
			continue;
		n++;
		zeros = *p == '0' ? zeros + 1 : 0;
	}
	return n - zeros;
}

TEST(floats_are_written_shortest_and_read_back_the_same)
{
	for (int i = 0; i < 200000; i++) {
		uint32_t bits = (uint32_t)rng_u64(&test_rng);
		struct buf b = BUF_INIT;
		char shorter[64];
		float v;
		memcpy(&v, &bits, sizeof(v));
		if (!isfinite(v))
			continue;
		json_write_float(&b, v);
		assert_true(strtof(b.data, NULL) == v);
		size_t digits = significant_digits(b.data);
		if (digits > 1) {
			snprintf(shorter, sizeof(shorter), "%.*e", (int)digits - 2, v);
			assert_true(strtof(shorter, NULL) != v || significant_digits(shorter) >= digits);
		}
		buf_done(&b);
	}
}

TEST(doubles_are_written_shortest_and_read_back_the_same)
{
	static const double edges[] = {5e-324,
				       2.2250738585072014e-308,
				       1.7976931348623157e308,
				       9007199254740993.0,
				       1e23,
				       0.3,
				       1e17,
				       123456789012345680.0,
				       0x1p-1022,
				       0x1p1023,
				       4.35,
				       1e-5,
				       9.5e-5};

	for (int i = 0; i < 200000; i++) {
		uint64_t bits = rng_u64(&test_rng);
		struct buf b = BUF_INIT;
		char shorter[64];
		double v;
		memcpy(&v, &bits, sizeof(v));
		if (i < (int)ARRAY_LEN(edges))
			v = edges[i];
		if (!isfinite(v))
			continue;
		json_write_double(&b, v);
		assert_true(strtod(b.data, NULL) == v);
		size_t digits = significant_digits(b.data);
		if (digits > 1) {
			snprintf(shorter, sizeof(shorter), "%.*e", (int)digits - 2, v);
			assert_true(strtod(shorter, NULL) != v || significant_digits(shorter) >= digits);
		}
		buf_done(&b);
	}
}

TEST(numbers_read_like_the_c_library_reads_them)
{
	for (int i = 0; i < 100000; i++) {
		char text[80];
		struct json_text j;
		struct json_number n;
		struct err err = ERR_INIT;
		uint64_t bits = rng_u64(&test_rng);
		double v;
		memcpy(&v, &bits, sizeof(v));
		if (!isfinite(v))
			continue;
		snprintf(text, sizeof(text), "%.*g", 1 + (int)rng_below(&test_rng, 30),
			 i % 2 ? v : (double)(int64_t)(bits >> 30) / 1000.0);
		json_text_init(&j, str_from(text));
		EXPECT_OK(json_text_number(&j, &n, &err), &err);
		assert_true(n.value == strtod(text, NULL));
		assert_true(j.pos == j.end);
	}
}

/* Numbers as clients spell them, in lists long enough for the fast way, each against the C library. */
static void write_number(struct buf *b, int kind)
{
	uint64_t bits = rng_u64(&test_rng);
	double unit = (double)(bits >> 11) * 0x1p-53;
	float narrow = (float)unit;

	switch (kind) {
	case 0:
		buf_printf(b, "%.6f", unit - 0.5);
		break;
	case 1:
		buf_printf(b, "%.17g", (double)narrow); /* Python's spelling of a float32 */
		break;
	case 2:
		buf_printf(b, "%d", (int)(bits % 2000000) - 1000000);
		break;
	case 3:
		buf_printf(b, "%.*f", (int)rng_below(&test_rng, 19), unit * 1000);
		break;
	case 4: /* exactly between two floats, and just beside it */
		memcpy(&bits, &unit, sizeof(bits));
		bits = (bits & ~(uint64_t)0x1fffffff) + 0x10000000 + rng_below(&test_rng, 5) - 2;
		memcpy(&unit, &bits, sizeof(unit));
		buf_printf(b, "%.18g", unit);
		break;
	default:
		buf_printf(b, "%.*g", 1 + (int)rng_below(&test_rng, 25), unit * 1e-7);
	}
}

TEST(long_lists_read_like_the_c_library_reads_each_number)
{
	static struct signature_tensor one_double[] = {
	    {.alias = "x", .dtype = DT_DOUBLE, .unknown_rank = true}};
	static const struct signature doubles = {"serving_default", "", 1, 1, one_double, one_double, NULL};

	for (int round = 0; round < 600; round++) {
		CLEANUP(buf) struct buf b = BUF_INIT;
		struct arena arena = ARENA_INIT(MEMORY);
		struct named_tensor *narrow, *wide;
		struct json_predict_head head;
		struct err err = ERR_INIT;
		int count = 1 + (int)rng_below(&test_rng, 200);
		const char *p;

		buf_adds(&b, "{\"inputs\":[");
		for (int i = 0; i < count; i++) {
			buf_adds(&b, i == 0 ? "" : i % 3 ? "," : round % 2 ? ", " : " ,\n");
			write_number(&b, round % 7 == 6 ? i % 6 : round % 7);
		}
		buf_adds(&b, "]}");
		EXPECT_OK(parse(b.data, &floats, &arena, &narrow, &head, &err), &err);
		EXPECT_OK(parse(b.data, &doubles, &arena, &wide, &head, &err), &err);
		EXPECT_INT("floats", narrow->tensor.count, count);
		EXPECT_INT("doubles", wide->tensor.count, count);
		p = strchr(b.data, '[') + 1;
		for (int i = 0; i < count; i++) {
			char *end;
			double expected = strtod(p, &end);
			assert_true(((const double *)wide->tensor.data)[i] == expected);
			assert_true(((const float *)narrow->tensor.data)[i] == (float)expected);
			p = end + strspn(end, " ,\n");
		}
		arena_done(&arena);
	}
}

TEST(what_is_wrong_in_a_long_list_is_found_and_said)
{
	static const struct {
		const char *tail, *why;
	} rows[] = {
	    {"1,]", "JSON Parse error"},
	    {"1 2]", "Missing a comma"},
	    {"01,2]", "leading zero"},
	    {"1.,2]", "fraction"},
	    {"1e,2]", "exponent"},
	    {"true]", "not of expected type"},
	    {"\"a\"]", "not of expected type"},
	    {"[1]]", "nested alike"},
	    {"1}", "JSON Parse error"},
	    {"1", "JSON Parse error"},
	    {"1]]", "JSON Parse error"},
	    {"-,1]", "JSON Parse error"},
	    {"- 1]", "Invalid value"},
	    {"{}]", "not of expected type"},
	    {"1,,2]", "JSON Parse error"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf) struct buf b = BUF_INIT;
		struct arena arena = ARENA_INIT(MEMORY);
		struct named_tensor *in;
		struct json_predict_head head;
		struct err err = ERR_INIT;

		buf_adds(&b, "{\"inputs\":[");
		for (int k = 0; k < 100; k++)
			buf_printf(&b, "%d.5,", k);
		buf_printf(&b, "%s}", rows[i].tail);
		if (parse(b.data, &floats, &arena, &in, &head, &err) >= 0)
			fail_msg("row %zu was read", i);
		if (!strstr(err.msg, rows[i].why))
			fail_msg("row %zu: \"%s\" does not say \"%s\"", i, err.msg, rows[i].why);
		arena_done(&arena);
	}
}
