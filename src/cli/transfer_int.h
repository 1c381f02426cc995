/* SPDX-License-Identifier: Apache-2.0 */
/* What only the transfers' files share: one file on its way, and its pieces. */
#ifndef CLI_TRANSFER_INT_H
#define CLI_TRANSFER_INT_H

#include <pthread.h>
#include "base/list.h"
#include "cli/transfer.h"

struct transfer;
struct piece;
/* A way of a file, on a stream's thread, with its client. */
struct transfer_ops {
	/* Also fills size, piece_bytes, pieces. */
	int (*begin)(struct transfer *f, struct client *client, struct err *err);
	int (*piece)(struct piece *p, struct client *client, struct err *err);
	/* *ret is for cli_changed; returns owned. */
	int (*finish)(struct transfer *f, struct client *client, json_t **ret, struct err *err);
};
extern const struct transfer_ops transfer_up, transfer_down, transfer_across;

/* One file, or one object that is copied in the store. Freed with its last piece. */
struct transfer {
	struct transfers *all;
	const struct transfer_ops *ops;
	char *file, *bucket, *key; /* file: what people are told; of a copy the address of its source */
	char *version;		   /* down and across: of what is read; NULL = the newest */
	int fd;
	int64_t size, piece_bytes;
	size_t pieces, left; /* left: under the lock */
	/* up, in parts */
	char *upload;
	char (*etags)[33]; /* of each piece; "" = not sent yet */
	/* down */
	char *part_file; /* where it grows */
	json_t *state;	 /* of the object */
	/* across */
	char *from_bucket, *from_key;
	bool moves, is_one_of_many;
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
	struct err refusal; /* the first of 'refused': objects that could not be copied while others go on */
	size_t refused;
	int64_t done_bytes, total_bytes, begun_ms, drawn_ms;
};

int64_t piece_offset(const struct piece *p);
int64_t piece_size(const struct piece *p);
/* Adds to what is shown; negative takes back. */
void transfers_note_bytes(struct transfers *t, int64_t by);
bool transfers_failed(struct transfers *t);

/* Runs 'call' again while it fails for a passing reason, at most four times more. */
typedef int transfer_call_fn(void *arg, struct client *client, struct err *err);
int transfer_retry(struct transfers *t, transfer_call_fn *call, void *arg, struct client *client,
		   struct err *err);

#endif
