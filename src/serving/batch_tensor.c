/* SPDX-License-Identifier: Apache-2.0 */
/* Joining and splitting along the first dimension, see batch_tensor.h. */
#include "serving/batch_tensor.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define MEMORY_ALIGN 64

/* Elements of a joined tensor lie behind their counter, so that a runtime may hold on to them. */
struct joined {
	_Alignas(MEMORY_ALIGN) struct shared shared;
	_Alignas(MEMORY_ALIGN) char data[];
};

static void joined_free(struct shared *s)
{
	free(CONTAINER_OF(s, struct joined, shared));
}

static void release_shared(void *owner)
{
	shared_unref(owner);
}

static size_t element_size(const struct tensor *t)
{
	return t->dtype == DT_STRING ? sizeof(struct str) : dtype_info((uint64_t)t->dtype)->size;
}

static int common_shape(const struct tensor *const *parts, size_t count, int64_t rows, struct tensor *ret,
			struct err *err)
{
	const struct tensor *first = parts[0];
	int64_t dims[TENSOR_RANK_MAX];

	memcpy(dims, first->dims, sizeof(dims));
	for (size_t i = 1; i < count; i++) {
		if (parts[i]->rank != first->rank || parts[i]->dtype != first->dtype)
			return err_set(err, ERR_INVALID,
				       "tensors of different types or ranks cannot be joined");
		for (int k = 1; k < first->rank; k++)
			if (parts[i]->dims[k] > dims[k])
				dims[k] = parts[i]->dims[k];
	}
	dims[0] = rows;
	return tensor_set_shape(ret, first->dtype, first->rank, dims, err);
}

static void fill(char *to, const char *element, size_t size, size_t count)
{
	for (size_t i = 0; i < count; i++)
		memcpy(to + i * size, element, size);
}

/* Copies dimension 'dim' and those inside it to the larger shape of 'to'; returns the end of what was
 * written. */
static char *copy_padded(const struct tensor *from, const struct tensor *to, int dim, const char **source,
			 char *target, size_t size)
{
	size_t inner = size;

	if (dim == from->rank - 1) {
		size_t have = (size_t)from->dims[dim] * size;
		memcpy(target, *source, have);
		*source += have;
		fill(target + have, from->data, size, (size_t)(to->dims[dim] - from->dims[dim]));
		return target + (size_t)to->dims[dim] * size;
	}
	for (int k = dim + 1; k < to->rank; k++)
		inner *= (size_t)to->dims[k];
	for (int64_t i = 0; i < from->dims[dim]; i++)
		target = copy_padded(from, to, dim + 1, source, target, size);
	if (dim > 0) {
		size_t missing = (size_t)(to->dims[dim] - from->dims[dim]) * inner;
		fill(target, from->data, size, missing / size);
		target += missing;
	}
	return target;
}

static char *copy_part(const struct tensor *from, const struct tensor *to, char *target, size_t size)
{
	const char *source = from->data;

	if (memcmp(from->dims + 1, to->dims + 1, (size_t)(from->rank - 1) * sizeof(from->dims[0])) == 0) {
		memcpy(target, source, from->count * size);
		return target + from->count * size;
	}
	if (from->rank == 1 || from->count == 0)
		return target;
	for (int64_t i = 0; i < from->dims[0]; i++)
		target = copy_padded(from, to, 1, &source, target, size);
	return target;
}

int batch_join(const struct tensor *const *parts, size_t count, int64_t rows, size_t bytes_max,
	       struct tensor *ret, struct err *err)
{
	size_t size = element_size(parts[0]), row;
	struct joined *memory;
	char *to;
	int r;

	*ret = (struct tensor){0};
	r = common_shape(parts, count, rows, ret, err);
	if (r < 0)
		return r;
	if (ret->count > bytes_max / size)
		return err_set(err, ERR_TOO_LARGE, "a batch of more than %zu bytes", bytes_max);
	for (size_t i = 0; i < count; i++)
		if (parts[i]->count == 0 && ret->count > 0)
			return err_set(err, ERR_INVALID, "empty tensor in a batch of tensors that are not");
	if (posix_memalign((void **)&memory, MEMORY_ALIGN, sizeof(*memory) + ret->count * size) != 0)
		return err_set(err, ERR_NO_MEMORY, "no memory for a batch of %zu bytes", ret->count * size);
	shared_init(&memory->shared, joined_free);
	to = memory->data;
	for (size_t i = 0; i < count; i++)
		to = copy_part(parts[i], ret, to, size);
	row = rows > 0 ? ret->count / (size_t)rows * size : 0;
	while (row > 0 && to < memory->data + ret->count * size) {
		memcpy(to, memory->data, row);
		to += row;
	}
	ret->data = memory->data;
	ret->shared = &memory->shared;
	ret->owner = &memory->shared;
	ret->release = release_shared;
	return 0;
}

static void share_free(struct shared *shared)
{
	struct batch_share *s = CONTAINER_OF(shared, struct batch_share, shared);

	for (size_t i = 0; i < s->count; i++)
		tensor_done(&s->items[i]);
	free(s);
}

struct batch_share *batch_share_new(const struct tensor *takes_items, size_t count)
{
	struct batch_share *s = mem_alloc(sizeof(*s) + count * sizeof(s->items[0]));

	shared_init(&s->shared, share_free);
	s->count = count;
	memcpy(s->items, takes_items, count * sizeof(s->items[0]));
	return s;
}

void batch_rows(const struct tensor *t, int64_t first, int64_t rows, struct tensor *ret)
{
	size_t row = t->dims[0] > 0 ? t->count / (size_t)t->dims[0] : 0, size = element_size(t);

	*ret = *t;
	ret->dims[0] = rows;
	ret->count = row * (size_t)rows;
	ret->bytes = t->dtype == DT_STRING ? 0 : ret->count * size;
	ret->data = (const char *)t->data + (size_t)first * row * size;
	ret->owner = NULL;
	ret->release = NULL;
}

void batch_share_rows(struct batch_share *s, size_t i, int64_t first, int64_t rows, struct tensor *ret)
{
	batch_rows(&s->items[i], first, rows, ret);
	ret->owner = shared_ref(&s->shared);
	ret->release = release_shared;
}
