/* SPDX-License-Identifier: Apache-2.0 */
/* A list of environment variables in which a name occurs once. */
#include "local/env_vars.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"

extern char **environ;

/* Takes assignment. */
static void put(struct env_vars *v, char *assignment)
{
	const char *equals = strchr(assignment, '=');
	size_t len = equals ? (size_t)(equals - assignment) + 1 : strlen(assignment);
	for (size_t i = 0; i < v->count; i++) {
		if (strncmp(v->items[i], assignment, len) == 0) {
			cleanup_free(&v->items[i]);
			v->items[i] = assignment;
			return;
		}
	}
	v->items = mem_realloc(v->items, (v->count + 2) * sizeof(*v->items));
	v->items[v->count++] = assignment;
	v->items[v->count] = NULL;
}

void env_vars_set(struct env_vars *v, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *s = NULL;
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		abort();
	put(v, s);
}

void env_vars_set_all(struct env_vars *v, char *const *assignments)
{
	for (; assignments && *assignments; assignments++)
		put(v, mem_strdup(*assignments));
}

/* NAME's value; NULL when it is not set. */
static const char *value_of(const struct env_vars *v, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < v->count; i++)
		if (strncmp(v->items[i], name, len) == 0 && v->items[i][len] == '=')
			return v->items[i] + len + 1;
	return NULL;
}

bool env_vars_has(const struct env_vars *v, const char *name)
{
	return value_of(v, name) != NULL;
}

void env_vars_no_proxy(struct env_vars *v, const char *host)
{
	static const char *const names[] = {"NO_PROXY", "no_proxy"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *old = value_of(v, names[i]);
		env_vars_set(v, "%s=%s%s%s", names[i], old ? old : "", old && *old ? "," : "", host);
	}
}

void env_vars_done(struct env_vars *v)
{
	for (size_t i = 0; i < v->count; i++)
		free(v->items[i]);
	free(v->items);
	*v = (struct env_vars){0};
}

static bool is_visible_certificate(const char *path)
{
	return strncmp(path, "/etc/ssl/", 9) == 0 && access(path, R_OK) == 0;
}

void env_vars_pass_network(struct env_vars *v)
{
	static const char *const plain[] = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
					    "http_proxy", "https_proxy", "all_proxy", "no_proxy"};
	static const char *const certificates[] = {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
						   "CURL_CA_BUNDLE"};
	static const char *const pip[][2] = {{"PIP_INDEX_URL", "UV_INDEX_URL"},
					     {"PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL"}};
	/* Set by us, about folders that the container does not have, or secrets that are for publishing. */
	static const char *const ours[] = {
	    "UV_CACHE_DIR=", "UV_LINK_MODE=",	"UV_PYTHON",	  "UV_PROJECT", "UV_TOOL_",   "UV_INSTALL_",
	    "UV_TARGET",     "UV_CONFIG_FILE=", "UV_FIND_LINKS=", "UV_SYSTEM_", "UV_PUBLISH_"};
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (getenv(plain[i]))
			env_vars_set(v, "%s=%s", plain[i], getenv(plain[i]));
	for (size_t i = 0; i < ARRAY_LEN(certificates); i++)
		if (getenv(certificates[i]) && is_visible_certificate(getenv(certificates[i])))
			env_vars_set(v, "%s=%s", certificates[i], getenv(certificates[i]));
	for (size_t i = 0; i < ARRAY_LEN(pip); i++)
		if (getenv(pip[i][0]))
			env_vars_set(v, "%s=%s", pip[i][1], getenv(pip[i][0]));
	for (char **e = environ; *e; e++) {
		bool skip = strncmp(*e, "UV_", 3) != 0;
		for (size_t i = 0; i < ARRAY_LEN(ours); i++)
			skip = skip || strncmp(*e, ours[i], strlen(ours[i])) == 0;
		if (!skip)
			env_vars_set(v, "%s", *e);
	}
}
