/* SPDX-License-Identifier: Apache-2.0 */
/* Reads imports, requirements.txt and pyproject.toml of a folder. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/detect.h"
#include "cli/jobfile.h"
#include "cli/package.h"

#define SCAN_BYTES_MAX (1 << 20)

void detected_done(struct detected *d)
{
	free(d->framework);
	free(d->framework_file);
	free(d->project);
	json_decref(d->requirements);
	*d = (struct detected){0};
}

static bool is_word_end(char c)
{
	return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_');
}

bool detect_imports(const char *text, const char *module)
{
	size_t n = strlen(module);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		line += strspn(line, " \t");
		bool from = str_starts(line, "from "), import = str_starts(line, "import ");
		if (!from && !import) {
			if (!*line)
				return false;
			continue;
		}
		const char *end = line + strcspn(line, "\n"), *p = line + (from ? 5 : 7);
		while (p < end) {
			p += strspn(p, " \t");
			if (!strncmp(p, module, n) && is_word_end(p[n]))
				return true;
			if (from)
				break;
			p = memchr(p, ',', (size_t)(end - p));
			if (!p++)
				break;
		}
	}
	return false;
}

struct scan {
	struct detected *found;
	const json_t *catalogue;
	size_t rank; /* of the best hit: catalogue order, lower wins */
};

static int scan_file(void *arg, int folder_fd, const char *path, int64_t size_bytes)
{
	struct scan *s = arg;
	CLEANUP(buf) struct buf text = BUF_INIT;
	size_t i, k;
	const json_t *f, *module;
	if (!str_ends(path, ".py") || size_bytes > SCAN_BYTES_MAX ||
	    fd_read_file(folder_fd, path, SCAN_BYTES_MAX, &text, NULL) < 0)
		return 0;
	json_array_foreach(s->catalogue, i, f)
	{
		if (i >= s->rank)
			break;
		json_array_foreach(json_object_get(f, "imports"), k, module)
		{
			if (!detect_imports(buf_str(&text), json_string_value(module)))
				continue;
			free(s->found->framework);
			free(s->found->framework_file);
			s->found->framework = mem_strdup(json_string_value(json_object_get(f, "name")));
			s->found->framework_file = mem_strdup(path);
			s->rank = i;
		}
	}
	return 0;
}

static int read_pyproject(int fd, struct detected *ret, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	CLEANUP(json) json_t *j = NULL;
	if (fd_read_file(fd, "pyproject.toml", JOBFILE_BYTES_MAX, &text, NULL) < 0)
		return 0;
	ret->is_python_package = true;
	int r = pyproject_parse(buf_str(&text), text.len, &j, err);
	if (r < 0)
		return r;
	ret->project = mem_strdup(json_string_value(json_object_get(j, "name")));
	if (!json_array_size(ret->requirements) && json_array_size(json_object_get(j, "dependencies"))) {
		json_array_extend(ret->requirements, json_object_get(j, "dependencies"));
		ret->requirements_file = "pyproject.toml";
	}
	return 0;
}

int detect_folder(const char *folder, const json_t *catalogue, struct detected *ret, struct err *err)
{
	*ret = (struct detected){.requirements = json_array()};
	CLEANUP(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(buf) struct buf text = BUF_INIT;
	if (fd < 0)
		return err_set(err, ERR_NOT_FOUND, "there is no folder '%s'", folder);
	if (fd_read_file(fd, "requirements.txt", JOBFILE_BYTES_MAX, &text, NULL) >= 0) {
		int r = requirements_parse(buf_str(&text), text.len, ret->requirements, err);
		if (r < 0)
			return r;
		ret->requirements_file = "requirements.txt";
	}
	int r = read_pyproject(fd, ret, err);
	if (r < 0)
		return r;
	if (faccessat(fd, "setup.py", R_OK, 0) == 0)
		ret->is_python_package = true;
	struct scan s = {ret, catalogue, (size_t)-1};
	return package_each_file(folder, scan_file, &s, err);
}
