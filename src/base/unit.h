/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, durations and CPU counts as people write them. */
#ifndef BASE_UNIT_H
#define BASE_UNIT_H

#include <stdint.h>
#include "base/err.h"

/* "4G" = "4GiB" = 4 * 2^30, "100M", "512K", "1T"; "24GB" = 24 * 10^9; plain number = bytes. ERR_INVALID. */
int unit_parse_bytes(const char *s, int64_t *ret, struct err *err);
/* "2h", "1h30m", "90s", "250ms", "3d"; plain number = seconds. */
int unit_parse_duration_ms(const char *s, int64_t *ret, struct err *err);
/* "500m" = half a core, "1.5", "2". */
int unit_parse_cpu_milli(const char *s, int64_t *ret, struct err *err);
/* RFC 3339: "2026-11-25T08:30:00Z", "2026-11-25T10:30:00.5+02:00"; years 1970 to 9999; Unix milliseconds. */
int unit_parse_time_ms(const char *s, int64_t *ret, struct err *err);
void unit_format_time(int64_t unix_ms, char ret[32]); /* the same, in UTC, milliseconds when there are some */
void unit_format_bytes(int64_t bytes, char ret[32]);  /* "1.5 GiB" */
void unit_format_duration(int64_t ms, char ret[32]);  /* "1h 5m", "42s", "350ms" */
void unit_format_cpu(int64_t milli, char ret[32]);    /* "1.5" */

#endif
