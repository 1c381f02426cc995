/* SPDX-License-Identifier: Apache-2.0 */
/* application/x-www-form-urlencoded, as browsers send forms. */
#ifndef SERVING_FORM_H
#define SERVING_FORM_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/buf.h"

/* The value of the first field 'name', decoded into the arena with a NUL behind it that is not counted; a
 * malformed escape stays as it is. False when there is no such field, or no memory for it. */
bool form_field(struct str body, const char *name, struct arena *arena, struct str *ret);

#endif
