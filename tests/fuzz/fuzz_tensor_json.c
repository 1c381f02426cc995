/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto of a model's answer. */
#include <stdint.h>
#include "client/tensor_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *j = NULL;
	if (tensor_json_decode((struct str){(const char *)data, size}, &j, NULL) >= 0)
		json_decref(j);
	return 0;
}
