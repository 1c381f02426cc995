/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for versions on disk, see model_scan.h. */
#include "serving/model_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "base/mem.h"
#include "serving/model.h"

#define FILES_MAX 100000 /* of one version */
#define FOUND_MAX 10000	 /* numbered folders of one model */
#define NS_PER_S 1000000000LL
#define SETTLED_NS                                                                                           \
	(2 * NS_PER_S) /* a folder changed more recently than that may change again in the same tick */

void scan_item_done(struct scan_item *item)
{
	for (size_t i = 0; i < item->count; i++)
		free(item->versions[i].path);
	free(item->versions);
	free(item->name);
	free(item->base_path);
}

int64_t model_version_of(const char *name)
{
	int64_t v = 0;

	if (!*name || strlen(name) > 19)
		return -1;
	for (const char *p = name; *p; p++)
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(v, (int64_t)10, &v) ||
		    __builtin_add_overflow(v, (int64_t)(*p - '0'), &v))
			return -1;
	return v;
}

static uint64_t hash(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL; /* FNV-1a */
	return h;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

int model_print(const char *path, int64_t *ret_bytes, uint64_t *ret_print, struct err *err)
{
	char *roots[] = {(char *)path, NULL};
	FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
	FTSENT *e;
	int files = 0, r = 0;

	*ret_bytes = 0;
	*ret_print = 0xcbf29ce484222325ULL;
	if (!tree)
		return err_sys(err, errno, "cannot read '%s'", path);
	while ((e = fts_read(tree)) && files <= FILES_MAX) {
		if (e->fts_info == FTS_DEFAULT || e->fts_info == FTS_DC) {
			r = err_set(err, ERR_INVALID,
				    e->fts_info == FTS_DC ? "'%.300s' leads back to a folder that it lies in"
							  : "'%.300s' is neither a file nor a folder",
				    e->fts_path);
			break;
		}
		if (e->fts_info != FTS_F)
			continue;
		const struct stat *st = e->fts_statp;
		files++;
		*ret_bytes += st->st_size;
		*ret_print = hash(*ret_print, e->fts_path, strlen(e->fts_path));
		*ret_print = hash(*ret_print, &st->st_size, sizeof(st->st_size));
		*ret_print = hash(*ret_print, &st->st_mtim, sizeof(st->st_mtim));
		*ret_print = hash(*ret_print, &st->st_ino, sizeof(st->st_ino));
	}
	fts_close(tree);
	if (files > FILES_MAX)
		return err_set(err, ERR_TOO_LARGE, "'%s' holds more than %d files", path, FILES_MAX);
	return r;
}

static bool policy_names(const struct version_policy *p, int64_t number)
{
	if (p->kind != VERSIONS_SPECIFIC)
		return true;
	for (size_t i = 0; i < p->count; i++)
		if (p->versions[i] == number)
			return true;
	return false;
}

static int newest_first(const void *a, const void *b)
{
	int64_t x = ((const struct scan_version *)a)->number, y = ((const struct scan_version *)b)->number;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* What the policy does not choose goes; numbers that are there twice ("1" and "01") count once. */
static void choose(struct scan_item *item)
{
	size_t kept = 0,
	       limit = item->policy.kind == VERSIONS_LATEST && item->policy.latest < MODEL_VERSIONS_MAX / 2
			   ? (size_t)item->policy.latest
			   : MODEL_VERSIONS_MAX / 2; /* the other half is for those that go */

	if (item->count > 0)
		qsort(item->versions, item->count, sizeof(*item->versions), newest_first);
	for (size_t i = 0; i < item->count; i++) {
		struct scan_version *v = &item->versions[i];
		if (kept >= limit || !policy_names(&item->policy, v->number) ||
		    (kept > 0 && item->versions[kept - 1].number == v->number))
			free(v->path);
		else
			item->versions[kept++] = *v;
	}
	item->count = kept;
	for (size_t i = 0; i < kept; i++)
		model_print(item->versions[i].path, &item->versions[i].bytes, &item->versions[i].print, NULL);
}

static void add(struct scan_item *item, int64_t number, char *takes_path)
{
	item->versions = mem_realloc(item->versions, (item->count + 1) * sizeof(*item->versions));
	item->versions[item->count++] = (struct scan_version){.number = number, .path = takes_path};
}

/* Returns whether every numbered folder holds a model already. */
static bool read_folder(struct scan_item *item)
{
	CLEANUP(dir) DIR *dir = opendir(item->base_path);
	struct dirent *entry;
	bool complete = true;

	if (!dir) {
		err_sys(&item->err, errno, "cannot read model folder '%s'", item->base_path);
		return false;
	}
	while ((entry = readdir(dir)) && item->count < FOUND_MAX) {
		int64_t number = model_version_of(entry->d_name);
		if (number < 0)
			continue;
		char *path = mem_printf("%s/%s", item->base_path, entry->d_name);
		if (runtime_find(path)) {
			add(item, number, path);
		} else {
			complete = false;
			free(path);
		}
	}
	return complete;
}

static int64_t folder_time(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? 0 : st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
}

static void scan_folder(struct scan_item *item, int64_t time_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (!read_folder(item) || now.tv_sec * NS_PER_S + now.tv_nsec - time_ns < SETTLED_NS)
		time_ns = 0;
	item->folder_time_ns = time_ns;
	choose(item);
}

void model_scan(struct scan_item *item)
{
	int64_t time_ns = folder_time(item->base_path);

	item->unchanged = item->folder_time_ns != 0 && item->folder_time_ns == time_ns;
	if (item->unchanged) /* one system call for each model is all that most looks cost */
		return;
	if (runtime_find(item->base_path)) {
		const struct version_policy *p = &item->policy;
		add(item, p->kind == VERSIONS_SPECIFIC ? p->versions[0] : 1, mem_strdup(item->base_path));
		item->folder_time_ns = 0;
		choose(item);
	} else {
		scan_folder(item, time_ns);
	}
	if (item->err.code || item->count > 0)
		return;
	if (item->policy.kind == VERSIONS_SPECIFIC)
		err_set(&item->err, ERR_NOT_FOUND, "no version %lld of a model below '%s'",
			(long long)item->policy.versions[0], item->base_path);
	else
		err_set(&item->err, ERR_NOT_FOUND,
			"no model at '%s': needs saved_model.pb, a file *.onnx, predict.py, model.joblib "
			"(.pkl, .json, .ubj, .txt, .pt), or version folders named by a number",
			item->base_path);
}
