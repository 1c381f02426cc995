/* SPDX-License-Identifier: Apache-2.0 */
/* From method and path to a route; what is not in a table is refused. */
#include "net/http_server_int.h"

#include <string.h>

/* A route's path is matched part by part; "{name}" takes one segment, "{name...}" the rest. */
static bool path_matches(const struct http_route *route, const struct http_uri *uri, const char **params)
{
	const char *pattern = route->path;
	size_t i = 0;
	while (*pattern == '/') {
		const char *part = ++pattern;
		size_t len = strcspn(part, "/");
		pattern += len;
		if (i == uri->segment_count)
			return len == 0 && uri->segment_count == 0;
		if (part[0] == '{') {
			params[i] = part + 1;
			if (len > 4 && !strncmp(part + len - 4, "...}", 4))
				return !uri->trailing_slash || route->is_passage;
		} else if (strlen(uri->segments[i]) != len || memcmp(uri->segments[i], part, len)) {
			return false;
		}
		i++;
	}
	return i == uri->segment_count && (!uri->trailing_slash || i == 0);
}

static bool method_matches(const char *wanted, const char *method)
{
	return !strcmp(wanted, method) || (!strcmp(method, "HEAD") && !strcmp(wanted, "GET"));
}

static const struct http_route fallback_route = {
    .method = "GET", .path = "/{file...}", .auth = HTTP_OPEN, .summary = "Console"};

static bool is_fallback(const struct http_server_config *config, const struct http_uri *uri)
{
	return config->fallback && (uri->segment_count == 0 || strcmp(uri->segments[0], "api"));
}

static int check_query(const struct http_route *route, const struct http_uri *uri, struct err *err)
{
	for (size_t i = 0; i < uri->query_count && !route->is_passage; i++) {
		const struct http_param *p = route->query;
		while (p && p->name && strcmp(p->name, uri->query[i].name))
			p++;
		if (!p || !p->name)
			return err_set(err, ERR_INVALID, "%s %s has no query parameter '%.64s'",
				       route->method, route->path, uri->query[i].name);
	}
	return 0;
}

int http_router_find(const struct http_server_config *config, struct http_exchange *x, const char **params,
		     const char **ret_allow, struct err *err)
{
	struct buf allow = BUF_INIT;
	for (const struct http_route *const *table = config->routes; *table; table++) {
		for (const struct http_route *route = *table; route->method; route++) {
			memset(params, 0, sizeof(*params) * HTTP_SEGMENTS_MAX);
			if (!path_matches(route, &x->uri, params))
				continue;
			if (method_matches(route->method, x->method)) {
				buf_done(&allow);
				x->route = route;
				return check_query(route, &x->uri, err);
			}
			buf_printf(&allow, "%s%s", allow.len ? ", " : "", route->method);
			if (!strcmp(route->method, "GET"))
				buf_adds(&allow, ", HEAD");
		}
	}
	memset(params, 0, sizeof(*params) * HTTP_SEGMENTS_MAX);
	if (!allow.len && is_fallback(config, &x->uri)) {
		if (method_matches("GET", x->method)) {
			x->route = &fallback_route;
			return 0;
		}
		buf_adds(&allow, "GET, HEAD");
	}
	if (!allow.len)
		return err_set(
		    err, ERR_NOT_FOUND,
		    "there is nothing at this address; see /api/v1/openapi.json for what there is");
	*ret_allow = arena_strndup(&x->arena, allow.data, allow.len);
	err_set(err, ERR_METHOD, "%s is not possible here, only %s", x->method, allow.data);
	buf_done(&allow);
	return -ERR_METHOD;
}

/* A role, and whose things exactly when the path says so. */
static bool rule_is_whole(const struct http_route *r)
{
	int role = r->auth & HTTP_ROLE;
	bool names_org = strstr(r->path, "{org}") != NULL, of_org = (r->auth & HTTP_OF_ORG) != 0;
	return role >= HTTP_OPEN && role <= HTTP_PLATFORM && (r->auth & ~(HTTP_ROLE | HTTP_OF_ORG)) == 0 &&
	       names_org == of_org && !(of_org && role == HTTP_OPEN);
}

int http_router_check(const struct http_route *const *routes, struct err *err)
{
	for (const struct http_route *const *table = routes; *table; table++)
		for (const struct http_route *r = *table; r->method; r++)
			if (!rule_is_whole(r) || !r->handle || !r->summary || r->path[0] != '/')
				return err_set(err, ERR_INTERNAL, "route %s %s lacks a rule, handler or text",
					       r->method, r->path);
	return 0;
}

const char *http_param(struct http_exchange *x, const char *name)
{
	const struct exchange *e = EXCHANGE(x);
	size_t len = strlen(name);
	for (size_t i = 0; i < x->uri.segment_count; i++) {
		const char *p = e->params[i];
		if (!p || strncmp(p, name, len) || (p[len] != '}' && p[len] != '.'))
			continue;
		if (p[len] == '}')
			return x->uri.segments[i];
		struct buf rest = BUF_INIT;
		for (size_t j = i; j < x->uri.segment_count; j++)
			buf_printf(&rest, "%s%s", j > i ? "/" : "", x->uri.segments[j]);
		const char *joined = arena_strndup(&x->arena, buf_str(&rest), rest.len);
		buf_done(&rest);
		return joined;
	}
	return NULL;
}
