/* SPDX-License-Identifier: Apache-2.0 */
/* The live view of a job or a starting model: log above, one status line below on a terminal, plain lines
 * elsewhere. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "cli/cli_int.h"

#define LINE_BYTES_MAX 65536

static volatile int interrupted;

static void on_interrupt(int signal_number)
{
	interrupted = 1;
}

struct view {
	struct cli *c;
	json_t *last;	 /* newest state of the subject */
	char phase[160]; /* last line printed without a terminal */
	bool line_shown, mid_line;
	const char *kind; /* "job" or "model" */
	struct buf line;  /* of the log, while it is not settled */
	bool redrawn;	  /* the last byte was a carriage return */
	int spin;
};

static void clear_line(struct view *v)
{
	if (v->line_shown)
		fputs("\r\033[K", stderr);
	v->line_shown = false;
}

static bool is_ended(const json_t *j)
{
	const char *s = cli_str(j, "state");
	return !strcmp(s, "completed") || !strcmp(s, "failed") || !strcmp(s, "cancelled") ||
	       !strcmp(s, "ready");
}

/* "environment  43 %  tensorflow 2.21.0: installed 12 of 41 packages  38s left" */
static void describe(const json_t *j, struct buf *ret)
{
	const json_t *p = json_object_get(j, "progress");
	const char *state = cli_str(j, "state"), *phase = cli_str(p, "phase"), *text = cli_str(p, "text");
	const json_t *percent = json_object_get(p, "percent"), *eta = json_object_get(p, "eta_ms");
	bool live = !strcmp(state, "starting") || !strcmp(state, "running");
	buf_printf(ret, "%-10s", live && *phase ? phase : state);
	if (live && json_is_number(percent) && json_number_value(percent) >= 0)
		buf_printf(ret, " %3.0f %%", json_number_value(percent));
	if (live && *text)
		buf_printf(ret, " %s", text);
	else if (*cli_str(j, "message"))
		buf_printf(ret, " %s", cli_str(j, "message"));
	if (live && json_is_integer(eta) && json_integer_value(eta) > 0) {
		char left[32];
		cli_format_span(json_integer_value(eta) < 1000 ? 1000 : json_integer_value(eta), left);
		buf_printf(ret, "  %s left", left);
	}
}

static int terminal_width(void)
{
	struct winsize size;
	return ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

/* At most so many characters; a longer line would wrap and could not be drawn over. */
static void cut(struct buf *text, int columns)
{
	size_t i = 0;
	for (int seen = 0; i < text->len; i++) {
		seen += (text->data[i] & 0xc0) != 0x80;
		if (seen > columns)
			break;
	}
	if (i < text->len)
		text->data[text->len = i] = '\0';
}

static void draw(struct view *v)
{
	static const char *const spinner[] = {"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
	CLEANUP(buf) struct buf text = BUF_INIT;
	if (!v->last || is_ended(v->last) || v->mid_line || !v->c->tty_err || v->c->quiet || v->c->json)
		return;
	describe(v->last, &text);
	clear_line(v);
	fprintf(stderr, "%s ", spinner[v->spin++ % ARRAY_LEN(spinner)]);
	cut(&text, terminal_width() - 3);
	cli_print_safe(stderr, buf_str(&text));
	fflush(stderr);
	v->line_shown = true;
}

/* Without a terminal: a line when the phase or, in the environment, the announced text changes. */
static void print_phase(struct view *v)
{
	const json_t *p = json_object_get(v->last, "progress");
	const char *state = cli_str(v->last, "state"), *phase = cli_str(p, "phase");
	bool preparing = !strcmp(state, "starting") && *phase;
	char now[sizeof(v->phase)];
	snprintf(now, sizeof(now), "%s %s", preparing ? phase : state,
		 preparing ? cli_str(p, "text") : cli_str(v->last, "reason"));
	for (char *digit = now; (digit = strpbrk(digit, "0123456789")); digit++)
		*digit = '#';
	if (!strcmp(now, v->phase) || v->c->quiet || v->c->json || (v->c->tty_err && !is_ended(v->last)))
		return;
	memcpy(v->phase, now, sizeof(now));
	CLEANUP(buf) struct buf text = BUF_INIT;
	describe(v->last, &text);
	if (!is_ended(v->last))
		cli_note(v->c, "%s", buf_str(&text));
}

static int on_change(void *arg, const char *event, const json_t *data)
{
	struct view *v = arg;
	if (strcmp(event, v->kind))
		return 0;
	json_decref(v->last);
	v->last = json_deep_copy(data);
	print_phase(v);
	draw(v);
	return is_ended(v->last) ? 1 : 0;
}

/* Where nobody watches, a line that was drawn over and over appears once, as it ended. 'cloudml jobs logs'
 * has every byte. */
static void add_settled(struct view *v, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (v->redrawn && data[i] != '\n')
			buf_clear(&v->line);
		v->redrawn = data[i] == '\r';
		if (!v->redrawn && v->line.len < LINE_BYTES_MAX)
			buf_addc(&v->line, data[i]);
		if (data[i] != '\n')
			continue;
		fwrite(v->line.data, 1, v->line.len, stdout);
		buf_clear(&v->line);
	}
	fflush(stdout);
}

static void on_log(void *arg, const void *data, size_t len)
{
	struct view *v = arg;
	clear_line(v);
	if (!v->c->json && !v->c->tty_out) {
		add_settled(v, data, len);
		return;
	}
	fwrite(data, 1, len, v->c->json ? stderr : stdout);
	fflush(v->c->json ? stderr : stdout);
	if (len)
		v->mid_line = ((const char *)data)[len - 1] != '\n';
}

static void on_idle(void *arg)
{
	draw(arg);
}

static void on_note(void *arg, const char *note)
{
	struct view *v = arg;
	clear_line(v);
	cli_note(v->c, "%s", note ? note : "connected again");
}

static int watch(struct view *v, const char *watch_path, const char *log_path, struct err *err)
{
	struct client_follow f = {.watch_path = watch_path,
				  .log_path = log_path,
				  .on_change = on_change,
				  .on_log = on_log,
				  .on_idle = on_idle,
				  .on_note = on_note,
				  .arg = v,
				  .stop = &interrupted};
	struct sigaction sa = {.sa_handler = on_interrupt}, old;
	interrupted = 0;
	sigaction(SIGINT, &sa, &old);
	int r = client_follow(v->c->client, &f, err);
	sigaction(SIGINT, &old, NULL);
	clear_line(v);
	if (v->line.len)
		fwrite(v->line.data, 1, v->line.len, stdout);
	if ((v->mid_line && !v->c->json) || v->line.len)
		putchar('\n'), fflush(stdout);
	buf_done(&v->line);
	return r;
}

static int job_exit(const json_t *job)
{
	const json_t *exit_record = json_object_get(job, "exit");
	int64_t code = cli_int(exit_record, "code");
	if (!strcmp(cli_str(job, "state"), "completed"))
		return 0;
	if (!strcmp(cli_str(job, "state"), "cancelled"))
		return 130;
	return code > 0 && code < 256 ? (int)code : 1;
}

static void print_job_end(struct cli *c, const json_t *job)
{
	const char *state = cli_str(job, "state"), *id = cli_str(job, "id");
	char took[32];
	int64_t from = cli_int(job, "running_ms") ? cli_int(job, "running_ms") : cli_int(job, "created_ms");
	cli_format_span(cli_int(job, "ended_ms") > from ? cli_int(job, "ended_ms") - from : 0, took);
	if (c->json) {
		cli_print_json(job);
		return;
	}
	const char *message = cli_str(job, "message");
	cli_note(c, "%-10s %s (%s) after %s%s%s", state, cli_str(job, "name"), id, took, *message ? ": " : "",
		 message);
	CLEANUP(free) char *ls = mem_printf("cloudml store ls %s", cli_str(job, "output_uri"));
	CLEANUP(free) char *serve = mem_printf("cloudml serve %s", id);
	CLEANUP(free) char *events = mem_printf("cloudml jobs events %s", id);
	if (!strcmp(state, "completed")) {
		cli_hint(c, serve, "serve its model");
		cli_hint(c, ls, "what it wrote");
	} else {
		cli_hint(c, events, "what happened, step by step");
	}
}

int cli_attach_job(struct cli *c, const json_t *job, struct err *err)
{
	const char *id = cli_str(job, "id");
	CLEANUP(free) char *watch_path = mem_printf("/api/v1/watch?job=%s", id);
	CLEANUP(free) char *log_path = mem_printf("/api/v1/jobs/%s/logs", id);
	struct view v = {.c = c, .last = json_deep_copy(job), .kind = "job"};
	cli_note(c, "job        %s (%s); Ctrl-C detaches, the job goes on", cli_str(job, "name"), id);
	int r = watch(&v, watch_path, log_path, err);
	if (r >= 0) {
		print_job_end(c, v.last);
		r = job_exit(v.last);
	} else if (err->code == ERR_CANCELLED) {
		CLEANUP(free) char *attach = mem_printf("cloudml jobs attach %s", id);
		CLEANUP(free) char *cancel = mem_printf("cloudml jobs cancel %s", id);
		cli_note(c, "detached; the job goes on");
		cli_hint(c, attach, "watch it again");
		cli_hint(c, cancel, "stop it");
		*err = ERR_INIT;
		r = 130;
	}
	json_decref(v.last);
	return r;
}

int cli_wait_model(struct cli *c, const char *name, json_t **ret, struct err *err)
{
	CLEANUP(free) char *watch_path = mem_printf("/api/v1/watch?model=%s", name);
	struct view v = {.c = c, .kind = "model"};
	int r = watch(&v, watch_path, NULL, err);
	if (r >= 0 && strcmp(cli_str(v.last, "state"), "ready"))
		r = err_set(err, ERR_STATE, "the model '%s' did not start: %s; see 'cloudml models logs %s'",
			    name, cli_str(v.last, "message"), name);
	if (r >= 0)
		*ret = STEAL(v.last);
	json_decref(v.last);
	return r;
}
