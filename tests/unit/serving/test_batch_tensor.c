/* SPDX-License-Identifier: Apache-2.0 */
/* Joining tensors by rows and taking them apart again. */
#include <string.h>
#include "base/mem.h"
#include "serving/batch_tensor.h"
#include "unit/test.h"

static struct tensor make(enum dtype dtype, int rank, const int64_t *dims, const void *data)
{
	struct tensor t = {0};

	assert_int_equal(tensor_set_shape(&t, dtype, rank, dims, NULL), 0);
	t.data = data;
	return t;
}

TEST(rows_lie_one_behind_the_other_and_missing_ones_repeat_the_first)
{
	const float a[] = {1, 2, 3, 4}, b[] = {5, 6};
	const float want[] = {1, 2, 3, 4, 5, 6, 1, 2, 1, 2};
	struct tensor x = make(DT_FLOAT, 2, (int64_t[]){2, 2}, a),
		      y = make(DT_FLOAT, 2, (int64_t[]){1, 2}, b), t;
	const struct tensor *parts[] = {&x, &y};

	assert_int_equal(batch_join(parts, 2, 5, 1000, &t, NULL), 0);
	assert_int_equal(t.dims[0], 5);
	assert_int_equal(t.bytes, sizeof(want));
	assert_memory_equal(t.data, want, sizeof(want));
	assert_int_equal((uintptr_t)t.data % 64, 0);
	tensor_done(&t);
}

TEST(other_dimensions_grow_and_are_filled_with_the_first_element)
{
	const int32_t a[] = {1, 2, 3, 4, 5, 6}, b[] = {7, 8};
	/* a: [1,3,2], b: [1,1,2] -> [2,3,2]; c: [1,2,1] -> 3x2 */
	const int32_t c[] = {9, 10};
	const int32_t want[] = {1, 2, 3, 4, 5, 6, 7, 8, 7, 7, 7, 7, 9, 9, 10, 9, 9, 9};
	struct tensor x = make(DT_INT32, 3, (int64_t[]){1, 3, 2}, a),
		      y = make(DT_INT32, 3, (int64_t[]){1, 1, 2}, b),
		      z = make(DT_INT32, 3, (int64_t[]){1, 2, 1}, c), t;
	const struct tensor *parts[] = {&x, &y, &z};

	assert_int_equal(batch_join(parts, 3, 3, 1000, &t, NULL), 0);
	assert_int_equal(t.dims[1], 3);
	assert_int_equal(t.dims[2], 2);
	assert_memory_equal(t.data, want, sizeof(want));
	tensor_done(&t);
}

TEST(strings_stay_views)
{
	const struct str a[] = {STR("x"), STR("yy")}, b[] = {STR("zzz")};
	struct tensor x = make(DT_STRING, 1, (int64_t[]){2}, a), y = make(DT_STRING, 1, (int64_t[]){1}, b), t;
	const struct tensor *parts[] = {&x, &y};

	assert_int_equal(batch_join(parts, 2, 3, 1000, &t, NULL), 0);
	assert_ptr_equal(t.strings[1].data, a[1].data);
	assert_true(str_eq(t.strings[2], "zzz"));
	tensor_done(&t);
}

TEST(what_does_not_fit_is_refused)
{
	const float a[] = {1, 2};
	const double d[] = {1, 2};
	struct err err = ERR_INIT;
	struct tensor x = make(DT_FLOAT, 2, (int64_t[]){1, 2}, a),
		      y = make(DT_DOUBLE, 2, (int64_t[]){1, 2}, d), z = make(DT_FLOAT, 1, (int64_t[]){2}, a),
		      none = make(DT_FLOAT, 2, (int64_t[]){1, 0}, a), t;

	assert_int_equal(batch_join((const struct tensor *[]){&x, &y}, 2, 2, 1000, &t, &err), -ERR_INVALID);
	assert_int_equal(batch_join((const struct tensor *[]){&x, &z}, 2, 2, 1000, &t, &err), -ERR_INVALID);
	assert_int_equal(batch_join((const struct tensor *[]){&x, &none}, 2, 2, 1000, &t, &err),
			 -ERR_INVALID);
	assert_int_equal(batch_join((const struct tensor *[]){&x, &x}, 2, 2, 15, &t, &err), -ERR_TOO_LARGE);
}

static int freed;
static void count_free(void *owner)
{
	freed++;
}

TEST(rows_are_handed_out_without_a_copy_and_the_last_owner_frees)
{
	const float a[] = {1, 2, 3, 4, 5, 6};
	struct tensor x = make(DT_FLOAT, 2, (int64_t[]){3, 2}, a), p, q;
	struct batch_share *share;

	freed = 0;
	x.owner = (void *)a;
	x.release = count_free;
	share = batch_share_new(&x, 1);
	batch_share_rows(share, 0, 0, 1, &p);
	batch_share_rows(share, 0, 1, 2, &q);
	shared_unref(&share->shared);
	assert_ptr_equal(p.data, a);
	assert_int_equal(p.bytes, 8);
	assert_ptr_equal(q.data, a + 2);
	assert_int_equal(q.count, 4);
	assert_int_equal(q.dims[0], 2);
	tensor_done(&p);
	assert_int_equal(freed, 0);
	tensor_done(&q);
	assert_int_equal(freed, 1);
}
