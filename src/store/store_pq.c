/* SPDX-License-Identifier: Apache-2.0 */
/* Opening libpq. */
#include "store/store_pq.h"

#include <dlfcn.h>
#include <pthread.h>

#define LIBRARY "libpq.so.5"

static struct pq functions;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct err failure;

static void load(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		err_set(&failure, ERR_UNSUPPORTED,
			"PostgreSQL's client library is not there (%s); install the package 'libpq5'",
			dlerror());
		return;
	}
#define PQ_FIND(name)                                                                                        \
	functions.name = (__typeof__(functions.name))dlsym(library, #name);                                  \
	if (!functions.name)                                                                                 \
		err_set(&failure, ERR_UNSUPPORTED, "%s has no '%s'; install a newer 'libpq5'", LIBRARY,      \
			#name);
	PQ_TABLE(PQ_FIND)
#undef PQ_FIND
}

int pq_load(const struct pq **ret, struct err *err)
{
	pthread_once(&once, load);
	if (failure.code)
		return err_set(err, failure.code, "%s", failure.msg);
	*ret = &functions;
	return 0;
}
