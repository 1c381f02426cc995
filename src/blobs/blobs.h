/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in object store: core/blob.h on a log of segments below DATA/objects (docs/formats/objects.md).
 *
 * Ideas. (1) The log is the truth: every change is one record in an append-only segment; small objects lie in
 * the record itself, large ones in a data file of their own that the record names. (2) One thread commits:
 * changes that arrive while a commit is under way share the next one, which is one write and one fdatasync.
 * (3) The index (SQLite, without a sync of its own) says where the newest record of everything is; it holds
 * the position in the log up to which it is right, is brought up to date from there at the start, and can be
 * made anew from the log. (4) Every byte is under a CRC-32C that is checked before it is handed out.
 *
 * Invariants: what a reader can open is whole; acknowledged means synced; a record is never changed; only the
 * committing thread writes the log and the index; a segment goes only after its living records were written
 * again and the index is synced.
 *
 * Must never call: anything above core. To add a call: core/blob.h first, then a file here named by the
 * call's noun; a new kind of change is a row in the table of blobs_change.c.
 */
#ifndef BLOBS_BLOBS_H
#define BLOBS_BLOBS_H

#include "core/blob.h"

#define BLOBS_OBJECT_MAX_BYTES (5LL << 40)
#define BLOBS_PART_MIN_BYTES (5LL << 20) /* of all parts of an upload but the last */

/* Opens or makes data_folder/objects. Borrows data_folder. Reads the log's tail, removes what interrupted
 * uploads have left, takes over a store of format 1. *ret is owned by the caller: ret->ops->close(ret).
 * ERR_CONFLICT when another server uses the folder, ERR_UNSUPPORTED for another format, ERR_CORRUPT,
 * ERR_IO, ERR_DISK_FULL. */
int blobs_open(const char *data_folder, struct blob_store **ret, struct err *err);

/* The store's 'check'; for tests and tools. */
int blobs_check(struct blob_store *s, const struct blob_check_watch *watch, struct blob_check *ret,
		struct err *err);
/* Rewrites sealed segments of which less than 'live_percent' is alive; returns how many went. The store does
 * it by itself below 50; for tests and tools. Blocks. */
int blobs_compact(struct blob_store *s, int live_percent, struct err *err);
/* A segment that is longer is followed by a new one; for tests. Before the first change. */
void blobs_segment_bytes(struct blob_store *s, uint64_t bytes);

#endif
