/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli; RFC 3720, appendix B.4). */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from 'crc', the result for what came before; 0 at the start. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
