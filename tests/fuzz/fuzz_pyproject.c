/* SPDX-License-Identifier: Apache-2.0 */
/* pyproject.toml and requirements.txt: the first byte chooses. */
#include <stdint.h>
#include "cli/jobfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *j = NULL;
	if (!size)
		return 0;
	if (data[0] == '[') {
		if (pyproject_parse((const char *)data, size, &j, NULL) >= 0)
			json_decref(j);
		return 0;
	}
	j = json_array();
	requirements_parse((const char *)data, size, j, NULL);
	json_decref(j);
	return 0;
}
