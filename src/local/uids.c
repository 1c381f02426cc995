/* SPDX-License-Identifier: Apache-2.0 */
/* Which host user ids the containers of an organisation have. */
#include "local/uids.h"

#include <fcntl.h>
#include <stdlib.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"

struct uids {
	char *path;
	json_t *orgs; /* name → number */
};

int uids_open(const char *data_folder, struct uids **ret, struct err *err)
{
	CLEANUP(free) char *path = mem_printf("%s/uids.json", data_folder);
	CLEANUP(json) json_t *file = NULL;
	int r = path_make_absolute_dirs(data_folder, 0755, err);
	if (r == 0)
		r = json_read_file(AT_FDCWD, path, 16 << 20, &file, err);
	if (r == -ERR_NOT_FOUND)
		file = json_pack("{s:{}}", "orgs");
	else if (r < 0)
		return err_wrap(err, "reading the registry of user ids");
	json_t *orgs = json_object_get(file, "orgs");
	if (!json_is_object(orgs))
		return err_set(err, ERR_CORRUPT, "'%s' has no object 'orgs'; restore it from a backup", path);
	struct uids *u = MEM_NEW(struct uids);
	u->path = STEAL(path);
	u->orgs = json_incref(orgs);
	*ret = u;
	return 0;
}

static int record(struct uids *u, const char *org, int64_t number, struct err *err)
{
	json_object_set_new(u->orgs, org, json_integer(number));
	CLEANUP(json) json_t *file = json_pack("{s:O}", "orgs", u->orgs);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write_pretty(file, &text);
	int r = fd_write_file(AT_FDCWD, u->path, text.data, text.len, 0644, err);
	if (r < 0)
		json_object_del(u->orgs, org);
	return r;
}

int uids_get(struct uids *u, const char *org, int64_t *ret, struct err *err)
{
	const json_t *known = json_object_get(u->orgs, org);
	int64_t number = json_integer_value(known);
	if (!known) {
		const char *name;
		json_t *value;
		number = *org ? 1 : 0; /* 0 is the builder's */
		json_object_foreach(u->orgs, name, value) if (*org && json_integer_value(value) >= number)
		    number = json_integer_value(value) + 1;
		int r =
		    number < UIDS_ORGS_MAX
			? record(u, org, number, err)
			: err_set(err, ERR_LIMIT, "more than %d organisations on one machine", UIDS_ORGS_MAX);
		if (r < 0)
			return r;
	}
	*ret = UIDS_FIRST + number * 65536;
	return 0;
}

void uids_close(struct uids *u)
{
	if (!u)
		return;
	json_decref(u->orgs);
	free(u->path);
	free(u);
}
