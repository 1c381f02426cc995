/* SPDX-License-Identifier: Apache-2.0 */
/* From a job or an address to the files of a model. Runs on the pool. */
#include "api/api_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define SAVED_MODEL "/saved_model.pb"
#define LISTED_MAX 20000 /* objects of an output that are looked at */
#define FOUND_MAX 64

/* What a listing holds: folders of SavedModels and .onnx files, whole keys. */
struct findings {
	char *folders[FOUND_MAX], *onnx[FOUND_MAX], *first;
	size_t folder_count, onnx_count, count;
	size_t base_len; /* of the prefix, without its '/': a model is not looked for above it */
};

static void findings_done(struct findings *f)
{
	for (size_t i = 0; i < f->folder_count; i++)
		free(f->folders[i]);
	for (size_t i = 0; i < f->onnx_count; i++)
		free(f->onnx[i]);
	free(f->first);
}

static void note_key(struct findings *f, const char *key)
{
	if (!f->count++)
		f->first = mem_strdup(key);
	if (str_ends(key, SAVED_MODEL) && f->folder_count < FOUND_MAX)
		f->folders[f->folder_count++] = mem_strndup(key, strlen(key) - strlen(SAVED_MODEL));
	else if (str_ends(key, ".onnx") && f->onnx_count < FOUND_MAX)
		f->onnx[f->onnx_count++] = mem_strdup(key);
}

static int look(struct blob_store *b, const char *org, const char *bucket, const char *prefix,
		struct findings *ret, struct err *err)
{
	char *after = NULL;
	int r = 0;
	ret->base_len = *prefix ? strlen(prefix) - 1 : 0;
	for (bool more = true; more && ret->count < LISTED_MAX;) {
		struct blob_list list = {0};
		r = b->ops->list(b, org, bucket, prefix, after, 0, BLOB_LIST_MAX, &list, err);
		if (r < 0)
			break;
		for (size_t i = 0; i < list.count; i++)
			note_key(ret, list.entries[i].key);
		more = list.truncated && list.count;
		free(after);
		after = more ? mem_strdup(list.entries[list.count - 1].key) : NULL;
		blob_list_done(&list);
	}
	free(after);
	return r;
}

/* "a/model/3" -> length of "a/model" when the last part is a number: a folder of versions counts as one
 * model. */
static size_t without_version(const struct findings *f, const char *folder)
{
	const char *slash = strrchr(folder, '/');
	bool is_version = slash && slash[1] && slash[1 + strspn(slash + 1, "0123456789")] == 0;
	size_t len = is_version ? (size_t)(slash - folder) : strlen(folder);
	return len >= f->base_len ? len : strlen(folder);
}

/* The one folder that all SavedModels are in; NULL when they are several models. */
static char *only_folder(const struct findings *f)
{
	size_t len = f->folder_count ? without_version(f, f->folders[0]) : 0;
	for (size_t i = 1; i < f->folder_count; i++)
		if (without_version(f, f->folders[i]) != len || strncmp(f->folders[i], f->folders[0], len))
			return NULL;
	return f->folder_count ? mem_strndup(f->folders[0], len) : NULL;
}

static char *choose(const struct findings *f, bool *ret_onnx)
{
	char *folder = only_folder(f);
	*ret_onnx = !folder;
	if (folder)
		return folder;
	return f->folder_count == 0 && f->onnx_count == 1 ? mem_strdup(f->onnx[0]) : NULL;
}

static void set_source(struct service_spec *spec, const char *bucket, const char *key, bool onnx)
{
	free(spec->uri);
	spec->uri = mem_printf("fds://%s/%s%s", bucket, key, onnx ? "" : "/");
	if (!spec->framework || !*spec->framework) {
		free(spec->framework);
		spec->framework = mem_strdup(onnx ? "onnx" : "tensorflow");
	}
}

static int resolve_job(struct blob_store *b, const char *org, struct service_spec *spec, struct err *err)
{
	char prefix[96];
	bool onnx = false;
	struct findings in_model = {0}, all = {0};
	snprintf(prefix, sizeof(prefix), "jobs/%s/output/model/", spec->job);
	int r = look(b, org, org, prefix, &in_model, err);
	CLEANUP(free) char *key = r < 0 ? NULL : choose(&in_model, &onnx);
	if (r == 0 && !key) {
		snprintf(prefix, sizeof(prefix), "jobs/%s/output/", spec->job);
		r = look(b, org, org, prefix, &all, err);
		key = r < 0 ? NULL : choose(&all, &onnx);
	}
	if (key)
		set_source(spec, org, key, onnx);
	else if (r == 0 && all.folder_count + all.onnx_count > 1)
		r = err_set(err, ERR_INVALID,
			    "job '%s' left %zu models, '%s' among them; say which with 'uri'", spec->job,
			    all.folder_count + all.onnx_count,
			    all.folder_count ? all.folders[0] : all.onnx[0]);
	else if (r == 0)
		r = err_set(err, ERR_INVALID,
			    "job '%s' left no model (saved_model.pb or .onnx) in its output%s%s; write it to "
			    "$CLOUDML_OUTPUT_DIR/model",
			    spec->job, all.first ? ", but for example " : "", all.first ? all.first : "");
	findings_done(&in_model);
	findings_done(&all);
	return r;
}

static int resolve_uri(struct blob_store *b, const char *org, struct service_spec *spec, struct err *err)
{
	struct uri uri;
	struct blob_info info;
	int r = uri_parse(spec->uri, &uri, err);
	if (r < 0)
		return r;
	size_t len = strlen(uri.key);
	if (str_ends(uri.key, ".onnx")) {
		r = b->ops->stat(b, org, uri.bucket, uri.key, &info, err);
		if (r == 0)
			set_source(spec, uri.bucket, uri.key, true);
	} else {
		struct findings f = {0};
		if (len && uri.key[len - 1] != '/' && len < URI_KEY_MAX)
			strcpy(uri.key + len, "/");
		r = look(b, org, uri.bucket, uri.key, &f, err);
		bool onnx = false;
		CLEANUP(free) char *key = r < 0 ? NULL : choose(&f, &onnx);
		if (key)
			set_source(spec, uri.bucket, key, onnx);
		else if (r == 0)
			r = err_set(err, f.count ? ERR_INVALID : ERR_NOT_FOUND,
				    f.count ? "below '%s' there is not one model (saved_model.pb or .onnx)"
					    : "there is nothing at '%s'",
				    spec->uri);
		findings_done(&f);
	}
	if (r == -ERR_NOT_FOUND)
		return err_set(err, ERR_INVALID, "there is nothing at '%s'; upload the model first",
			       spec->uri);
	return r;
}

int api_model_resolve(struct blob_store *blobs, const char *org, struct service_spec *spec, struct err *err)
{
	return spec->uri ? resolve_uri(blobs, org, spec, err) : resolve_job(blobs, org, spec, err);
}
