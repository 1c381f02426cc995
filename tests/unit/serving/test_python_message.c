/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of Python workers: what is written can be read, and hostile ones are refused. */
#include <stdalign.h>
#include <stdlib.h>
#include "base/mem.h"
#include "serving/python_message.h"
#include "serving/python_signature.h"
#include "unit/test.h"

#define CAP 4096

static alignas(PYTHON_ALIGNMENT) char slot[CAP];

static struct signature_tensor tensors[] = {{.alias = "n", .dtype = DT_INT64},
					    {.alias = "s", .dtype = DT_STRING}};
static const struct signature both = {.name = "serving_default", .output_count = 2, .outputs = tensors};
static const size_t wanted[] = {0, 1};

static const int64_t numbers[] = {1, -2, 3};
static const struct str texts[] = {STR("one"), STR(""), STR("three\0tail")};

/* A request of both tensors, turned into an answer. */
static size_t make_answer(void)
{
	struct tensor n = {0}, s = {0};
	const struct tensor *all[] = {&n, &s};
	struct err err = ERR_INIT;
	const int64_t three = 3;
	size_t size = 0;

	EXPECT_OK(tensor_set_shape(&n, DT_INT64, 1, &three, &err), &err);
	EXPECT_OK(tensor_set_shape(&s, DT_STRING, 1, &three, &err), &err);
	n.data = numbers;
	s.strings = texts;
	EXPECT_OK(python_message_encode(slot, CAP, all, 2, wanted, 2, &size, &err), &err);
	((struct python_head *)(void *)slot)->kind = PYTHON_ANSWER;
	return size;
}

static struct python_record *record(size_t i)
{
	return (struct python_record *)(void *)(slot + sizeof(struct python_head)) + i;
}

static int decode(size_t size, struct tensor *ret, struct err *err)
{
	return python_message_decode(slot, size, &both, wanted, 2, ret, err);
}

static void check_tensors(const struct tensor *t)
{
	assert_int_equal(t[0].count, 3);
	assert_memory_equal(t[0].data, numbers, sizeof(numbers));
	assert_int_equal(t[1].count, 3);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(t[1].strings[i].len, texts[i].len);
		assert_memory_equal(t[1].strings[i].data, texts[i].data, texts[i].len);
	}
}

TEST(numbers_and_strings_are_viewed_where_they_lie)
{
	struct tensor t[2];
	struct err err = ERR_INIT;
	size_t size = make_answer();

	EXPECT_OK(decode(size, t, &err), &err);
	check_tensors(t);
	assert_ptr_equal(t[0].data, slot + record(0)->offset);
	assert_int_equal(record(0)->offset % PYTHON_ALIGNMENT, 0);
	assert_int_equal(record(1)->offset % PYTHON_ALIGNMENT, 0);
	for (size_t i = 0; i < 2; i++)
		tensor_done(&t[i]);
}

TEST(copied_tensors_outlive_the_memory_they_came_in)
{
	struct tensor t[2];
	struct err err = ERR_INIT;

	EXPECT_OK(decode(make_answer(), t, &err), &err);
	for (size_t i = 0; i < 2; i++)
		EXPECT_OK(python_message_copy_out(&t[i], &err), &err);
	memset(slot, 0xee, sizeof(slot));
	check_tensors(t);
	for (size_t i = 0; i < 2; i++)
		tensor_done(&t[i]);
}

TEST(a_request_that_does_not_fit_is_refused_and_the_flag_is_named)
{
	struct tensor n = {0};
	const struct tensor *all[] = {&n};
	struct err err = ERR_INIT;
	const int64_t dim = CAP / 8;
	size_t size = 0;

	EXPECT_OK(tensor_set_shape(&n, DT_INT64, 1, &dim, &err), &err);
	EXPECT_ERR(python_message_encode(slot, CAP, all, 1, wanted, 1, &size, &err), ERR_TOO_LARGE, &err,
		   "--python_ring_bytes");
}

/* Each row breaks one rule of an answer that is right otherwise. */
enum rule {
	SHORT,
	MAGIC,
	SIZE,
	KIND,
	COUNT,
	TYPE,
	RANK,
	NEGATIVE,
	HUGE_SHAPE,
	UNALIGNED,
	OFFSET,
	OFFSET_WRAPS,
	BYTES,
	BYTES_WRAP,
	BYTES_OTHER,
	STRINGS_MANY,
	STRING_BACK,
	STRING_FAR,
	STRING_FIRST,
	RULES
};

static void break_rule(enum rule rule, size_t *size)
{
	struct python_head *head = (void *)slot;
	struct python_record *n = record(0), *s = record(1);
	uint64_t *ends = (void *)(slot + s->offset);

	switch (rule) {
	case SHORT:
		*size = sizeof(*head) - 1;
		break;
	case MAGIC:
		head->magic++;
		break;
	case SIZE:
		head->size++;
		break;
	case KIND:
		head->kind = PYTHON_HELLO;
		break;
	case COUNT:
		head->tensor_count = UINT32_MAX;
		break;
	case TYPE:
		n->dtype = DT_DOUBLE;
		break;
	case RANK:
		n->rank = UINT32_MAX;
		break;
	case NEGATIVE:
		n->dims[0] = -1;
		break;
	case HUGE_SHAPE:
		n->dims[0] = INT64_MAX;
		break;
	case UNALIGNED:
		n->offset++;
		break;
	case OFFSET:
		n->offset = *size / PYTHON_ALIGNMENT * PYTHON_ALIGNMENT + PYTHON_ALIGNMENT;
		break;
	case OFFSET_WRAPS:
		n->offset = UINT64_MAX - PYTHON_ALIGNMENT + 1;
		break;
	case BYTES:
		n->bytes = *size;
		break;
	case BYTES_WRAP:
		n->bytes = UINT64_MAX;
		break;
	case BYTES_OTHER:
		n->bytes -= 8;
		break;
	case STRINGS_MANY:
		s->dims[0] = 1000;
		break;
	case STRING_BACK:
		ends[1] = 9;
		ends[2] = 2;
		break;
	case STRING_FAR:
		ends[3] = 1 << 20;
		break;
	default:
		ends[0] = UINT64_MAX;
		break;
	}
}

TEST(an_answer_that_breaks_a_rule_is_refused)
{
	for (enum rule rule = 0; rule < RULES; rule++) {
		struct tensor t[2];
		struct err err = ERR_INIT;
		size_t size = make_answer();
		break_rule(rule, &size);
		EXPECT_INT("rule", rule * 100 + decode(size, t, &err), rule * 100 - ERR_CORRUPT);
	}
}

TEST(a_cut_answer_is_refused_wherever_it_is_cut)
{
	size_t whole = make_answer();

	for (size_t size = 0; size < whole; size++) {
		struct tensor t[2];
		struct err err = ERR_INIT;
		make_answer();
		((struct python_head *)(void *)slot)->size = size;
		int r = decode(size, t, &err);
		/* Behind the last payload there is only padding. */
		assert_true(r == -ERR_CORRUPT || (r == 0 && size >= record(1)->offset + record(1)->bytes));
		for (size_t i = 0; i < 2 && r == 0; i++)
			tensor_done(&t[i]);
	}
}

TEST(a_workers_failure_is_one_line_with_a_code)
{
	static const char text[] = "ValueError: a\nb\x1b[1m";
	struct python_head head = {.magic = PYTHON_MAGIC,
				   .kind = PYTHON_FAILED,
				   .size = sizeof(head) + sizeof(text) - 1,
				   .fault = PYTHON_FAULT_INPUT};
	struct tensor t[2];
	struct err err = ERR_INIT;
	struct str hello;

	memcpy(slot, &head, sizeof(head));
	memcpy(slot + sizeof(head), text, sizeof(text));
	EXPECT_ERR(decode(head.size, t, &err), ERR_INVALID, &err, "ValueError: a b [1m");
	head.fault = 77;
	memcpy(slot, &head, sizeof(head));
	EXPECT_ERR(python_message_hello(slot, head.size, &hello, &err), ERR_INTERNAL, &err, "ValueError");
	head.size = sizeof(head);
	memcpy(slot, &head, sizeof(head));
	EXPECT_ERR(decode(head.size, t, &err), ERR_INTERNAL, &err, "did not say why");
}

TEST(a_signature_is_read_strictly)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
	    {"", ""},
	    {"{\"inputs\":[]}", "no inputs"},
	    {"{\"inputs\":[{\"name\":\"x\",\"dtype\":1}]}", "no outputs"},
	    {"{\"inputs\":[{\"dtype\":1}],\"outputs\":[]}", "no name"},
	    {"{\"inputs\":[{\"name\":\"x\",\"dtype\":99}]}", "element type of 'x'"},
	    {"{\"inputs\":[{\"name\":\"x\",\"dtype\":1,\"shape\":[-2]}]}", "shape of 'x'"},
	    {"{\"inputs\":[{\"name\":\"x\",\"dtype\":1,\"shape\":[\"a\"]}]}", "shape of 'x'"},
	    {"{\"inputs\":[{\"name\":\"x\",\"dtype\":1},{\"name\":\"x\",\"dtype\":1}]}", "twice"},
	    {"{\"inputs\":[7]}", ""},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena = ARENA_INIT((size_t)1 << 20);
		struct signature s;
		struct err err = ERR_INIT;
		EXPECT_ERR(python_signature_parse(str_from(rows[i].text), &arena, &s, &err), ERR_INVALID,
			   &err, rows[i].why);
		arena_done(&arena);
	}
}

TEST(a_signature_knows_names_types_and_shapes)
{
	struct arena arena = ARENA_INIT((size_t)1 << 20);
	struct signature s;
	struct err err = ERR_INIT;

	EXPECT_OK(python_signature_parse(STR("{\"inputs\":[{\"name\":\"x\",\"dtype\":1,\"shape\":[-1,4]}],"
					     "\"outputs\":[{\"name\":\"y\",\"dtype\":7,\"shape\":null}]}"),
					 &arena, &s, &err),
		  &err);
	EXPECT_STR("input", s.inputs[0].alias, "x");
	assert_int_equal(s.inputs[0].rank, 2);
	assert_int_equal(s.inputs[0].dims[0], -1);
	assert_int_equal(s.inputs[0].dims[1], 4);
	assert_false(s.inputs[0].unknown_rank);
	assert_int_equal(s.outputs[0].dtype, DT_STRING);
	assert_true(s.outputs[0].unknown_rank);
	arena_done(&arena);
}
