/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol: requests in their three forms, replies, paths, codings. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "net/pb.h"
#include "serving/deflate.h"
#include "serving/inflate.h"
#include "serving/oip.h"
#include "serving/oip_route.h"
#include "unit/test.h"

#define MEMORY ((size_t)1 << 20)

static int decode(const char *json, struct str blobs, struct arena *arena, struct oip_request *q,
		  struct err *err)
{
	return oip_json_decode(str_from(json), blobs, arena, q, err);
}

TEST(json_data_is_read_flat_and_nested_whatever_the_order_of_members)
{
	static const char *const texts[] = {
	    "{\"inputs\":[{\"name\":\"x\",\"shape\":[2,2],\"datatype\":\"INT16\",\"data\":[1,-2,3,4]}]}",
	    "{\"inputs\":[{\"data\":[[1,-2],[3,4]],\"datatype\":\"INT16\",\"shape\":[2,2],\"name\":\"x\"}]}",
	    "{\"inputs\":[],\"inputs\":[{\"name\":\"x\",\"shape\":[2,2],\"datatype\":\"INT16\",\"more\":{},"
	    "\"data\":[1,-2,3,4]}],\"other\":[{}]}",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct arena arena = ARENA_INIT(MEMORY);
		struct oip_request q;
		struct err err = ERR_INIT;
		EXPECT_OK(decode(texts[i], (struct str){"", 0}, &arena, &q, &err), &err);
		EXPECT_INT("inputs", q.input_count, 1);
		EXPECT_INT("rank", q.inputs[0].tensor.rank, 2);
		assert_memory_equal(q.inputs[0].tensor.data, ((int16_t[]){1, -2, 3, 4}), 8);
		assert_false(q.raw);
		arena_done(&arena);
	}
}

TEST(binary_tensors_lie_behind_each_other)
{
	struct arena arena = ARENA_INIT(MEMORY);
	struct oip_request q;
	struct err err = ERR_INIT;
	static const char blobs[] = "\1\0\2\0\3\0\0\0abc\0\0\0\0";

	EXPECT_OK(
	    decode("{\"inputs\":[{\"name\":\"i\",\"shape\":[2],\"datatype\":\"UINT16\",\"parameters\":{"
		   "\"binary_data_size\":4}},{\"name\":\"s\",\"shape\":[2,1],\"datatype\":\"BYTES\","
		   "\"parameters\":{\"binary_data_size\":11}}],\"outputs\":[{\"name\":\"a\"},{\"name\":\"b\","
		   "\"parameters\":{\"binary_data\":false}}],\"parameters\":{\"binary_data_output\":true}}",
		   (struct str){blobs, 15}, &arena, &q, &err),
	    &err);
	assert_memory_equal(q.inputs[0].tensor.data, ((uint16_t[]){1, 2}), 4);
	assert_true(str_eq(q.inputs[1].tensor.strings[0], "abc") && q.inputs[1].tensor.strings[1].len == 0);
	assert_true(q.raw && q.output_count == 2 && q.output_binary[0] && !q.output_binary[1]);
	arena_done(&arena);
}

TEST(a_header_length_that_is_no_length_is_refused)
{
	static const char *const lengths[] = {
	    "", "-1", "5x", " 2", "3", "18446744073709551617", "99999999999999999999999"};

	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		struct arena arena = ARENA_INIT(MEMORY);
		struct oip_request q;
		struct err err = ERR_INIT;
		EXPECT_ERR(oip_body_decode(STR("{}"), lengths[i], &arena, &q, &err), ERR_INVALID, &err, "");
		arena_done(&arena);
	}
}

TEST(the_shape_of_a_raw_body_follows_from_its_size)
{
	static struct signature_tensor in = {.alias = "x", .dtype = DT_FLOAT, .rank = 3, .dims = {-1, 2, -1}};
	static const struct signature s = {"serving_default", "", 1, 1, &in, &in, NULL};
	struct arena arena = ARENA_INIT(MEMORY);
	struct oip_request q;
	struct err err = ERR_INIT;
	float values[6] = {1, 2, 3, 4, 5, 6};

	EXPECT_OK(oip_raw_decode((struct str){(char *)values, sizeof(values)}, &s, &arena, &q, &err), &err);
	EXPECT_INT("dim 0", q.inputs[0].tensor.dims[0], 3);
	EXPECT_INT("dim 2", q.inputs[0].tensor.dims[2], 1);
	assert_ptr_equal(q.inputs[0].tensor.data, values); /* aligned: viewed */
	EXPECT_ERR(oip_raw_decode((struct str){(char *)values, 20}, &s, &arena, &q, &err), ERR_INVALID, &err,
		   "");
	EXPECT_ERR(oip_raw_decode((struct str){(char *)values, 7}, &s, &arena, &q, &err), ERR_INVALID, &err,
		   "");
	arena_done(&arena);
}

/* A ModelInferRequest with one raw input of 'len' bytes. */
static void encode_raw(struct buf *b, const char *datatype, int64_t dim, const void *data, size_t len)
{
	struct pb_mark input, shape;

	pb_add_string(b, 1, "m");
	input = pb_begin(b, 5, 0);
	pb_add_string(b, 1, "x");
	pb_add_string(b, 2, datatype);
	shape = pb_begin(b, 3, 0);
	pb_add_raw_varint(b, (uint64_t)dim);
	pb_close(b, shape);
	pb_close(b, input);
	pb_add_bytes(b, 7, data, len);
}

TEST(raw_contents_are_viewed_where_the_transport_can_align_them)
{
	static char blob[4096] __attribute__((aligned(64)));
	struct arena arena = ARENA_INIT(MEMORY);
	struct oip_request q;
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	size_t offset;

	encode_raw(&b, "FP32", 1024, blob, sizeof(blob));
	offset = oip_pb_payload(b.data, 64);
	EXPECT_INT("offset", offset, b.len - sizeof(blob));
	EXPECT_INT("head cut off", oip_pb_payload(b.data, 4), 0);
	char *aligned = mem_alloc(b.len + 128), *at = aligned + (64 - ((uintptr_t)aligned + offset) % 64);
	memcpy(at, b.data, b.len);
	EXPECT_OK(oip_pb_decode((struct str){at, b.len}, NULL, &arena, &q, &err), &err);
	assert_true(q.raw && (const char *)q.inputs[0].tensor.data == at + offset);
	memmove(at + 1, at, b.len);
	EXPECT_OK(oip_pb_decode((struct str){at + 1, b.len}, NULL, &arena, &q, &err), &err);
	assert_true((uintptr_t)q.inputs[0].tensor.data % 4 == 0);
	free(aligned);
	buf_done(&b);
	arena_done(&arena);
}

TEST(shapes_that_promise_more_than_there_is_cost_nothing)
{
	static const struct {
		const char *datatype;
		int64_t dim;
		int code;
	} rows[] = {
	    {"INT8", INT32_MAX, ERR_INVALID},	{"BYTES", 1 << 26, ERR_INVALID},
	    {"FP64", INT32_MAX, ERR_TOO_LARGE}, {"FP32", -1, ERR_INVALID},
	    {"FP32", INT64_MAX, ERR_TOO_LARGE}, {"FP99", 1, ERR_INVALID},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena = ARENA_INIT(65536);
		struct oip_request q;
		struct buf b = BUF_INIT;
		struct err err = ERR_INIT;
		encode_raw(&b, rows[i].datatype, rows[i].dim, "1234", 4);
		EXPECT_ERR(oip_pb_decode((struct str){b.data, b.len}, NULL, &arena, &q, &err), rows[i].code,
			   &err, "");
		buf_done(&b);
		arena_done(&arena);
	}
}

TEST(paths_name_verb_model_and_version)
{
	static const struct {
		const char *method, *path;
		enum oip_verb verb;
		const char *name;
		int64_t version;
		int code;
	} rows[] = {
	    {"GET", "/v2", OIP_SERVER, "", -1, 0},
	    {"GET", "/v2/", OIP_SERVER, "", -1, 0},
	    {"GET", "/v2/models/a%2Fb/versions/007/ready", OIP_MODEL_READY, "a/b", 7, 0},
	    {"POST", "/v2/models/ready/infer", OIP_INFER, "ready", -1, 0},
	    {"GET", "/v2/models/stats", OIP_STATS, "", -1, 0},
	    {"GET", "/v2/models/stats/stats", OIP_STATS, "stats", -1, 0},
	    {"GET", "/v1/models", OIP_MODELS, "", -1, 0},
	    {"POST", "/v2/repository/models/m/unload", OIP_UNLOAD, "m", -1, 0},
	    {"GET", "/v2/models//ready", 0, "", 0, ERR_INVALID},
	    {"GET", "/v2/models/m/versions/9223372036854775808", 0, "", 0, ERR_INVALID},
	    {"PUT", "/v2/models/m/infer", 0, "", 0, ERR_METHOD},
	    {"GET", "/v2/models/m/infer/x", 0, "", 0, ERR_NOT_FOUND},
	    {"GET", "/v2/trace/setting", 0, "", 0, ERR_UNSUPPORTED},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena = ARENA_INIT(4096);
		struct oip_route route;
		struct err err = ERR_INIT;
		int r = oip_route_parse(rows[i].method, rows[i].path, &arena, &route, &err);
		EXPECT_INT(rows[i].path, r, -rows[i].code);
		if (rows[i].code == 0) {
			EXPECT_INT(rows[i].path, route.verb, rows[i].verb);
			assert_true(str_eq(route.spec.name, rows[i].name));
			EXPECT_INT(rows[i].path, route.spec.has_version ? route.spec.version : -1,
				   rows[i].version);
		}
		arena_done(&arena);
	}
}

TEST(answers_are_compressed_as_the_client_likes_best)
{
	static const struct {
		const char *accepted;
		enum http_coding coding;
	} rows[] = {
	    {NULL, CODING_IDENTITY},	   {"", CODING_IDENTITY},
	    {"gzip", CODING_GZIP},	   {"br , DEFLATE;q=1", CODING_DEFLATE},
	    {"gzip;q=0", CODING_IDENTITY}, {"gzip;q=0.1,deflate;q=0.3", CODING_DEFLATE},
	    {",,;q=,", CODING_IDENTITY},
	};
	char text[5000];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		EXPECT_INT(rows[i].accepted ? rows[i].accepted : "none",
			   http_coding_accepted(rows[i].accepted), rows[i].coding);
	memset(text, 'a', sizeof(text));
	for (enum http_coding c = CODING_GZIP; c <= CODING_DEFLATE; c++) {
		struct buf packed = BUF_INIT, again = BUF_INIT;
		struct err err = ERR_INIT;
		EXPECT_OK(deflate_all(text, sizeof(text), c, &packed, &err), &err);
		assert_true(packed.len < 100);
		EXPECT_OK(inflate_all(packed.data, packed.len, sizeof(text), &again, &err), &err);
		assert_true(again.len == sizeof(text) && memcmp(again.data, text, sizeof(text)) == 0);
		buf_done(&packed);
		buf_done(&again);
	}
}
