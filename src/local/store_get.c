/* SPDX-License-Identifier: Apache-2.0 */
/* Out of the store: packages and models. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "core/service.h"
#include "local/store_copy.h"

#define COPY_BYTES ((size_t)256 << 10)

/* The store checks what it hands out: a rotten bit is an error here, before a program reads it. */
static int copy_out(const struct store_place *at, struct blob_get *get, int fd, struct err *err)
{
	CLEANUP(free) char *block = mem_alloc(COPY_BYTES);
	ssize_t n;
	for (int64_t offset = 0; (n = at->store->ops->get_read(get, offset, block, COPY_BYTES, err)) > 0;
	     offset += n) {
		int r = fd_write_all(fd, block, (size_t)n, err);
		if (r < 0)
			return r;
	}
	return n < 0 ? (int)n : 0;
}

int store_get_file(const struct store_place *at, const char *key, int folder_fd, const char *path,
		   struct err *err)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(free) char *parent = slash ? mem_strndup(path, (size_t)(slash - path)) : NULL;
	int r = parent ? path_mkdirs(folder_fd, parent, 0755, err) : 0;
	if (r < 0)
		return r;
	struct blob_get *get = NULL;
	r = at->store->ops->get_open(at->store, at->org, at->bucket, key, NULL, &get, NULL, err);
	if (r < 0)
		return r;
	CLEANUP(fd) int fd = path_open(folder_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644, err);
	r = fd < 0 ? fd : copy_out(at, get, fd, err);
	at->store->ops->get_close(get);
	return r < 0 ? err_wrap(err, "taking '%s' out of the store", key) : 0;
}

/* ---- models ---- */

struct model_scan {
	const struct store_place *at;
	const char *prefix; /* ends in '/' */
	int64_t version;
	const struct service_weight *weights; /* of weight_count: only these versions */
	int weight_count;
	int64_t files, bytes, found;
	bool numbered; /* everything is in numbered folders */
	int folder_fd;
};

static bool starts_with_number(const char *relative, int64_t *ret)
{
	char *end;
	if (*relative < '0' || *relative > '9')
		return false;
	errno = 0;
	long long n = strtoll(relative, &end, 10);
	*ret = n;
	return *end == '/' && errno == 0;
}

/* Calls fn for every object below the prefix. */
static int each_object(struct model_scan *m,
		       int (*fn)(struct model_scan *m, const struct blob_entry *e, struct err *err),
		       struct err *err)
{
	CLEANUP(free) char *after = NULL;
	for (;;) {
		struct blob_list list = {0};
		int r = m->at->store->ops->list(m->at->store, m->at->org, m->at->bucket, m->prefix, after, 0,
						BLOB_LIST_MAX, &list, err);
		if (r < 0)
			return r;
		for (size_t i = 0; i < list.count && r == 0; i++)
			r = fn(m, &list.entries[i], err);
		bool more = list.truncated && list.count;
		free(after);
		after = more ? mem_strdup(list.entries[list.count - 1].key) : NULL;
		blob_list_done(&list);
		if (r < 0 || !more)
			return r;
	}
}

static int look_at_object(struct model_scan *m, const struct blob_entry *e, struct err *err)
{
	int64_t version;
	const char *relative = e->key + strlen(m->prefix);
	if (!*relative || str_ends(relative, "/")) /* stands for a folder */
		return 0;
	if (!starts_with_number(relative, &version))
		m->numbered = false;
	m->bytes += e->info.size_bytes;
	if (++m->files > STORE_TREE_FILES_MAX || m->bytes > STORE_MODEL_BYTES_MAX)
		return err_set(err, ERR_TOO_LARGE, "the model has more than %d files or %lld GiB",
			       STORE_TREE_FILES_MAX, (long long)(STORE_MODEL_BYTES_MAX >> 30));
	return 0;
}

static bool is_wanted(const struct model_scan *m, int64_t version)
{
	for (int i = 0; i < m->weight_count; i++)
		if (m->weights[i].version == version)
			return true;
	return !m->weight_count && (!m->version || version == m->version);
}

static int get_object(struct model_scan *m, const struct blob_entry *e, struct err *err)
{
	int64_t version = 0;
	const char *relative = e->key + strlen(m->prefix);
	if (!*relative || str_ends(relative, "/"))
		return 0;
	if (m->numbered && starts_with_number(relative, &version) && !is_wanted(m, version))
		return 0;
	CLEANUP(free)
	char *path = m->numbered ? mem_strdup(relative)
				 : mem_printf("%lld/%s", (long long)(m->version ? m->version : 1), relative);
	m->found++;
	return store_get_file(m->at, e->key, m->folder_fd, path, err);
}

static int get_single(const struct store_place *at, const struct uri *uri, int64_t version, int folder_fd,
		      struct err *err)
{
	const char *slash = strrchr(uri->key, '/'), *name = slash ? slash + 1 : uri->key;
	CLEANUP(free)
	char *path = mem_printf("%lld/%s", (long long)(version ? version : 1),
				str_ends(name, ".onnx") ? "model.onnx" : name);
	return store_get_file(at, uri->key, folder_fd, path, err);
}

int store_get_model(const struct store_place *at, const struct uri *uri, int64_t version, const char *weights,
		    int folder_fd, struct err *err)
{
	struct service_weight wanted[SERVICE_VERSIONS_MAX];
	int count = service_weights_parse(weights, wanted, err);
	if (count < 0)
		return count;
	if (uri->key[0] && !str_ends(uri->key, "/")) {
		struct blob_info info;
		int r =
		    at->store->ops->stat(at->store, at->org, at->bucket, uri->key, NULL, &info, NULL, err);
		if (r == 0)
			return get_single(at, uri, version, folder_fd, err);
		if (r != -ERR_NOT_FOUND)
			return r;
	}
	CLEANUP(free)
	char *prefix = mem_printf("%s%s", uri->key, uri->key[0] && !str_ends(uri->key, "/") ? "/" : "");
	struct model_scan m = {.at = at,
			       .prefix = prefix,
			       .version = version,
			       .weights = wanted,
			       .weight_count = count,
			       .numbered = true,
			       .folder_fd = folder_fd};
	int r = each_object(&m, look_at_object, err);
	if (r == 0)
		r = each_object(&m, get_object, err);
	if (r < 0)
		return r;
	if (!m.files)
		return err_set(err, ERR_NOT_FOUND,
			       "no model at 'fds://%s/%s'; give the address of a SavedModel's folder or "
			       "of an .onnx file",
			       uri->bucket, uri->key);
	if (count && !m.numbered)
		return err_set(err, ERR_INVALID,
			       "'fds://%s/%s' is one model; weights are for folders of numbered versions",
			       uri->bucket, uri->key);
	if (!m.found)
		return err_set(err, ERR_NOT_FOUND, "no version %lld at 'fds://%s/%s'", (long long)version,
			       uri->bucket, uri->key);
	return 0;
}
