/* SPDX-License-Identifier: Apache-2.0 */
/* The specification of a job: defaults, refusals, round trips. */
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/json.h"
#include "base/mem.h"
#include "core/job.h"

static int parse(const char *text, struct job_spec *ret, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	job_spec_init(ret);
	int r = json_parse(text, strlen(text), CORE_SPEC_BYTES_MAX, &j, err);
	return r < 0 ? r : job_spec_parse(j, ret, err);
}

static char *format(const struct job_spec *s)
{
	CLEANUP(json) json_t *j = job_spec_format(s);
	CLEANUP(buf) struct buf b = BUF_INIT;
	json_write(j, &b);
	return buf_steal(&b);
}

TEST(defaults_are_filled_in)
{
	struct err err = ERR_INIT;
	struct job_spec s;
	EXPECT_OK(parse("{\"module\":\"digits.train\"}", &s, &err), &err);
	assert_string_equal(s.name, "digits-train");
	assert_string_equal(s.framework, "python");
	assert_string_equal(s.framework_version, "");
	assert_int_equal(s.limits.cpu_milli, 1000);
	assert_int_equal(s.limits.memory_bytes, 2LL << 30);
	assert_int_equal(s.limits.gpu, 0);
	assert_int_equal(s.priority, 50);
	assert_int_equal(s.max_processes, 1024);
	assert_int_equal(s.max_duration_ms, 0);
	assert_int_equal(s.network, NETWORK_EGRESS);
	assert_null(s.package);
	assert_null(s.package_kind);
	job_spec_done(&s);
}

TEST(a_failure_is_repeated_by_the_rules_of_its_class)
{
	static const struct {
		const char *spec;
		enum fail_class class;
		int64_t attempt;
		bool again;
	} rows[] = {
	    {"{\"module\":\"a\"}", FAIL_USER, 1, false},
	    {"{\"module\":\"a\"}", FAIL_PREEMPTED, 9, true},
	    {"{\"module\":\"a\",\"max_retries\":2}", FAIL_LOST, 2, true},
	    {"{\"module\":\"a\",\"max_retries\":2}", FAIL_USER, 2, true},
	    {"{\"module\":\"a\",\"max_retries\":2}", FAIL_USER, 3, false},
	    {"{\"module\":\"a\",\"max_retries\":2}", FAIL_HUNG, 1, true},
	    {"{\"module\":\"a\",\"max_retries\":2}", FAIL_TIMEOUT, 1, false},
	    {"{\"module\":\"a\",\"max_retries\":2}", FAIL_CANCELLED, 1, false},
	    {"{\"module\":\"a\",\"max_retries\":2,\"retry\":{\"limit\":0}}", FAIL_USER, 1, false},
	    {"{\"module\":\"a\",\"retry\":{\"limit\":1,\"on\":[\"timeout\"]}}", FAIL_TIMEOUT, 1, true},
	    {"{\"module\":\"a\",\"retry\":{\"limit\":1,\"on\":[\"timeout\"]}}", FAIL_USER, 1, false},
	    {"{\"module\":\"a\",\"retry\":{\"limit\":1,\"on\":[\"timeout\"]}}", FAIL_PREEMPTED, 1, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct job_spec s, back;
		EXPECT_OK(parse(rows[i].spec, &s, &err), &err);
		assert_int_equal(job_spec_retries(&s, rows[i].class, rows[i].attempt), rows[i].again);
		CLEANUP(free) char *text = format(&s);
		EXPECT_OK(parse(text, &back, &err), &err);
		assert_int_equal(job_spec_retries(&back, rows[i].class, rows[i].attempt), rows[i].again);
		job_spec_done(&s);
		job_spec_done(&back);
	}
}

TEST(the_wait_before_a_repetition_grows_up_to_its_limit)
{
	struct err err = ERR_INIT;
	struct job_spec s, copy;
	EXPECT_OK(parse("{\"module\":\"a\",\"retry\":{\"backoff\":{\"initial\":\"10s\",\"factor\":3,\"max\":"
			"\"1m\"}}}",
			&s, &err),
		  &err);
	job_spec_init(&copy);
	job_spec_copy(&s, &copy);
	static const int64_t seconds[] = {10, 30, 60, 60};
	for (size_t i = 0; i < ARRAY_LEN(seconds); i++)
		assert_int_equal(job_spec_backoff_ms(&copy, (int64_t)i + 1), seconds[i] * 1000);
	CLEANUP(free) char *text = format(&copy);
	assert_non_null(
	    strstr(text, "\"retry\":{\"backoff\":{\"initial\":\"10s\",\"factor\":3,\"max\":\"1m\"}}"));
	job_spec_done(&s);
	job_spec_done(&copy);
	EXPECT_OK(parse("{\"module\":\"a\"}", &s, &err), &err);
	assert_int_equal(job_spec_backoff_ms(&s, 1), 1000);
	assert_int_equal(job_spec_backoff_ms(&s, 100), 300000);
	CLEANUP(free) char *plain = format(&s);
	assert_null(strstr(plain, "retry\":{"));
	assert_null(strstr(plain, "grace"));
	job_spec_done(&s);
}

TEST(names_are_derived_from_what_runs)
{
	static const struct {
		const char *spec, *name;
	} rows[] = {
	    {"{\"module\":\"Trainer.Task_2\"}", "trainer-task-2"},
	    {"{\"module\":\"_private\"}", "private"},
	    {"{\"module\":\"___\"}", "job"},
	    {"{\"command\":[\"./bin/train.sh\"]}", "train-sh"},
	    {"{\"command\":[\"python\",\"-u\",\"src/My_Train.py\",\"--x\"]}", "my-train"},
	    {"{\"command\":[\"/usr/bin/python3\",\"train.py\"]}", "train"},
	    {"{\"command\":[\"python\",\"-c\",\"print(1); x\"]}", "python"},
	    {"{\"command\":[\"sh\",\"-c\",\"echo a; echo b\"]}", "sh"},
	    {"{\"command\":[\"\xc3\xa9\"]}", "job"},
	    {"{\"module\":\"a\",\"name\":\"given\"}", "given"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct job_spec s;
		EXPECT_OK(parse(rows[i].spec, &s, &err), &err);
		EXPECT_STR(rows[i].spec, s.name, rows[i].name);
		EXPECT_OK(core_name_check("name", s.name, &err), &err);
		job_spec_done(&s);
	}
}

TEST(bad_specifications_are_refused_with_a_reason)
{
	static const struct {
		const char *spec, *why;
	} rows[] = {
	    {"[]", "not a JSON object"},
	    {"{}", "neither 'module' nor 'command'"},
	    {"{\"module\":\"a\",\"retry\":3}", "retry"},
	    {"{\"module\":\"a\",\"array\":100}", "array"},
	    {"{\"module\":\"a\",\"array\":{\"count\":0}}", "between 1 and 100000"},
	    {"{\"module\":\"a\",\"array\":{\"count\":-1}}", "between 1 and 100000"},
	    {"{\"module\":\"a\",\"array\":{\"count\":100001}}", "between 1 and 100000"},
	    {"{\"module\":\"a\",\"array\":{\"count\":3,\"max_running\":0}}", "between 1 and 100000"},
	    {"{\"module\":\"a\",\"array\":{\"count\":3,\"max_running\":4}}", "above its count"},
	    {"{\"module\":\"a\",\"array\":{\"max_running\":4}}", "without 'count'"},
	    {"{\"module\":\"a\",\"array\":{\"size\":4}}", "size"},
	    {"{\"module\":\"a\",\"after\":[\":ok\"]}", "does not name a job"},
	    {"{\"module\":\"a\",\"after\":[\"B C\"]}", "'B C'"},
	    {"{\"module\":\"a\",\"after\":[\"b:ok:any\"]}",
	     "unknown condition; use JOB (or JOB:ok), JOB:any or JOB:failed"},
	    {"{\"module\":\"a\",\"retry\":{\"limits\":3}}", "did you mean 'limit'"},
	    {"{\"module\":\"a\",\"retry\":{\"on\":[\"oom\"]}}", "'oom' is unknown; it is one of 'none'"},
	    {"{\"module\":\"a\",\"retry\":{\"backoff\":{\"factor\":0}}}", "factor"},
	    {"{\"module\":\"a\",\"store\":{\"write\":[\"/tmp\"]}}", "does not start with fds://"},
	    {"{\"module\":\"a\",\"store\":{\"write\":[\"fds://b/../c\"]}}", "'..'"},
	    {"{\"module\":\"a\",\"store\":{\"read\":[]}}", "read"},
	    {"{\"module\":\"a\",\"grace_period\":\"2h\"}", "grace_period is too large; it is at most 1h"},
	    {"{\"module\":\"a\",\"command\":[\"b\"]}", "both 'module' and 'command'"},
	    {"{\"command\":[]}", "neither"},
	    {"{\"command\":[\"\"]}", "empty"},
	    {"{\"modul\":\"a\"}", "did you mean 'module'"},
	    {"{\"module\":\"a\",\"memry\":\"2G\"}", "did you mean 'memory'"},
	    {"{\"module\":\"a b\"}", "dotted Python name"},
	    {"{\"module\":\"a..b\"}", "dotted Python name"},
	    {"{\"module\":\".a\"}", "dotted Python name"},
	    {"{\"module\":\"a.\"}", "dotted Python name"},
	    {"{\"module\":\"a;rm\"}", "dotted Python name"},
	    {"{\"module\":\"-m\"}", "dotted Python name"},
	    {"{\"module\":\"a\",\"name\":\"A\"}", "lower-case"},
	    {"{\"module\":\"a\",\"framework\":\"../x\"}", "lower-case"},
	    {"{\"module\":\"a\",\"framework_version\":\"1/2\"}", "not a version"},
	    {"{\"module\":\"a\",\"package\":\"http://x/y.tar.gz\"}", "does not start with fds://"},
	    {"{\"module\":\"a\",\"package\":\"fds://x/y/\"}", "names a folder"},
	    {"{\"module\":\"a\",\"package\":\"fds://x\"}", "names a folder"},
	    {"{\"module\":\"a\",\"package_kind\":\"folder\"}", "without 'package'"},
	    {"{\"module\":\"a\",\"package\":\"fds://x/y\",\"package_kind\":\"zip\"}", "'folder', 'python'"},
	    {"{\"module\":\"a\",\"env\":{\"LD_PRELOAD\":\"x\"}}", "reserved"},
	    {"{\"module\":\"a\",\"env\":{\"CLOUDML_OUTPUT_DIR\":\"x\"}}", "reserved"},
	    {"{\"module\":\"a\",\"env\":{\"1A\":\"x\"}}", "not a variable's name"},
	    {"{\"module\":\"a\",\"env\":{\"A B\":\"x\"}}", "not a variable's name"},
	    {"{\"module\":\"a\",\"env\":{\"A=B\":\"x\"}}", "no '='"},
	    {"{\"module\":\"a\",\"env\":{\"\":\"x\"}}", "not empty"},
	    {"{\"module\":\"a\",\"env\":{\"A\":1}}", "not a string"},
	    {"{\"module\":\"a\",\"env\":[\"A=1\"]}", "env"},
	    {"{\"module\":\"a\",\"requirements\":[\"--index-url x\"]}", "package name"},
	    {"{\"module\":\"a\",\"requirements\":[\" -r x\"]}", "package name"},
	    {"{\"module\":\"a\",\"requirements\":[\"x --pre\"]}", "option"},
	    {"{\"module\":\"a\",\"requirements\":[\"x\\n-r y\"]}", "control"},
	    {"{\"module\":\"a\",\"requirements\":[\"x\\\\\"]}", "option"},
	    {"{\"module\":\"a\",\"requirements\":[\"x @ file:///etc\"]}", "path of the machine"},
	    {"{\"module\":\"a\",\"requirements\":[\"./x\"]}", "package name"},
	    {"{\"module\":\"a\",\"requirements\":[\"\"]}", "package name"},
	    {"{\"module\":\"a\",\"cpu\":0}", "cpu"},
	    {"{\"module\":\"a\",\"cpu\":\"-1\"}", "cpu"},
	    {"{\"module\":\"a\",\"cpu\":\"many\"}", "cpu"},
	    {"{\"module\":\"a\",\"memory\":0}", "memory"},
	    {"{\"module\":\"a\",\"memory\":\"1000T\"}", "memory"},
	    {"{\"module\":\"a\",\"gpu\":-1}", "gpu"},
	    {"{\"module\":\"a\",\"max_retries\":101}", "max_retries"},
	    {"{\"module\":\"a\",\"max_duration\":\"-1s\"}", "max_duration"},
	    {"{\"module\":\"a\",\"priority\":101}", "priority"},
	    {"{\"module\":\"a\",\"max_processes\":0}", "max_processes"},
	    {"{\"module\":\"a\",\"network\":\"host\"}", "'egress', 'none'"},
	    {"{\"module\":\"a\",\"preemptible\":1}", "preemptible"},
	    {"{\"module\":\"a\",\"start_after\":\"soon\"}", "is not a time"},
	    {"{\"module\":\"a\",\"start_after\":1}", "start_after"},
	    {"{\"module\":\"a\",\"start_after\":\"2026-11-25T08:00:00Z\",\"deadline\":\"2026-11-25T08:00:"
	     "00Z\"}",
	     "deadline is not after start_after"},
	    {"{\"module\":\"a\",\"tasks\":0}", "tasks"},
	    {"{\"module\":\"a\",\"tasks\":65}", "tasks"},
	    {"{\"module\":\"a\",\"tasks\":\"2\"}", "tasks"},
	    {"{\"module\":\"a\",\"node_labels\":[\"ssd\"]}", "'key=value'"},
	    {"{\"module\":\"a\",\"node_labels\":[\"a=b c\"]}", "'key=value'"},
	    {"{\"module\":\"a\",\"node_labels\":[\"a=\"]}", "'key=value'"},
	    {"{\"module\":1}", "module"},
	    {"{\"module\":\"a\",\"args\":\"x\"}", "args"},
	    {"{\"module\":\"a\",\"args\":[1]}", "args"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct job_spec s;
		int r = parse(rows[i].spec, &s, &err);
		if (r >= 0)
			print_error("accepted: %s\n", rows[i].spec);
		EXPECT_ERR(r, ERR_INVALID, &err, rows[i].why);
		job_spec_done(&s);
	}
}

TEST(sizes_are_limited)
{
	struct err err = ERR_INIT;
	CLEANUP(buf) struct buf many = BUF_INIT;
	buf_adds(&many, "{\"module\":\"a\",\"args\":[\"\"");
	for (int i = 0; i < CORE_ARGS_MAX; i++)
		buf_adds(&many, ",\"\"");
	buf_adds(&many, "]}");
	struct job_spec s;
	assert_true(parse(many.data, &s, &err) < 0);
	job_spec_done(&s);

	CLEANUP(buf) struct buf long_text = BUF_INIT;
	buf_adds(&long_text, "{\"command\":[\"");
	for (int i = 0; i <= CORE_TEXT_MAX; i++)
		buf_addc(&long_text, 'x');
	buf_adds(&long_text, "\"]}");
	assert_true(parse(long_text.data, &s, &err) < 0);
	job_spec_done(&s);
}

TEST(packages_get_a_kind)
{
	struct err err = ERR_INIT;
	struct job_spec s;
	EXPECT_OK(parse("{\"module\":\"a\",\"package\":\"fds://o/p/x.whl\"}", &s, &err), &err);
	assert_string_equal(s.package_kind, "python");
	job_spec_done(&s);
	EXPECT_OK(parse("{\"module\":\"a\",\"package\":\"fds://o/p/x.tar.gz\"}", &s, &err), &err);
	assert_string_equal(s.package_kind, "folder");
	job_spec_done(&s);
}

/* Each key taken away: what is called equal is formatted alike. */
static void check_difference(const char *text, const struct job_spec *whole)
{
	CLEANUP(json) json_t *keys = json_loads(text, 0, NULL);
	const char *key;
	json_t *value;
	json_object_foreach(keys, key, value)
	{
		CLEANUP(json) json_t *less = json_copy(keys);
		struct job_spec s;
		struct err err = ERR_INIT;
		json_object_del(less, key);
		job_spec_init(&s);
		if (job_spec_parse(less, &s, &err) >= 0) {
			CLEANUP(free) char *other = format(&s);
			assert_int_equal(job_spec_equal(whole, &s), strcmp(text, other) == 0);
		}
		job_spec_done(&s);
	}
}

static void check_round_trip(const char *text)
{
	struct err err = ERR_INIT;
	struct job_spec s, again, copy;
	EXPECT_OK(parse(text, &s, &err), &err);
	CLEANUP(free) char *first = format(&s);
	EXPECT_OK(parse(first, &again, &err), &err);
	CLEANUP(free) char *second = format(&again);
	assert_string_equal(first, second);
	job_spec_init(&copy);
	EXPECT_OK(job_spec_copy(&s, &copy), &err);
	CLEANUP(free) char *copied = format(&copy);
	assert_string_equal(first, copied);
	assert_true(job_spec_equal(&s, &copy));
	check_difference(first, &s);
	assert_int_equal(s.limits.cpu_milli, again.limits.cpu_milli);
	assert_int_equal(s.limits.memory_bytes, again.limits.memory_bytes);
	assert_int_equal(s.max_duration_ms, again.max_duration_ms);
	job_spec_done(&s);
	job_spec_done(&again);
	job_spec_done(&copy);
}

TEST(a_whole_specification_survives_formatting)
{
	check_round_trip(
	    "{\"name\":\"n\",\"framework\":\"tensorflow\",\"framework_version\":\"2.21.0\","
	    "\"package\":\"fds://o/p/x.tar.gz\",\"package_kind\":\"python\",\"module\":\"a.b\","
	    "\"args\":[\"--x\",\"\",\"line\\nline\",\"\\u00e9\"],\"env\":{\"A\":\"1\",\"B\":\"x=y\",\"C\":"
	    "\"\"},"
	    "\"requirements\":[\"pandas==2.2.2\",\"x[y]>=1; python_version<'3.12'\"],\"cpu\":\"1.5\","
	    "\"memory\":\"1536M\",\"gpu\":2,\"tasks\":8,\"prepare_command\":\"p\",\"finish_command\":\"f\","
	    "\"max_retries\":3,\"max_duration\":\"90m\",\"priority\":0,\"max_processes\":7,"
	    "\"preemptible\":true,\"start_after\":\"2026-11-25T10:30:00+02:00\","
	    "\"deadline\":\"2026-11-25T09:00:00.001Z\",\"node_labels\":[\"disk=ssd\",\"zone=a/1\"],"
	    "\"network\":\"none\"}");
	check_round_trip("{\"command\":[\"sh\",\"-c\",\"echo\"]}");
}

TEST(a_job_holds_what_all_its_tasks_have_together)
{
	struct job_spec s;
	struct err err = ERR_INIT;
	EXPECT_OK(parse("{\"module\":\"a\",\"cpu\":1.5,\"memory\":\"1G\",\"gpu\":1}", &s, &err), &err);
	assert_int_equal(s.tasks, 1);
	assert_int_equal(job_spec_held(&s).cpu_milli, 1500);
	s.tasks = 4;
	struct resources held = job_spec_held(&s);
	assert_int_equal(held.cpu_milli, 6000);
	assert_int_equal(held.memory_bytes, INT64_C(4) << 30);
	assert_int_equal(held.gpu, 4);
	job_spec_done(&s);
}

TEST(any_amount_of_resources_survives_formatting)
{
	for (int i = 0; i < 2000; i++) {
		char text[200];
		snprintf(text, sizeof(text),
			 "{\"module\":\"a\",\"cpu\":\"%um\",\"memory\":%llu,\"max_duration\":\"%llums\"}",
			 (unsigned)(10 + rng_below(&test_rng, 100000)),
			 (unsigned long long)((1 << 20) + rng_below(&test_rng, 1ULL << (20 + i % 20))),
			 (unsigned long long)rng_below(&test_rng, 1ULL << (5 + i % 25)));
		check_round_trip(text);
	}
}

TEST(resources_print_as_people_write_them)
{
	static const struct {
		const char *given, *printed;
	} rows[] = {
	    {"\"cpu\":1.5,\"memory\":\"2G\"", "\"cpu\":\"1.5\",\"memory\":\"2G\""},
	    {"\"cpu\":\"500m\",\"memory\":1073741824", "\"cpu\":\"0.5\",\"memory\":\"1G\""},
	    {"\"cpu\":16,\"memory\":\"1536M\"", "\"cpu\":\"16\",\"memory\":\"1536M\""},
	    {"\"cpu\":\"1.234\",\"memory\":1048577", "\"cpu\":\"1.234\",\"memory\":\"1048577\""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct job_spec s;
		CLEANUP(free) char *text = mem_printf("{\"module\":\"a\",%s}", rows[i].given);
		EXPECT_OK(parse(text, &s, &err), &err);
		CLEANUP(free) char *printed = format(&s);
		if (!strstr(printed, rows[i].printed))
			EXPECT_STR(rows[i].given, printed, rows[i].printed);
		job_spec_done(&s);
	}
}

TEST(the_list_of_fields_and_the_schema_come_from_one_table)
{
	CLEANUP(json) json_t *schema = job_spec_schema();
	const json_t *properties = json_object_get(schema, "properties");
	size_t count = 0;
	for (; job_spec_fields[count]; count++) {
		const json_t *p = json_object_get(properties, job_spec_fields[count]);
		assert_non_null(p);
		assert_non_null(json_object_get(p, "type"));
		assert_true(json_string_length(json_object_get(p, "description")) > 0);
	}
	assert_int_equal(count, json_object_size(properties));
	assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
}
