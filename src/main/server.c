/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane: opens the data folder, wires the rooms, runs the loop until it is told to end. Tasks go
 * on. */
#include "main/server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "api/api.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "blobs/blobs.h"
#include "local/local.h"
#include "main/server_catalogue.h"
#include "main/server_lifecycle.h"
#include "main/server_purge.h"
#include "main/server_s3.h"
#include "store/store_admin.h"

#define GRACE_MS 3000 /* for requests in progress at the end */
#define MODEL_PORT_FIRST 18500
#define MODEL_PORT_LAST 18999
#define FIRST_ORG "default"
#define DESCRIPTORS 16384
#define LAST_WORDS_MS 3000 /* health answers with the reason before the end */

struct server {
	struct server_options options;
	struct server_folder folder;
	struct catalogue catalogue;
	struct loop *loop;
	struct loop_signal *signals[2];
	struct loop_timer *tick, *end, *lease;
	struct err why; /* of an end that nobody asked for */
	bool told_to_end, has_announced;
	struct store *store;
	struct blob_store *blobs;
	struct server_purge purge;
	struct server_lifecycle lifecycle;
	struct backend *backend;
	struct ctl *ctl;
	struct api *api;
	struct server_s3 s3;
};

static void on_signal(void *arg)
{
	struct server *s = arg;
	log_info("server.stop pid=%d", (int)getpid());
	s->told_to_end = true;
	loop_stop(s->loop);
}

static void on_end(void *arg)
{
	struct server *s = arg;
	loop_stop(s->loop);
}

/* A failed write is never tried again: the next start reads what is on the disk. Tasks go on meanwhile. */
static void on_store_failure(void *arg, const struct err *why)
{
	struct server *s = arg;
	s->why = *why;
	log_error("server.store_failed ends_in_ms=%d error=\"%s\"", LAST_WORDS_MS, why->msg);
	loop_timer_set(s->end, LAST_WORDS_MS, 0);
}

static void on_lease(void *arg)
{
	struct server *s = arg;
	store_lease_renew(s->store);
}

static void on_tick(void *arg)
{
	struct server *s = arg;
	ctl_tick(s->ctl);
}

static void wake_at(void *arg, int64_t monotonic_ms)
{
	struct server *s = arg;
	int64_t after = monotonic_ms - clock_monotonic_ms(&clock_real);
	loop_timer_set(s->tick, after > 0 ? after : 0, 0);
}

/* A lost token file is replaced by a new token: whoever may write the folder may do everything anyway. */
static int insert_key(struct store_tx *tx, void *arg, struct err *err)
{
	return store_key_insert(tx, arg, err);
}

static int make_token(struct server *s, struct err *err)
{
	char token[STORE_TOKEN_MAX] = "";
	int64_t now = clock_wall_ms(&clock_real);
	int r = store_bootstrap(s->store, &rng_system, now, token, err);
	if (r < 0)
		return r;
	if (r == 0 && server_folder_has_token(&s->folder))
		return 0;
	if (r == 0) {
		struct key key = {.org = FIRST_ORG, .user = "root", .role = ROLE_ADMIN, .created_ms = now};
		store_key_make(&rng_system, &key, token);
		r = store_run(s->store, insert_key, &key, err);
		if (r < 0)
			return r;
	}
	return server_folder_write_token(&s->folder, token, err);
}

static int list_orgs(struct store_tx *tx, void *arg, struct err *err)
{
	return store_org_list(tx, NULL, SIZE_MAX, arg, err);
}

/* What jobs leave is kept in the bucket that has the name of their organisation. It is taken before anybody
 * is served, so that nobody else can take it; a new organisation's is taken before it is made. */
static int claim_buckets(struct server *s, struct err *err)
{
	struct store_orgs orgs = {0};
	int r = store_run(s->store, list_orgs, &orgs, err);
	for (size_t i = 0; r >= 0 && i < orgs.count; i++) {
		const struct org *o = &orgs.items[i];
		struct err taken = ERR_INIT;
		if (o->state == ORG_ACTIVE &&
		    s->blobs->ops->bucket_create(s->blobs, o->name, o->name, &taken) < 0)
			log_error("server.bucket org=%s error=\"%s\"", o->name, taken.msg);
	}
	store_orgs_done(&orgs);
	return r;
}

static int open_stores(struct server *s, struct err *err)
{
	struct server_wait wait = {.options = &s->options,
				   .folder = &s->folder,
				   .loop = s->loop,
				   .told_to_end = &s->told_to_end,
				   .on_store_failure = on_store_failure,
				   .arg = s};
	int r = server_wait_store(&wait, &s->store, err);
	s->has_announced = wait.has_announced;
	if (r == 0)
		r = make_token(s, err);
	if (r == 0)
		r = blobs_open(s->options.data_folder, &s->blobs, err);
	return r == 0 ? claim_buckets(s, err) : r;
}

static int open_backend(struct server *s, struct err *err)
{
	struct local_config config = {.data_folder = s->options.data_folder,
				      .bind_address = "127.0.0.1",
				      .port_first = MODEL_PORT_FIRST,
				      .port_last = MODEL_PORT_LAST,
				      .catalogue = &s->catalogue,
				      .blobs = s->blobs,
				      .loop = s->loop,
				      .clock = &clock_real,
				      .labels = s->options.labels,
				      .store_secret = server_s3_task_secret,
				      .store_secret_arg = &s->s3};
	int r = server_s3_begin(&s->s3, &s->options, err);
	if (r == 0)
		r = local_new(&config, &s->backend, err);
	if (r == -ERR_UNSUPPORTED)
		return err_wrap(err, "this machine cannot run tasks ('cloudml doctor' tells more)");
	return r;
}

static void limit_storage(void *arg, const char *org, const struct quota_storage *most)
{
	struct server *s = arg;
	s->blobs->ops->quota_set(s->blobs, org, most->bytes, most->objects);
	server_lifecycle_org(&s->lifecycle, org);
}

static void count_storage(void *arg, const char *org, struct quota_storage *ret)
{
	struct blob_store *b = ((struct server *)arg)->blobs;
	struct err err = ERR_INIT;
	if (b->ops->usage(b, org, &ret->bytes, &ret->objects, &err) < 0)
		log_error("server.usage org=%s error=\"%s\"", org, err.msg);
}

static int start_control(struct server *s, struct err *err)
{
	struct ctl_config control = {.store = s->store,
				     .backend = s->backend,
				     .catalogue = &s->catalogue,
				     .clock = &clock_real,
				     .rng = &rng_system,
				     .wake_at = wake_at,
				     .wake_arg = s,
				     .org_empty = server_purge_org,
				     .org_empty_arg = &s->purge,
				     .storage_limit = limit_storage,
				     .storage_used = count_storage,
				     .storage_arg = s};
	server_lifecycle_open(&s->lifecycle, s->loop, s->blobs, &clock_real, s->options.abandoned_ms);
	s->purge = (struct server_purge){.loop = s->loop, .blobs = s->blobs};
	int r = ctl_new(&control, &s->ctl, err);
	if (r < 0)
		return r;
	r = server_s3_open(&s->s3, &s->options, s->loop, s->blobs, s->ctl, err);
	if (r < 0)
		return r;
	struct api_config api = {.loop = s->loop,
				 .ctl = s->ctl,
				 .store = s->store,
				 .backend = s->backend,
				 .blobs = s->blobs,
				 .catalogue = &s->catalogue,
				 .clock = &clock_real,
				 .rng = &rng_system,
				 .data_folder = s->options.data_folder,
				 .address = s->options.address,
				 .port = s->options.port,
				 .host_names = s->options.host_names,
				 .store_credentials = server_s3_credentials,
				 .store_credentials_arg = &s->s3,
				 .user_rate = s->options.user_rate,
				 .org_rate = s->options.org_rate};
	return api_new(&api, &s->api, err);
}

/* A connection of every client, files of every task: the usual soft limit is for programs that use select(2).
 */
static void raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int server_open(struct server *s, struct err *err)
{
	raise_descriptors();
	int r = server_catalogue_load(&s->catalogue, err);
	if (r == 0)
		r = loop_new(&s->loop, err);
	if (r < 0)
		return r;
	s->signals[0] = loop_signal_new(s->loop, SIGTERM, on_signal, s);
	s->signals[1] = loop_signal_new(s->loop, SIGINT, on_signal, s);
	s->tick = loop_timer_new(s->loop, on_tick, s);
	s->end = loop_timer_new(s->loop, on_end, s);
	s->lease = loop_timer_new(s->loop, on_lease, s);
	r = open_stores(s, err);
	if (r == 0 && s->options.database)
		loop_timer_set(s->lease, STORE_LEASE_RENEW_MS, STORE_LEASE_RENEW_MS);
	if (r == 0)
		r = open_backend(s, err);
	if (r == 0)
		r = start_control(s, err);
	return r;
}

/* Against the order of opening; the database last, so that what was observed until then is kept. */
static void server_close(struct server *s)
{
	server_s3_close(&s->s3, GRACE_MS);
	api_free(s->api, GRACE_MS);
	server_purge_close(&s->purge);
	server_lifecycle_close(&s->lifecycle);
	if (s->backend)
		s->backend->ops->close(s->backend);
	ctl_free(s->ctl);
	store_close(s->store);
	if (s->blobs)
		s->blobs->ops->close(s->blobs);
	if (s->loop) {
		loop_timer_free(s->tick);
		loop_timer_free(s->end);
		loop_timer_free(s->lease);
		loop_signal_free(s->signals[0]);
		loop_signal_free(s->signals[1]);
		loop_free(s->loop);
	}
	catalogue_done(&s->catalogue);
	server_folder_leave(&s->folder);
}

void server_format_endpoint(const struct server_options *o, int port, char *ret, size_t cap)
{
	const char *address = o->address;
	if (!strcmp(address, "0.0.0.0"))
		address = "127.0.0.1";
	else if (!strcmp(address, "::"))
		address = "::1";
	snprintf(ret, cap, strchr(address, ':') ? "http://[%s]:%d" : "http://%s:%d", address, port);
}

void server_tell_ready(const struct server_options *o, const char *endpoint)
{
	char line[160];
	struct err err = ERR_INIT;
	int n = snprintf(line, sizeof(line), "READY %s\n", endpoint);
	if (fd_write_all(o->ready_fd < 0 ? STDOUT_FILENO : o->ready_fd, line, (size_t)n, &err) < 0)
		log_debug("server.ready message=\"%s\"", err.msg);
	if (o->ready_fd > 2)
		close(o->ready_fd);
}

static int announce(struct server *s, struct err *err)
{
	char endpoint[128];
	server_format_endpoint(&s->options, api_port(s->api), endpoint, sizeof(endpoint));
	int r = server_folder_announce(&s->folder, endpoint, err);
	if (r < 0)
		return r;
	if (strcmp(s->options.address, "127.0.0.1") && strcmp(s->options.address, "::1"))
		log_warn("server.exposed address=%s text=\"others on the network can reach this server; "
			 "traffic is not encrypted, put a TLS proxy in front\"",
			 s->options.address);
	log_info("server.ready endpoint=%s data=%s version=%s pid=%d", endpoint, s->options.data_folder,
		 CLOUDML_VERSION, (int)getpid());
	if (!s->has_announced)
		server_tell_ready(&s->options, endpoint);
	return 0;
}

int server_main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct server s = {.folder = {-1, -1}};
	signal(SIGPIPE, SIG_IGN);
	int r = server_options_parse(argc, argv, &s.options, &err);
	if (r == 1) {
		server_options_done(&s.options);
		return 0;
	}
	if (r == 0 && s.options.ready_fd > 2)
		fcntl(s.options.ready_fd, F_SETFD, FD_CLOEXEC);
	if (r == 0)
		r = server_open(&s, &err);
	if (r == 0)
		r = announce(&s, &err);
	if (r == 0) {
		loop_run(s.loop);
		if (s.why.code) {
			err = s.why;
			r = -err.code;
		}
	}
	server_close(&s);
	server_options_done(&s.options);
	if (r < 0)
		fprintf(stderr, "cloudml: %s\n", err.msg);
	return r < 0 ? err_exit(-r) : 0;
}
