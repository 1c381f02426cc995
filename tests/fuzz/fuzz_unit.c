/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, durations, CPU counts: never negative, and what is written fits its buffer. */
#include <assert.h>
#include <string.h>
#include "base/mem.h"
#include "base/unit.h"

static void check(const char *text, int (*parse)(const char *, int64_t *, struct err *),
		  void (*format)(int64_t, char *))
{
	struct err err = ERR_INIT;
	int64_t value = -1;
	char out[32];
	int r = parse(text, &value, &err);
	assert(r == 0 ? value >= 0 : value == -1 && r == -ERR_INVALID && err.code == ERR_INVALID);
	format(value, out);
	assert(strlen(out) < sizeof(out));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	CLEANUP(free) char *text = mem_strndup((const char *)data, size);
	check(text, unit_parse_bytes, unit_format_bytes);
	check(text, unit_parse_duration_ms, unit_format_duration);
	check(text, unit_parse_cpu_milli, unit_format_cpu);
	return 0;
}
