/* SPDX-License-Identifier: Apache-2.0 */
/* store presign: signature version 4 in the query (Amazon S3 API Reference, "Authenticating Requests"). */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <nettle/hmac.h>
#include "base/digest.h"
#include "base/unit.h"
#include "cli/store.h"

#define EXPIRES_MAX_S (7 * 24 * 3600)

struct signing {
	const char *method, *path, *version; /* path is encoded */
	const char *access_key, *secret, *endpoint, *region;
	int64_t expires_s;
	char date[20], scope[80]; /* "20261125T101112Z", "20261125/REGION/s3/aws4_request" */
};

static void hmac(const void *key, size_t key_len, const char *data, unsigned char ret[32])
{
	struct hmac_sha256_ctx ctx;
	hmac_sha256_set_key(&ctx, key_len, key);
	hmac_sha256_update(&ctx, strlen(data), (const uint8_t *)data);
	hmac_sha256_digest(&ctx, 32, ret);
}

static void derive_key(const struct signing *s, unsigned char ret[32])
{
	CLEANUP(free) char *start = mem_printf("AWS4%s", s->secret);
	char day[9];
	snprintf(day, sizeof(day), "%.8s", s->date);
	hmac(start, strlen(start), day, ret);
	hmac(ret, 32, s->region, ret);
	hmac(ret, 32, "s3", ret);
	hmac(ret, 32, "aws4_request", ret);
}

/* Returns owned. */
static char *sign(const struct signing *s)
{
	CLEANUP(buf) struct buf query = BUF_INIT, canonical = BUF_INIT, text = BUF_INIT;
	CLEANUP(free) char *credential = mem_printf("%s/%s", s->access_key, s->scope);
	CLEANUP(free) char *escaped = client_escape(credential, false);
	unsigned char key[32];
	char digest[DIGEST_HEX_LEN + 1], signature[DIGEST_HEX_LEN + 1];
	/* The names are in the order of their bytes, as they are signed. */
	buf_printf(&query,
		   "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s&X-Amz-Date=%s&X-Amz-Expires=%lld"
		   "&X-Amz-SignedHeaders=host",
		   escaped, s->date, (long long)s->expires_s);
	if (s->version) {
		CLEANUP(free) char *version = client_escape(s->version, false);
		buf_printf(&query, "&versionId=%s", version);
	}
	buf_printf(&canonical, "%s\n%s\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD", s->method, s->path,
		   buf_str(&query), strstr(s->endpoint, "://") + 3);
	digest_of(canonical.data, canonical.len, digest);
	buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", s->date, s->scope, digest);
	derive_key(s, key);
	digest_hmac(key, sizeof(key), text.data, text.len, signature);
	return mem_printf("%s%s?%s&X-Amz-Signature=%s", s->endpoint, s->path, buf_str(&query), signature);
}

static int read_expires(const struct cli_args *a, int64_t *ret, struct err *err)
{
	int64_t ms = 3600 * 1000;
	if (cli_opt(a, "expires")) {
		int r = unit_parse_duration_ms(cli_opt(a, "expires"), &ms, err);
		if (r < 0)
			return err_wrap(err, "--expires");
	}
	*ret = ms / 1000;
	if (*ret < 1 || *ret > EXPIRES_MAX_S)
		return err_set(err, ERR_INVALID, "--expires '%s' is not between 1s and 7d",
			       cli_opt(a, "expires"));
	return 0;
}

int cmd_store_presign(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(store_uri) struct store_uri u = {0};
	CLEANUP(json) json_t *j = NULL;
	struct signing s = {.method = cli_opt(a, "put") ? "PUT" : "GET", .version = cli_opt(a, "version")};
	time_t now = (time_t)(cli_now_ms() / 1000);
	struct tm tm;
	int r = store_uri_parse(a->positional[0], &u, err);
	if (r >= 0 && (!*u.key || u.key[strlen(u.key) - 1] == '/'))
		r = err_set(err, ERR_INVALID, "'%s' is a folder; an address is of one object",
			    a->positional[0]);
	if (r >= 0)
		r = read_expires(a, &s.expires_s, err);
	if (r >= 0)
		r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", "/api/v1/store-credentials", NULL, NULL, &j, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *path = mem_printf("/%s", u.path);
	s.path = path;
	s.access_key = cli_str(j, "access_key_id");
	s.secret = cli_str(j, "secret_access_key");
	s.endpoint = cli_str(j, "endpoint");
	s.region = cli_str(j, "region");
	if (!strstr(s.endpoint, "://"))
		return err_set(err, ERR_UNAVAILABLE, "the server names no address of its S3 gateway");
	strftime(s.date, sizeof(s.date), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	snprintf(s.scope, sizeof(s.scope), "%.8s/%s/s3/aws4_request", s.date, s.region);
	CLEANUP(free) char *url = sign(&s);
	CLEANUP(json)
	json_t *answer = json_pack("{s:s, s:s, s:I}", "url", url, "method", s.method, "expires_ms",
				   (json_int_t)((int64_t)now + s.expires_s) * 1000);
	if (c->json)
		cli_print_json(answer);
	else
		puts(url);
	return 0;
}
