/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: bearer tokens of users. An administrator's calls are about those of all, others' about their own. */
#include "api/api_admin.h"

static void list_keys(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_KEY_LIST);
	api_admin_page(x, &q, &err);
	q.user = http_query(x, "user");
	api_admin_call(x, &q, &err);
}

static void post_key(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_KEY_CREATE);
	api_admin_body(x, "key", FIELD_USER | FIELD_ROLE | FIELD_NOTE | FIELD_EXPIRES, &q, &err);
	api_admin_call(x, &q, &err);
}

static void delete_key(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_KEY_REVOKE);
	q.name = http_param(x, "id");
	api_admin_call(x, &q, &err);
}

static void rotate_key(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_KEY_ROTATE);
	q.name = http_param(x, "id");
	api_admin_call(x, &q, &err);
}

static const struct http_param list_params[] = {
    {"limit", "integer", "at most this many, 1 to 1000; default 100"},
    {"after", "string", "only what comes after this id: 'next' of the page before"},
    {"user", "string", "only this user's"},
    {NULL}};

const struct http_route api_key_routes[] = {
    {"GET", "/api/v1/orgs/{org}/keys", HTTP_VIEWER | HTTP_OF_ORG, HTTP_BODY_NONE, 0, list_keys, "keys",
     "List keys: of all for an administrator, else one's own", list_params, NULL, "KeyList", 200},
    {"POST", "/api/v1/orgs/{org}/keys", HTTP_VIEWER | HTTP_OF_ORG, HTTP_BODY_JSON, 4096, post_key, "keys",
     "Make a key; its token is in this answer and nowhere else", NULL, "NewKey", "CreatedKey", 201, 100},
    {"DELETE", "/api/v1/orgs/{org}/keys/{id}", HTTP_VIEWER | HTTP_OF_ORG, HTTP_BODY_NONE, 0, delete_key,
     "keys", "Revoke a key, at once and for what it holds open", NULL, NULL, NULL, 204},
    {"POST", "/api/v1/orgs/{org}/keys/{id}/rotate", HTTP_VIEWER | HTTP_OF_ORG, HTTP_BODY_NONE, 0, rotate_key,
     "keys", "Put a new key in the place of one, which ends at once", NULL, NULL, "CreatedKey", 201, 100},
    {.method = NULL},
};
