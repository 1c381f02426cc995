/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table per specification: key, type, where it lives, default, limits, description. Defaults, parsing,
 * formatting, copying, releasing and the JSON Schema are all made from it, so that they cannot disagree.
 * Private to this room.
 */
#ifndef CORE_FIELD_H
#define CORE_FIELD_H

#include <stddef.h>
#include <jansson.h>
#include "core/core.h"

enum field_type {
	FIELD_STRING,	/* char *, NULL = not set */
	FIELD_CHARS,	/* char[cap] */
	FIELD_STRINGS,	/* char **, NULL = not set */
	FIELD_ENV,	/* char ** of "KEY=value"; an object in JSON */
	FIELD_INT,	/* int64_t */
	FIELD_INT32,	/* int */
	FIELD_BYTES,	/* int64_t; "2G" in JSON */
	FIELD_CPU,	/* int64_t thousandths; "1.5" in JSON */
	FIELD_DURATION, /* int64_t milliseconds; "2h" in JSON; 0 = not set */
	FIELD_BOOL,	/* bool */
	FIELD_TIME,	/* int64_t Unix milliseconds; "2026-11-25T08:30:00Z" in JSON; 0 = not set */
	FIELD_WORD,	/* enum, a word in JSON */
	FIELD_PROGRESS, /* struct progress */
	FIELD_GROUP, /* a struct with a table of its own; an object in JSON, absent when all are defaults */
};

struct field {
	const char *key;
	enum field_type type;
	size_t offset;
	size_t cap;	  /* FIELD_CHARS: size of the array; strings: longest value in bytes */
	int64_t min, max; /* numbers */
	int64_t number;	  /* default of numbers and words */
	const char *text; /* default of strings; NULL = not set */
	const char *const
	    *words;	     /* FIELD_WORD, and strings with few values: NULL-terminated, in enum order */
	const char *pattern; /* for the schema only: what 'check' enforces */
	/* Of a string, or of each string of a list (for FIELD_ENV the whole "KEY=value"). Optional. */
	int (*check)(const char *key, const char *value, struct err *err);
	const struct field *group; /* FIELD_GROUP: offsets are of the struct at 'offset' */
	const char *about;	   /* one sentence, for the schema and the help */
};

/* 'fields' ends with a NULL key. 'object' is the struct the offsets are of. */
void fields_init(const struct field *fields,
		 void *object); /* zeroes nothing but its fields; sets the defaults */
void fields_done(const struct field *fields, void *object);
void fields_copy(const struct field *fields, const void *from, void *to); /* 'to' is initialised */
/* True only when both are formatted alike; a list that is empty may differ from one that is not there. */
bool fields_equal(const struct field *fields, const void *a, const void *b);
/* ERR_INVALID, unknown keys included. What was read before an error stays in the object and is released by
 * done. */
int fields_parse(const struct field *fields, const char *what, const json_t *j, void *object,
		 struct err *err);
json_t *fields_format(const struct field *fields, const void *object); /* returns owned; only what is set */
/* Text that may have been cut in the middle of a character: bytes that are not UTF-8 become '?'. Returns
 * owned. */
json_t *field_text_json(const char *s);
json_t *fields_schema(const struct field *fields, const char *title); /* returns owned */

#endif
