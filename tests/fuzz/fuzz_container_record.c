/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as the record of a container. */
#include <string.h>
#include "base/mem.h"
#include "local/container_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct container_record record;
	struct err err = ERR_INIT;
	CLEANUP(free) char *text = mem_strndup((const char *)data, size);
	if (container_record_parse(text, &record, &err) < 0)
		return 0;
	if (strlen(record.failed) > CONTAINER_STAGE_NAME_MAX ||
	    strlen(record.progress.stage) > CONTAINER_STAGE_NAME_MAX)
		__builtin_trap();
	return 0;
}
