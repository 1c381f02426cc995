/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a bundle, OCI runtime specification 1.0.2. */
#ifndef LOCAL_OCI_CONFIG_H
#define LOCAL_OCI_CONFIG_H

#include <jansson.h>
#include "local/container.h"

/* A bind mount that the platform adds to those of the spec (parts of the host's root). */
struct oci_machine {
	const struct runtime *runtime;
	const char *init_path;		      /* host path of cloudml-init */
	const struct container_mount *mounts; /* of the host's userland, all read-only */
	size_t mount_count;
	bool swap_limit; /* memory + swap can be limited */
};
/* Pure: touches no file. Returns owned. */
json_t *oci_config_format(const struct container_spec *spec, const struct oci_machine *machine);

#endif
