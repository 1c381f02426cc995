/* SPDX-License-Identifier: Apache-2.0 */
/* The table of runtimes and where their libraries lie. */
#include "serving/runtime.h"

#include <glob.h>
#include "base/mem.h"

static const struct runtime_ops *const runtimes[] = {&runtime_tensorflow, &runtime_onnx, &runtime_python};

const struct runtime_ops *runtime_find(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(runtimes); i++)
		if (runtimes[i]->matches(path))
			return runtimes[i];
	return NULL;
}

char *runtime_glob(const char *pattern)
{
	glob_t found = {0};
	char *first = NULL;

	if (glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0)
		first = mem_strdup(found.gl_pathv[0]);
	globfree(&found);
	return first;
}

int runtime_package(const struct runtime_options *options, const char *package, char **ret, struct err *err)
{
	CLEANUP(free) char *pattern = NULL;

	if (!options->path || !options->path[0])
		return err_set(err, ERR_NOT_FOUND,
			       "no Python environment given to find '%s' in; start with --runtime_path DIR",
			       package);
	pattern = mem_printf("%s/lib/python3*/site-packages/%s", options->path, package);
	*ret = runtime_glob(pattern);
	if (!*ret)
		return err_set(err, ERR_NOT_FOUND,
			       "no package '%s' in '%s/lib/python3*/site-packages'; install it there",
			       package, options->path);
	return 0;
}
