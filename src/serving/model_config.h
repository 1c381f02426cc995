/* SPDX-License-Identifier: Apache-2.0 */
/* Which models are served: tensorflow.serving.ModelServerConfig, from text or from its wire format.
 *
 * One extension of ours: 'version_weights { key: VERSION value: PER_MILLE }', a map like version_labels,
 * field 1000 on the wire. */
#ifndef SERVING_MODEL_CONFIG_H
#define SERVING_MODEL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define MODEL_CONFIGS_MAX 10000
#define MODEL_CONFIG_MEMORY_MAX ((size_t)64 << 20)
#define MODEL_NAME_MAX 512
#define MODEL_PATH_MAX 4000
#define MODEL_LABEL_MAX 256   /* bytes of one */
#define MODEL_LABELS_MAX 64   /* of one model */
#define MODEL_VERSIONS_MAX 64 /* of one model, loaded or remembered */
#define MODEL_WEIGHTS_SUM 1000

enum version_policy_kind { VERSIONS_LATEST, VERSIONS_ALL, VERSIONS_SPECIFIC };

struct version_policy {
	enum version_policy_kind kind;
	int64_t latest; /* how many, newest first */
	size_t count;	/* of the specific ones */
	int64_t versions[MODEL_VERSIONS_MAX];
};
struct model_label {
	const char *name;
	int64_t version;
};
struct model_weight {
	int64_t version;
	int per_mille;
};
struct model_config {
	const char *name, *base_path, *platform;
	struct version_policy policy;
	size_t label_count, weight_count;
	struct model_label labels[MODEL_LABELS_MAX];
	struct model_weight weights[MODEL_VERSIONS_MAX];
};

/* Everything lies in the arena. */
struct model_config_list {
	struct arena arena;
	size_t count, cap;
	struct model_config **items;
};

struct model_config_list *model_config_list_new(void);
void model_config_list_free(struct model_config_list *l); /* NULL is fine */
static inline void cleanup_model_config_list(struct model_config_list **l)
{
	model_config_list_free(*l);
}
/* A new last item with the default policy: the latest version. NULL past the limits. */
struct model_config *model_config_add(struct model_config_list *l, struct err *err);

/* Both append to an empty list and check it whole: names given and different, folders given, weights that sum
 * up to MODEL_WEIGHTS_SUM. ERR_INVALID, ERR_UNSUPPORTED (custom configurations, platforms), ERR_TOO_LARGE. */
int model_config_read_text(struct str text, struct model_config_list *l, struct err *err);
int model_config_read_pb(struct str message, struct model_config_list *l, struct err *err);
/* What a list must fulfil, whatever it came from. */
int model_config_check(const struct model_config_list *l, struct err *err);
int model_weights_check(const struct model_weight *weights, size_t count, struct err *err);

#endif
