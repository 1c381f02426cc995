/* SPDX-License-Identifier: Apache-2.0 */
/* Posts, works, timers, descriptors and signals of the loop. */
#include "unit/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "loop/loop.h"

static struct loop *new_loop(void)
{
	struct err err = ERR_INIT;
	struct loop *l = NULL;
	EXPECT_OK(loop_new(&l, &err), &err);
	return l;
}

static void count(void *arg)
{
	++*(int *)arg;
}

static void stop(void *arg)
{
	loop_stop(arg);
}

TEST(a_posted_function_runs_on_the_loop)
{
	struct loop *l = new_loop();
	int n = 0;
	loop_post(l, count, &n);
	loop_post(l, stop, l);
	assert_int_equal(n, 0);
	loop_run(l);
	assert_int_equal(n, 1);
	loop_free(l);
}

#define POSTS 1000
struct ordered_post {
	int *next, value;
	bool *in_order;
};

static void check_order(void *arg)
{
	struct ordered_post *p = arg;
	*p->in_order &= *p->next == p->value;
	++*p->next;
}

struct poster {
	struct loop *loop;
	struct ordered_post posts[POSTS];
	int next;
	bool in_order;
};

static void *post_many(void *arg)
{
	struct poster *p = arg;
	for (int i = 0; i < POSTS; i++) {
		p->posts[i] = (struct ordered_post){&p->next, i, &p->in_order};
		loop_post(p->loop, check_order, &p->posts[i]);
	}
	return NULL;
}

TEST(posts_of_a_thread_keep_their_order_and_none_is_lost)
{
	static struct poster posters[4];
	pthread_t threads[4];
	struct loop *l = new_loop();
	for (int i = 0; i < 4; i++) {
		posters[i] = (struct poster){.loop = l, .in_order = true};
		pthread_create(&threads[i], NULL, post_many, &posters[i]);
	}
	for (int done = 0; done < 4 * POSTS;) {
		loop_run_once(l, 1000);
		done = 0;
		for (int i = 0; i < 4; i++)
			done += posters[i].next;
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_true(posters[i].in_order);
	}
	loop_free(l);
}

TEST(what_was_posted_runs_before_the_loop_is_gone)
{
	struct loop *l = new_loop();
	int n = 0;
	loop_post(l, count, &n);
	loop_free(l);
	assert_int_equal(n, 1);
}

struct job {
	pthread_t worker, finisher;
	struct loop *loop;
	int done;
};

static void job_work(void *arg)
{
	((struct job *)arg)->worker = pthread_self();
}

static void job_done(void *arg)
{
	struct job *j = arg;
	j->finisher = pthread_self();
	j->done++;
	loop_stop(j->loop);
}

TEST(work_runs_on_another_thread_and_is_done_on_the_loops)
{
	struct job j = {.loop = new_loop()};
	loop_work(j.loop, job_work, job_done, &j);
	loop_run(j.loop);
	assert_int_equal(j.done, 1);
	assert_true(pthread_equal(j.finisher, pthread_self()));
	assert_false(pthread_equal(j.worker, pthread_self()));
	loop_free(j.loop);
}

TEST(work_under_way_is_waited_for_when_the_loop_is_freed)
{
	struct job j = {.loop = new_loop()};
	loop_work(j.loop, job_work, job_done, &j);
	loop_free(j.loop);
	assert_int_equal(j.done, 1);
}

struct ticker {
	struct loop_timer *timer;
	int ticks, free_at;
};

static void on_tick(void *arg)
{
	struct ticker *t = arg;
	if (++t->ticks == t->free_at)
		loop_timer_free(t->timer);
}

TEST(a_timer_fires_once_and_not_before_its_time)
{
	struct loop *l = new_loop();
	struct ticker t = {0};
	t.timer = loop_timer_new(l, on_tick, &t);
	assert_false(loop_run_once(l, 0));
	int64_t start = clock_monotonic_ns();
	loop_timer_set(t.timer, 20, 0);
	while (t.ticks == 0)
		loop_run_once(l, 1000);
	assert_true(clock_monotonic_ns() - start >= 19000000);
	assert_false(loop_run_once(l, 30));
	assert_int_equal(t.ticks, 1);
	loop_timer_free(t.timer);
	loop_timer_free(NULL);
	loop_free(l);
}

TEST(a_repeating_timer_may_free_itself)
{
	struct loop *l = new_loop();
	struct ticker t = {.free_at = 3};
	t.timer = loop_timer_new(l, on_tick, &t);
	loop_timer_set(t.timer, 1, 1);
	while (t.ticks < 3)
		loop_run_once(l, 1000);
	while (loop_run_once(l, 10))
		;
	assert_int_equal(t.ticks, 3);
	loop_free(l);
}

TEST(a_cleared_timer_does_not_fire)
{
	struct loop *l = new_loop();
	struct ticker t = {0};
	t.timer = loop_timer_new(l, on_tick, &t);
	loop_timer_set(t.timer, 1, 0);
	loop_timer_clear(t.timer);
	assert_false(loop_run_once(l, 10));
	assert_int_equal(t.ticks, 0);
	loop_timer_free(t.timer);
	loop_free(l);
}

TEST(a_due_timer_does_not_make_run_once_block)
{
	struct loop *l = new_loop();
	struct ticker t = {0};
	t.timer = loop_timer_new(l, on_tick, &t);
	loop_timer_set(t.timer, 0, 0);
	int64_t start = clock_monotonic_ns();
	assert_true(loop_run_once(l, 60000));
	assert_true(clock_monotonic_ns() - start < 30000000000);
	assert_int_equal(t.ticks, 1);
	loop_timer_free(t.timer);
	loop_free(l);
}

struct watched {
	int fd, events, calls;
	struct loop_fd *watch;
};

static void on_ready(void *arg, int events)
{
	struct watched *w = arg;
	char c;
	w->events = events;
	w->calls++;
	if ((events & LOOP_READ) && read(w->fd, &c, 1) <= 0) {
		loop_fd_free(w->watch);
		w->watch = NULL;
	}
}

TEST(a_descriptor_is_reported_when_it_can_be_read_or_written)
{
	struct err err = ERR_INIT;
	struct loop *l = new_loop();
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct watched w = {.fd = pair[0]};
	w.watch = loop_fd_new(l, pair[0], LOOP_READ, on_ready, &w, &err);
	assert_non_null(w.watch);
	assert_false(loop_run_once(l, 0));
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_true(loop_run_once(l, 1000));
	assert_int_equal(w.events, LOOP_READ);
	loop_fd_set(w.watch, LOOP_WRITE);
	assert_true(loop_run_once(l, 1000));
	assert_int_equal(w.events, LOOP_WRITE);
	loop_fd_set(w.watch, 0);
	assert_false(loop_run_once(l, 5));
	loop_fd_set(w.watch, LOOP_READ);
	close(pair[1]);
	while (w.watch)
		loop_run_once(l, 1000);
	close(pair[0]);
	loop_free(l);
}

TEST(a_regular_file_cannot_be_watched)
{
	struct err err = ERR_INIT;
	struct loop *l = new_loop();
	FILE *f = tmpfile();
	assert_non_null(f);
	assert_null(loop_fd_new(l, fileno(f), LOOP_READ, on_ready, NULL, &err));
	assert_string_not_equal(err.msg, "");
	fclose(f);
	loop_free(l);
}

TEST(a_signal_arrives_as_a_callback)
{
	struct loop *l = new_loop();
	int n = 0;
	struct loop_signal *s = loop_signal_new(l, SIGUSR1, count, &n);
	raise(SIGUSR1);
	while (n == 0)
		loop_run_once(l, 1000);
	assert_int_equal(n, 1);
	loop_signal_free(s);
	loop_free(l);
}
