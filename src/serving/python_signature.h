/* SPDX-License-Identifier: Apache-2.0 */
/* The signature that Python workers describe. */
#ifndef SERVING_PYTHON_SIGNATURE_H
#define SERVING_PYTHON_SIGNATURE_H

#include "base/arena.h"
#include "serving/signature.h"

/* From {"inputs": [{"name", "dtype", "shape"}], "outputs": …}: dtype is a number of enum dtype, shape null
 * when its rank is not known. Everything lies in the arena. ERR_INVALID, ERR_TOO_LARGE. */
int python_signature_parse(struct str text, struct arena *arena, struct signature *ret, struct err *err);

#endif
