/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and unloading of single models: a new list of all models, with or without that one. */
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "serving/model_life.h"
#include "serving/oip_repository.h"

struct change {
	struct reload reload;
	struct server *server;
	char *name;
	bool load;
	struct err err; /* why the list was not changed */
	void (*done)(void *arg, const struct err *err);
	void *arg;
};

/* A configuration like the one that the model has now. */
static int add_as_it_is(struct model_config_list *list, const struct model *m, struct err *err)
{
	struct model_config *c = model_config_add(list, err);

	if (!c)
		return -err->code;
	c->name = arena_strndup(&list->arena, m->name, strlen(m->name));
	c->base_path = arena_strndup(&list->arena, m->base_path, strlen(m->base_path));
	if (!c->name || !c->base_path)
		return err_set(err, ERR_TOO_LARGE, "the list of models is too large");
	c->policy = m->policy;
	c->label_count = m->label_count;
	for (size_t i = 0; i < m->label_count; i++) {
		const char *label = m->labels[i].name;
		c->labels[i] = (struct model_label){arena_strndup(&list->arena, label, strlen(label)),
						    m->labels[i].version};
		if (!c->labels[i].name)
			return err_set(err, ERR_TOO_LARGE, "the list of models is too large");
	}
	c->weight_count = m->weight_count;
	memcpy(c->weights, m->weights, sizeof(c->weights));
	return 0;
}

/* The model as the options or the file of models have it; false when they do not. */
static bool add_as_configured(struct server *s, struct model_config_list *list, const char *name)
{
	CLEANUP(model_config_list) struct model_config_list *configured = NULL;
	struct err err = ERR_INIT;
	struct model_config *c;

	if (model_life_configured(s->life, &configured, &err) < 0) {
		log_warn("model.configuration error=%s", err.msg);
		return false;
	}
	for (size_t i = 0; i < configured->count; i++) {
		const struct model_config *from = configured->items[i];
		if (strcmp(from->name, name) != 0)
			continue;
		c = model_config_add(list, &err);
		if (!c)
			return false;
		*c = *from;
		c->name = arena_strndup(&list->arena, from->name, strlen(from->name));
		c->base_path = arena_strndup(&list->arena, from->base_path, strlen(from->base_path));
		for (size_t k = 0; k < c->label_count; k++)
			c->labels[k].name =
			    arena_strndup(&list->arena, from->labels[k].name, strlen(from->labels[k].name));
		return true;
	}
	return false;
}

/* All models that are listed, but for the one that goes. */
static int list_others(const struct registry *r, const struct change *c, struct model_config_list *list,
		       struct err *err)
{
	const char *name;
	void *value;
	int rc = 0;

	for (size_t i = 0; rc >= 0 && map_next(r->models, &i, &name, &value);) {
		const struct model *m = value;
		if (m->listed && (c->load || strcmp(m->name, c->name) != 0))
			rc = add_as_it_is(list, m, err);
	}
	return rc;
}

static int make_list(struct change *c, struct model_config_list *list, struct err *err)
{
	const struct model *m = registry_find(&c->server->registry, str_from(c->name));
	bool listed = m && m->listed;
	int r = list_others(&c->server->registry, c, list, err);

	if (r < 0)
		return r;
	if (!c->load && !listed)
		return err_set(err, ERR_NOT_FOUND, "model '%.200s' is not loaded", c->name);
	if (!c->load || listed || add_as_configured(c->server, list, c->name))
		return 0;
	if (m && m->base_path)
		return add_as_it_is(list, m, err);
	return err_set(err, ERR_NOT_FOUND, "model '%.200s' is not found: no configuration names it", c->name);
}

/* Its turn has come: what the reloads before have listed is known now. When the change is impossible the list
 * stays as it is. */
static void prepare(struct reload *r)
{
	struct change *c = CONTAINER_OF(r, struct change, reload);
	struct err err = ERR_INIT;

	r->config = model_config_list_new();
	if (make_list(c, r->config, &c->err) >= 0)
		return;
	model_config_list_free(r->config);
	r->config = model_config_list_new();
	c->load = true; /* nobody leaves */
	if (list_others(&c->server->registry, c, r->config, &err) < 0)
		log_warn("model.list error=%s", err.msg);
}

/* Why a version that should serve does not, though others of the model may. */
static int failed_version(const struct change *c, struct err *err)
{
	const struct model *m = registry_find(&c->server->registry, str_from(c->name));

	for (size_t i = 0; m && i < m->version_count; i++) {
		const struct model_version *v = m->versions[i];
		if (!v->wanted || v->state == VERSION_AVAILABLE || v->err.code == 0)
			continue;
		*err = v->err;
		return err_wrap(err, "version %lld of model '%.100s'", (long long)v->number, m->name);
	}
	return 0;
}

static void changed(struct reload *r, const struct err *err)
{
	struct change *c = CONTAINER_OF(r, struct change, reload);
	struct model_spec spec = {.name = str_from(c->name)};
	struct server *s = c->server;
	struct err why = c->err;

	if (why.code == 0 && err->code == ERR_CANCELLED)
		why = *err;
	/* The error of the list may be another model's. */
	if (why.code == 0 && c->load && failed_version(c, &why) >= 0 && oip_model_ready(s, &spec, &why) < 0 &&
	    err->code)
		why = *err;
	log_info("model.%s model=%s error=%s", c->load ? "load" : "unload", c->name,
		 why.code ? why.msg : "none");
	c->done(c->arg, &why);
	free(c->name);
	free(c);
	server_call_end(s);
}

void oip_repository_change(struct server *s, const struct oip_change *change,
			   void (*done)(void *arg, const struct err *err), void *arg)
{
	struct change *c = MEM_NEW(struct change);

	*c = (struct change){.server = s, .load = change->load, .done = done, .arg = arg};
	c->name = mem_strndup(change->name.data, change->name.len);
	c->reload.prepare = prepare;
	c->reload.done = changed;
	c->reload.impatient = true;
	server_call_begin(s);
	model_life_reload(s->life, &c->reload);
}
