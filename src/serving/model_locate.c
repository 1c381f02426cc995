/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a model's files: numbered version folders, or the model itself. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serving/model.h"

/* A folder's name that is a number, leading zeros allowed; -1 otherwise. */
static int64_t version_of(const char *name)
{
	int64_t v = 0;

	if (!*name || strlen(name) > 19)
		return -1;
	for (const char *p = name; *p; p++)
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(v, (int64_t)10, &v) ||
		    __builtin_add_overflow(v, (int64_t)(*p - '0'), &v))
			return -1;
	return v;
}

/* The wanted or highest version folder that holds a model; *ret_path stays NULL when there is none. */
static int locate_numbered(const char *base, int64_t wanted, int64_t *ret_number, char **ret_path,
			   struct err *err)
{
	CLEANUP(dir) DIR *dir = opendir(base);
	struct dirent *entry;

	if (!dir)
		return err_sys(err, errno, "cannot read model folder '%s'", base);
	while ((entry = readdir(dir))) {
		int64_t number = version_of(entry->d_name);
		if (number < 0 || (wanted >= 0 && number != wanted) || (*ret_path && number <= *ret_number))
			continue;
		char *path = mem_printf("%s/%s", base, entry->d_name);
		if (!runtime_find(path)) {
			free(path);
			continue;
		}
		free(*ret_path);
		*ret_path = path;
		*ret_number = number;
	}
	return 0;
}

int model_locate(const char *base, int64_t wanted, int64_t *ret_number, char **ret_path, struct err *err)
{
	CLEANUP(free) char *path = NULL;
	int r;

	if (runtime_find(base)) {
		*ret_number = wanted >= 0 ? wanted : 1;
		*ret_path = mem_strdup(base);
		return 0;
	}
	r = locate_numbered(base, wanted, ret_number, &path, err);
	if (r < 0)
		return r;
	if (path) {
		*ret_path = STEAL(path);
		return 0;
	}
	if (wanted >= 0)
		return err_set(err, ERR_NOT_FOUND, "no version %lld of a model below '%s'", (long long)wanted,
			       base);
	return err_set(err, ERR_NOT_FOUND,
		       "no model at '%s': needs saved_model.pb, a file *.onnx, predict.py, model.joblib "
		       "(.pkl, .json, .ubj, .txt, .pt), or "
		       "version folders named by a number",
		       base);
}
