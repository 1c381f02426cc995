/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backend of this machine as a program: commands are JSON lines on standard input, observations are JSON
 *lines on standard output. It is also the shim and the unpacker of the tasks it starts, as `cloudml` is.
 *Killing it is part of the tests.
 *
 *	local_driver DATA_FOLDER FRAMEWORK_FILE...
 *	{"op": "launch", "spec": {…}} {"op": "stop", "task", "why", "grace_ms"} {"op": "remove", "task"}
 *	{"op": "log", "task"} {"op": "metrics", "task"} {"op": "put", "org", "key", "file"} {"op": "get",
 *"org", "key"}
 *	{"op": "list", "org", "prefix"} {"op": "describe"} {"op": "quit"}
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "blobs/blobs.h"
#include "local/local.h"
#include "local/store_copy.h"

#define LOG_MAX ((size_t)1 << 20)

static struct loop *loop;
static struct backend *backend;
static struct blob_store *blobs;
static struct buf input;

/* Takes j. */
static void say(json_t *j)
{
	CLEANUP(json) json_t *owned = j;
	CLEANUP(buf) struct buf line = BUF_INIT;
	struct err err = ERR_INIT;
	json_write(owned, &line);
	buf_addc(&line, '\n');
	if (fd_write_all(STDOUT_FILENO, line.data, line.len, &err) < 0)
		exit(1);
}

static void answer(const char *op, int r, const struct err *err)
{
	say(json_pack("{s:s, s:s, s:s}", "answer", op, "error", r < 0 ? err_word(err->code) : "", "message",
		      r < 0 ? err->msg : ""));
}

static void on_changed(void *arg, const struct task_status *status)
{
	say(json_pack("{s:o}", "changed", task_status_format(status)));
}

static void on_removed(void *arg, const char *name)
{
	say(json_pack("{s:s}", "removed", name));
}

static void on_attached(void *arg)
{
	say(json_pack("{s:b}", "attached", 1));
}

static const char *text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));
	return s ? s : "";
}

static int op_launch(const json_t *j, struct err *err)
{
	struct task_spec spec;
	task_spec_init(&spec);
	int r = task_spec_parse(json_object_get(j, "spec"), &spec, err);
	if (r == 0)
		r = backend->ops->launch(backend, &spec, err);
	task_spec_done(&spec);
	return r;
}

static int op_stop(const json_t *j, struct err *err)
{
	enum fail_class why = FAIL_CANCELLED;
	fail_parse(text(j, "why"), &why);
	return backend->ops->stop(backend, text(j, "task"), why,
				  json_integer_value(json_object_get(j, "grace_ms")), err);
}

static int op_log(const json_t *j, struct err *err)
{
	CLEANUP(free) char *data = mem_alloc(LOG_MAX);
	ssize_t n = backend->ops->log_read(backend, text(j, "task"), 0, data, LOG_MAX, err);
	if (n >= 0)
		say(json_pack("{s:s%}", "log", data, (size_t)n));
	return (int)(n < 0 ? n : 0);
}

static int op_metrics(const json_t *j, struct err *err)
{
	json_t *series = NULL;
	int r = backend->ops->metrics_read(backend, text(j, "task"), &series, err);
	if (r == 0)
		say(json_pack("{s:o}", "metrics", series));
	return r;
}

static int op_put(const json_t *j, struct err *err)
{
	const struct store_place at = {blobs, text(j, "org"), text(j, "org")};
	int r = blobs->ops->bucket_create(blobs, at.org, at.bucket, err);
	CLEANUP(fd) int fd = open(text(j, "file"), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, ERR_NOT_FOUND, "cannot open '%s'", text(j, "file"));
	return r < 0 ? r : store_put_fd(&at, text(j, "key"), "", fd, err);
}

static int op_get(const json_t *j, struct err *err)
{
	CLEANUP(free) char *data = mem_alloc(LOG_MAX);
	struct blob_get *get = NULL;
	struct blob_info info;
	int r = blobs->ops->get_open(blobs, text(j, "org"), text(j, "org"), text(j, "key"), NULL, &get, &info,
				     err);
	if (r < 0)
		return r;
	ssize_t n = blobs->ops->get_read(get, 0, data, LOG_MAX, err);
	blobs->ops->get_close(get);
	if (n >= 0)
		say(json_pack("{s:s%}", "object", data, (size_t)n));
	return (int)(n < 0 ? n : 0);
}

static int op_list(const json_t *j, struct err *err)
{
	struct blob_list list = {0};
	int r = blobs->ops->list(blobs, text(j, "org"), text(j, "org"), text(j, "prefix"), NULL, 0,
				 BLOB_LIST_MAX, &list, err);
	json_t *keys = json_array();
	for (size_t i = 0; r == 0 && i < list.count; i++)
		json_array_append_new(keys, json_string(list.entries[i].key));
	blob_list_done(&list);
	say(json_pack("{s:o}", "keys", keys));
	return r;
}

static void command(const json_t *j)
{
	struct err err = ERR_INIT;
	const char *op = text(j, "op");
	int r = 0;
	if (strcmp(op, "launch") == 0)
		r = op_launch(j, &err);
	else if (strcmp(op, "stop") == 0)
		r = op_stop(j, &err);
	else if (strcmp(op, "remove") == 0)
		r = backend->ops->remove(backend, text(j, "task"), &err);
	else if (strcmp(op, "log") == 0)
		r = op_log(j, &err);
	else if (strcmp(op, "metrics") == 0)
		r = op_metrics(j, &err);
	else if (strcmp(op, "put") == 0)
		r = op_put(j, &err);
	else if (strcmp(op, "get") == 0)
		r = op_get(j, &err);
	else if (strcmp(op, "list") == 0)
		r = op_list(j, &err);
	else if (strcmp(op, "describe") == 0)
		say(json_pack("{s:o}", "describe", backend->ops->describe(backend)));
	else if (strcmp(op, "quit") == 0)
		loop_stop(loop);
	else
		r = err_set(&err, ERR_INVALID, "unknown command '%s'", op);
	answer(op, r, &err);
}

static void on_input(void *arg, int events)
{
	char block[65536];
	ssize_t n = read(STDIN_FILENO, block, sizeof(block));
	if (n <= 0) {
		loop_stop(loop);
		return;
	}
	buf_add(&input, block, (size_t)n);
	for (char *end; input.len && (end = memchr(input.data, '\n', input.len));) {
		CLEANUP(json) json_t *j = json_loadb(input.data, (size_t)(end - input.data), 0, NULL);
		command(j);
		buf_consume(&input, (size_t)(end - input.data) + 1);
	}
}

static int fail(const struct err *err)
{
	say(json_pack("{s:s, s:s}", "fatal", err_word(err->code), "message", err->msg));
	return err->code == ERR_UNSUPPORTED ? 77 : 1;
}

static int load_catalogue(struct catalogue *c, char **files, struct err *err)
{
	for (; *files; files++) {
		CLEANUP(json) json_t *j = NULL;
		int r = json_read_file(AT_FDCWD, *files, 1 << 20, &j, err);
		if (r == 0)
			r = catalogue_add(c, j, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "shim") == 0)
		return local_shim_main(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "unpack") == 0) {
		int status = local_unpack_main(argc - 1, argv + 1);
		fflush(NULL);
		_exit(status); /* the leak checker needs ptrace, which the sandbox forbids */
	}
	if (argc < 2)
		return 2;
	struct err err = ERR_INIT;
	struct catalogue catalogue = {0};
	if (loop_new(&loop, &err) < 0 || load_catalogue(&catalogue, argv + 2, &err) < 0 ||
	    blobs_open(argv[1], &blobs, &err) < 0)
		return fail(&err);
	const struct local_config config = {.data_folder = argv[1],
					    .bind_address = "127.0.0.1",
					    .port_first = 18700,
					    .port_last = 18799,
					    .catalogue = &catalogue,
					    .blobs = blobs,
					    .loop = loop,
					    .clock = &clock_real};
	if (local_new(&config, &backend, &err) < 0)
		return fail(&err);
	const struct backend_observer observer = {
	    .task_changed = on_changed, .task_removed = on_removed, .attached = on_attached};
	struct loop_fd *watch = loop_fd_new(loop, STDIN_FILENO, LOOP_READ, on_input, NULL, &err);
	if (!watch || backend->ops->attach(backend, &observer, &err) < 0)
		return fail(&err);
	loop_run(loop);
	loop_fd_free(watch);
	backend->ops->close(backend);
	blobs->ops->close(blobs);
	loop_free(loop);
	catalogue_done(&catalogue);
	buf_done(&input);
	return 0;
}
