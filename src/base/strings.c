/* SPDX-License-Identifier: Apache-2.0 */
/* NULL-terminated arrays of strings. */
#include "base/json.h"

#include <stdlib.h>

void strings_free(char **strings)
{
	if (!strings)
		return;
	for (size_t i = 0; strings[i]; i++)
		free(strings[i]);
	free(strings);
}

size_t strings_count(char *const *strings)
{
	size_t n = 0;
	while (strings && strings[n])
		n++;
	return n;
}

char **strings_copy(char *const *strings)
{
	if (!strings)
		return NULL;
	size_t n = strings_count(strings);
	char **copy = mem_alloc((n + 1) * sizeof(*copy));
	for (size_t i = 0; i < n; i++)
		copy[i] = mem_strdup(strings[i]);
	return copy;
}

json_t *json_from_strings(char *const *strings)
{
	json_t *array = json_array();
	for (size_t i = 0; strings && strings[i]; i++)
		json_array_append_new(array, json_string(strings[i]));
	return array;
}
