/* SPDX-License-Identifier: Apache-2.0 */
/* Powers of ten as 128-bit fractions. */
#ifndef SERVING_FLOAT_POWERS_H
#define SERVING_FLOAT_POWERS_H

#include <stdint.h>

#define FLOAT_POWER_MIN -292
#define FLOAT_POWER_MAX 324

struct float_power {
	uint64_t high, low;
};
/* ceil(10^exponent * 2^s) with s such that the highest of the 128 bits is set. Computed at the first call. */
const struct float_power *float_power(int exponent);

#endif
