/* SPDX-License-Identifier: Apache-2.0 */
/* What only the transfers' files share: one file on its way, and its pieces. */
#ifndef CLI_TRANSFER_INT_H
#define CLI_TRANSFER_INT_H

#include <pthread.h>
#include "base/list.h"
#include "cli/transfer.h"

/* One file. Freed with its last piece. */
struct transfer {
	struct transfers *all;
	char *file, *bucket, *key;
	bool is_up;
	int fd;
	int64_t size, piece_bytes;
	size_t pieces, left; /* left: under the lock */
	/* up, in parts */
	char *upload;
	char (*etags)[33]; /* of each piece; "" = not sent yet */
	/* down */
	char *part_file; /* where it grows */
	json_t *state;	 /* of the object */
};
struct piece {
	struct list node;
	struct transfer *of;
	size_t number; /* from 0 */
};
struct transfers {
	struct cli *cli;
	bool keep_times;
	pthread_t threads[TRANSFER_STREAMS];
	size_t thread_count;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t work, room;
	struct list queue;
	size_t queued, busy;
	bool ending, drawn;
	struct err err;
	int64_t done_bytes, total_bytes, begun_ms, drawn_ms;
};

int64_t piece_offset(const struct piece *p);
int64_t piece_size(const struct piece *p);
/* Adds to what is shown; negative takes back. */
void transfers_note_bytes(struct transfers *t, int64_t by);
bool transfers_failed(struct transfers *t);

/* transfer_up.c, transfer_down.c: on a stream's thread, with its client. begin also fills 'pieces'. */
int upload_begin_parts(struct transfer *f, struct client *client, struct err *err);
int upload_piece(struct piece *p, struct client *client, struct err *err);
int upload_finish(struct transfer *f, struct client *client, json_t **ret, struct err *err);
int download_begin(struct transfer *f, struct client *client, struct err *err);
int download_piece(struct piece *p, struct client *client, struct err *err);
int download_finish(struct transfer *f, struct client *client, json_t **ret, struct err *err);
/* Runs 'call' again while it fails for a passing reason, at most four times more. */
typedef int transfer_call_fn(void *arg, struct client *client, struct err *err);
int transfer_retry(struct transfers *t, transfer_call_fn *call, void *arg, struct client *client,
		   struct err *err);

#endif
