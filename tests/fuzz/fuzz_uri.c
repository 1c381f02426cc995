/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses in the store: what is accepted is clean and formats to the same address. */
#include <assert.h>
#include <string.h>
#include "base/mem.h"
#include "base/path.h"
#include "core/uri.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct err err = ERR_INIT;
	struct uri u, again;
	CLEANUP(free) char *text = mem_strndup((const char *)data, size);
	if (uri_parse(text, &u, &err) < 0)
		return 0;
	size_t len = strlen(u.key);
	assert(!strstr(u.key, "..") || !strstr(u.key, "/../"));
	assert(len == 0 || path_check(u.key, len - (u.key[len - 1] == '/'), &err) == 0);
	char formatted[sizeof(u) + 8];
	uri_format(&u, formatted, sizeof(formatted));
	int r = uri_parse(formatted, &again, &err);
	assert(r == 0 && strcmp(u.bucket, again.bucket) == 0 && strcmp(u.key, again.key) == 0);
	return 0;
}
