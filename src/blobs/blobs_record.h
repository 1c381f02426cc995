/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the log and the packed description of an object, as bytes (docs/formats/objects.md). Reads bytes
 * that a disk may have damaged: everything is checked, nothing is believed.
 */
#ifndef BLOBS_RECORD_H
#define BLOBS_RECORD_H

#include "base/buf.h"
#include "core/blob.h"

#define RECORD_HEADER_BYTES 64
#define RECORD_ALIGN 8
#define RECORD_DATA_MAX (128 * 1024) /* an object up to here lies in its record */
/* 10,000 parts in one object, attributes and names. */
#define RECORD_BODY_MAX (512 * 1024)

enum record_type {
	RECORD_PUT = 1,	   /* key, body = object; id = the upload it completes, or "" */
	RECORD_REMOVE,	   /* key; flag MARKER: a delete marker is made; else version 'of' goes */
	RECORD_ATTRIBUTES, /* key, body = object with other attributes: 'of' is the version */
	RECORD_BUCKET,	   /* key = name, body = bucket */
	RECORD_BUCKET_GONE,
	RECORD_UPLOAD, /* key, id, body = object without content */
	RECORD_PART,   /* id, number, body = object; its attributes are the checksum text */
	RECORD_UPLOAD_GONE,
	RECORD_TYPE_COUNT
};
enum record_flag {
	RECORD_MOVED = 1,  /* written again by compaction: the sequence is its first one */
	RECORD_NULL = 2,   /* the version is "null": replaces the one before */
	RECORD_MARKER = 4, /* a delete marker */
};
struct record {
	uint64_t seq, batch; /* batch: the first sequence of the commit that wrote it */
	uint64_t bucket;     /* its id: the sequence of its first record */
	uint64_t of;	     /* sequence of the version that is meant; 0 = the null version */
	enum record_type type;
	unsigned flags;
	int number;
	struct str key, id, body, data; /* views */
};

size_t record_size(size_t key_len, size_t id_len, size_t body_len, size_t data_len); /* with padding */
void record_format(const struct record *r, struct buf *ret);			     /* appends */
enum record_result {
	RECORD_OK,
	RECORD_END,   /* zeroes, or fewer bytes than a header: nothing was written here */
	RECORD_SHORT, /* a header that is right so far, but the bytes end early */
	RECORD_DAMAGED,
};
/* Views into bytes. With 'with_data' false the data may be missing (its CRC is not checked). */
enum record_result record_parse(const void *bytes, size_t len, bool with_data, struct record *ret,
				size_t *ret_size);

/* A data file of an object. */
struct extent {
	uint64_t file;
	int64_t size_bytes;
};
struct object {
	struct blob_info info;	/* version, is_latest and is_delete_marker are not packed */
	char *attributes;	/* owned; NULL = none */
	uint32_t crc;		/* of content in the record */
	struct extent *extents; /* owned; NULL: the content is in the record */
	size_t extent_count;
};
void object_done(struct object *o);
static inline void cleanup_object(struct object *o)
{
	object_done(o);
}
void object_pack(const struct object *o, struct buf *ret);		 /* appends */
int object_unpack(struct str body, struct object *ret, struct err *err); /* ERR_CORRUPT */

struct bucket_body {
	char org[CORE_NAME_MAX + 1];
	int64_t created_ms;
	enum blob_versioning versioning;
	char *attributes; /* owned; NULL = none */
};
void bucket_pack(const struct bucket_body *b, struct buf *ret);
int bucket_unpack(struct str body, struct bucket_body *ret, struct err *err); /* ERR_CORRUPT */

#endif
