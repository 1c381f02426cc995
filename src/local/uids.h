/* SPDX-License-Identifier: Apache-2.0 */
/* Which host user ids the containers of an organisation have: DATA/uids.json, see
 * docs/formats/task-folder.md. */
#ifndef LOCAL_UIDS_H
#define LOCAL_UIDS_H

#include <stdint.h>
#include "base/err.h"

#define UIDS_FIRST 100000
#define UIDS_ORGS_MAX 60000

struct uids;
/* Reads or begins the registry. Borrows data_folder. Returns owned. ERR_CORRUPT: never guessed anew. */
int uids_open(const char *data_folder, struct uids **ret, struct err *err);
/* First host uid of the organisation ("" = the shared builder of environments); a new one is recorded durably
 * first. */
int uids_get(struct uids *u, const char *org, int64_t *ret, struct err *err);
void uids_close(struct uids *u);

#endif
