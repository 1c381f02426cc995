/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the REST API. */
#include <stdio.h>
#include "base/mem.h"
#include "serving/rest_route.h"
#include "unit/test.h"

static void text_of(const struct rest_route *r, char *ret, size_t cap)
{
	snprintf(ret, cap, "%d %.*s %lld %.*s", (int)r->verb, (int)r->spec.name.len, r->spec.name.data,
		 r->spec.has_version ? (long long)r->spec.version : -1, (int)r->spec.label.len,
		 r->spec.label.data);
}

TEST(paths_name_verb_model_version_and_label)
{
	static const struct {
		const char *method, *path, *expected;
	} rows[] = {
	    {"POST", "/v1/models/m:predict", "0 m -1 "},
	    {"POST", "/V1/Models/m:PREDICT", "0 m -1 "},
	    {"POST", "/v1/models/m/versions/12:predict", "0 m 12 "},
	    {"POST", "/v1/models/m/versions/0012:classify", "1 m 12 "},
	    {"POST", "/v1/models/m/labels/stable:regress", "2 m -1 stable"},
	    {"POST", "/v1/models/a%2Fb%20c:predict", "0 a/b c -1 "},
	    {"POST", "/v1/models/a:b:predict", "0 a:b -1 "},
	    {"GET", "/v1/models/m", "3 m -1 "},
	    {"GET", "/v1/models/m/versions/3", "3 m 3 "},
	    {"GET", "/v1/models/m/metadata", "4 m -1 "},
	    {"GET", "/v1/models/m/versions/3/metadata", "4 m 3 "},
	    {"GET", "/v1/models/m/labels/canary/METADATA", "4 m -1 canary"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena = ARENA_INIT(4096);
		struct rest_route route;
		struct err err = ERR_INIT;
		char text[256];
		EXPECT_OK(rest_route_parse(rows[i].method, rows[i].path, &arena, &route, &err), &err);
		text_of(&route, text, sizeof(text));
		EXPECT_STR(rows[i].path, text, rows[i].expected);
		arena_done(&arena);
	}
}

TEST(other_paths_are_refused)
{
	static const struct {
		const char *method, *path;
		int code;
	} rows[] = {
	    {"GET", "/", ERR_NOT_FOUND},
	    {"GET", "/v2/models/m", ERR_NOT_FOUND},
	    {"GET", "/v1/models/", ERR_INVALID},
	    {"GET", "/v1/models", ERR_INVALID},
	    {"GET", "/v1/other", ERR_INVALID},
	    {"POST", "/v1/models/m", ERR_INVALID},
	    {"POST", "/v1/models/m:explain", ERR_INVALID},
	    {"POST", "/v1/models/:predict", ERR_INVALID},
	    {"POST", "/v1/models/m/versions/x:predict", ERR_INVALID},
	    {"POST", "/v1/models/m/versions/:predict", ERR_INVALID},
	    {"POST", "/v1/models/m/versions/99999999999999999999:predict", ERR_INVALID},
	    {"POST", "/v1/models/m/metadata:predict", ERR_INVALID},
	    {"GET", "/v1/models/m/versions/1/2", ERR_INVALID},
	    {"GET", "/v1/models/m/", ERR_INVALID},
	    {"GET", "/v1/models/%zz", ERR_INVALID},
	    {"GET", "/v1/models/a%00b", ERR_INVALID},
	    {"GET", "/v1/models/a%2", ERR_INVALID},
	    {"PUT", "/v1/models/m", ERR_INVALID},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena arena = ARENA_INIT(4096);
		struct rest_route route;
		struct err err = ERR_INIT;
		EXPECT_ERR(rest_route_parse(rows[i].method, rows[i].path, &arena, &route, &err), rows[i].code,
			   &err, "");
		arena_done(&arena);
	}
}
