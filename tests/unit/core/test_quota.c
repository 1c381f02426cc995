/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas: defaults, patches, refusals, both ways of JSON. */
#include "base/json.h"
#include "core/quota.h"
#include "unit/test.h"

#define GIB (INT64_C(1) << 30)

static int parse(const char *text, struct quota *q, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	EXPECT_OK(json_parse(text, strlen(text), 4096, &j, err), err);
	return quota_parse(j, q, err);
}

TEST(a_new_quota_limits_only_what_one_user_may_queue)
{
	struct quota q;
	quota_init(&q);
	for (int p = 0; p < PURPOSE_COUNT; p++) {
		assert_int_equal(q.purposes[p].most.cpu_milli, QUOTA_NONE);
		assert_int_equal(q.purposes[p].most.memory_bytes, QUOTA_NONE);
		assert_int_equal(q.purposes[p].most.gpu, QUOTA_NONE);
		assert_int_equal(q.purposes[p].count, QUOTA_NONE);
	}
	assert_int_equal(q.storage.bytes, QUOTA_NONE);
	assert_int_equal(q.storage.objects, QUOTA_NONE);
	assert_true(q.borrow);
	assert_int_equal(q.weight, QUOTA_WEIGHT);
	assert_int_equal(q.user_running, QUOTA_NONE);
	assert_int_equal(q.user_queued, QUOTA_USER_QUEUED);
}

TEST(what_is_absent_stays_and_minus_one_takes_a_limit_away)
{
	struct quota q;
	struct err err = ERR_INIT;
	quota_init(&q);
	EXPECT_OK(
	    parse("{\"training\": {\"cpu\": \"1.5\", \"memory\": \"4G\", \"gpu\": 2}, \"borrow\": false}", &q,
		  &err),
	    &err);
	EXPECT_OK(parse("{\"training\": {\"gpu\": -1, \"memory\": \"-1\", \"count\": 0}, \"weight\": 200}",
			&q, &err),
		  &err);
	assert_int_equal(q.purposes[PURPOSE_TRAINING].most.cpu_milli, 1500);
	assert_int_equal(q.purposes[PURPOSE_TRAINING].most.memory_bytes, QUOTA_NONE);
	assert_int_equal(q.purposes[PURPOSE_TRAINING].most.gpu, QUOTA_NONE);
	assert_int_equal(q.purposes[PURPOSE_TRAINING].count, 0);
	assert_int_equal(q.purposes[PURPOSE_MODELS].most.gpu, QUOTA_NONE);
	assert_false(q.borrow);
	assert_int_equal(q.weight, 200);
}

TEST(what_is_formatted_parses_to_the_same)
{
	struct quota q, back;
	struct err err = ERR_INIT;
	quota_init(&q);
	q.purposes[PURPOSE_MODELS] = (struct quota_limit){{250, 3 * GIB, 7}, 9};
	q.purposes[PURPOSE_DEVELOPMENT] = (struct quota_limit){{2000, QUOTA_NONE, 0}, QUOTA_NONE};
	q.storage = (struct quota_storage){5 * GIB, 1000};
	q.borrow = false;
	q.weight = 1;
	q.user_running = 3;
	q.user_queued = QUOTA_NONE;
	CLEANUP(json) json_t *j = quota_format(&q);
	quota_init(&back);
	EXPECT_OK(quota_parse(j, &back, &err), &err);
	assert_memory_equal(back.purposes, q.purposes, sizeof(q.purposes));
	assert_memory_equal(&back.storage, &q.storage, sizeof(q.storage));
	assert_int_equal(back.borrow, q.borrow);
	assert_int_equal(back.weight, q.weight);
	assert_int_equal(back.user_running, q.user_running);
	assert_int_equal(back.user_queued, q.user_queued);
}

TEST(bad_quotas_are_refused_with_the_reason)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
	    {"{\"trainig\": {}}", "did you mean 'training'"},
	    {"{\"training\": {\"cpus\": 1}}", "unknown field 'cpus' in training"},
	    {"{\"training\": 4}", "training"},
	    {"{\"training\": {\"gpu\": -2}}", "gpu"},
	    {"{\"training\": {\"cpu\": -2}}", "cpu"},
	    {"{\"training\": {\"memory\": \"much\"}}", "memory"},
	    {"{\"training\": {\"cpu\": 1e13}}", "cpu is too large"},
	    {"{\"storage\": {\"byte\": 1}}", "did you mean 'bytes'"},
	    {"{\"storage\": {\"objects\": -2}}", "objects"},
	    {"{\"weight\": 0}", "weight"},
	    {"{\"borrow\": 1}", "borrow"},
	    {"{\"user_queued\": -2}", "user_queued"},
	    {"[]", "not a JSON object"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct quota q;
		struct err err = ERR_INIT;
		quota_init(&q);
		EXPECT_ERR(parse(rows[i].text, &q, &err), ERR_INVALID, &err, rows[i].part);
	}
}

TEST(purposes_have_words_and_back)
{
	for (int p = 0; p < PURPOSE_COUNT; p++) {
		enum purpose back;
		struct err err = ERR_INIT;
		EXPECT_OK(purpose_parse(purpose_word((enum purpose)p), &back, &err), &err);
		assert_int_equal(back, p);
	}
	enum purpose none;
	struct err err = ERR_INIT;
	EXPECT_ERR(purpose_parse("fun", &none, &err), ERR_INVALID, &err, "training, models or development");
}

TEST(the_schema_names_every_field_that_is_formatted)
{
	struct quota q;
	quota_init(&q);
	CLEANUP(json) json_t *schema = quota_schema(), *j = quota_format(&q);
	const char *key;
	json_t *value;
	json_object_foreach(j, key, value)
	{
		assert_non_null(json_object_get(json_object_get(schema, "properties"), key));
	}
	assert_int_equal(json_object_size(j), json_object_size(json_object_get(schema, "properties")));
}
