/* SPDX-License-Identifier: Apache-2.0 */
/* Element types of tensors: one table for every protocol and runtime. */
#ifndef SERVING_DTYPE_H
#define SERVING_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the typed field of a TensorProto holds an element. */
enum dtype_coding {
	CODING_FIXED32, /* float_val */
	CODING_FIXED64, /* double_val */
	CODING_VARINT,	/* int_val, int64_val, bool_val, uint32_val, uint64_val, half_val (bit pattern) */
	CODING_FIXED32_PAIRS, /* scomplex_val: real, imaginary */
	CODING_FIXED64_PAIRS, /* dcomplex_val */
	CODING_BYTES,	      /* string_val */
	CODING_RAW	      /* float8_val: the bytes of all elements */
};

#define ONNX_NONE (-1) /* only TensorFlow has it */
/* enumerator, number in tensorflow/core/framework/types.proto and TF_DataType, element bytes (0: strings),
 * number in ONNXTensorElementDataType, field in TensorProto, its coding, name in messages */
#define DTYPE_TABLE(X)                                                                                       \
	X(DT_FLOAT, 1, 4, 1, 5, CODING_FIXED32, "float")                                                     \
	X(DT_DOUBLE, 2, 8, 11, 6, CODING_FIXED64, "double")                                                  \
	X(DT_INT32, 3, 4, 6, 7, CODING_VARINT, "int32")                                                      \
	X(DT_UINT8, 4, 1, 2, 7, CODING_VARINT, "uint8")                                                      \
	X(DT_INT16, 5, 2, 5, 7, CODING_VARINT, "int16")                                                      \
	X(DT_INT8, 6, 1, 3, 7, CODING_VARINT, "int8")                                                        \
	X(DT_STRING, 7, 0, 8, 8, CODING_BYTES, "string")                                                     \
	X(DT_COMPLEX64, 8, 8, 14, 9, CODING_FIXED32_PAIRS, "complex64")                                      \
	X(DT_INT64, 9, 8, 7, 10, CODING_VARINT, "int64")                                                     \
	X(DT_BOOL, 10, 1, 9, 11, CODING_VARINT, "bool")                                                      \
	X(DT_BFLOAT16, 14, 2, 16, 13, CODING_VARINT, "bfloat16")                                             \
	X(DT_UINT16, 17, 2, 4, 7, CODING_VARINT, "uint16")                                                   \
	X(DT_COMPLEX128, 18, 16, 15, 12, CODING_FIXED64_PAIRS, "complex128")                                 \
	X(DT_HALF, 19, 2, 10, 13, CODING_VARINT, "half")                                                     \
	X(DT_UINT32, 22, 4, 12, 16, CODING_VARINT, "uint32")                                                 \
	X(DT_UINT64, 23, 8, 13, 17, CODING_VARINT, "uint64")                                                 \
	X(DT_QINT8, 11, 1, ONNX_NONE, 7, CODING_VARINT, "qint8")                                             \
	X(DT_QUINT8, 12, 1, ONNX_NONE, 7, CODING_VARINT, "quint8")                                           \
	X(DT_QINT32, 13, 4, ONNX_NONE, 7, CODING_VARINT, "qint32")                                           \
	X(DT_QINT16, 15, 2, ONNX_NONE, 7, CODING_VARINT, "qint16")                                           \
	X(DT_QUINT16, 16, 2, ONNX_NONE, 7, CODING_VARINT, "quint16")                                         \
	X(DT_FLOAT8_E5M2, 24, 1, ONNX_NONE, 18, CODING_RAW, "float8_e5m2")                                   \
	X(DT_FLOAT8_E4M3FN, 25, 1, ONNX_NONE, 18, CODING_RAW, "float8_e4m3fn")                               \
	X(DT_FLOAT8_E4M3FNUZ, 26, 1, ONNX_NONE, 18, CODING_RAW, "float8_e4m3fnuz")                           \
	X(DT_FLOAT8_E4M3B11FNUZ, 27, 1, ONNX_NONE, 18, CODING_RAW, "float8_e4m3b11fnuz")                     \
	X(DT_FLOAT8_E5M2FNUZ, 28, 1, ONNX_NONE, 18, CODING_RAW, "float8_e5m2fnuz")                           \
	X(DT_INT4, 29, 1, ONNX_NONE, 7, CODING_VARINT, "int4")                                               \
	X(DT_UINT4, 30, 1, ONNX_NONE, 7, CODING_VARINT, "uint4")                                             \
	X(DT_INT2, 31, 1, ONNX_NONE, 7, CODING_VARINT, "int2")                                               \
	X(DT_UINT2, 32, 1, ONNX_NONE, 7, CODING_VARINT, "uint2")

enum dtype {
	DT_INVALID = 0,
#define DTYPE_ENUM(name, number, size, onnx, field, coding, word) name = number,
	DTYPE_TABLE(DTYPE_ENUM)
#undef DTYPE_ENUM
};

struct dtype_info {
	enum dtype dtype;
	const char *enum_name; /* "DT_FLOAT" */
	const char *word;      /* "float" */
	size_t size;	       /* bytes of an element; 0 for strings */
	int onnx;
	uint32_t field;
	enum dtype_coding coding;
};

/* NULL when the number is none of ours. */
const struct dtype_info *dtype_info(uint64_t number);
enum dtype dtype_from_onnx(int onnx); /* DT_INVALID when unknown */
/* Every name of types.proto, also of types that cannot be sent: "DT_RESOURCE"; "DT_INVALID" when unknown.
 * Into 'ret', for those of references: "DT_FLOAT_REF". */
#define DTYPE_NAME_MAX 32
void dtype_format_name(int number, char ret[DTYPE_NAME_MAX]);
const char *dtype_word(enum dtype dtype); /* "invalid" when unknown */
/* Not complex numbers, nor what ends in a few bits. */
bool dtype_in_json(enum dtype dtype);

/* Conversions of the two 16-bit floats; to 16 bits rounds to nearest, ties to even. */
float dtype_half_to_float(uint16_t bits);
uint16_t dtype_half_from_float(float value);
float dtype_bfloat16_to_float(uint16_t bits);
uint16_t dtype_bfloat16_from_float(float value);

#endif
