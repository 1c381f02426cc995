/* SPDX-License-Identifier: Apache-2.0 */
/* The program's way to the store: a port in its own network, and its key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "local/fd_drop.h"
#include "local/shim_int.h"

void shim_store_read_secret(struct shim *s)
{
	char *secret = getenv(STORE_SECRET_VARIABLE);
	if (!secret)
		return;
	snprintf(s->store_secret, sizeof(s->store_secret), "%s", secret);
	explicit_bzero(secret, strlen(secret));
	unsetenv(STORE_SECRET_VARIABLE);
}

int shim_store_open(struct shim *s, struct err *err)
{
	if (!s->container.spec.inside_port)
		return 0;
	if (s->container.store_fd < 0)
		return err_set(err, ERR_INTERNAL, "the container's network has no socket for the store");
	CLEANUP(free) char *folder = mem_printf("%s/" STORE_RELAY_FOLDER, s->data_folder);
	int fd = s->container.store_fd;
	s->container.store_fd = -1;
	return store_relay_new(s->loop, fd, folder, &s->store_relay, err);
}

void shim_store_close(struct shim *s)
{
	store_relay_free(s->store_relay);
	s->store_relay = NULL;
	fd_drop(&s->container.store_fd);
}
