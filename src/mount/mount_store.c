/* SPDX-License-Identifier: Apache-2.0 */
/* The mount's calls to the store: a pool of clients, repeats, errno. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "client/client.h"
#include "mount/mount_int.h"

#define POOL_MAX 16
#define PAUSE_US 200000

struct mount_store {
	char *endpoint, *token, *bucket, *prefix; /* prefix "" or with a slash at its end */
	bool (*interrupted)(void);
	pthread_mutex_t lock; /* of what follows */
	struct client *idle[POOL_MAX];
	size_t idle_count;
};

struct mount_store *mount_store_new(const struct mount_options *o, bool (*interrupted)(void))
{
	struct mount_store *s = MEM_NEW(struct mount_store);
	size_t len = strlen(o->prefix);
	s->endpoint = mem_strdup(o->endpoint);
	s->token = mem_strdup(o->token);
	s->bucket = client_escape(o->bucket, false);
	s->prefix = mem_printf("%s%s", o->prefix, len && o->prefix[len - 1] != '/' ? "/" : "");
	s->interrupted = interrupted;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void mount_store_free(struct mount_store *s)
{
	if (!s)
		return;
	while (s->idle_count)
		client_free(s->idle[--s->idle_count]);
	pthread_mutex_destroy(&s->lock);
	free(s->endpoint);
	free(s->token);
	free(s->bucket);
	free(s->prefix);
	free(s);
}

static int take_client(struct mount_store *s, struct client **ret, struct err *err)
{
	*ret = NULL;
	pthread_mutex_lock(&s->lock);
	if (s->idle_count)
		*ret = s->idle[--s->idle_count];
	pthread_mutex_unlock(&s->lock);
	if (*ret)
		return 0;
	int r = client_new(s->endpoint, s->token, ret, err);
	if (r >= 0)
		client_limit(*ret, MOUNT_CALL_MS);
	return r;
}

static void give_client(struct mount_store *s, struct client *c)
{
	pthread_mutex_lock(&s->lock);
	if (c && s->idle_count < POOL_MAX) {
		s->idle[s->idle_count++] = c;
		c = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	client_free(c);
}

static int errno_of(int r)
{
	static const struct {
		int code, number;
	} table[] = {
	    {ERR_NOT_FOUND, ENOENT}, {ERR_DENIED, EACCES},    {ERR_UNAUTHENTICATED, EACCES},
	    {ERR_INVALID, EINVAL},   {ERR_NO_MEMORY, ENOMEM}, {ERR_UNSUPPORTED, EOPNOTSUPP},
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (r == -table[i].code)
			return -table[i].number;
	return -EIO;
}

static bool passes(int r)
{
	return r == -ERR_UNAVAILABLE || r == -ERR_TIMEOUT || r == -ERR_BUSY || r == -ERR_LIMIT;
}

/* Runs 'call' with a client, again while it fails for a passing reason and there is patience. */
typedef int call_fn(void *arg, struct client *c, struct err *err);
static int repeat(struct mount_store *s, call_fn *call, void *arg)
{
	int64_t end = clock_monotonic_ms(&clock_real) + MOUNT_PATIENCE_MS;
	for (;;) {
		struct client *c = NULL;
		struct err err = ERR_INIT;
		int r = take_client(s, &c, &err);
		if (r >= 0)
			r = call(arg, c, &err);
		give_client(s, c);
		if (r >= 0)
			return 0;
		if (!passes(r) || clock_monotonic_ms(&clock_real) >= end) {
			if (r != -ERR_NOT_FOUND)
				log_debug("mount.call error=%s", err.msg);
			return errno_of(r);
		}
		if (s->interrupted())
			return -EINTR;
		usleep(PAUSE_US);
	}
}

struct get {
	const char *path;
	json_t *answer;
};
static int get_json(void *arg, struct client *c, struct err *err)
{
	struct get *g = arg;
	return client_call(c, "GET", g->path, NULL, NULL, &g->answer, err);
}

/* The key of a path, encoded for a route. Returns owned; NULL: too long. */
static char *key_of(const struct mount_store *s, const char *path, const char *tail)
{
	CLEANUP(free) char *key = mem_printf("%s%s%s", s->prefix, path + 1, tail);
	return strlen(key) > MOUNT_KEY_MAX ? NULL : client_escape(key, true);
}

static const char *text_of(const json_t *j, const char *name)
{
	const char *text = json_string_value(json_object_get(j, name));
	return text ? text : "";
}

int mount_store_stat(struct mount_store *s, const char *path, struct mount_object *ret)
{
	CLEANUP(free) char *key = key_of(s, path, "");
	if (!key)
		return -ENAMETOOLONG;
	CLEANUP(free) char *route = mem_printf("/api/v1/store-objects/%s/%s", s->bucket, key);
	struct get g = {.path = route};
	int r = repeat(s, get_json, &g);
	if (r < 0)
		return r;
	const char *version = text_of(g.answer, "version");
	*ret = (struct mount_object){.size = json_integer_value(json_object_get(g.answer, "size")),
				     .modified_ms =
					 json_integer_value(json_object_get(g.answer, "modified_ms"))};
	snprintf(ret->etag, sizeof(ret->etag), "%s", text_of(g.answer, "etag"));
	snprintf(ret->version, sizeof(ret->version), "%s", strcmp(version, "null") ? version : "");
	json_decref(g.answer);
	return 0;
}

int mount_store_list(struct mount_store *s, const char *path, const char *after, int limit, json_t **ret)
{
	CLEANUP(free) char *plain = mem_printf("%s%s%s", s->prefix, path + 1, path[1] ? "/" : "");
	if (strlen(plain) > MOUNT_KEY_MAX)
		return -ENAMETOOLONG;
	CLEANUP(free) char *prefix = client_escape(plain, false);
	CLEANUP(free) char *from = client_escape(after, false);
	CLEANUP(free)
	char *route = mem_printf("/api/v1/store/%s?prefix=%s&after=%s&limit=%d&delimiter=/", s->bucket,
				 prefix, from, limit);
	struct get g = {.path = route};
	int r = repeat(s, get_json, &g);
	if (r >= 0)
		*ret = g.answer;
	return r;
}

const char *mount_store_name(const struct mount_store *s, const char *path, const char *key)
{
	CLEANUP(free) char *folder = mem_printf("%s%s%s", s->prefix, path + 1, path[1] ? "/" : "");
	size_t len = strlen(folder);
	return strncmp(key, folder, len) == 0 ? key + len : NULL;
}

struct range {
	const char *path;
	int64_t offset;
	size_t size, got;
	char *to;
};
static int take_bytes(void *arg, const void *data, size_t len)
{
	struct range *g = arg;
	if (len > g->size - g->got)
		return -1;
	memcpy(g->to + g->got, data, len);
	g->got += len;
	return 0;
}

/* More or less than was asked for: another object lies there now. */
static int get_range(void *arg, struct client *c, struct err *err)
{
	struct range *g = arg;
	g->got = 0;
	int r = client_download_range(c, g->path, g->offset, (int64_t)g->size, take_bytes, g, err);
	if (r == -ERR_CANCELLED || (r >= 0 && g->got != g->size))
		return err_set(err, ERR_NOT_FOUND, "the object was replaced");
	return r;
}

static bool is_same(const struct mount_object *a, const struct mount_object *b)
{
	return a->size == b->size && a->modified_ms == b->modified_ms && !strcmp(a->etag, b->etag);
}

int mount_store_read(struct mount_store *s, const char *path, const struct mount_object *o, int64_t offset,
		     size_t size, char *ret)
{
	struct mount_object now;
	CLEANUP(free) char *key = key_of(s, path, "");
	CLEANUP(free) char *version = client_escape(o->version, false);
	CLEANUP(free)
	char *route =
	    mem_printf("/api/v1/store/%s/%s%s%s", s->bucket, key, *version ? "?version=" : "", version);
	struct range g = {.path = route, .offset = offset, .size = size, .to = ret};
	int r = repeat(s, get_range, &g);
	/* A version does not change. Elsewhere the look comes after the bytes: what is still the object that
	 * was opened was so while they were read. A range that the new object does not have is refused as
	 * invalid. */
	if (*o->version)
		return r == -ENOENT ? -ESTALE : r;
	if (r < 0 && r != -ENOENT && r != -EINVAL)
		return r;
	int seen = mount_store_stat(s, path, &now);
	if (seen == -ENOENT || (seen >= 0 && !is_same(o, &now)))
		return -ESTALE;
	return seen < 0 ? seen : r < 0 ? -EIO : 0;
}

int mount_store_bytes(struct mount_store *s, int64_t *ret_bytes, int64_t *ret_objects)
{
	CLEANUP(free) char *route = mem_printf("/api/v1/store-buckets/%s", s->bucket);
	struct get g = {.path = route};
	int r = repeat(s, get_json, &g);
	if (r < 0)
		return r;
	*ret_bytes = json_integer_value(json_object_get(g.answer, "bytes"));
	*ret_objects = json_integer_value(json_object_get(g.answer, "objects"));
	json_decref(g.answer);
	return 0;
}
