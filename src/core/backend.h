/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where tasks run. Implementations: containers on this machine (room local), Kubernetes (room kube, later),
 * and the simulated one in tests/sim.
 *
 * Rules. (1) Names are deterministic and a backend never runs two tasks of one name: launch of a name that
 * exists is success and changes nothing. (2) Nothing is reported that was not observed. (3) A task outlives
 * the process that launched it; after a restart attach() reports every task that exists, in whatever phase it
 * is. (4) A task's log and exit record stay until remove(). (5) No call blocks on I/O for long; results come
 * by the observer on the loop's thread, never from inside the call itself.
 */
#ifndef CORE_BACKEND_H
#define CORE_BACKEND_H

#include <sys/types.h>
#include "core/task.h"

struct backend;

/* Given by ctl; all called on the loop's thread. */
struct backend_observer {
	void (*task_changed)(void *arg,
			     const struct task_status *status); /* borrows status; also for progress */
	void (*task_removed)(void *arg, const char *name);	/* seen to be gone, nothing is left of it */
	void (*attached)(void *arg); /* attach() has reported every existing task once */
	void *arg;
};

struct backend_ops {
	const char *name;
	/* Starts observing and reports what exists. Once. */
	int (*attach)(struct backend *b, const struct backend_observer *o, struct err *err);
	/* What this backend has for tasks in all. */
	void (*capacity)(struct backend *b, struct resources *ret);
	/* Optional. Labels of its node, "key=value": a view as long as the backend; NULL = none. */
	char *const *(*labels)(struct backend *b);
	/* Borrows spec. ERR_BACKEND, ERR_DISK_FULL, ERR_UNSUPPORTED. Failure after return is reported as
	 * TASK_EXITED. */
	int (*launch)(struct backend *b, const struct task_spec *spec, struct err *err);
	/* SIGTERM, then SIGKILL after grace_ms; 'why' becomes the exit record's class. Unknown names succeed.
	 */
	int (*stop)(struct backend *b, const char *task, enum fail_class why, int64_t grace_ms,
		    struct err *err);
	/* Optional. Sets a model's weights while it serves; durable, so that the task has them from now on
	 * whatever happens. In force when its status says so. Unknown names succeed. */
	int (*set_weights)(struct backend *b, const char *task, const char *weights, struct err *err);
	/* Optional. A new connection to the model server of this one task, whatever shares its address:
	 * HTTP/1 and gRPC. Returns the descriptor (owned, not blocking); ERR_NOT_FOUND, ERR_UNAVAILABLE. */
	int (*dial)(struct backend *b, const char *task, struct err *err);
	/* Forgets an exited or lost task: folder, cgroup, mounts; reported by task_removed. */
	int (*remove)(struct backend *b, const char *task, struct err *err);
	/* Optional. No task of this owner is launched any more: its port goes. */
	void (*forget)(struct backend *b, const char *owner);
	/* Reads the task's log (bytes as the program wrote them, both streams in order of arrival). Returns
	 * the count, 0 at the present end. Thread-safe, may block on the disk: call from a pool thread.
	 * ERR_NOT_FOUND. */
	ssize_t (*log_read)(struct backend *b, const char *task, int64_t offset, void *data, size_t len,
			    struct err *err);
	/* Series so far as JSON: {"cpu_percent": [[unix_ms, step, value], …], "memory_bytes": …, "loss": …};
	 * step -1 when there is none. Returns owned. As log_read. */
	int (*metrics_read)(struct backend *b, const char *task, json_t **ret, struct err *err);
	/* For status and doctor: {"name", "runtime", "cgroup", "rootless", …}. Returns owned. */
	json_t *(*describe)(struct backend *b);
	void (*close)(struct backend *b); /* stops observing; tasks go on */
};
struct backend {
	const struct backend_ops *ops;
};

#endif
