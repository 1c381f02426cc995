/* SPDX-License-Identifier: Apache-2.0 */
/* Responses: whole and byte by byte they read the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "net/http_message.h"

static int read_in_steps(const uint8_t *data, size_t size, size_t step, struct http_response_reader *r)
{
	struct err err = ERR_INIT;
	int res = 0;
	http_response_reader_init(r, 4096);
	for (size_t at = 0; at < size && res == 0; at += step)
		res = http_response_reader_feed(r, (const char *)data + at,
						size - at < step ? size - at : step, &err);
	return res < 0 ? res : http_response_reader_end(r, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_response_reader whole, bytes;
	int r = read_in_steps(data, size, size + 1, &whole), s = read_in_steps(data, size, 1, &bytes);
	assert(whole.response.body.len <= 4096);
	if (r == 0 && s == 0) {
		assert(whole.response.status == bytes.response.status);
		assert(!strcmp(buf_str(&whole.response.body), buf_str(&bytes.response.body)));
	}
	http_response_reader_done(&whole);
	http_response_reader_done(&bytes);
	return 0;
}
