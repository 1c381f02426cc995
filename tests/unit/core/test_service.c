/* SPDX-License-Identifier: Apache-2.0 */
/* The model service: weights, changes of a specification, releases, the row's document. */
#include "unit/test.h"

#include <stdlib.h>
#include "base/json.h"
#include "base/mem.h"
#include "core/service.h"

static struct service *service_of(const char *json)
{
	struct service *s = service_new();
	struct err err = ERR_INIT;
	CLEANUP(json) json_t *j = json_loads(json, 0, NULL);
	EXPECT_OK(service_spec_parse(j, &s->spec, &err), &err);
	return s;
}

static int patch(struct service *s, const char *json, struct err *err)
{
	CLEANUP(json) json_t *j = json_loads(json, 0, NULL);
	return service_spec_patch(&s->spec, j, err);
}

TEST(a_tensorboard_has_a_name_and_one_source)
{
	static const struct {
		const char *json;
		bool good;
	} table[] = {
	    {"{\"name\": \"a\", \"job\": \"digits\"}", true},
	    {"{\"name\": \"a\", \"uri\": \"fds://o/logs\", \"cpu\": \"500m\", \"memory\": \"2G\"}", true},
	    {"{\"name\": \"a\"}", false},
	    {"{\"job\": \"digits\"}", false},
	    {"{\"name\": \"A_\", \"job\": \"digits\"}", false},
	    {"{\"name\": \"a\", \"job\": 1}", false},
	    {"{\"name\": \"a\", \"job\": \"digits\", \"uri\": \"fds://o/logs\"}", false},
	    {"{\"name\": \"a\", \"uri\": \"/logs\"}", false},
	    {"{\"name\": \"a\", \"job\": \"digits\", \"replicas\": 2}", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		CLEANUP(service) struct service *s = service_new();
		CLEANUP(json) json_t *j = json_loads(table[i].json, 0, NULL);
		struct err err = ERR_INIT;
		bool good = service_spec_parse_tensorboard(j, &s->spec, &err) >= 0;
		if (good != table[i].good)
			fail_msg("%s: %s", table[i].json, err.msg);
	}
}

TEST(the_kind_of_a_service_is_told_by_its_id)
{
	CLEANUP(service) struct service *s = service_of("{\"name\": \"b\", \"uri\": \"fds://o/logs\"}");
	strcpy(s->id, "m123");
	assert_int_equal(service_kind_of(s), SERVICE_MODEL);
	strcpy(s->id, "t123");
	assert_int_equal(service_kind_of(s), SERVICE_TENSORBOARD);
	CLEANUP(json) json_t *j = service_format(s);
	EXPECT_STR("path", json_string_value(json_object_get(j, "path")), "/tensorboard/b/");
	EXPECT_STR("uri", json_string_value(json_object_get(j, "uri")), "fds://o/logs");
}

TEST(weights_are_versions_once_each_and_sum_up_to_a_thousand)
{
	static const struct {
		const char *text;
		int count;
	} table[] = {
	    {"", 0},
	    {"1=1000", 1},
	    {"1=900,2=100", 2},
	    {"2=0,1=1000", 2},
	    {"1=999", -1},
	    {"1=1001", -1},
	    {"1=500,1=500", -1},
	    {"1=", -1},
	    {"=1000", -1},
	    {"1=1000,", -1},
	    {"1=1000;", -1},
	    {"-1=1000", -1},
	    {"1 =1000", -1},
	    {"a=1000", -1},
	    {",1=1000", -1},
	    {"1=1000000000000000000000", -1},
	    {"1=2000,2=-1000", -1},
	};
	struct service_weight weights[SERVICE_VERSIONS_MAX];
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err err = ERR_INIT;
		int r = service_weights_parse(table[i].text, weights, &err);
		EXPECT_INT(table[i].text, r < 0 ? -1 : r, table[i].count);
		assert_int_equal(err.code == 0, r >= 0);
	}
	EXPECT_INT("count", service_weights_parse("7=250,9=750", weights, NULL), 2);
	assert_int_equal(weights[1].version, 9);
	assert_int_equal(weights[1].per_mille, 750);
}

TEST(more_weights_than_there_is_room_for_are_refused)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct service_weight weights[SERVICE_VERSIONS_MAX];
	struct err err = ERR_INIT;
	for (int i = 0; i < SERVICE_VERSIONS_MAX; i++)
		buf_printf(&text, "%s%d=%d", i ? "," : "", i + 1, i ? 1 : 1000 - SERVICE_VERSIONS_MAX + 1);
	EXPECT_INT("most", service_weights_parse(buf_str(&text), weights, &err), SERVICE_VERSIONS_MAX);
	buf_adds(&text, ",99=0");
	EXPECT_ERR(service_weights_parse(buf_str(&text), weights, &err), ERR_INVALID, &err, "at most");
}

TEST(an_update_changes_what_it_names_and_nothing_else)
{
	CLEANUP(service)
	struct service *s = service_of("{\"name\": \"m\", \"uri\": \"fds://o/m/\", \"framework\": \"onnx\", "
				       "\"framework_version\": \"1.2\", \"replicas\": 2, \"cpu\": \"2\"}");
	struct err err = ERR_INIT;
	EXPECT_OK(patch(s, "{\"replicas\": 3}", &err), &err);
	assert_int_equal(s->spec.replicas, 3);
	assert_int_equal(s->spec.limits.cpu_milli, 2000);
	assert_string_equal(s->spec.framework, "onnx");
	EXPECT_OK(patch(s, "{\"framework\": \"tensorflow\"}", &err), &err);
	assert_string_equal(s->spec.framework_version, "");
	EXPECT_OK(patch(s, "{\"job\": \"j123456789\"}", &err), &err);
	assert_null(s->spec.uri);
	assert_string_equal(s->spec.framework, "");
	EXPECT_OK(patch(s, "{\"uri\": \"fds://o/n/\", \"framework\": \"onnx\"}", &err), &err);
	assert_null(s->spec.job);
	assert_string_equal(s->spec.framework, "onnx");
}

TEST(an_update_that_makes_no_sense_is_refused)
{
	static const char *const table[] = {"[]",
					    "{\"name\": \"other\"}",
					    "{\"replicas\": 0}",
					    "{\"replicas\": 33}",
					    "{\"weights\": \"1=1\"}",
					    "{\"uri\": \"fds://o/a/\", \"job\": \"j123456789\"}",
					    "{\"health_interval\": \"1ms\"}",
					    "{\"speed\": 1}"};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		CLEANUP(service) struct service *s = service_of("{\"name\": \"m\", \"uri\": \"fds://o/m/\"}");
		struct err err = ERR_INIT;
		EXPECT_ERR(patch(s, table[i], &err), ERR_INVALID, &err, "");
	}
}

TEST(replicas_and_the_weights_of_the_same_versions_are_no_new_release)
{
	static const struct {
		const char *json;
		bool same;
	} table[] = {{"{\"replicas\": 5}", true},	   {"{\"weights\": \"2=900,1=100\"}", true},
		     {"{\"weights\": \"1=1000\"}", false}, {"{\"weights\": \"1=500,3=500\"}", false},
		     {"{\"weights\": \"\"}", false},	   {"{\"uri\": \"fds://o/n/\"}", false},
		     {"{\"cpu\": \"3\"}", false},	   {"{\"health_failures\": 9}", false}};
	const char *base = "{\"name\": \"m\", \"uri\": \"fds://o/m/\", \"weights\": \"1=500,2=500\"}";
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		CLEANUP(service) struct service *a = service_of(base), *b = service_of(base);
		struct err err = ERR_INIT;
		EXPECT_OK(patch(b, table[i].json, &err), &err);
		EXPECT_INT(table[i].json, service_spec_same_release(&a->spec, &b->spec), table[i].same);
	}
}

TEST(a_row_keeps_its_replicas_and_what_served_before)
{
	CLEANUP(service) struct service *s = service_of("{\"name\": \"m\", \"uri\": \"fds://o/m/\"}");
	CLEANUP(service) struct service *old = service_of("{\"name\": \"m\", \"uri\": \"fds://o/old/\"}");
	CLEANUP(service) struct service *read = service_new();
	struct err err = ERR_INIT;
	s->revision = 7;
	s->release = 6;
	s->previous = MEM_NEW(struct service_spec);
	service_spec_init(s->previous);
	service_spec_copy(&old->spec, s->previous);
	s->previous_release = 4;
	s->update = (struct service_update){UPDATE_ROLLING, 7, 10, 0, "on its way"};
	s->replicas[0] =
	    (struct replica){.slot = 2, .attempt = 9, .release = 4, .restarts = 1, .ready_ms = 5};
	s->replicas[1] = (struct replica){.slot = 0, .attempt = 10, .release = 6, .draining = true};
	s->replica_count = 2;
	CLEANUP(json) json_t *j = service_rollout_format(s);
	EXPECT_OK(service_rollout_parse(j, read, &err), &err);
	assert_int_equal(read->revision, 7);
	assert_int_equal(read->update.state, UPDATE_ROLLING);
	assert_string_equal(read->update.message, "on its way");
	assert_int_equal(read->replica_count, 2);
	assert_int_equal(read->replicas[0].slot, 2);
	assert_int_equal(read->replicas[0].ready_ms, 5);
	assert_true(read->replicas[1].draining);
	assert_string_equal(service_spec_of(read, 4)->uri, "fds://o/old/");
	assert_ptr_equal(service_spec_of(read, 6), &read->spec);
	assert_null(service_spec_of(read, 5));
}

TEST(a_row_of_before_there_were_replicas_has_one)
{
	CLEANUP(service) struct service *s = service_new();
	struct err err = ERR_INIT;
	s->attempt = 4;
	s->ready_ms = 99;
	EXPECT_OK(service_rollout_parse(NULL, s, &err), &err);
	assert_int_equal(s->replica_count, 1);
	assert_int_equal(s->replicas[0].attempt, 4);
	assert_int_equal(s->replicas[0].ready_ms, 99);
	CLEANUP(json) json_t *bad = json_pack("{s:i, s:i}", "revision", 1, "release", 2);
	EXPECT_ERR(service_rollout_parse(bad, s, &err), ERR_CORRUPT, &err, "replicas");
}
