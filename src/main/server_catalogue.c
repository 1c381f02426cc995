/* SPDX-License-Identifier: Apache-2.0 */
/* Reads frameworks/NAME.json in the order of names. */
#include "main/server_catalogue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"

#define FILE_BYTES_MAX (1024 * 1024)
#define LEVELS_UP 4 /* from build/src/main/cloudml to the source tree */

static bool is_folder(const char *path)
{
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0;
}

static char *find_folder(struct err *err)
{
	const char *given = getenv("CLOUDML_FRAMEWORKS");
	if (given && *given)
		return mem_strdup(given);
	CLEANUP(free) char *folder = NULL;
	if (path_of_program(&folder, err) < 0)
		return NULL;
	CLEANUP(free) char *program = mem_strdup(folder);
	*strrchr(folder, '/') = 0;
	char *path = mem_printf("%s/../share/cloudml/frameworks", folder);
	for (int i = 0; i <= LEVELS_UP && !is_folder(path); i++) {
		free(path);
		path = mem_printf("%s/frameworks", folder);
		char *slash = strrchr(folder, '/');
		if (slash && slash != folder)
			*slash = 0;
	}
	if (is_folder(path))
		return path;
	free(path);
	err_set(err, ERR_NOT_FOUND,
		"there is no folder share/cloudml/frameworks beside '%s'; name one in CLOUDML_FRAMEWORKS",
		program);
	return NULL;
}

static int is_json(const struct dirent *e)
{
	return str_ends(e->d_name, ".json") && e->d_name[0] != '.';
}

int server_catalogue_load(struct catalogue *ret, struct err *err)
{
	CLEANUP(free) char *folder = find_folder(err);
	struct dirent **files = NULL;
	if (!folder)
		return -err->code;
	int n = scandir(folder, &files, is_json, alphasort), r = 0;
	if (n < 0)
		return err_sys(err, errno, "cannot read '%s'", folder);
	for (int i = 0; i < n; i++) {
		CLEANUP(json) json_t *j = NULL;
		CLEANUP(free) char *path = mem_printf("%s/%s", folder, files[i]->d_name);
		if (r == 0)
			r = json_read_file(AT_FDCWD, path, FILE_BYTES_MAX, &j, err);
		if (r == 0 && j) {
			r = catalogue_add(ret, j, err);
			if (r < 0)
				err_wrap(err, "in '%s'", path);
		}
		free(files[i]);
	}
	free(files);
	if (r == 0 && ret->count == 0)
		r = err_set(err, ERR_NOT_FOUND, "the catalogue '%s' is empty", folder);
	return r;
}
