/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol Buffers in text: what opens closes, values are read as every type, errors have their code. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serving/text_proto.h"

static void read_value(const struct text_proto *t, const struct text_proto_field *f)
{
	struct err err = ERR_INIT;
	const char *text;
	int64_t whole = 0;
	double real;
	bool yes;

	assert(f->value.data);
	assert(text_proto_int(t, f, -5, 5, &whole, &err) < 0 || (whole >= -5 && whole <= 5));
	text_proto_bool(t, f, &yes, &err);
	text_proto_double(t, f, &real, &err);
	assert(text_proto_string(t, f, 10, &text, &err) < 0 || strlen(text) <= 10);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = ARENA_INIT(1 << 16);
	char *copy = mem_alloc(size ? size : 1); /* without a byte behind the text */
	struct text_proto t;
	struct text_proto_field f;
	struct err err = ERR_INIT;
	int depth = 0, event;

	memcpy(copy, data, size);
	event = text_proto_init(&t, (struct str){copy, size}, &arena, &err);
	while (event >= 0 && (event = text_proto_next(&t, &f, &err)) > 0) {
		depth += event == TEXT_PROTO_OPEN;
		depth -= event == TEXT_PROTO_CLOSE;
		assert(depth >= 0 && depth <= TEXT_PROTO_DEPTH_MAX && depth == t.depth);
		assert(event == TEXT_PROTO_CLOSE || f.name.len > 0);
		if (event == TEXT_PROTO_VALUE)
			read_value(&t, &f);
	}
	assert(event == -err.code && (event < 0 || depth == 0));
	arena_done(&arena);
	free(copy);
	return 0;
}
