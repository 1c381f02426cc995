/* SPDX-License-Identifier: Apache-2.0 */
/* Cron texts: what parses fires, later and later, at whole minutes that match. */
#include <assert.h>
#include "base/mem.h"
#include "core/cron.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	CLEANUP(free) char *text = mem_strndup((const char *)data, size);
	struct err err = ERR_INIT;
	struct cron_schedule s;
	int r = cron_schedule_parse(text, &s, &err);
	assert(r == 0 || (r == -ERR_INVALID && err.msg[0]));
	int64_t at = 0;
	for (int i = 0; r == 0 && i < 3; i++) {
		int64_t next = cron_schedule_next(&s, at);
		assert(next > at && next % 60000 == 0);
		assert(s.minutes >> (next / 60000 % 60) & 1);
		assert(s.hours >> (next / 3600000 % 24) & 1);
		at = next;
	}
	return 0;
}
