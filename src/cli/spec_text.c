/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of a specification that jobs and models share. */
#include <ctype.h>
#include <string.h>
#include "cli/cli_int.h"

void cli_label(const char *text, size_t len, const char *fallback, char ret[CLI_LABEL_MAX + 1])
{
	size_t n = 0;
	for (size_t i = 0; i < len && n < CLI_LABEL_MAX; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < 128 && isalnum(c))
			ret[n++] = (char)tolower(c);
		else if (n && ret[n - 1] != '-')
			ret[n++] = '-';
	}
	while (n && ret[n - 1] == '-')
		n--;
	ret[n] = '\0';
	if (!n)
		snprintf(ret, CLI_LABEL_MAX + 1, "%s", fallback);
}

void cli_put_framework(json_t *spec, const char *value)
{
	const char *colon = strchr(value, ':');
	size_t len = colon ? (size_t)(colon - value) : strlen(value);
	json_object_set_new(spec, "framework", json_stringn(value, len));
	if (colon)
		json_object_set_new(spec, "framework_version", json_string(colon + 1));
}
