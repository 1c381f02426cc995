/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol Buffers wire format: a reader that never allocates and a writer into a buf.
 *
 * The reader walks the fields of one message; nested messages are walked by a reader on the field's bytes, so
 * depth is the caller's and always a constant. Unknown fields are handed out like known ones and are skipped
 * by not looking. Groups (wire types 3 and 4) are refused. Rules: varints of at most 10 bytes whose value
 * fits 64 bits, field numbers 1 to 2^29 - 1, lengths within the message. Source: protobuf.dev, "Encoding". */
#ifndef NET_PB_H
#define NET_PB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

#define PB_FIELD_MAX ((1u << 29) - 1)
#define PB_VARINT_MAX_BYTES 10

enum pb_wire { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

/* 'why' is NULL while all is well; a static text after the first malformed byte, and then nothing more is
 * handed out. */
struct pb {
	const uint8_t *pos, *end;
	const char *why;
};
struct pb_field {
	uint32_t number;
	enum pb_wire wire;
	uint64_t value;	  /* varint, fixed32 and fixed64 */
	struct str bytes; /* PB_BYTES: view into the message */
};

void pb_init(struct pb *p, const void *data, size_t len); /* keeps data */
void pb_init_str(struct pb *p, struct str bytes);
/* The next field; false at the end of the message and on a malformed one (pb_end tells which). */
bool pb_next(struct pb *p, struct pb_field *ret);
/* 0 when everything was read; else ERR_INVALID "malformed 'what': why". */
int pb_end(const struct pb *p, const char *what, struct err *err);

/* Raw items, for packed fields: a reader on the field's bytes. False at the end or when malformed. */
bool pb_item_varint(struct pb *p, uint64_t *ret);

/* A field of the type string: a view of its bytes. Text that is no UTF-8 makes the message malformed. */
void pb_text(struct pb *p, const struct pb_field *f, struct str *ret);

static inline bool pb_is(const struct pb_field *f, uint32_t number, enum pb_wire wire)
{
	return f->number == number && f->wire == wire;
}

/* Writer. Values equal to the default are written too: leaving them out is the caller's choice. */
size_t pb_varint_len(uint64_t v);
void pb_add_raw_varint(struct buf *b, uint64_t v);
void pb_add_tag(struct buf *b, uint32_t field, enum pb_wire wire);
void pb_add_varint(struct buf *b, uint32_t field, uint64_t v);
void pb_add_fixed32(struct buf *b, uint32_t field, uint32_t v);
void pb_add_fixed64(struct buf *b, uint32_t field, uint64_t v);
void pb_add_float(struct buf *b, uint32_t field, float v);
void pb_add_double(struct buf *b, uint32_t field, double v);
void pb_add_bytes(struct buf *b, uint32_t field, const void *data, size_t len);
void pb_add_str(struct buf *b, uint32_t field, struct str s);
void pb_add_string(struct buf *b, uint32_t field, const char *s);

/* A nested message: pb_begin, its fields, pb_close with what pb_begin returned. 'expected_len' leaves room
 * for the length; when the guess needs another number of bytes the content moves once, so a good guess saves
 * a copy. */
struct pb_mark {
	size_t start;
	unsigned char len_bytes;
};
struct pb_mark pb_begin(struct buf *b, uint32_t field, size_t expected_len);
void pb_close(struct buf *b, struct pb_mark mark);
/* The message ends with 'more' bytes that are not in the buffer. */
void pb_close_before(struct buf *b, struct pb_mark mark, size_t more);

#endif
