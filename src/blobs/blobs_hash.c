/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashing beside writing: a thread hashes one block of an upload while its owner writes the next. Whoever
 * needs a block that the thread has not begun hashes it himself, so nobody ever waits longer than for one
 * block.
 */
#include "blobs/blobs_int.h"

#include <fcntl.h>

static void job_run(const struct hash_job *j)
{
	if (j->md5)
		md5_update(j->md5, j->len, (const uint8_t *)j->data);
	if (j->digest)
		digest_update(j->digest, j->data, j->len);
	/* What is on its way to the disk early does not make the end wait. A failure is the later sync's. */
	if (j->flush_len)
		(void)!sync_file_range(j->fd, j->flush_from, j->flush_len, SYNC_FILE_RANGE_WRITE);
}

static void *hash_thread(void *arg)
{
	struct hasher *h = arg;
	pthread_mutex_lock(&h->lock);
	while (!h->stopping) {
		if (list_empty(&h->queue)) {
			pthread_cond_wait(&h->wake, &h->lock);
			continue;
		}
		struct hash_job *j = LIST_ENTRY(h->queue.next, struct hash_job, node);
		list_remove(&j->node);
		j->state = HASH_RUNNING;
		pthread_mutex_unlock(&h->lock);
		job_run(j);
		pthread_mutex_lock(&h->lock);
		j->state = HASH_IDLE;
		pthread_cond_broadcast(&h->finished);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

int hasher_start(struct hasher *h, struct err *err)
{
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->wake, NULL);
	pthread_cond_init(&h->finished, NULL);
	list_init(&h->queue);
	int r = pthread_create(&h->thread, NULL, hash_thread, h);
	h->is_running = r == 0;
	return r == 0 ? 0 : err_sys(err, r, "cannot start a thread");
}

void hasher_stop(struct hasher *h)
{
	if (!h->is_running)
		return;
	pthread_mutex_lock(&h->lock);
	h->stopping = true;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->wake);
	pthread_cond_destroy(&h->finished);
	h->is_running = false;
}

void hash_begin(struct hasher *h, struct hash_job *j)
{
	pthread_mutex_lock(&h->lock);
	j->state = HASH_QUEUED;
	list_append(&h->queue, &j->node);
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
}

void hash_end(struct hasher *h, struct hash_job *j)
{
	pthread_mutex_lock(&h->lock);
	bool is_mine = j->state == HASH_QUEUED;
	if (is_mine)
		list_remove(&j->node);
	while (!is_mine && j->state == HASH_RUNNING)
		pthread_cond_wait(&h->finished, &h->lock);
	j->state = HASH_IDLE;
	pthread_mutex_unlock(&h->lock);
	if (is_mine)
		job_run(j);
}
