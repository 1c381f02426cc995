/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol Buffers in text: a reader that hands out one field after the other. No tree, no recursion.
 *
 * Understood: 'name: value', messages in { } or < > with or without ':', lists [a, b] (handed out as if the
 * field were written once for each element), comments from # to the end of the line, ',' or ';' between
 * fields, strings in either quote with C escapes, several strings in a row as one, numbers in decimal, hex
 * and octal, words (enums, true, false, inf, nan), names in brackets (extensions). Source: protobuf.dev,
 * "Text Format Language". What the fields mean is the caller's; errors name the line. */
#ifndef SERVING_TEXT_PROTO_H
#define SERVING_TEXT_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define TEXT_PROTO_BYTES_MAX ((size_t)8 << 20)
#define TEXT_PROTO_DEPTH_MAX 32 /* messages inside each other */

enum text_proto_event {
	TEXT_PROTO_EOF = 0,
	TEXT_PROTO_VALUE, /* one scalar of field 'name' */
	TEXT_PROTO_OPEN,  /* a message of field 'name' begins */
	TEXT_PROTO_CLOSE  /* the innermost open message ends */
};
enum text_proto_kind { TEXT_PROTO_STRING, TEXT_PROTO_NUMBER, TEXT_PROTO_WORD };

/* Views of the text, or of the arena for strings. */
struct text_proto_field {
	struct str name;
	enum text_proto_kind kind; /* of a VALUE */
	struct str value;	   /* numbers and words as written, with their '-' */
};

struct text_proto {
	const char *start, *pos, *end;
	struct arena *arena;
	int depth;
	struct {
		char closer; /* of the message; 0 for the outermost */
		bool in_list;
		struct str list_name;
	} levels[TEXT_PROTO_DEPTH_MAX + 1];
};

/* Keeps 'text' and 'arena'. ERR_TOO_LARGE. */
int text_proto_init(struct text_proto *t, struct str text, struct arena *arena, struct err *err);
/* The next event (enum text_proto_event), or ERR_INVALID "line N: why", ERR_TOO_LARGE past the limits. */
int text_proto_next(struct text_proto *t, struct text_proto_field *ret, struct err *err);
/* After OPEN: passes over the message up to and with its CLOSE. */
int text_proto_skip(struct text_proto *t, struct err *err);
/* The error "line N: field 'name' why". */
int text_proto_fail(const struct text_proto *t, const struct text_proto_field *f, const char *why,
		    struct err *err);

/* The value as a type; errors name field and line. */
int text_proto_int(const struct text_proto *t, const struct text_proto_field *f, int64_t min, int64_t max,
		   int64_t *ret, struct err *err);
int text_proto_bool(const struct text_proto *t, const struct text_proto_field *f, bool *ret, struct err *err);
int text_proto_double(const struct text_proto *t, const struct text_proto_field *f, double *ret,
		      struct err *err);
/* A string without NUL, in the arena. */
int text_proto_string(const struct text_proto *t, const struct text_proto_field *f, size_t max,
		      const char **ret, struct err *err);

#endif
