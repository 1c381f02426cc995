/* SPDX-License-Identifier: Apache-2.0 */
/* jobs list, describe, logs, events, metrics, attach, cancel, delete. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/unit.h"
#include "cli/cli_int.h"

static char *job_path(const char *id, const char *suffix)
{
	CLEANUP(free) char *escaped = client_escape(id, false);
	return mem_printf("/api/v1/jobs/%s%s", escaped, suffix);
}

int cli_get_job(struct cli *c, const char *id, json_t **ret, struct err *err)
{
	int r = cli_connect(c, err);
	if (r < 0)
		return r;
	if (!strcmp(id, "last") || !strcmp(id, "-")) {
		CLEANUP(json) json_t *list = NULL;
		r = client_call(c->client, "GET", "/api/v1/jobs?limit=1", NULL, NULL, &list, err);
		json_t *first = json_array_get(json_object_get(list, "data"), 0);
		if (r >= 0 && !first)
			return err_set(
			    err, ERR_NOT_FOUND,
			    "there are no jobs yet; start one with 'cloudml run -- python train.py'");
		*ret = json_incref(first);
		return r;
	}
	CLEANUP(free) char *path = job_path(id, "");
	return client_call(c->client, "GET", path, NULL, NULL, ret, err);
}

/* "12 of 100: 3 running, 8 completed, 1 failed" */
static void elements_text(const json_t *elements, char *ret, size_t cap)
{
	static const char *const words[] = {"queued",	 "starting", "running",
					    "completed", "failed",   "cancelled"};
	int64_t count = cli_int(elements, "count"), pending = cli_int(elements, "pending");
	size_t len =
	    (size_t)snprintf(ret, cap, "%lld of %lld", (long long)(count - pending), (long long)count);
	const char *comma = ":";
	for (size_t i = 0; i < ARRAY_LEN(words) && len < cap; i++) {
		if (!cli_int(elements, words[i]))
			continue;
		len += (size_t)snprintf(ret + len, cap - len, "%s %lld %s", comma,
					(long long)cli_int(elements, words[i]), words[i]);
		comma = ",";
	}
}

static json_t *job_row(const json_t *job)
{
	const json_t *spec = json_object_get(job, "spec"),
		     *percent = json_object_get(json_object_get(job, "progress"), "percent");
	const char *state = cli_str(job, "state");
	char age[32], progress[120] = "", took[32] = "";
	cli_format_age(cli_int(job, "created_ms"), age);
	int64_t start = cli_int(job, "running_ms"),
		end = cli_int(job, "ended_ms") ? cli_int(job, "ended_ms") : cli_now_ms();
	if (start)
		cli_format_span(end - start, took);
	const json_t *elements = json_object_get(job, "elements");
	if (elements)
		elements_text(elements, progress, sizeof(progress));
	else if (!strcmp(state, "running") && json_is_number(percent) && json_number_value(percent) >= 0)
		snprintf(progress, sizeof(progress), "%.0f %%", json_number_value(percent));
	else if (strcmp(state, "completed"))
		snprintf(progress, sizeof(progress), "%s", cli_str(job, "reason"));
	return json_pack("[s,s,s,s,s,s,s,s]", cli_str(job, "id"), cli_str(job, "name"), state, progress, took,
			 cli_str(spec, "framework"), cli_str(job, "user"), age);
}

int cmd_jobs_list(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const struct cli_column columns[] = {{"ID", 0},	     {"NAME", 0}, {"STATE", 0},
						    {"PROGRESS", 0}, {"RAN", 1},  {"FRAMEWORK", 0},
						    {"USER", 0},     {"AGE", 1}};
	CLEANUP(json) json_t *list = NULL, *rows = json_array();
	CLEANUP(buf) struct buf path = BUF_INIT;
	const char *limit = cli_opt(a, "limit");
	size_t i;
	const json_t *job;
	buf_printf(&path, "/api/v1/jobs?limit=%s", limit ? limit : "50");
	static const char *const filters[] = {"state", "name", "array"};
	for (size_t k = 0; k < ARRAY_LEN(filters); k++) {
		if (!cli_opt(a, filters[k]))
			continue;
		CLEANUP(free) char *value = client_escape(cli_opt(a, filters[k]), false);
		buf_printf(&path, "&%s=%s", filters[k], value);
	}
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", buf_str(&path), NULL, NULL, &list, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(list);
		return 0;
	}
	json_array_foreach(json_object_get(list, "data"), i, job)
	{
		if (cli_opt(a, "ids"))
			puts(cli_str(job, "id"));
		json_array_append_new(rows, job_row(job));
	}
	if (cli_opt(a, "ids"))
		return 0;
	if (!json_array_size(rows))
		cli_note(c, "no jobs; start one with 'cloudml run -- python train.py'");
	else
		cli_print_table(c, columns, ARRAY_LEN(columns), rows);
	if (json_is_integer(json_object_get(list, "next")))
		cli_note(c, "there are more; see --limit");
	return 0;
}

static void print_field(const char *title, const char *value)
{
	if (!*value)
		return;
	printf("%-12s", title);
	cli_print_safe(stdout, value);
	putchar('\n');
}

static void print_time(const char *title, int64_t ms)
{
	char text[32];
	if (!ms)
		return;
	cli_format_time(ms, text);
	printf("%-12s%s\n", title, text);
}

int cmd_jobs_describe(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *job = NULL;
	int r = cli_get_job(c, a->positional[0], &job, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(job);
		return 0;
	}
	const json_t *progress = json_object_get(job, "progress"),
		     *exit_record = json_object_get(job, "exit");
	print_field("id", cli_str(job, "id"));
	print_field("name", cli_str(job, "name"));
	printf("%-12s%s%s%s\n", "state", cli_color(c, cli_str(job, "state")), cli_str(job, "state"),
	       cli_color_end(c));
	print_field("reason", cli_str(job, "reason"));
	print_field("message", cli_str(job, "message"));
	print_field("progress", cli_str(progress, "text"));
	const json_t *elements = json_object_get(job, "elements");
	char counts[120] = "";
	if (elements)
		elements_text(elements, counts, sizeof(counts));
	else
		printf("%-12s%lld\n", "attempt", (long long)cli_int(job, "attempt"));
	print_field("elements", counts);
	print_field("array", cli_str(job, "array_id"));
	print_field("user", cli_str(job, "user"));
	print_time("submitted", cli_int(job, "created_ms"));
	print_time("running", cli_int(job, "running_ms"));
	print_time("ended", cli_int(job, "ended_ms"));
	if (json_is_object(exit_record))
		printf("%-12sstatus %lld, signal %lld, %s\n", "exit", (long long)cli_int(exit_record, "code"),
		       (long long)cli_int(exit_record, "signal"), cli_str(exit_record, "class"));
	print_field("output", cli_str(job, "output_uri"));
	puts("spec");
	CLEANUP(buf) struct buf spec = BUF_INIT;
	json_write_pretty(json_object_get(job, "spec"), &spec);
	cli_print_safe(stdout, buf_str(&spec));
	return 0;
}

static int write_out(void *arg, const void *data, size_t len)
{
	size_t n = fwrite(data, 1, len, stdout);
	fflush(stdout);
	return n == len ? 0 : -1;
}

static int print_logs(struct cli *c, const struct cli_args *a, const char *base, struct err *err)
{
	CLEANUP(buf) struct buf path = BUF_INIT;
	buf_printf(&path, "%s?follow=%d", base, cli_opt(a, "follow") != NULL);
	if (cli_opt(a, "tail"))
		buf_printf(&path, "&tail=%s", cli_opt(a, "tail"));
	if (cli_opt(a, "attempt"))
		buf_printf(&path, "&attempt=%s", cli_opt(a, "attempt"));
	if (cli_opt(a, "task"))
		buf_printf(&path, "&task=%s", cli_opt(a, "task"));
	int r = cli_connect(c, err);
	return r < 0 ? r : client_download(c->client, buf_str(&path), write_out, NULL, err);
}

int cmd_jobs_logs(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *job = NULL;
	int r = cli_get_job(c, a->positional[0], &job, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *path = job_path(cli_str(job, "id"), "/logs");
	return print_logs(c, a, path, err);
}

int cmd_jobs_attach(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *job = NULL;
	int r = cli_get_job(c, a->positional[0], &job, err);
	return r < 0 ? r : cli_attach_job(c, job, err);
}

static int print_events(struct cli *c, const char *path, struct err *err)
{
	static const struct cli_column columns[] = {
	    {"TIME", 0}, {"TYPE", 0}, {"REASON", 0}, {"ACTOR", 0}, {"MESSAGE", 0}};
	CLEANUP(json) json_t *list = NULL, *rows = json_array();
	size_t i;
	const json_t *e;
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", path, NULL, NULL, &list, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(list);
		return 0;
	}
	json_array_foreach(json_object_get(list, "data"), i, e)
	{
		char time[32];
		cli_format_time(cli_int(e, "time_ms"), time);
		json_array_append_new(rows,
				      json_pack("[s,s,s,s,s]", time, cli_str(e, "type"), cli_str(e, "reason"),
						cli_str(e, "actor"), cli_str(e, "message")));
	}
	cli_print_table(c, columns, ARRAY_LEN(columns), rows);
	return 0;
}

int cmd_jobs_events(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *job = NULL;
	int r = cli_get_job(c, a->positional[0], &job, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *path = job_path(cli_str(job, "id"), "/events");
	return print_events(c, path, err);
}

int cmd_models_events(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(free) char *name = client_escape(a->positional[0], false);
	CLEANUP(free) char *path = mem_printf("/api/v1/models/%s/events", name);
	return print_events(c, path, err);
}

static void summarise_series(const char *name, const json_t *points, json_t *rows)
{
	double last = 0, low = 0, high = 0;
	size_t i;
	const json_t *point;
	char a[32], b[32], d[32], count[32];
	json_array_foreach(points, i, point)
	{
		last = json_number_value(json_array_get(point, 2));
		low = i == 0 || last < low ? last : low;
		high = i == 0 || last > high ? last : high;
	}
	bool bytes = str_ends(name, "_bytes");
	snprintf(count, sizeof(count), "%zu", json_array_size(points));
	if (bytes) {
		unit_format_bytes((int64_t)last, a);
		unit_format_bytes((int64_t)low, b);
		unit_format_bytes((int64_t)high, d);
	} else {
		snprintf(a, sizeof(a), "%.5g", last);
		snprintf(b, sizeof(b), "%.5g", low);
		snprintf(d, sizeof(d), "%.5g", high);
	}
	json_array_append_new(rows, json_pack("[s,s,s,s,s]", name, a, b, d, count));
}

static void print_points(const json_t *points)
{
	size_t i;
	const json_t *point;
	json_array_foreach(points, i, point)
	{
		char time[32];
		clock_format(json_integer_value(json_array_get(point, 0)), time);
		printf("%s %lld %.17g\n", time, (long long)json_integer_value(json_array_get(point, 1)),
		       json_number_value(json_array_get(point, 2)));
	}
}

int cmd_jobs_metrics(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const struct cli_column columns[] = {
	    {"METRIC", 0}, {"LAST", 1}, {"LEAST", 1}, {"GREATEST", 1}, {"POINTS", 1}};
	CLEANUP(json) json_t *job = NULL, *answer = NULL, *rows = json_array();
	const char *name = cli_opt(a, "name"), *key;
	json_t *points;
	int r = cli_get_job(c, a->positional[0], &job, err);
	if (r < 0)
		return r;
	CLEANUP(free)
	char *suffix =
	    mem_printf("/metrics?attempt=%s&task=%s", cli_opt(a, "attempt") ? cli_opt(a, "attempt") : "0",
		       cli_opt(a, "task") ? cli_opt(a, "task") : "0");
	CLEANUP(free) char *path = job_path(cli_str(job, "id"), suffix);
	r = client_call(c->client, "GET", path, NULL, NULL, &answer, err);
	if (r < 0)
		return r;
	json_t *series = json_object_get(answer, "data");
	if (name && !json_object_get(series, name))
		return err_set(err, ERR_NOT_FOUND,
			       "the job has no metric '%s'; run 'cloudml jobs metrics %s' to see all", name,
			       a->positional[0]);
	if (c->json) {
		cli_print_json(name ? json_object_get(series, name) : answer);
	} else if (name) {
		print_points(json_object_get(series, name));
	} else if (!json_object_size(series)) {
		cli_note(c, "no metrics yet");
	} else {
		json_object_foreach(series, key, points) summarise_series(key, points, rows);
		cli_print_table(c, columns, ARRAY_LEN(columns), rows);
	}
	return 0;
}

/* One call for each name; the first error ends it. */
static int for_each_job(struct cli *c, const struct cli_args *a, const char *method, const char *suffix,
			const char *done, struct err *err)
{
	c->changed = json_array();
	for (int i = 0; i < a->count; i++) {
		CLEANUP(json) json_t *job = NULL, *answer = NULL;
		char key[33];
		cli_new_key(key);
		int r = cli_get_job(c, a->positional[i], &job, err);
		if (r < 0)
			return r;
		CLEANUP(free) char *path = job_path(cli_str(job, "id"), suffix);
		r = client_call(c->client, method, path, NULL, key, &answer, err);
		if (r < 0)
			return r;
		cli_changed(c, json_incref(answer ? answer : job), "%s %s (%s)", done, cli_str(job, "name"),
			    cli_str(job, "id"));
	}
	return 0;
}

int cmd_jobs_cancel(struct cli *c, const struct cli_args *a, struct err *err)
{
	return for_each_job(c, a, "POST", "/cancel", "cancelling", err);
}

/* A page of an array's elements at a time, until there are none. */
static int delete_elements(struct cli *c, const json_t *array, struct err *err)
{
	CLEANUP(free) char *path = mem_printf("/api/v1/jobs?limit=1000&array=%s", cli_str(array, "id"));
	for (;;) {
		CLEANUP(json) json_t *list = NULL;
		size_t i;
		const json_t *job;
		int r = client_call(c->client, "GET", path, NULL, NULL, &list, err);
		if (r < 0 || !json_array_size(json_object_get(list, "data")))
			return r;
		json_array_foreach(json_object_get(list, "data"), i, job)
		{
			char key[33];
			cli_new_key(key);
			CLEANUP(free) char *element = job_path(cli_str(job, "id"), "");
			r = client_call(c->client, "DELETE", element, NULL, key, NULL, err);
			if (r < 0)
				return r;
		}
	}
}

int cmd_jobs_delete(struct cli *c, const struct cli_args *a, struct err *err)
{
	for (int i = 0; i < a->count; i++) {
		CLEANUP(json) json_t *job = NULL;
		int r = cli_get_job(c, a->positional[i], &job, err);
		if (r >= 0 && json_object_get(job, "elements"))
			r = delete_elements(c, job, err);
		if (r < 0)
			return r;
	}
	return for_each_job(c, a, "DELETE", "", "deleted", err);
}
