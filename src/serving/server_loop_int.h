/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the event loop: its worker pool. */
#ifndef SERVING_SERVER_LOOP_INT_H
#define SERVING_SERVER_LOOP_INT_H

#include <pthread.h>
#include <sys/epoll.h>
#include "serving/server_loop.h"

#define WORKERS_MAX 64

struct worker_pool {
	struct loop_source wake; /* eventfd: something finished */
	pthread_mutex_t lock;	 /* guards waiting, finished and stopping */
	pthread_cond_t work;
	struct list waiting, finished;
	bool stopping;
	int pending; /* loop thread only */
	int thread_count;
	pthread_t threads[WORKERS_MAX];
};

int worker_pool_init(struct worker_pool *p, int threads, struct err *err);
void worker_pool_done(struct worker_pool *p);
void worker_pool_submit(struct worker_pool *p, struct loop_job *j);
void worker_pool_finish(struct worker_pool *p); /* calls done of what has finished */

struct server_loop {
	int epoll;
	bool stopped;
	struct worker_pool pool;
	struct loop_timer **heap; /* heap[1] is due first */
	size_t heap_count, heap_cap;
	struct epoll_event *ready; /* what the current turn still has to deliver */
	int ready_count;
};

#endif
