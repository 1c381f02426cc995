/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bucket's life-cycle rules (core/lifecycle.h) as S3 writes them. S3 knows nothing of keep_last: such
 * rules stay as they are whatever an S3 client puts.
 */
#include "s3/s3_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "core/lifecycle.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define DAYS_MAX 36500
#define STORE(r) ((r)->s3->config.blobs)
#define OPS(r) (STORE(r)->ops)

/* ---- the document ---- */

struct reader {
	struct lifecycle *rules;
	struct lifecycle_rule rule; /* the present one */
	bool has_status;
	enum s3_error e;
};
static const struct {
	const char *path;
	size_t field;
} periods[] = {
    {"/Expiration/Days", offsetof(struct lifecycle_rule, expire_ms)},
    {"/NoncurrentVersionExpiration/NoncurrentDays", offsetof(struct lifecycle_rule, noncurrent_ms)},
    {"/AbortIncompleteMultipartUpload/DaysAfterInitiation", offsetof(struct lifecycle_rule, abort_ms)}};

static int64_t *period(struct lifecycle_rule *rule, size_t i)
{
	return (int64_t *)((char *)rule + periods[i].field);
}

static struct lifecycle_rule *rule_of(struct lifecycle *l, const char *prefix)
{
	for (size_t i = 0; i < l->count; i++)
		if (strcmp(l->rules[i].prefix, prefix) == 0)
			return &l->rules[i];
	if (l->count == LIFECYCLE_RULES_MAX)
		return NULL;
	l->rules = mem_realloc(l->rules, (l->count + 1) * sizeof(*l->rules));
	l->rules[l->count] = (struct lifecycle_rule){.prefix = mem_strdup(prefix)};
	return &l->rules[l->count++];
}

/* Rules of one prefix become one: what comes first holds, as Amazon says. */
static enum s3_error end_rule(struct reader *c)
{
	struct lifecycle_rule *rule = rule_of(c->rules, c->rule.prefix ? c->rule.prefix : "");
	bool does_something = false;
	if (!c->has_status || !rule)
		return S3_MALFORMED_XML;
	for (size_t i = 0; i < ARRAY_LEN(periods); i++) {
		int64_t ms = *period(&c->rule, i), *kept = period(rule, i);
		if (ms && (!*kept || ms < *kept))
			*kept = ms;
		does_something |= ms != 0;
	}
	free(c->rule.prefix);
	c->rule = (struct lifecycle_rule){0};
	c->has_status = false;
	return does_something ? S3_OK : S3_MALFORMED_XML;
}

static enum s3_error take_prefix(struct reader *c, const char *text)
{
	if (c->rule.prefix || strlen(text) > BLOB_KEY_MAX)
		return S3_MALFORMED_XML;
	c->rule.prefix = mem_strdup(text);
	return S3_OK;
}

static enum s3_error take_leaf(struct reader *c, const char *path, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(periods); i++) {
		if (strcmp(path, periods[i].path) != 0)
			continue;
		long days = strlen(text) <= 5 && *text && strspn(text, "0123456789") == strlen(text)
				? strtol(text, NULL, 10)
				: 0;
		*period(&c->rule, i) = days * DAY_MS;
		return days > 0 && days <= DAYS_MAX ? S3_OK : S3_INVALID_ARGUMENT;
	}
	if (strcmp(path, "/Prefix") == 0 || strcmp(path, "/Filter/Prefix") == 0)
		return take_prefix(c, text);
	if (strcmp(path, "/Status") == 0) {
		c->has_status = true;
		return strcmp(text, "Enabled") == 0    ? S3_OK
		       : strcmp(text, "Disabled") == 0 ? S3_NOT_IMPLEMENTED
						       : S3_MALFORMED_XML;
	}
	bool is_nothing = strcmp(path, "/ID") == 0 || (strcmp(path, "/Filter") == 0 && !*text);
	return is_nothing ? S3_OK : S3_NOT_IMPLEMENTED;
}

static int element(void *arg, const char *path, const char *text, bool end)
{
	static const char root[] = "LifecycleConfiguration/Rule";
	struct reader *c = arg;
	if (!end)
		return 0;
	bool is_inside = strncmp(path, root, sizeof(root) - 1) == 0;
	if (is_inside && !path[sizeof(root) - 1])
		c->e = end_rule(c);
	else if (is_inside && text)
		c->e = take_leaf(c, path + sizeof(root) - 1, text);
	else if (!is_inside && strcmp(path, "LifecycleConfiguration") != 0)
		c->e = S3_MALFORMED_XML;
	return c->e ? -1 : 0;
}

enum s3_error document_lifecycle(struct str body, struct lifecycle *ret)
{
	struct reader c = {.rules = ret};
	struct err err = ERR_INIT;
	int r = xml_read(body.data, body.len, element, &c, &err);
	free(c.rule.prefix);
	if (r == 0 && ret->count)
		return S3_OK;
	lifecycle_done(ret);
	return c.e ? c.e : S3_MALFORMED_XML;
}

/* ---- calls ---- */

struct lifecycle_work {
	struct s3_work work;
	struct lifecycle rules;
	bool sets;
};

static void work_free(struct lifecycle_work *w)
{
	lifecycle_done(&w->rules);
	free(w);
}

static int keep_others(struct lifecycle *rules, const struct lifecycle *before, struct err *err)
{
	for (size_t i = 0; i < before->count; i++) {
		const struct lifecycle_rule *old = &before->rules[i];
		struct lifecycle_rule *rule = old->keep_last ? rule_of(rules, old->prefix) : NULL;
		if (rule)
			rule->keep_last = old->keep_last;
		else if (old->keep_last)
			return err_set(err, ERR_INVALID, "there are more than %d rules", LIFECYCLE_RULES_MAX);
	}
	return 0;
}

static int set_rules(struct s3_request *r, const struct blob_bucket *bucket, struct lifecycle *rules,
		     const struct lifecycle *before, struct err *err)
{
	CLEANUP(free) char *attributes = NULL;
	int n = keep_others(rules, before, err);
	if (n >= 0)
		n = lifecycle_into_bucket(bucket->attributes, rules, &attributes, err);
	return n < 0
		   ? n
		   : OPS(r)->bucket_set(STORE(r), r->who.org, r->bucket, bucket->versioning, attributes, err);
}

static void run(struct s3_work *work)
{
	struct lifecycle_work *w = CONTAINER_OF(work, struct lifecycle_work, work);
	struct s3_request *r = work->r;
	struct blob_bucket bucket = {0};
	CLEANUP(lifecycle) struct lifecycle before = {0};
	int n = OPS(r)->bucket_stat(STORE(r), r->who.org, r->bucket, &bucket, &work->err);
	if (n >= 0)
		n = lifecycle_of_bucket(bucket.attributes, &before, &work->err);
	if (n >= 0 && w->sets)
		n = set_rules(r, &bucket, &w->rules, &before, &work->err);
	else if (n >= 0) {
		w->rules = before;
		before = (struct lifecycle){0};
	}
	free(bucket.attributes);
	if (n >= 0)
		work->err = ERR_INIT;
}

static void add_period(struct buf *b, const char *path, int64_t ms)
{
	size_t len = strcspn(path + 1, "/");
	CLEANUP(free) char *outer = mem_strndup(path + 1, len);
	if (!ms)
		return;
	xml_open(b, outer);
	xml_int(b, path + len + 2, (ms + DAY_MS - 1) / DAY_MS);
	xml_close(b, outer);
}

static bool is_for_s3(const struct lifecycle_rule *rule)
{
	return rule->expire_ms || rule->noncurrent_ms || rule->abort_ms;
}

static void reply_rules(struct s3_request *r, struct lifecycle *l)
{
	struct buf b = BUF_INIT;
	size_t count = 0;
	xml_begin(&b, "LifecycleConfiguration");
	for (size_t i = 0; i < l->count; i++) {
		struct lifecycle_rule *rule = &l->rules[i];
		if (!is_for_s3(rule))
			continue;
		xml_open(&b, "Rule");
		xml_text(&b, "ID", arena_printf(&r->x->arena, "rule-%zu", ++count));
		xml_open(&b, "Filter");
		xml_text(&b, "Prefix", rule->prefix);
		xml_close(&b, "Filter");
		xml_text(&b, "Status", "Enabled");
		for (size_t k = 0; k < ARRAY_LEN(periods); k++)
			add_period(&b, periods[k].path, *period(rule, k));
		xml_close(&b, "Rule");
	}
	xml_close(&b, "LifecycleConfiguration");
	if (count) {
		reply_xml(r, 200, &b);
		return;
	}
	buf_done(&b);
	reply_error(r, S3_NO_SUCH_LIFECYCLE, NULL);
}

static void done(struct s3_work *work)
{
	struct lifecycle_work *w = CONTAINER_OF(work, struct lifecycle_work, work);
	struct s3_request *r = work->r;
	if (work->err.code)
		reply_err(r, &work->err, S3_NO_SUCH_BUCKET);
	else if (!w->sets)
		reply_rules(r, &w->rules);
	else
		reply_empty(r, strcmp(r->x->method, "DELETE") == 0 ? 204 : 200);
	work_free(w);
}

static struct lifecycle_work *work_new(struct s3_request *r, bool sets)
{
	struct lifecycle_work *w = MEM_NEW(struct lifecycle_work);
	w->work = (struct s3_work){.r = r, .run = run, .done = done};
	w->sets = sets;
	return w;
}

void get_bucket_lifecycle(struct s3_request *r)
{
	work_start(&work_new(r, false)->work);
}

static void put_with_body(struct s3_request *r, struct str body)
{
	struct lifecycle_work *w = work_new(r, true);
	enum s3_error e = document_lifecycle(body, &w->rules);
	if (e) {
		work_free(w);
		reply_error(r, e,
			    e == S3_NOT_IMPLEMENTED
				? "Rules have a prefix, days, and are enabled; nothing else is supported"
				: NULL);
		return;
	}
	work_start(&w->work);
}

void put_bucket_lifecycle(struct s3_request *r)
{
	body_to_bytes(r, S3_XML_MAX, put_with_body);
}

void delete_bucket_lifecycle(struct s3_request *r)
{
	work_start(&work_new(r, true)->work);
}
