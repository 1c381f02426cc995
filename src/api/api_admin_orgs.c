/* SPDX-License-Identifier: Apache-2.0 */
/* Organisations, and the audit of each. */
#include "api/api_admin.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

static void list_orgs(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_ORG_LIST);
	api_admin_page(x, &q, &err);
	api_admin_call(x, &q, &err);
}

static void get_org(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_ORG_GET);
	api_admin_call(x, &q, &err);
}

static void patch_org(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_ORG_UPDATE);
	api_admin_body(x, "organisation", FIELD_DESCRIPTION, &q, &err);
	api_admin_call(x, &q, &err);
}

/* ---- what touches the store of bytes ---- */

struct org_work {
	struct http_exchange *x;
	struct blob_store *blobs;
	struct admin_request request;
	struct err err;
};

static struct org_work *work_new(struct http_exchange *x, enum admin_verb verb)
{
	struct org_work *w = MEM_NEW(struct org_work);
	const struct api *a = x->app;
	w->x = x;
	w->blobs = a->config.blobs;
	w->request = ADMIN_REQUEST(verb);
	return w;
}

static void work_done(void *arg)
{
	struct org_work *w = arg;
	api_admin_call(w->x, &w->request, &w->err);
	free(w);
}

/* The bucket with its name is taken before anybody of it is served, so that nobody else can take it. */
static void claim_bucket(void *arg)
{
	struct org_work *w = arg;
	const char *name = w->request.name;
	int r = w->blobs->ops->bucket_create(w->blobs, name, name, &w->err);
	if (r >= 0)
		w->err = ERR_INIT;
	else if (r == -ERR_EXISTS)
		err_set(&w->err, ERR_EXISTS,
			"an organisation cannot be called '%s': another one has a bucket of that name; "
			"choose another name",
			name);
}

static void post_org(struct http_exchange *x, void *app)
{
	struct org_work *w = work_new(x, ADMIN_ORG_CREATE);
	int r = api_admin_body(x, "organisation", FIELD_NAME | FIELD_DESCRIPTION, &w->request, &w->err);
	if (r == 0)
		r = core_name_check("organisation", w->request.name, &w->err);
	if (r < 0)
		work_done(w);
	else
		api_work(app, claim_bucket, work_done, w);
}

static bool bucket_has_objects(struct org_work *w, const char *org, const char *bucket)
{
	struct blob_list list = {0};
	struct err ignored = ERR_INIT;
	bool any = w->blobs->ops->list(w->blobs, org, bucket, "", NULL, 0, 1, &list, &ignored) >= 0 &&
		   list.count > 0;
	blob_list_done(&list);
	return any;
}

static void look_for_objects(void *arg)
{
	struct org_work *w = arg;
	const char *org = api_principal(w->x)->org;
	struct blob_list buckets = {0};
	if (w->blobs->ops->bucket_list(w->blobs, org, &buckets, &w->err) >= 0)
		w->err = ERR_INIT;
	for (size_t i = 0; i < buckets.count && !w->request.has_objects; i++)
		w->request.has_objects = bucket_has_objects(w, org, buckets.entries[i].key);
	blob_list_done(&buckets);
}

static void delete_org(struct http_exchange *x, void *app)
{
	struct org_work *w = work_new(x, ADMIN_ORG_DELETE);
	int64_t force = 0;
	int r = http_query_int(x, "force", 0, 1, &force, &w->err);
	w->request.force = force != 0;
	if (r < 0)
		work_done(w);
	else
		api_work(app, look_for_objects, work_done, w);
}

/* ---- the audit ---- */

static void list_audit(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_AUDIT_LIST);
	q.limit = 100;
	if (http_query_int(x, "limit", 1, 1000, &q.limit, &err) == 0)
		http_query_int(x, "before", 1, INT64_MAX, &q.before, &err);
	api_admin_call(x, &q, &err);
}

static const struct http_param page_params[] = {
    {"limit", "integer", "at most this many, 1 to 1000; default 100"},
    {"after", "string", "only what comes after this name: 'next' of the page before"},
    {NULL}};
static const struct http_param delete_params[] = {
    {"force", "integer", "1: also when it has jobs, models or objects; all of it goes"}, {NULL}};
static const struct http_param audit_params[] = {
    {"limit", "integer", "at most this many, 1 to 1000; default 100"},
    {"before", "integer", "only what is older than this: 'next' of the page before"},
    {NULL}};

const struct http_route api_org_routes[] = {
    {"GET", "/api/v1/orgs", HTTP_VIEWER, HTTP_BODY_NONE, 0, list_orgs, "organisations",
     "One's own organisation; all for an administrator of the platform", page_params, NULL, "OrgList", 200},
    {"POST", "/api/v1/orgs", HTTP_PLATFORM, HTTP_BODY_JSON, 4096, post_org, "organisations",
     "Make an organisation", NULL, "NewOrg", "Org", 201, 500},
    {"GET", "/api/v1/orgs/{org}", HTTP_VIEWER | HTTP_OF_ORG, HTTP_BODY_NONE, 0, get_org, "organisations",
     "An organisation; '-' is one's own", NULL, NULL, "Org", 200},
    {"PATCH", "/api/v1/orgs/{org}", HTTP_ADMIN | HTTP_OF_ORG, HTTP_BODY_JSON, 4096, patch_org,
     "organisations", "Change an organisation's description", NULL, "OrgChange", "Org", 200},
    {"DELETE", "/api/v1/orgs/{org}", HTTP_PLATFORM | HTTP_OF_ORG, HTTP_BODY_NONE, 0, delete_org,
     "organisations", "Delete an organisation that is empty, or with force all that it has", delete_params,
     NULL, "Org", 202, 500},
    {"GET", "/api/v1/orgs/{org}/events", HTTP_ADMIN | HTTP_OF_ORG, HTTP_BODY_NONE, 0, list_audit,
     "organisations", "Who changed rights, keys and quotas, newest first", audit_params, NULL, "EventList",
     200, 20},
    {.method = NULL},
};
