/* SPDX-License-Identifier: Apache-2.0 */
/* The root of a container: skeleton in the bundle, parts of the host that are bound over it. */
#ifndef LOCAL_OCI_ROOTFS_H
#define LOCAL_OCI_ROOTFS_H

#include "base/buf.h"
#include "local/container.h"

#define OCI_ROOTFS_MOUNTS_MAX 16

struct oci_rootfs {
	struct container_mount mounts[OCI_ROOTFS_MOUNTS_MAX]; /* of the host, read-only */
	size_t mount_count;
};
/* Makes "rootfs" in the folder bundle_fd, which must not have it yet. */
int oci_rootfs_make(const struct container_spec *spec, int bundle_fd, const struct buf *plan,
		    struct oci_rootfs *ret, struct err *err);

#endif
