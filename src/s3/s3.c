/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's life, the table of operations, and the way of a request to its operation. */
#include "s3/s3_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"

#define BODY_MAX ((INT64_C(5) << 40) + (INT64_C(1) << 32)) /* an object of the greatest size in chunks */

/* method, bucket, key, parameter, header, changes, has a body */
#define ON_BUCKET true, false
#define ON_KEY false, true
#define ON_SERVICE false, false
const struct s3_operation s3_operations[] = {
    {"GET", ON_SERVICE, NULL, NULL, false, false, list_buckets},
    {"PUT", ON_BUCKET, NULL, NULL, true, true, create_bucket},
    {"HEAD", ON_BUCKET, NULL, NULL, false, false, head_bucket},
    {"DELETE", ON_BUCKET, NULL, NULL, true, false, delete_bucket},
    {"GET", ON_BUCKET, "location", NULL, false, false, get_bucket_location},
    {"GET", ON_BUCKET, "versioning", NULL, false, false, get_bucket_versioning},
    {"PUT", ON_BUCKET, "versioning", NULL, true, true, put_bucket_versioning},
    {"GET", ON_BUCKET, "acl", NULL, false, false, get_acl},
    {"PUT", ON_BUCKET, "acl", NULL, true, true, put_acl},
    {"GET", ON_BUCKET, "cors", NULL, false, false, get_bucket_document},
    {"PUT", ON_BUCKET, "cors", NULL, true, true, put_bucket_document},
    {"DELETE", ON_BUCKET, "cors", NULL, true, false, delete_bucket_document},
    {"GET", ON_BUCKET, "tagging", NULL, false, false, get_bucket_document},
    {"PUT", ON_BUCKET, "tagging", NULL, true, true, put_bucket_document},
    {"DELETE", ON_BUCKET, "tagging", NULL, true, false, delete_bucket_document},
    {"GET", ON_BUCKET, "lifecycle", NULL, false, false, get_bucket_lifecycle},
    {"PUT", ON_BUCKET, "lifecycle", NULL, true, true, put_bucket_lifecycle},
    {"DELETE", ON_BUCKET, "lifecycle", NULL, true, false, delete_bucket_lifecycle},
    {"GET", ON_BUCKET, "policy", NULL, false, false, get_bucket_document},
    {"GET", ON_BUCKET, "versions", NULL, false, false, list_object_versions},
    {"GET", ON_BUCKET, "uploads", NULL, false, false, list_multipart_uploads},
    {"GET", ON_BUCKET, "list-type", NULL, false, false, list_objects_v2},
    {"GET", ON_BUCKET, NULL, NULL, false, false, list_objects_v1},
    {"POST", ON_BUCKET, "delete", NULL, true, true, delete_objects},
    {"GET", ON_KEY, "acl", NULL, false, false, get_acl},
    {"PUT", ON_KEY, "acl", NULL, true, true, put_acl},
    {"GET", ON_KEY, "tagging", NULL, false, false, get_object_tagging},
    {"PUT", ON_KEY, "tagging", NULL, true, true, put_object_tagging},
    {"DELETE", ON_KEY, "tagging", NULL, true, false, delete_object_tagging},
    {"GET", ON_KEY, "attributes", NULL, false, false, get_object_attributes},
    {"GET", ON_KEY, "uploadId", NULL, false, false, list_parts},
    {"PUT", ON_KEY, "uploadId", "x-amz-copy-source", true, false, upload_part_copy},
    {"PUT", ON_KEY, "uploadId", NULL, true, true, upload_part},
    {"POST", ON_KEY, "uploadId", NULL, true, true, complete_multipart_upload},
    {"DELETE", ON_KEY, "uploadId", NULL, true, false, abort_multipart_upload},
    {"POST", ON_KEY, "uploads", NULL, true, false, create_multipart_upload},
    {"GET", ON_KEY, NULL, NULL, false, false, get_object},
    {"HEAD", ON_KEY, NULL, NULL, false, false, head_object},
    {"PUT", ON_KEY, NULL, "x-amz-copy-source", true, false, copy_object},
    {"PUT", ON_KEY, NULL, NULL, true, true, put_object},
    {"DELETE", ON_KEY, NULL, NULL, true, false, delete_object},
    {0},
};

/* Parameters that choose another operation; one that is not in the table is answered as not implemented. */
static const char *const subresources[] = {"accelerate",
					   "acl",
					   "analytics",
					   "attributes",
					   "cors",
					   "delete",
					   "encryption",
					   "intelligent-tiering",
					   "inventory",
					   "legal-hold",
					   "lifecycle",
					   "list-type",
					   "location",
					   "logging",
					   "metrics",
					   "notification",
					   "object-lock",
					   "ownershipControls",
					   "policy",
					   "policyStatus",
					   "publicAccessBlock",
					   "replication",
					   "requestPayment",
					   "restore",
					   "retention",
					   "select",
					   "tagging",
					   "torrent",
					   "uploadId",
					   "uploads",
					   "versioning",
					   "versions",
					   "website",
					   NULL};

static bool matches(const struct s3_request *r, const struct s3_operation *o, const char *subresource)
{
	bool on_key = *r->key != '\0', on_bucket = *r->bucket && !on_key;
	if (strcmp(o->method, r->x->method) != 0 || o->on_bucket != on_bucket || o->on_key != on_key)
		return false;
	if ((o->query == NULL) != (subresource == NULL) || (o->query && strcmp(o->query, subresource) != 0))
		return false;
	return !o->header || request_header(r, o->header);
}

enum s3_error operation_choose(struct s3_request *r, const struct s3_operation *table,
			       const char *const *names)
{
	while (*names && !request_query(r, *names))
		names++;
	for (const struct s3_operation *o = table; o->method; o++)
		if (matches(r, o, *names)) {
			r->operation = o;
			return scope_check(r);
		}
	return *names ? S3_NOT_IMPLEMENTED : S3_METHOD_NOT_ALLOWED;
}

/* What was said of a body holds although nobody needs it. */
static void handle_bare(struct s3_request *r, struct str body)
{
	r->operation->handle(r);
}

static void serve(struct http_exchange *x, void *app)
{
	struct s3_request *r = MEM_NEW(struct s3_request);
	r->s3 = app;
	r->x = x;
	snprintf(r->id, sizeof(r->id), "%016llx", (unsigned long long)r->s3->next_id++);
	enum s3_error e = request_read(r);
	if (!e && strcmp(x->method, "OPTIONS") == 0) {
		cors_preflight(r);
		return;
	}
	if (!e)
		e = sign_verify(r);
	if (!e) {
		http_known(x);
		e = r->is_fds ? fds_choose(r) : operation_choose(r, s3_operations, subresources);
	}
	if (e)
		reply_error(r, e, NULL);
	else if (r->operation->changes && !r->operation->has_body)
		body_to_bytes(r, S3_XML_MAX, handle_bare);
	else
		r->operation->handle(r);
}

int s3_new(const struct s3_config *config, struct s3 **ret, struct err *err)
{
	struct s3 *s = MEM_NEW(struct s3);
	s->config = *config;
	rng_system.fill(&rng_system, &s->next_id, sizeof(s->next_id));
	struct http_server_config http = {.loop = config->loop,
					  .address = config->address,
					  .port = config->port,
					  .raw = serve,
					  .raw_body_max_bytes = BODY_MAX,
					  .tls_certificate = config->tls_certificate,
					  .tls_key = config->tls_key,
					  .app = s};
	int r = http_server_new(&http, &s->server, err);
	if (r == 0 && config->own_fd > 0) {
		http.listen_fd = config->own_fd;
		http.tls_certificate = http.tls_key = NULL;
		r = http_server_new(&http, &s->own_server, err);
	}
	if (r < 0) {
		http_server_free(s->server);
		free(s);
		return err_wrap(err, "opening the S3 gateway");
	}
	*ret = s;
	return 0;
}

int s3_port(const struct s3 *s)
{
	return http_server_port(s->server);
}

static bool is_busy(const struct s3 *s)
{
	return http_server_busy(s->server) || (s->own_server && http_server_busy(s->own_server));
}

void s3_free(struct s3 *s, int grace_ms)
{
	if (!s)
		return;
	int64_t end_ms = clock_monotonic_ms(&clock_real) + grace_ms;
	http_server_quiesce(s->server);
	if (s->own_server)
		http_server_quiesce(s->own_server);
	while (is_busy(s) && clock_monotonic_ms(&clock_real) < end_ms)
		loop_run_once(s->config.loop, 100);
	http_server_free(s->server);
	http_server_free(s->own_server);
	while (s->works)
		loop_run_once(s->config.loop, 100);
	free(s);
}
