/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of frameworks. */
#include "core/framework.h"

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

#define VERSIONS_MAX 64
#define PACKAGES_MAX 512

static void framework_done(struct framework *f)
{
	free(f->name);
	free(f->version);
	free(f->title);
	strings_free(f->packages);
	strings_free(f->imports);
	strings_free(f->env);
	*f = (struct framework){0};
}

void catalogue_done(struct catalogue *c)
{
	for (size_t i = 0; i < c->count; i++)
		framework_done(&c->items[i]);
	free(c->items);
	*c = (struct catalogue){0};
}

static const struct framework *find_exact(const struct catalogue *c, const char *name, const char *version)
{
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->items[i].name, name) == 0 &&
		    (version ? strcmp(c->items[i].version, version) == 0 : c->items[i].is_default))
			return &c->items[i];
	return NULL;
}

static int version_parse(const json_t *j, struct framework *ret, struct err *err)
{
	struct json_reader r;
	if (!json_is_object(j))
		return err_set(err, ERR_INVALID, "version is not an object");
	json_reader_begin(&r, j, "version");
	json_get_string(&r, "version", 63, &ret->version);
	json_get_bool(&r, "default", &ret->is_default);
	json_get_string(&r, "title", 200, &ret->title);
	json_get_strings(&r, "packages", PACKAGES_MAX, CORE_TEXT_MAX, &ret->packages);
	json_get_strings(&r, "env", CORE_ARGS_MAX, CORE_TEXT_MAX, &ret->env);
	json_get_bytes(&r, "download", &ret->download_bytes);
	json_get_bytes(&r, "disk", &ret->disk_bytes);
	int result = json_reader_end(&r, err);
	if (result < 0)
		return result;
	if (!ret->version || !ret->version[0])
		return err_set(err, ERR_INVALID, "version has no 'version'");
	return 0;
}

static int add_version(struct catalogue *c, const json_t *version, const char *name, const char *title,
		       char *const *imports, struct err *err)
{
	struct framework f = {0};
	int r = version_parse(version, &f, err);
	if (r == 0 && find_exact(c, name, f.version))
		r = err_set(err, ERR_EXISTS, "version '%s' is there twice", f.version);
	if (r == 0 && f.is_default && find_exact(c, name, NULL))
		r = err_set(err, ERR_INVALID, "version '%s' is a second default", f.version);
	if (r < 0) {
		framework_done(&f);
		return r;
	}
	f.name = mem_strdup(name);
	if (!f.title)
		f.title = mem_printf("%s %s", title ? title : name, f.version);
	f.imports = imports ? strings_copy(imports) : NULL;
	c->items = mem_realloc(c->items, (c->count + 1) * sizeof(*c->items));
	c->items[c->count++] = f;
	return 0;
}

static int add_versions(struct catalogue *c, const json_t *versions, const char *name, const char *title,
			char *const *imports, struct err *err)
{
	for (size_t i = 0; i < json_array_size(versions); i++) {
		int r = add_version(c, json_array_get(versions, i), name, title, imports, err);
		if (r < 0)
			return err_wrap(err, "framework '%s'", name);
	}
	if (!find_exact(c, name, NULL))
		return err_set(err, ERR_INVALID, "framework '%s' has no default version", name);
	return 0;
}

int catalogue_add(struct catalogue *c, const json_t *file, struct err *err)
{
	CLEANUP(free) char *name = NULL;
	CLEANUP(free) char *title = NULL;
	CLEANUP(strings) char **imports = NULL;
	if (!json_is_object(file))
		return err_set(err, ERR_INVALID, "framework is not a JSON object");
	struct json_reader r;
	json_reader_begin(&r, file, "framework");
	json_get_string(&r, "name", CORE_NAME_MAX, &name);
	json_get_string(&r, "title", 200, &title);
	json_get_strings(&r, "imports", CORE_ARGS_MAX, 200, &imports);
	const json_t *versions = json_get_array(&r, "versions", VERSIONS_MAX);
	int result = json_reader_end(&r, err);
	if (result < 0)
		return result;
	if (!name)
		return err_set(err, ERR_INVALID, "framework has no 'name'");
	result = core_name_check("framework", name, err);
	if (result < 0)
		return result;
	for (size_t i = 0; i < c->count; i++)
		if (strcmp(c->items[i].name, name) == 0)
			return err_set(err, ERR_EXISTS, "framework '%s' is in the catalogue already", name);
	size_t before = c->count;
	result = add_versions(c, versions, name, title, imports, err);
	if (result < 0)
		while (c->count > before)
			framework_done(&c->items[--c->count]);
	return result;
}

/* Levenshtein's distance, cut off at strings of 63 bytes. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[CORE_NAME_MAX + 2];
	size_t la = strnlen(a, CORE_NAME_MAX), lb = strnlen(b, CORE_NAME_MAX);
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[lb];
}

static const char *nearest_name(const struct catalogue *c, const char *name)
{
	const char *best = NULL;
	size_t best_distance = 4;
	for (size_t i = 0; i < c->count; i++) {
		size_t d = edit_distance(name, c->items[i].name);
		if (d < best_distance) {
			best_distance = d;
			best = c->items[i].name;
		}
	}
	return best;
}

/* Names when 'name' is NULL, else the versions of 'name'. */
static void list_known(const struct catalogue *c, const char *name, struct buf *ret)
{
	for (size_t i = 0; i < c->count; i++) {
		const struct framework *f = &c->items[i];
		if (name ? strcmp(f->name, name) == 0 : f->is_default)
			buf_printf(ret, "%s%s", ret->len ? ", " : "", name ? f->version : f->name);
	}
}

const struct framework *catalogue_find(const struct catalogue *c, const char *name, const char *version,
				       struct err *err)
{
	const struct framework *f = find_exact(c, name, version && version[0] ? version : NULL);
	if (f)
		return f;
	CLEANUP(buf) struct buf known = BUF_INIT;
	if (find_exact(c, name, NULL)) {
		list_known(c, name, &known);
		err_set(err, ERR_NOT_FOUND, "framework '%s' has no version '%.40s'; there is %.300s", name,
			version, buf_str(&known));
		return NULL;
	}
	list_known(c, NULL, &known);
	const char *near = nearest_name(c, name);
	if (near)
		err_set(err, ERR_NOT_FOUND,
			"framework '%.63s' is unknown; did you mean '%s'? there is %.300s", name, near,
			buf_str(&known));
	else
		err_set(err, ERR_NOT_FOUND, "framework '%.63s' is unknown; there is %.300s", name,
			buf_str(&known));
	return NULL;
}

json_t *framework_format(const struct framework *f)
{
	return json_pack("{s:s, s:s, s:b, s:s, s:o, s:o, s:o, s:I, s:I}", "name", f->name, "version",
			 f->version, "default", f->is_default, "title", f->title, "packages",
			 json_from_strings(f->packages), "imports", json_from_strings(f->imports), "env",
			 json_from_strings(f->env), "download_bytes", (json_int_t)f->download_bytes,
			 "disk_bytes", (json_int_t)f->disk_bytes);
}
