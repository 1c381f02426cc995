/* SPDX-License-Identifier: Apache-2.0 */
/* Which environment a task needs: see docs/formats/environments.md. */
#ifndef LOCAL_ENV_KEY_H
#define LOCAL_ENV_KEY_H

#include <stddef.h>
#include "base/err.h"

#define ENV_KEY_LEN 32

struct env_want {
	const char *framework, *version;
	char *const *packages;	   /* of the catalogue, in its order; may be NULL */
	char *const *requirements; /* of the user; may be NULL */
	const char *org;
	const char *python; /* "python3.11" */
};
/* Borrows want; ret is hex. */
void env_key(const struct env_want *want, char ret[ENV_KEY_LEN + 1]);
/* Requirements trimmed, sorted, without doubles, empty lines and comments. Returns owned, never NULL. */
char **env_requirements(char *const *requirements);
/* What /usr/bin/python3 is: "python3.11". ERR_UNSUPPORTED when there is none. */
int env_python(char *ret, size_t cap, struct err *err);
/* A uv that can be mounted into a container: $CLOUDML_UV, beside our program, PATH, ~/.local/bin, .cache/bin.
 * Returns owned. ERR_UNSUPPORTED says how to get it. */
int env_find_uv(char **ret, struct err *err);

#endif
