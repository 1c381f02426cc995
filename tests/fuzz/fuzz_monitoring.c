/* SPDX-License-Identifier: Apache-2.0 */
/* MonitoringConfig in text: a path that is read is one. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include "base/mem.h"
#include "serving/monitoring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	CLEANUP(free) char *path = NULL;
	struct err err = ERR_INIT;
	int r;

	buf_add(&text, data, size);
	r = monitoring_parse((struct str){buf_str(&text), size}, &path, &err);
	assert(r == -err.code);
	assert(!path || (r == 0 && path[0] == '/'));
	return 0;
}
