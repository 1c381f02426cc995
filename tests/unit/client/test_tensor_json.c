/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lists become tensors and come back. */
#include "base/json.h"
#include "client/tensor_json.h"
#include "net/pb.h"
#include "unit/test.h"

static json_t *parse(const char *text)
{
	json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
	assert_non_null(j);
	return j;
}

TEST(values_of_each_type_survive_the_way_there_and_back)
{
	static const struct {
		const char *dtype, *json;
	} rows[] = {
	    {"DT_FLOAT", "[[0.5, -1.0], [2.25, 1e+20]]"},
	    {"DT_DOUBLE", "[0.1, 1e-300]"},
	    {"DT_INT32", "[-2147483648, 2147483647]"},
	    {"DT_INT64", "[[[9007199254740993]], [[-1]]]"},
	    {"DT_INT8", "[-128, 127]"},
	    {"DT_UINT8", "[0, 255]"},
	    {"DT_INT16", "[-32768]"},
	    {"DT_UINT16", "[65535]"},
	    {"DT_UINT32", "[4294967295]"},
	    {"DT_BOOL", "[true, false]"},
	    {"DT_STRING", "[[\"a\"], [\"\"]]"},
	    {"DT_FLOAT", "3.5"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(json) json_t *in = parse(rows[i].json), *out = NULL;
		CLEANUP(buf) struct buf message = BUF_INIT;
		struct err err = ERR_INIT;
		EXPECT_OK(tensor_json_encode(in, rows[i].dtype, &message, &err), &err);
		EXPECT_OK(tensor_json_decode((struct str){message.data, message.len}, &out, &err), &err);
		if (str_starts(rows[i].dtype, "DT_FLOAT") && json_is_array(json_array_get(in, 0)))
			assert_true(json_real_value(json_array_get(json_array_get(out, 1), 0)) == 2.25);
		else
			assert_true(json_equal(in, out));
	}
}

TEST(ragged_lists_are_refused_with_the_level)
{
	CLEANUP(json) json_t *ragged = parse("[[1, 2], [3]]"), *deeper = parse("[[1], [[2]]]");
	CLEANUP(buf) struct buf message = BUF_INIT;
	struct err err = ERR_INIT;
	EXPECT_ERR(tensor_json_encode(ragged, "DT_FLOAT", &message, &err), ERR_INVALID, &err, "level 1");
	EXPECT_ERR(tensor_json_encode(deeper, "DT_FLOAT", &message, &err), ERR_INVALID, &err, "level");
}

TEST(text_for_a_number_is_refused)
{
	CLEANUP(json) json_t *text = parse("[\"x\"]");
	CLEANUP(buf) struct buf message = BUF_INIT;
	struct err err = ERR_INIT;
	EXPECT_ERR(tensor_json_encode(text, "DT_INT64", &message, &err), ERR_INVALID, &err,
		   "expected a number");
	EXPECT_ERR(tensor_json_encode(text, "DT_VARIANT", &message, &err), ERR_UNSUPPORTED, &err,
		   "DT_VARIANT");
}

TEST(an_answer_whose_shape_lies_is_refused)
{
	CLEANUP(buf) struct buf message = BUF_INIT;
	json_t *out = NULL;
	struct err err = ERR_INIT;
	pb_add_varint(&message, 1, 1);
	struct pb_mark shape = pb_begin(&message, 2, 32);
	for (int i = 0; i < 3; i++) {
		struct pb_mark dim = pb_begin(&message, 2, 8);
		pb_add_varint(&message, 1, 1 << 20);
		pb_close(&message, dim);
	}
	pb_close(&message, shape);
	EXPECT_ERR(tensor_json_decode((struct str){message.data, message.len}, &out, &err), ERR_TOO_LARGE,
		   &err, "large");
}
