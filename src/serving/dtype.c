/* SPDX-License-Identifier: Apache-2.0 */
/* Element types of tensors, see dtype.h. */
#include "serving/dtype.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"

#define REFERENCE_OFFSET 100 /* between a type and a reference to it */

static const struct dtype_info dtypes[] = {
#define DTYPE_ROW(name, number, size, onnx, field, coding, word)                                             \
	{name, #name, word, size, onnx, field, coding},
    DTYPE_TABLE(DTYPE_ROW)
#undef DTYPE_ROW
};

const struct dtype_info *dtype_info(uint64_t number)
{
	for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
		if ((uint64_t)dtypes[i].dtype == number)
			return &dtypes[i];
	return NULL;
}

enum dtype dtype_from_onnx(int onnx)
{
	for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
		if (dtypes[i].onnx == onnx)
			return dtypes[i].dtype;
	return DT_INVALID;
}

/* Of types that no protocol carries here: only models talk about them. */
static const struct {
	int number;
	const char *name;
} other_names[] = {
    {20, "DT_RESOURCE"},
    {21, "DT_VARIANT"},
};

void dtype_format_name(int number, char ret[DTYPE_NAME_MAX])
{
	bool is_reference = number > REFERENCE_OFFSET;
	int base = is_reference ? number - REFERENCE_OFFSET : number;
	const struct dtype_info *info = dtype_info((uint64_t)base);
	const char *name = info ? info->enum_name : NULL;

	for (size_t i = 0; !name && i < ARRAY_LEN(other_names); i++)
		if (other_names[i].number == base)
			name = other_names[i].name;
	snprintf(ret, DTYPE_NAME_MAX, "%s%s", name ? name : "DT_INVALID", name && is_reference ? "_REF" : "");
}

const char *dtype_word(enum dtype dtype)
{
	const struct dtype_info *info = dtype_info((uint64_t)dtype);

	return info ? info->word : "invalid";
}

bool dtype_in_json(enum dtype dtype)
{
	const struct dtype_info *info = dtype_info((uint64_t)dtype);

	return info && info->onnx != ONNX_NONE && dtype != DT_COMPLEX64 && dtype != DT_COMPLEX128;
}

static float float_of_bits(uint32_t bits)
{
	float v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

static uint32_t bits_of_float(float v)
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return bits;
}

float dtype_half_to_float(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16;
	uint32_t exponent = (h >> 10) & 0x1f;
	uint32_t fraction = h & 0x3ff;

	if (exponent == 0x1f)
		return float_of_bits(sign | 0x7f800000 | fraction << 13);
	if (exponent == 0) {
		float tiny = (float)fraction * 0x1p-24f;
		return sign ? -tiny : tiny;
	}
	return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/* 'value' shifted right with ties to even. */
static uint32_t shift_round(uint32_t value, unsigned shift)
{
	uint32_t half = 1u << (shift - 1);
	uint32_t rest = value & ((1u << shift) - 1);
	uint32_t kept = value >> shift;

	return kept + (rest > half || (rest == half && (kept & 1)));
}

uint16_t dtype_half_from_float(float value)
{
	uint32_t bits = bits_of_float(value);
	uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
	uint32_t magnitude = bits & 0x7fffffff;
	int exponent = (int)(magnitude >> 23) - 127;

	if (magnitude > 0x7f800000)
		return sign | 0x7e00;
	if (exponent > 15)
		return sign | 0x7c00;
	if (exponent >= -14) /* a carry out of the fraction rightly raises the exponent, up to infinity */
		return (uint16_t)(sign | shift_round(magnitude - (112u << 23), 13));
	if (exponent < -25)
		return sign;
	return (uint16_t)(sign | shift_round((magnitude & 0x7fffff) | 0x800000, (unsigned)(-exponent - 1)));
}

float dtype_bfloat16_to_float(uint16_t bits)
{
	return float_of_bits((uint32_t)bits << 16);
}

uint16_t dtype_bfloat16_from_float(float value)
{
	uint32_t bits = bits_of_float(value);

	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)shift_round(bits, 16);
}
