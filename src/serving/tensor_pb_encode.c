/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding of tensorflow.TensorProto, see tensor_pb.h. */
#include <string.h>
#include "net/pb.h"
#include "serving/copies.h"
#include "serving/tensor_pb.h"
#include "serving/tensor_pb_int.h"

/* Element i as the 64 bits that its varint holds: signed types are sign-extended. */
static uint64_t load_varint(enum dtype dtype, const void *data, size_t i)
{
	switch (dtype) {
	case DT_INT8:
	case DT_QINT8:
	case DT_INT4:
	case DT_INT2:
		return (uint64_t)(int64_t)((const int8_t *)data)[i];
	case DT_INT16:
	case DT_QINT16:
		return (uint64_t)(int64_t)((const int16_t *)data)[i];
	case DT_INT32:
	case DT_QINT32:
		return (uint64_t)(int64_t)((const int32_t *)data)[i];
	case DT_BOOL:
	case DT_UINT8:
	case DT_QUINT8:
	case DT_UINT4:
	case DT_UINT2:
		return ((const uint8_t *)data)[i];
	case DT_UINT16:
	case DT_QUINT16:
	case DT_HALF:
	case DT_BFLOAT16:
		return ((const uint16_t *)data)[i];
	case DT_UINT32:
		return ((const uint32_t *)data)[i];
	default:
		return ((const uint64_t *)data)[i];
	}
}

static size_t varints_len(const struct tensor *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->count; i++)
		n += pb_varint_len(load_varint(t->dtype, t->data, i));
	return n;
}

static void encode_varints(const struct tensor *t, uint32_t field, struct buf *b)
{
	size_t len = varints_len(t);

	pb_add_tag(b, field, PB_BYTES);
	pb_add_raw_varint(b, len);
	buf_reserve(b, len);
	for (size_t i = 0; i < t->count; i++)
		pb_add_raw_varint(b, load_varint(t->dtype, t->data, i));
}

static void encode_content_strings(const struct tensor *t, struct buf *b)
{
	struct pb_mark mark = pb_begin(b, TENSOR_CONTENT, tensor_pb_size(t));

	for (size_t i = 0; i < t->count; i++)
		pb_add_raw_varint(b, t->strings[i].len);
	for (size_t i = 0; i < t->count; i++)
		buf_add(b, t->strings[i].data, t->strings[i].len);
	pb_close(b, mark);
}

static void encode_shape(const struct tensor *t, struct buf *b)
{
	struct pb_mark shape = pb_begin(b, TENSOR_SHAPE, 0), dim;

	for (int i = 0; i < t->rank; i++) {
		dim = pb_begin(b, SHAPE_DIM, 0);
		if (t->dims[i] != 0)
			pb_add_varint(b, DIM_SIZE, (uint64_t)t->dims[i]);
		pb_close(b, dim);
	}
	pb_close(b, shape);
}

bool tensor_pb_is_plain(const struct tensor *t, bool as_content)
{
	return t->bytes > 0 && t->dtype != DT_STRING &&
	       (as_content || dtype_info((uint64_t)t->dtype)->coding != CODING_VARINT);
}

static void encode_type(const struct tensor *t, struct buf *b)
{
	pb_add_varint(b, TENSOR_DTYPE, (uint64_t)t->dtype);
	encode_shape(t, b);
}

void tensor_pb_encode_head(const struct tensor *t, bool as_content, struct buf *b)
{
	encode_type(t, b);
	pb_add_tag(b, as_content ? TENSOR_CONTENT : dtype_info((uint64_t)t->dtype)->field, PB_BYTES);
	pb_add_raw_varint(b, t->bytes);
}

void tensor_pb_encode(const struct tensor *t, bool as_content, struct buf *b)
{
	const struct dtype_info *info = dtype_info((uint64_t)t->dtype);

	if (tensor_pb_is_plain(t, as_content)) {
		tensor_pb_encode_head(t, as_content, b);
		buf_add(b, t->data, t->bytes);
		copies_count(COPY_OUT, t->bytes);
		return;
	}
	encode_type(t, b);
	if (t->count == 0)
		return;
	if (t->dtype == DT_STRING && as_content)
		encode_content_strings(t, b);
	else if (t->dtype == DT_STRING)
		for (size_t i = 0; i < t->count; i++)
			pb_add_str(b, info->field, t->strings[i]);
	else
		encode_varints(t, info->field, b);
}

size_t tensor_pb_size(const struct tensor *t)
{
	size_t n = 32 + (size_t)t->rank * 12;

	if (t->dtype != DT_STRING)
		return n + t->bytes;
	for (size_t i = 0; i < t->count; i++)
		n += t->strings[i].len + 4;
	return n;
}
