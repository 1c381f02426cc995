/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue's files: found beside the program or in its source tree. */
#ifndef MAIN_SERVER_CATALOGUE_H
#define MAIN_SERVER_CATALOGUE_H

#include "core/framework.h"

/* $CLOUDML_FRAMEWORKS, else ../share/cloudml/frameworks, else frameworks/ of a folder above the program.
 * ERR_NOT_FOUND says where it looked. */
int server_catalogue_load(struct catalogue *ret, struct err *err);

#endif
