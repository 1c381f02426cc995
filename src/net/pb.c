/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol Buffers wire format, see pb.h. */
#include "net/pb.h"

#include <string.h>
#include "base/utf8.h"

void pb_init(struct pb *p, const void *data, size_t len)
{
	p->pos = data;
	p->end = len > 0 ? p->pos + len : p->pos;
	p->why = NULL;
}

void pb_init_str(struct pb *p, struct str bytes)
{
	pb_init(p, bytes.data, bytes.len);
}

static bool pb_bad(struct pb *p, const char *why)
{
	p->why = why;
	p->pos = p->end;
	return false;
}

bool pb_item_varint(struct pb *p, uint64_t *ret)
{
	uint64_t v = 0;

	if (p->pos == p->end)
		return false;
	for (unsigned i = 0; i < PB_VARINT_MAX_BYTES; i++) {
		if (p->pos == p->end)
			return pb_bad(p, "number cut off");
		uint8_t byte = *p->pos++;
		if (i == PB_VARINT_MAX_BYTES - 1 && byte > 1)
			return pb_bad(p, "number over 64 bits");
		v |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return pb_bad(p, "number over 64 bits");
}

static bool pb_fixed(struct pb *p, size_t size, uint64_t *ret)
{
	uint64_t v = 0;

	if ((size_t)(p->end - p->pos) < size)
		return pb_bad(p, "fixed number cut off");
	for (size_t i = 0; i < size; i++)
		v |= (uint64_t)p->pos[i] << (8 * i);
	p->pos += size;
	*ret = v;
	return true;
}

static bool pb_bytes(struct pb *p, struct pb_field *ret)
{
	uint64_t len;

	if (!pb_item_varint(p, &len))
		return pb_bad(p, p->why ? p->why : "length cut off");
	if (len > (uint64_t)(p->end - p->pos))
		return pb_bad(p, "length past the end");
	ret->bytes = (struct str){(const char *)p->pos, (size_t)len};
	p->pos += len;
	return true;
}

bool pb_next(struct pb *p, struct pb_field *ret)
{
	uint64_t key;

	*ret = (struct pb_field){0};
	if (!pb_item_varint(p, &key))
		return false;
	if (key >> 3 == 0 || key >> 3 > PB_FIELD_MAX)
		return pb_bad(p, "field number out of range");
	ret->number = (uint32_t)(key >> 3);
	ret->wire = (enum pb_wire)(key & 7);
	switch (key & 7) {
	case PB_VARINT:
		return pb_item_varint(p, &ret->value) || pb_bad(p, p->why ? p->why : "number cut off");
	case PB_FIXED64:
		return pb_fixed(p, 8, &ret->value);
	case PB_BYTES:
		return pb_bytes(p, ret);
	case PB_FIXED32:
		return pb_fixed(p, 4, &ret->value);
	case 3:
	case 4:
		return pb_bad(p, "groups are not supported");
	default:
		return pb_bad(p, "unknown wire type");
	}
}

int pb_end(const struct pb *p, const char *what, struct err *err)
{
	if (p->why)
		return err_set(err, ERR_INVALID, "malformed %s: %s", what, p->why);
	return 0;
}

void pb_text(struct pb *p, const struct pb_field *f, struct str *ret)
{
	if (utf8_is(f->bytes))
		*ret = f->bytes;
	else
		pb_bad(p, "a string that is no UTF-8");
}

size_t pb_varint_len(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

static size_t pb_varint_write(uint8_t *to, uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		to[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	to[n++] = (uint8_t)v;
	return n;
}

void pb_add_raw_varint(struct buf *b, uint64_t v)
{
	uint8_t bytes[PB_VARINT_MAX_BYTES];

	buf_add(b, bytes, pb_varint_write(bytes, v));
}

void pb_add_tag(struct buf *b, uint32_t field, enum pb_wire wire)
{
	pb_add_raw_varint(b, (uint64_t)field << 3 | wire);
}

void pb_add_varint(struct buf *b, uint32_t field, uint64_t v)
{
	pb_add_tag(b, field, PB_VARINT);
	pb_add_raw_varint(b, v);
}

static void pb_add_little(struct buf *b, uint64_t v, size_t size)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)(v >> (8 * i));
	buf_add(b, bytes, size);
}

void pb_add_fixed32(struct buf *b, uint32_t field, uint32_t v)
{
	pb_add_tag(b, field, PB_FIXED32);
	pb_add_little(b, v, 4);
}

void pb_add_fixed64(struct buf *b, uint32_t field, uint64_t v)
{
	pb_add_tag(b, field, PB_FIXED64);
	pb_add_little(b, v, 8);
}

void pb_add_float(struct buf *b, uint32_t field, float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	pb_add_fixed32(b, field, bits);
}

void pb_add_double(struct buf *b, uint32_t field, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	pb_add_fixed64(b, field, bits);
}

void pb_add_bytes(struct buf *b, uint32_t field, const void *data, size_t len)
{
	pb_add_tag(b, field, PB_BYTES);
	pb_add_raw_varint(b, len);
	if (len > 0)
		buf_add(b, data, len);
}

void pb_add_str(struct buf *b, uint32_t field, struct str s)
{
	pb_add_bytes(b, field, s.data, s.len);
}

void pb_add_string(struct buf *b, uint32_t field, const char *s)
{
	pb_add_bytes(b, field, s, strlen(s));
}

struct pb_mark pb_begin(struct buf *b, uint32_t field, size_t expected_len)
{
	static const uint8_t zeros[PB_VARINT_MAX_BYTES];
	struct pb_mark mark;

	pb_add_tag(b, field, PB_BYTES);
	mark.len_bytes = (unsigned char)pb_varint_len(expected_len);
	buf_add(b, zeros, mark.len_bytes);
	mark.start = b->len;
	return mark;
}

void pb_close(struct buf *b, struct pb_mark mark)
{
	pb_close_before(b, mark, 0);
}

void pb_close_before(struct buf *b, struct pb_mark mark, size_t more)
{
	static const uint8_t zeros[PB_VARINT_MAX_BYTES];
	uint8_t bytes[PB_VARINT_MAX_BYTES];
	size_t content = b->len - mark.start;
	size_t n = pb_varint_write(bytes, content + more);
	size_t from = mark.start - mark.len_bytes;

	if (n > mark.len_bytes)
		buf_add(b, zeros, n - mark.len_bytes);
	if (n != mark.len_bytes)
		memmove(b->data + from + n, b->data + mark.start, content);
	if (n < mark.len_bytes)
		b->len -= mark.len_bytes - n;
	memcpy(b->data + from, bytes, n);
	b->data[b->len] = 0;
}
