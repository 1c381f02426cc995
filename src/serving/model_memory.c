/* SPDX-License-Identifier: Apache-2.0 */
/* The memory that models may take together: by the size of their files. Who was unused for longest goes. */
#include "base/log.h"
#include "serving/model_life_int.h"

struct use {
	int64_t staying, leaving;
	struct model_version *oldest; /* that may go */
};

static bool has_other_available(const struct model_version *v)
{
	for (size_t i = 0; i < v->model->version_count; i++)
		if (v->model->versions[i] != v && v->model->versions[i]->state == VERSION_AVAILABLE)
			return true;
	return false;
}

static struct use measure(const struct registry *r, const struct model_version *for_whom)
{
	struct use u = {0};
	const char *name;
	void *value;

	for (size_t i = 0; map_next(r->models, &i, &name, &value);) {
		struct model *m = value;
		for (size_t k = 0; k < m->version_count; k++) {
			struct model_version *v = m->versions[k];
			if (v->state == VERSION_AVAILABLE || v->state == VERSION_LOADING)
				u.staying += v->bytes;
			else if (v->state == VERSION_UNLOADING)
				u.leaving += v->bytes;
			if (v->state == VERSION_AVAILABLE && v->wanted && m != for_whom->model &&
			    (!u.oldest || v->used < u.oldest->used))
				u.oldest = v;
		}
	}
	return u;
}

static void evict_version(struct model_version *v)
{
	log_info("model.evict model=%s version=%lld bytes=%lld", v->model_name, (long long)v->number,
		 (long long)v->bytes);
	v->parked = true;
	model_version_move(v, VERSION_UNLOADING);
	if (v->refs == 1)
		model_life_unused(v);
}

int model_memory_make(struct model_life *l, struct model_version *v, bool evict, struct err *err)
{
	int64_t budget = l->server->options->model_memory_bytes;
	struct use u;

	if (budget == 0)
		return 1;
	if (v->bytes > budget)
		return err_set(err, ERR_LIMIT,
			       "version %lld of model '%.200s' has %lld bytes, all models may have %lld",
			       (long long)v->number, v->model_name, (long long)v->bytes, (long long)budget);
	for (u = measure(l->registry, v); evict && u.staying + v->bytes > budget && u.oldest;
	     u = measure(l->registry, v))
		evict_version(u.oldest);
	if (u.staying + u.leaving + v->bytes <= budget)
		return 1;
	/* While a version replaces another one of its model both are there for a moment. */
	return u.leaving == 0 && evict && has_other_available(v);
}
