/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shim asks its model server over its own socket: is it ready, again and again; and, when they
 * change, to take other weights. The shim only reports (unhealthy, weights in force); the controller decides.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/unit.h"
#include "core/service.h"
#include "local/fd_drop.h"
#include "local/shim_int.h"
#include "local/task_socket.h"

#define WEIGHTS_ANSWER_MS 30000
#define ANSWER_BYTES_MAX ((size_t)4096) /* more is not looked at */

/* One question: the status of the answer, or 0 with what went wrong. */
struct shim_ask {
	struct shim *shim;
	int fd;
	struct loop_fd *watch;
	struct loop_timer *timer;
	struct buf request, answer;
	size_t sent;
	void (*done)(struct shim *s, int status, const char *text);
};

static void ask_free(struct shim_ask *a)
{
	if (!a)
		return;
	loop_fd_free(a->watch);
	loop_timer_free(a->timer);
	fd_drop(&a->fd);
	buf_done(&a->request);
	buf_done(&a->answer);
	free(a);
}

static void ask_end(struct shim_ask *a, int status, const char *text)
{
	struct shim *s = a->shim;
	if (s->health_ask == a)
		s->health_ask = NULL;
	if (s->weights_ask == a)
		s->weights_ask = NULL;
	a->done(s, status, text);
	ask_free(a);
}

static void ask_timeout(void *arg)
{
	ask_end(arg, 0, "it gave no answer in time");
}

static void ask_answered(struct shim_ask *a)
{
	int status = 0;
	char text[ANSWER_BYTES_MAX + 1];
	const char *body = strstr(buf_str(&a->answer), "\r\n\r\n");
	bool is_http = sscanf(buf_str(&a->answer), "HTTP/1.%*1d %3d", &status) == 1;
	snprintf(text, sizeof(text), "%s", !is_http ? "its answer was not understood" : body ? body + 4 : "");
	ask_end(a, is_http ? status : 0, text);
}

static void on_event(void *arg, int events)
{
	struct shim_ask *a = arg;
	char block[1024];
	while (a->sent < a->request.len) {
		ssize_t n = send(a->fd, a->request.data + a->sent, a->request.len - a->sent, MSG_NOSIGNAL);
		if (n < 0)
			return; /* room comes, or the time is over */
		a->sent += (size_t)n;
		if (a->sent == a->request.len)
			loop_fd_set(a->watch, LOOP_READ);
	}
	for (;;) {
		ssize_t n = recv(a->fd, block, sizeof(block), 0);
		if (n < 0)
			return;
		if (n > 0)
			buf_add(&a->answer, block, (size_t)n);
		if (n == 0 || a->answer.len >= ANSWER_BYTES_MAX) {
			ask_answered(a);
			return;
		}
	}
}

/* The end of the answer is the end of the connection. NULL when nobody takes it; done is not called then. */
static struct shim_ask *ask(struct shim *s, const char *method, const char *path, const char *body,
			    int64_t timeout_ms, void (*done)(struct shim *s, int status, const char *text))
{
	struct err err = ERR_INIT;
	int fd = task_socket_connect(s->folder_fd, FOLDER_CONTROL_SOCKET, &err);
	if (fd < 0)
		return NULL;
	struct shim_ask *a = MEM_NEW(struct shim_ask);
	a->shim = s;
	a->fd = fd;
	a->done = done;
	a->timer = loop_timer_new(s->loop, ask_timeout, a);
	loop_timer_set(a->timer, timeout_ms, 0);
	buf_printf(&a->request,
		   "%s %s HTTP/1.1\r\nHost: model\r\nConnection: close\r\nContent-Type: application/json\r\n"
		   "Content-Length: %zu\r\n\r\n%s",
		   method, path, strlen(body), body);
	a->watch = loop_fd_new(s->loop, fd, LOOP_READ | LOOP_WRITE, on_event, a, &err);
	if (a->watch)
		return a;
	ask_free(a);
	return NULL;
}

/* ---- health ---- */

static void check_failed(struct shim *s, const char *why)
{
	char line[300];
	if (s->status.unhealthy || ++s->unhealthy < s->spec.health_failures)
		return;
	snprintf(line, sizeof(line), "%lld health checks in a row failed, the last because %.180s",
		 (long long)s->unhealthy, why);
	snprintf(s->status.message, sizeof(s->status.message), "%s", line);
	s->status.unhealthy = (int)s->unhealthy;
	task_log_note(&s->log, line);
	shim_set_phase(s, TASK_READY, "unhealthy");
}

static void checked(struct shim *s, int status, const char *text)
{
	char why[200];
	if (status == 200) {
		s->unhealthy = 0;
		return; /* what was reported as unhealthy is being replaced */
	}
	if (status)
		snprintf(why, sizeof(why), "it answered with status %d", status);
	else
		snprintf(why, sizeof(why), "%.180s", text);
	check_failed(s, why);
}

static void on_health_timer(void *arg)
{
	struct shim *s = arg;
	if (s->health_ask)
		return;
	s->health_ask = ask(s, "GET", "/v2/health/ready", "", s->spec.health_interval_ms, checked);
	if (!s->health_ask)
		check_failed(s, "it takes no connection");
}

void shim_health_start(struct shim *s)
{
	if (s->health_timer || s->stop_wanted || s->spec.health_interval_ms <= 0 ||
	    s->spec.health_failures <= 0)
		return;
	s->health_timer = loop_timer_new(s->loop, on_health_timer, s);
	loop_timer_set(s->health_timer, s->spec.health_interval_ms, s->spec.health_interval_ms);
	shim_model_read_weights(s);
	shim_weights_changed(s); /* they may have changed while it loaded */
}

void shim_health_stop(struct shim *s)
{
	loop_timer_free(s->health_timer);
	s->health_timer = NULL;
	ask_free(STEAL(s->health_ask));
	ask_free(STEAL(s->weights_ask));
}

/* ---- weights ---- */

static void weights_taken(struct shim *s, int status, const char *text)
{
	char line[400];
	if (status == 200) {
		snprintf(s->status.weights, sizeof(s->status.weights), "%s", s->weights_asked);
		shim_set_phase(s, TASK_READY, "ready");
		shim_weights_changed(s); /* there may be newer ones */
		return;
	}
	snprintf(line, sizeof(line), "the model server did not take the weights %.100s: %.200s",
		 s->weights_asked, text);
	task_log_note(&s->log, line);
}

void shim_weights_changed(struct shim *s)
{
	struct service_weight weights[SERVICE_VERSIONS_MAX];
	CLEANUP(buf) struct buf body = BUF_INIT;
	CLEANUP(free) char *path = mem_printf("/cloudml/v1/models/%s/weights", s->spec.model_name);
	int count = service_weights_parse(s->weights, weights, NULL);
	if (s->weights_ask || s->stop_wanted || count <= 0 || !strcmp(s->weights, s->status.weights))
		return;
	buf_adds(&body, "{\"weights\":{");
	for (int i = 0; i < count; i++)
		buf_printf(&body, "%s\"%lld\":%lld", i ? "," : "", (long long)weights[i].version,
			   (long long)weights[i].per_mille);
	buf_adds(&body, "}}");
	memcpy(s->weights_asked, s->weights, sizeof(s->weights_asked));
	s->weights_ask = ask(s, "POST", path, buf_str(&body), WEIGHTS_ANSWER_MS, weights_taken);
}
