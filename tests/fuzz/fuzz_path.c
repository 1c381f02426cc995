/* SPDX-License-Identifier: Apache-2.0 */
/* Relative paths: a clean path has no part that could lead anywhere else. */
#include <assert.h>
#include <string.h>
#include "base/mem.h"
#include "base/path.h"

static void check_clean(const char *path, size_t len)
{
	CLEANUP(free) char *copy = mem_strndup(path, len);
	assert(strlen(copy) == len && len > 0 && len <= PATH_CLEAN_MAX);
	assert(copy[0] != '/' && copy[len - 1] != '/' && !strchr(copy, '\\') && !strstr(copy, "//"));
	char *rest = NULL;
	for (char *s = strtok_r(copy, "/", &rest); s; s = strtok_r(NULL, "/", &rest))
		assert(strcmp(s, ".") != 0 && strcmp(s, "..") != 0 && strlen(s) <= PATH_SEGMENT_MAX);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct err err = ERR_INIT;
	int r = path_check((const char *)data, size, &err);
	assert(r == 0 || r == -ERR_INVALID);
	if (r == 0)
		check_clean((const char *)data, size);
	for (const char *c = err.msg; *c; c++)
		assert((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f);
	return 0;
}
