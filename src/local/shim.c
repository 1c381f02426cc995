/* SPDX-License-Identifier: Apache-2.0 */
/* The shim: one process per task, from the environment to the exit record. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "local/local.h"
#include "local/fd_drop.h"
#include "local/shim_int.h"

#define SHUTDOWN_GRACE_MS 10000
#define IDLE_CPU_USEC 10000 /* of a second; less is no sign of life */
#define EXIT_RETRY_MS 1000

/* ---- the end ---- */

/* Was the folder removed? Then nobody can ask for the task any more, nor read what became of it. */
static bool folder_is_gone(const struct shim *s)
{
	struct stat st;
	return fstat(s->folder_fd, &st) == 0 && st.st_nlink == 0;
}

static void write_exit(void *arg)
{
	struct shim *s = arg;
	struct err err = ERR_INIT;
	if (folder_is_gone(s)) {
		loop_stop(s->loop);
		return;
	}
	FP("shim.exit.before");
	task_log_sync(&s->log, &err);
	if (folder_write_exit(s->folder_fd, &s->record, &err) < 0 && err.code != ERR_EXISTS) {
		log_warn("shim.exit error=\"%s\"", err.msg);
		loop_timer_set(s->exit_timer, EXIT_RETRY_MS,
			       0); /* without this record the work would count as lost */
		return;
	}
	FP("shim.exit.after");
	loop_stop(s->loop);
}

static void end(struct shim *s)
{
	s->record.started_ms = s->program_started_ms;
	s->record.ended_ms = clock_wall_ms(&clock_real);
	write_exit(s);
}

static void end_with_err(struct shim *s, const struct err *err)
{
	exit_record_of_err(err, s->stop_wanted, s->stop.why, &s->record);
	task_log_note(&s->log, s->record.message);
	end(s);
}

/* ---- the wish to stop ---- */

static void apply_stop(struct shim *s)
{
	if (s->env)
		env_build_cancel(s->env);
	shim_health_stop(s); /* not ready any more, and that is as it should be */
	if (s->sandbox)
		sandbox_stop(s->sandbox, s->stop.grace_ms);
}

static void take_stop(struct shim *s, const struct task_stop *stop)
{
	if (!s->stop_wanted)
		s->stop.why = stop->why; /* the first reason is the reason */
	s->stop.grace_ms = stop->grace_ms;
	s->stop_wanted = true;
	apply_stop(s);
}

static void on_folder(void *arg, const char *name)
{
	struct shim *s = arg;
	struct task_stop stop;
	struct err err = ERR_INIT;
	if (name && strcmp(name, FOLDER_WEIGHTS) == 0 && s->status.phase == TASK_READY) {
		shim_model_read_weights(s);
		shim_weights_changed(s);
	}
	if (name && strcmp(name, FOLDER_STOP) != 0)
		return;
	if (folder_read_stop(s->folder_fd, &stop, &err) == 0)
		take_stop(s, &stop);
}

static void on_term(void *arg)
{
	const struct task_stop stop = {.why = FAIL_LOST, .grace_ms = SHUTDOWN_GRACE_MS};
	take_stop(arg, &stop);
}

static void on_duration(void *arg)
{
	struct shim *s = arg;
	const struct task_stop stop = {.why = FAIL_TIMEOUT, .grace_ms = s->spec.grace_ms};
	take_stop(s, &stop);
}

/* ---- the hang watch ---- */

static int64_t now_ms(void)
{
	return clock_monotonic_ms(&clock_real);
}

/* Output and processor time are signs of life; a program that waits for ever shows neither. */
static void watch_hang(struct shim *s)
{
	if (!s->spec.hang_timeout_ms || !s->program_ran || s->stop_wanted)
		return;
	if (s->cpu_usec - s->hang_cpu_usec >= IDLE_CPU_USEC) {
		s->hang_cpu_usec = s->cpu_usec;
		s->alive_ms = now_ms();
	}
	if (now_ms() - s->alive_ms < s->spec.hang_timeout_ms)
		return;
	const struct task_stop stop = {.why = FAIL_HUNG, .grace_ms = s->spec.grace_ms};
	take_stop(s, &stop);
}

/* ---- the container ---- */

static bool is_main_stage(const char *stage)
{
	return strcmp(stage, STAGE_RUN) == 0 || strcmp(stage, STAGE_SERVE) == 0;
}

static void note_stage(struct shim *s, const struct container_progress *p)
{
	if (!s->program_ran && (is_main_stage(p->stage) || strcmp(p->stage, STAGE_FINISH) == 0)) {
		s->program_ran = true;
		s->program_started_ms = p->stage_started_ms;
		s->alive_ms = now_ms();
		shim_set_phase(s, TASK_RUNNING, s->spec.kind == TASK_JOB ? "running" : "loading");
		if (s->spec.max_duration_ms > 0)
			loop_timer_set(s->duration_timer, s->spec.max_duration_ms, 0);
		return;
	}
	const char *word = is_main_stage(p->stage) ? NULL
			   : strcmp(p->stage, STAGE_FINISH) == 0 || strcmp(p->stage, STAGE_PREPARE) == 0
			       ? p->stage
			       : "package";
	if (word && strcmp(s->status.progress.phase, word) != 0)
		shim_set_phase(s, s->status.phase, word);
}

static void look_at_stage(struct shim *s)
{
	struct container_progress p;
	struct err err = ERR_INIT;
	if (container_progress(s->folder, &p, &err) == 0 && p.stage[0])
		note_stage(s, &p);
}

static void on_sample(void *arg)
{
	const struct task_stop stop = {.why = FAIL_LOST, .grace_ms = 0};
	struct shim *s = arg;
	if (folder_is_gone(s) && !s->stop_wanted)
		take_stop(s, &stop);
	look_at_stage(s);
	shim_sample(s);
	watch_hang(s);
}

static bool on_output(void *arg, const char *data, size_t len)
{
	struct shim *s = arg;
	if (!s->program_ran)
		look_at_stage(s); /* its first lines count already */
	s->alive_ms = now_ms();
	return shim_take_output(s, data, len);
}

static void on_container_ended(void *arg, const struct container_result *result)
{
	struct shim *s = arg;
	look_at_stage(s); /* a short program may have started and ended since the last look */
	loop_timer_clear(s->sample_timer);
	loop_timer_clear(s->duration_timer);
	if (s->spec.kind != TASK_JOB)
		shim_model_close(s);
	shim_store_close(s);
	task_log_end_line(&s->log);
	const struct exit_facts facts = {.spec = &s->spec,
					 .result = result,
					 .stop_wanted = s->stop_wanted,
					 .why = s->stop.why,
					 .last_line = s->log.last_line,
					 .serve_error = s->serve_error};
	exit_record_make(&facts, &s->record);
	bool said = strstr(s->log.last_line, s->record.message) != NULL; /* by the program itself */
	if (s->record.fail != FAIL_NONE && s->record.fail != FAIL_USER && !said)
		task_log_note(&s->log, s->record.message);
	end(s);
}

static int start_container(struct shim *s, struct err *err)
{
	int r = s->spec.kind != TASK_JOB ? shim_model_open(s, err) : 0;
	if (r < 0)
		return r;
	const struct task_container_config config = {.spec = &s->spec,
						     .plan = &s->plan,
						     .folder = s->folder,
						     .data_folder = s->data_folder,
						     .env_path = s->env_path,
						     .listen_fd = s->listen_fd,
						     .ready_fd = s->ready_write_fd,
						     .control_fd = s->control_fd,
						     .store_secret =
							 s->store_secret[0] ? s->store_secret : NULL,
						     .has_config = s->weights[0] != 0};
	r = task_container_make(&s->container, &config, err);
	if (r < 0)
		return r;
	const struct sandbox_handlers handlers = {.output = on_output, .ended = on_container_ended, .arg = s};
	FP("shim.container.before");
	r = sandbox_start(s->loop, &s->container.spec, &handlers, &s->sandbox, err);
	if (r < 0)
		return r;
	r = shim_store_open(s, err);
	if (r < 0)
		log_warn("shim.store error=\"%s\"", err->msg);
	if (s->spec.kind != TASK_JOB)
		shim_model_started(s);
	FP("shim.container.after");
	shim_sample_start(s, on_sample);
	if (s->stop_wanted)
		apply_stop(s);
	return 0;
}

/* ---- the environment ---- */

static void on_env_progress(void *arg, const struct progress *p)
{
	shim_set_progress(arg, p);
}

static void on_env_announce(void *arg, const char *line)
{
	struct shim *s = arg;
	task_log_note(&s->log, line);
}

static void on_env_done(void *arg, const char *path, const struct err *result)
{
	struct shim *s = arg;
	struct err err = *result;
	s->env_path = mem_strdup(path);
	env_build_free(s->env);
	s->env = NULL;
	if (!err.code && s->stop_wanted)
		err_set(&err, ERR_CANCELLED, "stopped before the program was started");
	if (!err.code) {
		shim_set_phase(s, TASK_PREPARING, "starting");
		if (start_container(s, &err) >= 0)
			err = ERR_INIT; /* may hold an error that was overcome */
		else if (err.code == ERR_NOT_FOUND)
			err.code =
			    ERR_UNSUPPORTED; /* a part of the platform is missing, nothing of the user's */
	}
	if (err.code)
		end_with_err(s, &err);
}

static void start_environment(struct shim *s)
{
	bool own = s->spec.requirements && s->spec.requirements[0];
	const struct env_config config = {
	    .data_folder = s->data_folder,
	    .want = {.framework = s->spec.framework,
		     .version = s->spec.framework_version,
		     .packages = s->plan.packages,
		     .requirements = s->spec.requirements,
		     .org = s->spec.org,
		     .python = s->python},
	    .title = s->plan.title && *s->plan.title ? s->plan.title : s->spec.framework,
	    .download_bytes = s->plan.download_bytes,
	    .disk_bytes = s->plan.disk_bytes,
	    .shared_uid_base = s->plan.env_uid_base,
	    .uid_base = own ? s->plan.uid_base : s->plan.env_uid_base,
	    .progress = on_env_progress,
	    .announce = on_env_announce,
	    .done = on_env_done,
	    .arg = s,
	};
	shim_set_phase(s, TASK_PREPARING, "environment");
	s->env = env_build_new(s->loop, &config);
}

/* ---- the beginning ---- */

static int take_folder(struct shim *s, const char *folder, struct err *err)
{
	s->folder = realpath(folder, NULL);
	if (!s->folder)
		return err_sys(err, errno, "cannot find task folder '%s'", folder);
	char *slash = strstr(s->folder, "/tasks/");
	for (char *next; slash && (next = strstr(slash + 1, "/tasks/"));)
		slash = next;
	if (!slash)
		return err_set(err, ERR_INVALID,
			       "'%s' is not a task folder: it is not below a folder 'tasks'", folder);
	s->data_folder = mem_strndup(s->folder, (size_t)(slash - s->folder));
	s->folder_fd = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder_fd < 0)
		return err_sys(err, errno, "cannot open task folder '%s'", folder);
	s->lock_fd = fd_lock_file(s->folder_fd, FOLDER_LOCK, true, err);
	if (s->lock_fd < 0)
		return s->lock_fd;
	if (folder_has(s->folder_fd, FOLDER_STARTED))
		return err_set(err, ERR_STATE, "task '%s' was started before", folder);
	char pid[32];
	int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(s->lock_fd, 0) < 0 || pwrite(s->lock_fd, pid, (size_t)n, 0) != n)
		return err_sys(err, errno, "cannot write the lock of '%s'", folder);
	FP("shim.start.before");
	int r = folder_write_mark(s->folder_fd, FOLDER_STARTED, err);
	FP("shim.start.after");
	return r;
}

static int read_wish(struct shim *s, struct err *err)
{
	int r = folder_read_spec(s->folder_fd, &s->spec, err);
	if (r == 0)
		r = folder_read_plan(s->folder_fd, &s->plan, err);
	if (r == 0)
		r = env_python(s->python, sizeof(s->python), err);
	return r;
}

static int begin(struct shim *s, struct err *err)
{
	s->exit_timer = loop_timer_new(s->loop, write_exit, s);
	s->duration_timer = loop_timer_new(s->loop, on_duration, s);
	int r = shim_report_open(s, err);
	if (r == 0)
		r = read_wish(s, err);
	if (r < 0)
		return r;
	task_status_of_spec(&s->status, &s->spec);
	s->term_signal = loop_signal_new(s->loop, SIGTERM, on_term, s);
	s->folder_watch = loop_dir_new(s->loop, s->folder, on_folder, s, err);
	if (!s->folder_watch)
		return -err->code;
	if (s->spec.kind == TASK_MODEL)
		r = shim_model_begin(s, err);
	if (r < 0)
		return r;
	on_folder(s, NULL);
	start_environment(s);
	if (s->stop_wanted)
		apply_stop(s);
	return 0;
}

static void shim_done(struct shim *s)
{
	shim_model_close(s);
	shim_store_close(s);
	sandbox_free(s->sandbox);
	env_build_free(s->env);
	task_container_done(&s->container);
	shim_report_close(s);
	loop_timer_free(s->exit_timer);
	loop_timer_free(s->duration_timer);
	loop_signal_free(s->term_signal);
	loop_dir_free(s->folder_watch);
	task_spec_done(&s->spec);
	task_plan_done(&s->plan);
	free(s->env_path);
	free(s->serve_error);
	free(s->folder);
	free(s->data_folder);
	fd_drop(&s->folder_fd);
	loop_free(s->loop);
	fd_drop(&s->lock_fd); /* last of all */
}

int local_shim_main(int argc, char **argv)
{
	if (argc != 2 && !(argc == 3 && atoi(argv[2]) > 2)) {
		fprintf(stderr, "usage: cloudml shim TASK_FOLDER [LISTENING_DESCRIPTOR]\n");
		return err_exit(ERR_INVALID);
	}
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	prctl(PR_SET_NAME, "cloudml-shim");
	struct shim *s = MEM_NEW(struct shim);
	struct err err = ERR_INIT;
	s->folder_fd = s->lock_fd = s->listen_fd = s->ready_fd = s->ready_write_fd = -1;
	s->port_fd = s->control_fd = -1;
	if (argc == 3) {
		s->listen_fd = atoi(argv[2]);
		fcntl(s->listen_fd, F_SETFD, FD_CLOEXEC);
	}
	s->log.fd = s->series.fd = -1;
	s->container.store_fd = -1;
	shim_store_read_secret(s);
	task_spec_init(&s->spec);
	int r = loop_new(&s->loop, &err);
	if (r == 0)
		r = take_folder(s, argv[1], &err);
	if (r < 0) {
		log_error("shim.start folder=%s error=\"%s\"", argv[1], err.msg);
		return err_exit(err.code);
	}
	if (begin(s, &err) < 0)
		end_with_err(s, &err);
	loop_run(s->loop);
	shim_done(s);
	free(s);
	return 0;
}
