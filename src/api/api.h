/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP API, version 1 (docs/api.md), and the console's files: parse, authorise, call ctl or the store of
 * bytes, render. One file per noun, each with its table of routes; api_routes.c joins them. What blocks runs
 * on the pool.
 *
 * Invariants: the organisation always comes from the principal, never from a request; a call that changes
 * something answers after the change is durable.
 *
 * To add a route: a line in the table of its noun and its handler; OpenAPI and the deny test follow by
 * themselves.
 */
#ifndef API_API_H
#define API_API_H

#include "base/clock.h"
#include "base/rng.h"
#include "core/blob.h"
#include "ctl/ctl.h"
#include "loop/loop.h"
#include "store/store.h"

/* Far above what people do, low enough that a client that runs wild leaves room for others. */
#define API_USER_RATE 50000
#define API_ORG_RATE 100000

/* For the S3 gateway: what AWS's tools call AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL. */
struct api_store_credentials {
	char access_key[65], secret[65], endpoint[128];
};

struct api;
struct api_config { /* all kept */
	struct loop *loop;
	struct ctl *ctl;
	struct store *store; /* for its copies */
	struct backend *backend;
	struct blob_store *blobs;
	const struct catalogue *catalogue;
	struct clock *clock;
	struct rng *rng;
	const char *data_folder;
	const char *address;	       /* to listen on */
	int port;		       /* 0 = any */
	const char *const *host_names; /* see net/http_server.h */
	/* ERR_UNAVAILABLE: no gateway. NULL = none either. */
	int (*store_credentials)(void *arg, const struct principal *who, struct api_store_credentials *ret,
				 struct err *err);
	void *store_credentials_arg;
	int user_rate, org_rate; /* units of cost a second, of one user and one organisation; 0 = no limit */
};
int api_new(const struct api_config *config, struct api **ret, struct err *err);
int api_port(const struct api *a);
/* No new connections; answers what is in progress for at most grace_ms, then breaks off; waits for its pool
 * work. NULL is fine. */
void api_free(struct api *a, int grace_ms);

/* The OpenAPI 3.1 document, made from the route tables; returns owned. */
json_t *api_openapi(void);

#endif
