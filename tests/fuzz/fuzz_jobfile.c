/* SPDX-License-Identifier: Apache-2.0 */
/* YAML job files. */
#include <stdint.h>
#include "cli/jobfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *j = NULL;
	if (jobfile_parse_yaml((const char *)data, size, &j, NULL) >= 0)
		json_decref(j);
	return 0;
}
