/* SPDX-License-Identifier: Apache-2.0 */
/* Text from programs, made fit for JSON and for people. */
#ifndef LOCAL_TEXT_CLEAN_H
#define LOCAL_TEXT_CLEAN_H

#include <stddef.h>

/* Copies at most cap-1 bytes of one line: escape sequences dropped, control characters to blanks, invalid
 * UTF-8 to '?', never cut within a character; blanks at both ends removed. Returns the length. */
size_t text_clean(const char *data, size_t len, char *ret, size_t cap);

#endif
