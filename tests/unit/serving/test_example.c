/* SPDX-License-Identifier: Apache-2.0 */
/* Serialized examples from Input messages and from REST bodies. */
#include <stdlib.h>
#include "base/mem.h"
#include "net/pb.h"
#include "serving/example.h"
#include "unit/test.h"

static void hex(const struct example_list *list, struct buf *b)
{
	buf_clear(b);
	for (size_t i = 0; i < list->count; i++) {
		buf_adds(b, i ? " " : "");
		for (size_t k = 0; k < list->items[i].len; k++)
			buf_printf(b, "%02x", (unsigned char)list->items[i].data[k]);
	}
}

#define BYTES(lit) ((struct str){(lit), sizeof(lit) - 1})

TEST(examples_of_an_input_are_handed_out_as_they_are)
{
	static const struct {
		const char *row;
		struct str input;
		const char *expected; /* hex of each example */
	} rows[] = {
	    {"a list", BYTES("\x0a\x05\x0a\x01x\x0a\x00"), "78 "},
	    {"a list in two parts", BYTES("\x0a\x03\x0a\x01x\x0a\x03\x0a\x01y"), "78 79"},
	    {"a context goes in front", BYTES("\x12\x0a\x0a\x01x\x12\x02zz\x0a\x01y"), "7a7a78 7a7a79"},
	    {"the last kind counts", BYTES("\x12\x07\x0a\x01x\x12\x02zz\x0a\x03\x0a\x01y"), "79"},
	    {"and an earlier part of it does not", BYTES("\x0a\x03\x0a\x01x\x12\x00\x0a\x03\x0a\x01y"), "79"},
	};
	CLEANUP(buf) struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena = ARENA_INIT(4096);
		struct example_list list;
		struct err err = ERR_INIT;
		EXPECT_OK(example_pb_decode(rows[i].input, &arena, &list, &err), &err);
		hex(&list, &b);
		EXPECT_STR(rows[i].row, buf_str(&b), rows[i].expected);
		arena_done(&arena);
	}
}

TEST(an_input_without_examples_and_a_malformed_one_are_refused)
{
	static const struct {
		struct str input;
		const char *part;
	} rows[] = {
	    {BYTES(""), "Input is empty."},
	    {BYTES("\x0a\x00"), "Input is empty."},
	    {BYTES("\x12\x02\x12\x00"), "Input is empty."},
	    {BYTES("\x0a\x05\x0a"), "malformed"},
	    {BYTES("\x0a\x02\x0a\x05"), "malformed"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena = ARENA_INIT(4096);
		struct example_list list;
		struct err err = ERR_INIT;
		EXPECT_ERR(example_pb_decode(rows[i].input, &arena, &list, &err), ERR_INVALID, &err,
			   rows[i].part);
		arena_done(&arena);
	}
}

TEST(a_context_times_its_examples_is_limited)
{
	CLEANUP(buf) struct buf input = BUF_INIT;
	struct arena arena = ARENA_INIT(1 << 20);
	struct example_list list;
	struct err err = ERR_INIT;
	struct pb_mark mark = pb_begin(&input, 2, 200000);
	char *context = mem_alloc(100000);

	memset(context, 'c', 100000);
	pb_add_bytes(&input, 2, context, 100000);
	for (int i = 0; i < 1000; i++)
		pb_add_bytes(&input, 1, "x", 1);
	pb_close(&input, mark);
	EXPECT_ERR(example_pb_decode((struct str){input.data, input.len}, &arena, &list, &err), ERR_TOO_LARGE,
		   &err, "more memory");
	arena_done(&arena);
	free(context);
}

TEST(features_of_a_body_get_the_kind_of_their_values)
{
	static const struct {
		const char *body, *signature, *expected;
	} rows[] = {
	    /* Example{1: Features{1: entry{1: "a", 2: Feature{kind: list{1: values}}}}} */
	    {"{\"examples\":[{\"a\":1}]}", "", "0a0c0a0a0a016112051a030a0101"},
	    {"{\"examples\":[{\"a\":[1,true,false,-1]}], \"signature_name\":\"s\"}", "s",
	     "0a180a160a016112111a0f0a0d010100ffffffffffffffffff01"},
	    {"{\"examples\":[{\"a\":1.5}]}", "", "0a0f0a0d0a0161120812060a040000c03f"},
	    {"{\"examples\":[{\"a\":[1e0,NaN]}]}", "", "0a130a110a0161120c120a0a080000803f0000c07f"},
	    {"{\"examples\":[{\"a\":\"x\"}]}", "", "0a0c0a0a0a016112050a030a0178"},
	    {"{\"examples\":[{\"a\":[\"x\",{\"b64\":\"/w==\"}]}]}", "", "0a0f0a0d0a016112080a060a01780a01ff"},
	    {"{\"examples\":[{\"a\":[]}]}", "", "0a070a050a01611200"},
	    {"{\"examples\":[{},{}]}", "", "0a00 0a00"},
	    {"{\"examples\":[{\"a\":2}],\"context\":{\"a\":1},\"other\":[{}]}", "",
	     "0a0c0a0a0a016112051a030a01010a0c0a0a0a016112051a030a0102"},
	    {"{\"examples\":[{\"a\":9223372036854775807}]}", "",
	     "0a140a120a0161120d1a0b0a09ffffffffffffffff7f"},
	};
	CLEANUP(buf) struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena = ARENA_INIT(1 << 16);
		struct example_body body;
		struct err err = ERR_INIT;
		EXPECT_OK(example_json_read(str_from(rows[i].body), &arena, &body, &err), &err);
		hex(&body.examples, &b);
		EXPECT_STR(rows[i].body, buf_str(&b), rows[i].expected);
		assert_true(str_eq(body.signature, rows[i].signature));
		arena_done(&arena);
	}
}

TEST(bodies_that_hold_no_examples_are_refused_with_the_reason)
{
	static const struct {
		const char *body, *part;
	} rows[] = {
	    {"", "empty"},
	    {"[]", "expected type: object"},
	    {"{", "JSON Parse error"},
	    {"{}", "key 'examples' is expected"},
	    {"{\"examples\":{}}", "list/array"},
	    {"{\"examples\":[]}", "empty array"},
	    {"{\"examples\":[1]}", "must be JSON object"},
	    {"{\"context\":1,\"examples\":[{}]}", "must be JSON object"},
	    {"{\"examples\":[{\"a\":null}]}", "unexpected JSON type: Null"},
	    {"{\"examples\":[{\"a\":[[1]]}]}", "unexpected JSON type: Array"},
	    {"{\"examples\":[{\"a\":{\"c\":\"\"}}]}", "unexpected JSON type: Object"},
	    {"{\"examples\":[{\"a\":{\"b64\":\"*\"}}]}", "malformed base64"},
	    {"{\"examples\":[{\"a\":{\"b64\":\"\",\"c\":1}}]}", "unexpected JSON type: Object"},
	    {"{\"examples\":[{\"a\":[1,\"x\"]}]}",
	     "Unexpected element type in feature: a expecting type: int64"},
	    {"{\"examples\":[{\"a\":[1.5,1]}]}", "expecting type: float"},
	    {"{\"examples\":[{\"a\":[\"x\",true]}]}", "expecting type: bytes"},
	    {"{\"examples\":[{\"a\":9223372036854775808}]}", "Only int64"},
	    {"{\"examples\":[{\"a\":1}],\"signature_name\":1}", "'signature_name' key must be a string"},
	    {"{\"examples\":[{}]} x", "must not be followed"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena = ARENA_INIT(1 << 16);
		struct example_body body;
		struct err err = ERR_INIT;
		EXPECT_ERR(example_json_read(str_from(rows[i].body), &arena, &body, &err), ERR_INVALID, &err,
			   rows[i].part);
		arena_done(&arena);
	}
}
