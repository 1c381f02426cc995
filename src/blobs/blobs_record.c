/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the log as bytes. Numbers are little-endian. */
#include "blobs/blobs_record.h"

#include <endian.h>
#include <string.h>
#include "base/crc32c.h"

#define MAGIC 0x524c4d43u /* "CMLR" */
#define CRC_FROM 8	  /* the CRC is of what follows it, up to the end of the body */

struct header { /* as on the disk */
	uint32_t magic, crc;
	uint64_t seq, batch, bucket, of;
	uint8_t type, flags;
	uint16_t key_len, id_len, number;
	uint32_t body_len, data_len, data_crc, zero;
};
_Static_assert(sizeof(struct header) == RECORD_HEADER_BYTES, "no padding in the header");

size_t record_size(size_t key_len, size_t id_len, size_t body_len, size_t data_len)
{
	size_t n = RECORD_HEADER_BYTES + key_len + id_len + body_len + data_len;
	return (n + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
}

void record_format(const struct record *r, struct buf *ret)
{
	static const char zeroes[RECORD_ALIGN];
	struct header h = {.magic = htole32(MAGIC),
			   .seq = htole64(r->seq),
			   .batch = htole64(r->batch),
			   .bucket = htole64(r->bucket),
			   .of = htole64(r->of),
			   .type = (uint8_t)r->type,
			   .flags = (uint8_t)r->flags,
			   .key_len = htole16((uint16_t)r->key.len),
			   .id_len = htole16((uint16_t)r->id.len),
			   .number = htole16((uint16_t)r->number),
			   .body_len = htole32((uint32_t)r->body.len),
			   .data_len = htole32((uint32_t)r->data.len),
			   .data_crc = htole32(crc32c(0, r->data.data, r->data.len))};
	size_t start = ret->len;
	buf_add(ret, &h, sizeof(h));
	buf_add(ret, r->key.data, r->key.len);
	buf_add(ret, r->id.data, r->id.len);
	buf_add(ret, r->body.data, r->body.len);
	uint32_t crc = htole32(crc32c(0, ret->data + start + CRC_FROM, ret->len - start - CRC_FROM));
	memcpy(ret->data + start + 4, &crc, sizeof(crc));
	buf_add(ret, r->data.data, r->data.len);
	buf_add(ret, zeroes,
		record_size(r->key.len, r->id.len, r->body.len, r->data.len) - (ret->len - start));
}

enum record_result record_parse(const void *bytes, size_t len, bool with_data, struct record *ret,
				size_t *ret_size)
{
	struct header h;
	if (len < sizeof(h))
		return RECORD_END;
	memcpy(&h, bytes, sizeof(h));
	if (h.magic == 0 && h.seq == 0)
		return RECORD_END;
	size_t key = le16toh(h.key_len), id = le16toh(h.id_len);
	size_t body = le32toh(h.body_len), data = le32toh(h.data_len);
	if (le32toh(h.magic) != MAGIC || h.type == 0 || h.type >= RECORD_TYPE_COUNT || key > BLOB_KEY_MAX ||
	    id > BLOB_UPLOAD_ID_MAX || body > RECORD_BODY_MAX || data > RECORD_DATA_MAX)
		return RECORD_DAMAGED;
	size_t head = sizeof(h) + key + id + body;
	if (len < head)
		return RECORD_SHORT;
	const char *p = bytes;
	if (crc32c(0, p + CRC_FROM, head - CRC_FROM) != le32toh(h.crc))
		return RECORD_DAMAGED;
	struct record r = {.seq = le64toh(h.seq),
			   .batch = le64toh(h.batch),
			   .bucket = le64toh(h.bucket),
			   .of = le64toh(h.of),
			   .type = h.type,
			   .flags = h.flags,
			   .number = le16toh(h.number),
			   .key = {p + sizeof(h), key},
			   .id = {p + sizeof(h) + key, id},
			   .body = {p + sizeof(h) + key + id, body},
			   .data = {p + head, data}};
	*ret_size = record_size(key, id, body, data);
	*ret = r;
	if (!with_data)
		return RECORD_OK;
	if (len < *ret_size)
		return RECORD_SHORT;
	return crc32c(0, r.data.data, data) == le32toh(h.data_crc) ? RECORD_OK : RECORD_DAMAGED;
}
