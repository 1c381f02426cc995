/* SPDX-License-Identifier: Apache-2.0 */
/* The task folder: reading and writing its small JSON files. */
#include "local/task_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "local/text_clean.h"

#define PLAN_BYTES_MAX ((size_t)1 << 20)
#define SMALL_BYTES_MAX ((size_t)64 << 10)
#define GRACE_MS_MAX (24 * 3600 * 1000LL)

void task_plan_done(struct task_plan *p)
{
	cleanup_free(&p->title);
	cleanup_free(&p->bind_address);
	strings_free(p->packages);
	strings_free(p->env);
	*p = (struct task_plan){0};
}

static json_t *task_plan_format(const struct task_plan *p)
{
	return json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:s, s:I, s:I}", "title",
			 p->title ? p->title : "", "packages", json_from_strings(p->packages), "env",
			 json_from_strings(p->env), "download_bytes", (json_int_t)p->download_bytes,
			 "disk_bytes", (json_int_t)p->disk_bytes, "uid_base", (json_int_t)p->uid_base,
			 "env_uid_base", (json_int_t)p->env_uid_base, "bind_address",
			 p->bind_address ? p->bind_address : "127.0.0.1", "port_first",
			 (json_int_t)p->port_first, "port_last", (json_int_t)p->port_last);
}

static int task_plan_parse(const json_t *j, struct task_plan *ret, struct err *err)
{
	struct json_reader r;
	json_reader_begin(&r, j, "plan");
	json_get_string(&r, "title", 256, &ret->title);
	json_get_strings(&r, "packages", CORE_ARGS_MAX, CORE_TEXT_MAX, &ret->packages);
	json_get_strings(&r, "env", CORE_ARGS_MAX, CORE_TEXT_MAX, &ret->env);
	json_get_int(&r, "download_bytes", 0, INT64_MAX, &ret->download_bytes);
	json_get_int(&r, "disk_bytes", 0, INT64_MAX, &ret->disk_bytes);
	json_get_int(&r, "uid_base", 1, UINT32_MAX, &ret->uid_base);
	json_get_int(&r, "env_uid_base", 1, UINT32_MAX, &ret->env_uid_base);
	json_get_string(&r, "bind_address", 64, &ret->bind_address);
	json_get_int(&r, "port_first", 0, 65535, &ret->port_first);
	json_get_int(&r, "port_last", 0, 65535, &ret->port_last);
	return json_reader_end(&r, err);
}

int folder_read_spec(int folder_fd, struct task_spec *ret, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	int r = json_read_file(folder_fd, FOLDER_SPEC, CORE_SPEC_BYTES_MAX * 2, &j, err);
	return r < 0 ? r : task_spec_parse(j, ret, err);
}

int folder_read_plan(int folder_fd, struct task_plan *ret, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	int r = json_read_file(folder_fd, FOLDER_PLAN, PLAN_BYTES_MAX, &j, err);
	return r < 0 ? r : task_plan_parse(j, ret, err);
}

int folder_read_status(int folder_fd, struct task_status *ret, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	int r = json_read_file(folder_fd, FOLDER_STATUS, SMALL_BYTES_MAX, &j, err);
	return r < 0 ? r : task_status_parse(j, ret, err);
}

static void read_fail_class(struct json_reader *r, const char *key, enum fail_class *ret)
{
	CLEANUP(free) char *word = NULL;
	json_get_string(r, key, 32, &word);
	if (!word || fail_parse(word, ret) < 0)
		json_reader_fail(r, "'%s' must be a class of failure", key);
}

int folder_read_stop(int folder_fd, struct task_stop *ret, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	int n = json_read_file(folder_fd, FOLDER_STOP, SMALL_BYTES_MAX, &j, err);
	if (n < 0)
		return n;
	struct json_reader r;
	json_reader_begin(&r, j, "stop wish");
	read_fail_class(&r, "why", &ret->why);
	json_get_int(&r, "grace_ms", 0, GRACE_MS_MAX, &ret->grace_ms);
	return json_reader_end(&r, err);
}

int folder_read_exit(int folder_fd, struct task_exit *ret, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	int n = json_read_file(folder_fd, FOLDER_EXIT, SMALL_BYTES_MAX, &j, err);
	if (n < 0)
		return n;
	CLEANUP(free) char *message = NULL;
	int64_t code = 0, signal_number = 0;
	struct json_reader r;
	json_reader_begin(&r, j, "exit record");
	json_get_int(&r, "exit_code", -1, 255, &code);
	json_get_int(&r, "exit_signal", 0, 128, &signal_number);
	read_fail_class(&r, "class", &ret->fail);
	json_get_string(&r, "message", sizeof(ret->message) - 1, &message);
	json_get_int(&r, "started_ms", 0, INT64_MAX, &ret->started_ms);
	json_get_int(&r, "ended_ms", 0, INT64_MAX, &ret->ended_ms);
	ret->exit_code = code;
	ret->exit_signal = signal_number;
	snprintf(ret->message, sizeof(ret->message), "%s", message ? message : "");
	return json_reader_end(&r, err);
}

/* Takes j. */
static int write_json(int folder_fd, const char *name, json_t *j, bool durable, struct err *err)
{
	CLEANUP(json) json_t *owned = j;
	if (!owned)
		return err_set(err, ERR_INTERNAL, "cannot format '%s'", name);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write_pretty(owned, &text);
	return durable ? fd_write_file(folder_fd, name, text.data, text.len, 0600, err)
		       : fd_write_file_fast(folder_fd, name, text.data, text.len, 0600, err);
}

int folder_write_spec(int folder_fd, const struct task_spec *spec, struct err *err)
{
	return write_json(folder_fd, FOLDER_SPEC, task_spec_format(spec), true, err);
}

int folder_write_plan(int folder_fd, const struct task_plan *plan, struct err *err)
{
	return write_json(folder_fd, FOLDER_PLAN, task_plan_format(plan), true, err);
}

int folder_write_status(int folder_fd, const struct task_status *status, struct err *err)
{
	return write_json(folder_fd, FOLDER_STATUS, task_status_format(status), false, err);
}

int folder_write_stop(int folder_fd, const struct task_stop *stop, struct err *err)
{
	json_t *j =
	    json_pack("{s:s, s:I}", "why", fail_word(stop->why), "grace_ms", (json_int_t)stop->grace_ms);
	return write_json(folder_fd, FOLDER_STOP, j, true, err);
}

int folder_write_exit(int folder_fd, const struct task_exit *record, struct err *err)
{
	if (folder_has(folder_fd, FOLDER_EXIT))
		return err_set(err, ERR_EXISTS, "there is an exit record already");
	/* The message quotes what strangers wrote and may have been cut within a character; a record that
	 * cannot be written would keep the task alive for ever. */
	char message[sizeof(record->message)];
	text_clean(record->message, strnlen(record->message, sizeof(message) - 1), message, sizeof(message));
	json_t *j =
	    json_pack("{s:i, s:i, s:s, s:s, s:I, s:I}", "exit_code", record->exit_code, "exit_signal",
		      record->exit_signal, "class", fail_word(record->fail), "message", message, "started_ms",
		      (json_int_t)record->started_ms, "ended_ms", (json_int_t)record->ended_ms);
	return write_json(folder_fd, FOLDER_EXIT, j, true, err);
}

int folder_write_mark(int folder_fd, const char *name, struct err *err)
{
	return fd_write_file(folder_fd, name, "", 0, 0600, err);
}

bool folder_has(int folder_fd, const char *name)
{
	return faccessat(folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool folder_is_locked(int folder_fd)
{
	CLEANUP(fd) int fd = openat(folder_fd, FOLDER_LOCK, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	/* A shared lock, let go at once: a shim that is just starting waits for it and is not turned away. */
	return flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

void task_status_exited(struct task_status *status, const struct task_exit *record)
{
	status->phase = TASK_EXITED;
	status->port = 0;
	status->exit_code = record->exit_code;
	status->exit_signal = record->exit_signal;
	status->fail = record->fail;
	memcpy(status->message, record->message, sizeof(status->message));
	if (record->fail == FAIL_NONE)
		status->message[0] = 0;
}

void task_status_of_spec(struct task_status *ret, const struct task_spec *spec)
{
	*ret = (struct task_status){
	    .kind = spec->kind, .attempt = spec->attempt, .phase = TASK_PREPARING, .progress = PROGRESS_NONE};
	memcpy(ret->name, spec->name, sizeof(ret->name));
	memcpy(ret->owner, spec->owner, sizeof(ret->owner));
}
