/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of the console. The cookie is a claim (key, end, nonce) with its HMAC-SHA256, so sessions need no
 * state and outlive a restart; the secret is a file of the data folder. The CSRF token is another HMAC of the
 * same claim: only a page that reads our answers has it.
 *
 * What a session may do is what its key may do at that moment: a key that is gone or expired ends all of its
 * sessions. A session that was ended is remembered until it would have expired, as long as the server runs.
 */
#include "api/api_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "net/http_header.h"

#define COOKIE "cloudml_session"
#define SECRET_FILE "session-secret"
#define SESSION_MS (INT64_C(12) * 3600 * 1000)
#define NONCE_LEN 20
#define CLAIM_MAX 95
#define COOKIE_MAX (CLAIM_MAX + 1 + DIGEST_HEX_LEN)
#define ENDED_MAX 10000

struct api_session_end {
	int64_t expires_ms; /* Unix time */
};

/* "KEY.EXPIRES_MS.NONCE", split. */
struct claim {
	char text[CLAIM_MAX + 1];
	char key_id[STORE_KEY_ID_MAX + 1];
	int64_t expires_ms;
};

/* ---- the secret ---- */

static int make_secret(struct api *a, const char *path, struct err *err)
{
	a->config.rng->fill(a->config.rng, a->session_secret, sizeof(a->session_secret));
	return fd_write_file(AT_FDCWD, path, a->session_secret, sizeof(a->session_secret), 0600, err);
}

int api_session_open(struct api *a, struct err *err)
{
	CLEANUP(free) char *path = mem_printf("%s/" SECRET_FILE, a->config.data_folder);
	CLEANUP(buf) struct buf bytes = BUF_INIT;
	a->ended_sessions = map_new(free);
	int r = fd_read_file(AT_FDCWD, path, sizeof(a->session_secret), &bytes, err);
	if (r == -ERR_NOT_FOUND) {
		*err = ERR_INIT;
		r = make_secret(a, path, err);
	} else if (r == 0 && bytes.len != sizeof(a->session_secret)) {
		r = err_set(err, ERR_CORRUPT,
			    "'%s' does not have %zu bytes; remove it, and everybody logs in again", path,
			    sizeof(a->session_secret));
	} else if (r == 0) {
		memcpy(a->session_secret, bytes.data, bytes.len);
		explicit_bzero(bytes.data, bytes.len);
	}
	return r < 0 ? err_wrap(err, "opening the secret of the console's sessions") : 0;
}

void api_session_close(struct api *a)
{
	explicit_bzero(a->session_secret, sizeof(a->session_secret));
	map_free(a->ended_sessions);
	a->ended_sessions = NULL;
}

/* ---- claims ---- */

/* 'purpose' keeps the two uses apart: neither MAC can stand for the other. */
static void sign(const struct api *a, const char *purpose, const char *claim, char ret[DIGEST_HEX_LEN + 1])
{
	char text[CLAIM_MAX + 16];
	int n = snprintf(text, sizeof(text), "%s:%s", purpose, claim);
	digest_hmac(a->session_secret, sizeof(a->session_secret), text, (size_t)n, ret);
}

/* "CLAIM.MAC" to the claim, when the MAC is ours. Nothing of the claim is looked at before. */
static bool open_cookie(const struct api *a, const char *cookie, struct claim *ret)
{
	char mac[DIGEST_HEX_LEN + 1];
	const char *dot = strrchr(cookie, '.');
	size_t len = dot ? (size_t)(dot - cookie) : 0;
	if (!dot || len > CLAIM_MAX || strlen(dot + 1) != DIGEST_HEX_LEN)
		return false;
	memcpy(ret->text, cookie, len);
	ret->text[len] = 0;
	sign(a, "session", ret->text, mac);
	return digest_equal(mac, dot + 1, DIGEST_HEX_LEN);
}

static bool split_claim(struct claim *c)
{
	char *end;
	size_t len = strcspn(c->text, ".");
	if (len == 0 || len > STORE_KEY_ID_MAX || c->text[len] != '.')
		return false;
	memcpy(c->key_id, c->text, len);
	c->key_id[len] = 0;
	c->expires_ms = strtoll(c->text + len + 1, &end, 10);
	return *end == '.';
}

static bool find_claim(const struct api *a, const struct http_exchange *x, struct claim *ret)
{
	char cookie[COOKIE_MAX + 1], ended[DIGEST_HEX_LEN + 1];
	if (!http_cookie_get(http_header(x, "Cookie"), COOKIE, cookie, sizeof(cookie)) ||
	    !open_cookie(a, cookie, ret) || !split_claim(ret) ||
	    ret->expires_ms <= clock_wall_ms(a->config.clock))
		return false;
	digest_of(ret->text, strlen(ret->text), ended);
	return !map_get(a->ended_sessions, ended);
}

bool api_session_find(struct api *a, const struct http_exchange *x, struct api_session *ret)
{
	struct claim claim;
	struct err ignored = ERR_INIT;
	if (!find_claim(a, x, &claim) || ctl_principal(a->config.ctl, claim.key_id, &ret->who, &ignored) < 0)
		return false;
	sign(a, "csrf", claim.text, ret->csrf);
	return true;
}

/* ---- ended sessions ---- */

/* Expired ones go; when there are too many, so does the one that would have expired first. */
static void forget_ended(struct api *a)
{
	const char *key, *first = NULL;
	void *value;
	int64_t now = clock_wall_ms(a->config.clock), first_ms = INT64_MAX;
	if (map_count(a->ended_sessions) < ENDED_MAX)
		return;
	for (size_t i = 0; map_next(a->ended_sessions, &i, &key, &value);) {
		const struct api_session_end *e = value;
		if (e->expires_ms <= now) {
			map_delete(a->ended_sessions, key);
		} else if (e->expires_ms < first_ms) {
			first_ms = e->expires_ms;
			first = key;
		}
	}
	if (first && map_count(a->ended_sessions) >= ENDED_MAX)
		map_delete(a->ended_sessions, first);
}

static void end_session(struct api *a, const struct claim *claim)
{
	char digest[DIGEST_HEX_LEN + 1];
	struct api_session_end *e = MEM_NEW(struct api_session_end);
	forget_ended(a);
	e->expires_ms = claim->expires_ms;
	digest_of(claim->text, strlen(claim->text), digest);
	map_set(a->ended_sessions, digest, e);
}

/* ---- the calls ---- */

static json_t *format_principal(const struct principal *who, const char *csrf)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:s*}", "org", who->org, "user", who->user, "role",
			 role_word(who->role), "platform", who->is_platform, "csrf", csrf);
}

static int read_token(const struct http_exchange *x, char **ret, struct err *err)
{
	struct json_reader r;
	json_reader_begin(&r, x->json, "session");
	json_get_string(&r, "token", 200, ret);
	int res = json_reader_end(&r, err);
	if (res == 0 && !*ret)
		return err_set(err, ERR_INVALID, "session has no 'token'");
	return res;
}

static void begin_session(struct http_exchange *x, struct api *a, const struct principal *who)
{
	char nonce[NONCE_LEN + 1], claim[CLAIM_MAX + 1];
	char mac[DIGEST_HEX_LEN + 1], csrf[DIGEST_HEX_LEN + 1], cookie[COOKIE_MAX + 100];
	rng_id(a->config.rng, nonce, NONCE_LEN);
	snprintf(claim, sizeof(claim), "%s.%lld.%s", who->key_id,
		 (long long)(clock_wall_ms(a->config.clock) + SESSION_MS), nonce);
	sign(a, "session", claim, mac);
	sign(a, "csrf", claim, csrf);
	snprintf(cookie, sizeof(cookie), COOKIE "=%s.%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%lld",
		 claim, mac, (long long)(SESSION_MS / 1000));
	http_reply_header(x, "Set-Cookie", cookie);
	http_reply_json(x, 200, format_principal(who, csrf));
}

static void post_session(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct err err = ERR_INIT;
	struct principal who;
	CLEANUP(free) char *token = NULL;
	int r = api_check_origin(x, &err);
	if (r == 0)
		r = read_token(x, &token, &err);
	if (r == 0)
		r = api_login_check(x, a, token, &err);
	if (r == 0 && (r = ctl_authenticate(a->config.ctl, token, &who, &err)) < 0)
		r = api_login_failed(x, a, token, &err);
	if (r < 0)
		http_reply_error(x, &err);
	else
		begin_session(x, a, &who);
}

static void get_session(struct http_exchange *x, void *app)
{
	struct api_session s;
	bool by_cookie = !http_header(x, "Authorization") && api_session_find(app, x, &s);
	http_reply_json(x, 200, format_principal(api_principal(x), by_cookie ? s.csrf : NULL));
}

static void delete_session(struct http_exchange *x, void *app)
{
	struct claim claim;
	if (find_claim(app, x, &claim))
		end_session(app, &claim);
	http_reply_header(x, "Set-Cookie", COOKIE "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
	http_reply_empty(x, 204);
}

const struct http_route api_session_routes[] = {
    {"POST", "/api/v1/session", HTTP_OPEN, HTTP_BODY_JSON, 4096, post_session, "session",
     "Begin a session of the console", NULL, "Login", "Session", 200},
    {"GET", "/api/v1/session", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_session, "session", "Who asks", NULL, NULL,
     "Session", 200},
    {"DELETE", "/api/v1/session", HTTP_VIEWER, HTTP_BODY_NONE, 0, delete_session, "session",
     "End the session", NULL, NULL, NULL, 204},
    {.method = NULL},
};
