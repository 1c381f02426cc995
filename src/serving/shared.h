/* SPDX-License-Identifier: Apache-2.0 */
/* Memory with a reference count, for request bytes that a runtime may hold on to longer than the request
 * lives. */
#ifndef SERVING_SHARED_H
#define SERVING_SHARED_H

#include <stdatomic.h>
#include <stddef.h>

struct shared {
	atomic_uint refs;
	void (*free)(struct shared *s);
};

static inline void shared_init(struct shared *s, void (*free_it)(struct shared *))
{
	atomic_init(&s->refs, 1);
	s->free = free_it;
}
static inline struct shared *shared_ref(struct shared *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}
static inline void shared_unref(struct shared *s)
{
	if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
		s->free(s);
}

#endif
