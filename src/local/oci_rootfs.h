/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root of a container: a skeleton of folders, links and small files, and the parts of the host that are
 * bound over it. The skeleton is a list in memory; it is made real on a tmpfs in the private mount namespace
 * of the runtime, so that nothing of it is ever left behind and no disk is touched.
 */
#ifndef LOCAL_OCI_ROOTFS_H
#define LOCAL_OCI_ROOTFS_H

#include "base/buf.h"
#include "local/container.h"

#define OCI_ROOTFS_MOUNTS_MAX 16

enum oci_entry_kind { OCI_FOLDER, OCI_FILE, OCI_LINK };
struct oci_entry {
	enum oci_entry_kind kind;
	size_t path_at, data_at; /* in 'bytes', both with a NUL behind them */
	size_t len;
	mode_t mode;
};
struct oci_rootfs {
	struct container_mount mounts[OCI_ROOTFS_MOUNTS_MAX]; /* of the host, read-only */
	size_t mount_count;
	struct oci_entry *entries; /* in order of making */
	size_t entry_count;
	struct buf bytes;
};
/* Only the mounts. */
void oci_rootfs_mounts(struct oci_rootfs *ret);
/* Mounts and skeleton, into a zeroed *ret; oci_rootfs_done in any case. */
int oci_rootfs_build(const struct container_spec *spec, const struct buf *plan, struct oci_rootfs *ret,
		     struct err *err);
/* Makes the skeleton in an empty folder. Only system calls: may be used between fork and exec of a program
 * with threads; changes the working folder to "/". Returns 0 or -errno. */
int oci_rootfs_apply(const struct oci_rootfs *root, const char *folder);
void oci_rootfs_done(struct oci_rootfs *root);
static inline void cleanup_oci_rootfs(struct oci_rootfs *root)
{
	oci_rootfs_done(root);
}

#endif
