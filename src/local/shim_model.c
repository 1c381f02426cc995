/* SPDX-License-Identifier: Apache-2.0 */
/* A model server's sockets: the service's, which came with us and is handed on to whoever starts the next
 * replica, and one of its own. The server inside has no network but them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "core/service.h"
#include "local/fd_drop.h"
#include "local/shim_int.h"
#include "local/task_socket.h"
#include "local/text_clean.h"

#define HANDED_PER_TURN 16

static int port_of(int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);
	if (getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return 0;
	return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
					     : ((struct sockaddr_in *)&a)->sin_port);
}

/* Whoever may write to our folder gets the listening socket. */
static void on_port_asked(void *arg, int events)
{
	struct shim *s = arg;
	struct err err = ERR_INIT;
	for (int i = 0; i < HANDED_PER_TURN; i++) {
		CLEANUP(fd) int fd = accept4(s->port_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		task_socket_send(fd, s->listen_fd, &err);
	}
}

/* ---- weights ---- */

/* The wish of the folder, else of the specification. */
void shim_model_read_weights(struct shim *s)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct service_weight parsed[SERVICE_VERSIONS_MAX];
	struct err err = ERR_INIT;
	const char *wish = s->spec.model_weights ? s->spec.model_weights : "";
	if (fd_read_file(s->folder_fd, FOLDER_WEIGHTS, TASK_WEIGHTS_MAX, &text, &err) >= 0)
		wish = buf_str(&text);
	if (service_weights_parse(wish, parsed, &err) < 0) {
		task_log_note(&s->log, err.msg);
		return;
	}
	snprintf(s->weights, sizeof(s->weights), "%s", wish);
}

/* ModelServerConfig in text: the versions and what they weigh. */
static int write_config(struct shim *s, struct err *err)
{
	struct service_weight weights[SERVICE_VERSIONS_MAX];
	CLEANUP(buf) struct buf text = BUF_INIT;
	int count = service_weights_parse(s->weights, weights, err);
	if (count <= 0)
		return count;
	buf_printf(&text,
		   "model_config_list {\n  config {\n    name: \"%s\"\n    base_path: \"/model\"\n"
		   "    model_version_policy { specific {",
		   s->spec.model_name ? s->spec.model_name : "model");
	for (int i = 0; i < count; i++)
		buf_printf(&text, " versions: %lld", (long long)weights[i].version);
	buf_adds(&text, " } }\n");
	for (int i = 0; i < count; i++)
		buf_printf(&text, "    version_weights { key: %lld value: %lld }\n",
			   (long long)weights[i].version, (long long)weights[i].per_mille);
	buf_adds(&text, "  }\n}\n");
	return fd_write_file(s->folder_fd, FOLDER_SERVING_CONFIG, text.data, text.len, 0644, err);
}

/* ---- readiness ---- */

/* One line of JSON: {"ready": true, …} or {"error": "…"}. */
static void take_ready_line(struct shim *s)
{
	CLEANUP(json) json_t *j = json_loadb(s->ready_text, s->ready_len, 0, NULL);
	const char *error = json_string_value(json_object_get(j, "error"));
	char clean[400];
	if (json_is_true(json_object_get(j, "ready"))) {
		s->status.port = s->port;
		memcpy(s->status.weights, s->weights, sizeof(s->status.weights));
		shim_set_phase(s, TASK_READY, "ready");
		shim_health_start(s);
		return;
	}
	free(s->serve_error);
	if (!error)
		error = "the model server's answer was not understood";
	text_clean(error, strlen(error), clean, sizeof(clean));
	s->serve_error = mem_strdup(clean);
}

static void on_ready(void *arg, int events)
{
	struct shim *s = arg;
	ssize_t n = read(s->ready_fd, s->ready_text + s->ready_len, sizeof(s->ready_text) - s->ready_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		s->ready_len += (size_t)n;
	bool whole = memchr(s->ready_text, '\n', s->ready_len) || s->ready_len == sizeof(s->ready_text);
	if (n > 0 && !whole)
		return;
	if (s->ready_len)
		take_ready_line(s);
	loop_fd_free(s->ready_watch);
	s->ready_watch = NULL;
}

static int open_pipe(struct shim *s, struct err *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	s->ready_fd = ends[0];
	s->ready_write_fd = ends[1];
	int r = fd_set_nonblock(s->ready_fd, err);
	if (r < 0)
		return r;
	s->ready_watch = loop_fd_new(s->loop, s->ready_fd, LOOP_READ, on_ready, s, err);
	return s->ready_watch ? 0 : -err->code;
}

/* From the beginning on, so that a server that was started anew finds the socket whatever the replica does.
 */
int shim_model_begin(struct shim *s, struct err *err)
{
	if (s->listen_fd < 0)
		return err_set(err, ERR_UNAVAILABLE, "no listening socket came with the task");
	s->port = port_of(s->listen_fd);
	s->port_fd = task_socket_listen(s->folder_fd, FOLDER_PORT_SOCKET, err);
	if (s->port_fd < 0)
		return s->port_fd;
	s->port_watch = loop_fd_new(s->loop, s->port_fd, LOOP_READ, on_port_asked, s, err);
	return s->port_watch ? 0 : -err->code;
}

int shim_model_open(struct shim *s, struct err *err)
{
	shim_model_read_weights(s);
	int r = write_config(s, err);
	if (r >= 0)
		r = s->control_fd = task_socket_listen(s->folder_fd, FOLDER_CONTROL_SOCKET, err);
	return r < 0 ? r : open_pipe(s, err);
}

void shim_model_started(struct shim *s)
{
	fd_drop(&s->ready_write_fd);
	fd_drop(&s->control_fd); /* with ours it would seem to listen when it is dead */
}

void shim_model_close(struct shim *s)
{
	shim_health_stop(s);
	if (s->ready_watch && s->ready_fd >= 0)
		on_ready(s, LOOP_READ); /* what it said last */
	loop_fd_free(s->ready_watch);
	s->ready_watch = NULL;
	loop_fd_free(s->port_watch);
	s->port_watch = NULL;
	shim_model_started(s);
	fd_drop(&s->port_fd);
	fd_drop(&s->listen_fd);
	fd_drop(&s->ready_fd);
}
