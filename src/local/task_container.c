/* SPDX-License-Identifier: Apache-2.0 */
/* The container of a task. */
#include "local/task_container.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "core/store_layout.h"
#include "local/env_key.h"
#include "local/env_plugin.h"
#include "local/exit_record.h"
#include "local/package_script.h"
#include "local/store_relay.h"
#include "local/tensorboard.h"

/* init waits this long after SIGTERM before it kills; the shim kills earlier, when the wish to stop says so.
 */
#define INIT_GRACE_MS (3600 * 1000)
#define GANG_PORT 2222 /* of the first task; the next ones follow */
#define GANG_MASTER_PORT 29500

/* Takes s; it lives as long as c. */
static char *keep(struct task_container *c, char *s)
{
	c->strings = mem_realloc(c->strings, (c->string_count + 1) * sizeof(*c->strings));
	return c->strings[c->string_count++] = s;
}

static void add_mount(struct task_container *c, const char *source, const char *target, bool writable)
{
	if (c->spec.mount_count == TASK_CONTAINER_MOUNTS_MAX)
		abort();
	c->mounts[c->spec.mount_count++] =
	    (struct container_mount){.source = source, .target = target, .writable = writable};
}

/* NULL-terminated fixed arguments, then the lists that are not NULL. */
static void add_stage(struct task_container *c, const char *name, bool always, const char *const *fixed,
		      char *const *more, char *const *rest)
{
	size_t i = c->spec.stage_count++, n = 0, count = 1;
	if (i == TASK_CONTAINER_STAGES_MAX)
		abort();
	for (const char *const *p = fixed; p && *p; p++)
		count++;
	count += (more ? strings_count(more) : 0) + (rest ? strings_count(rest) : 0);
	char **argv = mem_alloc(count * sizeof(*argv));
	for (const char *const *p = fixed; p && *p; p++)
		argv[n++] = (char *)*p;
	for (char *const *p = more; p && *p; p++)
		argv[n++] = *p;
	for (char *const *p = rest; p && *p; p++)
		argv[n++] = *p;
	c->argv[i] = argv;
	c->stages[i] = (struct container_stage){.name = name, .argv = argv, .cwd = "/work", .always = always};
}

static int make_writable(struct task_container *c, const struct task_container_config *config, char *path,
			 const char *target, struct err *err)
{
	keep(c, path);
	int r = path_make_absolute_dirs(path, 0755, err);
	if (r < 0)
		return r;
	uid_t uid = (uid_t)config->plan->uid_base + CONTAINER_UID;
	if (lchown(path, uid, uid) < 0 || chmod(path, 0700) < 0)
		return err_sys(err, errno, "cannot give '%s' to the job's user", path);
	add_mount(c, path, target, true);
	return 0;
}

static int mount_self(struct task_container *c, struct err *err)
{
	char *self = NULL;
	int r = path_of_program(&self, err);
	if (r < 0)
		return r;
	add_mount(c, keep(c, self), "/.cloudml/cloudml", false);
	return 0;
}

static void set_threads(struct task_container *c, const struct resources *limits)
{
	static const char *const names[] = {
	    "OMP_NUM_THREADS",	      "OPENBLAS_NUM_THREADS",	"MKL_NUM_THREADS",  "NUMEXPR_NUM_THREADS",
	    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "RAYON_NUM_THREADS"};
	long long threads = (limits->cpu_milli + 999) / 1000;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		env_vars_set(&c->vars, "%s=%lld", names[i], threads > 0 ? threads : 1);
}

/* A program that brings its own credentials or another place keeps them whole: never half of each. */
static bool has_own_store(char *const *env)
{
	static const char *const names[] = {"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_PROFILE=",
					    "AWS_ENDPOINT_URL=", "AWS_ENDPOINT_URL_S3="};
	for (; env && *env; env++)
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			if (strncmp(*env, names[i], strlen(names[i])) == 0)
				return true;
	return false;
}

/* The way to the store that the shim opens, and the program's key for it. */
static void set_store(struct task_container *c, const struct task_container_config *config)
{
	static const char *const places[][2] = {{"CLOUDML_OUTPUT_URI", STORE_JOB_OUTPUT},
						{"CLOUDML_CHECKPOINT_URI", STORE_JOB_CHECKPOINTS},
						{"CLOUDML_TENSORBOARD_URI", STORE_JOB_TENSORBOARD}};
	const struct task_spec *spec = config->spec;
	char text[STORE_JOB_URI_MAX];
	for (size_t i = 0; spec->kind == TASK_JOB && i < ARRAY_LEN(places); i++) {
		store_job_uri(spec->org, spec->owner, places[i][1], text);
		if (i == 0 && spec->index > 0) /* where its /output goes */
			env_vars_set(&c->vars, "%s=%s/task-%lld/", places[i][0], text,
				     (long long)spec->index);
		else
			env_vars_set(&c->vars, "%s=%s/", places[i][0], text);
	}
	if (!config->store_secret || has_own_store(spec->env))
		return;
	/* Tasks of a gang have one loopback, and each its own way out of it. */
	int port = STORE_RELAY_PORT + (int)spec->index;
	store_job_key(spec->owner, spec->attempt, text);
	env_vars_set(&c->vars, "AWS_ACCESS_KEY_ID=%s", text);
	env_vars_set(&c->vars, "AWS_SECRET_ACCESS_KEY=%s", config->store_secret);
	env_vars_set(&c->vars, "AWS_ENDPOINT_URL=http://127.0.0.1:%d", port);
	env_vars_set(&c->vars, "CLOUDML_S3_ENDPOINT=http://127.0.0.1:%d", port);
	if (!env_vars_has(&c->vars, "AWS_DEFAULT_REGION"))
		env_vars_set(&c->vars, "AWS_DEFAULT_REGION=us-east-1");
	env_vars_no_proxy(&c->vars, "127.0.0.1");
	c->spec.inside_port = port;
	c->spec.inside_fd = &c->store_fd;
}

/* How the tasks of a gang find each other: as TensorFlow (TF_CONFIG) and PyTorch (env://) expect it. All have
 * one loopback interface, and so differ by port. What the specification sets is kept. */
static void set_gang(struct task_container *c, const struct task_spec *spec)
{
	CLEANUP(json) json_t *workers = json_array();
	for (int64_t i = 0; i < spec->tasks; i++) {
		char address[32];
		snprintf(address, sizeof(address), "127.0.0.1:%d", GANG_PORT + (int)i);
		json_array_append_new(workers, json_string(address));
	}
	CLEANUP(json)
	json_t *config = json_pack("{s:{s:O}, s:{s:s, s:I}}", "cluster", "worker", workers, "task", "type",
				   "worker", "index", (json_int_t)spec->index);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write(config, &text);
	env_vars_set(&c->vars, "TF_CONFIG=%s", buf_str(&text));
	env_vars_set(&c->vars, "MASTER_ADDR=127.0.0.1");
	env_vars_set(&c->vars, "MASTER_PORT=%d", GANG_MASTER_PORT);
	env_vars_set(&c->vars, "RANK=%lld", (long long)spec->index);
	env_vars_set(&c->vars, "WORLD_SIZE=%lld", (long long)spec->tasks);
	env_vars_set(&c->vars, "LOCAL_RANK=0");
	env_vars_set(&c->vars, "GLOO_SOCKET_IFNAME=lo");
	env_vars_no_proxy(&c->vars, "127.0.0.1");
}

static void set_variables(struct task_container *c, const struct task_container_config *config)
{
	const struct task_spec *spec = config->spec;
	static char *const fixed[] = {"PATH=/work/.packages/bin:/env/bin:/usr/bin:/bin",
				      "VIRTUAL_ENV=/env",
				      "HOME=/work",
				      "LANG=C.UTF-8",
				      "PYTHONUNBUFFERED=1",
				      "PYTHONPATH=/work/.packages",
				      "PYTHONDONTWRITEBYTECODE=1",
				      "TMPDIR=/tmp",
				      NULL};
	env_vars_set_all(&c->vars, fixed);
	if (spec->network == NETWORK_EGRESS)
		env_vars_pass_network(&c->vars);
	set_threads(c, &c->spec.limits);
	env_vars_set_all(&c->vars, config->plan->env);
	if (spec->kind == TASK_JOB && spec->tasks > 1)
		set_gang(c, spec);
	env_vars_set_all(&c->vars, spec->env);
	env_vars_set(&c->vars, "CLOUDML_ATTEMPT=%lld", (long long)spec->attempt);
	if (spec->kind == TASK_JOB) {
		env_vars_set(&c->vars, "CLOUDML_JOB_ID=%s", spec->owner);
		env_vars_set(&c->vars, "CLOUDML_TASK_INDEX=%lld", (long long)spec->index);
		env_vars_set(&c->vars, "CLOUDML_TASK_COUNT=%lld", (long long)spec->tasks);
		env_vars_set(&c->vars, "CLOUDML_ROLE=%s", spec->tasks > 1 ? "worker" : "main");
		env_vars_set(&c->vars, "CLOUDML_OUTPUT_DIR=/output");
		env_vars_set(&c->vars, "CLOUDML_CHECKPOINT_DIR=/checkpoints");
		set_store(c, config);
	} else if (spec->kind == TASK_TENSORBOARD) {
		env_vars_set(&c->vars, "LISTEN_FDS=2");
		set_store(c, config);
	} else {
		env_vars_set(&c->vars, "CLOUDML_MODEL_ID=%s", spec->owner);
		env_vars_set(&c->vars, "LISTEN_FDS=3");
	}
}

static void set_limits(struct task_container *c, const struct task_spec *spec)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES);
	c->spec.limits = spec->limits;
	if (c->spec.limits.cpu_milli <= 0)
		c->spec.limits.cpu_milli = (cores > 0 ? cores : 1) * 1000;
	if (c->spec.limits.memory_bytes <= 0)
		c->spec.limits.memory_bytes = (int64_t)pages * sysconf(_SC_PAGESIZE);
	if (c->spec.limits.gpu < 0)
		c->spec.limits.gpu = 0;
	c->spec.max_processes = spec->max_processes > 0 ? spec->max_processes : 1024;
}

/* The one file in FOLDER/package; NULL when there is none. Returns owned. */
static char *package_name(const char *folder)
{
	CLEANUP(free) char *path = mem_printf("%s/package", folder);
	CLEANUP(dir) DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));)
		if (e->d_name[0] != '.')
			return mem_strdup(e->d_name);
	return NULL;
}

static int plan_package(struct task_container *c, const struct task_container_config *config, struct err *err)
{
	const struct task_spec *spec = config->spec;
	CLEANUP(free) char *name = package_name(config->folder);
	if (!name)
		return err_set(err, ERR_NOT_FOUND, "the package '%s' is gone from the task's folder",
			       spec->package);
	add_mount(c, keep(c, mem_printf("%s/package", config->folder)), "/.cloudml/package", false);
	bool python = spec->package_kind && strcmp(spec->package_kind, "python") == 0;
	if (!python || !str_ends(name, ".whl")) {
		const char *unpack[] = {"/.cloudml/cloudml", "unpack", "/.cloudml/package",
					python ? "/work/.source" : "/work", NULL};
		int r = mount_self(c, err);
		if (r < 0)
			return r;
		add_stage(c, STAGE_UNPACK, false, unpack, NULL, NULL);
	}
	if (python) {
		char *uv = NULL;
		int r = env_find_uv(&uv, err);
		if (r < 0)
			return r;
		add_mount(c, keep(c, uv), "/.cloudml/uv", false);
		const char *source = str_ends(name, ".whl")
					 ? keep(c, mem_printf("/.cloudml/package/%s", name))
					 : "/work/.source";
		const char *install[] = {"/bin/sh", "-c", package_install_script, "install", source, NULL};
		add_stage(c, STAGE_INSTALL, false, install, NULL, NULL);
	}
	if (spec->module && *spec->module) {
		const char *check[] = {"/env/bin/python", "-c", package_check_script, spec->module, NULL};
		add_stage(c, STAGE_CHECK, false, check, NULL, NULL);
	}
	return 0;
}

static int plan_job(struct task_container *c, const struct task_container_config *config, struct err *err)
{
	const struct task_spec *spec = config->spec;
	int r = make_writable(c, config, mem_printf("%s/work", config->folder), "/work", err);
	if (r == 0)
		r = make_writable(c, config, mem_printf("%s/output", config->folder), "/output", err);
	if (r == 0)
		r = make_writable(c, config,
				  mem_printf("%s/checkpoints/%s", config->data_folder, spec->owner),
				  "/checkpoints", err);
	char *plugin = env_plugin_find();
	if (plugin)
		add_mount(c, keep(c, plugin), ENV_PLUGIN_TARGET, false);
	if (r == 0 && spec->package && *spec->package)
		r = plan_package(c, config, err);
	if (r < 0)
		return r;
	const char *shell[] = {"/bin/sh", "-c", spec->prepare_command, NULL};
	if (spec->prepare_command && *spec->prepare_command)
		add_stage(c, STAGE_PREPARE, false, shell, NULL, NULL);
	const char *module[] = {"/env/bin/python", "-u", "-m", spec->module, NULL};
	if (spec->module && *spec->module)
		add_stage(c, STAGE_RUN, false, module, spec->args, NULL);
	else
		add_stage(c, STAGE_RUN, false, NULL, spec->command, spec->args);
	shell[2] = spec->finish_command;
	if (spec->finish_command && *spec->finish_command)
		add_stage(c, STAGE_FINISH, true, shell, NULL, NULL);
	return 0;
}

static int plan_model(struct task_container *c, const struct task_container_config *config, struct err *err)
{
	char *program = NULL;
	int r = container_find_program("cloudml-serving", &program, err);
	if (r < 0)
		return r;
	add_mount(c, keep(c, program), "/.cloudml/cloudml-serving", false);
	add_mount(c, keep(c, mem_printf("%s/model", config->folder)), "/model", false);
	r = make_writable(c, config, mem_printf("%s/work", config->folder), "/work", err);
	if (r < 0)
		return r;
	const char *common[] = {"/.cloudml/cloudml-serving",
				"--listen_fd",
				"3",
				"--ready_fd",
				"4",
				"--control_fd",
				"5",
				"--drain_timeout",
				"50s",
				"--drain_idle",
				"2s",
				"--runtime_path",
				"/env",
				NULL};
	const char *by_path[] = {"--model_name",
				 config->spec->model_name ? config->spec->model_name : "model",
				 "--model_base_path", "/model", NULL};
	const char *by_config[] = {"--model_config_file", "/.cloudml/serving.config", NULL};
	if (config->has_config)
		add_mount(c, keep(c, mem_printf("%s/" FOLDER_SERVING_CONFIG, config->folder)), by_config[1],
			  false);
	add_stage(c, STAGE_SERVE, false, common, (char *const *)(config->has_config ? by_config : by_path),
		  NULL);
	c->fds[0] = config->listen_fd;
	c->fds[1] = config->ready_fd;
	c->fds[2] = config->control_fd;
	c->spec.fds = c->fds;
	c->spec.fd_count = 3;
	return 0;
}

/* No port: it takes connections from the socket in its folder alone. */
static int plan_tensorboard(struct task_container *c, const struct task_container_config *config,
			    struct err *err)
{
	const struct task_spec *spec = config->spec;
	if (!config->store_secret)
		return err_set(
		    err, ERR_UNSUPPORTED,
		    "TensorBoard reads the store, whose S3 gateway is switched off (--s3-listen off)");
	int r = make_writable(c, config, mem_printf("%s/work", config->folder), "/work", err);
	if (r < 0)
		return r;
	const char *argv[] = {"/env/bin/python",
			      "-c",
			      keep(c, mem_strndup((const char *)tensorboard_source, tensorboard_source_len)),
			      spec->model_name,
			      spec->model_uri,
			      NULL};
	add_stage(c, STAGE_SERVE, false, argv, NULL, NULL);
	c->fds[0] = config->ready_fd;
	c->fds[1] = config->control_fd;
	c->spec.fds = c->fds;
	c->spec.fd_count = 2;
	return 0;
}

void task_container_network_name(const struct task_spec *spec, char ret[TASK_NAME_MAX + 1])
{
	snprintf(ret, TASK_NAME_MAX + 1, "%s-%lld", spec->owner, (long long)spec->attempt);
}

int task_container_make(struct task_container *c, const struct task_container_config *config, struct err *err)
{
	const struct task_spec *spec = config->spec;
	*c = (struct task_container){.store_fd = -1};
	c->spec.name = spec->name;
	c->spec.folder = config->folder;
	c->spec.hostname = spec->owner;
	c->spec.stages = c->stages;
	c->spec.mounts = c->mounts;
	c->spec.network = spec->kind == TASK_JOB ? spec->network : NETWORK_NONE;
	if (spec->kind == TASK_JOB && spec->tasks > 1) {
		task_container_network_name(spec, c->network_name);
		c->spec.network_name = c->network_name;
	}
	c->spec.uid_base = (uid_t)config->plan->uid_base;
	c->spec.grace_ms = INIT_GRACE_MS;
	set_limits(c, spec);
	add_mount(c, config->env_path, "/env", false);
	int r = spec->kind == TASK_MODEL	 ? plan_model(c, config, err)
		: spec->kind == TASK_TENSORBOARD ? plan_tensorboard(c, config, err)
						 : plan_job(c, config, err);
	set_variables(c, config);
	c->spec.env = c->vars.items;
	return r;
}

void task_container_done(struct task_container *c)
{
	for (size_t i = 0; i < c->string_count; i++)
		free(c->strings[i]);
	free(c->strings);
	for (size_t i = 0; i < c->spec.stage_count; i++)
		free(c->argv[i]);
	env_vars_done(&c->vars);
	*c = (struct task_container){0};
}
