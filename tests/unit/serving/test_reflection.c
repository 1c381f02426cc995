/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors of what the server offers. */
#include <stdlib.h>
#include "base/mem.h"
#include "net/pb.h"
#include "serving/reflection.h"
#include "serving/rpc.h"
#include "unit/test.h"

enum { RESPONSE_FILES = 4, RESPONSE_ERROR = 7, REQUEST_SYMBOL = 4 };

static bool answer_has(const char *symbol, uint32_t field)
{
	CLEANUP(buf) struct buf request = BUF_INIT, answer = BUF_INIT;
	struct err err = ERR_INIT;
	struct pb p;
	struct pb_field f;
	bool found = false;

	pb_add_string(&request, REQUEST_SYMBOL, symbol);
	EXPECT_OK(reflection_answer((struct str){request.data, request.len}, &answer, &err), &err);
	pb_init(&p, answer.data, answer.len);
	while (pb_next(&p, &f))
		found |= f.number == field;
	EXPECT_OK(pb_end(&p, "answer", &err), &err);
	return found;
}

TEST(every_method_of_the_tables_is_described)
{
	const struct rpc_method *m;
	size_t methods = 0;

	for (size_t i = 0; (m = rpc_method_next(&i)) != NULL; methods++) {
		CLEANUP(free) char *symbol = mem_strdup(m->path + 1);
		*strchr(symbol, '/') = '.';
		if (!answer_has(symbol, RESPONSE_FILES))
			fail_msg("proto/ says nothing about '%s'; add it and its file to serving_protos",
				 symbol);
		assert_ptr_equal(rpc_method_find(m->path), m);
		assert_true(!m->handle == !!m->stream);
	}
	assert_true(methods > 8);
}

TEST(names_that_only_begin_alike_are_not_found)
{
	static const char *const names[] = {"",
					    ".",
					    "tensorflow",
					    "tensorflow.",
					    "tensorflow.TensorProt",
					    "tensorflow.TensorProto.",
					    "tensorflow.TensorProto.none",
					    "tensorflow.serving.PredictionService.Predict.x",
					    "TensorProto"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_true(answer_has(names[i], RESPONSE_ERROR));
	assert_true(answer_has("tensorflow.TensorProto", RESPONSE_FILES));
}

TEST(malformed_requests_are_refused)
{
	CLEANUP(buf) struct buf answer = BUF_INIT, big = BUF_INIT;
	struct err err = ERR_INIT;
	char text[600];

	EXPECT_ERR(reflection_answer(STR("\xff"), &answer, &err), ERR_INVALID, &err, "malformed");
	EXPECT_ERR(reflection_answer(STR(""), &answer, &err), ERR_INVALID, &err, "asks for nothing");
	memset(text, 'x', sizeof(text));
	pb_add_bytes(&big, REQUEST_SYMBOL, text, sizeof(text));
	EXPECT_ERR(reflection_answer((struct str){big.data, big.len}, &answer, &err), ERR_INVALID, &err,
		   "512");
}
