/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes on their way out, see out_queue.h. */
#include "serving/out_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "base/mem.h"

#define PIECES_MAX 64 /* of one write */

static void clear(struct out_queue *q)
{
	for (size_t i = q->view_first; i < q->view_count; i++)
		shared_unref(q->views[i].memory);
	q->view_count = q->view_first = 0;
	buf_clear(&q->bytes);
	q->sent = 0;
	q->waiting = 0;
}

void out_queue_done(struct out_queue *q)
{
	clear(q);
	free(q->views);
	buf_done(&q->bytes);
	*q = (struct out_queue){0};
}

void out_queue_add(struct out_queue *q, const void *data, size_t len)
{
	buf_add(&q->bytes, data, len);
	q->waiting += len;
}

void out_queue_add_view(struct out_queue *q, const void *data, size_t len, struct shared *memory)
{
	if (q->view_count == q->view_cap) {
		q->view_cap = q->view_cap ? q->view_cap * 2 : 16;
		q->views = mem_realloc(q->views, q->view_cap * sizeof(*q->views));
	}
	q->views[q->view_count++] = (struct out_view){q->bytes.len, data, len, shared_ref(memory)};
	q->waiting += len;
}

/* The first pieces in their order. */
static size_t gather(const struct out_queue *q, struct iovec *pieces)
{
	size_t count = 0, view = q->view_first, sent = q->sent;

	while (count < PIECES_MAX && (view < q->view_count || sent < q->bytes.len)) {
		size_t end = view < q->view_count ? q->views[view].at : q->bytes.len;
		if (sent < end) {
			pieces[count++] = (struct iovec){q->bytes.data + sent, end - sent};
			sent = end;
		} else {
			pieces[count++] = (struct iovec){(void *)q->views[view].data, q->views[view].len};
			view++;
		}
	}
	return count;
}

static void drop(struct out_queue *q, size_t n)
{
	q->waiting -= n;
	while (n > 0) {
		struct out_view *v = q->view_first < q->view_count ? &q->views[q->view_first] : NULL;
		size_t own = (v ? v->at : q->bytes.len) - q->sent;
		if (own > 0) {
			own = own < n ? own : n;
			q->sent += own;
			n -= own;
			continue;
		}
		if (v->len > n) {
			v->data += n;
			v->len -= n;
			return;
		}
		n -= v->len;
		shared_unref(v->memory);
		q->view_first++;
	}
}

bool out_queue_send(struct out_queue *q, int fd)
{
	struct iovec pieces[PIECES_MAX];

	while (q->waiting > 0) {
		struct msghdr message = {.msg_iov = pieces, .msg_iovlen = gather(q, pieces)};
		ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		drop(q, (size_t)n);
	}
	clear(q);
	return true;
}
