/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of a container: a skeleton of mount points and generated files in the bundle, and the list of what
 * is bound from the host's userland. Nothing of /root, /home, /var, /opt, /srv and of /etc only what programs
 * need.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

static void add_entry(struct oci_rootfs *root, enum oci_entry_kind kind, const char *path, const void *data,
		      size_t len, mode_t mode)
{
	root->entries = mem_realloc(root->entries, (root->entry_count + 1) * sizeof(*root->entries));
	root->entries[root->entry_count++] = (struct oci_entry){.kind = kind,
								.path_at = root->bytes.len,
								.data_at = root->bytes.len + strlen(path) + 1,
								.len = len,
								.mode = mode};
	buf_add(&root->bytes, path, strlen(path) + 1);
	buf_add(&root->bytes, data ? data : "", len);
	buf_addc(&root->bytes, 0);
}

static void add_folder(struct oci_rootfs *root, const char *path, mode_t mode)
{
	add_entry(root, OCI_FOLDER, path, NULL, 0, mode);
}

static void add_file(struct oci_rootfs *root, const char *path, const void *data, size_t len)
{
	add_entry(root, OCI_FILE, path, data, len, 0644);
}

static void add_link(struct oci_rootfs *root, const char *to, const char *path)
{
	add_entry(root, OCI_LINK, path, to, strlen(to), 0);
}

/* Every folder of 'path' up to its last '/'; the last part too when it is a folder itself. */
static void add_folders(struct oci_rootfs *root, const char *path, bool last)
{
	char part[PATH_MAX];
	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		add_folder(root, part, 0755);
		*slash = '/';
	}
	if (last)
		add_folder(root, part, 0755);
}

__attribute__((format(printf, 3, 4))) static void add_text(struct oci_rootfs *root, const char *path,
							   const char *fmt, ...)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	add_file(root, path, buf_str(&text), text.len);
}

/* A mount point for 'source' at 'target'. What lies below a tmpfs is made there by the runtime. */
static int add_mount_point(struct oci_rootfs *root, const char *source, const char *target, struct err *err)
{
	struct stat st;
	if (strncmp(target, "/tmp/", 5) == 0 || strncmp(target, "/dev/", 5) == 0)
		return 0;
	if (stat(source, &st) < 0)
		return err_sys(err, errno, "cannot mount '%s' on '%s'", source, target);
	add_folders(root, target + 1, S_ISDIR(st.st_mode));
	if (!S_ISDIR(st.st_mode))
		add_file(root, target + 1, NULL, 0);
	return 0;
}

/* True when 'path' is a link on the host; then *ret_to says where to. */
static bool is_link(const char *path, char *ret_to, size_t cap)
{
	ssize_t n = readlink(path, ret_to, cap - 1);
	ret_to[n > 0 ? n : 0] = 0;
	return n > 0;
}

static void add_host_mount(struct oci_rootfs *root, const char *path)
{
	if (root->mount_count < OCI_ROOTFS_MOUNTS_MAX && access(path, F_OK) == 0)
		root->mounts[root->mount_count++] = (struct container_mount){path, path, false};
}

void oci_rootfs_mounts(struct oci_rootfs *ret)
{
	char to[256];
	for (size_t i = 0; i < ARRAY_LEN(userland); i++)
		if (!is_link(userland[i], to, sizeof(to)))
			add_host_mount(ret, userland[i]);
	for (size_t i = 0; i < ARRAY_LEN(etc_bound); i++)
		add_host_mount(ret, etc_bound[i]);
}

static void add_userland(struct oci_rootfs *root)
{
	char to[256];
	for (size_t i = 0; i < ARRAY_LEN(userland); i++)
		if (is_link(userland[i], to, sizeof(to)))
			add_link(root, to, userland[i] + 1);
}

static void add_etc_copied(struct oci_rootfs *root)
{
	CLEANUP(buf) struct buf data = BUF_INIT;
	for (size_t i = 0; i < ARRAY_LEN(etc_copied); i++) {
		buf_clear(&data);
		if (fd_read_file(AT_FDCWD, etc_copied[i], COPY_BYTES_MAX, &data, NULL) < 0)
			continue;
		add_folders(root, etc_copied[i] + 1, false);
		add_file(root, etc_copied[i] + 1, buf_str(&data), data.len);
	}
}

static void add_etc_made(struct oci_rootfs *root, const struct container_spec *spec)
{
	CLEANUP(buf) struct buf resolv = BUF_INIT;
	char host[64];
	snprintf(host, sizeof(host), "%.63s", spec->hostname ? spec->hostname : spec->name);
	add_text(root, "etc/passwd",
		 "root:x:0:0:root:/:/usr/sbin/nologin\ncloudml:x:%d:%d:cloudml:/work:/bin/sh\n"
		 "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
		 CONTAINER_UID, CONTAINER_UID);
	add_text(root, "etc/group", "root:x:0:\ntty:x:5:\ncloudml:x:%d:\nnogroup:x:65534:\n", CONTAINER_UID);
	add_text(root, "etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n127.0.1.1\t%s\n",
		 host);
	add_text(root, "etc/hostname", "%s\n", host);
	add_text(root, "etc/nsswitch.conf",
		 "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n");
	add_text(root, "etc/host.conf", "multi on\n");
	netns_resolv_conf("/etc/resolv.conf", spec->network, &resolv);
	add_file(root, "etc/resolv.conf", buf_str(&resolv), resolv.len);
}

int oci_rootfs_build(const struct container_spec *spec, const struct buf *plan, struct oci_rootfs *ret,
		     struct err *err)
{
	static const char *const folders[] = {"proc", "dev", "etc", "run", "var", CONTAINER_TOOLS + 1};
	int r = 0;
	oci_rootfs_mounts(ret);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		add_folder(ret, folders[i], 0755);
	/* runc gives a tmpfs the mode of the folder below it. */
	add_folder(ret, "tmp", 01777);
	add_link(ret, "../tmp", "var/tmp");
	add_userland(ret);
	add_etc_copied(ret);
	add_etc_made(ret, spec);
	add_file(ret, CONTAINER_TOOLS "/plan" + 1, plan->data, plan->len);
	add_file(ret, CONTAINER_TOOLS "/init" + 1, NULL, 0);
	for (size_t i = 0; i < ret->mount_count && r >= 0; i++)
		r = add_mount_point(ret, ret->mounts[i].source, ret->mounts[i].target, err);
	for (size_t i = 0; i < spec->mount_count && r >= 0; i++)
		r = add_mount_point(ret, spec->mounts[i].source, spec->mounts[i].target, err);
	return r;
}

static int write_file(const char *path, const char *data, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode), r = 0;
	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < len && r == 0;) {
		ssize_t n = write(fd, data + done, len - done);
		if (n < 0 && errno != EINTR)
			r = -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	return r;
}

int oci_rootfs_apply(const struct oci_rootfs *root, const char *folder)
{
	mode_t before = umask(0);
	int r = chdir(folder) < 0 ? -errno : 0;
	for (size_t i = 0; i < root->entry_count && r == 0; i++) {
		const struct oci_entry *e = &root->entries[i];
		const char *path = root->bytes.data + e->path_at, *data = root->bytes.data + e->data_at;
		if (e->kind == OCI_FOLDER)
			r = mkdir(path, e->mode) < 0 && errno != EEXIST ? -errno : 0;
		else if (e->kind == OCI_LINK)
			r = symlink(data, path) < 0 && errno != EEXIST ? -errno : 0;
		else
			r = write_file(path, data, e->len, e->mode);
	}
	umask(before);
	return r == 0 && chdir("/") < 0 ? -errno : r;
}

void oci_rootfs_done(struct oci_rootfs *root)
{
	free(root->entries);
	buf_done(&root->bytes);
	*root = (struct oci_rootfs){0};
}
