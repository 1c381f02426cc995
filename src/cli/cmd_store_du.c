/* SPDX-License-Identifier: Apache-2.0 */
/* store du. */
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/unit.h"
#include "cli/store.h"

struct sum {
	char *uri;
	int64_t objects, bytes;
	int64_t uploads, upload_bytes; /* in parts, that nobody has ended yet */
};
/* Keys come in order, so that a folder's follow one another. */
struct sums {
	const char *bucket;
	size_t prefix_len; /* up to the last '/' of what was asked for */
	struct sum total;
	struct sum *items; /* count entries */
	size_t count;
};

static struct sum *sum_add(struct sums *s, const char *uri, size_t len)
{
	struct sum *last = s->count ? &s->items[s->count - 1] : NULL;
	if (last && strlen(last->uri) == len && !strncmp(last->uri, uri, len))
		return last;
	if ((s->count & (s->count - 1)) == 0)
		s->items = mem_realloc(s->items, (s->count ? 2 * s->count : 1) * sizeof(*s->items));
	s->items[s->count] = (struct sum){.uri = mem_strndup(uri, len)};
	return &s->items[s->count++];
}

static void sums_done(struct sums *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->items[i].uri);
	free(s->items);
}

/* Objects that lie at the level itself are summed under its name. */
static struct sum *sum_of_key(struct sums *s, const char *key)
{
	const char *slash = strchr(key + s->prefix_len, '/');
	CLEANUP(free) char *uri = mem_printf("fds://%s/%s", s->bucket, key);
	size_t head = strlen(uri) - strlen(key);
	return sum_add(s, uri, head + (slash ? (size_t)(slash - key) + 1 : s->prefix_len));
}

static int add_page(struct cli *c, void *arg, const json_t *page, struct err *err)
{
	struct sums *s = arg;
	size_t i;
	const json_t *entry;
	json_array_foreach(page, i, entry)
	{
		struct sum *sum = sum_of_key(s, cli_str(entry, "key"));
		if (json_is_true(json_object_get(entry, "is_delete_marker")))
			continue;
		sum->objects++;
		sum->bytes += cli_int(entry, "size");
	}
	return 0;
}

/* What begins with the prefix, as sums of its folders. */
static int add_uploads(struct cli *c, struct sums *s, const char *prefix, struct err *err)
{
	CLEANUP(free) char *base = store_route("store-uploads", s->bucket, "", NULL);
	CLEANUP(free) char *below = client_escape(prefix, false);
	CLEANUP(free) char *path = mem_printf("%s?prefix=%s", base, below);
	for (bool more = true; more;) {
		CLEANUP(json) json_t *page = NULL;
		size_t i;
		const json_t *u;
		int r = client_call(c->client, "GET", path, NULL, NULL, &page, err);
		if (r < 0)
			return r;
		const json_t *list = json_object_get(page, "data");
		json_array_foreach(list, i, u)
		{
			struct sum *sum = sum_of_key(s, cli_str(u, "key"));
			sum->uploads++;
			sum->upload_bytes += cli_int(u, "bytes");
		}
		const json_t *last = json_array_get(list, json_array_size(list) - 1);
		more = last && json_is_true(json_object_get(page, "truncated"));
		CLEANUP(free) char *after = client_escape(cli_str(last, "key"), false);
		CLEANUP(free) char *id = client_escape(cli_str(last, "upload"), false);
		free(path);
		path = mem_printf("%s?prefix=%s&after=%s&after_upload=%s", base, below, after, id);
	}
	return 0;
}

/* All of a bucket, into its one line. */
static int add_bucket_uploads(struct cli *c, const char *bucket, struct sum *sum, struct err *err)
{
	struct sums inner = {.bucket = bucket};
	int r = add_uploads(c, &inner, "", err);
	for (size_t i = 0; i < inner.count; i++) {
		sum->uploads += inner.items[i].uploads;
		sum->upload_bytes += inner.items[i].upload_bytes;
	}
	sums_done(&inner);
	return r;
}

static int add_buckets(struct cli *c, struct sums *s, struct err *err)
{
	CLEANUP(json) json_t *list = NULL;
	size_t i;
	const json_t *b;
	int r = client_call(c->client, "GET", "/api/v1/store", NULL, NULL, &list, err);
	json_array_foreach(json_object_get(list, "data"), i, b)
	{
		CLEANUP(json) json_t *state = NULL;
		CLEANUP(free) char *path = store_route("store-buckets", cli_str(b, "name"), "", NULL);
		CLEANUP(free) char *uri = mem_printf("fds://%s/", cli_str(b, "name"));
		if (r >= 0)
			r = client_call(c->client, "GET", path, NULL, NULL, &state, err);
		struct sum *sum = sum_add(s, uri, strlen(uri));
		sum->objects = cli_int(state, "objects");
		sum->bytes = cli_int(state, "bytes");
		if (r >= 0)
			r = add_bucket_uploads(c, cli_str(b, "name"), sum, err);
	}
	return r;
}

static void print_row(json_t *rows, const struct sum *s)
{
	char objects[32], bytes[32], uploads[32], upload_bytes[32];
	snprintf(objects, sizeof(objects), "%lld", (long long)s->objects);
	unit_format_bytes(s->bytes, bytes);
	snprintf(uploads, sizeof(uploads), "%lld", (long long)s->uploads);
	unit_format_bytes(s->upload_bytes, upload_bytes);
	json_array_append_new(rows, json_pack("[s,s,s,s,s]", objects, bytes, uploads, upload_bytes, s->uri));
}

static json_t *format_sum(const struct sum *s)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I}", "uri", s->uri, "objects", (json_int_t)s->objects,
			 "bytes", (json_int_t)s->bytes, "uploads", (json_int_t)s->uploads, "upload_bytes",
			 (json_int_t)s->upload_bytes);
}

/* A folder's own objects may stand before and after those of its folders. */
static void sums_join(struct sums *s)
{
	CLEANUP(map) struct map *seen = map_new(NULL);
	size_t kept = 0;
	for (size_t i = 0; i < s->count; i++) {
		struct sum *item = &s->items[i], *first = map_get(seen, item->uri);
		s->total.objects += item->objects;
		s->total.bytes += item->bytes;
		s->total.uploads += item->uploads;
		s->total.upload_bytes += item->upload_bytes;
		if (first) {
			first->objects += item->objects;
			first->bytes += item->bytes;
			first->uploads += item->uploads;
			first->upload_bytes += item->upload_bytes;
			free(item->uri);
			continue;
		}
		s->items[kept] = *item;
		map_set(seen, item->uri, &s->items[kept++]);
	}
	s->count = kept;
}

int cmd_store_du(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const struct cli_column columns[] = {
	    {"OBJECTS", 1}, {"SIZE", 1}, {"UPLOADS", 1}, {"UNFINISHED", 1}, {"BELOW", 0}};
	CLEANUP(store_uri) struct store_uri u = {0};
	CLEANUP(json) json_t *rows = json_array(), *list = json_array();
	struct sums s = {.total.uri = (char *)"(sum)"};
	int r = cli_connect(c, err);
	if (r >= 0 && a->count)
		r = store_uri_parse(a->positional[0], &u, err);
	if (r < 0)
		return r;
	if (a->count) {
		const char *slash = strrchr(u.key, '/');
		const struct store_list l = {u.bucket, u.key, true, cli_opt(a, "versions") != NULL};
		s.bucket = u.bucket;
		s.prefix_len = slash ? (size_t)(slash - u.key) + 1 : 0;
		r = store_each_page(c, &l, add_page, &s, err);
		if (r >= 0)
			r = add_uploads(c, &s, u.key, err);
	} else {
		r = add_buckets(c, &s, err);
	}
	sums_join(&s);
	for (size_t i = 0; i < s.count; i++) {
		print_row(rows, &s.items[i]);
		json_array_append_new(list, format_sum(&s.items[i]));
	}
	if (r >= 0 && c->json) {
		CLEANUP(json)
		json_t *j =
		    json_pack("{s:O, s:I, s:I, s:I, s:I}", "data", list, "objects",
			      (json_int_t)s.total.objects, "bytes", (json_int_t)s.total.bytes, "uploads",
			      (json_int_t)s.total.uploads, "upload_bytes", (json_int_t)s.total.upload_bytes);
		cli_print_json(j);
	} else if (r >= 0) {
		print_row(rows, &s.total);
		cli_print_table(c, columns, ARRAY_LEN(columns), rows);
	}
	sums_done(&s);
	return r;
}
