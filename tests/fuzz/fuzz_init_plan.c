/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a plan of cloudml-init. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "main/init_plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct init_plan plan;
	char *copy = malloc(size + 1);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	if (!init_plan_parse(copy, size, &plan))
		for (size_t i = 0; i < plan.stage_count; i++)
			for (char **arg = plan.stages[i].argv; *arg; arg++)
				if (*arg < copy || *arg + strlen(*arg) >= copy + size)
					abort();
	free(copy);
	return 0;
}
