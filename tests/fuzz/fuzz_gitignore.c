/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns, then a NUL, then a path. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "cli/gitignore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = memchr(data, 0, size);
	size_t n = nul ? (size_t)(nul - data) : size;
	struct gitignore *g = gitignore_new();
	gitignore_add(g, "", (const char *)data, n);
	char path[256] = "a/b";
	if (nul) {
		size_t rest = size - n - 1;
		rest = rest < sizeof(path) - 1 ? rest : sizeof(path) - 1;
		memcpy(path, nul + 1, rest);
		path[rest] = '\0';
	}
	gitignore_match(g, path, false);
	gitignore_match(g, path, true);
	gitignore_free(g);
	return 0;
}
