/* SPDX-License-Identifier: Apache-2.0 */
/* Flags of a model service, the same for create and update. */
#ifndef CLI_MODEL_SPEC_H
#define CLI_MODEL_SPEC_H

#include "cli/cli_int.h"

/* Adds what the flags say to 'spec'. ERR_INVALID. */
int cli_model_spec(const struct cli_args *a, json_t *spec, struct err *err);

/* A request for the REST predict from a file's document: bare rows, {"instances"|"inputs"}, or the original
 * client's {"x": …, "x_dtype": "float32"}, whose types must be the model's where 'metadata' (may be NULL)
 * says them. Takes j; returns owned, NULL with err. */
json_t *cli_model_request(json_t *j, const json_t *metadata, struct err *err);

#endif
