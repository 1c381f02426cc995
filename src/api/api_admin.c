/* SPDX-License-Identifier: Apache-2.0 */
/* Administration over HTTP: what organisations, users and keys share. */
#include "api/api_admin.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/unit.h"

#define TEXT_MAX 1000 /* of a field; what is too long for its meaning is refused by that name later */

/* ---- requests ---- */

static void read_text(struct http_exchange *x, struct json_reader *r, const char *key, const char **ret)
{
	CLEANUP(free) char *value = NULL;
	json_get_string(r, key, TEXT_MAX, &value);
	if (value)
		*ret = arena_strndup(&x->arena, value, strlen(value));
}

static void read_role(struct json_reader *r, struct admin_request *q)
{
	CLEANUP(free) char *word = NULL;
	struct err err = ERR_INIT;
	enum role role;
	json_get_string(r, "role", 40, &word);
	if (word && role_parse(word, &role, &err) < 0)
		json_reader_fail(r, "%s", err.msg);
	else if (word)
		q->role = (int)role;
}

/* "expires_in": "30d", from now on; or "expires_ms". */
static void read_expiry(struct http_exchange *x, struct json_reader *r, struct admin_request *q)
{
	const struct api *a = x->app;
	int64_t in_ms = -1;
	json_get_int(r, "expires_ms", 0, INT64_MAX / 2, &q->expires_ms);
	json_get_duration_ms(r, "expires_in", &in_ms);
	if (in_ms == 0)
		json_reader_fail(r, "expires_in is 0; leave it out for a key that does not expire");
	else if (in_ms > 0 && q->expires_ms >= 0)
		json_reader_fail(r, "key has 'expires_ms' and 'expires_in'; give one of them");
	else if (in_ms > 0)
		q->expires_ms = clock_wall_ms(a->config.clock) + in_ms;
}

int api_admin_body(struct http_exchange *x, const char *what, int fields, struct admin_request *q,
		   struct err *err)
{
	struct json_reader r;
	bool platform = false;
	json_reader_begin(&r, x->json, what);
	if (fields & FIELD_NAME)
		read_text(x, &r, "name", &q->name);
	if (fields & FIELD_DESCRIPTION)
		read_text(x, &r, "description", &q->text);
	if (fields & FIELD_NOTE)
		read_text(x, &r, "note", &q->text);
	if (fields & FIELD_USER)
		read_text(x, &r, "user", &q->user);
	if (fields & FIELD_ROLE)
		read_role(&r, q);
	if (fields & FIELD_PLATFORM) {
		json_get_bool(&r, "platform", &platform);
		if (json_is_boolean(json_object_get(x->json, "platform")))
			q->platform = platform;
	}
	if (fields & FIELD_EXPIRES)
		read_expiry(x, &r, q);
	if ((fields & FIELD_NAME) && !q->name)
		json_reader_fail(&r, "%s has no 'name'", what);
	return json_reader_end(&r, err);
}

int api_admin_page(const struct http_exchange *x, struct admin_request *q, struct err *err)
{
	q->after = http_query(x, "after");
	q->limit = 100;
	return http_query_int(x, "limit", 1, 1000, &q->limit, err);
}

/* ---- answers ---- */

static json_t *format_quota(const struct admin_quota *q)
{
	json_t *used = json_object();
	for (int p = 0; p < PURPOSE_COUNT; p++)
		json_object_set_new(used, purpose_word((enum purpose)p), quota_limit_format(&q->used[p]));
	json_object_set_new(used, "storage", quota_storage_format(&q->stored));
	return json_pack("{s:s, s:o, s:o, s:s}", "org", q->org, "quota", quota_format(&q->quota), "used",
			 used, "warning", q->warning);
}

static json_t *format_usage(const struct usage_row *row)
{
	json_t *j = json_pack("{s:s}", "org", row->org);
	char date[USAGE_DATE_LEN + 1];
	if (row->day >= 0) {
		usage_format_day(row->day, date);
		json_object_set_new(j, "day", json_string(date));
	}
	if (row->user[0])
		json_object_set_new(j, "user", json_string(row->user));
	if (row->owner[0]) {
		json_object_set_new(j, "id", json_string(row->owner));
		json_object_set_new(j, "kind", json_string(row->kind));
		json_object_set_new(j, "name", json_string(row->name));
	}
	usage_format(&row->sum, j);
	return j;
}

static json_t *format_item(const struct admin_answer *a, size_t i)
{
	if (a->quota_count)
		return format_quota(&a->quotas[i]);
	if (a->usage.count)
		return format_usage(&a->usage.items[i]);
	if (a->orgs.count)
		return org_format(&a->orgs.items[i]);
	if (a->users.count)
		return user_format(&a->users.items[i]);
	if (a->keys.count) {
		json_t *key = key_format(&a->keys.items[i]);
		if (a->token[0])
			json_object_set_new(key, "token", json_string(a->token));
		return key;
	}
	return event_format(&a->events.items[i]);
}

static json_t *next_of(const struct admin_answer *a, size_t count, int64_t limit)
{
	if (a->events.count)
		return a->events.count == (size_t)limit ? json_integer(a->events.items[count - 1].seq)
							: json_null();
	if (a->usage.count)
		return a->usage.more ? json_true() : json_null();
	bool more = a->orgs.more || a->users.more || a->keys.more;
	const char *last = !count	    ? ""
			   : a->orgs.count  ? a->orgs.items[count - 1].name
			   : a->users.count ? a->users.items[count - 1].name
					    : a->keys.items[count - 1].id;
	return more ? json_string(last) : json_null();
}

static json_t *format_list(const struct admin_answer *a, int64_t limit)
{
	size_t count = a->usage.count + a->orgs.count + a->users.count + a->keys.count + a->events.count;
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, format_item(a, i));
	return json_pack("{s:o, s:o}", "data", list, "next", next_of(a, count, limit));
}

static bool is_list(const struct http_route *r)
{
	size_t len = strlen(r->response);
	return len > 4 && !strcmp(r->response + len - 4, "List");
}

static void done(void *arg, const struct admin_answer *answer, const struct err *err)
{
	struct http_exchange *x = arg;
	int64_t limit = 100;
	struct err ignored = ERR_INIT;
	if (err->code) {
		http_reply_error(x, err);
		return;
	}
	if (answer->replayed)
		http_reply_header(x, "Idempotent-Replay", "true");
	http_query_int(x, "limit", 1, 1000, &limit, &ignored);
	if (!x->route->response)
		http_reply_empty(x, x->route->status);
	else
		http_reply_json(x, x->route->status,
				is_list(x->route) ? format_list(answer, limit) : format_item(answer, 0));
}

void api_admin_call(struct http_exchange *x, const struct admin_request *q, const struct err *err)
{
	struct api *a = x->app;
	struct ctl_idempotency idem = api_idempotency(x);
	if (err->code)
		http_reply_error(x, err);
	else
		ctl_admin(a->config.ctl, api_principal(x), q, &idem, done, x);
}
