/* SPDX-License-Identifier: Apache-2.0 */
/* Files into the store: small ones in one call, large ones in parts that are found again. */
#include "cli/transfer_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <nettle/md5.h>
#include "base/digest.h"

#define PIECES_MAX 10000

/* ---- hashes of what lies on the disk ---- */

/* Reads [offset, offset + size) of the file; how gets each block. */
static int each_block(const struct transfer *f, int64_t offset, int64_t size,
		      void (*how)(void *arg, const void *data, size_t len), void *arg, struct err *err)
{
	CLEANUP(free) char *block = mem_alloc(256 << 10);
	while (size > 0) {
		ssize_t n = pread(f->fd, block, size < (256 << 10) ? (size_t)size : 256 << 10, offset);
		if (n < 0)
			return err_sys(err, errno, "cannot read '%s'", f->file);
		if (n == 0)
			return err_set(err, ERR_CONFLICT, "the file became shorter while it was read");
		how(arg, block, (size_t)n);
		offset += n;
		size -= n;
	}
	return 0;
}

static void add_md5(void *arg, const void *data, size_t len)
{
	md5_update(arg, len, data);
}

static void add_sha256(void *arg, const void *data, size_t len)
{
	digest_update(arg, data, len);
}

static int md5_of_piece(const struct piece *p, char ret[33], struct err *err)
{
	struct md5_ctx ctx;
	uint8_t raw[MD5_DIGEST_SIZE];
	md5_init(&ctx);
	int r = each_block(p->of, piece_offset(p), piece_size(p), add_md5, &ctx, err);
	md5_digest(&ctx, sizeof(raw), raw);
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(ret + 2 * i, 3, "%02x", raw[i]);
	return r;
}

/* ---- begin ---- */

static char *upload_path(const struct transfer *f, const char *route)
{
	CLEANUP(free) char *path = store_route(route, f->bucket, f->key, NULL);
	return mem_printf("%s?upload=%s", path, f->upload);
}

/* The parts that an upload has, when it is one of ours for a file of this size: the others' sizes say so. */
static int take_parts(struct transfer *f, struct client *client, bool *ret_fits, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	CLEANUP(free) char *path = upload_path(f, "store-uploads");
	size_t i;
	const json_t *part;
	*ret_fits = false;
	int r = client_call(client, "GET", path, NULL, NULL, &j, err);
	if (r < 0 || !json_is_true(json_object_get(j, "resumable")))
		return r;
	json_array_foreach(json_object_get(j, "data"), i, part)
	{
		size_t number = (size_t)cli_int(part, "number") - 1;
		const struct piece p = {.of = f, .number = number};
		if (number >= f->pieces || cli_int(part, "size") != piece_size(&p) ||
		    strlen(cli_str(part, "etag")) != 32) {
			memset(f->etags, 0, f->pieces * sizeof(*f->etags));
			return 0;
		}
		snprintf(f->etags[number], sizeof(*f->etags), "%s", cli_str(part, "etag"));
	}
	*ret_fits = true;
	return 0;
}

/* The newest upload of this key that fits. What another call ended meanwhile is not there: that is fine. */
static int find_upload(struct transfer *f, struct client *client, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	CLEANUP(free) char *base = store_route("store-uploads", f->bucket, "", NULL);
	CLEANUP(free) char *prefix = client_escape(f->key, false);
	CLEANUP(free) char *path = mem_printf("%s?prefix=%s", base, prefix);
	int r = client_call(client, "GET", path, NULL, NULL, &j, err);
	const json_t *list = json_object_get(j, "data");
	for (size_t i = json_array_size(list); r >= 0 && i-- > 0;) {
		const json_t *u = json_array_get(list, i);
		bool fits = false;
		if (strcmp(cli_str(u, "key"), f->key))
			continue;
		free(f->upload);
		f->upload = mem_strdup(cli_str(u, "upload"));
		r = take_parts(f, client, &fits, err);
		if (r == -ERR_NOT_FOUND)
			r = 0;
		if (fits)
			return 1;
	}
	free(f->upload);
	f->upload = NULL;
	return r;
}

static int begin_or_go_on(void *arg, struct client *client, struct err *err)
{
	struct transfer *f = arg;
	CLEANUP(json) json_t *j = NULL;
	CLEANUP(free) char *path = store_route("store-uploads", f->bucket, f->key, NULL);
	int r = find_upload(f, client, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = client_call(client, "POST", path, NULL, NULL, &j, err);
	if (r < 0)
		return r;
	f->upload = mem_strdup(cli_str(j, "upload"));
	return 0;
}

static int upload_begin_parts(struct transfer *f, struct client *client, struct err *err)
{
	struct stat st;
	f->fd = open(f->file, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return err_sys(err, errno, "cannot open '%s'", f->file);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "this is not a file; copy a folder with --recursive");
	f->size = st.st_size;
	f->pieces = 1;
	f->piece_bytes = f->size + 1;
	if (f->size < TRANSFER_LARGE_BYTES)
		return 0;
	f->piece_bytes = TRANSFER_PIECE_BYTES;
	while (f->size > f->piece_bytes * PIECES_MAX)
		f->piece_bytes *= 2;
	f->pieces = (size_t)((f->size + f->piece_bytes - 1) / f->piece_bytes);
	f->etags = mem_alloc(f->pieces * sizeof(*f->etags));
	return transfer_retry(f->all, begin_or_go_on, f, client, err);
}

/* ---- pieces ---- */

struct sending {
	const struct piece *piece;
	const char *path, *sha256;
	json_t *answer;	 /* owned */
	int64_t counted; /* bytes of this try */
};

static void note_sent(void *arg, int64_t done_bytes, int64_t total_bytes)
{
	struct sending *s = arg;
	transfers_note_bytes(s->piece->of->all, done_bytes - s->counted);
	s->counted = done_bytes;
}

static int send_once(void *arg, struct client *client, struct err *err)
{
	struct sending *s = arg;
	int r = client_upload_at(client, s->path, s->piece->of->fd, piece_offset(s->piece),
				 piece_size(s->piece), s->sha256, note_sent, s, &s->answer, err);
	if (r < 0)
		note_sent(s, 0, 0);
	return r;
}

static int send_small(struct piece *p, struct client *client, struct err *err)
{
	struct transfer *f = p->of;
	CLEANUP(free) char *path = store_route("store", f->bucket, f->key, NULL);
	struct digest digest;
	char sha256[DIGEST_HEX_LEN + 1];
	digest_init(&digest);
	int r = each_block(f, 0, f->size, add_sha256, &digest, err);
	digest_hex(&digest, sha256);
	struct sending s = {.piece = p, .path = path, .sha256 = sha256};
	if (r >= 0)
		r = transfer_retry(f->all, send_once, &s, client, err);
	f->state = s.answer;
	return r;
}

/* What the server has of a part is what lies here now, or it is sent. */
static int send_part(struct piece *p, struct client *client, struct err *err)
{
	struct transfer *f = p->of;
	CLEANUP(free) char *base = upload_path(f, "store-parts");
	CLEANUP(free) char *path = mem_printf("%s&part=%zu", base, p->number + 1);
	char md5[33];
	int r = md5_of_piece(p, md5, err);
	if (r < 0)
		return r;
	if (!strcmp(md5, f->etags[p->number])) {
		transfers_note_bytes(f->all, piece_size(p));
		return 0;
	}
	struct sending s = {.piece = p, .path = path};
	r = transfer_retry(f->all, send_once, &s, client, err);
	CLEANUP(json) json_t *answer = s.answer;
	if (r < 0)
		return r;
	if (strcmp(cli_str(answer, "etag"), md5))
		return err_set(err, ERR_CONFLICT,
			       "what arrived of part %zu is not what was read; was the file written "
			       "meanwhile? repeat the command",
			       p->number + 1);
	memcpy(f->etags[p->number], md5, sizeof(md5));
	return 0;
}

static int upload_piece(struct piece *p, struct client *client, struct err *err)
{
	return p->of->upload ? send_part(p, client, err) : send_small(p, client, err);
}

static int upload_finish(struct transfer *f, struct client *client, json_t **ret, struct err *err)
{
	if (!f->upload) {
		*ret = STEAL(f->state);
		return 0;
	}
	CLEANUP(json) json_t *body = json_pack("{s:[]}", "parts");
	CLEANUP(free) char *path = upload_path(f, "store-uploads");
	for (size_t i = 0; i < f->pieces; i++)
		json_array_append_new(
		    json_object_get(body, "parts"),
		    json_pack("{s:I, s:s}", "number", (json_int_t)i + 1, "etag", f->etags[i]));
	return client_call(client, "PUT", path, body, NULL, ret, err);
}

const struct transfer_ops transfer_up = {upload_begin_parts, upload_piece, upload_finish};
