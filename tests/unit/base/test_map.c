/* SPDX-License-Identifier: Apache-2.0 */
/* The hash map, against a plain array. */
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/map.h"
#include "base/mem.h"

static int freed;

static void free_counted(void *p)
{
	freed++;
	free(p);
}

static void *boxed(int value)
{
	int *p = MEM_NEW(int);
	*p = value;
	return p;
}

TEST(values_are_found_replaced_and_freed)
{
	freed = 0;
	CLEANUP(map) struct map *m = map_new(free_counted);
	assert_null(map_get(m, "a"));
	map_set(m, "a", boxed(1));
	map_set(m, "", boxed(2));
	map_set(m, "a", boxed(3));
	assert_int_equal(freed, 1);
	assert_int_equal(*(int *)map_get(m, "a"), 3);
	assert_int_equal(*(int *)map_get(m, ""), 2);
	assert_int_equal(map_count(m), 2);
	CLEANUP(free) int *taken = map_take(m, "a");
	assert_int_equal(*taken, 3);
	assert_null(map_take(m, "a"));
	assert_true(map_delete(m, ""));
	assert_false(map_delete(m, ""));
	assert_int_equal(freed, 2);
	assert_int_equal(map_count(m), 0);
}

TEST(what_is_left_is_freed_with_the_map)
{
	freed = 0;
	struct map *m = map_new(free_counted);
	for (int i = 0; i < 100; i++) {
		char key[16];
		snprintf(key, sizeof(key), "%d", i);
		map_set(m, key, boxed(i));
	}
	map_free(m);
	assert_int_equal(freed, 100);
	map_free(NULL);
}

TEST(iteration_keeps_the_order_of_insertion)
{
	CLEANUP(map) struct map *m = map_new(NULL);
	static const char *const words[] = {"zebra", "ant", "monkey", "bee"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		map_set(m, words[i], (void *)words[i]);
	map_delete(m, "monkey");
	const char *key;
	void *value;
	CLEANUP(free) char *seen = mem_strdup("");
	for (size_t i = 0; map_next(m, &i, &key, &value);) {
		char *more = mem_printf("%s%s ", seen, key);
		free(seen);
		seen = more;
		assert_string_equal(key, value);
	}
	assert_string_equal(seen, "zebra ant bee ");
}

TEST(the_entry_at_hand_may_be_deleted)
{
	CLEANUP(map) struct map *m = map_new(free);
	for (int i = 0; i < 1000; i++) {
		char key[16];
		snprintf(key, sizeof(key), "%d", i);
		map_set(m, key, boxed(i));
	}
	const char *key;
	void *value;
	int seen = 0;
	for (size_t i = 0; map_next(m, &i, &key, &value); seen++)
		if (*(int *)value % 2)
			map_delete(m, key);
	assert_int_equal(seen, 1000);
	assert_int_equal(map_count(m), 500);
}

#define KEYS 300
TEST(random_changes_agree_with_an_array)
{
	intptr_t model[KEYS] = {0};
	size_t live = 0;
	CLEANUP(map) struct map *m = map_new(NULL);
	for (int step = 0; step < 100000; step++) {
		int k = (int)rng_below(&test_rng, KEYS);
		char key[16];
		snprintf(key, sizeof(key), "key%d", k);
		if (rng_below(&test_rng, 3)) {
			live += !model[k];
			model[k] = step + 1;
			map_set(m, key, (void *)model[k]);
		} else {
			assert_int_equal((intptr_t)map_take(m, key), model[k]);
			live -= model[k] != 0;
			model[k] = 0;
		}
		assert_int_equal(map_count(m), live);
	}
	for (int k = 0; k < KEYS; k++) {
		char key[16];
		snprintf(key, sizeof(key), "key%d", k);
		assert_int_equal((intptr_t)map_get(m, key), model[k]);
	}
}
