/* SPDX-License-Identifier: Apache-2.0 */
/* Users of an organisation. */
#include "api/api_admin.h"

static void list_users(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_USER_LIST);
	api_admin_page(x, &q, &err);
	api_admin_call(x, &q, &err);
}

static void post_user(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_USER_CREATE);
	api_admin_body(x, "user", FIELD_NAME | FIELD_ROLE | FIELD_PLATFORM, &q, &err);
	api_admin_call(x, &q, &err);
}

static void get_user(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_USER_GET);
	q.name = http_param(x, "user");
	api_admin_call(x, &q, &err);
}

static void patch_user(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_USER_UPDATE);
	api_admin_body(x, "user", FIELD_ROLE | FIELD_PLATFORM, &q, &err);
	q.name = http_param(x, "user");
	api_admin_call(x, &q, &err);
}

static void delete_user(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_USER_DELETE);
	q.name = http_param(x, "user");
	api_admin_call(x, &q, &err);
}

static const struct http_param page_params[] = {
    {"limit", "integer", "at most this many, 1 to 1000; default 100"},
    {"after", "string", "only what comes after this name: 'next' of the page before"},
    {NULL}};

const struct http_route api_user_routes[] = {
    {"GET", "/api/v1/orgs/{org}/users", HTTP_VIEWER | HTTP_OF_ORG, HTTP_BODY_NONE, 0, list_users, "users",
     "List users", page_params, NULL, "UserList", 200},
    {"POST", "/api/v1/orgs/{org}/users", HTTP_ADMIN | HTTP_OF_ORG, HTTP_BODY_JSON, 4096, post_user, "users",
     "Make a user", NULL, "NewUser", "User", 201, 20},
    {"GET", "/api/v1/orgs/{org}/users/{user}", HTTP_VIEWER | HTTP_OF_ORG, HTTP_BODY_NONE, 0, get_user,
     "users", "A user", NULL, NULL, "User", 200},
    {"PATCH", "/api/v1/orgs/{org}/users/{user}", HTTP_ADMIN | HTTP_OF_ORG, HTTP_BODY_JSON, 4096, patch_user,
     "users", "Change a user's role, at once for all their keys", NULL, "UserChange", "User", 200},
    {"DELETE", "/api/v1/orgs/{org}/users/{user}", HTTP_ADMIN | HTTP_OF_ORG, HTTP_BODY_NONE, 0, delete_user,
     "users", "Delete a user with all keys; jobs and models stay", NULL, NULL, NULL, 204},
    {.method = NULL},
};
