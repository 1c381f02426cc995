/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations and folders: what becomes wanted, and when a new configuration is in force. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "serving/model_life_int.h"
#include "serving/text_proto.h"

#define NS_PER_S 1000000000LL
#define GONE_MODELS_MAX 1000 /* remembered for status requests */

static void wake_event(struct loop_source *s, uint32_t events)
{
	worker_pool_finish(CONTAINER_OF(s, struct worker_pool, wake));
}

static void start_scan(struct model_life *l);
static void poll_due(struct loop_timer *t);
static void config_poll_due(struct loop_timer *t);

int model_life_new(struct server *s, struct model_life **ret, struct err *err)
{
	const struct serving_options *o = s->options;
	struct model_life *l = MEM_NEW(struct model_life);
	int r;

	l->server = s;
	l->registry = &s->registry;
	l->runtime = (struct runtime_options){.path = o->runtime_path,
					      .cuda = o->onnx_cuda,
					      .cuda_device = o->onnx_cuda_device,
					      .threads = o->threads,
					      .inter_threads = o->inter_threads,
					      .python_processes = o->python_processes,
					      .python_ring_bytes = o->python_ring_bytes,
					      .python_timeout_ms = o->python_timeout_ms};
	l->poll.on_timer = poll_due;
	l->config_poll.on_timer = config_poll_due;
	list_init(&l->reloads);
	r = worker_pool_init(&l->pool, o->load_threads > 0 ? o->load_threads : 1, err);
	if (r >= 0) {
		l->pool.wake.on_event = wake_event;
		r = server_loop_add(s->loop, &l->pool.wake, EPOLLIN, err);
		if (r < 0)
			worker_pool_done(&l->pool);
	}
	if (r < 0) {
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

static void scan_free(struct scan *s)
{
	for (size_t i = 0; i < s->count; i++)
		scan_item_done(&s->items[i]);
	free(s->items);
	free(s);
}

static void drop_runtime(struct runtime_model **m)
{
	if (*m)
		(*m)->ops->unload(*m);
	*m = NULL;
}

static void forget_versions(struct model_life *l)
{
	const char *name;
	void *value;

	for (size_t i = 0; map_next(l->registry->models, &i, &name, &value);) {
		struct model *m = value;
		for (size_t k = 0; k < m->version_count; k++) {
			struct model_version *v = m->versions[k];
			server_loop_timer_stop(l->server->loop, &v->retry);
			drop_runtime(&v->loaded);
			drop_runtime(&v->leaving);
			v->life = NULL;
		}
	}
}

static void reload_end(struct reload *r, const struct err *err)
{
	list_remove(&r->node);
	model_config_list_free(STEAL(r->config));
	r->done(r, err);
}

void model_life_free(struct model_life *l)
{
	struct err ended = {.code = ERR_CANCELLED, .msg = "the server ends"};

	if (!l)
		return;
	server_loop_timer_stop(l->server->loop, &l->poll);
	server_loop_timer_stop(l->server->loop, &l->config_poll);
	server_loop_remove(l->server->loop, &l->pool.wake);
	worker_pool_done(&l->pool);
	forget_versions(l);
	while (!list_empty(&l->reloads))
		reload_end(LIST_ENTRY(l->reloads.next, struct reload, node), &ended);
	if (l->scan)
		scan_free(l->scan);
	buf_done(&l->config_text);
	buf_done(&l->config_read.text);
	free(l);
}

static void remember_text(struct model_life *l, struct buf *takes)
{
	buf_done(&l->config_text);
	l->config_text = *takes;
	*takes = BUF_INIT;
}

int model_life_configured(struct model_life *l, struct model_config_list **ret, struct err *err)
{
	const struct serving_options *o = l->server->options;
	CLEANUP(model_config_list) struct model_config_list *list = model_config_list_new();
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct model_config *c;
	int r;

	if (o->model_config_file) {
		r = fd_read_file(AT_FDCWD, o->model_config_file, TEXT_PROTO_BYTES_MAX, &text, err);
		if (r >= 0) {
			r = model_config_read_text((struct str){buf_str(&text), text.len}, list, err);
			if (r < 0) /* the words that scripts know from the original */
				err_wrap(err,
					 "Error parsing text-format tensorflow.serving.ModelServerConfig");
		}
		if (r < 0)
			return err_wrap(err, "configuration of models '%s'", o->model_config_file);
	} else {
		c = model_config_add(list, err);
		c->name = o->model_name;
		c->base_path = o->model_base_path;
		if (o->model_version >= 0)
			c->policy = (struct version_policy){VERSIONS_SPECIFIC, 1, 1, {o->model_version}};
		r = model_config_check(list, err);
		if (r < 0)
			return r;
	}
	*ret = STEAL(list);
	return 0;
}

/* Models that left the configuration and memory are remembered for a while, but not without end. */
static void forget_models(struct model_life *l)
{
	size_t gone = 0;
	const char *name;
	void *value;

	for (size_t i = 0; map_next(l->registry->models, &i, &name, &value);)
		gone += !((struct model *)value)->listed;
	for (size_t i = 0; gone > GONE_MODELS_MAX && map_next(l->registry->models, &i, &name, &value);) {
		struct model *m = value;
		bool ended = !m->listed;
		for (size_t k = 0; k < m->version_count; k++)
			ended &= m->versions[k]->state == VERSION_END && m->versions[k]->refs == 1;
		if (ended) {
			registry_remove(l->registry, m);
			gone--;
		}
	}
}

static void unlist_all(struct model_life *l)
{
	const char *name;
	void *value;

	for (size_t i = 0; map_next(l->registry->models, &i, &name, &value);)
		((struct model *)value)->listed = false;
}

static void list_model(struct model_life *l, const struct model_config *c)
{
	struct model *m = registry_add(l->registry, c->name);

	m->listed = true;
	m->scanned = false;
	m->folder_time_ns = 0;
	m->policy = c->policy;
	m->err = ERR_INIT;
	free(m->base_path);
	m->base_path = mem_strdup(c->base_path);
}

static void drop_unlisted(struct model_life *l)
{
	const char *name;
	void *value;

	for (size_t i = 0; map_next(l->registry->models, &i, &name, &value);) {
		struct model *m = value;
		if (m->listed)
			continue;
		for (size_t k = 0; k < m->version_count; k++)
			m->versions[k]->wanted = false;
		model_set_labels(m, NULL, 0, true, NULL);
		model_set_weights(m, NULL, 0, NULL);
		model_reconcile(l, m);
	}
}

static void begin_reload(struct model_life *l)
{
	struct reload *r = LIST_ENTRY(l->reloads.next, struct reload, node);

	if (r->prepare)
		r->prepare(r);
	l->generation++;
	unlist_all(l);
	for (size_t i = 0; i < r->config->count; i++)
		list_model(l, r->config->items[i]);
	drop_unlisted(l);
	forget_models(l);
	start_scan(l);
}

void model_life_reload(struct model_life *l, struct reload *r)
{
	bool first = list_empty(&l->reloads);

	r->scanned = false;
	list_append(&l->reloads, &r->node);
	if (first)
		begin_reload(l);
}

/* 1: the model can serve or never will, *err says why; 0: versions are on their way. */
static int model_has_settled(const struct model *m, bool impatient, struct err *err)
{
	const struct model_version *failed = NULL;
	bool can_serve = false;

	for (size_t i = 0; i < m->version_count; i++) {
		const struct model_version *v = m->versions[i];
		if (!v->wanted)
			continue;
		can_serve |= v->state == VERSION_AVAILABLE || v->parked;
		bool over = v->state == VERSION_END || (impatient && v->state != VERSION_AVAILABLE);
		if (over && v->err.code)
			failed = failed ? failed : v;
		else if (v->state != VERSION_AVAILABLE && !v->parked)
			return 0;
	}
	if (can_serve)
		return 1;
	*err = failed ? failed->err : m->err;
	if (err->code == 0)
		err_set(err, ERR_NOT_FOUND, "no version can serve");
	err_wrap(err, "model '%.100s'", m->name);
	return 1;
}

static void apply_labels(struct model_life *l, const struct model_config *c, struct err *err)
{
	struct model *m = registry_find(l->registry, str_from(c->name));
	struct err why = ERR_INIT;

	model_set_labels(m, c->labels, c->label_count, l->server->options->labels_before_versions, &why);
	if (why.code == 0)
		model_set_weights(m, c->weights, c->weight_count, &why);
	if (why.code && err->code == 0)
		*err = why;
}

void model_reload_check(struct model_life *l)
{
	struct reload *r = list_empty(&l->reloads) ? NULL : LIST_ENTRY(l->reloads.next, struct reload, node);
	struct err first = ERR_INIT;

	if (!r || !r->scanned)
		return;
	for (size_t i = 0; i < r->config->count; i++) {
		struct err err = ERR_INIT;
		if (model_has_settled(registry_find(l->registry, str_from(r->config->items[i]->name)),
				      r->impatient, &err) == 0)
			return;
		if (err.code && first.code == 0)
			first = err;
	}
	for (size_t i = 0; i < r->config->count; i++)
		apply_labels(l, r->config->items[i], &first);
	reload_end(r, &first);
	if (!list_empty(&l->reloads))
		begin_reload(l);
}

/* A version that was found again: one whose load failed is worth another try when its files have changed. */
static void found_again(struct model_version *v, const struct scan_version *f)
{
	if (v->state != VERSION_END && v->state != VERSION_START)
		return;
	if (strcmp(v->path, f->path) != 0) {
		free(v->path);
		v->path = mem_strdup(f->path);
	}
	if (v->print != f->print)
		v->err = ERR_INIT;
	v->found_print = f->print;
	v->bytes = f->bytes;
}

static void apply_found(struct model_life *l, struct model *m, const struct scan_item *item)
{
	for (size_t i = 0; i < m->version_count; i++)
		m->versions[i]->wanted = false;
	for (size_t i = 0; i < item->count; i++) {
		const struct scan_version *f = &item->versions[i];
		struct model_version *v = model_find_version(m, f->number);
		if (v) {
			found_again(v, f);
		} else {
			v = model_add_version(m, f->number, f->path);
			if (!v) {
				log_warn("model.too_many_versions model=%s version=%lld", m->name,
					 (long long)f->number);
				continue;
			}
			v->life = l;
			v->bytes = f->bytes;
			v->found_print = f->print;
			log_info("model.found model=%s version=%lld path=%s", m->name, (long long)f->number,
				 f->path);
		}
		v->wanted = true;
	}
}

static bool has_failed(const struct model *m)
{
	for (size_t i = 0; i < m->version_count; i++)
		if (m->versions[i]->wanted && m->versions[i]->err.code)
			return true;
	return false;
}

static void apply_item(struct model_life *l, const struct scan_item *item)
{
	struct model *m = registry_find(l->registry, str_from(item->name));

	if (!m || !m->listed || item->unchanged)
		return;
	m->scanned = true;
	if (item->err.code) { /* what serves goes on serving */
		if (m->err.code == 0)
			log_warn("model.not_found model=%s error=%s", m->name, item->err.msg);
		m->err = item->err;
		m->folder_time_ns = 0;
		return;
	}
	m->err = ERR_INIT;
	m->folder_time_ns = item->folder_time_ns;
	apply_found(l, m, item);
	model_reconcile(l, m);
}

static void scan_run(struct loop_job *j)
{
	struct scan *s = CONTAINER_OF(j, struct scan, job);

	for (size_t i = 0; i < s->count; i++)
		model_scan(&s->items[i]);
}

static void scan_done(struct loop_job *j)
{
	struct scan *s = CONTAINER_OF(j, struct scan, job);
	struct model_life *l = s->life;
	bool current = s->generation == l->generation;

	l->scan = NULL;
	for (size_t i = 0; current && i < s->count; i++)
		apply_item(l, &s->items[i]);
	scan_free(s);
	if (current && !list_empty(&l->reloads))
		LIST_ENTRY(l->reloads.next, struct reload, node)->scanned = true;
	if (l->scan_again)
		start_scan(l);
	if (l->polling && l->server->options->folder_poll_s > 0)
		server_loop_timer_start(l->server->loop, &l->poll,
					clock_monotonic_ns() + l->server->options->folder_poll_s * NS_PER_S);
	model_reload_check(l);
}

static void start_scan(struct model_life *l)
{
	size_t cap = map_count(l->registry->models);
	const char *name;
	struct scan *s;
	void *value;

	l->scan_again = l->scan != NULL;
	if (l->scan)
		return;
	s = MEM_NEW(struct scan);
	s->life = l;
	s->generation = l->generation;
	s->items = mem_alloc((cap ? cap : 1) * sizeof(*s->items));
	for (size_t i = 0; map_next(l->registry->models, &i, &name, &value);) {
		const struct model *m = value;
		if (!m->listed)
			continue;
		s->items[s->count++] =
		    (struct scan_item){.name = mem_strdup(m->name),
				       .base_path = mem_strdup(m->base_path),
				       .policy = m->policy,
				       .folder_time_ns = has_failed(m) ? 0 : m->folder_time_ns};
	}
	s->job.run = scan_run;
	s->job.done = scan_done;
	l->scan = s;
	worker_pool_submit(&l->pool, &s->job);
}

static void poll_due(struct loop_timer *t)
{
	start_scan(CONTAINER_OF(t, struct model_life, poll));
}

struct file_reload {
	struct reload reload;
	struct model_life *life;
};

static void file_reload_done(struct reload *r, const struct err *err)
{
	if (err->code)
		log_warn("config.reload_failed error=%s", err->msg);
	else
		log_info("config.reloaded");
	free(CONTAINER_OF(r, struct file_reload, reload));
}

static void reload_text(struct model_life *l, struct str text)
{
	CLEANUP(model_config_list) struct model_config_list *config = model_config_list_new();
	struct err err = ERR_INIT;

	if (model_config_read_text(text, config, &err) < 0) {
		log_warn("config.refused file=%s error=%s", l->server->options->model_config_file, err.msg);
		return;
	}
	struct file_reload *f = MEM_NEW(struct file_reload);
	f->life = l;
	f->reload.config = STEAL(config);
	f->reload.done = file_reload_done;
	model_life_reload(l, &f->reload);
}

static void config_read_run(struct loop_job *j)
{
	struct config_read *c = CONTAINER_OF(j, struct config_read, job);
	struct model_life *l = CONTAINER_OF(c, struct model_life, config_read);

	fd_read_file(AT_FDCWD, l->server->options->model_config_file, TEXT_PROTO_BYTES_MAX, &c->text,
		     &c->err);
}

static void config_read_done(struct loop_job *j)
{
	struct config_read *c = CONTAINER_OF(j, struct config_read, job);
	struct model_life *l = CONTAINER_OF(c, struct model_life, config_read);
	bool same = c->text.len == l->config_text.len &&
		    (c->text.len == 0 || memcmp(c->text.data, l->config_text.data, c->text.len) == 0);

	if (c->err.code) {
		log_warn("config.unreadable error=%s", c->err.msg);
	} else if (!same) {
		remember_text(l, &c->text);
		reload_text(l, (struct str){buf_str(&l->config_text), l->config_text.len});
	}
	buf_done(&c->text);
	c->err = ERR_INIT;
	server_loop_timer_start(l->server->loop, &l->config_poll,
				clock_monotonic_ns() + l->server->options->model_config_poll_s * NS_PER_S);
}

static void config_poll_due(struct loop_timer *t)
{
	struct model_life *l = CONTAINER_OF(t, struct model_life, config_poll);

	l->config_read.job.run = config_read_run;
	l->config_read.job.done = config_read_done;
	worker_pool_submit(&l->pool, &l->config_read.job);
}

void model_life_poll(struct model_life *l)
{
	const struct serving_options *o = l->server->options;

	l->polling = true;
	if (o->folder_poll_s > 0 && !l->scan)
		server_loop_timer_start(l->server->loop, &l->poll,
					clock_monotonic_ns() + o->folder_poll_s * NS_PER_S);
	if (o->model_config_file && o->model_config_poll_s > 0)
		server_loop_timer_start(l->server->loop, &l->config_poll,
					clock_monotonic_ns() + o->model_config_poll_s * NS_PER_S);
}
