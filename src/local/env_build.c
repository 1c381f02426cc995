/* SPDX-License-Identifier: Apache-2.0 */
/* Building an environment, or waiting for the one who does. */
#include "local/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/unit.h"
#include "local/env_files.h"
#include "local/env_plugin.h"
#include "local/env_vars.h"
#include "local/fd_drop.h"
#include "local/sandbox.h"
#include "local/uv_progress.h"

#define WAIT_MS 300
#define SAMPLE_MS 1000
#define LOG_BYTES_MAX (16 << 20)
#define BUILD_MEMORY_BYTES ((int64_t)4 << 30)
#define BUILD_PROCESSES 512
#define BUILD_STOP_GRACE_MS 2000

struct env_build {
	struct loop *loop;
	struct env_config config;
	struct env_files files;
	struct loop_timer *timer;
	bool waiting, cancelled, sampling, announced;

	/* as the builder */
	char *uv;
	char **install_argv; /* owned array; its strings are not */
	char **requirements;
	struct env_vars vars;
	struct container_stage stages[2];
	struct container_mount mounts[2];
	struct container_spec spec;
	char *env_folder;
	struct sandbox *sandbox;
	struct uv_progress uv_progress;
	struct container_result result;
	int log_fd;
	int64_t log_bytes, started_ms; /* started: monotonic */
	struct env_measure measure;    /* at the last sample */
	struct env_measure sample;     /* the pool's while 'sampling' */
	struct env_build *base;	       /* being made first: the same without requirements */
	char *base_path;
	bool seeded;
	struct err err; /* of work on the pool */
};

static int64_t now_ms(void)
{
	return clock_monotonic_ns() / 1000000;
}

static void finish(struct env_build *b, const struct err *err)
{
	struct err hook = ERR_INIT;
	loop_timer_clear(b->timer);
	/* An environment without it serves all but fds:// in TensorFlow. */
	if (!err->code && env_plugin_hook(b->files.path, b->config.want.python, &hook) < 0)
		log_warn("env.hook path=%s error=\"%s\"", b->files.path, hook.msg);
	b->config.done(b->config.arg, err->code ? NULL : b->files.path, err);
}

/* ---- progress ---- */

static void format_text(struct env_build *b, struct progress *p)
{
	char have[32], all[32];
	unit_format_bytes(b->measure.bytes, have);
	unit_format_bytes(b->config.disk_bytes, all);
	const struct uv_progress *uv = &b->uv_progress;
	int title = 70;
	switch (uv->phase) {
	case UV_RESOLVING:
		snprintf(p->text, sizeof(p->text), "%.*s: choosing packages", title, b->config.title);
		break;
	case UV_DOWNLOADING:
		snprintf(p->text, sizeof(p->text), "%.*s: downloading %lld packages, %.24s%s%.24s", title,
			 b->config.title, (long long)uv->resolved, have,
			 b->config.disk_bytes ? " of about " : "", b->config.disk_bytes ? all : "");
		break;
	case UV_INSTALLING:
		snprintf(p->text, sizeof(p->text), "%.*s: installing %lld packages", title, b->config.title,
			 (long long)uv->resolved);
		break;
	default:
		snprintf(p->text, sizeof(p->text), "%.*s: compiling, %lld of %lld files", title,
			 b->config.title, (long long)b->measure.compiled, (long long)b->measure.sources);
	}
}

static double percent_done(const struct env_build *b)
{
	switch (b->uv_progress.phase) {
	case UV_RESOLVING:
		return 1;
	case UV_DOWNLOADING: {
		if (b->config.disk_bytes <= 0)
			return -1;
		double share = (double)b->measure.bytes / (double)b->config.disk_bytes;
		return 2 + 58 * (share > 1 ? 1 : share);
	}
	case UV_INSTALLING:
		return 62;
	case UV_COMPILING: { /* takes as long as the download, on a small machine */
		const struct env_measure *m = &b->measure;
		double share = m->sources > 0 ? (double)m->compiled / (double)m->sources : 0;
		return 65 + 34 * (share > 1 ? 1 : share);
	}
	default:
		return 99;
	}
}

static void report(struct env_build *b)
{
	struct progress p = PROGRESS_NONE;
	snprintf(p.phase, sizeof(p.phase), "environment");
	p.percent = percent_done(b);
	int64_t elapsed = now_ms() - b->started_ms;
	if (p.percent > 3 && elapsed > 2000)
		p.eta_ms = (int64_t)((double)elapsed * (100 - p.percent) / p.percent);
	p.step = b->uv_progress.installed ? b->uv_progress.installed : b->uv_progress.prepared;
	p.total = b->uv_progress.resolved ? b->uv_progress.resolved : -1;
	format_text(b, &p);
	struct err ignored = ERR_INIT; /* a display for those who wait */
	env_files_write_progress(&b->files, &p, &ignored);
	b->config.progress(b->config.arg, &p);
}

static void announce(struct env_build *b, bool builder)
{
	if (b->announced)
		return;
	b->announced = true;
	char line[400], download[32], disk[32];
	unit_format_bytes(b->config.download_bytes, download);
	unit_format_bytes(b->config.disk_bytes, disk);
	if (!builder)
		snprintf(line, sizeof(line), "waiting for %s, which another task is preparing",
			 b->config.title);
	else if (b->config.download_bytes > 0)
		snprintf(line, sizeof(line), "preparing %s: downloads about %s, %s on disk, once%s",
			 b->config.title, download, disk,
			 b->requirements[0] ? ", and the job's own requirements" : "");
	else
		snprintf(line, sizeof(line), "preparing %s%s, once", b->config.title,
			 b->requirements[0] ? " with the job's own requirements" : "");
	b->config.announce(b->config.arg, line);
}

/* ---- the build ---- */

static void sample_work(void *arg)
{
	struct env_build *b = arg;
	env_files_measure(&b->files, &b->sample);
}

static void end_build(struct env_build *b);

static void sample_done(void *arg)
{
	struct env_build *b = arg;
	b->sampling = false;
	b->measure = b->sample;
	if (!b->sandbox)
		end_build(b);
	else
		report(b);
}

static bool on_output(void *arg, const char *data, size_t len)
{
	struct env_build *b = arg;
	enum uv_phase before = b->uv_progress.phase;
	uv_progress_feed(&b->uv_progress, data, len);
	b->log_bytes += (int64_t)len;
	struct err ignored = ERR_INIT;
	if (b->log_fd >= 0 && b->log_bytes <= LOG_BYTES_MAX)
		fd_write_all(b->log_fd, data, len, &ignored);
	if (b->uv_progress.phase != before)
		report(b);
	return true;
}

static int64_t package_count(const struct env_build *b)
{
	char *const *p = b->config.want.packages;
	return (int64_t)((p ? strings_count(p) : 0) + strings_count(b->requirements));
}

static json_t *make_record(struct env_build *b)
{
	return json_pack(
	    "{s:s, s:s, s:o, s:o, s:I, s:I, s:I}", "framework", b->config.want.framework, "version",
	    b->config.want.version, "packages", json_from_strings(b->config.want.packages), "requirements",
	    json_from_strings(b->requirements), "disk_bytes", (json_int_t)b->measure.bytes, "build_ms",
	    (json_int_t)(now_ms() - b->started_ms), "created_ms", (json_int_t)clock_wall_ms(&clock_real));
}

static void explain(struct env_build *b)
{
	char reason[300];
	uv_progress_end(&b->uv_progress);
	uv_progress_reason(&b->uv_progress, reason, sizeof(reason));
	size_t len = strlen(reason);
	if (len && reason[len - 1] == '.')
		reason[len - 1] = 0; /* the sentence goes on with the hint */
	if (b->cancelled)
		err_set(&b->err, ERR_CANCELLED, "stopped while the environment was being prepared");
	else if (!b->result.ran)
		err_set(&b->err, ERR_UNAVAILABLE, "cannot start the environment's builder: %.300s",
			b->result.message);
	else if (b->result.out_of_memory)
		err_set(&b->err, ERR_BACKEND,
			"building the environment needed more than 4 GiB of memory; choose "
			"versions of the requirements that have wheels");
	else
		err_set(&b->err, ERR_BACKEND, "cannot prepare %.80s: %s; %s", b->config.title,
			*reason ? reason : b->result.message, uv_progress_hint(&b->uv_progress));
}

static void commit_work(void *arg)
{
	struct env_build *b = arg;
	bool good = b->result.ran && !b->result.stage[0] && !b->cancelled;
	if (good) {
		env_files_measure(&b->files, &b->measure);
		good = env_files_commit(&b->files, make_record(b), &b->err) == 0;
	} else {
		explain(b);
	}
	if (good)
		b->err = ERR_INIT;
	else
		env_files_abandon(&b->files);
	fd_drop(&b->files.lock_fd);
}

static void commit_done(void *arg)
{
	struct env_build *b = arg;
	finish(b, &b->err);
}

static void end_build(struct env_build *b)
{
	loop_timer_clear(b->timer);
	loop_work(b->loop, commit_work, commit_done, b);
}

static void on_ended(void *arg, const struct container_result *result)
{
	struct env_build *b = arg;
	b->result = *result;
	sandbox_free(b->sandbox);
	b->sandbox = NULL;
	if (!b->sampling) /* else sample_done goes on */
		end_build(b);
}

static void plan_stages(struct env_build *b)
{
	static char *venv_argv[] = {"/.cloudml/uv",	"venv",		"--quiet",
				    "--allow-existing", "--no-project", "--python",
				    "/usr/bin/python3", "/env",		NULL};
	static char *const install[] = {
	    "/.cloudml/uv",	  "pip",	 "install",  "--python", "/env/bin/python",
	    "--compile-bytecode", "--link-mode", "hardlink", "--"};
	b->stages[0] = (struct container_stage){.name = "venv", .argv = venv_argv, .cwd = "/env"};
	b->spec.stage_count = 1;
	struct container_stage *next = &b->stages[1];
	if (b->seeded) { /* has its venv */
		b->spec.stage_count = 0;
		next = &b->stages[0];
	}
	if (!package_count(b))
		return;
	size_t n = ARRAY_LEN(install);
	b->install_argv = mem_alloc((n + (size_t)package_count(b) + 1) * sizeof(char *));
	memcpy(b->install_argv, install, sizeof(install));
	for (char *const *p = b->config.want.packages; p && *p; p++)
		b->install_argv[n++] = *p;
	for (char **r = b->requirements; *r; r++)
		b->install_argv[n++] = *r;
	*next = (struct container_stage){.name = "install", .argv = b->install_argv, .cwd = "/env"};
	b->spec.stage_count++;
}

static void plan_variables(struct env_build *b)
{
	env_vars_pass_network(&b->vars);
	static char *const fixed[] = {"PATH=/usr/bin:/bin",
				      "HOME=/env/.tmp",
				      "TMPDIR=/env/.tmp",
				      "LANG=C.UTF-8",
				      "NO_COLOR=1",
				      "UV_CACHE_DIR=/env/.cache",
				      "UV_PYTHON_DOWNLOADS=never",
				      "UV_NO_CONFIG=1",
				      NULL};
	env_vars_set_all(&b->vars, fixed);
	if (!getenv("UV_HTTP_TIMEOUT"))
		env_vars_set(&b->vars, "UV_HTTP_TIMEOUT=120");
}

static int start_build(struct env_build *b, struct err *err)
{
	int r = env_find_uv(&b->uv, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *log = mem_printf("%s.log", b->files.path);
	b->log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	b->env_folder = mem_printf("%s/env", b->files.build);
	b->mounts[0] = (struct container_mount){.source = b->env_folder, .target = "/env", .writable = true};
	b->mounts[1] = (struct container_mount){.source = b->uv, .target = "/.cloudml/uv"};
	plan_stages(b);
	plan_variables(b);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	b->spec.name = b->files.container;
	b->spec.folder = b->files.build;
	b->spec.hostname = "environment";
	b->spec.stages = b->stages;
	b->spec.env = b->vars.items;
	b->spec.mounts = b->mounts;
	b->spec.mount_count = ARRAY_LEN(b->mounts);
	b->spec.limits = (struct resources){.cpu_milli = (cores > 0 ? cores : 1) * 1000,
					    .memory_bytes = BUILD_MEMORY_BYTES};
	b->spec.max_processes = BUILD_PROCESSES;
	b->spec.tmp_bytes = 64 << 20;
	b->spec.network = package_count(b) ? NETWORK_EGRESS : NETWORK_NONE;
	b->spec.uid_base = (uid_t)b->config.uid_base;
	b->spec.grace_ms = BUILD_STOP_GRACE_MS;
	const struct sandbox_handlers handlers = {.output = on_output, .ended = on_ended, .arg = b};
	return sandbox_start(b->loop, &b->spec, &handlers, &b->sandbox, err);
}

static void on_timer(void *arg);

static void begin_work(void *arg)
{
	struct env_build *b = arg;
	if (env_files_begin(&b->files, b->config.uid_base, &b->err) >= 0)
		b->err = ERR_INIT; /* may hold an error that was overcome */
	if (b->err.code || !b->base_path)
		return;
	struct err err = ERR_INIT;
	b->seeded = env_files_seed(&b->files, b->base_path, b->config.uid_base, &err) >= 0;
	if (b->seeded)
		return;
	log_warn("env.seed base=%s error=\"%s\"", b->base_path, err.msg); /* then whole, from the network */
	if (env_files_begin(&b->files, b->config.uid_base, &b->err) >= 0)
		b->err = ERR_INIT;
}

static void begin_done(void *arg)
{
	struct env_build *b = arg;
	if (!b->err.code && b->cancelled)
		err_set(&b->err, ERR_CANCELLED, "stopped while the environment was being prepared");
	if (!b->err.code && start_build(b, &b->err) >= 0)
		b->err = ERR_INIT;
	if (b->err.code == ERR_NOT_FOUND)
		b->err.code = ERR_UNSUPPORTED; /* a program of ours is missing, nothing of the user's */
	if (b->err.code) {
		struct err err = b->err;
		env_files_abandon(&b->files);
		fd_drop(&b->files.lock_fd);
		finish(b, &err);
		return;
	}
	announce(b, true);
	report(b);
	loop_timer_set(b->timer, SAMPLE_MS, SAMPLE_MS);
}

/* ---- the base ---- */

static void on_base_progress(void *arg, const struct progress *p)
{
	struct env_build *b = arg;
	struct err ignored = ERR_INIT;
	env_files_write_progress(&b->files, p, &ignored);
	b->config.progress(b->config.arg, p);
}

static void on_base_announce(void *arg, const char *line)
{
	struct env_build *b = arg;
	b->config.announce(b->config.arg, line);
}

static void on_base_done(void *arg, const char *path, const struct err *result)
{
	struct env_build *b = arg;
	struct err err = *result;
	b->base_path = mem_strdup(path);
	env_build_free(b->base);
	b->base = NULL;
	if (err.code) {
		fd_drop(&b->files.lock_fd);
		finish(b, &err);
		return;
	}
	b->config.download_bytes = b->config.disk_bytes = 0; /* of the requirements nothing is known */
	b->started_ms = now_ms();
	loop_work(b->loop, begin_work, begin_done, b);
}

/* What the catalogue has is the same for all: made once, then the requirements are added to links of its
 * files. */
static void build_base(struct env_build *b)
{
	struct env_config config = b->config;
	config.want.requirements = NULL;
	config.uid_base = b->config.shared_uid_base;
	config.progress = on_base_progress;
	config.announce = on_base_announce;
	config.done = on_base_done;
	config.arg = b;
	b->base = env_build_new(b->loop, &config);
}

/* ---- waiting ---- */

static void wait_turn(struct env_build *b)
{
	struct err err = ERR_INIT;
	if (b->cancelled) {
		err_set(&err, ERR_CANCELLED, "stopped while the environment was being prepared");
		finish(b, &err);
		return;
	}
	if (env_files_ready(&b->files)) {
		finish(b, &err);
		return;
	}
	int r = env_files_lock(&b->files, &err);
	if (r == -ERR_CONFLICT) {
		struct progress p = PROGRESS_NONE;
		announce(b, false);
		if (env_files_read_progress(&b->files, &p, &err) == 0)
			b->config.progress(b->config.arg, &p);
		loop_timer_set(b->timer, WAIT_MS, 0);
		return;
	}
	if (r < 0 || env_files_ready(&b->files)) { /* ready: built between the look and the lock */
		if (r == 0) {
			fd_drop(&b->files.lock_fd);
			err = ERR_INIT;
		}
		finish(b, &err);
		return;
	}
	b->waiting = false;
	b->started_ms = now_ms();
	loop_timer_clear(b->timer);
	if (b->requirements[0])
		build_base(b);
	else
		loop_work(b->loop, begin_work, begin_done, b);
}

static void on_timer(void *arg)
{
	struct env_build *b = arg;
	if (b->waiting) {
		wait_turn(b);
	} else if (b->sandbox && !b->sampling) {
		b->sampling = true;
		loop_work(b->loop, sample_work, sample_done, b);
	}
}

struct env_build *env_build_new(struct loop *l, const struct env_config *config)
{
	struct env_build *b = MEM_NEW(struct env_build);
	b->loop = l;
	b->config = *config;
	b->log_fd = -1;
	b->waiting = true;
	b->requirements = env_requirements(config->want.requirements);
	env_files_init(&b->files, config->data_folder, &config->want);
	b->timer = loop_timer_new(l, on_timer, b);
	loop_timer_set(b->timer, 0, 0);
	return b;
}

void env_build_cancel(struct env_build *b)
{
	b->cancelled = true;
	if (b->base)
		env_build_cancel(b->base);
	else if (b->sandbox)
		sandbox_stop(b->sandbox, BUILD_STOP_GRACE_MS);
	else if (b->waiting)
		loop_timer_set(b->timer, 0, 0);
}

void env_build_free(struct env_build *b)
{
	if (!b)
		return;
	loop_timer_free(b->timer);
	sandbox_free(b->sandbox);
	env_build_free(b->base);
	free(b->base_path);
	env_files_done(&b->files);
	env_vars_done(&b->vars);
	strings_free(b->requirements);
	free(b->install_argv);
	free(b->env_folder);
	free(b->uv);
	fd_drop(&b->log_fd);
	free(b);
}

void env_clean_orphan(const char *data_folder, const char *key)
{
	CLEANUP(free) char *lock = mem_printf("%s/envs/%s.lock", data_folder, key);
	CLEANUP(free) char *build = mem_printf("%s/envs/%s.build", data_folder, key);
	CLEANUP(free) char *name = env_container_name(data_folder, key);
	struct err err = ERR_INIT;
	if (access(build, F_OK) < 0)
		return;
	CLEANUP(fd) int fd = fd_lock_file(AT_FDCWD, lock, false, &err);
	if (fd >= 0 && container_cleanup(name, build, &err) < 0)
		log_warn("env.orphan name=%s error=\"%s\"", name, err.msg);
}
