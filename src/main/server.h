/* SPDX-License-Identifier: Apache-2.0 */
/* `cloudml server`: the control plane as a process. */
#ifndef MAIN_SERVER_H
#define MAIN_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define SERVER_HOSTS_MAX 32
#define SERVER_LABELS_MAX 32

struct server_options {
	char *data_folder; /* owned, absolute */
	char address[64];
	int port;
	int ready_fd;			    /* gets one line when the server answers; -1 = standard output */
	char *database, *database_password; /* owned; NULL: SQLite in the data folder, no password */
	const char *host_names[SERVER_HOSTS_MAX + 1];
	int host_count;
	char *labels[SERVER_LABELS_MAX + 1]; /* of this machine; views into the arguments */
	int label_count;
	int user_rate, org_rate; /* of requests, see api.h */
	int64_t abandoned_ms;	 /* of uploads, see server_lifecycle.h */
	/* The S3 gateway; texts are views into the arguments. */
	char s3_address[64];
	int s3_port;
	bool s3_off, s3_given;
	const char *s3_domain, *s3_certificate, *s3_key; /* NULL = none */
};
/* 'server' [options]. Returns 1 when help was asked for and printed. ERR_INVALID. */
int server_options_parse(int argc, char **argv, struct server_options *ret, struct err *err);
void server_options_done(struct server_options *o);

/* Folder, lock and status files of one server. */
struct server_folder {
	int dir_fd, lock_fd;
};
/* Makes the folder (mode 0700) and takes it; ERR_CONFLICT names the other server. */
int server_folder_take(const char *path, struct server_folder *ret, struct err *err);
int server_folder_write_token(const struct server_folder *f, const char *token, struct err *err);
bool server_folder_has_token(const struct server_folder *f);
/* run/server.json: {"endpoint", "pid", "version", "started_ms"}. */
int server_folder_announce(const struct server_folder *f, const char *endpoint, struct err *err);
void server_folder_leave(struct server_folder *f);

/* server_wait.c: opens the store, and on PostgreSQL waits, passing requests on, while another server has the
 * database or the data folder. */
struct loop;
struct store;
struct server_wait {
	const struct server_options *options;
	struct server_folder *folder; /* taken when it is free */
	struct loop *loop;
	bool *told_to_end; /* by a signal, which also stops the loop */
	void (*on_store_failure)(void *arg, const struct err *why);
	void *arg;
	bool has_announced; /* the line of ready_fd was written */
};
/* 0 with the store, 1 when it was told to end before it had it. */
int server_wait_store(struct server_wait *w, struct store **ret, struct err *err);
/* "http://ADDRESS:PORT" as people and the command line are told to connect. */
void server_format_endpoint(const struct server_options *o, int port, char *ret, size_t cap);
void server_tell_ready(const struct server_options *o, const char *endpoint);

int server_main(int argc, char **argv); /* returns the exit status */

#endif
