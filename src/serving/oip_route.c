/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of paths of the Open Inference Protocol. */
#include "serving/oip_route.h"

#include <string.h>
#include "base/mem.h"
#include "serving/rest_route.h"

static const struct {
	enum oip_verb verb;
	const char *method, *pattern;
} routes[] = {
#define OIP_ROUTE_ROW(verb, method, pattern) {verb, method, pattern},
    OIP_ROUTE_TABLE(OIP_ROUTE_ROW)
#undef OIP_ROUTE_ROW
};

struct match {
	struct str name, version; /* still percent-encoded; data NULL when the pattern has none */
};

/* The part of *rest before the next slash; *rest moves behind it. False when nothing is left. */
static bool next_part(struct str *rest, struct str *part)
{
	const char *slash;

	if (!rest->data)
		return false;
	slash = memchr(rest->data, '/', rest->len);
	*part = (struct str){rest->data, slash ? (size_t)(slash - rest->data) : rest->len};
	*rest = slash ? (struct str){slash + 1, rest->len - part->len - 1} : (struct str){NULL, 0};
	return true;
}

static bool fits(const char *pattern, struct str path, struct match *m)
{
	struct str rest = str_from(pattern), want, have;

	*m = (struct match){.name = {NULL, 0}};
	while (next_part(&rest, &want)) {
		if (str_eq(want, "*"))
			return path.data != NULL;
		if (!next_part(&path, &have))
			return false;
		if (str_eq(want, "NAME"))
			m->name = have;
		else if (str_eq(want, "VERSION"))
			m->version = have;
		else if (want.len != have.len || memcmp(want.data, have.data, want.len) != 0)
			return false;
	}
	return path.data == NULL;
}

int oip_version_parse(struct str text, struct model_spec *ret, struct err *err)
{
	int64_t v = 0;
	bool ok = text.len <= 19;

	for (size_t i = 0; i < text.len && ok; i++)
		ok = text.data[i] >= '0' && text.data[i] <= '9' &&
		     !__builtin_mul_overflow(v, (int64_t)10, &v) &&
		     !__builtin_add_overflow(v, (int64_t)(text.data[i] - '0'), &v);
	if (!ok)
		return err_set(err, ERR_INVALID, "model version '%.*s' is no number",
			       (int)(text.len > 40 ? 40 : text.len), text.data);
	ret->version = v;
	ret->has_version = text.len > 0;
	return 0;
}

static int take_match(const struct match *m, struct arena *arena, struct oip_route *ret, struct err *err)
{
	struct str version = {"", 0};

	if (m->name.data && !rest_path_decode(m->name, arena, &ret->spec.name))
		return err_set(err, ERR_INVALID, "malformed model name in the path");
	if (!m->version.data)
		return 0;
	if (!rest_path_decode(m->version, arena, &version))
		return err_set(err, ERR_INVALID, "malformed model version in the path");
	return oip_version_parse(version, &ret->spec, err);
}

bool oip_route_takes(const char *path)
{
	return strncmp(path, "/v2/", 4) == 0 || strcmp(path, "/v2") == 0 || strcmp(path, "/v1/models") == 0 ||
	       strcmp(path, "/openapi.json") == 0;
}

int oip_route_parse(const char *method, const char *path, struct arena *arena, struct oip_route *ret,
		    struct err *err)
{
	struct str parts = str_from(path[0] == '/' ? path + 1 : path);
	struct match m;

	*ret = (struct oip_route){.spec = {.name = {"", 0}}};
	if (parts.len > 0 && parts.data[parts.len - 1] == '/')
		parts.len--;
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (!fits(routes[i].pattern, parts, &m))
			continue;
		if (routes[i].verb == OIP_NOT_OFFERED)
			return err_set(err, ERR_UNSUPPORTED, "%.200s is not offered by this server", path);
		if (strcmp(routes[i].method, method) != 0) {
			ret->allowed = routes[i].method;
			continue;
		}
		ret->verb = routes[i].verb;
		return take_match(&m, arena, ret, err);
	}
	if (ret->allowed)
		return err_set(err, ERR_METHOD, "%.16s is not allowed for %.200s", method, path);
	return err_set(err, ERR_NOT_FOUND, "not found: %.200s", path);
}
