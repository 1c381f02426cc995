/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas: defaults, JSON both ways. */
#include "core/quota.h"

#include <string.h>
#include "base/json.h"
#include "base/mem.h"

static const char *const purpose_words[] = {
#define WORD(purpose, word) word,
    PURPOSE_TABLE(WORD)
#undef WORD
};

/* The limits of one purpose: key, how it is written, offset, greatest value. */
enum limit_kind { LIMIT_CPU, LIMIT_BYTES, LIMIT_INT };
static const struct limit_field {
	const char *key;
	enum limit_kind kind;
	size_t offset;
	int64_t max;
	const char *about;
} limit_fields[] = {
    {"cpu", LIMIT_CPU, offsetof(struct quota_limit, most.cpu_milli), INT64_C(1) << 40,
     "Cores at the same time; -1 for no limit."},
    {"memory", LIMIT_BYTES, offsetof(struct quota_limit, most.memory_bytes), INT64_C(1) << 56,
     "Memory at the same time, in bytes or with a unit; -1 for no limit."},
    {"gpu", LIMIT_INT, offsetof(struct quota_limit, most.gpu), INT64_C(1) << 30,
     "Graphics processors at the same time; -1 for no limit."},
    {"count", LIMIT_INT, offsetof(struct quota_limit, count), INT64_C(1) << 30,
     "Tasks at the same time; -1 for no limit."},
};

static const struct limit_field storage_fields[] = {
    {"bytes", LIMIT_BYTES, offsetof(struct quota_storage, bytes), INT64_C(1) << 60,
     "Bytes in the store, all versions, with or without a unit; -1 for no limit."},
    {"objects", LIMIT_INT, offsetof(struct quota_storage, objects), INT64_C(1) << 50,
     "Objects in the store, all versions; -1 for no limit."},
};

/* Whole numbers beside the purposes. */
static const struct number_field {
	const char *key;
	size_t offset;
	int64_t min, max;
	const char *about;
} number_fields[] = {
    {"weight", offsetof(struct quota, weight), 1, 10000,
     "Weight in the fair share between organisations; 100 is usual."},
    {"user_running", offsetof(struct quota, user_running), QUOTA_NONE, INT64_C(1) << 30,
     "Jobs of one user that run at the same time; -1 for no limit."},
    {"user_queued", offsetof(struct quota, user_queued), QUOTA_NONE, INT64_C(1) << 30,
     "Unfinished jobs of one user; more are refused; -1 for no limit."},
};

#define NUMBER(object, f) ((int64_t *)(void *)((char *)(object) + (f)->offset))
#define NUMBER_OF(object, f) (*(const int64_t *)(const void *)((const char *)(object) + (f)->offset))

const char *purpose_word(enum purpose p)
{
	return p < PURPOSE_COUNT ? purpose_words[p] : "unknown";
}

int purpose_parse(const char *word, enum purpose *ret, struct err *err)
{
	for (int p = 0; p < PURPOSE_COUNT; p++) {
		if (strcmp(purpose_words[p], word) == 0) {
			*ret = (enum purpose)p;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID, "there is no purpose '%.40s'; use training, models or development",
		       word);
}

void quota_init(struct quota *q)
{
	for (int p = 0; p < PURPOSE_COUNT; p++)
		for (size_t i = 0; i < ARRAY_LEN(limit_fields); i++)
			*NUMBER(&q->purposes[p], &limit_fields[i]) = QUOTA_NONE;
	q->storage = (struct quota_storage){QUOTA_NONE, QUOTA_NONE};
	q->borrow = true;
	q->weight = QUOTA_WEIGHT;
	q->user_running = QUOTA_NONE;
	q->user_queued = QUOTA_USER_QUEUED;
}

static bool is_none(const json_t *value)
{
	const char *text = json_string_value(value);
	return text ? strcmp(text, "-1") == 0 : json_is_number(value) && json_number_value(value) == -1;
}

static void read_limit(struct json_reader *r, const struct limit_field *f, int64_t *ret)
{
	int64_t value = *ret;
	if (is_none(json_get_any(r, f->key)))
		value = QUOTA_NONE;
	else if (f->kind == LIMIT_CPU)
		json_get_cpu_milli(r, f->key, &value);
	else if (f->kind == LIMIT_BYTES)
		json_get_bytes(r, f->key, &value);
	else
		json_get_int(r, f->key, QUOTA_NONE, f->max, &value);
	if (value > f->max)
		json_reader_fail(r, "%s is too large; use -1 for no limit", f->key);
	else
		*ret = value;
}

static int read_limits(const json_t *j, const char *what, const struct limit_field *fields, size_t count,
		       void *ret, struct err *err)
{
	struct json_reader r;
	json_reader_begin(&r, j, what);
	for (size_t i = 0; i < count; i++)
		read_limit(&r, &fields[i], NUMBER(ret, &fields[i]));
	return json_reader_end(&r, err);
}

int quota_parse(const json_t *j, struct quota *ret, struct err *err)
{
	struct json_reader r;
	const json_t *parts[PURPOSE_COUNT];
	if (!json_is_object(j))
		return err_set(err, ERR_INVALID, "quota is not a JSON object");
	json_reader_begin(&r, j, "quota");
	for (int p = 0; p < PURPOSE_COUNT; p++)
		parts[p] = json_get_object(&r, purpose_words[p]);
	const json_t *storage = json_get_object(&r, "storage");
	json_get_bool(&r, "borrow", &ret->borrow);
	for (size_t i = 0; i < ARRAY_LEN(number_fields); i++) {
		const struct number_field *f = &number_fields[i];
		json_get_int(&r, f->key, f->min, f->max, NUMBER(ret, f));
	}
	int status = json_reader_end(&r, err);
	for (int p = 0; p < PURPOSE_COUNT && status >= 0; p++)
		if (parts[p])
			status = read_limits(parts[p], purpose_words[p], limit_fields,
					     ARRAY_LEN(limit_fields), &ret->purposes[p], err);
	if (storage && status >= 0)
		status = read_limits(storage, "storage", storage_fields, ARRAY_LEN(storage_fields),
				     &ret->storage, err);
	return status;
}

json_t *quota_limit_format(const struct quota_limit *l)
{
	json_t *j = json_object();
	for (size_t i = 0; i < ARRAY_LEN(limit_fields); i++) {
		int64_t value = NUMBER_OF(l, &limit_fields[i]);
		json_t *number =
		    limit_fields[i].kind == LIMIT_CPU && value >= 0 && value % 1000
			? json_real((double)value / 1000)
			: json_integer(limit_fields[i].kind == LIMIT_CPU && value >= 0 ? value / 1000
										       : value);
		json_object_set_new(j, limit_fields[i].key, number);
	}
	return j;
}

json_t *quota_storage_format(const struct quota_storage *s)
{
	json_t *j = json_object();
	for (size_t i = 0; i < ARRAY_LEN(storage_fields); i++)
		json_object_set_new(j, storage_fields[i].key, json_integer(NUMBER_OF(s, &storage_fields[i])));
	return j;
}

json_t *quota_format(const struct quota *q)
{
	json_t *j = json_object();
	for (int p = 0; p < PURPOSE_COUNT; p++)
		json_object_set_new(j, purpose_words[p], quota_limit_format(&q->purposes[p]));
	json_object_set_new(j, "storage", quota_storage_format(&q->storage));
	json_object_set_new(j, "borrow", json_boolean(q->borrow));
	for (size_t i = 0; i < ARRAY_LEN(number_fields); i++)
		json_object_set_new(j, number_fields[i].key, json_integer(NUMBER_OF(q, &number_fields[i])));
	return j;
}

static json_t *limit_schema(const struct limit_field *fields, size_t count)
{
	json_t *properties = json_object();
	for (size_t i = 0; i < count; i++) {
		const struct limit_field *f = &fields[i];
		json_t *type =
		    f->kind == LIMIT_INT ? json_string("integer") : json_pack("[s,s]", "string", "number");
		json_object_set_new(
		    properties, f->key,
		    json_pack("{s:o, s:i, s:s}", "type", type, "default", -1, "description", f->about));
	}
	return json_pack("{s:s, s:b, s:o}", "type", "object", "additionalProperties", 0, "properties",
			 properties);
}

json_t *quota_schema(void)
{
	json_t *properties = json_object();
	struct quota usual;
	quota_init(&usual);
	for (int p = 0; p < PURPOSE_COUNT; p++)
		json_object_set_new(properties, purpose_words[p],
				    limit_schema(limit_fields, ARRAY_LEN(limit_fields)));
	json_object_set_new(properties, "storage", limit_schema(storage_fields, ARRAY_LEN(storage_fields)));
	json_object_set_new(properties, "borrow",
			    json_pack("{s:s, s:b, s:s}", "type", "boolean", "default", 1, "description",
				      "May use more while nobody who is owed it waits."));
	for (size_t i = 0; i < ARRAY_LEN(number_fields); i++) {
		const struct number_field *f = &number_fields[i];
		json_object_set_new(properties, f->key,
				    json_pack("{s:s, s:I, s:I, s:I, s:s}", "type", "integer", "minimum",
					      (json_int_t)f->min, "maximum", (json_int_t)f->max, "default",
					      (json_int_t)NUMBER_OF(&usual, f), "description", f->about));
	}
	return json_pack("{s:s, s:s, s:s, s:b, s:o}", "$schema",
			 "https://json-schema.org/draft/2020-12/schema", "title", "Quota", "type", "object",
			 "additionalProperties", 0, "properties", properties);
}
