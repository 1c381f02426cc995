/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks an archive that a stranger made. Runs inside the sandbox, as the job's user; still believes
 * nothing.
 *
 * Formats: tar (plain, gzip, bzip2, xz, zstd) and zip. Every path is checked and opened beneath the folder
 * without following links. Links must point inside. Owners, set-id bits, ACLs and devices are not restored.
 */
#ifndef LOCAL_UNPACK_H
#define LOCAL_UNPACK_H

#include <stdint.h>
#include "base/err.h"

struct unpack_limits {
	int64_t entries;
	int64_t bytes;		  /* of all files together */
	int64_t ratio;		  /* bytes out for each byte of the archive … */
	int64_t ratio_free_bytes; /* … when more than this came out */
};
extern const struct unpack_limits unpack_limits_default;

struct unpack_stats {
	int64_t entries, bytes;
};

/* Borrows both descriptors; archive_fd is read from its present position to its end. On failure what was
 * unpacked so far stays. ERR_INVALID (not an archive, damaged, hostile), ERR_TOO_LARGE (limits), ERR_IO,
 * ERR_DISK_FULL. */
int unpack_archive(int archive_fd, int folder_fd, const struct unpack_limits *limits,
		   struct unpack_stats *ret, struct err *err);

#endif
