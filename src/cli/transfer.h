/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many files to and from the store at the same time, large ones in pieces.
 *
 * A thread for each stream, with a connection of its own, takes pieces: a whole small file, a part of an
 * upload, or a range of a download. What fails for a passing reason is tried again. An upload in parts that
 * was interrupted is found again by its key, and the parts that it has are not sent twice when their MD5 is
 * that of the file's; a download appears under its name when its content has the hash that the store knows.
 */
#ifndef CLI_TRANSFER_H
#define CLI_TRANSFER_H

#include "cli/store.h"

#define TRANSFER_STREAMS 4
#define TRANSFER_LARGE_BYTES (32 << 20) /* from here on in pieces */
#define TRANSFER_PIECE_BYTES (16 << 20) /* or more, so that 10000 are enough */

struct transfers;
/* keep_times: a downloaded file gets the time of its object. Keeps c. Returns owned. */
struct transfers *transfers_new(struct cli *c, bool keep_times);
/* Waits while many pieces are queued already. Negative: an earlier one failed, which transfers_end tells. */
int transfers_up(struct transfers *t, const char *file, const char *bucket, const char *key, struct err *err);
/* version: NULL = the newest. */
int transfers_down(struct transfers *t, const char *bucket, const char *key, const char *version,
		   const char *file, struct err *err);
/* Copied by the server; no byte comes here. What ails one of many leaves the others alone. */
struct transfer_source {
	const char *bucket, *key, *version; /* version NULL = the newest */
	int64_t size;			    /* 0 = not known */
	bool moves;			    /* what was copied goes */
	bool is_one_of_many;
};
int transfers_across(struct transfers *t, const struct transfer_source *from, const char *bucket,
		     const char *key, struct err *err);
/* Waits for all, frees. The first error, or 'r' and *err when that is one already: what is queued is then
 * dropped. */
int transfers_end(struct transfers *t, int r, struct err *err);

#endif
