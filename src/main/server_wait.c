/* SPDX-License-Identifier: Apache-2.0 */
/* Several servers on one PostgreSQL: one works, the others wait and pass requests on to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "main/server.h"
#include "main/server_relay.h"
#include "store/store.h"

#define LOOK_MS 500 /* between two attempts */

/* Where the other servers reach this one; a server that listens everywhere goes by the machine's name. */
static void format_address(const struct server_options *o, char *ret, size_t cap)
{
	char name[128] = "";
	const char *host = o->address;
	if (!strcmp(host, "0.0.0.0") || !strcmp(host, "::"))
		host = gethostname(name, sizeof(name) - 1) == 0 ? name : "localhost";
	snprintf(ret, cap, strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, o->port);
}

static int try_store(struct server_wait *w, const struct store_config *config, struct store **ret,
		     struct err *err)
{
	int r = w->folder->dir_fd < 0 ? server_folder_take(w->options->data_folder, w->folder, err) : 0;
	return r < 0 ? r : store_open(config, ret, err);
}

static void end_wait(void *arg)
{
	loop_stop(arg);
}

static void announce_wait(struct server_wait *w, const struct relay *relay, const char *holder)
{
	char endpoint[128];
	if (w->has_announced)
		return;
	w->has_announced = true;
	server_format_endpoint(w->options, relay_port(relay), endpoint, sizeof(endpoint));
	log_info("server.waits endpoint=%s holder=%s pid=%d", endpoint, *holder ? holder : "unknown",
		 (int)getpid());
	server_tell_ready(w->options, endpoint);
}

/* Until the next attempt. */
static void pass_on(struct server_wait *w, const struct store_config *config, struct relay *relay,
		    struct loop_timer *timer)
{
	char holder[STORE_ADDRESS_MAX];
	struct err err = ERR_INIT;
	if (store_lease_look(config, holder, &err) < 0)
		log_warn("server.waits error=\"%s\"", err.msg);
	relay_target(relay, holder);
	announce_wait(w, relay, holder);
	loop_timer_set(timer, LOOK_MS, 0);
	loop_run(w->loop);
}

static int wait_for_it(struct server_wait *w, const struct store_config *config, struct store **ret,
		       struct err *err)
{
	struct relay *relay = NULL;
	int r = relay_new(w->loop, w->options->address, w->options->port, &relay, err);
	if (r < 0)
		return r;
	struct loop_timer *timer = loop_timer_new(w->loop, end_wait, w->loop);
	do {
		pass_on(w, config, relay, timer);
		r = *w->told_to_end ? 1 : try_store(w, config, ret, err);
	} while (r == -ERR_CONFLICT || r == -ERR_UNAVAILABLE);
	loop_timer_free(timer);
	relay_free(relay);
	if (r == 0)
		log_info("server.takes_over pid=%d", (int)getpid());
	return r;
}

int server_wait_store(struct server_wait *w, struct store **ret, struct err *err)
{
	char address[STORE_ADDRESS_MAX];
	CLEANUP(free) char *path = mem_printf("%s/meta.db", w->options->data_folder);
	format_address(w->options, address, sizeof(address));
	struct store_config config = {.path = path,
				      .database = w->options->database,
				      .password = w->options->database_password,
				      .address = address,
				      .loop = w->loop,
				      .on_failure = w->on_store_failure,
				      .arg = w->arg};
	int r = try_store(w, &config, ret, err);
	if (r == -ERR_CONFLICT && w->options->database)
		return wait_for_it(w, &config, ret, err);
	return r;
}
