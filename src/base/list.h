/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list; the head is a node that points to itself when the list is empty. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include "base/mem.h"

struct list {
	struct list *prev, *next;
};
#define LIST_INIT(name) ((struct list){&(name), &(name)})

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}
/* Safe on a node that is in no list but was initialised. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}
#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)
/* 'it' may be removed from the list (and freed) inside the loop, others may not. */
#define LIST_EACH(it, head, member)                                                                          \
	for (struct list *pos_##it = (head)->next, *next_##it = pos_##it->next;                              \
	     pos_##it != (head) && (((it) = LIST_ENTRY(pos_##it, __typeof__(*(it)), member)), true);         \
	     pos_##it = next_##it, next_##it = pos_##it->next)

#endif
