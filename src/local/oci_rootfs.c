/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of a container: a skeleton of mount points and generated files in the bundle, and the list of what
 * is bound from the host's userland. Nothing of /root, /home, /var, /opt, /srv and of /etc only what programs
 * need.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/container_int.h"
#include "local/netns.h"
#include "local/oci_rootfs.h"

#define COPY_BYTES_MAX (4 * 1024 * 1024)

/* Folders of the first level: a link on the host is the same link here, a real folder is bound. */
static const char *const userland[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
/* Bound when they are there. */
static const char *const etc_bound[] = {"/etc/ssl/certs", "/etc/ca-certificates", "/etc/alternatives",
					"/etc/fonts", "/etc/ld.so.conf.d"};
/* Copied when they are there: a small file costs less than a mount. */
static const char *const etc_copied[] = {
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ssl/openssl.cnf", "/etc/ca-certificates.conf",
    "/etc/localtime",	"/etc/timezone",   "/etc/mime.types",	   "/etc/magic",
    "/etc/protocols",	"/etc/services",   "/etc/debian_version",  "/etc/os-release"};

struct skeleton {
	int fd; /* rootfs */
	struct oci_rootfs *root;
	struct err *err;
	int r; /* first failure sticks */
};

static void add_folder(struct skeleton *s, const char *path, mode_t mode)
{
	if (s->r < 0)
		return;
	/* The process's umask must not hide the skeleton from the container's root. */
	if (mkdirat(s->fd, path, mode) == 0)
		fchmodat(s->fd, path, mode, 0);
	else if (errno != EEXIST)
		s->r = err_sys(s->err, errno, "cannot make '%s' in the container's root", path);
}

/* Every folder of 'path' up to its last '/'; the last part too when it is a folder itself. */
static void add_folders(struct skeleton *s, const char *path, bool last)
{
	char part[PATH_MAX];
	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		add_folder(s, part, 0755);
		*slash = '/';
	}
	if (last)
		add_folder(s, part, 0755);
}

static void add_file(struct skeleton *s, const char *path, const void *data, size_t len)
{
	if (s->r < 0)
		return;
	CLEANUP(fd) int fd = openat(s->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0) {
		s->r = err_sys(s->err, errno, "cannot make '%s' in the container's root", path);
		return;
	}
	fchmod(fd, 0644);
	s->r = len ? fd_write_all(fd, data, len, s->err) : 0;
}

__attribute__((format(printf, 3, 4))) static void add_text(struct skeleton *s, const char *path,
							   const char *fmt, ...)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	add_file(s, path, buf_str(&text), text.len);
}

/* A mount point for 'source' at 'target'. What lies below a tmpfs is made there by the runtime. */
static void add_mount_point(struct skeleton *s, const char *source, const char *target)
{
	struct stat st;
	if (s->r < 0 || strncmp(target, "/tmp/", 5) == 0 || strncmp(target, "/dev/", 5) == 0)
		return;
	if (stat(source, &st) < 0) {
		s->r = err_sys(s->err, errno, "cannot mount '%s' on '%s'", source, target);
		return;
	}
	add_folders(s, target + 1, S_ISDIR(st.st_mode));
	if (!S_ISDIR(st.st_mode))
		add_file(s, target + 1, NULL, 0);
}

static void add_host_mount(struct skeleton *s, const char *path)
{
	struct oci_rootfs *root = s->root;
	if (s->r < 0 || root->mount_count == OCI_ROOTFS_MOUNTS_MAX)
		return;
	add_mount_point(s, path, path);
	root->mounts[root->mount_count++] = (struct container_mount){path, path, false};
}

static void add_link(struct skeleton *s, const char *to, const char *path)
{
	if (s->r >= 0 && symlinkat(to, s->fd, path) < 0 && errno != EEXIST)
		s->r = err_sys(s->err, errno, "cannot link '%s' in the container's root", path);
}

static void add_userland(struct skeleton *s)
{
	for (size_t i = 0; i < ARRAY_LEN(userland); i++) {
		char link[256];
		struct stat st;
		if (lstat(userland[i], &st) < 0)
			continue;
		ssize_t n = S_ISLNK(st.st_mode) ? readlink(userland[i], link, sizeof(link) - 1) : -1;
		if (n < 0) {
			add_host_mount(s, userland[i]);
			continue;
		}
		link[n] = 0;
		if (s->r >= 0 && symlinkat(link, s->fd, userland[i] + 1) < 0 && errno != EEXIST)
			s->r =
			    err_sys(s->err, errno, "cannot link '%s' in the container's root", userland[i]);
	}
}

static void add_etc_host(struct skeleton *s)
{
	CLEANUP(buf) struct buf data = BUF_INIT;
	for (size_t i = 0; i < ARRAY_LEN(etc_bound); i++)
		if (access(etc_bound[i], F_OK) == 0)
			add_host_mount(s, etc_bound[i]);
	for (size_t i = 0; i < ARRAY_LEN(etc_copied); i++) {
		buf_clear(&data);
		if (fd_read_file(AT_FDCWD, etc_copied[i], COPY_BYTES_MAX, &data, NULL) < 0)
			continue;
		add_folders(s, etc_copied[i] + 1, false);
		add_file(s, etc_copied[i] + 1, buf_str(&data), data.len);
	}
}

static void add_etc_made(struct skeleton *s, const struct container_spec *spec)
{
	CLEANUP(buf) struct buf resolv = BUF_INIT;
	char host[64];
	snprintf(host, sizeof(host), "%.63s", spec->hostname ? spec->hostname : spec->name);
	add_text(s, "etc/passwd",
		 "root:x:0:0:root:/:/usr/sbin/nologin\ncloudml:x:%d:%d:cloudml:/work:/bin/sh\n"
		 "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		 CONTAINER_UID, CONTAINER_UID);
	add_text(s, "etc/group", "root:x:0:\ntty:x:5:\ncloudml:x:%d:\nnogroup:x:65534:\n", CONTAINER_UID);
	add_text(s, "etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n127.0.1.1\t%s\n", host);
	add_text(s, "etc/hostname", "%s\n", host);
	add_text(s, "etc/nsswitch.conf",
		 "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n");
	add_text(s, "etc/host.conf", "multi on\n");
	netns_resolv_conf("/etc/resolv.conf", spec->network, &resolv);
	add_file(s, "etc/resolv.conf", buf_str(&resolv), resolv.len);
}

int oci_rootfs_make(const struct container_spec *spec, int bundle_fd, const struct buf *plan,
		    struct oci_rootfs *ret, struct err *err)
{
	static const char *const folders[] = {"proc", "dev", "etc", "run", "var", CONTAINER_TOOLS + 1};
	CLEANUP(fd) int fd = -1;
	ret->mount_count = 0;
	if (mkdirat(bundle_fd, "rootfs", 0755) < 0)
		return err_sys(err, errno, "cannot make the container's root");
	fchmodat(bundle_fd, "rootfs", 0755, 0);
	fd = openat(bundle_fd, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(err, errno, "cannot open the container's root");
	struct skeleton s = {fd, ret, err, 0};
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		add_folder(&s, folders[i], 0755);
	/* runc gives a tmpfs the mode of the folder below it. */
	add_folder(&s, "tmp", 01777);
	add_userland(&s);
	add_link(&s, "../tmp", "var/tmp");
	add_etc_host(&s);
	add_etc_made(&s, spec);
	add_file(&s, CONTAINER_TOOLS "/plan" + 1, plan->data, plan->len);
	add_file(&s, CONTAINER_TOOLS "/init" + 1, NULL, 0);
	for (size_t i = 0; i < spec->mount_count; i++)
		add_mount_point(&s, spec->mounts[i].source, spec->mounts[i].target);
	return s.r;
}
