/* SPDX-License-Identifier: Apache-2.0 */
/* Python workers of a model, see python_pool.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "serving/python_message.h"
#include "serving/python_pool.h"
#include "serving/python_process.h"

#define START_TIMEOUT_MS (10 * 60 * 1000)
#define RESTART_PAUSE_MS 1000 /* after a start that failed */
#define HELLO_BYTES_MAX ((size_t)1 << 20)
#define NS_PER_MS 1000000

enum worker_state { WORKER_DOWN, WORKER_IDLE, WORKER_BUSY };

struct python_worker {
	struct python_pool *pool;
	pthread_t keeper;
	bool has_keeper;
	int wake, memory_fd;
	char *memory; /* PYTHON_SLOTS slots */
	/* Changed by the keeper only; the socket is used by whoever has the turn. */
	struct python_process process;

	/* Guarded by pool->lock. */
	enum worker_state state;
	bool taken[PYTHON_SLOTS];
	bool retire; /* the keeper shall end the process */
	bool dead;   /* the process has ended; 'words' says how */
	bool tried;  /* one start has come to its end */
	char words[PYTHON_LINE_MAX + 100];
	struct err start_err; /* of the last start */
};

struct python_pool {
	struct python_pool_options options;
	char *environment, *model;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopping, loaded;
	char *hello; /* of the worker that was first; NULL before */
	size_t hello_len;
	int worker_count;
	struct python_worker workers[];
};

static char *slot_memory(const struct python_worker *w, int slot)
{
	return w->memory + (size_t)slot * w->pool->options.slot_bytes;
}

static void wake_keeper(struct python_worker *w)
{
	uint64_t one = 1;

	while (write(w->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static int take_slot(struct python_worker *w)
{
	for (int i = 0; i < PYTHON_SLOTS; i++)
		if (!w->taken[i]) {
			w->taken[i] = true;
			return i;
		}
	return -1;
}

static int free_slots(const struct python_worker *w)
{
	int n = 0;

	for (int i = 0; i < PYTHON_SLOTS; i++)
		n += !w->taken[i];
	return n;
}

static bool should_stop(struct python_worker *w)
{
	bool stop;

	pthread_mutex_lock(&w->pool->lock);
	stop = w->pool->stopping || w->retire;
	pthread_mutex_unlock(&w->pool->lock);
	return stop;
}

/* Reads what the worker says: a place within its memory, behind 'from' in 'slot'. */
static int take_bell(struct python_worker *w, int slot, size_t from, const void **ret, size_t *ret_size,
		     struct err *err)
{
	size_t cap = w->pool->options.slot_bytes;
	struct python_bell bell;
	ssize_t n;

	do
		n = recv(w->process.socket, &bell, sizeof(bell), 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return err_set(err, ERR_UNAVAILABLE, "the Python worker ended");
	if (n != sizeof(bell) || bell.slot != (uint32_t)slot || bell.offset < from || bell.offset > cap ||
	    bell.size > cap - bell.offset || bell.offset % PYTHON_ALIGNMENT != 0)
		return err_set(err, ERR_CORRUPT,
			       "the Python worker sent a malformed answer: not in its place");
	*ret = slot_memory(w, slot) + bell.offset;
	*ret_size = bell.size;
	return 0;
}

/* The keeper. */

/* Waits for news of the process: the first message (with_message), its end, or being told to stop; passes on
 * what it prints. 1: a message waits; 0: an end. */
static int watch(struct python_worker *w, bool with_message, int64_t timeout_ms)
{
	int64_t end = timeout_ms < 0 ? INT64_MAX : clock_monotonic_ns() + timeout_ms * NS_PER_MS;
	bool listening = true;

	for (;;) {
		struct pollfd fds[] = {{w->process.socket, with_message ? POLLIN : 0, 0},
				       {listening ? w->process.errors : -1, POLLIN, 0},
				       {w->wake, POLLIN, 0}};
		int64_t left = timeout_ms < 0 ? -1 : (end - clock_monotonic_ns()) / NS_PER_MS;
		if (timeout_ms >= 0 && left < 0)
			return 0;
		if (poll(fds, ARRAY_LEN(fds), (int)left) < 0 && errno != EINTR)
			return 0;
		if (fds[1].revents)
			listening = python_process_listen(&w->process);
		if (fds[2].revents) {
			uint64_t count;
			if (read(w->wake, &count, sizeof(count)) > 0 && should_stop(w))
				return 0;
		}
		if (fds[0].revents & POLLIN)
			return 1;
		if (fds[0].revents)
			return 0;
	}
}

/* All workers must say the same, the first time and ever after: the signature is what clients were told. */
static int compare_hello(struct python_pool *p, struct str text, struct err *err)
{
	int r = 0;

	if (text.len > HELLO_BYTES_MAX)
		return err_set(err, ERR_TOO_LARGE,
			       "the Python worker's description of the model is too long");
	pthread_mutex_lock(&p->lock);
	if (!p->hello) {
		p->hello = mem_strndup(text.data, text.len);
		p->hello_len = text.len;
	} else if (p->hello_len != text.len || memcmp(p->hello, text.data, text.len) != 0) {
		r = err_set(err, ERR_STATE,
			    "the Python worker describes the model differently than when it was loaded");
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

static int greet(struct python_worker *w, int slot, struct err *err)
{
	const void *message;
	size_t size;
	struct str text;
	int r;

	if (watch(w, true, START_TIMEOUT_MS) == 0)
		return err_set(err, ERR_UNAVAILABLE, "the Python worker ended before the model was loaded");
	r = take_bell(w, slot, 0, &message, &size, err);
	if (r >= 0)
		r = python_message_hello(message, size, &text, err);
	return r < 0 ? r : compare_hello(w->pool, text, err);
}

static void describe_end(struct python_worker *w, int status)
{
	const char *line = python_process_last_line(&w->process);
	char *words = w->words;
	size_t cap = sizeof(w->words);
	int n;

	if (WIFSIGNALED(status))
		n = snprintf(words, cap, "killed by signal %d", WTERMSIG(status));
	else
		n = snprintf(words, cap, "exit status %d", WEXITSTATUS(status));
	if (*line)
		snprintf(words + n, cap - (size_t)n, ", its last line: %s", line);
}

/* Ends the process and waits until nobody uses its socket any more. */
static void end_process(struct python_worker *w)
{
	struct python_pool *p = w->pool;
	int status = python_process_end(&w->process);

	pthread_mutex_lock(&p->lock);
	describe_end(w, status);
	w->dead = true;
	pthread_cond_broadcast(&p->changed);
	while (w->state == WORKER_BUSY)
		pthread_cond_wait(&p->changed, &p->lock);
	w->state = WORKER_DOWN;
	w->dead = false;
	w->retire = false;
	pthread_mutex_unlock(&p->lock);
	python_process_close(&w->process);
}

static int start_process(struct python_worker *w, struct err *err)
{
	struct python_pool *p = w->pool;
	struct python_start how = {.environment = p->environment,
				   .model = p->model,
				   .memory_fd = w->memory_fd,
				   .slot_bytes = p->options.slot_bytes,
				   .threads = p->options.threads};
	int r;

	pthread_mutex_lock(&p->lock);
	w->words[0] = 0;
	how.hello_slot = take_slot(w); /* there is one: nobody has a turn */
	pthread_mutex_unlock(&p->lock);
	r = python_process_start(&how, &w->process, err);
	if (r >= 0) {
		r = greet(w, how.hello_slot, err);
		if (r < 0)
			end_process(w);
	}
	pthread_mutex_lock(&p->lock);
	w->taken[how.hello_slot] = false;
	if (r == -ERR_UNAVAILABLE && w->words[0]) /* its own words say more */
		err_set(err, ERR_UNAVAILABLE, "the Python worker could not load the model: %s", w->words);
	w->start_err = r < 0 ? *err : ERR_INIT;
	w->state = r < 0 ? WORKER_DOWN : WORKER_IDLE;
	w->tried = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	return r;
}

static bool is_stopping(struct python_pool *p)
{
	bool stopping;

	pthread_mutex_lock(&p->lock);
	stopping = p->stopping;
	pthread_mutex_unlock(&p->lock);
	return stopping;
}

static void pause_start(struct python_worker *w)
{
	struct pollfd wake = {w->wake, POLLIN, 0};
	uint64_t count;

	while (read(w->wake, &count, sizeof(count)) > 0)
		;
	if (!is_stopping(w->pool))
		poll(&wake, 1, RESTART_PAUSE_MS);
}

static void *keeper_main(void *arg)
{
	struct python_worker *w = arg;
	struct python_pool *p = w->pool;

	while (!is_stopping(p)) {
		struct err err = ERR_INIT;
		bool loaded;
		int r = start_process(w, &err);
		if (r >= 0) {
			watch(w, false, -1);
			end_process(w);
			if (!is_stopping(p))
				log_warn("python.restart end=%s", w->words);
			continue;
		}
		pthread_mutex_lock(&p->lock);
		loaded = p->loaded;
		pthread_mutex_unlock(&p->lock);
		if (!loaded)
			break;
		log_warn("python.start error=%s", err.msg);
		pause_start(w);
	}
	return NULL;
}

/* The pool. */

static int share_memory(struct python_worker *w, struct err *err)
{
	size_t size = w->pool->options.slot_bytes * PYTHON_SLOTS;

	w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->memory_fd = memfd_create("cloudml-tensors", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (w->wake < 0 || w->memory_fd < 0 || ftruncate(w->memory_fd, (off_t)size) < 0)
		return err_sys(err, errno, "cannot make the shared memory of a Python worker");
	/* A worker that could make it smaller could end us by a bus error. */
	if (fcntl(w->memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return err_sys(err, errno, "cannot seal the shared memory of a Python worker");
	w->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, w->memory_fd, 0);
	if (w->memory == MAP_FAILED) {
		w->memory = NULL;
		return err_sys(err, errno, "cannot map %zu bytes shared with a Python worker", size);
	}
	return 0;
}

static int start_keeper(struct python_worker *w, struct err *err)
{
	sigset_t all, old;
	int r = share_memory(w, err);

	if (r < 0)
		return r;
	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&w->keeper, NULL, keeper_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return err_sys(err, r, "cannot start the thread of a Python worker");
	w->has_keeper = true;
	return 0;
}

static struct python_pool *pool_make(const struct python_pool_options *options)
{
	size_t size = sizeof(struct python_pool) + (size_t)options->processes * sizeof(struct python_worker);
	struct python_pool *p = mem_alloc(size);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	pthread_condattr_t attributes;

	p->options = *options;
	p->options.slot_bytes = (options->slot_bytes + page - 1) / page * page;
	p->environment = mem_strdup(options->environment);
	p->model = mem_strdup(options->model);
	p->worker_count = options->processes;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	for (int i = 0; i < p->worker_count; i++) {
		p->workers[i].pool = p;
		p->workers[i].wake = p->workers[i].memory_fd = -1;
		p->workers[i].process = PYTHON_PROCESS_INIT;
	}
	return p;
}

/* The first failure ends the wait. */
static int wait_for_all(struct python_pool *p, struct err *err)
{
	int i = 0;

	pthread_mutex_lock(&p->lock);
	while (i < p->worker_count && !p->workers[i].start_err.code)
		if (p->workers[i].tried)
			i++;
		else
			pthread_cond_wait(&p->changed, &p->lock);
	p->loaded = i == p->worker_count;
	if (!p->loaded)
		*err = p->workers[i].start_err;
	pthread_mutex_unlock(&p->lock);
	return i == p->worker_count ? 0 : -err->code;
}

int python_pool_new(const struct python_pool_options *options, struct python_pool **ret, struct err *err)
{
	struct python_pool *p;
	int r = 0;

	if (options->processes < 1 || options->processes > PYTHON_PROCESSES_MAX)
		return err_set(err, ERR_INVALID, "%d Python processes, must be 1 to %d", options->processes,
			       PYTHON_PROCESSES_MAX);
	p = pool_make(options);
	for (int i = 0; i < p->worker_count && r >= 0; i++)
		r = start_keeper(&p->workers[i], err);
	if (r >= 0)
		r = wait_for_all(p, err);
	if (r < 0) {
		python_pool_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

static void worker_done(struct python_worker *w)
{
	if (w->has_keeper)
		pthread_join(w->keeper, NULL);
	if (w->memory)
		munmap(w->memory, w->pool->options.slot_bytes * PYTHON_SLOTS);
	cleanup_fd(&w->memory_fd);
	cleanup_fd(&w->wake);
}

void python_pool_free(struct python_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopping = true;
	pthread_mutex_unlock(&p->lock);
	for (int i = 0; i < p->worker_count; i++)
		if (p->workers[i].has_keeper)
			wake_keeper(&p->workers[i]);
	for (int i = 0; i < p->worker_count; i++)
		worker_done(&p->workers[i]);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p->environment);
	free(p->model);
	free(p->hello);
	free(p);
}

struct str python_pool_hello(const struct python_pool *p)
{
	return (struct str){p->hello, p->hello_len};
}

/* Turns. */

static struct timespec after_ms(int64_t ms)
{
	int64_t ns = clock_monotonic_ns() + ms * NS_PER_MS;

	return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* A worker that waits for work; else NULL, with an error when none will come. */
static struct python_worker *find_idle(struct python_pool *p, struct err *err)
{
	int failing = 0;

	for (int i = 0; i < p->worker_count; i++) {
		struct python_worker *w = &p->workers[i];
		if (w->state == WORKER_IDLE && !w->dead && !w->retire)
			return w;
		failing += w->start_err.code != 0;
	}
	if (failing == p->worker_count)
		*err = p->workers[0].start_err;
	return NULL;
}

static int take_worker(struct python_pool *p, struct timespec until, struct python_turn *ret, struct err *err)
{
	struct python_worker *w;
	struct err why = ERR_INIT;
	int sys = 0;

	pthread_mutex_lock(&p->lock);
	while (!(w = find_idle(p, &why)) && !why.code && sys == 0)
		sys = pthread_cond_timedwait(&p->changed, &p->lock, &until);
	if (w) {
		w->state = WORKER_BUSY;
		ret->worker = w;
		ret->slot = take_slot(w);
		ret->memory = slot_memory(w, ret->slot);
		ret->cap = p->options.slot_bytes;
	}
	pthread_mutex_unlock(&p->lock);
	if (w)
		return 0;
	if (why.code)
		return err_set(err, ERR_UNAVAILABLE, "no Python worker runs: %s", why.msg);
	return err_set(err, ERR_UNAVAILABLE, "all %d Python workers are busy since %lld ms; try again later",
		       p->worker_count, (long long)p->options.run_timeout_ms);
}

int python_turn_begin(struct python_pool *p, struct python_turn *ret, struct err *err)
{
	struct timespec until = after_ms(p->options.run_timeout_ms);

	for (;;) {
		int r = take_worker(p, until, ret, err);
		if (r < 0)
			return r;
		/* One that has ended and was not noticed yet is not worth a request. */
		struct pollfd fd = {ret->worker->process.socket, 0, 0};
		if (poll(&fd, 1, 0) == 0)
			return 0;
		python_turn_fail(ret, NULL);
	}
}

int python_turn_ask(struct python_turn *t, size_t size, const void **ret, size_t *ret_size, struct err *err)
{
	struct python_worker *w = t->worker;
	int64_t limit_ms = w->pool->options.run_timeout_ms;
	int64_t end = clock_monotonic_ns() + limit_ms * NS_PER_MS, left;
	struct python_bell bell = {.slot = (uint32_t)t->slot, .size = size};
	struct pollfd fd = {w->process.socket, POLLIN, 0};
	size_t from = (size + PYTHON_ALIGNMENT - 1) / PYTHON_ALIGNMENT * PYTHON_ALIGNMENT;

	if (send(w->process.socket, &bell, sizeof(bell), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(bell))
		return err_set(err, ERR_UNAVAILABLE, "the Python worker ended");
	do {
		left = (end - clock_monotonic_ns()) / NS_PER_MS;
		if (left <= 0)
			return err_set(err, ERR_INTERNAL,
				       "the model gave no answer within %lld ms; see --python_timeout",
				       (long long)limit_ms);
	} while (poll(&fd, 1, (int)(left > INT32_MAX ? INT32_MAX : left)) <= 0);
	return take_bell(w, t->slot, from, ret, ret_size, err);
}

bool python_turn_may_keep(const struct python_turn *t)
{
	bool may;

	pthread_mutex_lock(&t->worker->pool->lock);
	may = free_slots(t->worker) > 0;
	pthread_mutex_unlock(&t->worker->pool->lock);
	return may;
}

void python_turn_done(struct python_turn *t, bool keep)
{
	struct python_worker *w = t->worker;

	pthread_mutex_lock(&w->pool->lock);
	if (!keep)
		w->taken[t->slot] = false;
	w->state = w->dead ? WORKER_DOWN : WORKER_IDLE;
	pthread_cond_broadcast(&w->pool->changed);
	pthread_mutex_unlock(&w->pool->lock);
}

void python_turn_fail(struct python_turn *t, struct err *err)
{
	struct python_worker *w = t->worker;
	char words[sizeof(w->words)];

	pthread_mutex_lock(&w->pool->lock);
	w->retire = true;
	wake_keeper(w);
	while (!w->dead)
		pthread_cond_wait(&w->pool->changed, &w->pool->lock);
	memcpy(words, w->words, sizeof(words));
	w->taken[t->slot] = false;
	w->state = WORKER_DOWN;
	pthread_cond_broadcast(&w->pool->changed);
	pthread_mutex_unlock(&w->pool->lock);
	if (!err || err->code == 0)
		return;
	struct err first = *err;
	err_set(err, first.code, "%s (%s)", first.msg, words);
}

void python_slot_release(struct python_worker *w, int slot)
{
	pthread_mutex_lock(&w->pool->lock);
	w->taken[slot] = false;
	pthread_mutex_unlock(&w->pool->lock);
}
