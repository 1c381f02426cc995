/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets, their versioning, their documents (CORS, tags), and the ACL that clients want to see. */
#include "s3/s3_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"

#define DOCUMENT_MAX 8192

struct bucket_work {
	struct s3_work work;
	struct blob_list list;
	struct blob_bucket bucket;
	enum blob_versioning versioning;
	bool set_versioning;
	char *document; /* owned */
	const char *name;
	void (*reply)(struct s3_request *r, struct bucket_work *w);
};

#define STORE(r) ((r)->s3->config.blobs)
#define OPS(r) (STORE(r)->ops)

static void work_done(struct s3_work *work)
{
	struct bucket_work *w = CONTAINER_OF(work, struct bucket_work, work);
	struct s3_request *r = work->r;
	if (work->err.code)
		reply_err(r, &work->err, S3_NO_SUCH_BUCKET);
	else
		w->reply(r, w);
	blob_list_done(&w->list);
	free(w->bucket.attributes);
	free(w->document);
	free(w);
}

static struct bucket_work *work_new(struct s3_request *r, void (*run)(struct s3_work *w),
				    void (*reply)(struct s3_request *r, struct bucket_work *w))
{
	struct bucket_work *w = MEM_NEW(struct bucket_work);
	w->work = (struct s3_work){.r = r, .run = run, .done = work_done};
	w->reply = reply;
	return w;
}

static void result(struct s3_work *w, int r)
{
	if (r >= 0)
		w->err = ERR_INIT;
}

static void reply_ok(struct s3_request *r, struct bucket_work *w)
{
	reply_empty(r, 200);
}

static void reply_gone(struct s3_request *r, struct bucket_work *w)
{
	reply_empty(r, 204);
}

/* ---- the service ---- */

static void run_list(struct s3_work *work)
{
	struct bucket_work *w = CONTAINER_OF(work, struct bucket_work, work);
	result(work, OPS(work->r)->bucket_list(STORE(work->r), work->r->who.org, &w->list, &work->err));
}

static void add_owner(struct buf *b, const struct s3_request *r, const char *name)
{
	xml_open(b, name);
	xml_text(b, "ID", r->who.org);
	xml_text(b, "DisplayName", r->who.org);
	xml_close(b, name);
}

static void reply_list(struct s3_request *r, struct bucket_work *w)
{
	if (r->is_fds) {
		json_t *buckets = json_array();
		for (size_t i = 0; i < w->list.count; i++)
			json_array_append_new(buckets, json_pack("{s:s}", "name", w->list.entries[i].key));
		fds_reply(r, json_pack("{s:o, s:o}", "owner", fds_owner(r), "buckets", buckets));
		return;
	}
	struct buf b = BUF_INIT;
	xml_begin(&b, "ListAllMyBucketsResult");
	add_owner(&b, r, "Owner");
	xml_open(&b, "Buckets");
	for (size_t i = 0; i < w->list.count; i++) {
		xml_open(&b, "Bucket");
		xml_text(&b, "Name", w->list.entries[i].key);
		xml_time(&b, "CreationDate", w->list.entries[i].info.modified_ms);
		xml_close(&b, "Bucket");
	}
	xml_close(&b, "Buckets");
	xml_close(&b, "ListAllMyBucketsResult");
	reply_xml(r, 200, &b);
}

void list_buckets(struct s3_request *r)
{
	work_start(&work_new(r, run_list, reply_list)->work);
}

/* ---- one bucket ---- */

static void run_create(struct s3_work *work)
{
	result(work,
	       OPS(work->r)->bucket_create(STORE(work->r), work->r->who.org, work->r->bucket, &work->err));
}

static void reply_created(struct s3_request *r, struct bucket_work *w)
{
	http_reply_header(r->x, "Location", arena_printf(&r->x->arena, "/%s", r->bucket));
	reply_empty(r, 200);
}

/* The body names a region, of which there is one. */
static void create_with_body(struct s3_request *r, struct str body)
{
	struct err ignored = ERR_INIT;
	if (core_name_check("bucket", r->bucket, &ignored) < 0 || strlen(r->bucket) < 3) {
		reply_error(r, S3_INVALID_BUCKET_NAME, ignored.code ? ignored.msg : NULL);
		return;
	}
	work_start(&work_new(r, run_create, reply_created)->work);
}

void create_bucket(struct s3_request *r)
{
	body_to_bytes(r, S3_XML_MAX, create_with_body);
}

static void run_stat(struct s3_work *work)
{
	struct bucket_work *w = CONTAINER_OF(work, struct bucket_work, work);
	result(work, OPS(work->r)->bucket_stat(STORE(work->r), work->r->who.org, work->r->bucket, &w->bucket,
					       &work->err));
}

static void reply_head_bucket(struct s3_request *r, struct bucket_work *w)
{
	http_reply_header(r->x, "x-amz-bucket-region", S3_REGION);
	reply_empty(r, 200);
}

void head_bucket(struct s3_request *r)
{
	work_start(&work_new(r, run_stat, reply_head_bucket)->work);
}

static void run_delete(struct s3_work *work)
{
	result(work,
	       OPS(work->r)->bucket_delete(STORE(work->r), work->r->who.org, work->r->bucket, &work->err));
}

static void delete_done(struct s3_work *work)
{
	if (work->err.code == ERR_STATE) {
		struct bucket_work *w = CONTAINER_OF(work, struct bucket_work, work);
		reply_error(work->r, S3_BUCKET_NOT_EMPTY, NULL);
		free(w);
	} else
		work_done(work);
}

void delete_bucket(struct s3_request *r)
{
	struct bucket_work *w = work_new(r, run_delete, reply_gone);
	w->work.done = delete_done;
	/* What jobs of the organisation leave is kept there. */
	if (strcmp(r->bucket, r->who.org) == 0) {
		free(w);
		reply_error(r, S3_ACCESS_DENIED, "The organisation's own bucket cannot be deleted");
		return;
	}
	work_start(&w->work);
}

static void reply_location(struct s3_request *r, struct bucket_work *w)
{
	struct buf b = BUF_INIT;
	/* The first region has no name in this answer. */
	buf_adds(&b,
		 "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint xmlns=\"" S3_XMLNS "\"/>");
	reply_xml(r, 200, &b);
}

void get_bucket_location(struct s3_request *r)
{
	work_start(&work_new(r, run_stat, reply_location)->work);
}

/* ---- versioning ---- */

static void reply_versioning(struct s3_request *r, struct bucket_work *w)
{
	struct buf b = BUF_INIT;
	xml_begin(&b, "VersioningConfiguration");
	if (w->bucket.versioning != BLOB_VERSIONING_OFF)
		xml_text(&b, "Status", w->bucket.versioning == BLOB_VERSIONING_ON ? "Enabled" : "Suspended");
	xml_close(&b, "VersioningConfiguration");
	reply_xml(r, 200, &b);
}

void get_bucket_versioning(struct s3_request *r)
{
	work_start(&work_new(r, run_stat, reply_versioning)->work);
}

static void run_set(struct s3_work *work)
{
	struct bucket_work *w = CONTAINER_OF(work, struct bucket_work, work);
	struct s3_request *r = work->r;
	result(work, OPS(r)->bucket_set(STORE(r), r->who.org, r->bucket, w->versioning, NULL, &work->err));
}

static void versioning_with_body(struct s3_request *r, struct str body)
{
	enum blob_versioning v;
	enum s3_error e = document_versioning(body, &v);
	if (e) {
		reply_error(r, e, NULL);
		return;
	}
	struct bucket_work *w = work_new(r, run_set, reply_ok);
	w->versioning = v;
	work_start(&w->work);
}

void put_bucket_versioning(struct s3_request *r)
{
	body_to_bytes(r, S3_XML_MAX, versioning_with_body);
}

/* ---- documents: kept as they came, in the bucket's attributes ---- */

static enum s3_error check_tags(struct s3_request *r, struct str body)
{
	CLEANUP(json) json_t *tags = json_object();
	return document_tags(body, tags);
}

static enum s3_error check_cors(struct s3_request *r, struct str body)
{
	return cors_check(&r->x->arena, body);
}

static const struct {
	const char *name;
	enum s3_error (*check)(struct s3_request *r, struct str body); /* NULL: cannot be put */
	enum s3_error missing;
} documents[] = {{"cors", check_cors, S3_NO_SUCH_CORS},
		 {"tagging", check_tags, S3_NO_SUCH_TAG_SET},
		 {"policy", NULL, S3_NO_SUCH_POLICY}};

static size_t document_of(const struct s3_request *r)
{
	size_t i = 0;
	while (strcmp(documents[i].name, r->operation->query) != 0)
		i++;
	return i;
}

static void reply_document(struct s3_request *r, struct bucket_work *w)
{
	CLEANUP(json) json_t *j = w->bucket.attributes ? json_loads(w->bucket.attributes, 0, NULL) : NULL;
	const char *text = json_string_value(json_object_get(j, r->operation->query));
	if (!text) {
		reply_error(r, documents[document_of(r)].missing, NULL);
		return;
	}
	struct buf b = BUF_INIT;
	buf_adds(&b, text);
	reply_xml(r, 200, &b);
}

void get_bucket_document(struct s3_request *r)
{
	work_start(&work_new(r, run_stat, reply_document)->work);
}

static void run_set_document(struct s3_work *work)
{
	struct bucket_work *w = CONTAINER_OF(work, struct bucket_work, work);
	struct s3_request *r = work->r;
	int n = OPS(r)->bucket_stat(STORE(r), r->who.org, r->bucket, &w->bucket, &work->err);
	if (n < 0)
		return;
	CLEANUP(json) json_t *j = w->bucket.attributes ? json_loads(w->bucket.attributes, 0, NULL) : NULL;
	if (!j)
		j = json_object();
	if (w->document)
		json_object_set_new(j, r->operation->query, json_string(w->document));
	else
		json_object_del(j, r->operation->query);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write(j, &text);
	result(work, OPS(r)->bucket_set(STORE(r), r->who.org, r->bucket, w->bucket.versioning,
					json_object_size(j) ? buf_str(&text) : "", &work->err));
}

static void document_with_body(struct s3_request *r, struct str body)
{
	size_t kind = document_of(r);
	enum s3_error e = body.len > DOCUMENT_MAX ? S3_MALFORMED_XML : documents[kind].check(r, body);
	if (e) {
		reply_error(r, e, NULL);
		return;
	}
	struct bucket_work *w =
	    work_new(r, run_set_document, documents[kind].check == check_tags ? reply_gone : reply_ok);
	w->document = mem_strndup(body.data, body.len);
	work_start(&w->work);
}

void put_bucket_document(struct s3_request *r)
{
	body_to_bytes(r, S3_XML_MAX, document_with_body);
}

void delete_bucket_document(struct s3_request *r)
{
	work_start(&work_new(r, run_set_document, reply_gone)->work);
}

/* ---- ACL: who may what is the organisation's affair; clients see that the owner may all ---- */

static void reply_acl(struct s3_request *r, struct bucket_work *w)
{
	if (r->is_fds) {
		fds_reply(r,
			  json_pack("{s:o, s:[{s:o, s:s, s:s}]}", "owner", fds_owner(r), "accessControlList",
				    "grantee", fds_owner(r), "permission", "FULL_CONTROL", "type", "USER"));
		return;
	}
	struct buf b = BUF_INIT;
	xml_begin(&b, "AccessControlPolicy");
	add_owner(&b, r, "Owner");
	buf_adds(&b,
		 "<AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
		 "xsi:type=\"CanonicalUser\">");
	xml_text(&b, "ID", r->who.org);
	xml_text(&b, "DisplayName", r->who.org);
	buf_adds(&b, "</Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList>");
	xml_close(&b, "AccessControlPolicy");
	reply_xml(r, 200, &b);
}

static void run_acl_stat(struct s3_work *work)
{
	struct s3_request *r = work->r;
	struct blob_info info;
	if (!*r->key)
		run_stat(work);
	else
		result(work, OPS(r)->stat(STORE(r), r->who.org, r->bucket, r->key,
					  request_query(r, "versionId"), &info, NULL, &work->err));
}

static void acl_done(struct s3_work *work)
{
	struct bucket_work *w = CONTAINER_OF(work, struct bucket_work, work);
	struct s3_request *r = work->r;
	if (work->err.code)
		reply_err(r, &work->err, S3_NO_SUCH_KEY);
	else
		w->reply(r, w);
	free(w->bucket.attributes);
	free(w);
}

void get_acl(struct s3_request *r)
{
	struct bucket_work *w = work_new(r, run_acl_stat, reply_acl);
	w->work.done = acl_done;
	work_start(&w->work);
}

/* "private" and the owner's own grant change nothing; to open an object to others is refused, not ignored. */
static void acl_with_body(struct s3_request *r, struct str body)
{
	const char *canned = request_header(r, "x-amz-acl");
	bool is_open =
	    canned && strcmp(canned, "private") != 0 && strcmp(canned, "bucket-owner-full-control") != 0;
	bool has_group = memmem(body.data, body.len, "acs.amazonaws.com/groups", 24) != NULL;
	if (is_open || has_group) {
		reply_error(r, S3_NOT_IMPLEMENTED,
			    "Objects are the organisation's; presign an address to share one");
		return;
	}
	struct bucket_work *w = work_new(r, run_acl_stat, reply_ok);
	w->work.done = acl_done;
	work_start(&w->work);
}

void put_acl(struct s3_request *r)
{
	body_to_bytes(r, S3_XML_MAX, acl_with_body);
}
