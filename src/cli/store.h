/* SPDX-License-Identifier: Apache-2.0 */
/* What the store's commands share: addresses, pages of lists. */
#ifndef CLI_STORE_H
#define CLI_STORE_H

#include "cli/cli_int.h"

/* "fds://bucket/key" or s3://, decoded. All owned. */
struct store_uri {
	char *bucket, *key; /* key "" = the whole bucket */
	char *path;	    /* "BUCKET/KEY" as it stands in a route, encoded */
};
bool store_is_uri(const char *text);
int store_uri_parse(const char *text, struct store_uri *ret, struct err *err); /* ERR_INVALID */
void store_uri_done(struct store_uri *u);
static inline void cleanup_store_uri(struct store_uri *u)
{
	store_uri_done(u);
}
/* "/api/v1/ROUTE/BUCKET/KEY[?version=V]"; version may be NULL. Returns owned. */
char *store_route(const char *route, const char *bucket, const char *key, const char *version);

/* Calls fn with each page (array of entries of the API) of what has the prefix. */
struct store_list {
	const char *bucket, *prefix;
	bool flat;     /* else one level */
	bool versions; /* all versions and delete markers */
};
typedef int store_page_fn(struct cli *c, void *arg, const json_t *page, struct err *err);
int store_each_page(struct cli *c, const struct store_list *l, store_page_fn *fn, void *arg, struct err *err);

/* cmd_store_across.c: cp, mv and sync when both are addresses of the store. */
int store_copy_across(struct cli *c, const struct cli_args *a, bool moves, struct err *err);
int store_sync_across(struct cli *c, const struct cli_args *a, struct err *err);

#endif
