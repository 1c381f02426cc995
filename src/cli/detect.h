/* SPDX-License-Identifier: Apache-2.0 */
/* What a folder of code says about itself: framework, requirements, whether it is a Python package. */
#ifndef CLI_DETECT_H
#define CLI_DETECT_H

#include <stdbool.h>
#include <jansson.h>
#include "base/err.h"

struct detected {
	char *framework;      /* from the catalogue, by imports; NULL = none found */
	char *framework_file; /* where the import stands, for the note */
	json_t *requirements; /* array of lines from requirements.txt, else pyproject.toml */
	const char *requirements_file;
	char *project;		/* name in pyproject.toml */
	bool is_python_package; /* pyproject.toml or setup.py is there */
};
/* catalogue: "data" of GET /api/v1/frameworks; borrows. ret is done with detected_done also after an error.
 */
int detect_folder(const char *folder, const json_t *catalogue, struct detected *ret, struct err *err);
void detected_done(struct detected *d);
/* Does this Python text import the top-level module? */
bool detect_imports(const char *text, const char *module);

#endif
