/* SPDX-License-Identifier: Apache-2.0 */
/* tensorflow.Example in its serialized form, which is what the models of classify and regress signatures
 * parse themselves. Examples come from a tensorflow.serving.Input message or from a REST body. */
#ifndef SERVING_EXAMPLE_H
#define SERVING_EXAMPLE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* Views of the request, or copies in the arena. */
struct example_list {
	size_t count;
	struct str *items;
};

/* Reads a tensorflow.serving.Input. A context is put in front of each example: protobuf merges the two and
 * the example's own features win. ERR_INVALID "Input is empty." without an example, ERR_TOO_LARGE past the
 * arena's limit. */
int example_pb_decode(struct str input, struct arena *arena, struct example_list *ret, struct err *err);

/* What a classify or regress body says. Views of the body, or copies in the arena. */
struct example_body {
	struct str signature; /* "" when absent */
	struct example_list examples;
};
/* {"signature_name": …, "context": {feature: value}, "examples": [{feature: value or list}]}: strings and
 * {"b64": …} become bytes, whole numbers and booleans int64, numbers with a fraction or an exponent float; a
 * list holds one kind. ERR_INVALID, ERR_TOO_LARGE. */
int example_json_read(struct str body, struct arena *arena, struct example_body *ret, struct err *err);

#endif
