/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes and views leave in their order, whatever the socket takes at a time. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"
#include "serving/out_queue.h"
#include "unit/test.h"

#define MEMORY 300000

struct memory {
	struct shared shared;
	int *alive;
	char data[MEMORY];
};

static void memory_free(struct shared *s)
{
	struct memory *m = CONTAINER_OF(s, struct memory, shared);

	(*m->alive)--;
	free(m);
}

static struct memory *memory_new(int *alive)
{
	struct memory *m = MEM_NEW(struct memory);

	shared_init(&m->shared, memory_free);
	m->alive = alive;
	(*alive)++;
	test_rng.fill(&test_rng, m->data, sizeof(m->data));
	return m;
}

static void drain(int fd, struct buf *to)
{
	char part[7777];
	ssize_t n;

	while ((n = read(fd, part, sizeof(part))) > 0)
		buf_add(to, part, (size_t)n);
}

TEST(bytes_and_views_leave_in_the_order_they_came)
{
	CLEANUP(buf) struct buf expected = BUF_INIT, got = BUF_INIT;
	struct out_queue q = {0};
	int fds[2], alive = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	for (int round = 0; round < 20; round++) {
		struct memory *m = memory_new(&alive);
		for (int i = 0; i < 30; i++) {
			bool view = rng_below(&test_rng, 3) == 0;
			size_t len = 1 + rng_below(&test_rng, view ? 30000 : 100);
			const char *from = m->data + rng_below(&test_rng, MEMORY - len);
			if (view)
				out_queue_add_view(&q, from, len, &m->shared);
			else
				out_queue_add(&q, from, len);
			buf_add(&expected, from, len);
		}
		shared_unref(&m->shared);
		while (q.waiting > 0) {
			assert_true(out_queue_send(&q, fds[0]));
			drain(fds[1], &got);
		}
		assert_int_equal(alive, 0); /* sent means released */
		assert_int_equal(q.bytes.len, 0);
	}
	assert_int_equal(got.len, expected.len);
	assert_memory_equal(got.data, expected.data, got.len);
	out_queue_done(&q);
	close(fds[0]);
	close(fds[1]);
}

TEST(what_was_not_sent_is_released_with_its_queue)
{
	struct out_queue q = {0};
	int fds[2], alive = 0;
	struct memory *m = memory_new(&alive);

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	for (int i = 0; i < 10; i++)
		out_queue_add_view(&q, m->data, MEMORY, &m->shared);
	shared_unref(&m->shared);
	assert_true(out_queue_send(&q, fds[0])); /* some of it */
	assert_true(q.waiting > 0 && q.waiting < 10 * (size_t)MEMORY);
	close(fds[1]);
	assert_false(out_queue_send(&q, fds[0]));
	assert_int_equal(alive, 1);
	out_queue_done(&q);
	assert_int_equal(alive, 0);
	close(fds[0]);
}
