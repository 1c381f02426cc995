/* SPDX-License-Identifier: Apache-2.0 */
/* What of a machine is fit for containers, for `cloudml doctor`. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <linux/seccomp.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/unit.h"
#include "local/container_int.h"
#include "local/env_key.h"
#include "local/local.h"

#define DISK_WANTED_BYTES (5LL << 30)
#define MEMORY_WANTED_BYTES (2LL << 30)

__attribute__((format(printf, 5, 6))) static void add(json_t *list, const char *check, bool ok,
						      const char *hint, const char *fmt, ...)
{
	CLEANUP(buf) struct buf detail = BUF_INIT;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&detail, fmt, ap);
	va_end(ap);
	json_array_append_new(list, json_pack("{s:s, s:b, s:s, s:s}", "check", check, "ok", ok, "detail",
					      buf_str(&detail), "hint", ok ? "" : hint));
}

static void check_root(json_t *list)
{
	bool root = geteuid() == 0;
	add(list, "root", root, "run the server as root: limits of memory, processor and processes need it",
	    root ? "running as root" : "running as user %u", (unsigned)geteuid());
}

static void check_runtime(json_t *list)
{
	struct runtime r, other = {0};
	struct err err = ERR_INIT;
	static const char *const names[] = {"crun", "runc"};
	CLEANUP(buf) struct buf found = BUF_INIT;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!runtime_find_program(names[i], other.path, sizeof(other.path)))
			continue;
		bool works = runtime_version(&other, NULL) >= 0;
		buf_printf(&found, "%s%s %s", found.len ? ", " : "", other.path,
			   works ? other.version : "(does not run)");
	}
	if (runtime_detect(&r, &err) < 0)
		add(list, "runtime", false, "install package crun (or runc)", "%s; found: %s", err.msg,
		    found.len ? buf_str(&found) : "none");
	else
		add(list, "runtime", true, "", "uses %s: %s%s; found: %s", r.name, r.why,
		    r.hide_unified ? " (started without the version 2 tree, which it refuses in hybrid mode)"
				   : "",
		    buf_str(&found));
}

static void check_init(json_t *list)
{
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = NULL;
	int r = container_find_program("cloudml-init", &path, &err);
	add(list, "cloudml-init", r >= 0, "install it beside the program or set CLOUDML_LIBEXEC", "%s",
	    r >= 0 ? path : err.msg);
}

static void check_cgroup(json_t *list)
{
	char missing[64];
	struct cgroup_tree tree = {cgroup_mode_detect(CGROUP_ROOT), CGROUP_ROOT};
	cgroup_missing(&tree, missing, sizeof(missing));
	add(list, "cgroup", tree.mode != CGROUP_NONE, "mount control groups at " CGROUP_ROOT, "mode %s",
	    cgroup_mode_word(tree.mode));
	add(list, "cgroup-controllers", !*missing,
	    "enable them on the kernel's command line or in the outer container",
	    *missing ? "missing: %s" : "cpu, memory, pids", missing);
	bool writable = access(tree.mode == CGROUP_V2 ? CGROUP_ROOT : CGROUP_ROOT "/memory", W_OK) == 0;
	add(list, "cgroup-writable", writable, "run as root with " CGROUP_ROOT " mounted for writing",
	    writable ? "groups can be made" : "groups cannot be made");
}

static void read_line(const char *path, char *ret, size_t cap)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	fd_read_file(AT_FDCWD, path, 4096, &text, NULL);
	snprintf(ret, cap, "%s", buf_str(&text));
	ret[strcspn(ret, "\n")] = 0;
}

static void check_kernel(json_t *list)
{
	char users[64];
	struct utsname u;
	uname(&u);
	add(list, "kernel", true, "", "%s %s %s", u.sysname, u.release, u.machine);
	read_line("/proc/sys/user/max_user_namespaces", users, sizeof(users));
	add(list, "user-namespaces", *users && strcmp(users, "0") != 0,
	    "set sysctl user.max_user_namespaces above 0", "at most %s",
	    *users ? users : "none: the kernel has no user namespaces");
	/* 0 or 1: the kernel knows filters; EINVAL: it does not. */
	bool filter = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0 &&
		      access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0;
	add(list, "seccomp", filter, "use a kernel with CONFIG_SECCOMP_FILTER",
	    filter ? "filters work" : "no filters");
}

static void check_network(json_t *list)
{
	char slirp[256];
	bool there = runtime_find_program("slirp4netns", slirp, sizeof(slirp));
	bool tun = access("/dev/net/tun", R_OK | W_OK) == 0;
	add(list, "slirp4netns", there, "install package slirp4netns, else tasks have no outgoing network",
	    "%s", there ? slirp : "not installed");
	add(list, "tun", tun, "load module tun (modprobe tun), else tasks have no outgoing network",
	    tun ? "/dev/net/tun can be opened" : "/dev/net/tun cannot be opened: %s", strerror(errno));
}

/* What tasks find in the container is the system's, not what our own PATH says. */
static void check_python(json_t *list)
{
	char python[256];
	bool has_python = runtime_find_program("python3", python, sizeof(python));
	add(list, "python3", has_python, "install package python3 (with python3-venv)", "%s",
	    has_python ? python : "not in the system's folders");
	struct err err = ERR_INIT;
	CLEANUP(free) char *uv = NULL;
	bool has_uv = env_find_uv(&uv, &err) >= 0;
	add(list, "uv", has_uv, "install uv: environments are made with it", "%s", has_uv ? uv : err.msg);
}

static void check_size(json_t *list, const char *data_folder)
{
	char bytes[32], all[32];
	struct statvfs disk;
	struct sysinfo memory;
	if (statvfs(data_folder, &disk) < 0) {
		add(list, "disk", false, "make the folder or choose another with --data",
		    "cannot look at '%s': %s", data_folder, strerror(errno));
	} else {
		int64_t available = (int64_t)disk.f_bavail * (int64_t)disk.f_frsize;
		unit_format_bytes(available, bytes);
		add(list, "disk", available >= DISK_WANTED_BYTES,
		    "make room: environments and outputs need 5 GiB and more", "%s free in '%s'", bytes,
		    data_folder);
	}
	sysinfo(&memory);
	int64_t total = (int64_t)memory.totalram * memory.mem_unit;
	unit_format_bytes(total, all);
	add(list, "memory", total >= MEMORY_WANTED_BYTES, "2 GiB is the least for a task of the default size",
	    "%s", all);
	add(list, "cores", true, "", "%ld", sysconf(_SC_NPROCESSORS_ONLN));
}

int local_doctor(const char *data_folder, json_t **ret, struct err *err)
{
	json_t *list = json_array();
	check_kernel(list);
	check_root(list);
	check_runtime(list);
	check_init(list);
	check_cgroup(list);
	check_network(list);
	check_python(list);
	check_size(list, data_folder);
	*ret = list;
	return 0;
}
