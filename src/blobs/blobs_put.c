/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads of one object or part: in memory while small, then into a data file. */
#include "blobs/blobs_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <nettle/md5.h>
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/digest.h"
#include "base/mem.h"

#define BLOCK_BYTES (256 * 1024)
#define FLUSH_BYTES (8 << 20) /* of a file that are sent to the disk before its end */

struct blob_put {
	struct blobs *store;
	struct change *change;
	struct file_writer file;
	int64_t expected_size;
	char expected_sha256[DIGEST_HEX_LEN + 1]; /* "" = not announced */
	enum blob_hash etag;
	struct digest digest;
	struct md5_ctx md5;
	char *block,
	    *hashed; /* owned, BLOCK_BYTES, once it is in a file: the one that fills, the one before */
	size_t filled;
	struct hash_job job; /* of 'hashed' */
	int64_t flushed;
	bool in_file; /* parts are, whatever their size: an object can be made of files only */
	bool failed;  /* a write failed: nothing can be committed */
};

void put_abort(struct blob_put *p)
{
	if (!p)
		return;
	hash_end(&p->store->hasher, &p->job);
	free(p->block);
	free(p->hashed);
	file_abort(p->store, &p->file);
	change_free(p->change);
	free(p);
}

static void cleanup_put(struct blob_put **p)
{
	put_abort(*p);
}

int options_check(struct blobs *b, const struct blob_put_options *o, struct err *err)
{
	const char *type = o->content_type, *sha256 = o->expected_sha256;
	if (type && strlen(type) >= sizeof(((struct blob_info *)0)->content_type))
		return err_set(err, ERR_INVALID, "content type is longer than 127 bytes");
	for (const char *p = type; p && *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			return err_set(err, ERR_INVALID, "content type is not printable ASCII");
	if (sha256 &&
	    (strlen(sha256) != DIGEST_HEX_LEN || strspn(sha256, "0123456789abcdefABCDEF") != DIGEST_HEX_LEN))
		return err_set(err, ERR_INVALID, "announced SHA-256 is not 64 hexadecimal characters");
	if (o->attributes && strlen(o->attributes) > BLOB_ATTRIBUTES_MAX)
		return err_set(err, ERR_TOO_LARGE, "attributes are longer than %d bytes",
			       BLOB_ATTRIBUTES_MAX);
	if (o->expected_size > BLOBS_OBJECT_MAX_BYTES)
		return err_set(err, ERR_TOO_LARGE, "object of %lld bytes is larger than 5 TiB",
			       (long long)o->expected_size);
	struct statvfs fs;
	if (o->expected_size > 0 && fstatvfs(b->files_fd, &fs) == 0 &&
	    (uint64_t)o->expected_size > (uint64_t)fs.f_bavail * fs.f_frsize)
		return err_set(err, ERR_DISK_FULL,
			       "disk has no room for %lld bytes; remove objects or add space",
			       (long long)o->expected_size);
	return 0;
}

static int begin(struct blobs *b, const struct change_kind *kind, const char *org, const char *bucket,
		 const char *key, const struct blob_put_options *o, struct blob_put **ret, struct err *err)
{
	struct bucket known;
	int r = bucket_find(b, org, bucket, &known, err);
	if (r < 0 || (r = blob_key_check(key, err)) < 0 || (r = options_check(b, o, err)) < 0)
		return r;
	struct tally none = {0};
	r = room_check(b, &none, org, o->expected_size > 0 ? o->expected_size : 0, kind == &change_put, err);
	if (r < 0)
		return r;
	struct blob_put *p = MEM_NEW(struct blob_put);
	p->store = b;
	p->change = change_new(kind, org, bucket, key);
	change_options(p->change, o);
	p->change->object.attributes = o->attributes && o->attributes[0] ? mem_strdup(o->attributes) : NULL;
	struct blob_info *info = &p->change->object.info;
	snprintf(info->content_type, sizeof(info->content_type), "%s",
		 o->content_type ? o->content_type : "");
	p->expected_size = o->expected_size;
	p->etag = o->etag;
	for (size_t i = 0; o->expected_sha256 && i < DIGEST_HEX_LEN; i++)
		p->expected_sha256[i] =
		    (char)(o->expected_sha256[i] | 0x20); /* digits have the bit already */
	digest_init(&p->digest);
	md5_init(&p->md5);
	*ret = p;
	return 0;
}

int put_begin(struct blob_store *s, const char *org, const char *bucket, const char *key,
	      const struct blob_put_options *options, struct blob_put **ret, struct err *err)
{
	return begin(blobs_of(s), &change_put, org, bucket, key, options, ret, err);
}

int part_begin(struct blob_store *s, const char *org, const char *bucket, const char *key,
	       const char *upload_id, int number, const struct blob_put_options *options,
	       struct blob_put **ret, struct err *err)
{
	if (number < 1 || number > BLOB_PART_MAX)
		return err_set(err, ERR_INVALID, "part number %d is not 1 to %d", number, BLOB_PART_MAX);
	if (strlen(upload_id) > BLOB_UPLOAD_ID_MAX)
		return err_set(err, ERR_NOT_FOUND, "there is no upload '%.40s' of '%s'", upload_id, key);
	int r = begin(blobs_of(s), &change_part, org, bucket, key, options, ret, err);
	if (r < 0)
		return r;
	snprintf((*ret)->change->upload, sizeof((*ret)->change->upload), "%s", upload_id);
	(*ret)->change->number = number;
	(*ret)->in_file = true;
	return 0;
}

bool put_is_small(const struct blob_put *p)
{
	return !p->in_file;
}

void put_attributes(struct blob_put *p, const char *attributes)
{
	free(p->change->object.attributes);
	p->change->object.attributes = attributes && attributes[0] ? mem_strdup(attributes) : NULL;
}

/* The hash that becomes the ETag, and the SHA-256 when it is to be checked. */
static void hash(struct blob_put *p, const void *data, size_t len)
{
	if (p->etag == BLOB_HASH_MD5)
		md5_update(&p->md5, len, data);
	if (p->etag == BLOB_HASH_SHA256 || p->expected_sha256[0])
		digest_update(&p->digest, data, len);
}

/* The block goes to the file and, beside that, to be hashed. */
static int write_block(struct blob_put *p, struct err *err)
{
	struct hash_job *j = &p->job;
	char *block = p->block;
	hash_end(&p->store->hasher, j);
	p->block = p->hashed;
	p->hashed = block;
	*j = (struct hash_job){.data = block, .len = p->filled, .fd = p->file.fd};
	j->md5 = p->etag == BLOB_HASH_MD5 ? &p->md5 : NULL;
	j->digest = p->etag == BLOB_HASH_SHA256 || p->expected_sha256[0] ? &p->digest : NULL;
	if (p->file.size_bytes - p->flushed >= FLUSH_BYTES) {
		j->flush_from = p->flushed;
		j->flush_len = p->file.size_bytes - p->flushed;
		p->flushed = p->file.size_bytes;
	}
	p->filled = 0;
	hash_begin(&p->store->hasher, j);
	return file_write(&p->file, block, j->len, err);
}

static int add(struct blob_put *p, const char *data, size_t len, struct err *err)
{
	int r = 0;
	while (len && r == 0) {
		size_t n = BLOCK_BYTES - p->filled < len ? BLOCK_BYTES - p->filled : len;
		memcpy(p->block + p->filled, data, n);
		p->filled += n;
		data += n;
		len -= n;
		if (p->filled == BLOCK_BYTES)
			r = write_block(p, err);
	}
	return r;
}

/* Also of an empty part, which is in a file like the others. */
static int spill(struct blob_put *p, struct err *err)
{
	struct buf *small = &p->change->data;
	p->in_file = true;
	int r = file_begin(p->store, &p->file, err);
	if (r < 0)
		return r;
	p->block = mem_alloc(BLOCK_BYTES);
	p->hashed = mem_alloc(BLOCK_BYTES);
	r = small->len ? add(p, small->data, small->len, err) : 0;
	buf_done(small);
	return r;
}

/* All that was added is in the file and hashed. */
static int drain(struct blob_put *p, struct err *err)
{
	int r = p->filled ? write_block(p, err) : 0;
	hash_end(&p->store->hasher, &p->job);
	return r;
}

int put_write(struct blob_put *p, const void *data, size_t len, struct err *err)
{
	struct change *c = p->change;
	if (p->failed)
		return err_set(err, ERR_STATE, "upload has failed before");
	int64_t most = p->expected_size >= 0 ? p->expected_size : BLOBS_OBJECT_MAX_BYTES;
	if (len > (uint64_t)(most - c->object.info.size_bytes)) {
		p->failed = true;
		return err_set(err, p->expected_size >= 0 ? ERR_INVALID : ERR_TOO_LARGE,
			       "upload of '%s' is longer than %lld bytes", c->key, (long long)most);
	}
	bool is_small = !p->in_file && c->data.len + len <= RECORD_DATA_MAX;
	int r = 0;
	if (is_small)
		buf_add(&c->data, data, len);
	else if (!p->file.id)
		r = spill(p, err);
	if (r == 0 && !is_small)
		r = add(p, data, len, err);
	if (r < 0) {
		p->failed = true;
		return err_wrap(err, "uploading '%s'", c->key);
	}
	c->object.info.size_bytes += (int64_t)len;
	return 0;
}

static void format_hex(const uint8_t *raw, size_t len, char *ret)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		ret[2 * i] = digits[raw[i] >> 4];
		ret[2 * i + 1] = digits[raw[i] & 15];
	}
	ret[2 * len] = '\0';
}

static int check_received(struct blob_put *p, struct err *err)
{
	struct blob_info *info = &p->change->object.info;
	const char *key = p->change->key;
	if (p->failed)
		return err_set(err, ERR_STATE, "upload of '%s' has failed before", key);
	if (p->expected_size >= 0 && info->size_bytes != p->expected_size)
		return err_set(err, ERR_INVALID, "upload of '%s' has %lld bytes, %lld were announced", key,
			       (long long)info->size_bytes, (long long)p->expected_size);
	if (p->etag == BLOB_HASH_SHA256 || p->expected_sha256[0])
		digest_hex(&p->digest, info->sha256);
	if (p->expected_sha256[0] && strcmp(p->expected_sha256, info->sha256) != 0)
		return err_set(err, ERR_INVALID, "content of '%s' does not have the announced SHA-256", key);
	if (p->etag == BLOB_HASH_MD5) {
		uint8_t raw[MD5_DIGEST_SIZE];
		md5_digest(&p->md5, sizeof(raw), raw);
		format_hex(raw, sizeof(raw), info->etag);
	} else
		snprintf(info->etag, sizeof(info->etag), "%s", info->sha256);
	return 0;
}

/* Content that is durable, and a change that is ready for the committing thread. */
static int finish(struct blob_put *p, struct err *err)
{
	struct object *o = &p->change->object;
	int r = 0;
	if (!p->in_file)
		hash(p, p->change->data.data, p->change->data.len);
	else if (!p->file.id)
		r = spill(p, err);
	if (r == 0 && p->in_file)
		r = drain(p, err);
	if (r == 0)
		r = check_received(p, err);
	if (r == 0 && p->file.id)
		r = file_finish(p->store, &p->file, err);
	if (r < 0)
		return r;
	o->info.modified_ms = clock_wall_ms(&clock_real);
	if (p->file.id) {
		o->extents = mem_alloc(sizeof(*o->extents));
		o->extents[o->extent_count++] = (struct extent){p->file.id, o->info.size_bytes};
		p->file.id = 0; /* it is the change's now */
	} else
		o->crc = crc32c(0, p->change->data.data, p->change->data.len);
	return 0;
}

int put_commit(struct blob_put *put, struct blob_info *ret, struct err *err)
{
	CLEANUP(put) struct blob_put *p = put;
	int r = finish(p, err);
	if (r < 0)
		return r;
	CLEANUP(change) struct change *c = STEAL(p->change);
	r = commit_run(p->store, c, err);
	if (r < 0)
		return r;
	if (ret)
		*ret = c->info;
	return 0;
}

void put_commit_async(struct blob_put *put, blob_done_fn *done, void *arg)
{
	CLEANUP(put) struct blob_put *p = put;
	struct err err = ERR_INIT;
	int r = finish(p, &err);
	if (r < 0) {
		done(arg, r, NULL, &err);
		return;
	}
	struct change *c = STEAL(p->change);
	c->done = done;
	c->arg = arg;
	commit_submit(p->store, c);
}
