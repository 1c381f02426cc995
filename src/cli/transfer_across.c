/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that the server copies: one call each. */
#include <stdlib.h>
#include "cli/transfer_int.h"

static int across_begin(struct transfer *f, struct client *client, struct err *err)
{
	(void)client;
	(void)err;
	f->piece_bytes = f->size + 1;
	f->pieces = 1;
	return 0;
}

static int copy_once(void *arg, struct client *client, struct err *err)
{
	struct transfer *f = arg;
	CLEANUP(free) char *path = store_route("store-copies", f->bucket, f->key, NULL);
	CLEANUP(json)
	json_t *body =
	    json_pack("{s:s, s:s, s:b}", "bucket", f->from_bucket, "key", f->from_key, "move", (int)f->moves);
	if (f->version)
		json_object_set_new(body, "version", json_string(f->version));
	json_decref(f->state);
	f->state = NULL;
	return client_call(client, "POST", path, body, NULL, &f->state, err);
}

static int across_piece(struct piece *p, struct client *client, struct err *err)
{
	struct transfer *f = p->of;
	int r = transfer_retry(f->all, copy_once, f, client, err);
	if (r >= 0)
		transfers_note_bytes(f->all, f->size);
	return r;
}

static int across_finish(struct transfer *f, struct client *client, json_t **ret, struct err *err)
{
	(void)client;
	(void)err;
	CLEANUP(free) char *to = mem_printf("fds://%s/%s", f->bucket, f->key);
	json_object_set_new(f->state, "from", json_string(f->file));
	json_object_set_new(f->state, "to", json_string(to));
	*ret = STEAL(f->state);
	return 0;
}

const struct transfer_ops transfer_across = {across_begin, across_piece, across_finish};
