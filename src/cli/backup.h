/* SPDX-License-Identifier: Apache-2.0 */
/* Backups: one tar file of a data folder, with the digest of every file in it (docs/formats/backup.md). */
#ifndef CLI_BACKUP_H
#define CLI_BACKUP_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "base/err.h"

#define BACKUP_FORMAT 1
#define BACKUP_HEAD "backup.json"
#define BACKUP_METADATA "meta.db"
#define BACKUP_MANIFEST "manifest"
#define BACKUP_HEAD_BYTES_MAX 65536
#define BACKUP_CHUNK 262144
#define BACKUP_DEPTH_MAX 600 /* folders within folders: a key has at most 512 segments */

struct backup_sum {
	int64_t files, bytes;
	bool is_read; /* all of it: nothing of the data folder is looked at any more */
};
/* Called at least after each chunk and each file, and in the end. May be NULL. A negative error gives up. */
typedef int backup_progress_fn(void *arg, const struct backup_sum *sum, struct err *err);

/* How much of the log of objects is copied: whole segments before this one, and of it the first bytes. */
struct backup_cut {
	uint32_t segment; /* 0 = all there is */
	int64_t end;
};

/* Writes 'file', which must not exist, so that it is there whole and synced or not at all. head: what
 * backup.json says. metadata: path of the copy of the metadata, NULL = none. cut: ERR_CORRUPT when there is
 * less of the log. ERR_EXISTS, ERR_DISK_FULL,
 * ERR_IO. */
int backup_write(const char *file, const char *data_folder, const json_t *head, const char *metadata,
		 const struct backup_cut *cut, backup_progress_fn *progress, void *arg,
		 struct backup_sum *ret, struct err *err);

/* Makes 'folder', which must be absent or empty, from a backup; it appears whole, checked and synced, or not
 * at all. *ret_head is owned. ERR_EXISTS when something is in the folder, ERR_CORRUPT, ERR_UNSUPPORTED. */
int backup_restore(const char *file, const char *folder, backup_progress_fn *progress, void *arg,
		   json_t **ret_head, struct backup_sum *ret, struct err *err);

/* One line of the manifest: digest, size, path (percent-encoded). */
void backup_line(const char *digest_hex, int64_t size, const char *path, char **ret);

#endif
