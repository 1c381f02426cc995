/* SPDX-License-Identifier: Apache-2.0 */
/* Objects into files: ranges at the same time, then the hash of the whole. */
#include "cli/transfer_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <nettle/md5.h>
#include "base/digest.h"

#define BLOCK_BYTES (256 << 10)

static int ask_state(void *arg, struct client *client, struct err *err)
{
	struct transfer *f = arg;
	CLEANUP(free) char *path = store_route("store-objects", f->bucket, f->key, f->version);
	json_decref(f->state);
	f->state = NULL;
	return client_call(client, "GET", path, NULL, NULL, &f->state, err);
}

static int download_begin(struct transfer *f, struct client *client, struct err *err)
{
	int r = transfer_retry(f->all, ask_state, f, client, err);
	if (r < 0)
		return r;
	f->size = cli_int(f->state, "size");
	f->piece_bytes = f->size < TRANSFER_LARGE_BYTES ? f->size + 1 : TRANSFER_PIECE_BYTES;
	f->pieces = f->size ? (size_t)((f->size + f->piece_bytes - 1) / f->piece_bytes) : 1;
	/* Beside the target, so that a broken transfer leaves the old file alone. */
	f->part_file = mem_printf("%s.cloudml-part", f->file);
	f->fd = open(f->part_file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (f->fd < 0) {
		r = err_sys(err, errno, "cannot write '%s'", f->part_file);
		free(f->part_file);
		f->part_file = NULL;
		return r;
	}
	return 0;
}

/* ---- ranges ---- */

struct range {
	const struct piece *piece;
	const char *path;
	int64_t got;
	int sys; /* errno of a failed write */
};

static int write_range(void *arg, const void *data, size_t len)
{
	struct range *g = arg;
	const char *at = data;
	if (g->got + (int64_t)len > piece_size(g->piece))
		return -1;
	transfers_note_bytes(g->piece->of->all, (int64_t)len);
	while (len) {
		ssize_t n = pwrite(g->piece->of->fd, at, len, piece_offset(g->piece) + g->got);
		if (n < 0) {
			g->sys = errno;
			return -1;
		}
		at += n;
		len -= (size_t)n;
		g->got += n;
	}
	return 0;
}

static int get_once(void *arg, struct client *client, struct err *err)
{
	struct range *g = arg;
	const struct piece *p = g->piece;
	transfers_note_bytes(p->of->all, -g->got);
	g->got = 0;
	int r = client_download_range(client, g->path, piece_offset(p), piece_size(p), write_range, g, err);
	if (g->sys)
		return err_sys(err, g->sys, "cannot write '%s'", p->of->part_file);
	if (r == -ERR_CANCELLED || (r >= 0 && g->got != piece_size(p)))
		return err_set(err, ERR_CONFLICT,
			       "the object was written while it was read; repeat the command");
	return r;
}

static int download_piece(struct piece *p, struct client *client, struct err *err)
{
	struct transfer *f = p->of;
	const char *version = cli_str(f->state, "version");
	if (f->size == 0)
		return 0;
	/* Of all ranges the same version, where versions are kept. */
	if (!f->version && !strcmp(version, "null"))
		version = NULL;
	CLEANUP(free) char *path = store_route("store", f->bucket, f->key, version);
	struct range g = {.piece = p, .path = path};
	return transfer_retry(f->all, get_once, &g, client, err);
}

/* ---- is it what was put? ---- */

static int next_block(const struct transfer *f, char *block, int64_t *at, int64_t end, struct err *err)
{
	int64_t want = end - *at < BLOCK_BYTES ? end - *at : BLOCK_BYTES;
	ssize_t n = pread(f->fd, block, (size_t)want, *at);
	if (n <= 0)
		return err_sys(err, n < 0 ? errno : EIO, "cannot read '%s'", f->part_file);
	*at += n;
	return (int)n;
}

static int sha256_of(const struct transfer *f, char ret[DIGEST_HEX_LEN + 1], struct err *err)
{
	CLEANUP(free) char *block = mem_alloc(BLOCK_BYTES);
	struct digest d;
	int n = 0;
	digest_init(&d);
	for (int64_t at = 0; at < f->size;) {
		n = next_block(f, block, &at, f->size, err);
		if (n < 0)
			return n;
		digest_update(&d, block, (size_t)n);
	}
	digest_hex(&d, ret);
	return 0;
}

static int md5_of(const struct transfer *f, int64_t at, int64_t end, uint8_t ret[MD5_DIGEST_SIZE],
		  struct err *err)
{
	CLEANUP(free) char *block = mem_alloc(BLOCK_BYTES);
	struct md5_ctx ctx;
	md5_init(&ctx);
	while (at < end) {
		int n = next_block(f, block, &at, end, err);
		if (n < 0)
			return n;
		md5_update(&ctx, (size_t)n, (const uint8_t *)block);
	}
	md5_digest(&ctx, MD5_DIGEST_SIZE, ret);
	return 0;
}

/* The ETag as S3 makes it: of one body its MD5, of N parts the MD5 of their MD5s and N. */
static int etag_of(const struct transfer *f, char ret[80], struct err *err)
{
	const json_t *sizes = json_object_get(f->state, "part_sizes"), *size;
	struct md5_ctx all;
	uint8_t raw[MD5_DIGEST_SIZE];
	size_t i, parts = json_array_size(sizes);
	int64_t at = 0;
	int r = 0;
	md5_init(&all);
	json_array_foreach(sizes, i, size)
	{
		if (r >= 0)
			r = md5_of(f, at, at + json_integer_value(size), raw, err);
		at += json_integer_value(size);
		md5_update(&all, sizeof(raw), raw);
	}
	if (parts)
		md5_digest(&all, sizeof(raw), raw);
	else
		r = md5_of(f, 0, f->size, raw, err);
	for (i = 0; i < sizeof(raw); i++)
		snprintf(ret + 2 * i, 3, "%02x", raw[i]);
	if (parts)
		snprintf(ret + 2 * sizeof(raw), 24, "-%zu", parts);
	return r;
}

static int check_content(const struct transfer *f, struct err *err)
{
	const char *want = cli_str(f->state, "sha256");
	char got[80];
	int r = *want ? sha256_of(f, got, err) : etag_of(f, got, err);
	if (r < 0)
		return r;
	want = *want ? want : cli_str(f->state, "etag");
	if (strcmp(want, got))
		return err_set(
		    err, ERR_CONFLICT,
		    "what arrived has the hash %.16s…, not %.16s…: the object was written while it "
		    "was read, or damaged on its way; repeat the command",
		    got, want);
	return 0;
}

static int download_finish(struct transfer *f, struct client *client, json_t **ret, struct err *err)
{
	int64_t ms = cli_int(f->state, "modified_ms");
	const struct timespec times[2] = {{0, UTIME_NOW}, {ms / 1000, ms % 1000 * 1000000}};
	int r = check_content(f, err);
	if (r < 0)
		return r;
	if (f->all->keep_times && futimens(f->fd, times) < 0)
		return err_sys(err, errno, "cannot set the time of '%s'", f->part_file);
	if (rename(f->part_file, f->file) < 0)
		return err_sys(err, errno, "cannot rename to '%s'", f->file);
	free(f->part_file);
	f->part_file = NULL;
	*ret = json_pack("{s:s}", "file", f->file);
	return 0;
}

const struct transfer_ops transfer_down = {download_begin, download_piece, download_finish};
