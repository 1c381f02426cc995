/* SPDX-License-Identifier: Apache-2.0 */
/* run and jobs submit: from flags, file and folder to a job. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/unit.h"
#include "cli/cli_int.h"
#include "cli/detect.h"
#include "cli/jobfile.h"
#include "cli/package.h"

/* flag, field, kind: s text, i integer */
static const struct {
	const char *flag, *field;
	char kind;
} plain_flags[] = {
    {"name", "name", 's'},
    {"cpu", "cpu", 's'},
    {"memory", "memory", 's'},
    {"gpu", "gpu", 'i'},
    {"tasks", "tasks", 'i'},
    {"prepare", "prepare_command", 's'},
    {"finish", "finish_command", 's'},
    {"retries", "max_retries", 'i'},
    {"max-duration", "max_duration", 's'},
    {"grace-period", "grace_period", 's'},
    {"hang-timeout", "hang_timeout", 's'},
    {"queue-timeout", "queue_timeout", 's'},
    {"priority", "priority", 'i'},
    {"network", "network", 's'},
    {"module", "module", 's'},
    {"kind", "package_kind", 's'},
};

static int put_flag(json_t *spec, const char *field, const char *flag, char kind, const char *value,
		    struct err *err)
{
	char *end = NULL;
	long long n = kind == 'i' ? strtoll(value, &end, 10) : 0;
	if (kind == 'i' && (!*value || *end))
		return err_set(err, ERR_INVALID, "--%s needs a whole number, not '%s'", flag, value);
	json_object_set_new(spec, field, kind == 'i' ? json_integer(n) : json_string(value));
	return json_object_get(spec, field) ? 0
					    : err_set(err, ERR_INVALID, "--%s is not valid UTF-8 text", flag);
}

/* "100" or "100%8". */
static int put_array(json_t *spec, const char *value, struct err *err)
{
	char *end = NULL;
	if (!value)
		return 0;
	json_t *array = json_object();
	json_object_set_new(spec, "array", array);
	long long count = strtoll(value, &end, 10), most = 0;
	bool is_whole = *value >= '0' && *value <= '9';
	if (is_whole && *end == '%') {
		const char *text = end + 1;
		is_whole = *text >= '0' && *text <= '9';
		most = strtoll(text, &end, 10);
		json_object_set_new(array, "max_running", json_integer(most));
	}
	if (!is_whole || *end)
		return err_set(
		    err, ERR_INVALID,
		    "--array needs a count, or a count and the most at a time: 100 or 100%%8, not '%s'",
		    value);
	json_object_set_new(array, "count", json_integer(count));
	return 0;
}

/* A point in time, or a duration from now. */
static int put_time(json_t *spec, const struct cli_args *a, const char *flag, const char *field,
		    struct err *err)
{
	struct err none = ERR_INIT;
	const char *value = cli_opt(a, flag);
	char text[32];
	int64_t ms = 0;
	if (!value)
		return 0;
	if (unit_parse_duration_ms(value, &ms, &none) >= 0)
		unit_format_time(cli_now_ms() + ms, text);
	else if (unit_parse_time_ms(value, &ms, err) >= 0)
		unit_format_time(ms, text);
	else
		return err_wrap(err, "--%s", flag);
	json_object_set_new(spec, field, json_string(text));
	return 0;
}

static int put_env(json_t *spec, const struct cli_args *a, struct err *err)
{
	const char *pair;
	for (int i = 0; (pair = cli_opt_n(a, "env", i)); i++) {
		json_t *env = json_object_get(spec, "env");
		if (!env) {
			env = json_object();
			json_object_set_new(spec, "env", env);
		}
		const char *eq = strchr(pair, '=');
		CLEANUP(free) char *key = eq ? mem_strndup(pair, (size_t)(eq - pair)) : mem_strdup(pair);
		const char *value = eq ? eq + 1 : getenv(key);
		if (!value)
			return err_set(err, ERR_INVALID,
				       "--env %s: we have no such variable; give --env %s=VALUE", key, key);
		json_object_set_new(env, key, json_string(value));
	}
	return 0;
}

static void append_all(json_t *spec, const char *field, json_t *strings)
{
	json_t *array = json_object_get(spec, field);
	if (!json_array_size(strings)) {
		json_decref(strings);
		return;
	}
	if (!array) {
		json_object_set_new(spec, field, strings);
		return;
	}
	json_array_extend(array, strings);
	json_decref(strings);
}

static json_t *option_strings(const struct cli_args *a, const char *name)
{
	json_t *array = json_array();
	const char *value;
	for (int i = 0; (value = cli_opt_n(a, name, i)); i++)
		json_array_append_new(array, json_string(value));
	return array;
}

static int spec_from_flags(const struct cli_args *a, json_t **ret, struct err *err)
{
	CLEANUP(json) json_t *spec = json_object();
	const char *file = cli_opt(a, "file");
	if (file) {
		json_decref(spec);
		spec = NULL;
		int r = jobfile_read(file, &spec, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_LEN(plain_flags); i++) {
		const char *value = cli_opt(a, plain_flags[i].flag);
		int r = value ? put_flag(spec, plain_flags[i].field, plain_flags[i].flag, plain_flags[i].kind,
					 value, err)
			      : 0;
		if (r < 0)
			return r;
	}
	if (cli_opt(a, "framework"))
		cli_put_framework(spec, cli_opt(a, "framework"));
	append_all(spec, "requirements", option_strings(a, "requirement"));
	append_all(spec, "after", option_strings(a, "after"));
	append_all(spec, "node_labels", option_strings(a, "node-label"));
	if (cli_opt(a, "preemptible"))
		json_object_set_new(spec, "preemptible", json_true());
	int r = put_env(spec, a, err);
	if (r >= 0)
		r = put_time(spec, a, "start-after", "start_after", err);
	if (r >= 0)
		r = put_time(spec, a, "deadline", "deadline", err);
	if (r >= 0)
		r = put_array(spec, cli_opt(a, "array"), err);
	if (r >= 0)
		*ret = STEAL(spec);
	return r;
}

/* A label made of what runs: "train" of train.py, "digits-train" of digits.train. */
static void default_name(json_t *spec)
{
	const json_t *command = json_object_get(spec, "command");
	const char *source = cli_str(spec, "module"), *word;
	char name[CLI_LABEL_MAX + 1];
	size_t i;
	if (json_object_get(spec, "name"))
		return;
	for (i = 0; !*source && (word = json_string_value(json_array_get(command, i))); i++)
		if (str_ends(word, ".py") || str_ends(word, ".sh"))
			source = strrchr(word, '/') ? strrchr(word, '/') + 1 : word;
	if (!*source && json_string_value(json_array_get(command, 0)))
		source = json_string_value(json_array_get(command, 0));
	if (strrchr(source, '/'))
		source = strrchr(source, '/') + 1;
	size_t len = strlen(source) - (str_ends(source, ".py") || str_ends(source, ".sh") ? 3 : 0);
	cli_label(source, len, "job", name);
	json_object_set_new(spec, "name", json_string(name));
}

struct bar {
	const struct cli *c;
	int last_percent;
};

static void upload_bar(void *arg, int64_t done, int64_t total)
{
	struct bar *b = arg;
	int percent = total ? (int)(done * 100 / total) : 100;
	char text[32];
	if (!b->c->tty_err || b->c->quiet || total < (1 << 20) || percent == b->last_percent)
		return;
	b->last_percent = percent;
	unit_format_bytes(total, text);
	fprintf(stderr, "\rupload     %3d %% of %s\033[K%s", percent, text, done >= total ? "\r\033[K" : "");
}

/* The same content is uploaded once: the key is its digest. An archive keeps its own name below it, because a
 * wheel's name says what it is. Returns owned. */
static char *package_key(const struct package *p)
{
	return p->file_name ? mem_printf("packages/%s/%s", p->sha256, p->file_name)
			    : mem_printf("packages/%s.tar.gz", p->sha256);
}

static int upload_package(struct cli *c, struct package *p, const char *org, char **ret_uri, struct err *err)
{
	CLEANUP(free) char *key = package_key(p);
	CLEANUP(free) char *key_path = client_escape(key, true), *key_query = client_escape(key, false);
	CLEANUP(free) char *path = mem_printf("/api/v1/store/%s/%s", org, key_path);
	CLEANUP(free) char *list = mem_printf("/api/v1/store/%s?prefix=%s&limit=1", org, key_query);
	CLEANUP(json) json_t *found = NULL;
	struct bar bar = {c, -1};
	char size[32], content[32];
	unit_format_bytes(p->size_bytes, size);
	unit_format_bytes(p->content_bytes, content);
	int r = client_call(c->client, "GET", list, NULL, NULL, &found, err);
	if (r < 0)
		return r;
	const json_t *first = json_array_get(json_object_get(found, "data"), 0);
	if (strcmp(cli_str(first, "key"), key)) {
		if (p->files)
			cli_note(c, "upload     %lld files, %s (packed %s)", (long long)p->files, content,
				 size);
		else
			cli_note(c, "upload     %s", size);
		if (p->largest_bytes > (100LL << 20))
			cli_note(c, "           large file '%s'; leave data out with a .cloudmlignore file",
				 p->largest);
		r = client_upload(c->client, path, p->fd, p->size_bytes, p->sha256, upload_bar, &bar, NULL,
				  err);
		if (r < 0)
			return err_wrap(err, "uploading the package");
	}
	*ret_uri = mem_printf("fds://%s/%s", org, key);
	return 0;
}

static int apply_detection(struct cli *c, json_t *spec, const char *folder, bool is_run, struct err *err)
{
	CLEANUP(json) json_t *catalogue = NULL;
	struct detected d = {0};
	int r = client_call(c->client, "GET", "/api/v1/frameworks", NULL, NULL, &catalogue, err);
	if (r >= 0)
		r = detect_folder(folder, json_object_get(catalogue, "data"), &d, err);
	if (r >= 0 && !json_object_get(spec, "framework") && d.framework) {
		json_object_set_new(spec, "framework", json_string(d.framework));
		cli_note(c, "framework  %s (imported in %s; choose another with --framework)", d.framework,
			 d.framework_file);
	}
	if (r >= 0 && !json_object_get(spec, "requirements") && json_array_size(d.requirements)) {
		json_object_set(spec, "requirements", d.requirements);
		cli_note(c, "requires   %zu packages of %s", json_array_size(d.requirements),
			 d.requirements_file);
	}
	if (r >= 0 && !json_object_get(spec, "package_kind"))
		json_object_set_new(spec, "package_kind",
				    json_string(!is_run && d.is_python_package && *cli_str(spec, "module")
						    ? "python"
						    : "folder"));
	if (r >= 0 && !json_object_get(spec, "name") && !is_run && d.project) {
		char name[CLI_LABEL_MAX + 1];
		cli_label(d.project, strlen(d.project), "job", name);
		json_object_set_new(spec, "name", json_string(name));
	}
	detected_done(&d);
	return r;
}

/* Packs and uploads what 'source' names and puts its address into the specification. */
static int add_package(struct cli *c, json_t *spec, const char *source, bool is_run, struct err *err)
{
	CLEANUP(package) struct package p = PACKAGE_INIT;
	CLEANUP(json) json_t *session = NULL;
	CLEANUP(free) char *uri = NULL;
	struct stat st;
	if (str_starts(source, "fds://") || str_starts(source, "s3://")) {
		json_object_set_new(spec, "package", json_string(source));
		return 0;
	}
	if (stat(source, &st) < 0)
		return err_set(err, ERR_NOT_FOUND, "there is no file or folder '%s'", source);
	int r;
	if (S_ISDIR(st.st_mode)) {
		r = apply_detection(c, spec, source, is_run, err);
		if (r >= 0)
			r = package_folder(source, &p, err);
	} else {
		r = package_archive(source, &p, err);
		if (r >= 0 && !json_object_get(spec, "package_kind"))
			json_object_set_new(spec, "package_kind", json_string("python"));
	}
	if (r >= 0)
		r = client_call(c->client, "GET", "/api/v1/session", NULL, NULL, &session, err);
	if (r >= 0)
		r = upload_package(c, &p, cli_str(session, "org"), &uri, err);
	if (r >= 0)
		json_object_set_new(spec, "package", json_string(uri));
	return r;
}

static int submit(struct cli *c, const struct cli_args *a, json_t *spec, struct err *err)
{
	CLEANUP(json) json_t *job = NULL;
	char fresh[33];
	const char *key = cli_opt(a, "idempotency-key");
	if (!key) {
		cli_new_key(fresh);
		key = fresh;
	}
	int r = client_call(c->client, "POST", "/api/v1/jobs", spec, key, &job, err);
	if (r < 0)
		return r;
	bool detach = cli_opt(a, "detach") != NULL;
	if (detach && c->json)
		cli_print_json(job);
	else if (detach)
		puts(cli_str(job, "id"));
	if (!detach)
		return cli_attach_job(c, job, err);
	CLEANUP(free) char *follow = mem_printf("cloudml jobs attach %s", cli_str(job, "id"));
	cli_hint(c, follow, "watch it");
	return 0;
}

int cmd_run(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *spec = NULL;
	int r = spec_from_flags(a, &spec, err);
	if (r < 0)
		return r;
	if (a->rest && a->rest[0]) {
		json_object_del(spec, "module");
		json_object_del(spec, "args");
		json_object_set_new(spec, "command", json_from_strings(a->rest));
	} else if (!json_object_get(spec, "command") && !json_object_get(spec, "module")) {
		return err_set(err, ERR_INVALID,
			       "nothing to run; for example: cloudml run -- python train.py");
	}
	default_name(spec);
	r = cli_connect(c, err);
	if (r >= 0 && !json_object_get(spec, "package"))
		r = add_package(c, spec, ".", true, err);
	return r < 0 ? r : submit(c, a, spec, err);
}

/* The specification of 'submit' and 'cron create': flags, file, and a package when 'source' names one. */
static int spec_of_args(struct cli *c, const struct cli_args *a, const char *source, json_t **ret,
			struct err *err)
{
	CLEANUP(json) json_t *spec = NULL;
	int r = spec_from_flags(a, &spec, err);
	if (r < 0)
		return r;
	append_all(spec, "args", option_strings(a, "arg"));
	json_t *rest = json_from_strings(a->rest);
	append_all(spec,
		   json_object_get(spec, "module") || json_object_get(spec, "command") ? "args" : "command",
		   rest);
	if (!json_object_get(spec, "module") && !json_object_get(spec, "command"))
		return err_set(err, ERR_INVALID,
			       "nothing to run; give --module MODULE, or a command after '--'");
	r = cli_connect(c, err);
	source = source ? source : cli_str(spec, "package");
	if (r >= 0 && *source)
		r = add_package(c, spec, source, false, err);
	if (r >= 0)
		*ret = STEAL(spec);
	return r;
}

int cli_spec_of_args(struct cli *c, const struct cli_args *a, json_t **ret, struct err *err)
{
	return spec_of_args(c, a, cli_opt(a, "package"), ret, err);
}

int cmd_jobs_submit(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *spec = NULL;
	if (cli_opt(a, "batch"))
		return cli_submit_batch(c, a, err);
	int r = spec_of_args(c, a, a->count ? a->positional[0] : NULL, &spec, err);
	if (r < 0)
		return r;
	default_name(spec);
	return submit(c, a, spec, err);
}
