/* SPDX-License-Identifier: Apache-2.0 */
/* The running server: start, load, serve, drain. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "serving/batch_parameters.h"
#include "serving/batcher.h"
#include "serving/health.h"
#include "serving/json_text.h"
#include "serving/listener.h"
#include "serving/model_life.h"
#include "serving/metrics.h"
#include "serving/monitoring.h"
#include "serving/server.h"
#include "serving/tls.h"
#include "serving/tls_files.h"

#define NS_PER_MS 1000000

struct running {
	struct server server;
	struct listener *listener;
	struct loop_source signals;
	struct loop_timer drain, idle;
	struct batch_rules batching;
	struct reload first; /* the models of the start */
	struct err load_err;
};

void serving_options_init(struct serving_options *o)
{
	*o = (struct serving_options){
	    .address = "127.0.0.1",
	    .port = 8500,
	    .socket_mode = -1,
	    .listen_fd = -1,
	    .control_fd = -1,
	    .ready_fd = -1,
	    .model_version = -1,
	    .folder_poll_s = 1,
	    .load_retries = -1,
	    .load_retry_us = (int64_t)60 * 1000000,
	    .load_threads = 1,
	    .warm_up = true,
	    .threads = 1,
	    .inter_threads = 1,
	    .workers = 2,
	    .health_service = true,
	    .rest_timeout_ms = 30000,
	    .message_bytes_max = (int64_t)256 << 20,
	    .json_bytes_max = (int64_t)64 << 20,
	    .request_bytes_max = (int64_t)512 << 20,
	    .connections_max = 4096,
	    .header_timeout_ms = 10000,
	    .body_timeout_ms = 120000,
	    .drain_ms = 30000,
	};
}

static void check_idle(struct server *s)
{
	if (s->draining && s->calls == 0 && s->connections == 0)
		server_loop_stop(s->loop);
}

int server_check_memory(const struct server *s, struct err *err)
{
	if (s->request_bytes <= s->options->request_bytes_max)
		return 0;
	return err_set(err, ERR_LIMIT, "requests in flight hold more than %lld bytes; try again later",
		       (long long)s->options->request_bytes_max);
}

void server_call_begin(struct server *s)
{
	s->calls++;
}

void server_call_end(struct server *s)
{
	s->calls--;
	check_idle(s);
}

void server_connection_end(struct server *s)
{
	s->connections--;
	check_idle(s);
}

int server_clients(const struct server *s)
{
	return s->connections - s->relays;
}

static void drain_timeout(struct loop_timer *t)
{
	struct running *run = CONTAINER_OF(t, struct running, drain);

	log_warn("serving.drain_timeout calls=%d connections=%d", run->server.calls, run->server.connections);
	server_loop_stop(run->server.loop);
}

static void idle_timeout(struct loop_timer *t)
{
	struct running *run = CONTAINER_OF(t, struct running, idle);
	struct server *s = &run->server;

	s->lingering = false;
	listener_free(run->listener);
	run->listener = NULL;
	tls_drain(s->tls);
	http1_drain(s->http1);
	http2_drain(s->http2);
	check_idle(s);
}

/* A client may be about to use a connection that looks idle to us. So at first it is told to leave, by the
 * answer to its next request or by a GOAWAY that still allows for streams on their way. */
static void drain(struct running *run)
{
	struct server *s = &run->server;

	if (s->draining) {
		server_loop_stop(s->loop); /* told twice: at once */
		return;
	}
	log_info("serving.drain calls=%d connections=%d", s->calls, s->connections);
	s->draining = true;
	listener_stop(run->listener);
	server_loop_timer_start(s->loop, &run->drain,
				clock_monotonic_ns() + s->options->drain_ms * NS_PER_MS);
	if (s->options->drain_idle_ms > 0) {
		s->lingering = true;
		http2_drain_notice(s->http2);
		server_loop_timer_start(s->loop, &run->idle,
					clock_monotonic_ns() + s->options->drain_idle_ms * NS_PER_MS);
		check_idle(s);
	} else {
		idle_timeout(&run->idle);
	}
}

static void on_signal(struct loop_source *source, uint32_t events)
{
	struct signalfd_siginfo info;

	if (read(source->fd, &info, sizeof(info)) == sizeof(info))
		drain(CONTAINER_OF(source, struct running, signals));
}

static int watch_signals(struct running *run, struct err *err)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	run->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	run->signals.on_event = on_signal;
	if (run->signals.fd < 0)
		return err_sys(err, errno, "cannot watch signals");
	return server_loop_add(run->server.loop, &run->signals, EPOLLIN, err);
}

static const struct model_version *newest(const struct model *m)
{
	for (size_t i = 0; i < m->version_count; i++)
		if (m->versions[i]->state == VERSION_AVAILABLE || m->versions[i]->parked)
			return m->versions[i];
	return NULL;
}

/* The one model's version and signature. */
static void describe_model(const struct server *s, struct buf *line)
{
	const struct model *m = registry_find(&s->registry, str_from(s->options->model_name));
	const struct model_version *v = m ? newest(m) : NULL;
	const struct signature_set *set;
	const struct signature *signature;

	if (!v)
		return;
	set = model_version_signatures(v);
	signature = signature_find(set, STR(SIGNATURE_DEFAULT));
	buf_printf(line, ",\"version\":%lld,\"signature\":", (long long)v->number);
	if (signature || set->count > 0)
		json_text_write_string(line, str_from(signature ? signature->name : set->items[0].name));
	else
		buf_adds(line, "null");
}

/* One line for whoever started us, then the end of the pipe. */
static void announce(struct running *run, const struct err *failed)
{
	const struct server *s = &run->server;
	CLEANUP(buf) struct buf line = BUF_INIT;
	CLEANUP(fd) int fd = s->options->ready_fd;
	struct err err = ERR_INIT;

	if (fd < 0)
		return;
	if (failed) {
		buf_adds(&line, "{\"error\":");
		json_text_write_string(&line, str_from(failed->msg));
	} else if (s->options->model_config_file) {
		buf_printf(&line, "{\"ready\":true,\"models\":%zu", map_count(s->registry.models));
	} else {
		buf_adds(&line, "{\"ready\":true");
		describe_model(s, &line);
	}
	buf_adds(&line, "}\n");
	if (fd_write_all(fd, line.data, line.len, &err) < 0)
		log_warn("serving.ready_fd error=%s", err.msg);
}

static void first_done(struct reload *r, const struct err *err)
{
	struct running *run = CONTAINER_OF(r, struct running, first);
	struct server *s = &run->server;

	if (!s->registry.starting) /* the server ends before it was ready */
		return;
	s->registry.starting = false;
	if (err->code == ERR_CANCELLED)
		return;
	if (err->code) {
		run->load_err = *err;
		announce(run, err);
		server_loop_stop(s->loop);
		return;
	}
	announce(run, NULL);
	if (run->listener)
		listener_open(run->listener);
	model_life_poll(s->life);
	server_release(s, NULL);
}

static int load_models(struct running *run, struct err *err)
{
	struct server *s = &run->server;
	int r = model_life_configured(s->life, &run->first.config, err);

	if (r < 0)
		return r;
	s->registry.starting = true;
	run->first.done = first_done;
	model_life_reload(s->life, &run->first);
	return 0;
}

static int before_wait(void *arg)
{
	struct server *s = &((struct running *)arg)->server;

	if (s->batcher)
		batcher_before_wait(s->batcher);
	health_before_wait(s);
	http2_before_wait(s->http2);
	return http1_before_wait(s->http1);
}

static int start(struct running *run, struct err *err)
{
	struct server *s = &run->server;
	int r = server_loop_new(s->options->workers, &s->loop, err);

	if (r >= 0 && s->options->batching) {
		r = batch_parameters_read(s->options->batching_file, s->options->workers, &run->batching,
					  err);
		if (r >= 0)
			s->batcher = batcher_new(s, &run->batching);
	}

	if (r >= 0)
		r = watch_signals(run, err);
	if (r >= 0)
		r = monitoring_read(s->options->monitoring_config_file, &s->metrics_path, err);
	if (r >= 0)
		r = http1_new(s, &s->http1, err);
	if (r >= 0)
		r = http2_new(s, &s->http2, err);
	if (r >= 0 && tls_wanted(s->options))
		r = tls_new(s, &s->tls, err);
	if (r >= 0)
		r = listener_new(s, &run->listener, err);
	if (r >= 0)
		r = model_life_new(s, &s->life, err);
	if (r >= 0)
		r = load_models(run, err);
	return r;
}

static void stop(struct running *run)
{
	struct server *s = &run->server;

	if (s->loop)
		server_loop_timer_stop(s->loop, &run->drain);
	if (s->loop)
		server_loop_timer_stop(s->loop, &run->idle);
	listener_free(run->listener);
	server_hold_done(s);
	model_life_free(s->life);
	tls_free(s->tls);
	http2_free(s->http2);
	http1_free(s->http1);
	batcher_free(s->batcher);
	if (run->signals.fd >= 0)
		close(run->signals.fd);
}

int serving_run(const struct serving_options *o, struct err *err)
{
	struct running run = {.server.options = o,
			      .signals.fd = -1,
			      .drain.on_timer = drain_timeout,
			      .idle.on_timer = idle_timeout};
	int r;

	registry_init(&run.server.registry);
	run.server.metrics = metrics_new();
	list_init(&run.server.watchers);
	server_hold_init(&run.server);
	r = start(&run, err);
	if (r < 0) {
		announce(&run, err);
	} else {
		server_loop_run(run.server.loop, before_wait, &run);
		if (run.load_err.code) {
			*err = run.load_err;
			r = -err->code;
		}
	}
	if (r >= 0 && run.server.calls > 0)
		_exit(0); /* a model still computes past the drain limit; nothing of ours is worth waiting for
			     it */
	stop(&run);
	server_loop_free(run.server.loop);
	registry_done(&run.server.registry);
	metrics_free(run.server.metrics);
	free(run.server.metrics_path);
	return r;
}
