/* SPDX-License-Identifier: Apache-2.0 */
/* store mv, and cp and sync between two addresses: the server copies, object by object. */
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "cli/transfer.h"

/* What TO has, by its name below TO. */
struct target {
	int64_t size, modified_ms;
	bool is_wanted; /* FROM has it too */
};
struct across {
	struct cli *cli;
	struct transfers *transfers;
	struct store_uri from, to; /* of folders: "" or with '/' at the end */
	struct map *there;	   /* struct target; NULL = everything is copied */
	bool moves, is_dry;
	size_t count;
};

static void across_done(struct across *c)
{
	store_uri_done(&c->from);
	store_uri_done(&c->to);
	map_free(c->there);
}
static inline void cleanup_across(struct across *c)
{
	across_done(c);
}

static void make_folder(struct store_uri *u)
{
	size_t n = strlen(u->key);
	if (!n || u->key[n - 1] == '/')
		return;
	char *key = mem_printf("%s/", u->key);
	free(u->key);
	u->key = key;
}

static int across_open(struct across *c, const struct cli_args *a, bool folders, struct err *err)
{
	int r = store_uri_parse(a->positional[0], &c->from, err);
	if (r >= 0)
		r = store_uri_parse(a->positional[1], &c->to, err);
	if (r < 0)
		return r;
	if (folders) {
		make_folder(&c->from);
		make_folder(&c->to);
	}
	return cli_connect(c->cli, err);
}

static bool is_same_bucket(const struct across *c)
{
	return !strcmp(c->from.bucket, c->to.bucket);
}

/* ---- one object ---- */

/* Names that only a folder has ("run/", "") stand for the source's name in it. */
static int copy_one(struct across *c, const struct cli_args *a, struct err *err)
{
	const char *slash = strrchr(c->from.key, '/'), *name = slash ? slash + 1 : c->from.key;
	size_t n = strlen(c->to.key);
	bool into = !n || c->to.key[n - 1] == '/';
	if (!*name)
		return err_set(err, ERR_INVALID, "'%s' is a folder; name it with --recursive",
			       a->positional[0]);
	CLEANUP(free) char *key = mem_printf("%s%s", c->to.key, into ? name : "");
	const struct transfer_source from = {.bucket = c->from.bucket,
					     .key = c->from.key,
					     .version = cli_opt(a, "version"),
					     .moves = c->moves};
	if (!from.version && is_same_bucket(c) && !strcmp(key, c->from.key))
		return err_set(err, ERR_INVALID, "'%s' cannot be copied onto itself; name another target",
			       a->positional[0]);
	return transfers_across(c->transfers, &from, c->to.bucket, key, err);
}

/* ---- folders ---- */

/* What is copied must not come by again in the list of what is to copy. */
static int check_apart(const struct across *c, const struct cli_args *a, struct err *err)
{
	if (!is_same_bucket(c) || !str_starts(c->to.key, c->from.key))
		return 0;
	return err_set(err, ERR_INVALID,
		       "'%s' is or lies in '%s' and cannot be the target; copy to another folder",
		       a->positional[1], a->positional[0]);
}

static bool is_needed(const struct across *c, const char *below, const json_t *entry)
{
	struct target *t = c->there ? map_get(c->there, below) : NULL;
	if (!t)
		return true;
	t->is_wanted = true;
	return t->size != cli_int(entry, "size") || cli_int(entry, "modified_ms") > t->modified_ms;
}

static int copy_entry(struct across *c, const json_t *entry, struct err *err)
{
	const char *key = cli_str(entry, "key"), *below = key + strlen(c->from.key);
	CLEANUP(free) char *to = mem_printf("%s%s", c->to.key, below);
	const struct transfer_source from = {.bucket = c->from.bucket,
					     .key = key,
					     .size = cli_int(entry, "size"),
					     .moves = c->moves,
					     .is_one_of_many = true};
	/* From "a/" to "": "a/a/x" would become "a/x", which is to be copied itself. */
	if (is_same_bucket(c) && str_starts(to, c->from.key))
		return err_set(err, ERR_INVALID,
			       "'fds://%s/%s' would replace what is copied itself; copy to another folder",
			       c->from.bucket, key);
	if (!is_needed(c, below, entry))
		return 0;
	if (c->is_dry) {
		CLEANUP(free) char *address = mem_printf("fds://%s/%s", c->from.bucket, key);
		cli_changed(c->cli, json_pack("{s:s, s:s}", "copy", address, "dry_run", "true"),
			    "would copy %s", address);
		return 0;
	}
	return transfers_across(c->transfers, &from, c->to.bucket, to, err);
}

/* What programs make as signs of folders (an empty name, or '/' at the end) is nothing to copy. */
static bool is_object(const json_t *entry, const char *prefix)
{
	const char *below = cli_str(entry, "key") + strlen(prefix);
	return *below && below[strlen(below) - 1] != '/';
}

static int copy_page(struct cli *cli, void *arg, const json_t *page, struct err *err)
{
	struct across *c = arg;
	size_t i;
	const json_t *entry;
	int r = 0;
	(void)cli;
	json_array_foreach(page, i, entry)
	{
		if (r < 0 || !is_object(entry, c->from.key))
			continue;
		c->count++;
		r = copy_entry(c, entry, err);
	}
	return r;
}

/* Before thousands of objects are refused one by one. */
static int find_target(struct across *c, struct err *err)
{
	CLEANUP(free) char *path = store_route("store-buckets", c->to.bucket, "", NULL);
	return client_call(c->cli->client, "GET", path, NULL, NULL, NULL, err);
}

static int copy_folder(struct across *c, const struct cli_args *a, struct err *err)
{
	const struct store_list l = {.bucket = c->from.bucket, .prefix = c->from.key, .flat = true};
	int r = store_each_page(c->cli, &l, copy_page, c, err);
	if (r >= 0 && !c->count)
		return err_set(err, ERR_NOT_FOUND, "nothing is below '%s'", a->positional[0]);
	return r;
}

int store_copy_across(struct cli *cli, const struct cli_args *a, bool moves, struct err *err)
{
	CLEANUP(across) struct across c = {.cli = cli, .moves = moves};
	bool folders = cli_opt(a, "recursive") != NULL;
	cli->changed = json_array();
	int r = across_open(&c, a, folders, err);
	if (r >= 0 && folders && cli_opt(a, "version"))
		r = err_set(err, ERR_INVALID, "--version names what is read of one object of the store");
	if (r >= 0 && folders)
		r = check_apart(&c, a, err);
	if (r >= 0 && folders)
		r = find_target(&c, err);
	if (r < 0)
		return r;
	c.transfers = transfers_new(cli, false);
	r = folders ? copy_folder(&c, a, err) : copy_one(&c, a, err);
	return transfers_end(c.transfers, r, err);
}

int cmd_store_mv(struct cli *c, const struct cli_args *a, struct err *err)
{
	if (!store_is_uri(a->positional[0]) || !store_is_uri(a->positional[1]))
		return err_set(err, ERR_INVALID,
			       "both must be fds:// addresses; 'cloudml store cp' copies files");
	return store_copy_across(c, a, true, err);
}

/* ---- sync ---- */

static int note_page(struct cli *cli, void *arg, const json_t *page, struct err *err)
{
	struct across *c = arg;
	size_t i;
	const json_t *entry;
	(void)cli;
	(void)err;
	json_array_foreach(page, i, entry)
	{
		if (!is_object(entry, c->to.key))
			continue;
		struct target *t = MEM_NEW(struct target);
		t->size = cli_int(entry, "size");
		t->modified_ms = cli_int(entry, "modified_ms");
		map_set(c->there, cli_str(entry, "key") + strlen(c->to.key), t);
	}
	return 0;
}

static int remove_rest(struct across *c, struct err *err)
{
	const char *below;
	void *value;
	for (size_t i = 0; map_next(c->there, &i, &below, &value);) {
		if (((struct target *)value)->is_wanted)
			continue;
		CLEANUP(free) char *key = mem_printf("%s%s", c->to.key, below);
		CLEANUP(free) char *address = mem_printf("fds://%s/%s", c->to.bucket, key);
		CLEANUP(free) char *path = store_route("store", c->to.bucket, key, NULL);
		int r = c->is_dry ? 0 : client_call(c->cli->client, "DELETE", path, NULL, NULL, NULL, err);
		if (r < 0)
			return r;
		if (c->is_dry)
			cli_changed(c->cli, json_pack("{s:s, s:s}", "remove", address, "dry_run", "true"),
				    "would remove %s", address);
		else
			cli_changed(c->cli, json_pack("{s:s}", "removed", address), "removed %s", address);
	}
	return 0;
}

/* With --delete one folder may not hold the other: FROM in TO would be among what goes. */
static int check_sync(const struct across *c, const struct cli_args *a, struct err *err)
{
	int r = check_apart(c, a, err);
	if (r < 0 || !cli_opt(a, "delete") || !is_same_bucket(c) || !str_starts(c->from.key, c->to.key))
		return r;
	return err_set(err, ERR_INVALID, "'%s' lies in '%s', where --delete would remove it",
		       a->positional[0], a->positional[1]);
}

int store_sync_across(struct cli *cli, const struct cli_args *a, struct err *err)
{
	CLEANUP(across)
	struct across c = {.cli = cli, .there = map_new(free), .is_dry = cli_opt(a, "dry-run") != NULL};
	cli->changed = json_array();
	int r = across_open(&c, a, true, err);
	if (r >= 0)
		r = check_sync(&c, a, err);
	const struct store_list l = {.bucket = c.to.bucket, .prefix = c.to.key, .flat = true};
	if (r >= 0)
		r = store_each_page(cli, &l, note_page, &c, err);
	if (r < 0)
		return r;
	c.transfers = transfers_new(cli, false);
	r = copy_folder(&c, a, err);
	r = transfers_end(c.transfers, r, err);
	/* Only what was copied whole may take the place of what goes. */
	return r >= 0 && cli_opt(a, "delete") ? remove_rest(&c, err) : r;
}
