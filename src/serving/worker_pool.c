/* SPDX-License-Identifier: Apache-2.0 */
/* Worker threads of the event loop: jobs in, completions out through an eventfd. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "serving/server_loop_int.h"

static void wake_loop(struct worker_pool *p)
{
	uint64_t one = 1;

	while (write(p->wake.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void *worker_main(void *arg)
{
	struct worker_pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (list_empty(&p->waiting) && !p->stopping)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->stopping)
			break;
		struct loop_job *j = LIST_ENTRY(p->waiting.next, struct loop_job, node);
		list_remove(&j->node);
		pthread_mutex_unlock(&p->lock);
		j->run(j);
		pthread_mutex_lock(&p->lock);
		bool first = list_empty(&p->finished);
		list_append(&p->finished, &j->node);
		if (first)
			wake_loop(p);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int worker_pool_init(struct worker_pool *p, int threads, struct err *err)
{
	sigset_t all, old;
	int r = 0;

	if (threads < 1 || threads > WORKERS_MAX)
		return err_set(err, ERR_INVALID, "%d worker threads, must be 1 to %d", threads, WORKERS_MAX);
	list_init(&p->waiting);
	list_init(&p->finished);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	p->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->wake.fd < 0)
		return err_sys(err, errno, "cannot create an event descriptor");
	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (; p->thread_count < threads && r == 0; p->thread_count += r == 0)
		r = pthread_create(&p->threads[p->thread_count], NULL, worker_main, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		return 0;
	r = err_sys(err, r, "cannot start worker thread %d", p->thread_count + 1);
	worker_pool_done(p);
	return r;
}

void worker_pool_done(struct worker_pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < p->thread_count; i++)
		pthread_join(p->threads[i], NULL);
	p->thread_count = 0;
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	close(p->wake.fd);
}

void worker_pool_submit(struct worker_pool *p, struct loop_job *j)
{
	p->pending++;
	pthread_mutex_lock(&p->lock);
	list_append(&p->waiting, &j->node);
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
}

void worker_pool_finish(struct worker_pool *p)
{
	struct list batch;
	uint64_t count;

	while (read(p->wake.fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	list_init(&batch);
	pthread_mutex_lock(&p->lock);
	while (!list_empty(&p->finished)) {
		struct list *node = p->finished.next;
		list_remove(node);
		list_append(&batch, node);
	}
	pthread_mutex_unlock(&p->lock);
	while (!list_empty(&batch)) {
		struct loop_job *j = LIST_ENTRY(batch.next, struct loop_job, node);
		list_remove(&j->node);
		p->pending--;
		j->done(j);
	}
}
