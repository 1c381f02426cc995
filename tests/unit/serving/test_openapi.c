/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAPI document of the Open Inference Protocol says what the table of routes says. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "serving/oip_rest.h"
#include "unit/test.h"

static const struct {
	enum oip_verb verb;
	const char *method, *pattern;
} routes[] = {
#define ROW(verb, method, pattern) {verb, method, pattern},
    OIP_ROUTE_TABLE(ROW)
#undef ROW
};

static json_t *document(void)
{
	struct err err = ERR_INIT;
	json_t *root = NULL;

	EXPECT_OK(json_parse((const char *)oip_openapi, oip_openapi_len, 1 << 20, &root, &err), &err);
	return root;
}

/* "v2/models/NAME" → "/v2/models/{name}" */
static void path_of(const char *pattern, char *ret)
{
	*ret++ = '/';
	for (; *pattern; pattern++) {
		bool word = isupper((unsigned char)*pattern);
		if (word)
			*ret++ = '{';
		while (isupper((unsigned char)*pattern))
			*ret++ = (char)tolower((unsigned char)*pattern++);
		if (word)
			*ret++ = '}';
		if (!*pattern)
			break;
		*ret++ = *pattern;
	}
	*ret = '\0';
}

TEST(every_route_is_described)
{
	CLEANUP(json) json_t *root = document();
	json_t *paths = json_object_get(root, "paths");
	size_t described = 0;

	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		char path[256], method[16] = "";
		if (routes[i].verb == OIP_NOT_OFFERED || routes[i].verb == OIP_OPENAPI)
			continue;
		path_of(routes[i].pattern, path);
		for (size_t k = 0; routes[i].method[k]; k++)
			method[k] = (char)tolower((unsigned char)routes[i].method[k]);
		assert_true(json_object_get(json_object_get(paths, path), method) != NULL);
		described++;
	}
	EXPECT_INT("paths", json_object_size(paths), described);
}

static void check_references(json_t *root, json_t *at)
{
	json_t *value;
	const char *key;
	size_t i;

	json_array_foreach(at, i, value) check_references(root, value);
	json_object_foreach(at, key, value)
	{
		check_references(root, value);
		if (strcmp(key, "$ref") != 0)
			continue;
		char kind[32], name[64];
		EXPECT_INT(json_string_value(value),
			   sscanf(json_string_value(value), "#/components/%31[^/]/%63s", kind, name), 2);
		json_t *parts = json_object_get(root, "components");
		assert_true(json_object_get(json_object_get(parts, kind), name) != NULL);
	}
}

TEST(every_reference_leads_somewhere)
{
	CLEANUP(json) json_t *root = document();

	check_references(root, root);
}
