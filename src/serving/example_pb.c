/* SPDX-License-Identifier: Apache-2.0 */
/* tensorflow.serving.Input (tensorflow_serving/apis/input.proto) to serialized examples. */
#include <string.h>
#include "net/pb.h"
#include "serving/example.h"

enum {
	INPUT_LIST = 1,
	INPUT_LIST_WITH_CONTEXT = 2,
	LIST_EXAMPLES = 1,
	LIST_CONTEXT = 2, /* of ExampleListWithContext */
};

/* The part of an Input that counts: of two different kinds the later one replaces the earlier. */
struct survey {
	uint32_t kind; /* 0 = none */
	size_t count;
	struct str context;
};

static int survey_list(struct str bytes, struct survey *s, struct err *err)
{
	struct pb p;
	struct pb_field f;

	pb_init_str(&p, bytes);
	while (pb_next(&p, &f)) {
		s->count += pb_is(&f, LIST_EXAMPLES, PB_BYTES);
		if (s->kind == INPUT_LIST_WITH_CONTEXT && pb_is(&f, LIST_CONTEXT, PB_BYTES))
			s->context = f.bytes;
	}
	return pb_end(&p, "ExampleList", err);
}

static int survey_input(struct str input, struct survey *s, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r;

	pb_init_str(&p, input);
	while (pb_next(&p, &f)) {
		if (!pb_is(&f, INPUT_LIST, PB_BYTES) && !pb_is(&f, INPUT_LIST_WITH_CONTEXT, PB_BYTES))
			continue;
		if (s->kind != f.number)
			*s = (struct survey){.kind = f.number};
		r = survey_list(f.bytes, s, err);
		if (r < 0)
			return r;
	}
	return pb_end(&p, "Input", err);
}

static int add_example(struct str example, const struct survey *s, struct arena *arena,
		       struct example_list *list, struct err *err)
{
	char *both;

	if (s->context.len == 0) {
		list->items[list->count++] = example;
		return 0;
	}
	both = arena_try_alloc(arena, s->context.len + example.len, 1);
	if (!both)
		return err_set(err, ERR_TOO_LARGE,
			       "the examples with their context need more memory than one request may use");
	memcpy(both, s->context.data, s->context.len);
	if (example.len > 0)
		memcpy(both + s->context.len, example.data, example.len);
	list->items[list->count++] = (struct str){both, s->context.len + example.len};
	return 0;
}

int example_pb_decode(struct str input, struct arena *arena, struct example_list *ret, struct err *err)
{
	struct survey s = {0};
	struct pb p, q;
	struct pb_field f, g;
	int r = survey_input(input, &s, err);

	*ret = (struct example_list){0};
	if (r < 0)
		return r;
	if (s.count == 0)
		return err_set(err, ERR_INVALID, "Input is empty.");
	ret->items = arena_try_alloc(arena, s.count, sizeof(*ret->items));
	if (!ret->items)
		return err_set(err, ERR_TOO_LARGE, "%zu examples need more memory than one request may use",
			       s.count);
	pb_init_str(&p, input);
	while (pb_next(&p, &f)) {
		if (f.number != s.kind || f.wire != PB_BYTES) {
			if (pb_is(&f, INPUT_LIST, PB_BYTES) || pb_is(&f, INPUT_LIST_WITH_CONTEXT, PB_BYTES))
				ret->count = 0; /* an earlier list of the other kind */
			continue;
		}
		pb_init_str(&q, f.bytes);
		while (pb_next(&q, &g)) {
			r = pb_is(&g, LIST_EXAMPLES, PB_BYTES) && ret->count < s.count
				? add_example(g.bytes, &s, arena, ret, err)
				: 0;
			if (r < 0)
				return r;
		}
	}
	return 0;
}
