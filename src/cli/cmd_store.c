/* SPDX-License-Identifier: Apache-2.0 */
/* store ls, cat, rm, mb, stat, versioning, credentials. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/unit.h"
#include "cli/store.h"

struct rows {
	json_t *items;
	bool versions;
};

static json_t *format_row(const json_t *entry, bool versions)
{
	char size[32] = "", time[32] = "";
	const char *key = cli_str(entry, "key"), *mark = "";
	if (*key) {
		unit_format_bytes(cli_int(entry, "size"), size);
		cli_format_time(cli_int(entry, "modified_ms"), time);
	}
	if (!*key)
		return json_pack("[s,s,s]", size, time, cli_str(entry, "prefix"));
	if (!versions)
		return json_pack("[s,s,s]", size, time, key);
	if (json_is_true(json_object_get(entry, "is_delete_marker"))) {
		mark = "removed";
		*size = '\0';
	} else if (json_is_true(json_object_get(entry, "is_latest"))) {
		mark = "newest";
	}
	return json_pack("[s,s,s,s,s]", size, time, key, cli_str(entry, "version"), mark);
}

static int add_rows(struct cli *c, void *arg, const json_t *page, struct err *err)
{
	struct rows *rows = arg;
	size_t i;
	json_t *entry;
	json_array_foreach(page, i, entry)
	{
		if (c->json)
			json_array_append(rows->items, entry);
		else
			json_array_append_new(rows->items, format_row(entry, rows->versions));
	}
	return 0;
}

static int list_buckets(struct cli *c, struct err *err)
{
	CLEANUP(json) json_t *list = NULL;
	size_t i;
	const json_t *b;
	int r = client_call(c->client, "GET", "/api/v1/store", NULL, NULL, &list, err);
	if (r < 0)
		return r;
	if (c->json)
		cli_print_json(list);
	else
		json_array_foreach(json_object_get(list, "data"), i, b)
		    printf("fds://%s/\n", cli_str(b, "name"));
	return 0;
}

int cmd_store_ls(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const struct cli_column columns[] = {
	    {"SIZE", 1}, {"MODIFIED", 0}, {"KEY", 0}, {"VERSION", 0}, {"", 0}};
	CLEANUP(store_uri) struct store_uri u = {0};
	CLEANUP(json) json_t *list = json_array();
	struct rows rows = {list, cli_opt(a, "versions") != NULL};
	int r = cli_connect(c, err);
	if (r < 0)
		return r;
	if (!a->count)
		return list_buckets(c, err);
	r = store_uri_parse(a->positional[0], &u, err);
	if (r < 0)
		return r;
	/* Versions are of keys: rolled up to folders there would be none to see. */
	const struct store_list l = {u.bucket, u.key, cli_opt(a, "recursive") || rows.versions,
				     rows.versions};
	r = store_each_page(c, &l, add_rows, &rows, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(list);
		return 0;
	}
	if (!json_array_size(list))
		return err_set(err, ERR_NOT_FOUND, "nothing is below '%s'", a->positional[0]);
	cli_print_table(c, columns, rows.versions ? 5 : 3, list);
	return 0;
}

static int write_out(void *arg, const void *data, size_t len)
{
	return fwrite(data, 1, len, stdout) == len ? 0 : -1;
}

int cmd_store_cat(struct cli *c, const struct cli_args *a, struct err *err)
{
	int r = cli_connect(c, err);
	for (int i = 0; i < a->count && r >= 0; i++) {
		CLEANUP(store_uri) struct store_uri u = {0};
		r = store_uri_parse(a->positional[i], &u, err);
		if (r < 0)
			return r;
		CLEANUP(free) char *path = store_route("store", u.bucket, u.key, cli_opt(a, "version"));
		r = client_download(c->client, path, write_out, NULL, err);
	}
	return r;
}

int cmd_store_stat(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const char *const texts[] = {"etag", "sha256", "content_type", "version", "versioning"};
	CLEANUP(json) json_t *j = NULL;
	CLEANUP(store_uri) struct store_uri u = {0};
	char text[32];
	int r = cli_connect(c, err);
	if (r >= 0)
		r = store_uri_parse(a->positional[0], &u, err);
	if (r < 0)
		return r;
	CLEANUP(free)
	char *path =
	    store_route(*u.key ? "store-objects" : "store-buckets", u.bucket, u.key, cli_opt(a, "version"));
	r = client_call(c->client, "GET", path, NULL, NULL, &j, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(j);
		return 0;
	}
	int64_t bytes = cli_int(j, *u.key ? "size" : "bytes");
	unit_format_bytes(bytes, text);
	printf("%-14s%s (%lld bytes)\n", "size", text, (long long)bytes);
	if (!*u.key)
		printf("%-14s%lld, all versions\n", "objects", (long long)cli_int(j, "objects"));
	cli_format_time(cli_int(j, *u.key ? "modified_ms" : "created_ms"), text);
	printf("%-14s%s\n", *u.key ? "modified" : "created", text);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (!*cli_str(j, texts[i]))
			continue;
		printf("%-14s", texts[i]);
		cli_print_safe(stdout, cli_str(j, texts[i]));
		putchar('\n');
	}
	if (cli_int(j, "parts"))
		printf("%-14s%lld\n", "parts", (long long)cli_int(j, "parts"));
	return 0;
}

int cmd_store_versioning(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(store_uri) struct store_uri u = {0};
	CLEANUP(free)
	char *uri = store_is_uri(a->positional[0]) ? mem_strdup(a->positional[0])
						   : mem_printf("fds://%s", a->positional[0]);
	int r = store_uri_parse(uri, &u, err);
	if (r >= 0 && *u.key)
		r = err_set(err, ERR_INVALID,
			    "versions are kept by whole buckets, and '%s' is a folder in one", uri);
	if (r >= 0)
		r = cli_connect(c, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *path = store_route("store-buckets", u.bucket, "", NULL);
	CLEANUP(json) json_t *body = json_pack("{s:s}", "versioning", a->positional[1]);
	json_t *bucket = NULL;
	c->changed = json_array();
	r = client_call(c->client, "PATCH", path, body, NULL, &bucket, err);
	if (r >= 0)
		cli_changed(c, bucket, "versions of objects in fds://%s/: %s", u.bucket, a->positional[1]);
	return r;
}

static bool confirmed(const struct cli *c, const char *uri)
{
	char answer[8] = "";
	if (c->yes || !isatty(0) || !c->tty_err)
		return c->yes;
	fprintf(stderr, "remove everything below '%s'? [y/N] ", uri);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* A page in one call. */
static int remove_page(struct cli *c, void *arg, const json_t *page, struct err *err)
{
	const struct store_list *l = arg;
	CLEANUP(json) json_t *body = json_pack("{s:[]}", "objects"), *answer = NULL;
	CLEANUP(free) char *path = store_route("store-removals", l->bucket, "", NULL);
	size_t i;
	const json_t *entry;
	json_array_foreach(page, i, entry)
	{
		json_t *item = json_pack("{s:s}", "key", cli_str(entry, "key"));
		if (l->versions)
			json_object_set_new(item, "version", json_string(cli_str(entry, "version")));
		json_array_append_new(json_object_get(body, "objects"), item);
	}
	int r = i ? client_call(c->client, "POST", path, body, NULL, &answer, err) : 0;
	json_array_foreach(json_object_get(answer, "data"), i, entry)
	{
		const json_t *failure = json_object_get(entry, "error");
		if (failure)
			r = err_set(err, err_from_word(cli_str(failure, "code")),
				    "removing 'fds://%s/%s': %s", l->bucket, cli_str(entry, "key"),
				    cli_str(failure, "message"));
		else
			cli_changed(c, json_incref((json_t *)entry), "removed fds://%s/%s%s%s", l->bucket,
				    cli_str(entry, "key"), l->versions ? " version " : "",
				    cli_str(entry, "version"));
	}
	return r;
}

static int remove_tree(struct cli *c, const struct cli_args *a, const char *uri, const struct store_uri *u,
		       struct err *err)
{
	struct store_list l = {u->bucket, u->key, true, cli_opt(a, "versions") != NULL};
	if (!confirmed(c, uri))
		return err_set(err, ERR_CANCELLED,
			       "nothing was removed; say --yes to remove everything below '%s'", uri);
	return store_each_page(c, &l, remove_page, &l, err);
}

static int remove_one(struct cli *c, const struct cli_args *a, const char *uri, const struct store_uri *u,
		      struct err *err)
{
	const char *version = cli_opt(a, "version");
	if (!*u->key || u->key[strlen(u->key) - 1] == '/')
		return err_set(err, ERR_INVALID, "'%s' is a folder; remove it with --recursive", uri);
	CLEANUP(free) char *path = store_route("store", u->bucket, u->key, version);
	int r = client_call(c->client, "DELETE", path, NULL, NULL, NULL, err);
	json_t *item = json_pack("{s:s}", "key", u->key);
	if (version)
		json_object_set_new(item, "version", json_string(version));
	if (r >= 0)
		cli_changed(c, item, "removed %s%s%s", uri, version ? " version " : "",
			    version ? version : "");
	else
		json_decref(item);
	return r;
}

int cmd_store_rm(struct cli *c, const struct cli_args *a, struct err *err)
{
	bool is_tree = cli_opt(a, "recursive") != NULL;
	int r = cli_connect(c, err);
	c->changed = json_array();
	if (r >= 0 && cli_opt(a, "version") && (is_tree || a->count > 1))
		r = err_set(err, ERR_INVALID,
			    "--version is of one object; --recursive --versions removes all");
	if (r >= 0 && cli_opt(a, "versions") && !is_tree)
		r = err_set(err, ERR_INVALID, "--versions goes with --recursive");
	for (int i = 0; i < a->count && r >= 0; i++) {
		CLEANUP(store_uri) struct store_uri u = {0};
		const char *uri = a->positional[i];
		r = store_uri_parse(uri, &u, err);
		if (r >= 0)
			r = is_tree ? remove_tree(c, a, uri, &u, err) : remove_one(c, a, uri, &u, err);
	}
	return r;
}

int cmd_store_mb(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(free) char *name = client_escape(a->positional[0], false);
	CLEANUP(free) char *path = mem_printf("/api/v1/store/%s", name);
	json_t *bucket = NULL;
	int r = cli_connect(c, err);
	c->changed = json_array();
	if (r >= 0)
		r = client_call(c->client, "PUT", path, NULL, NULL, &bucket, err);
	if (r >= 0)
		cli_changed(c, bucket, "fds://%s/", a->positional[0]);
	return r;
}

int cmd_store_credentials(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const char *const names[][2] = {{"AWS_ACCESS_KEY_ID", "access_key_id"},
					       {"AWS_SECRET_ACCESS_KEY", "secret_access_key"},
					       {"AWS_ENDPOINT_URL", "endpoint"},
					       {"AWS_DEFAULT_REGION", "region"}};
	CLEANUP(json) json_t *j = NULL;
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", "/api/v1/store-credentials", NULL, NULL, &j, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(j);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		printf("export %s='%s'\n", names[i][0], cli_str(j, names[i][1]));
	return 0;
}
