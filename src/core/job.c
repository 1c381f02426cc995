/* SPDX-License-Identifier: Apache-2.0 */
/* The job's record, its progress and its events as JSON. */
#include "core/job.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "core/field.h"

struct job *job_new(void)
{
	struct job *job = MEM_NEW(struct job);
	job_spec_init(&job->spec);
	job->exit_code = -1;
	job->progress = PROGRESS_NONE;
	return job;
}

void job_free(struct job *job)
{
	if (!job)
		return;
	job_spec_done(&job->spec);
	free(job);
}

static json_t *known_integer(int64_t value)
{
	return value < 0 ? json_null() : json_integer(value);
}

json_t *progress_format(const struct progress *p)
{
	bool percent_known = isfinite(p->percent) && p->percent >= 0;
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "phase",
			 p->phase[0] ? field_text_json(p->phase) : json_null(), "percent",
			 percent_known ? json_real(p->percent) : json_null(), "step", known_integer(p->step),
			 "total", known_integer(p->total), "eta_ms", known_integer(p->eta_ms), "text",
			 p->text[0] ? field_text_json(p->text) : json_null());
}

static int64_t integer_or(const json_t *j, const char *key, int64_t otherwise)
{
	const json_t *v = json_object_get(j, key);
	return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : otherwise;
}

static void string_into(const json_t *j, const char *key, char *ret, size_t cap)
{
	const char *s = json_string_value(json_object_get(j, key));
	snprintf(ret, cap, "%s", s ? s : "");
}

void progress_parse(const json_t *j, struct progress *ret)
{
	*ret = PROGRESS_NONE;
	if (!json_is_object(j))
		return;
	string_into(j, "phase", ret->phase, sizeof(ret->phase));
	string_into(j, "text", ret->text, sizeof(ret->text));
	const json_t *percent = json_object_get(j, "percent");
	if (json_is_number(percent)) {
		double value = json_number_value(percent);
		if (value >= 0)
			ret->percent = value > 100 ? 100 : value;
	}
	ret->step = integer_or(j, "step", -1);
	ret->total = integer_or(j, "total", -1);
	ret->eta_ms = integer_or(j, "eta_ms", -1);
}

static json_t *exit_format(const struct job *job)
{
	return json_pack("{s:o, s:o, s:s}", "code", known_integer(job->exit_code), "signal",
			 job->exit_signal ? json_integer(job->exit_signal) : json_null(), "class",
			 fail_word(job->fail));
}

/* What is not made yet is pending. */
static json_t *elements_format(const struct job *job)
{
	json_t *j = json_pack("{s:I, s:I}", "count", (json_int_t)job->spec.array.count, "pending",
			      (json_int_t)(job->spec.array.count - job->elements.made));
	for (int s = 0; s < JOB_STATE_COUNT; s++)
		json_object_set_new(j, job_state_word((enum job_state)s),
				    json_integer(job->elements.by_state[s]));
	return j;
}

json_t *job_format(const struct job *job)
{
	json_t *j = json_pack("{s:s, s:o, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:b}", "id", job->id,
			      "name", field_text_json(job->spec.name ? job->spec.name : ""), "org", job->org,
			      "user", job->user, "state", job_state_word(job->state), "reason", job->reason,
			      "message", field_text_json(job->message), "seq", (json_int_t)job->seq,
			      "version", (json_int_t)job->version, "attempt", (json_int_t)job->attempt,
			      "cancel_requested", job->cancel_requested);
	const struct {
		const char *key;
		int64_t value;
	} numbers[] = {{"charged", job->charged},	  {"created_ms", job->created_ms},
		       {"queued_ms", job->queued_ms},	  {"started_ms", job->started_ms},
		       {"running_ms", job->running_ms},	  {"ended_ms", job->ended_ms},
		       {"deadline_ms", job->deadline_ms}, {"retry_at_ms", job->retry_at_ms}};
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		json_object_set_new(j, numbers[i].key, json_integer(numbers[i].value));
	json_object_set_new(j, "exit", job_state_is_terminal(job->state) ? exit_format(job) : json_null());
	json_object_set_new(j, "progress", progress_format(&job->progress));
	json_object_set_new(j, "output_uri", json_string(job->output_uri));
	json_object_set_new(j, "spec", job_spec_format(&job->spec));
	if (job->array_id[0]) {
		json_object_set_new(j, "array_id", json_string(job->array_id));
		json_object_set_new(j, "array_index", json_integer(job->array_index));
	}
	if (job->spec.array.count)
		json_object_set_new(j, "elements", elements_format(job));
	return j;
}

json_t *event_format(const struct event *e)
{
	return json_pack("{s:I, s:s, s:I, s:s, s:s, s:o, s:s}", "seq", (json_int_t)e->seq, "subject",
			 e->subject, "time_ms", (json_int_t)e->time_ms, "type", e->type, "reason", e->reason,
			 "message", field_text_json(e->message), "actor", e->actor);
}

int job_birth_events(const char *id, const char *user, int64_t created_ms, bool is_queued,
		     struct event ret[JOB_BIRTH_EVENTS])
{
	for (int i = 0; i < JOB_BIRTH_EVENTS; i++) {
		struct event *e = &ret[i];
		*e = (struct event){.seq = i + 1, .time_ms = created_ms, .type = "Normal"};
		snprintf(e->subject, sizeof(e->subject), "%s", id);
	}
	snprintf(ret[0].reason, sizeof(ret[0].reason), "submitted");
	snprintf(ret[0].actor, sizeof(ret[0].actor), "%s", user);
	snprintf(ret[0].message, sizeof(ret[0].message), "submitted by %s", user);
	snprintf(ret[1].reason, sizeof(ret[1].reason), "queued");
	snprintf(ret[1].actor, sizeof(ret[1].actor), "controller");
	snprintf(ret[1].message, sizeof(ret[1].message), JOB_BIRTH_MESSAGE);
	return is_queued ? 2 : 1;
}
