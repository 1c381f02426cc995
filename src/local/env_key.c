/* SPDX-License-Identifier: Apache-2.0 */
/* Which environment a task needs. */
#include "local/env_key.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *trimmed(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	size_t len = strlen(s);
	while (len && isspace((unsigned char)s[len - 1]))
		len--;
	return mem_strndup(s, len);
}

char **env_requirements(char *const *requirements)
{
	size_t n = requirements ? strings_count(requirements) : 0, kept = 0;
	char **ret = mem_alloc((n + 1) * sizeof(*ret));
	for (size_t i = 0; i < n; i++) {
		char *s = trimmed(requirements[i]);
		if (*s && *s != '#')
			ret[kept++] = s;
		else
			free(s);
	}
	qsort(ret, kept, sizeof(*ret), compare_strings);
	size_t out = 0;
	for (size_t i = 0; i < kept; i++) {
		if (out && strcmp(ret[out - 1], ret[i]) == 0)
			free(ret[i]);
		else
			ret[out++] = ret[i];
	}
	ret[out] = NULL;
	return ret;
}

static void add_line(struct digest *d, const char *prefix, const char *text)
{
	digest_update(d, prefix, strlen(prefix));
	digest_update(d, text, strlen(text));
	digest_update(d, "\n", 1);
}

void env_key(const struct env_want *want, char ret[ENV_KEY_LEN + 1])
{
	CLEANUP(strings) char **requirements = env_requirements(want->requirements);
	struct digest d;
	digest_init(&d);
	add_line(&d, "", "cloudml-env-1");
	add_line(&d, "", want->framework);
	add_line(&d, "", want->version);
	add_line(&d, "", want->python);
	for (char *const *p = want->packages; p && *p; p++)
		add_line(&d, "p ", *p);
	for (char **r = requirements; *r; r++)
		add_line(&d, "r ", *r);
	if (requirements[0])
		add_line(&d, "o ", want->org);
	char hex[DIGEST_HEX_LEN + 1];
	digest_hex(&d, hex);
	memcpy(ret, hex, ENV_KEY_LEN);
	ret[ENV_KEY_LEN] = 0;
}

int env_python(char *ret, size_t cap, struct err *err)
{
	CLEANUP(free) char *path = realpath("/usr/bin/python3", NULL);
	const char *name = path ? strrchr(path, '/') : NULL;
	if (!name || strncmp(path, "/usr/", 5) != 0 || strlen(name + 1) >= cap)
		return err_set(err, ERR_UNSUPPORTED,
			       "no usable /usr/bin/python3; install the package python3");
	memcpy(ret, name + 1, strlen(name + 1) + 1);
	return 0;
}
