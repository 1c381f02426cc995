/* SPDX-License-Identifier: Apache-2.0 */
/* Objects and buckets as packed bytes: numbers as variable-length integers, texts with their length in front.
 */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "blobs/blobs_record.h"

#define EXTENTS_MAX BLOB_PART_MAX

struct cursor {
	const unsigned char *p, *end;
	bool bad; /* sticky: all that is read after it is zero */
};

static void put_number(struct buf *b, uint64_t n)
{
	for (; n >= 0x80; n >>= 7)
		buf_addc(b, (char)(n | 0x80));
	buf_addc(b, (char)n);
}

static void put_text(struct buf *b, const char *s)
{
	size_t len = s ? strlen(s) : 0;
	put_number(b, len);
	buf_add(b, s, len);
}

static uint64_t get_number(struct cursor *c)
{
	uint64_t n = 0;
	for (int shift = 0; shift < 64; shift += 7) {
		if (c->p == c->end)
			break;
		unsigned char byte = *c->p++;
		n |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return n;
	}
	c->bad = true;
	return 0;
}

/* Sizes, times and counts: never negative. */
static int64_t get_size(struct cursor *c)
{
	uint64_t n = get_number(c);
	if (n > INT64_MAX) {
		c->bad = true;
		return 0;
	}
	return (int64_t)n;
}

static struct str get_text(struct cursor *c, size_t max)
{
	uint64_t len = get_number(c);
	if (c->bad || len > max || len > (size_t)(c->end - c->p) || memchr(c->p, 0, len)) {
		c->bad = true;
		return STR("");
	}
	struct str s = {(const char *)c->p, len};
	c->p += len;
	return s;
}

static void get_chars(struct cursor *c, char *ret, size_t cap)
{
	struct str s = get_text(c, cap - 1);
	memcpy(ret, s.data, s.len);
	ret[s.len] = '\0';
}

static char *get_owned(struct cursor *c, size_t max)
{
	struct str s = get_text(c, max);
	return s.len ? mem_strndup(s.data, s.len) : NULL;
}

void object_done(struct object *o)
{
	free(o->attributes);
	free(o->extents);
	*o = (struct object){0};
}

void object_pack(const struct object *o, struct buf *ret)
{
	put_number(ret, (uint64_t)o->info.size_bytes);
	put_number(ret, (uint64_t)o->info.modified_ms);
	put_text(ret, o->info.etag);
	/* The usual ETag is the SHA-256: once is enough. */
	bool same = o->info.sha256[0] && strcmp(o->info.etag, o->info.sha256) == 0;
	put_text(ret, same ? "=" : o->info.sha256);
	put_text(ret, o->info.content_type);
	put_text(ret, o->attributes);
	put_number(ret, (uint64_t)o->info.part_count);
	put_number(ret, o->crc);
	put_number(ret, o->extent_count);
	for (size_t i = 0; i < o->extent_count; i++) {
		put_number(ret, o->extents[i].file);
		put_number(ret, (uint64_t)o->extents[i].size_bytes);
	}
}

static void get_extents(struct cursor *c, struct object *o)
{
	uint64_t count = get_number(c);
	/* Each takes two bytes at least. */
	if (c->bad || count > EXTENTS_MAX || count > (size_t)(c->end - c->p) / 2) {
		c->bad = true;
		return;
	}
	if (count == 0)
		return;
	int64_t sum = 0;
	o->extents = mem_alloc(count * sizeof(*o->extents));
	for (; o->extent_count < count; o->extent_count++) {
		struct extent *e = &o->extents[o->extent_count];
		e->file = get_number(c);
		e->size_bytes = get_size(c);
		if (c->bad || e->size_bytes > o->info.size_bytes - sum) {
			c->bad = true;
			return;
		}
		sum += e->size_bytes;
	}
	if (sum != o->info.size_bytes)
		c->bad = true;
}

int object_unpack(struct str body, struct object *ret, struct err *err)
{
	struct cursor c = {(const unsigned char *)body.data, (const unsigned char *)body.data + body.len,
			   false};
	struct object o = {0};
	o.info.size_bytes = get_size(&c);
	o.info.modified_ms = get_size(&c);
	get_chars(&c, o.info.etag, sizeof(o.info.etag));
	get_chars(&c, o.info.sha256, sizeof(o.info.sha256));
	get_chars(&c, o.info.content_type, sizeof(o.info.content_type));
	o.attributes = get_owned(&c, BLOB_ATTRIBUTES_MAX);
	int64_t part_count = get_size(&c);
	uint64_t crc = get_number(&c);
	if (strcmp(o.info.sha256, "=") == 0)
		memcpy(o.info.sha256, o.info.etag, sizeof(o.info.sha256) - 1);
	get_extents(&c, &o);
	if (c.bad || c.p != c.end || part_count > BLOB_PART_MAX || crc > UINT32_MAX) {
		object_done(&o);
		return err_set(err, ERR_CORRUPT, "description of an object cannot be read");
	}
	o.info.part_count = (int)part_count;
	o.crc = (uint32_t)crc;
	*ret = o;
	return 0;
}

void bucket_pack(const struct bucket_body *b, struct buf *ret)
{
	put_text(ret, b->org);
	put_number(ret, (uint64_t)b->created_ms);
	put_number(ret, b->versioning);
	put_text(ret, b->attributes);
}

int bucket_unpack(struct str body, struct bucket_body *ret, struct err *err)
{
	struct cursor c = {(const unsigned char *)body.data, (const unsigned char *)body.data + body.len,
			   false};
	struct bucket_body b = {0};
	get_chars(&c, b.org, sizeof(b.org));
	b.created_ms = get_size(&c);
	uint64_t versioning = get_number(&c);
	b.attributes = get_owned(&c, BLOB_ATTRIBUTES_MAX);
	if (c.bad || c.p != c.end || versioning > BLOB_VERSIONING_SUSPENDED) {
		free(b.attributes);
		return err_set(err, ERR_CORRUPT, "description of a bucket cannot be read");
	}
	b.versioning = (enum blob_versioning)versioning;
	*ret = b;
	return 0;
}
