/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto: both encodings, the rules for missing and surplus values, views instead of copies. */
#include <stdlib.h>
#include "base/mem.h"
#include "net/pb.h"
#include "serving/predict_pb.h"
#include "serving/tensor_pb.h"
#include "unit/test.h"

#define MEMORY ((size_t)1 << 20)

static void put_shape(struct buf *b, int rank, const int64_t *dims)
{
	struct pb_mark shape = pb_begin(b, 2, 0);

	for (int i = 0; i < rank; i++) {
		struct pb_mark dim = pb_begin(b, 2, 0);
		pb_add_varint(b, 1, (uint64_t)dims[i]);
		pb_close(b, dim);
	}
	pb_close(b, shape);
}

static int decode(const struct buf *b, struct arena *arena, struct tensor *t, struct err *err)
{
	return tensor_pb_decode((struct str){b->data, b->len}, NULL, arena, t, err);
}

TEST(all_element_types_survive_both_encodings)
{
	static const enum dtype types[] = {DT_FLOAT,  DT_DOUBLE, DT_INT32,     DT_UINT8,     DT_INT16,
					   DT_INT8,   DT_INT64,	 DT_BFLOAT16,  DT_UINT16,    DT_HALF,
					   DT_UINT32, DT_UINT64, DT_COMPLEX64, DT_COMPLEX128};
	const int64_t dims[] = {3, 2};

	for (size_t i = 0; i < ARRAY_LEN(types) * 2; i++) {
		struct arena arena = ARENA_INIT(MEMORY);
		struct tensor t = {0}, back;
		struct err err = ERR_INIT;
		struct buf b = BUF_INIT;
		EXPECT_OK(tensor_set_shape(&t, types[i / 2], 2, dims, &err), &err);
		void *data = tensor_alloc(&t, &arena, &err);
		test_rng.fill(&test_rng, data, t.bytes);
		tensor_pb_encode(&t, i % 2, &b);
		EXPECT_OK(decode(&b, &arena, &back, &err), &err);
		EXPECT_INT(dtype_word(t.dtype), back.dtype, t.dtype);
		EXPECT_INT(dtype_word(t.dtype), back.rank, 2);
		EXPECT_INT(dtype_word(t.dtype), (int64_t)back.bytes, (int64_t)t.bytes);
		assert_memory_equal(back.data, t.data, t.bytes);
		buf_done(&b);
		arena_done(&arena);
	}
}

TEST(strings_survive_both_encodings)
{
	const struct str texts[] = {STR("a"), STR(""), STR("nul\0inside"),
				    STR("long long long long long long long")};
	const int64_t dims[] = {2, 2};

	for (int content = 0; content < 2; content++) {
		struct arena arena = ARENA_INIT(MEMORY);
		struct tensor t = {0}, back;
		struct err err = ERR_INIT;
		struct buf b = BUF_INIT;
		EXPECT_OK(tensor_set_shape(&t, DT_STRING, 2, dims, &err), &err);
		t.strings = texts;
		tensor_pb_encode(&t, content, &b);
		EXPECT_OK(decode(&b, &arena, &back, &err), &err);
		for (size_t i = 0; i < 4; i++) {
			EXPECT_INT("length", (int64_t)back.strings[i].len, (int64_t)texts[i].len);
			assert_memory_equal(back.strings[i].data, texts[i].data, texts[i].len);
		}
		buf_done(&b);
		arena_done(&arena);
	}
}

TEST(the_last_value_repeats_and_surplus_values_are_ignored)
{
	struct arena arena = ARENA_INIT(MEMORY);
	const int64_t dims[] = {4};
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct tensor t;

	pb_add_varint(&b, 1, DT_INT32);
	put_shape(&b, 1, dims);
	EXPECT_OK(decode(&b, &arena, &t, &err), &err);
	assert_memory_equal(t.data, ((int32_t[]){0, 0, 0, 0}), 16);
	pb_add_varint(&b, 7, 5); /* unpacked */
	pb_add_bytes(&b, 7, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
	EXPECT_OK(decode(&b, &arena, &t, &err), &err);
	assert_memory_equal(t.data, ((int32_t[]){5, -1, -1, -1}), 16);
	pb_add_bytes(&b, 7, "\1\2\3\4", 4);
	EXPECT_OK(decode(&b, &arena, &t, &err), &err);
	assert_memory_equal(t.data, ((int32_t[]){5, -1, 1, 2}), 16);
	buf_done(&b);
	arena_done(&arena);
}

TEST(aligned_values_are_viewed_where_they_lie)
{
	struct arena arena = ARENA_INIT(MEMORY);
	const int64_t dims[] = {2};
	struct err err = ERR_INIT;
	struct tensor t;
	size_t views = 0;

	for (int pad = 0; pad < 4; pad++) {
		struct buf b = BUF_INIT;
		pb_add_varint(&b, 1, DT_FLOAT);
		if (pad & 1) /* version_number in two and three bytes, to move what follows */
			buf_add(&b, "\x18\x00", 2);
		if (pad & 2)
			buf_add(&b, "\x18\x80\x00", 3);
		put_shape(&b, 1, dims);
		pb_add_bytes(&b, 5, (float[]){1.5f, -2.5f}, 8);
		EXPECT_OK(decode(&b, &arena, &t, &err), &err);
		assert_memory_equal(t.data, ((float[]){1.5f, -2.5f}), 8);
		views += (const char *)t.data >= b.data && (const char *)t.data < b.data + b.len;
		buf_done(&b);
	}
	assert_true(views >= 1 && views < 4);
	arena_done(&arena);
}

TEST(what_does_not_fit_together_is_refused)
{
	struct arena arena = ARENA_INIT(MEMORY);
	const int64_t two[] = {2}, negative[] = {-1}, huge[] = {1 << 30, 1 << 30, 1 << 30}, big[] = {1 << 20};
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct tensor t;

	pb_add_varint(&b, 1, DT_FLOAT);
	put_shape(&b, 1, two);
	pb_add_bytes(&b, 4, "1234567", 7);
	EXPECT_ERR(decode(&b, &arena, &t, &err), ERR_INVALID, &err, "tensor_content has 7 bytes");
	buf_clear(&b);
	pb_add_varint(&b, 1, 20); /* DT_RESOURCE */
	EXPECT_ERR(decode(&b, &arena, &t, &err), ERR_INVALID, &err, "element type 20");
	buf_clear(&b);
	pb_add_varint(&b, 1, DT_FLOAT);
	put_shape(&b, 1, negative);
	EXPECT_ERR(decode(&b, &arena, &t, &err), ERR_INVALID, &err, "negative");
	buf_clear(&b);
	pb_add_varint(&b, 1, DT_FLOAT);
	put_shape(&b, 3, huge);
	EXPECT_ERR(decode(&b, &arena, &t, &err), ERR_TOO_LARGE, &err, "more than");
	buf_clear(&b);
	pb_add_varint(&b, 1, DT_DOUBLE);
	put_shape(&b, 1, big); /* one value that wants to repeat past the arena */
	pb_add_double(&b, 6, 1);
	EXPECT_ERR(decode(&b, &arena, &t, &err), ERR_TOO_LARGE, &err, "more memory");
	buf_done(&b);
	arena_done(&arena);
}

TEST(a_dimension_of_zero_makes_an_empty_tensor_whatever_the_others_are)
{
	const int64_t dims[] = {INT64_MAX, 0, INT64_MAX};
	struct tensor t = {0};
	struct err err = ERR_INIT;

	EXPECT_OK(tensor_set_shape(&t, DT_INT64, 3, dims, &err), &err);
	EXPECT_INT("count", (int64_t)t.count, 0);
	EXPECT_INT("bytes", (int64_t)t.bytes, 0);
}

TEST(sixteen_bit_floats_round_to_nearest_even)
{
	static const struct {
		float value;
		uint16_t half, bfloat16;
	} rows[] = {
	    {0.0f, 0x0000, 0x0000},	  {1.0f, 0x3c00, 0x3f80},	{-2.0f, 0xc000, 0xc000},
	    {65504.0f, 0x7bff, 0x4780},	  {65520.0f, 0x7c00, 0x4780},	{0x1p-24f, 0x0001, 0x3380},
	    {0x1p-25f, 0x0000, 0x3300},	  {0x1.8p-25f, 0x0001, 0x3340}, {0x1.002p0f, 0x3c00, 0x3f80},
	    {0x1.006p0f, 0x3c02, 0x3f80}, {1e30f, 0x7c00, 0x714a},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		EXPECT_INT("half", dtype_half_from_float(rows[i].value), rows[i].half);
		EXPECT_INT("bfloat16", dtype_bfloat16_from_float(rows[i].value), rows[i].bfloat16);
	}
	for (uint32_t bits = 0; bits < 0x10000; bits++) {
		bool nan = (bits & 0x7c00) == 0x7c00 && (bits & 0x3ff);
		if (!nan)
			assert_int_equal(dtype_half_from_float(dtype_half_to_float((uint16_t)bits)), bits);
	}
}

TEST(the_elements_of_a_big_tensor_are_found_in_the_first_bytes_of_a_request)
{
	static const float values[2000];
	struct buf b = BUF_INIT;
	struct pb_mark entry, value;
	size_t found;

	entry = pb_begin(&b, 1, 0);
	pb_add_string(&b, 1, "model");
	pb_close(&b, entry);
	entry = pb_begin(&b, 2, 0);
	pb_add_string(&b, 1, "small");
	value = pb_begin(&b, 2, 0);
	pb_add_varint(&b, 1, DT_FLOAT);
	pb_add_bytes(&b, 5, values, 8);
	pb_close(&b, value);
	pb_close(&b, entry);
	entry = pb_begin(&b, 2, 9000);
	pb_add_string(&b, 1, "big");
	value = pb_begin(&b, 2, 9000);
	pb_add_varint(&b, 1, DT_FLOAT);
	pb_add_bytes(&b, 4, values, sizeof(values));
	found = b.len - sizeof(values);
	pb_close(&b, value);
	pb_close(&b, entry);
	EXPECT_INT("whole", (int64_t)predict_pb_payload(b.data, b.len), (int64_t)found);
	EXPECT_INT("just enough", (int64_t)predict_pb_payload(b.data, found), (int64_t)found);
	for (size_t len = 0; len < found; len++)
		EXPECT_INT("too little", (int64_t)predict_pb_payload(b.data, len), 0);
	buf_done(&b);
}
