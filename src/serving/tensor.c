/* SPDX-License-Identifier: Apache-2.0 */
/* Tensor shapes and memory, see tensor.h. */
#include "serving/tensor.h"

#include <stdio.h>

int tensor_set_shape(struct tensor *t, enum dtype dtype, int rank, const int64_t *dims, struct err *err)
{
	const struct dtype_info *info = dtype_info((uint64_t)dtype);
	size_t count = 1, element, bytes;
	bool empty = false;

	if (!info)
		return err_set(err, ERR_INVALID, "element type %d is not supported", (int)dtype);
	if (rank < 0 || rank > TENSOR_RANK_MAX)
		return err_set(err, ERR_INVALID, "tensor of rank %d, at most %d are supported", rank,
			       TENSOR_RANK_MAX);
	for (int i = 0; i < rank; i++) {
		if (dims[i] < 0)
			return err_set(err, ERR_INVALID, "dimension %d of a tensor is negative (%lld)", i,
				       (long long)dims[i]);
		t->dims[i] = dims[i];
		empty |= dims[i] == 0;
	}
	for (int i = 0; i < rank && !empty; i++)
		if (__builtin_mul_overflow(count, (size_t)dims[i], &count) || count > TENSOR_COUNT_MAX)
			return err_set(err, ERR_TOO_LARGE, "tensor of more than %zu elements",
				       TENSOR_COUNT_MAX);
	if (empty)
		count = 0;
	element = info->size ? info->size : sizeof(struct str);
	if (__builtin_mul_overflow(count, element, &bytes) || bytes > TENSOR_BYTES_MAX)
		return err_set(err, ERR_TOO_LARGE, "tensor of more than %zu bytes", TENSOR_BYTES_MAX);
	t->dtype = dtype;
	t->rank = rank;
	t->count = count;
	t->bytes = count * info->size;
	return 0;
}

void *tensor_alloc(struct tensor *t, struct arena *arena, struct err *err)
{
	size_t size = t->dtype == DT_STRING ? t->count * sizeof(struct str) : t->bytes;
	void *data = arena_try_alloc(arena, size ? size : 1, 1);

	if (!data)
		err_set(err, ERR_TOO_LARGE, "request needs more memory than one request may use (%zu bytes)",
			arena->limit_bytes);
	t->data = data;
	return data;
}

void tensor_done(struct tensor *t)
{
	if (t->release)
		t->release(t->owner);
	t->release = NULL;
	t->owner = NULL;
}

void tensor_format_shape(int rank, const int64_t *dims, char *ret, size_t cap)
{
	size_t n = 0;

	if (cap < 3)
		return;
	ret[n++] = '[';
	for (int i = 0; i < rank && n + 24 < cap; i++)
		n += (size_t)snprintf(ret + n, cap - n, "%s%lld", i ? "," : "", (long long)dims[i]);
	ret[n++] = ']';
	ret[n] = 0;
}
