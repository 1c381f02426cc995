/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures out of a MetaGraphDef, and what is checked against them. */
#include "base/mem.h"
#include "net/pb.h"
#include "serving/signature.h"
#include "unit/test.h"

#define MEMORY ((size_t)1 << 20)

static void put_tensor(struct buf *b, uint32_t field, const char *alias, const char *name, int dtype)
{
	struct pb_mark entry = pb_begin(b, field, 0), info, shape, dim;

	pb_add_string(b, 1, alias);
	info = pb_begin(b, 2, 0);
	pb_add_string(b, 1, name);
	pb_add_varint(b, 2, (uint64_t)dtype);
	shape = pb_begin(b, 3, 0);
	dim = pb_begin(b, 2, 0);
	pb_add_varint(b, 1, (uint64_t)-1);
	pb_close(b, dim);
	dim = pb_begin(b, 2, 0);
	pb_add_varint(b, 1, 3);
	pb_close(b, dim);
	pb_close(b, shape);
	pb_close(b, info);
	pb_close(b, entry);
}

static void put_body(struct buf *b)
{
	put_tensor(b, 1, "z", "in_z:0", DT_FLOAT);
	put_tensor(b, 1, "a", "in_a:1", DT_STRING);
	put_tensor(b, 2, "out", "call:0", 20);
	pb_add_string(b, 3, SIGNATURE_METHOD_PREDICT);
	pb_add_string(b, 4, ""); /* defaults */
}

static void put_signature(struct buf *b, const char *name)
{
	struct pb_mark entry, value;

	pb_add_string(b, 1, "a field that is skipped");
	entry = pb_begin(b, 5, 0);
	pb_add_string(b, 1, name);
	value = pb_begin(b, 2, 0);
	put_body(b);
	pb_close(b, value);
	pb_close(b, entry);
}

TEST(signatures_decode_sorted_and_encode_again)
{
	struct arena arena = ARENA_INIT(MEMORY);
	struct buf b = BUF_INIT, again = BUF_INIT;
	struct err err = ERR_INIT;
	struct signature_set set;

	put_signature(&b, "serving_default");
	put_signature(&b, "other");
	EXPECT_OK(signature_decode(b.data, b.len, &arena, &set, &err), &err);
	EXPECT_INT("count", (int64_t)set.count, 2);
	const struct signature *s = signature_find(&set, STR(""));
	assert_non_null(s);
	EXPECT_STR("default", s->name, "serving_default");
	EXPECT_STR("method", s->method_name, SIGNATURE_METHOD_PREDICT);
	EXPECT_STR("sorted", s->inputs[0].alias, "a");
	EXPECT_STR("name", s->inputs[0].tensor_name, "in_a:1");
	EXPECT_INT("index", signature_input_index(s, STR("z")), 1);
	EXPECT_INT("absent", signature_output_index(s, STR("z")), -1);
	EXPECT_INT("unknown type", s->outputs[0].dtype, DT_INVALID);
	EXPECT_INT("is kept", s->outputs[0].dtype_number, 20);
	assert_null(signature_find(&set, STR("nothing")));
	signature_encode(s, &again);
	struct buf alone = BUF_INIT, whole = BUF_INIT;
	put_body(&alone);
	assert_int_equal(again.len, alone.len);
	assert_memory_equal(again.data, alone.data, alone.len); /* also what is not understood */
	struct signature own = *s;
	own.description = (struct str){NULL, 0};
	signature_encode(&own, &whole);
	assert_true(whole.len > 0 && whole.len < alone.len);
	buf_done(&alone);
	buf_done(&whole);
	buf_done(&b);
	buf_done(&again);
	arena_done(&arena);
}

TEST(every_type_has_the_name_of_its_number)
{
	static const struct {
		int number;
		const char *name;
	} rows[] = {{1, "DT_FLOAT"},
		    {7, "DT_STRING"},
		    {20, "DT_RESOURCE"},
		    {21, "DT_VARIANT"},
		    {27, "DT_FLOAT8_E4M3B11FNUZ"},
		    {0, "DT_INVALID"},
		    {101, "DT_FLOAT_REF"},
		    {127, "DT_FLOAT8_E4M3B11FNUZ_REF"},
		    {-1, "DT_INVALID"},
		    {100, "DT_INVALID"},
		    {999, "DT_INVALID"}};
	char name[DTYPE_NAME_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		dtype_format_name(rows[i].number, name);
		EXPECT_STR(rows[i].name, name, rows[i].name);
	}
}

TEST(inputs_of_another_type_or_shape_are_refused)
{
	struct signature_tensor want = {.alias = "x", .dtype = DT_FLOAT, .rank = 2, .dims = {-1, 3}};
	struct tensor sent = {0};
	struct err err = ERR_INIT;

	tensor_set_shape(&sent, DT_FLOAT, 2, (int64_t[]){7, 3}, &err);
	EXPECT_OK(signature_check_input(&want, &sent, &err), &err);
	tensor_set_shape(&sent, DT_FLOAT, 2, (int64_t[]){7, 4}, &err);
	EXPECT_ERR(signature_check_input(&want, &sent, &err), ERR_INVALID, &err, "[7,4]");
	tensor_set_shape(&sent, DT_FLOAT, 1, (int64_t[]){3}, &err);
	EXPECT_ERR(signature_check_input(&want, &sent, &err), ERR_INVALID, &err, "[-1,3]");
	want.unknown_rank = true;
	EXPECT_OK(signature_check_input(&want, &sent, &err), &err);
	tensor_set_shape(&sent, DT_DOUBLE, 1, (int64_t[]){3}, &err);
	EXPECT_ERR(signature_check_input(&want, &sent, &err), ERR_INVALID, &err, "float but double");
}

TEST(a_damaged_description_is_refused)
{
	struct arena arena = ARENA_INIT(MEMORY);
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct signature_set set;

	put_signature(&b, "serving_default");
	EXPECT_ERR(signature_decode(b.data, b.len - 1, &arena, &set, &err), ERR_INVALID, &err, "malformed");
	for (int i = 0; i <= SIGNATURE_MAX; i++)
		put_signature(&b, "s");
	EXPECT_ERR(signature_decode(b.data, b.len, &arena, &set, &err), ERR_TOO_LARGE, &err, "signatures");
	buf_done(&b);
	arena_done(&arena);
}
