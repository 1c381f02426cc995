/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of frameworks: data in frameworks/NAME.json, loaded once. */
#ifndef CORE_FRAMEWORK_H
#define CORE_FRAMEWORK_H

#include <jansson.h>
#include "core/core.h"

struct framework {
	char *name;	 /* "tensorflow" */
	char *version;	 /* "2.21.0" */
	bool is_default; /* of its name */
	char *title;	 /* "TensorFlow 2.21 (CPU)" */
	char **packages; /* exact PEP 508 pins that uv installs, whole */
	char **imports;	 /* module names that tell that a program uses it: "tensorflow", "keras" */
	char **env;	 /* "KEY=value" set in every task */
	int64_t download_bytes, disk_bytes; /* as measured; for the first build's announcement */
};
struct catalogue {
	struct framework *items;
	size_t count;
};
/* Adds the entries of one file's JSON ({"name", "title", "imports", "versions": [{"version", "default",
 * "packages", "env", "download", "disk"}]}); ERR_INVALID, ERR_EXISTS. */
int catalogue_add(struct catalogue *c, const json_t *file, struct err *err);
void catalogue_done(struct catalogue *c);
/* version NULL or "" = default. ERR_NOT_FOUND lists what there is and the nearest name. */
const struct framework *catalogue_find(const struct catalogue *c, const char *name, const char *version,
				       struct err *err);
json_t *framework_format(const struct framework *f);

#endif
