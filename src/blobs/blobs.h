/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in object store: core/blob.h on plain files below DATA/objects.
 *
 * Ideas: an object is one file with a header, made visible by one rename and acknowledged after the folders
 * are synced (docs/formats/objects.md); the tree of folders is the index, read in the order of keys; a
 * bucket's owner is a small file of its own. Invariants: what a reader can open is whole; a bucket's owner
 * never changes; paths from outside are checked by core/uri.h and opened by base/path.h only.
 *
 * Must never call: anything above core. To add a call: core/blob.h first, then a file here named by the
 * call's noun.
 */
#ifndef BLOBS_BLOBS_H
#define BLOBS_BLOBS_H

#include "core/blob.h"

#define BLOBS_OBJECT_MAX_BYTES (5LL << 40)

/* Opens or makes data_folder/objects. Borrows data_folder. Removes what interrupted uploads have left. *ret
 * is owned by the caller: ret->ops->close(ret). ERR_CONFLICT when another server uses the folder,
 * ERR_UNSUPPORTED for another format, ERR_IO, ERR_DISK_FULL. Listing order, paging: with a delimiter an
 * entry, common prefixes included, is given when it is greater than 'after', so that the last entry of a page
 * is the 'after' of the next one. */
int blobs_open(const char *data_folder, struct blob_store **ret, struct err *err);

#endif
