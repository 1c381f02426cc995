/* SPDX-License-Identifier: Apache-2.0 */
/* Where uv is. A launcher script (as version managers make them) does not help inside a container. */
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/path.h"
#include "local/env_key.h"

static bool is_program(const char *path)
{
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char magic[4] = {0};
	return fd >= 0 && access(path, X_OK) == 0 && read(fd, magic, 4) == 4 &&
	       memcmp(magic, "\177ELF", 4) == 0;
}

/* Takes path; frees it unless it is what we look for. */
static char *accept_program(char *path)
{
	if (is_program(path)) {
		char *real = realpath(path, NULL);
		free(path);
		return real;
	}
	free(path);
	return NULL;
}

/* A version manager keeps SHIMS/uv, a script, and ROOT/versions/X/bin/uv, the program. */
static char *find_behind_script(const char *folder)
{
	CLEANUP(free) char *pattern = mem_printf("%s/../versions/*/bin/uv", folder);
	glob_t found = {0};
	char *ret = NULL;
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = found.gl_pathc; i-- > 0 && !ret;)
			ret = accept_program(mem_strdup(found.gl_pathv[i]));
	globfree(&found);
	return ret;
}

static char *find_in_path(void)
{
	const char *path = getenv("PATH");
	CLEANUP(free) char *copy = mem_strdup(path ? path : "/usr/local/bin:/usr/bin");
	char *rest = copy;
	for (char *folder; (folder = strsep(&rest, ":"));) {
		if (*folder != '/')
			continue;
		char *ret = accept_program(mem_printf("%s/uv", folder));
		CLEANUP(free) char *script = mem_printf("%s/uv", folder);
		if (!ret && access(script, X_OK) == 0)
			ret = find_behind_script(folder);
		if (ret)
			return ret;
	}
	return NULL;
}

static char *find_beside_us(void)
{
	CLEANUP(free) char *self = NULL;
	if (path_of_program(&self, NULL) < 0)
		return NULL;
	*strrchr(self, '/') = 0;
	static const char *const places[] = {"uv", "../libexec/cloudml/uv", "../.cache/bin/uv",
					     "../../.cache/bin/uv", "../../../.cache/bin/uv"};
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		char *ret = accept_program(mem_printf("%s/%s", self, places[i]));
		if (ret)
			return ret;
	}
	return NULL;
}

int env_find_uv(char **ret, struct err *err)
{
	const char *given = getenv("CLOUDML_UV"), *home = getenv("HOME");
	char *found;
	if (given && *given) {
		found = accept_program(mem_strdup(given));
		if (!found)
			return err_set(err, ERR_UNSUPPORTED, "CLOUDML_UV names '%s', which is not a program",
				       given);
	} else {
		found = find_beside_us();
		if (!found)
			found = find_in_path();
		if (!found && home)
			found = accept_program(mem_printf("%s/.local/bin/uv", home));
	}
	if (!found)
		return err_set(err, ERR_UNSUPPORTED,
			       "the program 'uv' was not found; install it (pip install uv) or set "
			       "CLOUDML_UV to where it is");
	*ret = found;
	return 0;
}
