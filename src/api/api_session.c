/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of the console: a cookie for a token; in memory, gone with the server. */
#include "api/api_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "net/http_header.h"

#define COOKIE "cloudml_session"
#define SESSION_ID_LEN 32 /* 160 bits */
#define SESSION_MS (12 * 3600 * 1000)
#define SESSIONS_MAX 1000

/* Sessions are kept under the digest of their id, so that looking one up tells nothing by its time. */
static bool session_key(const struct http_exchange *x, char ret[DIGEST_HEX_LEN + 1])
{
	char id[SESSION_ID_LEN + 1];
	if (!http_cookie_get(http_header(x, "Cookie"), COOKIE, id, sizeof(id)))
		return false;
	digest_of(id, strlen(id), ret);
	return true;
}

struct api_session *api_session_find(struct api *a, const struct http_exchange *x)
{
	char key[DIGEST_HEX_LEN + 1];
	if (!session_key(x, key))
		return NULL;
	struct api_session *s = map_get(a->sessions, key);
	if (s && s->expires_ms <= clock_monotonic_ms(a->config.clock)) {
		map_delete(a->sessions, key);
		return NULL;
	}
	return s;
}

/* Ended ones go; when all are alive, the oldest goes. */
static void make_room(struct api *a)
{
	const char *key, *oldest = NULL;
	void *value;
	int64_t now = clock_monotonic_ms(a->config.clock), oldest_ms = INT64_MAX;
	for (size_t i = 0; map_next(a->sessions, &i, &key, &value);) {
		struct api_session *s = value;
		if (s->expires_ms <= now) {
			map_delete(a->sessions, key);
		} else if (s->expires_ms < oldest_ms) {
			oldest_ms = s->expires_ms;
			oldest = key;
		}
	}
	if (oldest && map_count(a->sessions) >= SESSIONS_MAX)
		map_delete(a->sessions, oldest);
}

static json_t *format_principal(const struct principal *who, const char *csrf)
{
	return json_pack("{s:s, s:s, s:s, s:s*}", "org", who->org, "user", who->user, "role",
			 role_word(who->role), "csrf", csrf);
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
		r = ctl_authenticate(a->config.ctl, token, &who, &err);
	if (r < 0) {
		http_reply_error(x, &err);
		return;
	}
	char id[SESSION_ID_LEN + 1], key[DIGEST_HEX_LEN + 1], cookie[160];
	struct api_session *s = MEM_NEW(struct api_session);
	make_room(a);
	rng_id(a->config.rng, id, SESSION_ID_LEN);
	rng_id(a->config.rng, s->csrf, 32);
	s->who = who;
	s->expires_ms = clock_monotonic_ms(a->config.clock) + SESSION_MS;
	digest_of(id, SESSION_ID_LEN, key);
	json_t *answer = format_principal(&who, s->csrf);
	map_set(a->sessions, key, s);
	snprintf(cookie, sizeof(cookie), COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%d", id,
		 SESSION_MS / 1000);
	http_reply_header(x, "Set-Cookie", cookie);
	http_reply_json(x, 200, answer);
}

static void get_session(struct http_exchange *x, void *app)
{
	const struct api_session *s = http_header(x, "Authorization") ? NULL : api_session_find(app, x);
	http_reply_json(x, 200, format_principal(api_principal(x), s ? s->csrf : NULL));
}

static void delete_session(struct http_exchange *x, void *app)
{
	struct api *a = app;
	char key[DIGEST_HEX_LEN + 1];
	if (session_key(x, key))
		map_delete(a->sessions, key);
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
