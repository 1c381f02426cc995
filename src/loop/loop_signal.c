/* SPDX-License-Identifier: Apache-2.0 */
/* Signals of this process. */
#include "loop/loop_int.h"

#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"

struct loop_signal {
	uv_signal_t uv;
	struct loop *loop;
	void (*fn)(void *arg);
	void *arg;
};

static void on_signal(uv_signal_t *uv, int signal_number)
{
	struct loop_signal *s = CONTAINER_OF(uv, struct loop_signal, uv);
	loop_note(s->loop);
	s->fn(s->arg);
}

struct loop_signal *loop_signal_new(struct loop *l, int signal_number, void (*fn)(void *arg), void *arg)
{
	struct loop_signal *s = MEM_NEW(struct loop_signal);
	s->loop = l;
	s->fn = fn;
	s->arg = arg;
	int r = uv_signal_init(&l->uv, &s->uv);
	assert(r == 0);
	r = uv_signal_start(&s->uv, on_signal, signal_number);
	assert(r == 0); /* else SIGKILL, SIGSTOP or no signal at all was asked for */
	return s;
}

static void on_close(uv_handle_t *h)
{
	free(CONTAINER_OF(h, struct loop_signal, uv));
}

void loop_signal_free(struct loop_signal *s)
{
	if (s)
		uv_close((uv_handle_t *)&s->uv, on_close);
}
