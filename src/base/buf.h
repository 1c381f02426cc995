/* SPDX-License-Identifier: Apache-2.0 */
/* Growable byte buffer; always has a NUL behind the last byte, so that data is also a C string. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* NULL until the first append */
	size_t len, cap;
};
#define BUF_INIT ((struct buf){0})

void buf_done(struct buf *b);  /* releases; b is BUF_INIT again */
void buf_clear(struct buf *b); /* len = 0, keeps the memory */
void buf_reserve(struct buf *b, size_t extra);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap);
void buf_consume(struct buf *b, size_t n); /* drops n bytes at the front */
char *buf_steal(struct buf *b);		   /* returns owned C string ("" when empty); b is BUF_INIT again */
const char *buf_str(const struct buf *b);  /* view, "" when empty */
static inline void cleanup_buf(struct buf *b)
{
	buf_done(b);
}

/* A view of bytes that somebody else owns. */
struct str {
	const char *data;
	size_t len;
};
#define STR(lit) ((struct str){(lit), sizeof(lit) - 1})
struct str str_from(const char *s);
bool str_eq(struct str a, const char *b);
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

#endif
