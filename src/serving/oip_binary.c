/* SPDX-License-Identifier: Apache-2.0 */
/* Element types of the Open Inference Protocol and elements as raw bytes. */
#include <string.h>
#include "base/mem.h"
#include "serving/copies.h"
#include "serving/oip.h"

static const struct oip_dtype dtypes[] = {
#define OIP_DTYPE_ROW(dtype, name, number, field) {dtype, name, number, field},
    OIP_DTYPE_TABLE(OIP_DTYPE_ROW)
#undef OIP_DTYPE_ROW
};

const struct oip_dtype *oip_dtype_find(enum dtype dtype)
{
	for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
		if (dtypes[i].dtype == dtype)
			return &dtypes[i];
	return NULL;
}

int oip_tensor_shape(struct tensor *t, struct str datatype, int rank, const int64_t *dims, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
		if (str_eq(datatype, dtypes[i].name))
			return tensor_set_shape(t, dtypes[i].dtype, rank, dims, err);
	return err_set(err, ERR_INVALID, "datatype '%.*s' is not known; BOOL, INT32, FP32, BYTES … are",
		       (int)(datatype.len > 40 ? 40 : datatype.len), datatype.data ? datatype.data : "");
}

static int read_strings(struct str bytes, struct arena *arena, struct tensor *t, struct err *err)
{
	struct str *to;
	size_t at = 0;
	uint32_t len;

	if (t->count > bytes.len / sizeof(len))
		return err_set(err, ERR_INVALID, "%zu bytes are too few for %zu strings", bytes.len,
			       t->count);
	to = tensor_alloc(t, arena, err);
	if (!to)
		return -err->code;
	for (size_t i = 0; i < t->count; i++) {
		if (bytes.len - at < sizeof(len))
			return err_set(err, ERR_INVALID, "the length of string %zu is cut off", i);
		memcpy(&len, bytes.data + at, sizeof(len));
		at += sizeof(len);
		if (len > bytes.len - at)
			return err_set(err, ERR_INVALID, "string %zu of %u bytes is cut off", i, len);
		to[i] = (struct str){bytes.data + at, len};
		at += len;
	}
	if (at < bytes.len)
		return err_set(err, ERR_INVALID, "%zu bytes are left behind %zu strings", bytes.len - at,
			       t->count);
	return 0;
}

int oip_binary_read(struct str bytes, struct shared *shared, struct arena *arena, struct tensor *t,
		    struct err *err)
{
	size_t element = dtype_info((uint64_t)t->dtype)->size;
	void *copy;

	if (t->dtype == DT_STRING)
		return read_strings(bytes, arena, t, err);
	if (bytes.len != t->bytes)
		return err_set(err, ERR_INVALID, "%zu bytes of data, datatype and shape need %zu", bytes.len,
			       t->bytes);
	if (bytes.len > 0 && (uintptr_t)bytes.data % element == 0) {
		t->data = bytes.data;
		t->shared = shared;
		return 0;
	}
	copy = tensor_alloc(t, arena, err);
	if (!copy)
		return -err->code;
	if (bytes.len > 0)
		memcpy(copy, bytes.data, bytes.len);
	copies_count(COPY_IN, bytes.len);
	return 0;
}

size_t oip_binary_size(const struct tensor *t)
{
	size_t size = t->count * sizeof(uint32_t);

	if (t->dtype != DT_STRING)
		return t->bytes;
	for (size_t i = 0; i < t->count; i++)
		size += t->strings[i].len;
	return size;
}

void oip_binary_write(const struct tensor *t, struct buf *b)
{
	if (t->dtype != DT_STRING) {
		if (t->bytes > 0)
			buf_add(b, t->data, t->bytes);
		copies_count(COPY_OUT, t->bytes);
		return;
	}
	for (size_t i = 0; i < t->count; i++) {
		uint32_t len = (uint32_t)t->strings[i].len;
		buf_add(b, &len, sizeof(len));
		buf_add(b, t->strings[i].data, len);
	}
}
