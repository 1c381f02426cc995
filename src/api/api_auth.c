/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, and may they: bearer tokens, session cookies, the rule of the route. */
#include "api/api_int.h"

#include <string.h>
#include "base/digest.h"
#include "net/http_header.h"

#define BEARER "Bearer "

static bool is_change(const struct http_exchange *x)
{
	return strcmp(x->method, "GET") && strcmp(x->method, "HEAD");
}

int api_check_origin(const struct http_exchange *x, struct err *err)
{
	const char *origin = http_header(x, "Origin"), *host = http_header(x, "Host");
	if (origin && (!host || !http_origin_is_host(origin, host)))
		return err_set(err, ERR_DENIED, "a page of another origin may not ask for this");
	return 0;
}

/* A browser sends cookies by itself; only a page of ours knows the session's CSRF token. */
static int check_session_change(const struct http_exchange *x, const struct api_session *s, struct err *err)
{
	int r = api_check_origin(x, err);
	if (r < 0)
		return r;
	const char *token = http_header(x, "X-CSRF-Token");
	size_t len = strlen(s->csrf);
	if (!token || strlen(token) != len || !digest_equal(token, s->csrf, len))
		return err_set(
		    err, ERR_DENIED,
		    "the header X-CSRF-Token is missing or wrong; read it from GET /api/v1/session");
	return 0;
}

static int identify(struct http_exchange *x, struct api *a, struct principal *ret, struct err *err)
{
	const char *header = http_header(x, "Authorization");
	if (header) {
		if (strncasecmp(header, BEARER, strlen(BEARER)))
			return err_set(err, ERR_UNAUTHENTICATED,
				       "the header Authorization is not 'Bearer TOKEN'");
		return ctl_authenticate(a->config.ctl, header + strlen(BEARER), ret, err);
	}
	struct api_session s;
	if (!api_session_find(a, x, &s))
		return err_set(
		    err, ERR_UNAUTHENTICATED,
		    "this needs a token: send 'Authorization: Bearer TOKEN'; the administrator's is "
		    "in the file 'root-token' of the data folder");
	*ret = s.who;
	if (x->route->is_passage)
		return is_change(x) ? api_check_origin(x, err) : 0;
	return is_change(x) ? check_session_change(x, &s, err) : 0;
}

static int check_role(const struct http_exchange *x, const struct principal *who, struct err *err)
{
	static const enum role needed[] = {[HTTP_VIEWER] = ROLE_VIEWER,
					   [HTTP_MEMBER] = ROLE_MEMBER,
					   [HTTP_ADMIN] = ROLE_ADMIN,
					   [HTTP_PLATFORM] = ROLE_ADMIN};
	int rule = x->route->auth & HTTP_ROLE;
	enum role role = needed[rule];
	if (rule == HTTP_PLATFORM && !who->is_platform)
		return err_set(err, ERR_DENIED, "%s %s is for administrators of the platform; '%s' is none",
			       x->route->method, x->route->path, who->user);
	if (who->role >= role)
		return 0;
	return err_set(err, ERR_DENIED, "%s %s needs the role '%s'; '%s' has '%s'", x->route->method,
		       x->route->path, role_word(role), who->user, role_word(who->role));
}

/* Whose things: the organisation of the path becomes the principal's for this call. Another organisation that
 * is there and one that is not get the same answer, without a look at either. */
static int check_scope(struct http_exchange *x, struct principal *who, struct err *err)
{
	if (!(x->route->auth & HTTP_OF_ORG))
		return 0;
	const char *org = http_param(x, "org");
	if (!strcmp(org, ORG_OWN) || !strcmp(org, who->org))
		return 0;
	if (!who->is_platform || strlen(org) > CORE_NAME_MAX)
		return err_set(err, ERR_NOT_FOUND, "there is no organisation '%.63s'", org);
	snprintf(who->org, sizeof(who->org), "%s", org);
	return 0;
}

void api_authenticate(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct principal *who = arena_alloc(&x->arena, sizeof(*who));
	int r = identify(x, app, who, &err);
	if (r == 0)
		r = check_role(x, who, &err);
	if (r == 0)
		r = check_scope(x, who, &err);
	if (r == 0)
		r = api_limit_check(x, app, who, &err);
	if (r < 0)
		http_reply_error(x, &err);
	else
		http_admit(x, who);
}
