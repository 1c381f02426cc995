/* SPDX-License-Identifier: Apache-2.0 */
/* Calls whose model is not in memory: they are held and run again when it is.
 *
 * A protocol knows nothing of it: it resolves, fails, and answers with the failure at once; the transport
 * asks here first, and the answer is dropped and the call kept. Only a call whose resolving failed while it
 * was being started can be held. */
#include "base/mem.h"
#include "serving/model_life.h"
#include "serving/server.h"

static int on_demand(struct registry *r, struct model_version *v, struct err *err)
{
	struct server *s = CONTAINER_OF(r, struct server, registry);

	if (s->current && s->current->expired)
		return err_set(err, ERR_TIMEOUT, "the deadline passed before the model was loaded");
	if (v && s->current && s->current->version == v && v->err.code)
		return 0; /* it has waited for this version, whose load failed */
	if (v && !model_life_demand(v))
		return 0;
	s->must_hold = true;
	s->hold_version = v;
	return 0;
}

void server_hold_init(struct server *s)
{
	list_init(&s->held);
	s->registry.on_demand = on_demand;
}

void server_run_call(struct server *s, struct held_call *c)
{
	struct held_call *outer = s->current;

	s->current = c;
	s->must_hold = false;
	c->run(c);
	s->must_hold = false;
	s->current = outer;
}

/* Out of the list; it still counts as a call. */
static void let_go(struct held_call *c)
{
	server_loop_timer_stop(c->server->loop, &c->timer);
	list_remove(&c->node);
	c->server = NULL;
}

static void on_deadline(struct loop_timer *t)
{
	struct held_call *c = CONTAINER_OF(t, struct held_call, timer);
	struct server *s = c->server;

	c->expired = true;
	let_go(c);
	server_run_call(s, c);
	server_call_end(s);
}

bool server_unhold(struct held_call *c)
{
	struct server *s = c->server;

	if (!s)
		return false;
	let_go(c);
	server_call_end(s);
	return true;
}

bool server_hold(struct server *s, struct held_call *c)
{
	if (s->current != c || !s->must_hold)
		return false;
	s->must_hold = false;
	c->version = s->hold_version;
	c->server = s;
	c->timer.on_timer = on_deadline;
	list_append(&s->held, &c->node);
	if (c->deadline_ns > 0 && c->deadline_ns < INT64_MAX)
		server_loop_timer_start(s->loop, &c->timer, c->deadline_ns);
	server_call_begin(s);
	return true;
}

static void release(struct server *s, const struct model_version *v, bool all)
{
	struct list batch;
	struct held_call *c;

	list_init(&batch);
	LIST_EACH(c, &s->held, node)
	{
		if (!all && c->version != v)
			continue;
		list_remove(&c->node);
		list_append(&batch, &c->node);
	}
	while (!list_empty(&batch)) {
		c = LIST_ENTRY(batch.next, struct held_call, node);
		let_go(c);
		server_run_call(s, c);
		server_call_end(s);
	}
}

void server_release(struct server *s, struct model_version *v)
{
	release(s, v, false);
}

void server_hold_done(struct server *s)
{
	s->registry.on_demand = NULL;
	release(s, NULL, true);
}
