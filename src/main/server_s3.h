/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The S3 gateway as a part of the server, and the credentials for it. An access key is the id of a key of
 * ours; its secret is made of the server's own secret and that id, so that none is stored, and it ends with
 * the key.
 */
#ifndef MAIN_SERVER_S3_H
#define MAIN_SERVER_S3_H

#include "api/api.h"
#include "local/local.h"
#include "main/server.h"
#include "s3/s3.h"

struct server_s3 {
	struct s3 *gateway; /* NULL = off */
	struct ctl *ctl;
	bool is_off;
	unsigned char secret[32];
	char *certificate, *key; /* owned PEM */
	char endpoint[128];
};
/* Before everything else of it, and in any case: reads or makes DATA/store-secret. */
int server_s3_begin(struct server_s3 *s, const struct server_options *o, struct err *err);
/* local_config.store_secret */
void server_s3_task_secret(void *arg, const char *access_key, char ret[LOCAL_SECRET_MAX + 1]);
/* Opens the gateway unless it is switched off: its port, and DATA/run/s3.sock for jobs. All but o are kept.
 */
int server_s3_open(struct server_s3 *s, const struct server_options *o, struct loop *loop,
		   struct blob_store *blobs, struct ctl *ctl, struct err *err);
void server_s3_close(struct server_s3 *s, int grace_ms);
/* api_config.store_credentials */
int server_s3_credentials(void *arg, const struct principal *who, struct api_store_credentials *ret,
			  struct err *err);

#endif
