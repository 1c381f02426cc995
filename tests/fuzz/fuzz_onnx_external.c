/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX models: the names of their external data stay in the model's folder, and none comes twice. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "serving/onnx_external.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct onnx_external x;
	struct err err = ERR_INIT;
	int r;

	onnx_external_init(&x);
	r = onnx_external_parse(&x, (struct str){(const char *)data, size}, &err);
	assert(r == -err.code);
	for (size_t i = 0; i < x.count; i++) {
		assert(x.names[i][0] && x.names[i][0] != '/' && !strstr(x.names[i], "/../"));
		assert(strncmp(x.names[i], "../", 3) != 0 && strcmp(x.names[i], "..") != 0);
		assert(i == 0 || strcmp(x.names[i], x.names[i - 1]) != 0);
	}
	onnx_external_done(&x);
	return 0;
}
