/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of copies.h. */
#include "serving/copies.h"

atomic_uint_fast64_t copies_bytes[COPY_DIRECTIONS];
