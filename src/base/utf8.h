/* SPDX-License-Identifier: Apache-2.0 */
/* Is it text? UTF-8 as RFC 3629 has it: no surrogates, nothing overlong, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include "base/buf.h"

/* How many bytes the character at 'p' has, which is before 'end'; 0 when it is none. */
size_t utf8_length(const char *p, const char *end);
bool utf8_is(struct str s);

#endif
