/* SPDX-License-Identifier: Apache-2.0 */
/* Strict reading of JSON objects with jansson: every key is claimed by somebody or the object is refused. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#define JSON_DEPTH_MAX 64

/* Parses at most max_bytes; ERR_INVALID with line and column, ERR_TOO_LARGE. Duplicate keys and NUL in
 * strings are refused. *ret is owned by the caller. */
int json_parse(const char *text, size_t len, size_t max_bytes, json_t **ret, struct err *err);
int json_read_file(int dir_fd, const char *path, size_t max_bytes, json_t **ret, struct err *err);
void json_write(const json_t *j, struct buf *ret);	  /* compact, keys in insertion order */
void json_write_pretty(const json_t *j, struct buf *ret); /* two spaces, newline at the end */

/* Reader of one object. Getters leave *ret alone when the key is absent or null, and note the key as known.
 * The first error sticks and is reported by json_reader_end, so that a caller reads a whole object straight
 * down:
 *
 *     struct json_reader r;
 *     json_reader_begin(&r, object, "job");
 *     json_get_string(&r, "name", 63, &job->name);
 *     return json_reader_end(&r, err);
 *
 * Keys that no getter asked for are ERR_INVALID: "unknown field 'nmae' in job; did you mean 'name'?" */
#define JSON_READER_KEYS_MAX 64
struct json_reader {
	const json_t *object;
	const char *what;
	const char *known[JSON_READER_KEYS_MAX];
	size_t known_count;
	struct err err;
};
void json_reader_begin(struct json_reader *r, const json_t *object,
		       const char *what); /* borrows both until end */
int json_reader_end(struct json_reader *r, struct err *err);
void json_get_string(struct json_reader *r, const char *key, size_t max_len,
		     char **ret); /* replaces *ret, owned */
void json_get_int(struct json_reader *r, const char *key, int64_t min, int64_t max, int64_t *ret);
void json_get_bool(struct json_reader *r, const char *key, bool *ret);
void json_get_double(struct json_reader *r, const char *key, double *ret);
/* "4G", "512MiB", 1073741824: see base/unit.h. */
void json_get_bytes(struct json_reader *r, const char *key, int64_t *ret);
void json_get_duration_ms(struct json_reader *r, const char *key,
			  int64_t *ret);				       /* "2h", "90s", 90 = seconds */
void json_get_cpu_milli(struct json_reader *r, const char *key, int64_t *ret); /* "500m", "1.5", 2 */
const json_t *json_get_array(struct json_reader *r, const char *key, size_t max_items);
const json_t *json_get_object(struct json_reader *r, const char *key); /* view, NULL when absent */
const json_t *json_get_any(struct json_reader *r, const char *key);
void json_reader_fail(struct json_reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Array of strings (arguments): owned, NULL-terminated; and the reverse. */
void json_get_strings(struct json_reader *r, const char *key, size_t max_items, size_t max_len, char ***ret);
json_t *json_from_strings(char *const *strings); /* returns owned; [] for NULL */
void strings_free(char **strings);		 /* NULL is fine */
char **strings_copy(char *const *strings);
size_t strings_count(char *const *strings);
static inline void cleanup_strings(char ***s)
{
	strings_free(*s);
}

#endif
