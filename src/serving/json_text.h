/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text, walked in place: no tree, no recursion. Beyond RFC 8259 it takes NaN, Infinity and -Infinity,
 * which the original server reads and writes. The text must have a NUL behind its last byte (every struct buf
 * has). */
#ifndef SERVING_JSON_TEXT_H
#define SERVING_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define JSON_TEXT_DEPTH_MAX 64

struct json_text {
	const char *start, *pos, *end;
};
struct json_number {
	double value;
	bool integral; /* written without fraction and exponent, and fits 'whole' */
	bool negative;
	uint64_t whole; /* magnitude */
};

void json_text_init(struct json_text *j, struct str text); /* keeps the text */
/* The next byte that is no white space, not consumed; 0 at the end. */
static inline int json_text_peek(struct json_text *j)
{
	while (j->pos < j->end && (*j->pos == ' ' || *j->pos == '\n' || *j->pos == '\t' || *j->pos == '\r'))
		j->pos++;
	return j->pos < j->end ? (unsigned char)*j->pos : 0;
}
/* Consumes it when it is next. */
static inline bool json_text_take(struct json_text *j, char c)
{
	if (json_text_peek(j) != (unsigned char)c || j->pos == j->end)
		return false;
	j->pos++;
	return true;
}
bool json_text_take_word(struct json_text *j, const char *word);
/* The error "what at byte N": ERR_INVALID. */
int json_text_fail(const struct json_text *j, struct err *err, const char *what);

/* A string: a view of the text when it has no escapes, else a copy in the arena. */
int json_text_string(struct json_text *j, struct arena *arena, struct str *ret, struct err *err);
int json_text_bool(struct json_text *j, bool *ret, struct err *err);
int json_text_number(struct json_text *j, struct json_number *ret, struct err *err);
int json_text_end(struct json_text *j, struct err *err); /* ERR_INVALID when something follows */
/* Passes over one value of any kind, checking its syntax. *scalars (may be NULL) grows by the number of
 * strings, numbers and words in it, keys included: an upper bound of the elements of a tensor. */
int json_text_skip(struct json_text *j, size_t *scalars, struct err *err);

/* The same for a list of numbers and of lists, at the speed of memory and without a look at its syntax: who
 * reads the elements later will see what is wrong. False, and nothing is consumed, when the value is no such
 * list. */
bool json_text_skip_list(struct json_text *j, size_t *scalars);
/* Reading 'value', a part of 'text' that was passed over so, has failed with *err: when its syntax is wrong,
 * *err says that instead. Returns -err->code. */
int json_text_recheck(struct str text, struct str value, struct err *err);
/* Reads numbers in plain spelling that are followed by a comma each, at most 'max', as floats or doubles, and
 * consumes them with their commas. Returns how many; what comes next may be anything. */
size_t json_text_reals(struct json_text *j, bool as_float, void *to, size_t max);

/* Walking an object or an array: 1 while there is a member (its key is read, the value is next) or an
 * element, 0 behind the last one. *first is true before the first call. ERR_INVALID. */
int json_text_member(struct json_text *j, bool *first, struct arena *arena, struct str *ret_key,
		     struct err *err);
int json_text_element(struct json_text *j, bool *first, struct err *err);

/* "…" with escapes; each byte that is no UTF-8 becomes U+FFFD. */
void json_text_write_string(struct buf *b, struct str s);

#endif
