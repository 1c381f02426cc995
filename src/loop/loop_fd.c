/* SPDX-License-Identifier: Apache-2.0 */
/* Watches on file descriptors. */
#include "loop/loop_int.h"

#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"

struct loop_fd {
	uv_poll_t uv;
	struct loop *loop;
	void (*fn)(void *arg, int events);
	void *arg;
};

static void on_poll(uv_poll_t *uv, int status, int events)
{
	struct loop_fd *w = CONTAINER_OF(uv, struct loop_fd, uv);
	loop_note(w->loop);
	/* After an error libuv has stopped the watch. The user finds the error when it reads or writes. */
	int ready = status < 0 ? LOOP_READ | LOOP_WRITE : 0;
	if (events & (UV_READABLE | UV_DISCONNECT))
		ready |= LOOP_READ;
	if (events & UV_WRITABLE)
		ready |= LOOP_WRITE;
	w->fn(w->arg, ready);
}

struct loop_fd *loop_fd_new(struct loop *l, int fd, int events, void (*fn)(void *arg, int events), void *arg,
			    struct err *err)
{
	struct loop_fd *w = MEM_NEW(struct loop_fd);
	w->loop = l;
	w->fn = fn;
	w->arg = arg;
	int r = uv_poll_init(&l->uv, &w->uv, fd);
	if (r < 0) {
		free(w);
		loop_uv_error(err, r, "cannot watch a descriptor");
		return NULL;
	}
	loop_fd_set(w, events);
	return w;
}

void loop_fd_set(struct loop_fd *w, int events)
{
	int wanted = (events & LOOP_READ ? UV_READABLE : 0) | (events & LOOP_WRITE ? UV_WRITABLE : 0);
	int r = wanted ? uv_poll_start(&w->uv, wanted, on_poll) : uv_poll_stop(&w->uv);
	assert(r == 0);
}

static void on_close(uv_handle_t *h)
{
	free(CONTAINER_OF(h, struct loop_fd, uv));
}

void loop_fd_free(struct loop_fd *w)
{
	if (w)
		uv_close((uv_handle_t *)&w->uv, on_close);
}
