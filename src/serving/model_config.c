/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of models: memory and checks. */
#include "serving/model_config.h"

#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/mem.h"

struct model_config_list *model_config_list_new(void)
{
	struct model_config_list *l = MEM_NEW(struct model_config_list);

	l->arena = ARENA_INIT(MODEL_CONFIG_MEMORY_MAX);
	return l;
}

void model_config_list_free(struct model_config_list *l)
{
	if (!l)
		return;
	arena_done(&l->arena);
	free(l->items);
	free(l);
}

struct model_config *model_config_add(struct model_config_list *l, struct err *err)
{
	struct model_config *c = arena_try_alloc(&l->arena, 1, sizeof(*c));

	if (l->count >= MODEL_CONFIGS_MAX || !c) {
		err_set(err, ERR_TOO_LARGE, "more models than one server may have (%d)", MODEL_CONFIGS_MAX);
		return NULL;
	}
	*c = (struct model_config){.name = "", .base_path = "", .platform = "", .policy.latest = 1};
	if (l->count == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->items = mem_realloc(l->items, l->cap * sizeof(*l->items));
	}
	l->items[l->count++] = c;
	return c;
}

int model_weights_check(const struct model_weight *weights, size_t count, struct err *err)
{
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		if (weights[i].per_mille < 0 || weights[i].per_mille > MODEL_WEIGHTS_SUM)
			return err_set(err, ERR_INVALID, "weight of version %lld is %d, must be 0 to %d",
				       (long long)weights[i].version, weights[i].per_mille,
				       MODEL_WEIGHTS_SUM);
		for (size_t k = 0; k < i; k++)
			if (weights[k].version == weights[i].version)
				return err_set(err, ERR_INVALID, "version %lld has two weights",
					       (long long)weights[i].version);
		sum += weights[i].per_mille;
	}
	if (count > 0 && sum != MODEL_WEIGHTS_SUM)
		return err_set(err, ERR_INVALID, "weights sum up to %lld, must be %d (per mille)",
			       (long long)sum, MODEL_WEIGHTS_SUM);
	return 0;
}

static int check_one(const struct model_config *c, struct err *err)
{
	int r;

	if (!*c->base_path)
		return err_set(err, ERR_INVALID, "model '%s' has no base_path", c->name);
	if (*c->platform && strcmp(c->platform, "tensorflow") != 0 && strcmp(c->platform, "onnx") != 0)
		return err_set(err, ERR_UNSUPPORTED,
			       "model '%s' has platform '%.100s', must be tensorflow or onnx", c->name,
			       c->platform);
	if (c->policy.kind == VERSIONS_SPECIFIC && c->policy.count == 0)
		return err_set(err, ERR_INVALID, "model '%s' names no specific versions", c->name);
	r = model_weights_check(c->weights, c->weight_count, err);
	return r < 0 ? err_wrap(err, "model '%s'", c->name) : 0;
}

int model_config_check(const struct model_config_list *l, struct err *err)
{
	CLEANUP(map) struct map *seen = map_new(NULL);
	int r;

	for (size_t i = 0; i < l->count; i++) {
		const struct model_config *c = l->items[i];
		if (!*c->name)
			return err_set(err, ERR_INVALID, "model %zu of the list has no name", i + 1);
		if (map_get(seen, c->name))
			return err_set(err, ERR_INVALID, "two models are named '%s'", c->name);
		map_set(seen, c->name, l->items[i]);
		r = check_one(c, err);
		if (r < 0)
			return r;
	}
	return 0;
}
