/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas of organisations. */
#include "api/api_admin.h"

static void list_quotas(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_QUOTA_LIST);
	api_admin_page(x, &q, &err);
	api_admin_call(x, &q, &err);
}

static void get_quota(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_QUOTA_GET);
	api_admin_call(x, &q, &err);
}

static void patch_quota(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_QUOTA_SET);
	q.quota = x->json;
	api_admin_call(x, &q, &err);
}

static const struct http_param page_params[] = {
    {"limit", "integer", "at most this many, 1 to 1000; default 100"},
    {"after", "string", "only what comes after this name: 'next' of the page before"},
    {NULL}};

const struct http_route api_quota_routes[] = {
    {"GET", "/api/v1/quotas", HTTP_VIEWER, HTTP_BODY_NONE, 0, list_quotas, "quotas",
     "One's own organisation's quota; all for an administrator of the platform", page_params, NULL,
     "QuotaList", 200},
    {"GET", "/api/v1/orgs/{org}/quota", HTTP_VIEWER | HTTP_OF_ORG, HTTP_BODY_NONE, 0, get_quota, "quotas",
     "What an organisation may hold, and holds", NULL, NULL, "QuotaState", 200},
    {"PATCH", "/api/v1/orgs/{org}/quota", HTTP_PLATFORM | HTTP_OF_ORG, HTTP_BODY_JSON, 16384, patch_quota,
     "quotas", "Change what an organisation may hold; fields that are left out stay", NULL, "Quota",
     "QuotaState", 200, 20},
    {.method = NULL},
};
