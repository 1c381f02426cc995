/* SPDX-License-Identifier: Apache-2.0 */
/* Removes the objects of an organisation that is being deleted, on the pool. */
#ifndef MAIN_SERVER_PURGE_H
#define MAIN_SERVER_PURGE_H

#include "core/blob.h"
#include "loop/loop.h"

struct server_purge {
	struct loop *loop;
	struct blob_store *blobs;
	size_t works;	/* on the pool */
	bool is_closed; /* nobody hears of the results any more */
};
/* ctl_config.org_empty; 'purge' is a struct server_purge. */
void server_purge_org(void *purge, const char *org, void (*done)(void *arg, int r, const struct err *err),
		      void *arg);
/* Waits for what is on the pool; its results are dropped. */
void server_purge_close(struct server_purge *p);

#endif
