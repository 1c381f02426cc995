/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration from the environment. */
#include "fds_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define MIB ((size_t)1 << 20)

/* Names in the order in which they are looked at; those from xiaomi_from on are for fds:// only. */
struct setting {
	const char *what;
	const char *names[6];
	int xiaomi_from;
	bool is_secret;
	size_t offset, cap;
	const char *otherwise; /* NULL = must be set */
};

#define AT(member) offsetof(struct fds_config, member), sizeof(((struct fds_config *)0)->member)
static const struct setting settings[] = {
    {"access key",
     {"AWS_ACCESS_KEY_ID", "XIAOMI_ACCESS_KEY_ID", "XIAOMI_ACCESS_KEY"},
     1,
     true,
     AT(access_key),
     NULL},
    {"secret key",
     {"AWS_SECRET_ACCESS_KEY", "XIAOMI_SECRET_ACCESS_KEY", "XIAOMI_SECRET_KEY"},
     1,
     true,
     AT(secret),
     NULL},
    {"session token", {"AWS_SESSION_TOKEN"}, 1, true, AT(token), ""},
    {"region", {"AWS_REGION", "AWS_DEFAULT_REGION"}, 2, false, AT(region), "us-east-1"},
};
static const struct setting endpoint_setting = {
    "endpoint",
    {"CLOUDML_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "XIAOMI_FDS_ENDPOINT", "FDS_ENDPOINT"},
    3,
    false,
    0,
    512,
    NULL};

static const char *look_up(const struct setting *s, bool is_fds, char *(*get)(const char *),
			   const char **ret_name)
{
	for (int i = 0; i < 6 && s->names[i]; i++) {
		const char *value = !is_fds && i >= s->xiaomi_from ? NULL : get(s->names[i]);
		if (value && *value) {
			*ret_name = s->names[i];
			return value;
		}
	}
	*ret_name = s->names[0];
	return s->otherwise;
}

/* A value becomes part of a header, so nothing that could end a line is let in. */
static bool is_printable(const char *s)
{
	for (; *s; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

static int read_text(const struct setting *s, bool is_fds, char *(*get)(const char *), struct fds_config *c,
		     struct err *err)
{
	const char *name, *value = look_up(s, is_fds, get, &name);
	if (!value)
		return err_set(err, ERR_UNAUTHENTICATED,
			       "no %s for the store: set %s ('cloudml store credentials' prints what to set)",
			       s->what, name);
	if (strlen(value) >= s->cap || !is_printable(value))
		return err_set(err, ERR_INVALID, "%s is longer than %zu characters or has spaces in it", name,
			       s->cap - 1);
	memcpy((char *)c + s->offset, value, strlen(value) + 1);
	return 0;
}

/* "host", "host:port", "[::1]:port"; a path behind it may only be "/". */
static int read_authority(const char *text, const char *name, struct fds_config *c, struct err *err)
{
	size_t len = strcspn(text, "/?#");
	if (strlen(text + len) > 1 || len >= sizeof(c->authority) || memchr(text, '@', len) ||
	    !is_printable(text))
		return err_set(err, ERR_INVALID, "%s must be http://HOST:PORT and nothing more", name);
	snprintf(c->authority, sizeof(c->authority), "%.*s", (int)len, text);
	char *host = c->authority, *end = host[0] == '[' ? strchr(host, ']') : host + strcspn(host, ":");
	size_t skip = host[0] == '[';
	if (!end)
		return err_set(err, ERR_INVALID, "%s has a '[' without ']'", name);
	size_t host_len = (size_t)(end - host) - skip;
	if (!host_len || host_len >= sizeof(c->host))
		return err_set(err, ERR_INVALID, "%s has no host of 1 to %zu characters", name,
			       sizeof(c->host) - 1);
	snprintf(c->host, sizeof(c->host), "%.*s", (int)host_len, host + skip);
	const char *port = end + skip;
	if (*port == ':') {
		char *rest;
		long number = strtol(port + 1, &rest, 10);
		if (*rest || number < 1 || number > 65535 || port[1] < '0' || port[1] > '9')
			return err_set(err, ERR_INVALID, "%s has a port that is not 1 to 65535", name);
		snprintf(c->port, sizeof(c->port), "%ld", number);
	} else if (*port)
		return err_set(err, ERR_INVALID, "%s must be http://HOST:PORT and nothing more", name);
	return 0;
}

static int read_endpoint(bool is_fds, char *(*get)(const char *), struct fds_config *c, struct err *err)
{
	const char *name, *value = look_up(&endpoint_setting, is_fds, get, &name);
	if (!value)
		return err_set(
		    err, ERR_INVALID,
		    "no endpoint for the store: set %s to http://HOST:PORT ('cloudml store credentials' "
		    "prints it)",
		    name);
	snprintf(c->port, sizeof(c->port), "80");
	if (strncmp(value, "http://", 7) == 0)
		return read_authority(value + 7, name, c, err);
	if (strncmp(value, "https://", 8) == 0)
		return err_set(
		    err, ERR_UNSUPPORTED,
		    "%s is an https endpoint: this plugin has no TLS; give it the store's http endpoint",
		    name);
	return err_set(err, ERR_INVALID, "%s does not start with http://", name);
}

static int read_number(const char *name, size_t least, size_t most, size_t otherwise,
		       char *(*get)(const char *), size_t *ret, struct err *err)
{
	const char *text = get(name);
	char *rest;
	*ret = otherwise;
	if (!text || !*text)
		return 0;
	errno = 0;
	unsigned long long n = strtoull(text, &rest, 10);
	if (*rest || errno || text[0] < '0' || text[0] > '9' || n < least || n > most)
		return err_set(err, ERR_INVALID, "%s='%.40s' is not a number from %zu to %zu", name, text,
			       least, most);
	*ret = (size_t)n;
	return 0;
}

int fds_config_read(bool is_fds, char *(*get)(const char *name), struct fds_config *ret, struct err *err)
{
	size_t timeout_s, attempts;
	memset(ret, 0, sizeof(*ret));
	int r = read_endpoint(is_fds, get, ret, err);
	for (size_t i = 0; i < ARRAY_LEN(settings) && r >= 0; i++)
		r = read_text(&settings[i], is_fds, get, ret, err);
	if (r >= 0)
		r = read_number("CLOUDML_S3_PART_BYTES", 5 * MIB, 1024 * MIB, 16 * MIB, get, &ret->part_bytes,
				err);
	if (r >= 0)
		r = read_number("CLOUDML_S3_READ_AHEAD_BYTES", 0, 256 * MIB, 8 * MIB, get,
				&ret->read_ahead_bytes, err);
	if (r >= 0)
		r = read_number("CLOUDML_S3_TIMEOUT_S", 1, 3600, 60, get, &timeout_s, err);
	if (r >= 0)
		r = read_number("CLOUDML_S3_ATTEMPTS", 1, 100, 8, get, &attempts, err);
	if (r < 0)
		return r;
	ret->timeout_ms = (int)timeout_s * 1000;
	ret->attempts = (int)attempts;
	ret->pause_ms = 100;
	return 0;
}
