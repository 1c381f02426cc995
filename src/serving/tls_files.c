/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what TLS needs, see tls_files.h. */
#include "serving/tls_files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "base/fd.h"
#include "base/mem.h"
#include "serving/text_proto.h"

bool tls_wanted(const struct serving_options *o)
{
	return o->ssl_config_file || o->tls_cert || o->tls_key || o->tls_client_ca;
}

int tls_options_check(const struct serving_options *o, struct err *err)
{
	if (o->ssl_config_file && (o->tls_cert || o->tls_key || o->tls_client_ca))
		return err_set(err, ERR_INVALID,
			       "--ssl_config_file holds key and certificates itself; leave out --tls_cert, "
			       "--tls_key and --tls_client_ca");
	if (tls_wanted(o) && !o->ssl_config_file && !(o->tls_cert && o->tls_key))
		return err_set(err, ERR_INVALID, "TLS needs both --tls_cert and --tls_key");
	if (o->plain_rest && !(tls_wanted(o) && o->rest_port > 0))
		return err_set(err, ERR_INVALID,
			       "--plain_rest_api needs TLS and a --rest_api_port that goes without it");
	return 0;
}

static void wipe(struct buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	buf_done(b);
}

void tls_texts_done(struct tls_texts *t)
{
	wipe(&t->key);
	buf_done(&t->cert);
	buf_done(&t->client_ca);
	*t = (struct tls_texts){0};
}

static int read_text(const struct text_proto *t, const struct text_proto_field *f, struct buf *ret,
		     struct err *err)
{
	if (f->kind != TEXT_PROTO_STRING)
		return text_proto_fail(t, f, "must be a string", err);
	buf_clear(ret); /* the last one counts */
	buf_add(ret, f->value.data, f->value.len);
	return 0;
}

static int read_field(struct text_proto *t, const struct text_proto_field *f, int event,
		      struct tls_texts *ret, struct err *err)
{
	if (event == TEXT_PROTO_VALUE && str_eq(f->name, "server_key"))
		return read_text(t, f, &ret->key, err);
	if (event == TEXT_PROTO_VALUE && str_eq(f->name, "server_cert"))
		return read_text(t, f, &ret->cert, err);
	if (event == TEXT_PROTO_VALUE && str_eq(f->name, "custom_ca"))
		return read_text(t, f, &ret->client_ca, err);
	if (event == TEXT_PROTO_VALUE && str_eq(f->name, "client_verify"))
		return text_proto_bool(t, f, &ret->client_verify, err);
	return text_proto_fail(
	    t, f, "is unknown; 'server_key', 'server_cert', 'custom_ca' and 'client_verify' are understood",
	    err);
}

static int check_texts(const struct tls_texts *t, struct err *err)
{
	if (t->key.len == 0 || t->cert.len == 0)
		return err_set(err, ERR_INVALID, "'%s' is missing or empty",
			       t->key.len == 0 ? "server_key" : "server_cert");
	if (t->client_verify && t->client_ca.len == 0)
		return err_set(err, ERR_INVALID, "'client_verify' needs 'custom_ca', who signs for clients");
	return 0;
}

int tls_texts_parse(struct str config, struct tls_texts *ret, struct err *err)
{
	struct arena arena = ARENA_INIT(4 * TLS_FILE_BYTES_MAX);
	struct text_proto_field f;
	struct text_proto t;
	int event = text_proto_init(&t, config, &arena, err);

	*ret = (struct tls_texts){0};
	while (event >= 0 && (event = text_proto_next(&t, &f, err)) > 0) {
		int r = read_field(&t, &f, event, ret, err);
		if (event == TEXT_PROTO_VALUE && f.kind == TEXT_PROTO_STRING) /* the arena's copy */
			explicit_bzero((char *)f.value.data, f.value.len);
		if (r < 0)
			event = r;
	}
	arena_done(&arena);
	if (event >= 0)
		event = check_texts(ret, err);
	if (event < 0)
		tls_texts_done(ret);
	return event;
}

static int read_config(const char *path, struct tls_texts *ret, struct err *err)
{
	struct buf text = BUF_INIT;
	int r = fd_read_file(AT_FDCWD, path, TLS_FILE_BYTES_MAX, &text, err);

	if (r >= 0)
		r = tls_texts_parse((struct str){buf_str(&text), text.len}, ret, err);
	wipe(&text);
	return r < 0 ? err_wrap(err, "--ssl_config_file '%s'", path) : 0;
}

int tls_texts_read(const struct serving_options *o, struct tls_texts *ret, struct err *err)
{
	*ret = (struct tls_texts){.client_verify = o->tls_client_ca != NULL};
	if (o->ssl_config_file)
		return read_config(o->ssl_config_file, ret, err);
	int r = fd_read_file(AT_FDCWD, o->tls_key, TLS_FILE_BYTES_MAX, &ret->key, err);
	if (r >= 0)
		r = fd_read_file(AT_FDCWD, o->tls_cert, TLS_FILE_BYTES_MAX, &ret->cert, err);
	if (r >= 0 && o->tls_client_ca)
		r = fd_read_file(AT_FDCWD, o->tls_client_ca, TLS_FILE_BYTES_MAX, &ret->client_ca, err);
	if (r < 0)
		tls_texts_done(ret);
	return r < 0 ? err_wrap(err, "reading key and certificates for TLS") : 0;
}

void tls_stamp_take(const struct serving_options *o, struct tls_stamp *ret)
{
	const char *paths[] = {o->ssl_config_file ? o->ssl_config_file : o->tls_cert, o->tls_key,
			       o->tls_client_ca};
	struct stat st;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (!paths[i] || stat(paths[i], &st) < 0)
			continue;
		ret->files[i].device = st.st_dev;
		ret->files[i].inode = st.st_ino;
		ret->files[i].size = (uint64_t)st.st_size;
		ret->files[i].seconds = st.st_mtim.tv_sec;
		ret->files[i].nanoseconds = st.st_mtim.tv_nsec;
	}
}
