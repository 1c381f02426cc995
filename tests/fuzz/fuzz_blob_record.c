/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of the object log and of the index, as a damaged disk may give them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "blobs/blobs_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct record r;
	size_t record_bytes;
	struct err err = ERR_INIT;
	if (record_parse(data, size, true, &r, &record_bytes) == RECORD_OK &&
	    (record_bytes > size || r.key.len > BLOB_KEY_MAX || r.data.len > RECORD_DATA_MAX))
		abort();
	CLEANUP(object) struct object o = {0};
	struct str body = {(const char *)data, size};
	if (object_unpack(body, &o, &err) == 0) {
		/* What was understood comes back the same. */
		CLEANUP(buf) struct buf packed = BUF_INIT;
		CLEANUP(object) struct object again = {0};
		object_pack(&o, &packed);
		if (object_unpack((struct str){packed.data, packed.len}, &again, &err) < 0 ||
		    again.extent_count != o.extent_count || again.info.size_bytes != o.info.size_bytes ||
		    strcmp(again.info.sha256, o.info.sha256) != 0)
			abort();
	}
	struct bucket_body b = {0};
	if (bucket_unpack(body, &b, &err) == 0)
		free(b.attributes);
	return 0;
}
