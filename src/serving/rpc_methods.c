/* SPDX-License-Identifier: Apache-2.0 */
/* All gRPC methods of the server. */
#include <string.h>
#include "base/mem.h"
#include "serving/rpc.h"

static const struct rpc_method *const tables[] = {
    tfs_rpc_methods, tfs_inference_rpc_methods, health_rpc_methods, reflection_rpc_methods, oip_rpc_methods};

const struct rpc_method *rpc_method_find(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct rpc_method *m = tables[i]; m->path; m++)
			if (strcmp(m->path, path) == 0)
				return m;
	return NULL;
}

const struct rpc_method *rpc_method_next(size_t *pos)
{
	size_t at = 0;

	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct rpc_method *m = tables[i]; m->path; m++)
			if (at++ == *pos) {
				++*pos;
				return m;
			}
	return NULL;
}
