/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of models: what is read keeps its promises, from text (first byte even) and from the wire. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serving/model_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(model_config_list) struct model_config_list *l = model_config_list_new();
	struct err err = ERR_INIT;
	struct str rest;
	int r;

	if (size == 0)
		return 0;
	rest = (struct str){(const char *)data + 1, size - 1};
	r = data[0] % 2 ? model_config_read_pb(rest, l, &err) : model_config_read_text(rest, l, &err);
	assert(r == -err.code);
	for (size_t i = 0; r >= 0 && i < l->count; i++) {
		const struct model_config *c = l->items[i];
		assert(*c->name && strlen(c->name) <= MODEL_NAME_MAX && *c->base_path);
		assert(c->policy.kind != VERSIONS_SPECIFIC || c->policy.count > 0);
		assert(c->policy.latest >= 1);
		assert(model_weights_check(c->weights, c->weight_count, &err) == 0);
	}
	return 0;
}
