/* SPDX-License-Identifier: Apache-2.0 */
/* models update, metrics, logs: what is done with a service that serves. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/cli_int.h"
#include "cli/model_spec.h"

#define WATCH_MS 2000

static volatile int interrupted;

static void on_interrupt(int signal_number)
{
	interrupted = 1;
}

static char *model_path(const char *name, const char *suffix)
{
	CLEANUP(free) char *escaped = client_escape(name, false);
	return mem_printf("/api/v1/models/%s%s", escaped, suffix);
}

/* ---- update ---- */

struct progress_view {
	struct cli *c;
	int64_t revision;
	json_t *last;
	char shown[200];
};

static bool is_over(const struct progress_view *v)
{
	const json_t *update = json_object_get(v->last, "update");
	const char *state = cli_str(v->last, "state");
	return cli_int(update, "revision") > v->revision || strcmp(cli_str(update, "state"), "rolling") ||
	       !strcmp(state, "failed") || !strcmp(state, "stopping") || !strcmp(state, "deleted");
}

/* "1 of 3 replicas are of revision 2" and what each of them does; a line when it changes. */
static void show(struct progress_view *v)
{
	char line[sizeof(v->shown)];
	size_t i, fresh = 0;
	const json_t *r, *replicas = json_object_get(v->last, "replicas");
	const char *waits = "";
	json_array_foreach(replicas, i, r)
	{
		bool is_fresh = cli_int(r, "release") == cli_int(v->last, "release");
		fresh += is_fresh && !strcmp(cli_str(r, "state"), "ready");
		if (is_fresh && *cli_str(r, "message"))
			waits = cli_str(r, "message");
	}
	snprintf(line, sizeof(line), "%zu of %lld replicas serve revision %lld%s%.100s", fresh,
		 (long long)cli_int(json_object_get(v->last, "spec"), "replicas"), (long long)v->revision,
		 *waits ? "; " : "", waits);
	if (strcmp(line, v->shown) && !v->c->json)
		cli_note(v->c, "%s", line);
	memcpy(v->shown, line, sizeof(line));
}

static int on_change(void *arg, const char *event, const json_t *data)
{
	struct progress_view *v = arg;
	if (strcmp(event, "model"))
		return 0;
	json_decref(v->last);
	v->last = json_deep_copy(data);
	show(v);
	return is_over(v) ? 1 : 0;
}

static void on_note(void *arg, const char *note)
{
	cli_note(((struct progress_view *)arg)->c, "%s", note ? note : "connected again");
}

static int wait_update(struct cli *c, const char *name, int64_t revision, json_t **ret, struct err *err)
{
	CLEANUP(free) char *path = mem_printf("/api/v1/watch?model=%s", name);
	struct progress_view v = {.c = c, .revision = revision};
	struct client_follow f = {
	    .watch_path = path, .on_change = on_change, .on_note = on_note, .arg = &v, .stop = &interrupted};
	struct sigaction sa = {.sa_handler = on_interrupt}, old;
	interrupted = 0;
	sigaction(SIGINT, &sa, &old);
	int r = client_follow(c->client, &f, err);
	sigaction(SIGINT, &old, NULL);
	const json_t *update = json_object_get(v.last, "update");
	if (r >= 0 && cli_int(update, "revision") > revision)
		r = err_set(err, ERR_CONFLICT, "revision %lld of model '%s' was overtaken by revision %lld",
			    (long long)revision, name, (long long)cli_int(update, "revision"));
	else if (r >= 0 && strcmp(cli_str(update, "state"), "done"))
		r = err_set(
		    err, ERR_STATE, "model '%s' was not updated: %s; see 'cloudml models events %s'", name,
		    *cli_str(update, "message") ? cli_str(update, "message") : cli_str(v.last, "message"),
		    name);
	if (r >= 0)
		*ret = STEAL(v.last);
	json_decref(v.last);
	return r;
}

static int changes_of(struct cli *c, const struct cli_args *a, json_t *changes, struct err *err)
{
	CLEANUP(json) json_t *job = NULL;
	const char *uri = cli_opt(a, "uri"), *job_flag = cli_opt(a, "job");
	if (uri && job_flag)
		return err_set(err, ERR_INVALID, "give either --uri URI or --job JOB");
	int r = job_flag ? cli_get_job(c, job_flag, &job, err) : 0;
	if (r >= 0)
		r = cli_model_spec(a, changes, err);
	if (r < 0)
		return r;
	if (uri)
		json_object_set_new(changes, "uri", json_string(uri));
	if (job)
		json_object_set_new(changes, "job", json_string(cli_str(job, "id")));
	return json_object_size(changes)
		   ? 0
		   : err_set(err, ERR_INVALID,
			     "nothing to change; 'cloudml models update --help' lists what can be");
}

int cmd_models_update(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *changes = json_object(), *model = NULL, *ended = NULL;
	CLEANUP(free) char *path = model_path(a->positional[0], "");
	const char *key = cli_opt(a, "idempotency-key");
	char fresh[33];
	int r = cli_connect(c, err);
	if (r >= 0)
		r = changes_of(c, a, changes, err);
	if (r < 0)
		return r;
	if (!key) {
		cli_new_key(fresh);
		key = fresh;
	}
	r = client_call(c->client, "PATCH", path, changes, key, &model, err);
	if (r < 0)
		return r;
	int64_t revision = cli_int(model, "revision");
	if (!cli_opt(a, "detach"))
		r = wait_update(c, cli_str(model, "name"), revision, &ended, err);
	if (r < 0)
		return r;
	if (c->json)
		cli_print_json(ended ? ended : model);
	else if (ended)
		cli_note(c, "model %s serves revision %lld", cli_str(model, "name"), (long long)revision);
	else
		printf("%lld\n", (long long)revision);
	return 0;
}

/* ---- metrics ---- */

static void number(const json_t *j, const char *key, char ret[32])
{
	const json_t *v = json_object_get(j, key);
	if (json_is_integer(v))
		snprintf(ret, 32, "%lld", (long long)json_integer_value(v));
	else if (json_is_number(v))
		snprintf(ret, 32, "%.3f", json_number_value(v));
	else
		snprintf(ret, 32, "-");
}

static void add_row(json_t *rows, const char *name, const json_t *j)
{
	static const char *const keys[] = {"requests", "errors", "in_flight", "p50_ms", "p99_ms"};
	json_t *row = json_pack("[s]", name);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		char text[32];
		number(j, keys[i], text);
		json_array_append_new(row, json_string(text));
	}
	json_array_append_new(row, json_string(cli_str(j, "error")));
	json_array_append_new(rows, row);
}

static int print_metrics(struct cli *c, const char *path, struct err *err)
{
	static const struct cli_column columns[] = {{"REPLICA", 0}, {"REQUESTS", 1}, {"ERRORS", 1},
						    {"NOW", 1},	    {"P50 MS", 1},   {"P99 MS", 1},
						    {"", 0}};
	CLEANUP(json) json_t *j = NULL, *rows = json_array();
	size_t i;
	const json_t *replica;
	int r = client_call(c->client, "GET", path, NULL, NULL, &j, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(j);
		return 0;
	}
	json_array_foreach(json_object_get(j, "replicas"), i, replica)
	{
		char name[32];
		snprintf(name, sizeof(name), "%lld", (long long)cli_int(replica, "replica"));
		add_row(rows, name, replica);
	}
	add_row(rows, "all", j);
	cli_print_table(c, columns, ARRAY_LEN(columns), rows);
	return 0;
}

int cmd_models_metrics(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(free) char *path = model_path(a->positional[0], "/metrics");
	bool again = cli_opt(a, "watch") != NULL;
	struct sigaction sa = {.sa_handler = on_interrupt};
	int r = cli_connect(c, err);
	if (again)
		sigaction(SIGINT, &sa, NULL);
	while (r >= 0) {
		r = print_metrics(c, path, err);
		fflush(stdout);
		if (!again || interrupted)
			break;
		struct timespec pause = {WATCH_MS / 1000, WATCH_MS % 1000 * 1000000};
		nanosleep(&pause, NULL);
		if (interrupted)
			break;
	}
	return r;
}

/* ---- logs ---- */

static int write_out(void *arg, const void *data, size_t len)
{
	size_t n = fwrite(data, 1, len, stdout);
	fflush(stdout);
	return n == len ? 0 : -1;
}

static int print_log(struct cli *c, const struct cli_args *a, const char *replica, struct err *err)
{
	CLEANUP(free) char *base = model_path(a->positional[0], "/logs");
	CLEANUP(buf) struct buf path = BUF_INIT;
	buf_printf(&path, "%s?follow=%d", base, cli_opt(a, "follow") != NULL);
	if (cli_opt(a, "tail"))
		buf_printf(&path, "&tail=%s", cli_opt(a, "tail"));
	if (cli_opt(a, "attempt"))
		buf_printf(&path, "&attempt=%s", cli_opt(a, "attempt"));
	if (replica)
		buf_printf(&path, "&replica=%s", replica);
	return client_download(c->client, buf_str(&path), write_out, NULL, err);
}

/* Of several replicas one after the other; what is followed is one of them. */
int cmd_models_logs(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *model = NULL;
	CLEANUP(free) char *path = model_path(a->positional[0], "");
	const char *chosen = cli_opt(a, "replica");
	const json_t *one;
	size_t i;
	int r = cli_connect(c, err);
	if (r < 0 || chosen || cli_opt(a, "follow") || cli_opt(a, "attempt"))
		return r < 0 ? r : print_log(c, a, chosen, err);
	r = client_call(c->client, "GET", path, NULL, NULL, &model, err);
	const json_t *replicas = json_object_get(model, "replicas");
	if (r >= 0 && json_array_size(replicas) < 2)
		return print_log(c, a, NULL, err);
	json_array_foreach(replicas, i, one)
	{
		char slot[24];
		if (r < 0)
			break;
		snprintf(slot, sizeof(slot), "%lld", (long long)cli_int(one, "replica"));
		printf("==> replica %s, attempt %lld, %s <==\n", slot, (long long)cli_int(one, "attempt"),
		       cli_str(one, "state"));
		r = print_log(c, a, slot, err);
	}
	return r;
}
