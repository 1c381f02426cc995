/* SPDX-License-Identifier: Apache-2.0 */
/* store ls, cp, cat, rm, mb, credentials. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/unit.h"
#include "cli/cli_int.h"

static bool is_uri(const char *s)
{
	return str_starts(s, "fds://") || str_starts(s, "s3://");
}

/* Splits and encodes: "/api/v1/store/BUCKET/KEY". *ret_key (owned, decoded) may be NULL. */
static int object_path(const char *uri, char **ret_path, char **ret_bucket, char **ret_key, struct err *err)
{
	if (!is_uri(uri))
		return err_set(err, ERR_INVALID, "'%s' is not an address like fds://bucket/key", uri);
	const char *rest = strstr(uri, "://") + 3, *slash = strchr(rest, '/');
	CLEANUP(free) char *bucket = mem_strndup(rest, slash ? (size_t)(slash - rest) : strlen(rest));
	if (!*bucket)
		return err_set(err, ERR_INVALID, "'%s' names no bucket", uri);
	CLEANUP(free) char *key = client_escape(slash ? slash + 1 : "", true);
	*ret_path = mem_printf("/api/v1/store/%s/%s", bucket, key);
	if (ret_key)
		*ret_key = mem_strdup(slash ? slash + 1 : "");
	if (ret_bucket)
		*ret_bucket = STEAL(bucket);
	return 0;
}

typedef int entry_fn(struct cli *c, void *arg, const json_t *entry, struct err *err);

/* Calls fn with every entry below the prefix, page by page. */
static int each_entry(struct cli *c, const char *bucket, const char *prefix, bool flat, entry_fn *fn,
		      void *arg, struct err *err)
{
	CLEANUP(free) char *after = mem_strdup("");
	CLEANUP(free) char *escaped = client_escape(prefix, false);
	for (bool more = true; more;) {
		CLEANUP(json) json_t *page = NULL;
		CLEANUP(free) char *escaped_after = client_escape(after, false);
		CLEANUP(free)
		char *path = mem_printf("/api/v1/store/%s?prefix=%s&after=%s&limit=1000%s", bucket, escaped,
					escaped_after, flat ? "" : "&delimiter=/");
		size_t i;
		const json_t *entry;
		int r = client_call(c->client, "GET", path, NULL, NULL, &page, err);
		if (r < 0)
			return r;
		json_array_foreach(json_object_get(page, "data"), i, entry)
		{
			const char *key =
			    *cli_str(entry, "key") ? cli_str(entry, "key") : cli_str(entry, "prefix");
			free(after);
			after = mem_strdup(key);
			r = fn(c, arg, entry, err);
			if (r < 0)
				return r;
		}
		more = json_is_true(json_object_get(page, "truncated")) && i > 0;
	}
	return 0;
}

static int add_row(struct cli *c, void *arg, const json_t *entry, struct err *err)
{
	char size[32] = "", time[32] = "";
	if (c->json) {
		json_array_append(arg, (json_t *)entry);
		return 0;
	}
	const char *key = cli_str(entry, "key");
	if (*key) {
		unit_format_bytes(cli_int(entry, "size"), size);
		cli_format_time(cli_int(entry, "modified_ms"), time);
	}
	json_array_append_new(arg, json_pack("[s,s,s]", size, time, *key ? key : cli_str(entry, "prefix")));
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
	static const struct cli_column columns[] = {{"SIZE", 1}, {"MODIFIED", 0}, {"KEY", 0}};
	CLEANUP(free) char *path = NULL, *bucket = NULL, *key = NULL;
	CLEANUP(json) json_t *rows = json_array();
	int r = cli_connect(c, err);
	if (r < 0)
		return r;
	if (!a->count)
		return list_buckets(c, err);
	r = object_path(a->positional[0], &path, &bucket, &key, err);
	if (r >= 0)
		r = each_entry(c, bucket, key, cli_opt(a, "recursive") != NULL, add_row, rows, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(rows);
		return 0;
	}
	if (!json_array_size(rows))
		return err_set(err, ERR_NOT_FOUND, "nothing is below '%s'", a->positional[0]);
	cli_print_table(c, columns, ARRAY_LEN(columns), rows);
	return 0;
}

static int write_fd(void *arg, const void *data, size_t len)
{
	return fd_write_all(*(int *)arg, data, len, NULL);
}

/* Into a temporary file beside the target, so that a broken transfer leaves the old file alone. */
static int download_file(struct cli *c, const char *path, const char *target, struct err *err)
{
	CLEANUP(free) char *part = mem_printf("%s.cloudml-part", target);
	CLEANUP(fd) int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(err, errno, "cannot write '%s'", part);
	int r = client_download(c->client, path, write_fd, &fd, err);
	if (r == -ERR_CANCELLED)
		r = err_set(err, ERR_IO, "cannot write '%s'", part);
	if (r >= 0 && rename(part, target) < 0)
		r = err_sys(err, errno, "cannot rename to '%s'", target);
	if (r < 0)
		unlink(part);
	else
		cli_changed(c, json_pack("{s:s}", "file", target), "%s", target);
	return r;
}

struct download {
	const char *bucket, *prefix, *target;
};

static int download_entry(struct cli *c, void *arg, const json_t *entry, struct err *err)
{
	const struct download *d = arg;
	const char *key = cli_str(entry, "key"), *below = key + strlen(d->prefix);
	while (*below == '/')
		below++;
	/* Keys come from others: only clean ones become files here. */
	int r = path_check(below, strlen(below), err);
	if (r < 0)
		return err_wrap(err, "the key '%s'", key);
	CLEANUP(free) char *target = mem_printf("%s/%s", d->target, below);
	CLEANUP(free) char *folder = mem_strndup(target, (size_t)(strrchr(target, '/') - target));
	CLEANUP(free) char *escaped = client_escape(key, true);
	CLEANUP(free) char *path = mem_printf("/api/v1/store/%s/%s", d->bucket, escaped);
	CLEANUP(fd) int root = -1;
	if (mkdir(d->target, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make folder '%s'", d->target);
	root = open(d->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, errno, "cannot open folder '%s'", d->target);
	if (strlen(folder) > strlen(d->target))
		r = path_mkdirs(root, folder + strlen(d->target) + 1, 0755, err);
	return r < 0 ? r : download_file(c, path, target, err);
}

static int upload_file(struct cli *c, const char *file, const char *path, struct err *err)
{
	CLEANUP(fd) int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot open '%s'", file);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "'%s' is not a file; copy a folder with --recursive", file);
	json_t *object = NULL;
	int r = client_upload(c->client, path, fd, st.st_size, NULL, NULL, NULL, &object, err);
	if (r >= 0)
		cli_changed(c, object, "%s", file);
	return r < 0 ? err_wrap(err, "uploading '%s'", file) : 0;
}

static int upload_tree(struct cli *c, const char *folder, const char *path, int depth, struct err *err)
{
	CLEANUP(dir) DIR *d = opendir(folder);
	int r = 0;
	if (!d || depth > 64)
		return d ? err_set(err, ERR_INVALID, "folders nest too deeply at '%s'", folder)
			 : err_sys(err, errno, "cannot open folder '%s'", folder);
	for (struct dirent *e; r >= 0 && (e = readdir(d));) {
		struct stat st;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		CLEANUP(free) char *child = mem_printf("%s/%s", folder, e->d_name);
		CLEANUP(free) char *escaped = client_escape(e->d_name, false);
		CLEANUP(free) char *child_path = mem_printf("%s/%s", path, escaped);
		if (lstat(child, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			r = upload_tree(c, child, child_path, depth + 1, err);
		else if (S_ISREG(st.st_mode))
			r = upload_file(c, child, child_path, err);
	}
	return r;
}

static int copy_up(struct cli *c, const char *from, const char *to, bool recursive, struct err *err)
{
	CLEANUP(free) char *path = NULL, *key = NULL;
	int r = object_path(to, &path, NULL, &key, err);
	if (r < 0)
		return r;
	size_t n = strlen(path);
	bool into = !*key || path[n - 1] == '/';
	if (recursive) {
		while (n && path[n - 1] == '/')
			path[--n] = '\0';
		return upload_tree(c, from, path, 0, err);
	}
	CLEANUP(free) char *name = client_escape(strrchr(from, '/') ? strrchr(from, '/') + 1 : from, false);
	CLEANUP(free) char *whole = into ? mem_printf("%s%s", path, name) : mem_strdup(path);
	return upload_file(c, from, whole, err);
}

static int copy_down(struct cli *c, const char *from, const char *to, bool recursive, struct err *err)
{
	CLEANUP(free) char *path = NULL, *bucket = NULL, *key = NULL;
	struct stat st;
	int r = object_path(from, &path, &bucket, &key, err);
	if (r < 0)
		return r;
	if (recursive) {
		const struct download d = {bucket, key, to};
		return each_entry(c, bucket, key, true, download_entry, (void *)&d, err);
	}
	const char *name = strrchr(key, '/') ? strrchr(key, '/') + 1 : key;
	if (!*name)
		return err_set(err, ERR_INVALID, "'%s' is a folder; copy it with --recursive", from);
	bool into = stat(to, &st) == 0 && S_ISDIR(st.st_mode);
	CLEANUP(free) char *target = into ? mem_printf("%s/%s", to, name) : mem_strdup(to);
	return download_file(c, path, target, err);
}

int cmd_store_cp(struct cli *c, const struct cli_args *a, struct err *err)
{
	const char *from = a->positional[0], *to = a->positional[1];
	bool recursive = cli_opt(a, "recursive") != NULL;
	int r = cli_connect(c, err);
	if (r < 0)
		return r;
	c->changed = json_array();
	if (is_uri(from) == is_uri(to))
		return err_set(err, ERR_INVALID,
			       "one of the two must be an fds:// address and the other a file here");
	return is_uri(to) ? copy_up(c, from, to, recursive, err) : copy_down(c, from, to, recursive, err);
}

static int write_out(void *arg, const void *data, size_t len)
{
	return fwrite(data, 1, len, stdout) == len ? 0 : -1;
}

int cmd_store_cat(struct cli *c, const struct cli_args *a, struct err *err)
{
	int r = cli_connect(c, err);
	for (int i = 0; i < a->count && r >= 0; i++) {
		CLEANUP(free) char *path = NULL, *key = NULL;
		r = object_path(a->positional[i], &path, NULL, &key, err);
		if (r >= 0)
			r = client_download(c->client, path, write_out, NULL, err);
	}
	return r;
}

static int remove_entry(struct cli *c, void *arg, const json_t *entry, struct err *err)
{
	CLEANUP(free) char *escaped = client_escape(cli_str(entry, "key"), true);
	CLEANUP(free) char *path = mem_printf("/api/v1/store/%s/%s", (const char *)arg, escaped);
	int r = client_call(c->client, "DELETE", path, NULL, NULL, NULL, err);
	if (r >= 0)
		cli_changed(c, json_incref((json_t *)entry), "removed fds://%s/%s", (const char *)arg,
			    cli_str(entry, "key"));
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

int cmd_store_rm(struct cli *c, const struct cli_args *a, struct err *err)
{
	int r = cli_connect(c, err);
	c->changed = json_array();
	for (int i = 0; i < a->count && r >= 0; i++) {
		CLEANUP(free) char *path = NULL, *bucket = NULL, *key = NULL;
		r = object_path(a->positional[i], &path, &bucket, &key, err);
		if (r < 0)
			return r;
		if (cli_opt(a, "recursive")) {
			if (!confirmed(c, a->positional[i]))
				return err_set(
				    err, ERR_CANCELLED,
				    "nothing was removed; say --yes to remove everything below '%s'",
				    a->positional[i]);
			r = each_entry(c, bucket, key, true, remove_entry, bucket, err);
			continue;
		}
		if (!*key || key[strlen(key) - 1] == '/')
			return err_set(err, ERR_INVALID, "'%s' is a folder; remove it with --recursive",
				       a->positional[i]);
		r = client_call(c->client, "DELETE", path, NULL, NULL, NULL, err);
		if (r >= 0)
			cli_changed(c, json_pack("{s:s}", "key", key), "removed %s", a->positional[i]);
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
