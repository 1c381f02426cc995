/* SPDX-License-Identifier: Apache-2.0 */
/* The store's XML as TensorFlow's file system reads it: what comes out keeps to what fds_xml.h says. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "fds_path.h"
#include "fds_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct err err = ERR_INIT;
	char code[64], message[256], value[16];
	size_t failed;
	struct fds_list list = {0};
	if (fds_xml_list(text, size, &list, &err) >= 0) {
		assert(list.count <= FDS_PAGE_MAX);
		for (size_t i = 0; i < list.count; i++)
			assert(list.entries[i].key && list.entries[i].key[0]);
	} else
		assert(err.msg[0] && !list.count && !list.token);
	fds_list_clear(&list);
	if (fds_xml_value(text, size, "CopyObjectResult/ETag", value, sizeof(value), &err) >= 0)
		assert(strlen(value) < sizeof(value));
	fds_xml_deleted(text, size, &failed, code, &err);
	fds_xml_error(text, size, code, message);
	for (const char *p = message; *p; p++)
		assert((unsigned char)*p >= ' ');
	char *copy = mem_strndup(text, size), *again;
	struct buf b = BUF_INIT;
	if (fds_decode(copy)) {
		fds_encode(&b, copy, false);
		again = buf_steal(&b);
		assert(fds_decode(again) && !strcmp(again, copy));
		free(again);
	}
	free(copy);
	return 0;
}
