/* SPDX-License-Identifier: Apache-2.0 */
/* TFRecord files: records lie within the file and follow each other. */
#include <assert.h>
#include "serving/tfrecord.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data, size}, record;
	struct err err = ERR_INIT;
	const char *end = rest.data;
	int r;

	while ((r = tfrecord_next(&rest, 1000, &record, &err)) > 0) {
		assert(record.data == end + 12 && record.len <= 1000);
		end = record.data + record.len + 4;
		assert(rest.data == end && rest.data + rest.len == (const char *)data + size);
	}
	assert(r == -err.code && (r < 0 || rest.len == 0));
	return 0;
}
