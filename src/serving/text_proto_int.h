/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the reader of Protocol Buffers in text: structure (text_proto.c) and values (text_proto_value.c).
 */
#ifndef SERVING_TEXT_PROTO_INT_H
#define SERVING_TEXT_PROTO_INT_H

#include "serving/text_proto.h"

int text_proto_bad(const struct text_proto *t, struct err *err, const char *why);
int text_proto_peek(struct text_proto *t);
/* One or more quoted strings in a row, decoded into the arena with a NUL behind. */
int text_proto_read_string(struct text_proto *t, struct str *ret, struct err *err);

#endif
