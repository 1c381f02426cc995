/* SPDX-License-Identifier: Apache-2.0 */
/* Flags of cloudml-serving: our own and those of the original server. */
#ifndef MAIN_SERVING_FLAGS_H
#define MAIN_SERVING_FLAGS_H

#include "serving/serving.h"

/* Reads --name=value, --name value and, for what is on or off, --name, --noname, --name=false. Returns 1 when
 * there is nothing to serve: help or version was asked for and printed. Texts in 'o' are views of argv. */
int serving_flags_parse(int argc, char **argv, struct serving_options *o, struct err *err);

#endif
