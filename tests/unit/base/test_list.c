/* SPDX-License-Identifier: Apache-2.0 */
/* The intrusive list. */
#include "unit/test.h"

#include <stdlib.h>
#include "base/list.h"

struct item {
	int value;
	struct list link;
};

static void fill(struct list *head, int count)
{
	for (int i = 0; i < count; i++) {
		struct item *it = MEM_NEW(struct item);
		it->value = i;
		list_append(head, &it->link);
	}
}

static void drop(struct item *it)
{
	list_remove(&it->link);
	free(it);
}

TEST(an_empty_list_is_not_entered)
{
	struct list head = LIST_INIT(head);
	struct item *it;
	assert_true(list_empty(&head));
	LIST_EACH(it, &head, link)
	fail();
}

TEST(the_order_is_that_of_appending)
{
	struct list head = LIST_INIT(head);
	struct item *it;
	int n = 0;
	fill(&head, 5);
	LIST_EACH(it, &head, link)
	assert_int_equal(it->value, n++);
	assert_int_equal(n, 5);
	LIST_EACH(it, &head, link)
	drop(it);
	assert_true(list_empty(&head));
}

TEST(any_item_may_be_removed_while_walking)
{
	for (int mask = 0; mask < 32; mask++) {
		struct list head = LIST_INIT(head);
		struct item *it;
		int n = 0;
		fill(&head, 5);
		LIST_EACH(it, &head, link)
		{
			n++;
			if (mask & 1 << it->value)
				drop(it);
		}
		assert_int_equal(n, 5);
		LIST_EACH(it, &head, link)
		{
			assert_false(mask & 1 << it->value);
			drop(it);
		}
	}
}

TEST(a_node_in_no_list_may_be_removed)
{
	struct list node;
	list_init(&node);
	list_remove(&node);
	list_remove(&node);
	assert_true(list_empty(&node));
}
