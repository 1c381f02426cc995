/* SPDX-License-Identifier: Apache-2.0 */
/* serve, models create, list, describe, predict, delete. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/unit.h"
#include "cli/cli_int.h"
#include "cli/model_spec.h"

#define REQUEST_BYTES_MAX (64 << 20)

static char *model_path(const char *name, const char *suffix)
{
	CLEANUP(free) char *escaped = client_escape(name, false);
	return mem_printf("/api/v1/models/%s%s", escaped, suffix);
}

static int get_model(struct cli *c, const char *name, json_t **ret, struct err *err)
{
	CLEANUP(free) char *path = model_path(name, "");
	int r = cli_connect(c, err);
	return r < 0 ? r : client_call(c->client, "GET", path, NULL, NULL, ret, err);
}

static const json_t *default_signature(const json_t *metadata)
{
	const json_t *all = json_object_get(
	    json_object_get(json_object_get(metadata, "metadata"), "signature_def"), "signature_def");
	return json_object_get(all, "serving_default");
}

/* Nested lists of zeros of the input's shape without its batch dimension; unknown dimensions become 1. */
static json_t *example_value(const json_t *dims, size_t level, const char *dtype)
{
	if (level >= json_array_size(dims))
		return !strcmp(dtype, "DT_STRING") ? json_string("")
		       : !strcmp(dtype, "DT_BOOL") ? json_false()
		       : strstr(dtype, "INT")	   ? json_integer(0)
						   : json_real(0.0);
	const char *size_text = cli_str(json_array_get(dims, level), "size");
	long long size = *size_text ? atoll(size_text) : cli_int(json_array_get(dims, level), "size");
	json_t *list = json_array();
	for (long long i = 0; i < (size < 1 ? 1 : size > 4096 ? 4096 : size); i++)
		json_array_append_new(list, example_value(dims, level + 1, dtype));
	return list;
}

/* {"instances": […]} for the signature in the metadata; owned, NULL when unknown. */
static json_t *example_request(const json_t *metadata)
{
	const json_t *inputs = json_object_get(default_signature(metadata), "inputs");
	json_t *row = json_object(), *input;
	const char *name;
	if (!json_object_size(inputs)) {
		json_decref(row);
		return NULL;
	}
	json_object_foreach((json_t *)inputs, name, input)
	{
		const json_t *dims = json_object_get(json_object_get(input, "tensor_shape"), "dim");
		json_object_set_new(row, name, example_value(dims, 1, cli_str(input, "dtype")));
	}
	if (json_object_size(row) == 1) {
		json_t *bare = json_incref(json_object_iter_value(json_object_iter(row)));
		json_decref(row);
		row = bare;
	}
	return json_pack("{s:[o]}", "instances", row);
}

static void print_tensors(const char *title, const json_t *tensors)
{
	const char *name;
	json_t *t;
	json_object_foreach((json_t *)tensors, name, t)
	{
		const json_t *dims = json_object_get(json_object_get(t, "tensor_shape"), "dim");
		size_t i;
		const json_t *d;
		printf("%-10s", title);
		cli_print_safe(stdout, name);
		printf(": %s [", cli_str(t, "dtype") + (str_starts(cli_str(t, "dtype"), "DT_") ? 3 : 0));
		json_array_foreach(dims, i, d)
		{
			const char *size = cli_str(d, "size");
			printf("%s%s", i ? ", " : "", *size ? !strcmp(size, "-1") ? "?" : size : "?");
		}
		puts("]");
	}
}

static void print_snippets(const struct cli *c, const json_t *model, const json_t *metadata)
{
	CLEANUP(json) json_t *example = example_request(metadata);
	CLEANUP(free) char *text = example ? json_dumps(example, JSON_COMPACT) : NULL;
	const char *name = cli_str(model, "name"), *url = cli_str(model, "http_url");
	if (text && strlen(text) <= 400)
		printf("\ncurl -d '%s' %s:predict\n", text, url);
	else
		printf("\ncurl -d @request.json %s:predict      # {\"instances\": [...]}\n", url);
	printf("\nimport json, urllib.request\n"
	       "body = json.dumps(%s).encode()\n"
	       "print(urllib.request.urlopen(\"%s:predict\", body).read().decode())\n\n",
	       text && strlen(text) <= 400 ? text : "{\"instances\": rows}", url);
	fflush(stdout);
	CLEANUP(free) char *predict = mem_printf("cloudml models predict %s", name);
	CLEANUP(free) char *grpc = mem_printf("cloudml models predict %s --grpc -f FILE", name);
	CLEANUP(free) char *delete = mem_printf("cloudml models delete %s", name);
	cli_hint(c, predict, "ask it with an example");
	cli_hint(c, grpc, "ask over gRPC with your own request");
	cli_hint(c, delete, "stop it");
}

static void print_rollout(const struct cli *c, const json_t *model)
{
	const json_t *update = json_object_get(model, "update"), *spec = json_object_get(model, "spec"), *r;
	const char *state = cli_str(update, "state");
	size_t i;
	if (*cli_str(spec, "weights"))
		printf("%-10s%s\n", "weights", cli_str(spec, "weights"));
	if (strcmp(state, "none"))
		printf("%-10srevision %lld, %s%s%s\n", "update", (long long)cli_int(update, "revision"),
		       state, *cli_str(update, "message") ? ": " : "", cli_str(update, "message"));
	json_array_foreach(json_object_get(model, "replicas"), i, r)
	{
		printf("%-10s%lld %s%s%s (release %lld, attempt %lld)%s", i ? "" : "replicas",
		       (long long)cli_int(r, "replica"), cli_color(c, cli_str(r, "state")),
		       cli_str(r, "state"), cli_color_end(c), (long long)cli_int(r, "release"),
		       (long long)cli_int(r, "attempt"), *cli_str(r, "message") ? ": " : "");
		cli_print_safe(stdout, cli_str(r, "message"));
		puts("");
	}
}

static void print_model_help(const struct cli *c, const json_t *model, const json_t *metadata)
{
	const json_t *signature = default_signature(metadata);
	printf("%-10s%s%s%s\n", "model", cli_color(c, "bold"), cli_str(model, "name"), cli_color_end(c));
	printf("%-10s%s%s%s%s%s\n", "state", cli_color(c, cli_str(model, "state")), cli_str(model, "state"),
	       cli_color_end(c), *cli_str(model, "message") ? ": " : "", cli_str(model, "message"));
	if (*cli_str(model, "address"))
		printf("%-10s%s (HTTP and gRPC)\n", "address", cli_str(model, "address"));
	print_rollout(c, model);
	print_tensors("input", json_object_get(signature, "inputs"));
	print_tensors("output", json_object_get(signature, "outputs"));
	if (!strcmp(cli_str(model, "state"), "ready"))
		print_snippets(c, model, metadata);
}

static int show_model(struct cli *c, const json_t *model, struct err *err)
{
	CLEANUP(json) json_t *metadata = NULL;
	CLEANUP(free) char *path = model_path(cli_str(model, "name"), "/metadata");
	if (!strcmp(cli_str(model, "state"), "ready")) {
		int r = client_call(c->client, "GET", path, NULL, NULL, &metadata, err);
		if (r < 0)
			return r;
	}
	if (c->json) {
		CLEANUP(json) json_t *copy = json_deep_copy(model);
		if (metadata)
			json_object_set(copy, "metadata", metadata);
		cli_print_json(copy);
		return 0;
	}
	print_model_help(c, model, metadata);
	return 0;
}

static void put_text(json_t *spec, const char *field, const char *value)
{
	if (value)
		json_object_set_new(spec, field, json_string(value));
}

/* A label from an address: the last folder that is no number and not "model" or "output". */
static char *name_of_uri(const char *uri)
{
	CLEANUP(free) char *copy = mem_strdup(strstr(uri, "://") ? strstr(uri, "://") + 3 : uri);
	char *best = NULL, *save = NULL;
	for (char *s = strtok_r(copy, "/", &save); s; s = strtok_r(NULL, "/", &save))
		if (strspn(s, "0123456789") != strlen(s) && strcmp(s, "model") && strcmp(s, "output"))
			best = s;
	const char *source = best ? best : "";
	char *name = mem_alloc(CLI_LABEL_MAX + 1);
	cli_label(source, strlen(source) - (str_ends(source, ".onnx") ? 5 : 0), "model", name);
	return name;
}

/* A service of the same name and source that lives already is what was asked for. */
static bool already_there(struct cli *c, const json_t *spec, json_t **ret)
{
	json_t *found = NULL;
	if (get_model(c, cli_str(spec, "name"), &found, NULL) < 0)
		return false;
	const json_t *theirs = json_object_get(found, "spec");
	const char *uri = cli_str(theirs, "uri"), *job = cli_str(spec, "job");
	CLEANUP(free) char *part = mem_printf("/jobs/%s/", job);
	bool same = *job ? strstr(uri, part) != NULL : !strcmp(uri, cli_str(spec, "uri"));
	if (same && strcmp(cli_str(found, "state"), "failed") &&
	    strcmp(cli_str(found, "state"), "stopping")) {
		*ret = found;
		return true;
	}
	json_decref(found);
	return false;
}

static int create(struct cli *c, const struct cli_args *a, json_t *spec, struct err *err)
{
	CLEANUP(json) json_t *model = NULL, *ready = NULL;
	char fresh[33];
	const char *key = cli_opt(a, "idempotency-key");
	int r = cli_model_spec(a, spec, err);
	if (r < 0)
		return r;
	if (!key) {
		cli_new_key(fresh);
		key = fresh;
	}
	if (!already_there(c, spec, &model)) {
		r = client_call(c->client, "POST", "/api/v1/models", spec, key, &model, err);
		if (r < 0)
			return r;
	}
	if (cli_opt(a, "detach")) {
		if (c->json)
			cli_print_json(model);
		else
			puts(cli_str(model, "name"));
		return 0;
	}
	r = cli_wait_model(c, cli_str(model, "name"), &ready, err);
	return r < 0 ? r : show_model(c, ready, err);
}

int cmd_serve(struct cli *c, const struct cli_args *a, struct err *err)
{
	const char *what = a->positional[0];
	CLEANUP(json) json_t *spec = json_object(), *job = NULL;
	CLEANUP(free) char *name = NULL;
	int r = cli_connect(c, err);
	if (r < 0)
		return r;
	if (strstr(what, "://")) {
		put_text(spec, "uri", what);
		name = name_of_uri(what);
	} else {
		r = cli_get_job(c, what, &job, err);
		if (r < 0)
			return r;
		put_text(spec, "job", cli_str(job, "id"));
		name = mem_strdup(cli_str(job, "name"));
	}
	put_text(spec, "name", cli_opt(a, "name") ? cli_opt(a, "name") : name);
	return create(c, a, spec, err);
}

int cmd_models_create(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *spec = json_object(), *job = NULL;
	const char *uri = cli_opt(a, "uri"), *job_flag = cli_opt(a, "job");
	if (!uri == !job_flag)
		return err_set(err, ERR_INVALID, "give either --uri URI or --job JOB");
	int r = cli_connect(c, err);
	if (r >= 0 && job_flag)
		r = cli_get_job(c, job_flag, &job, err);
	if (r < 0)
		return r;
	put_text(spec, "name", a->positional[0]);
	put_text(spec, "uri", uri);
	if (job)
		put_text(spec, "job", cli_str(job, "id"));
	return create(c, a, spec, err);
}

int cmd_models_list(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const struct cli_column columns[] = {{"NAME", 0},    {"STATE", 0},    {"READY", 0},
						    {"ADDRESS", 0}, {"RESTARTS", 1}, {"AGE", 1},
						    {"SOURCE", 0}};
	CLEANUP(json) json_t *list = NULL, *rows = json_array();
	size_t i;
	const json_t *m;
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", "/api/v1/models", NULL, NULL, &list, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(list);
		return 0;
	}
	json_array_foreach(json_object_get(list, "data"), i, m)
	{
		char age[32], restarts[24], ready[48];
		cli_format_age(cli_int(m, "created_ms"), age);
		snprintf(restarts, sizeof(restarts), "%lld", (long long)cli_int(m, "restarts"));
		snprintf(ready, sizeof(ready), "%lld/%lld", (long long)cli_int(m, "replicas_ready"),
			 (long long)cli_int(json_object_get(m, "spec"), "replicas"));
		if (cli_opt(a, "ids"))
			puts(cli_str(m, "name"));
		json_array_append_new(rows,
				      json_pack("[s,s,s,s,s,s,s]", cli_str(m, "name"), cli_str(m, "state"),
						ready, cli_str(m, "address"), restarts, age,
						cli_str(json_object_get(m, "spec"), "uri")));
	}
	if (cli_opt(a, "ids"))
		return 0;
	if (!json_array_size(rows))
		cli_note(c, "no models; serve one with 'cloudml serve JOB'");
	else
		cli_print_table(c, columns, ARRAY_LEN(columns), rows);
	return 0;
}

int cmd_models_describe(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *model = NULL;
	int r = get_model(c, a->positional[0], &model, err);
	return r < 0 ? r : show_model(c, model, err);
}

int cmd_models_delete(struct cli *c, const struct cli_args *a, struct err *err)
{
	int r = cli_connect(c, err);
	c->changed = json_array();
	for (int i = 0; i < a->count && r >= 0; i++) {
		CLEANUP(free) char *path = model_path(a->positional[i], "");
		CLEANUP(json) json_t *answer = NULL;
		char key[33];
		cli_new_key(key);
		r = client_call(c->client, "DELETE", path, NULL, key, &answer, err);
		if (r >= 0)
			cli_changed(c, json_incref(answer), "stopping %s", a->positional[i]);
	}
	return r;
}

static int read_request(const char *file, const json_t *metadata, json_t **ret, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	if (!file) {
		*ret = example_request(metadata);
		return *ret ? 0
			    : err_set(err, ERR_INVALID,
				      "the model says nothing of its inputs; give a request with --file");
	}
	int r = !strcmp(file, "-") ? fd_read_all(0, REQUEST_BYTES_MAX, &text, err)
				   : fd_read_file(AT_FDCWD, file, REQUEST_BYTES_MAX, &text, err);
	if (r >= 0)
		r = json_parse(buf_str(&text), text.len, REQUEST_BYTES_MAX, ret, err);
	if (r < 0)
		return err_wrap(err, "reading the request");
	*ret = cli_model_request(*ret, metadata, err);
	return *ret ? 0 : -err->code;
}

int cmd_models_predict(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *model = NULL, *metadata = NULL, *request = NULL, *answer = NULL;
	CLEANUP(free) char *metadata_path = model_path(a->positional[0], "/metadata");
	CLEANUP(free) char *predict_path = model_path(a->positional[0], "/predict");
	bool grpc = cli_opt(a, "grpc") != NULL, needs_metadata = grpc || !cli_opt(a, "file");
	int r = get_model(c, a->positional[0], &model, err);
	if (r >= 0 && needs_metadata)
		r = client_call(c->client, "GET", metadata_path, NULL, NULL, &metadata, err);
	if (r >= 0)
		r = read_request(cli_opt(a, "file"), metadata, &request, err);
	if (r < 0)
		return r;
	int64_t start = clock_monotonic_ns();
	if (grpc)
		r = client_grpc_predict(cli_str(model, "grpc_address"), cli_str(model, "name"), metadata,
					request, &answer, err);
	else
		r = client_call(c->client, "POST", predict_path, request, NULL, &answer, err);
	if (r < 0)
		return r;
	double took_ms = (double)(clock_monotonic_ns() - start) / 1e6;
	if (!cli_opt(a, "file") && !c->json) {
		CLEANUP(free) char *text = json_dumps(request, JSON_COMPACT);
		cli_note(c, "asked %.300s%s", text, strlen(text) > 300 ? " ..." : "");
	}
	cli_print_json(answer);
	if (!c->json)
		cli_note(c, "answered over %s in %.1f ms", grpc ? "gRPC" : "HTTP", took_ms);
	return 0;
}
