/* SPDX-License-Identifier: Apache-2.0 */
/* A list of environment variables in which a name occurs once. */
#ifndef LOCAL_ENV_VARS_H
#define LOCAL_ENV_VARS_H

#include <stdbool.h>
#include <stddef.h>

struct env_vars {
	char **items; /* "KEY=value", NULL-terminated; NULL while empty */
	size_t count;
};
void env_vars_set(struct env_vars *v, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));			     /* "KEY=value" */
void env_vars_set_all(struct env_vars *v, char *const *assignments); /* NULL is fine */
bool env_vars_has(const struct env_vars *v, const char *name);
/* No proxy is asked for this host. */
void env_vars_no_proxy(struct env_vars *v, const char *host);
void env_vars_done(struct env_vars *v);
static inline void cleanup_env_vars(struct env_vars *v)
{
	env_vars_done(v);
}

/* What a program that downloads packages needs to know of this machine: proxies, the certificate file when it
 * is below /etc/ssl, package indexes (UV_*, and PIP_* in uv's words). */
void env_vars_pass_network(struct env_vars *v);

#endif
