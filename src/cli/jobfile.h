/* SPDX-License-Identifier: Apache-2.0 */
/* Files that people write: YAML or JSON job files, pyproject.toml, requirements.txt. Each reader is strict
 * and bounded. */
#ifndef CLI_JOBFILE_H
#define CLI_JOBFILE_H

#include <jansson.h>
#include "base/err.h"

#define JOBFILE_BYTES_MAX 262144

/* One YAML 1.1 document (of which JSON is a part) as JSON; plain scalars follow the YAML 1.2 core schema.
 * Anchors, aliases, tags, several documents, depth over 32 and duplicate keys are refused with the line.
 * Returns owned. */
int jobfile_parse_yaml(const char *text, size_t len, json_t **ret, struct err *err);
int jobfile_read(const char *path, json_t **ret, struct err *err);

/* [project] name and dependencies of a pyproject.toml (PEP 621): {"name": …, "dependencies": […]}, absent
 * ones left out. Reads the part of TOML 1.0 that these need; ERR_INVALID with the line otherwise. Returns
 * owned. */
int pyproject_parse(const char *text, size_t len, json_t **ret, struct err *err);
/* Requirement lines of a requirements.txt: comments, blank lines and continuations are resolved; options such
 * as -r or
 * --index-url are refused. Appends strings to the array. */
int requirements_parse(const char *text, size_t len, json_t *array, struct err *err);

#endif
