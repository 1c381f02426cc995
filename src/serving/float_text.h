/* SPDX-License-Identifier: Apache-2.0 */
/* The shortest decimal text of a float or double that reads back as the same number. */
#ifndef SERVING_FLOAT_TEXT_H
#define SERVING_FLOAT_TEXT_H

#include <stddef.h>

#define FLOAT_TEXT_MAX 32

/* Not NUL-terminated; returns the length. "2.0", "0.1", "1e+20", "NaN", "-Infinity". */
size_t float_text(float v, char ret[FLOAT_TEXT_MAX]);
size_t double_text(double v, char ret[FLOAT_TEXT_MAX]);

#endif
