/* SPDX-License-Identifier: Apache-2.0 */
/* Preparing a container: the bundle of the OCI runtime. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/container_int.h"
#include "local/oci_config.h"
#include "local/oci_rootfs.h"

struct cgroup_tree container_tree(const struct runtime *r)
{
	return (struct cgroup_tree){r->cgroup, CGROUP_ROOT};
}

static bool program_at(const char *folder, const char *rest, const char *name, char **ret, struct buf *looked)
{
	CLEANUP(free) char *path = mem_printf("%s%s/%s", folder, rest, name);
	if (access(path, X_OK) == 0) {
		*ret = STEAL(path);
		return true;
	}
	buf_printf(looked, "%s'%s'", looked->len ? ", " : "", path);
	return false;
}

int container_find_program(const char *name, char **ret, struct err *err)
{
	CLEANUP(buf) struct buf looked = BUF_INIT;
	CLEANUP(free) char *self = NULL;
	const char *libexec = getenv("CLOUDML_LIBEXEC");
	if (libexec && *libexec && program_at(libexec, "", name, ret, &looked))
		return 0;
	int r = path_of_program(&self, err);
	if (r < 0)
		return r;
	*strrchr(self, '/') = 0;
	if (program_at(self, "", name, ret, &looked) ||
	    program_at(self, "/../libexec/cloudml", name, ret, &looked))
		return 0;
	return err_set(err, ERR_NOT_FOUND,
		       "program '%s' is not installed; looked at %s; set CLOUDML_LIBEXEC to its folder", name,
		       buf_str(&looked));
}

/* FOLDER/bundle, empty. Returns its descriptor. */
static int bundle_make(const char *folder, struct err *err)
{
	CLEANUP(fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot open task folder '%s'", folder);
	if (mkdirat(fd, "bundle", 0755) < 0) {
		if (errno != EEXIST)
			return err_sys(err, errno, "cannot make '%s/bundle'", folder);
		int r = path_remove_tree(fd, "bundle", err);
		if (r < 0)
			return r;
		if (mkdirat(fd, "bundle", 0755) < 0)
			return err_sys(err, errno, "cannot make '%s/bundle'", folder);
	}
	fchmodat(fd, "bundle", 0755, 0);
	int bundle = openat(fd, "bundle", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return bundle < 0 ? err_sys(err, errno, "cannot open '%s/bundle'", folder) : bundle;
}

static int config_write(int bundle, const json_t *config, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write(config, &text);
	CLEANUP(fd) int fd = openat(bundle, "config.json", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, errno, "cannot make 'config.json'");
	return fd_write_all(fd, text.data, text.len, err);
}

static int check_machine(const struct container_spec *spec, struct runtime *ret, struct err *err)
{
	int r = runtime_detect(ret, err);
	if (r < 0)
		return r;
	if (spec->network == NETWORK_EGRESS && !*ret->slirp_path)
		return err_set(err, ERR_UNSUPPORTED,
			       "container '%s' wants outgoing network, but slirp4netns is not installed: "
			       "install it or ask for "
			       "network '%s'",
			       spec->name, network_word(NETWORK_NONE));
	return 0;
}

int container_prepare(const struct container_spec *spec, struct err *err)
{
	struct runtime runtime;
	struct oci_rootfs root = {0};
	CLEANUP(free) char *init = NULL;
	CLEANUP(json) json_t *config = NULL;
	CLEANUP(fd) int bundle = -1;
	int r = container_check(spec, err);
	r = r < 0 ? r : check_machine(spec, &runtime, err);
	r = r < 0 ? r : container_find_program("cloudml-init", &init, err);
	r = r < 0 ? r : (bundle = bundle_make(spec->folder, err));
	if (r < 0)
		return r;
	oci_rootfs_mounts(&root);
	config = oci_config_format(
	    spec, &(struct oci_machine){
		      .runtime = &runtime,
		      .init_path = init,
		      .mounts = root.mounts,
		      .mount_count = root.mount_count,
		      .swap_limit = runtime.cgroup == CGROUP_V2 ||
				    access(CGROUP_ROOT "/memory/memory.memsw.limit_in_bytes", F_OK) == 0});
	if (!config)
		return err_set(err, ERR_INVALID,
			       "container '%s' has text that is not UTF-8 in its environment or mounts",
			       spec->name);
	r = config_write(bundle, config, err);
	return r < 0 ? err_wrap(err, "preparing container '%s'", spec->name) : 0;
}
