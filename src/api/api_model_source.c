/* SPDX-License-Identifier: Apache-2.0 */
/* From a job or an address to the files of a model. Runs on the pool. */
#include "api/api_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define SAVED_MODEL "/saved_model.pb"
#define MODEL_NAMES "saved_model.pb, .onnx, predict.py or model.joblib, .pkl, .json, .ubj, .pt"
#define LISTED_MAX 20000 /* objects of an output that are looked at */
#define FOUND_MAX 64

/* Files that make their folder a model that Python computes, and the environment that has their libraries.
 * What is further up decides when a folder holds several. */
static const struct python_file {
	const char *name, *framework;
} python_files[] = {
    {"/model.pt", "pytorch"},	       {"/model.json", "xgboost"},     {"/model.ubj", "xgboost"},
    {"/model.joblib", "scikit-learn"}, {"/model.pkl", "scikit-learn"}, {"/predict.py", "scikit-learn"},
};

/* What a listing holds: folders of SavedModels, .onnx files, folders of Python's models; whole keys. */
struct findings {
	char *folders[FOUND_MAX], *onnx[FOUND_MAX], *python[FOUND_MAX], *first;
	size_t folder_count, onnx_count, python_count, count;
	size_t base_len;    /* of the prefix, without its '/': a model is not looked for above it */
	size_t python_best; /* index in python_files of the one that decides */
};

/* Where a model lies and what runs it. */
struct choice {
	char *key; /* owned, NULL = none */
	bool is_file;
	const char *framework;
};

static void findings_done(struct findings *f)
{
	for (size_t i = 0; i < f->folder_count; i++)
		free(f->folders[i]);
	for (size_t i = 0; i < f->onnx_count; i++)
		free(f->onnx[i]);
	for (size_t i = 0; i < f->python_count; i++)
		free(f->python[i]);
	free(f->first);
}

/* The folder of a file with this name ("/name"): owned; "" for the bucket's root; NULL for another name. */
static char *folder_with(const char *key, const char *name)
{
	if (!strcmp(key, name + 1))
		return mem_strdup("");
	return str_ends(key, name) ? mem_strndup(key, strlen(key) - strlen(name)) : NULL;
}

static void note_python(struct findings *f, const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(python_files) && f->python_count < FOUND_MAX; i++) {
		char *folder = folder_with(key, python_files[i].name);
		if (!folder)
			continue;
		f->python[f->python_count++] = folder;
		if (f->python_count == 1 || i < f->python_best)
			f->python_best = i;
	}
}

static void note_key(struct findings *f, const char *key)
{
	if (!f->count++)
		f->first = mem_strdup(key);
	char *folder = f->folder_count < FOUND_MAX ? folder_with(key, SAVED_MODEL) : NULL;
	if (folder)
		f->folders[f->folder_count++] = folder;
	else if (str_ends(key, ".onnx") && f->onnx_count < FOUND_MAX)
		f->onnx[f->onnx_count++] = mem_strdup(key);
	else
		note_python(f, key);
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
	const char *slash = strrchr(folder, '/'), *last = slash ? slash + 1 : folder;
	bool is_version = *last && last[strspn(last, "0123456789")] == 0;
	size_t len = !is_version ? strlen(folder) : slash ? (size_t)(slash - folder) : 0;
	return len >= f->base_len ? len : strlen(folder);
}

/* The one folder that all models are in; NULL when they are several models. */
static char *only_folder(const struct findings *f, char *const *folders, size_t count)
{
	size_t len = count ? without_version(f, folders[0]) : 0;
	for (size_t i = 1; i < count; i++)
		if (without_version(f, folders[i]) != len || strncmp(folders[i], folders[0], len))
			return NULL;
	return count ? mem_strndup(folders[0], len) : NULL;
}

/* SavedModels first, then .onnx files, then what Python computes: as the model server looks. */
static struct choice choose(const struct findings *f)
{
	if (f->folder_count)
		return (struct choice){only_folder(f, f->folders, f->folder_count), false, "tensorflow"};
	if (f->onnx_count)
		return (struct choice){f->onnx_count == 1 ? mem_strdup(f->onnx[0]) : NULL, true, "onnx"};
	if (f->python_count)
		return (struct choice){only_folder(f, f->python, f->python_count), false,
				       python_files[f->python_best].framework};
	return (struct choice){0};
}

static void set_source(struct service_spec *spec, const char *bucket, const struct choice *c)
{
	char *uri = mem_printf("fds://%s/%s%s", bucket, c->key, c->is_file || !*c->key ? "" : "/");
	free(spec->uri);
	spec->uri = uri;
	if (!spec->framework || !*spec->framework) {
		free(spec->framework);
		spec->framework = mem_strdup(c->framework);
	}
}

static size_t models_found(const struct findings *f)
{
	return f->folder_count + f->onnx_count + f->python_count;
}

static const char *example_of(const struct findings *f)
{
	return f->folder_count ? f->folders[0] : f->onnx_count ? f->onnx[0] : f->python[0];
}

static int resolve_job(struct blob_store *b, const char *org, struct service_spec *spec, struct err *err)
{
	char prefix[96];
	struct choice c = {0};
	struct findings in_model = {0}, all = {0};
	snprintf(prefix, sizeof(prefix), "jobs/%s/output/model/", spec->job);
	int r = look(b, org, org, prefix, &in_model, err);
	if (r == 0)
		c = choose(&in_model);
	if (r == 0 && !c.key) {
		snprintf(prefix, sizeof(prefix), "jobs/%s/output/", spec->job);
		r = look(b, org, org, prefix, &all, err);
		if (r == 0)
			c = choose(&all);
	}
	if (c.key)
		set_source(spec, org, &c);
	else if (r == 0 && models_found(&all) > 1)
		r = err_set(err, ERR_INVALID,
			    "job '%s' left %zu models, '%s' among them; say which with 'uri'", spec->job,
			    models_found(&all), example_of(&all));
	else if (r == 0)
		r = err_set(err, ERR_INVALID,
			    "job '%s' left no model (" MODEL_NAMES ") in its output%s%s; write it to "
			    "$CLOUDML_OUTPUT_DIR/model",
			    spec->job, all.first ? ", but for example " : "", all.first ? all.first : "");
	free(c.key);
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
		r = b->ops->stat(b, org, uri.bucket, uri.key, NULL, &info, NULL, err);
		struct choice c = {uri.key, true, "onnx"};
		if (r == 0)
			set_source(spec, uri.bucket, &c);
	} else {
		struct findings f = {0};
		if (len && uri.key[len - 1] != '/' && len < URI_KEY_MAX)
			strcpy(uri.key + len, "/");
		r = look(b, org, uri.bucket, uri.key, &f, err);
		struct choice c = {0};
		if (r == 0)
			c = choose(&f);
		if (c.key)
			set_source(spec, uri.bucket, &c);
		else if (r == 0)
			r = err_set(err, f.count ? ERR_INVALID : ERR_NOT_FOUND,
				    f.count ? "below '%s' there is not one model (" MODEL_NAMES ")"
					    : "there is nothing at '%s'",
				    spec->uri);
		free(c.key);
		findings_done(&f);
	}
	if (r == -ERR_NOT_FOUND)
		return err_set(err, ERR_INVALID, "there is nothing at '%s'; upload the model first",
			       spec->uri);
	return r;
}

/* What has a weight must be there. */
static int check_versions(struct blob_store *b, const char *org, const struct service_spec *spec,
			  struct err *err)
{
	struct service_weight weights[SERVICE_VERSIONS_MAX];
	struct uri uri;
	int count = service_weights_parse(spec->weights, weights, err);
	int r = count < 0 ? count : count ? uri_parse(spec->uri, &uri, err) : 0;
	for (int i = 0; r == 0 && i < count; i++) {
		struct blob_list list = {0};
		CLEANUP(free)
		char *prefix = mem_printf("%s%lld/", uri.key, (long long)weights[i].version);
		r = b->ops->list(b, org, uri.bucket, prefix, NULL, 0, 1, &list, err);
		if (r == 0 && !list.count)
			r = err_set(
			    err, ERR_INVALID,
			    "there is no version %lld at '%s'; weights name folders of numbered versions",
			    (long long)weights[i].version, spec->uri);
		blob_list_done(&list);
	}
	return r;
}

int api_model_resolve(struct blob_store *blobs, const char *org, struct service_spec *spec, struct err *err)
{
	int r = spec->uri ? resolve_uri(blobs, org, spec, err) : resolve_job(blobs, org, spec, err);
	return r < 0 ? r : check_versions(blobs, org, spec, err);
}
