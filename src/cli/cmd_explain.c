/* SPDX-License-Identifier: Apache-2.0 */
/* explain: why a job waits, who holds what, when it starts, what would help. */
#include <string.h>
#include "base/buf.h"
#include "base/unit.h"
#include "cli/cli_int.h"

static void line(const char *title, const char *text)
{
	if (!*text)
		return;
	printf("%-12s", title);
	cli_print_safe(stdout, text);
	putchar('\n');
}

static void add_amount(struct buf *b, const char *resource, const json_t *value)
{
	char text[32];
	if (!strcmp(resource, "memory")) {
		unit_format_bytes(json_integer_value(value), text);
		buf_adds(b, text);
	} else {
		buf_printf(b, "%g", json_number_value(value));
		if (!strcmp(resource, "cpu"))
			buf_adds(b, " cores");
		else if (!strcmp(resource, "gpu"))
			buf_adds(b, " GPUs");
	}
}

static void print_short(const json_t *e)
{
	const json_t *s = json_object_get(e, "short");
	CLEANUP(buf) struct buf b = BUF_INIT;
	const char *resource = cli_str(s, "resource"), *of = cli_str(s, "of");
	if (!json_is_object(s))
		return;
	buf_printf(&b, "%s of the %s: ", resource,
		   !strcmp(of, "quota")		 ? "quota"
		   : !strcmp(of, "user_running") ? "user's limit"
						 : "machine");
	add_amount(&b, resource, json_object_get(s, "wanted"));
	buf_adds(&b, " wanted, ");
	add_amount(&b, resource, json_object_get(s, "available"));
	buf_adds(&b, " left");
	if (json_object_get(s, "limit")) {
		buf_adds(&b, " of ");
		add_amount(&b, resource, json_object_get(s, "limit"));
	}
	line("short", buf_str(&b));
}

static void add_holder(struct buf *b, const json_t *holder)
{
	char left[32];
	int64_t end_ms = cli_int(holder, "expected_end_ms");
	buf_printf(b, "%s %s", cli_str(holder, "kind"), cli_str(holder, "name"));
	if (*cli_str(holder, "id"))
		buf_printf(b, " (%s)", cli_str(holder, "id"));
	if (end_ms <= 0)
		return;
	cli_format_span(end_ms > cli_now_ms() ? end_ms - cli_now_ms() : 0, left);
	if (end_ms > cli_now_ms())
		buf_printf(b, ", expected to end in %s", left);
	else
		buf_adds(b, ", expected to end any moment");
}

static void print_holders(const json_t *e)
{
	const json_t *held = json_object_get(e, "held_by"), *own = json_object_get(held, "own");
	const char *resource = cli_str(json_object_get(e, "short"), "resource");
	for (size_t i = 0; i < json_array_size(own); i++) {
		CLEANUP(buf) struct buf b = BUF_INIT;
		add_holder(&b, json_array_get(own, i));
		line(i ? "" : "held by", buf_str(&b));
	}
	CLEANUP(buf) struct buf rest = BUF_INIT;
	if (cli_int(held, "own_more"))
		buf_printf(&rest, "%lld more of yours", (long long)cli_int(held, "own_more"));
	if (json_number_value(json_object_get(held, "others")) > 0) {
		buf_printf(&rest, "%sother organisations: ", rest.len ? "; " : "");
		add_amount(&rest, resource, json_object_get(held, "others"));
	}
	line(json_array_size(own) ? "" : "held by", buf_str(&rest));
	if (json_is_true(json_object_get(e, "held_for_good")))
		line("", "what is in the way does not end by itself: stop a model, or ask for less");
}

static void print_position(const json_t *e)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	int64_t position = cli_int(e, "position"), own = cli_int(e, "ahead_own");
	if (!position)
		return;
	buf_printf(&b, "%s%lld in the queue",
		   json_is_true(json_object_get(e, "position_is_least")) ? "at least " : "",
		   (long long)position);
	if (own)
		buf_printf(&b, ", %lld of yours before it", (long long)own);
	line("position", buf_str(&b));
}

static const char *basis_text(const char *basis)
{
	return !strcmp(basis, "history") ? "by how long such jobs took"
	       : !strcmp(basis, "limit") ? "by time limits: perhaps earlier"
					 : "";
}

static void print_start(const json_t *e)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	char span[32], at[32];
	int64_t start_ms = cli_int(e, "expected_start_ms"), left = start_ms - cli_now_ms();
	if (start_ms <= 0) {
		if (cli_int(e, "position"))
			line("start",
			     "not known: something before it has no time limit and never ran before");
		return;
	}
	cli_format_span(left > 0 ? left : 0, span);
	cli_format_time(start_ms, at);
	if (left > 0)
		buf_printf(&b, "%s in %s (%s)",
			   json_is_true(json_object_get(e, "is_latest")) ? "at the latest" : "expected", span,
			   at);
	else
		buf_adds(&b, "any moment");
	const char *basis = basis_text(cli_str(e, "basis"));
	if (*basis)
		buf_printf(&b, ", %s", basis);
	line("start", buf_str(&b));
	if (json_is_true(json_object_get(e, "borrows")))
		line("", "it would run beyond the quota: it may be stopped again for who is owed");
}

static void print_freed(const json_t *e)
{
	const json_t *holder = json_object_get(json_object_get(e, "freed_by"), "holder");
	CLEANUP(buf) struct buf b = BUF_INIT;
	if (!json_is_object(holder))
		return;
	buf_printf(&b, "the end of %s %s", cli_str(holder, "kind"), cli_str(holder, "name"));
	line("freed by", buf_str(&b));
}

static void print_explanation(struct cli *c, const json_t *e)
{
	const json_t *changes = json_object_get(e, "changes");
	CLEANUP(buf) struct buf job = BUF_INIT;
	buf_printf(&job, "%s (%s)", cli_str(e, "job"), cli_str(e, "name"));
	line("job", buf_str(&job));
	printf("%-12s%s%s%s\n", "state", cli_color(c, cli_str(e, "state")), cli_str(e, "state"),
	       cli_color_end(c));
	line("why", *cli_str(e, "message") ? cli_str(e, "message") : cli_str(e, "reason"));
	print_position(e);
	print_short(e);
	print_holders(e);
	print_freed(e);
	print_start(e);
	for (size_t i = 0; i < json_array_size(changes); i++)
		line(i ? "" : "sooner", cli_str(json_array_get(changes, i), "text"));
}

int cmd_explain(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *job = NULL, *e = NULL;
	int r = cli_get_job(c, a->positional[0], &job, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *path = mem_printf("/api/v1/jobs/%s/explain", cli_str(job, "id"));
	r = client_call(c->client, "GET", path, NULL, NULL, &e, err);
	if (r < 0)
		return r;
	if (c->json)
		cli_print_json(e);
	else
		print_explanation(c, e);
	return 0;
}
