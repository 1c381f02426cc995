/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of jobs, models, tasks, events and progress. */
#include "unit/test.h"

#include <stdio.h>
#include "base/json.h"
#include "base/mem.h"
#include "core/service.h"
#include "core/task.h"

static const char *text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

TEST(a_job_says_how_it_ended_only_when_it_has)
{
	CLEANUP(job) struct job *job = job_new();
	strcpy(job->id, "j123456789");
	job->spec.module = mem_strdup("a");
	job->spec.name = mem_strdup("a");
	job->state = JOB_RUNNING;
	json_t *j = job_format(job);
	assert_true(json_is_null(json_object_get(j, "exit")));
	assert_string_equal(text_of(j, "state"), "running");
	assert_string_equal(text_of(json_object_get(j, "spec"), "module"), "a");
	json_decref(j);

	job->state = JOB_FAILED;
	job->exit_code = 3;
	job->fail = FAIL_USER;
	j = job_format(job);
	const json_t *e = json_object_get(j, "exit");
	assert_int_equal(json_integer_value(json_object_get(e, "code")), 3);
	assert_true(json_is_null(json_object_get(e, "signal")));
	assert_string_equal(text_of(e, "class"), "user_error");
	json_decref(j);
}

TEST(a_record_with_half_a_character_is_still_json)
{
	CLEANUP(job) struct job *job = job_new();
	strcpy(job->message, "cut \xe2\x94");
	strcpy(job->progress.text, "\xff");
	CLEANUP(json) json_t *j = job_format(job);
	assert_string_equal(text_of(j, "message"), "cut ??");
	assert_string_equal(text_of(json_object_get(j, "progress"), "text"), "?");
	struct event event = {.message = "\xc3"};
	CLEANUP(json) json_t *e = event_format(&event);
	assert_string_equal(text_of(e, "message"), "?");
}

TEST(unknown_progress_is_null_and_parses_back)
{
	CLEANUP(json) json_t *none = progress_format(&PROGRESS_NONE);
	static const char *const keys[] = {"phase", "percent", "step", "total", "eta_ms", "text"};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		assert_true(json_is_null(json_object_get(none, keys[i])));
	struct progress p = {"running", 42.5, 3, 7, 1200, "epoch 3/7"}, again;
	CLEANUP(json) json_t *j = progress_format(&p);
	progress_parse(j, &again);
	assert_string_equal(again.phase, "running");
	assert_string_equal(again.text, "epoch 3/7");
	assert_true(again.percent == 42.5 && again.step == 3 && again.total == 7 && again.eta_ms == 1200);
	progress_parse(NULL, &again);
	assert_true(again.percent == -1 && again.step == -1 && again.text[0] == '\0');
}

TEST(a_model_has_addresses_once_it_has_a_port)
{
	CLEANUP(service) struct service *s = service_new();
	s->spec.name = mem_strdup("digits");
	s->version = 5;
	json_t *j = service_format(s);
	assert_true(json_is_null(json_object_get(j, "http_url")));
	assert_int_equal(json_integer_value(json_object_get(j, "version")), 5);
	json_decref(j);
	strcpy(s->address, "127.0.0.1:18500");
	s->state = SERVICE_READY;
	j = service_format(s);
	assert_string_equal(text_of(j, "http_url"), "http://127.0.0.1:18500/v1/models/digits");
	assert_string_equal(text_of(j, "grpc_address"), "127.0.0.1:18500");
	assert_string_equal(text_of(j, "state"), "ready");
	json_decref(j);
}

static int parse_service(const char *text, struct service_spec *ret, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	service_spec_init(ret);
	int r = json_parse(text, strlen(text), CORE_SPEC_BYTES_MAX, &j, err);
	return r < 0 ? r : service_spec_parse(j, ret, err);
}

TEST(model_specifications_are_checked)
{
	static const struct {
		const char *text, *why; /* NULL: accepted */
	} rows[] = {
	    {"{\"name\":\"a\",\"uri\":\"fds://o/m/\"}", NULL},
	    {"{\"name\":\"a\",\"job\":\"j123456789\"}", NULL},
	    {"{\"name\":\"a\",\"uri\":\"fds://o/m.onnx\",\"model_version\":3,\"cpu\":\"0.5\"}", NULL},
	    {"{\"uri\":\"fds://o/m\"}", "no 'name'"},
	    {"{\"name\":\"a\"}", "neither 'uri' nor 'job'"},
	    {"{\"name\":\"a/b\",\"uri\":\"fds://o/m\"}", "lower-case"},
	    {"{\"name\":\"a\",\"uri\":\"file:///etc\"}", "does not start"},
	    {"{\"name\":\"a\",\"job\":\"../x\"}", "not a job's id"},
	    {"{\"name\":\"a\",\"uri\":\"fds://o/m\",\"model_version\":-1}", "model_version"},
	    {"{\"name\":\"a\",\"url\":\"fds://o/m\"}", "did you mean 'uri'"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct service_spec s;
		int r = parse_service(rows[i].text, &s, &err);
		if (rows[i].why) {
			EXPECT_ERR(r, ERR_INVALID, &err, rows[i].why);
		} else {
			EXPECT_OK(r, &err);
			CLEANUP(json) json_t *j = service_spec_format(&s);
			struct service_spec again;
			service_spec_init(&again);
			EXPECT_OK(service_spec_parse(j, &again, &err), &err);
			CLEANUP(json) json_t *j2 = service_spec_format(&again);
			assert_true(json_equal(j, j2));
			service_spec_done(&again);
		}
		service_spec_done(&s);
	}
}

TEST(a_task_survives_formatting)
{
	struct err err = ERR_INIT;
	struct task_spec t, again;
	task_spec_init(&t);
	strcpy(t.name, "j123456789-1-worker-0");
	strcpy(t.org, "o");
	strcpy(t.owner, "j123456789");
	t.attempt = 1;
	t.kind = TASK_MODEL;
	t.framework = mem_strdup("tensorflow");
	t.env = strings_copy((char *[]){"CLOUDML_OUTPUT_DIR=/out", "A=", "A=again", NULL});
	t.command = strings_copy((char *[]){"a", "", "b c", NULL});
	t.limits = (struct resources){1500, 1 << 30, 1};
	t.max_duration_ms = 5;
	t.network = NETWORK_NONE;
	t.port_hint = 18500;
	CLEANUP(json) json_t *j = task_spec_format(&t);
	task_spec_init(&again);
	EXPECT_OK(task_spec_parse(j, &again, &err), &err);
	CLEANUP(json) json_t *j2 = task_spec_format(&again);
	assert_true(json_equal(j, j2));
	assert_string_equal(again.env[2], "A=again");
	assert_int_equal(again.kind, TASK_MODEL);
	assert_int_equal(again.limits.cpu_milli, 1500);
	assert_int_equal(again.network, NETWORK_NONE);
	task_spec_done(&t);
	task_spec_done(&again);
}

TEST(a_status_survives_formatting)
{
	struct err err = ERR_INIT;
	struct task_status s = {.name = "n",
				.owner = "j123456789",
				.kind = TASK_JOB,
				.attempt = 2,
				.phase = TASK_EXITED,
				.progress = {"running", 10, 1, 10, -1, "x"},
				.exit_code = -1,
				.exit_signal = 9,
				.fail = FAIL_OUT_OF_MEMORY,
				.message = "killed"},
			   again;
	CLEANUP(json) json_t *j = task_status_format(&s);
	EXPECT_OK(task_status_parse(j, &again, &err), &err);
	assert_string_equal(again.name, "n");
	assert_int_equal(again.phase, TASK_EXITED);
	assert_int_equal(again.exit_code, -1);
	assert_int_equal(again.exit_signal, 9);
	assert_int_equal(again.fail, FAIL_OUT_OF_MEMORY);
	assert_string_equal(again.message, "killed");
	assert_true(again.progress.percent == 10 && again.progress.eta_ms == -1);
	json_object_set_new(j, "phase", json_string("sleeping"));
	EXPECT_ERR(task_status_parse(j, &again, &err), ERR_INVALID, &err, "'preparing'");
}
