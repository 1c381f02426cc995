/* SPDX-License-Identifier: Apache-2.0 */
/* The people of a simulation: requests, and waiting for their answers under virtual time. */
#include <stdio.h>
#include <stdlib.h>
#include "base/digest.h"
#include "base/mem.h"
#include "sim/sim.h"

void sim_principal(struct principal *ret, const char *org, enum role role)
{
	*ret = (struct principal){.role = role};
	snprintf(ret->org, sizeof(ret->org), "%s", org ? org : "default");
	snprintf(ret->user, sizeof(ret->user), "ada");
}

void sim_plan_set(struct sim *s, const char *name, struct sim_plan plan)
{
	struct sim_plan *copy = MEM_NEW(struct sim_plan);
	*copy = plan;
	map_set(s->plans, name, copy);
}

void sim_on_result(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct sim_request *q = arg;
	assert_false(q->is_done);
	q->is_done = true;
	if (sim_is_doomed()) {
		err_set(&q->err, ERR_CANCELLED, "the server died before it answered");
		return;
	}
	q->err = *err;
	q->replayed = result->replayed;
	assert_int_equal(err->code == 0, result->job != NULL || result->service != NULL);
	if (result->job) {
		snprintf(q->id, sizeof(q->id), "%s", result->job->id);
		snprintf(q->reason, sizeof(q->reason), "%s", result->job->reason);
		snprintf(q->message, sizeof(q->message), "%s", result->job->message);
		q->state = (int)result->job->state;
		q->attempt = result->job->attempt;
	} else if (result->service) {
		snprintf(q->id, sizeof(q->id), "%s", result->service->id);
		snprintf(q->reason, sizeof(q->reason), "%s", result->service->reason);
		snprintf(q->message, sizeof(q->message), "%s", result->service->message);
		q->state = (int)result->service->state;
		q->attempt = result->service->attempt;
		q->revision = result->service->revision;
		q->update = result->service->update.state;
		q->ready = service_ready_count(result->service);
		q->count = result->service->replica_count;
	}
}

static void wait_for(struct sim *s, struct sim_request *q)
{
	for (int i = 0; i < 100000 && !q->is_done; i++)
		sim_step(s);
	assert_true(q->is_done);
}

static void on_forgotten(void *arg, const struct ctl_result *result, const struct err *err)
{
}

/* The fields that a story sets and struct sim_submit_options has no room for. */
static void take_more(struct job_spec *spec, const char *more)
{
	struct err err = ERR_INIT;
	if (!more)
		return;
	CLEANUP(json) json_t *whole = job_spec_format(spec), *fields = json_loads(more, 0, NULL);
	assert_non_null(fields);
	json_object_update(whole, fields);
	job_spec_done(spec);
	job_spec_init(spec);
	EXPECT_OK(job_spec_parse(whole, spec, &err), &err);
}

void sim_submit_begin(struct sim *s, const char *name, struct sim_submit_options o, struct sim_request *ret)
{
	struct principal who;
	struct job_spec spec;
	char body[DIGEST_HEX_LEN + 1];
	char *command[] = {(char *)"workload", (char *)name, NULL};
	sim_principal(&who, o.org, o.role);
	job_spec_init(&spec);
	free(spec.name);
	spec.name = mem_strdup(name);
	if (o.framework) {
		free(spec.framework);
		spec.framework = mem_strdup(o.framework);
	}
	if (o.package)
		spec.package = mem_strdup(o.package);
	strings_free(spec.command);
	spec.command = strings_copy(command);
	spec.limits = (struct resources){o.cpu_milli ? o.cpu_milli : 1000,
					 o.memory_bytes ? o.memory_bytes : GIB, o.gpu};
	spec.priority = o.priority ? o.priority : 50;
	spec.max_retries = o.max_retries;
	spec.tasks = o.tasks ? o.tasks : 1;
	spec.max_duration_ms = o.max_duration_ms;
	digest_of(o.body ? o.body : name, strlen(o.body ? o.body : name), body);
	struct ctl_idempotency idem = {.key = o.key, .body_sha256 = body};
	take_more(&spec, o.more);
	*ret = (struct sim_request){0};
	ctl_job_submit(s->ctl, &who, &spec, &idem, sim_on_result, ret);
	job_spec_done(&spec);
}

struct sim_request sim_submit_with(struct sim *s, const char *name, struct sim_submit_options o)
{
	struct sim_request q;
	sim_submit_begin(s, name, o, &q);
	wait_for(s, &q);
	return q;
}

typedef void call_fn(struct ctl *c, const struct principal *who, const char *id, ctl_done_fn *done,
		     void *arg);

static struct sim_request call(struct sim *s, call_fn *fn, const char *org, const char *id)
{
	struct principal who;
	struct sim_request q = {0};
	sim_principal(&who, org, ROLE_MEMBER);
	fn(s->ctl, &who, id, sim_on_result, &q);
	wait_for(s, &q);
	return q;
}

static void call_begin(struct sim *s, call_fn *fn, const char *org, const char *id)
{
	struct principal who;
	sim_principal(&who, org, ROLE_MEMBER);
	fn(s->ctl, &who, id, on_forgotten, NULL);
}

struct sim_request sim_get(struct sim *s, const char *org, const char *id)
{
	return call(s, ctl_job_get, org, id);
}

static void cancel(struct ctl *c, const struct principal *who, const char *id, ctl_done_fn *done, void *arg)
{
	ctl_job_cancel(c, who, id, NULL, done, arg);
}

static void delete (struct ctl *c, const struct principal *who, const char *id, ctl_done_fn *done, void *arg)
{
	ctl_job_delete(c, who, id, NULL, done, arg);
}

struct sim_request sim_cancel(struct sim *s, const char *org, const char *id)
{
	return call(s, cancel, org, id);
}

struct sim_request sim_delete(struct sim *s, const char *org, const char *id)
{
	struct sim_request q = call(s, delete, org, id);
	struct sim_told *told = q.err.code ? NULL : map_get(s->told, q.id);
	if (told)
		told->is_deleted = true;
	return q;
}

void sim_cancel_begin(struct sim *s, const char *org, const char *id)
{
	call_begin(s, cancel, org, id);
}

static void model_spec(const struct principal *who, const char *name, struct service_spec *spec)
{
	service_spec_init(spec);
	free(spec->name);
	spec->name = mem_strdup(name);
	spec->uri = mem_printf("fds://%s/models/%s/", who->org, name);
	spec->limits = (struct resources){1000, GIB, 0};
}

static void model_wish(struct service_spec *spec, struct sim_model_wish w)
{
	spec->replicas = w.replicas ? w.replicas : spec->replicas;
	spec->model_version = w.version ? w.version : spec->model_version;
	spec->startup_grace_ms = w.grace_ms ? w.grace_ms : spec->startup_grace_ms;
	if (!w.weights)
		return;
	free(spec->weights);
	spec->weights = mem_strdup(w.weights);
}

static void model_create(struct sim *s, const char *org, const char *name, int64_t replicas,
			 ctl_done_fn *done, void *arg)
{
	struct principal who;
	struct service_spec spec;
	sim_principal(&who, org, ROLE_MEMBER);
	model_spec(&who, name, &spec);
	spec.replicas = replicas;
	ctl_service_create(s->ctl, &who, SERVICE_MODEL, &spec, NULL, done, arg);
	service_spec_done(&spec);
}

struct sim_request sim_model_create(struct sim *s, const char *org, const char *name)
{
	struct sim_request q = {0};
	model_create(s, org, name, 1, sim_on_result, &q);
	wait_for(s, &q);
	return q;
}

void sim_model_create_begin(struct sim *s, const char *org, const char *name)
{
	model_create(s, org, name, 1 + (int64_t)rng_below(&s->world, 3), on_forgotten, NULL);
}

struct sim_request sim_model_create_with(struct sim *s, const char *name, struct sim_model_wish w)
{
	struct principal who;
	struct service_spec spec;
	struct sim_request q = {0};
	sim_principal(&who, NULL, ROLE_MEMBER);
	model_spec(&who, name, &spec);
	model_wish(&spec, w);
	ctl_service_create(s->ctl, &who, SERVICE_MODEL, &spec, NULL, sim_on_result, &q);
	service_spec_done(&spec);
	wait_for(s, &q);
	return q;
}

struct spec_request {
	struct sim_request q;
	struct service_spec spec;
};

static void on_spec(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct spec_request *a = arg;
	if (result->service)
		service_spec_copy(&result->service->spec, &a->spec);
	sim_on_result(&a->q, result, err);
}

struct sim_request sim_model_update_with(struct sim *s, const char *name, struct sim_model_wish w)
{
	struct principal who;
	struct spec_request a = {0};
	struct sim_request q = {0};
	sim_principal(&who, NULL, ROLE_MEMBER);
	service_spec_init(&a.spec);
	ctl_service_get(s->ctl, &who, SERVICE_MODEL, name, on_spec, &a);
	wait_for(s, &a.q);
	model_wish(&a.spec, w);
	ctl_service_update(s->ctl, &who, name, &a.spec, a.q.revision, NULL, sim_on_result, &q);
	service_spec_done(&a.spec);
	wait_for(s, &q);
	return q;
}

void sim_model_update_begin(struct sim *s, const char *name, int64_t replicas, int64_t version)
{
	struct principal who;
	struct service_spec spec;
	sim_principal(&who, NULL, ROLE_MEMBER);
	model_spec(&who, name, &spec);
	model_wish(&spec, (struct sim_model_wish){.replicas = replicas, .version = version});
	ctl_service_update(s->ctl, &who, name, &spec, 1 + (int64_t)rng_below(&s->world, 2), NULL,
			   on_forgotten, NULL);
	service_spec_done(&spec);
}

struct sim_request sim_until_updated(struct sim *s, const char *name, size_t *ret_fewest)
{
	int64_t end = s->now_ms + 3600 * SEC;
	struct sim_request q;
	*ret_fewest = sim_serving(s);
	while ((q = sim_model_get(s, NULL, name, NULL)).update == UPDATE_ROLLING && s->now_ms < end) {
		sim_step(s);
		size_t serving = sim_serving(s);
		*ret_fewest = serving < *ret_fewest ? serving : *ret_fewest;
	}
	return q;
}

static void model_delete(struct ctl *c, const struct principal *who, const char *name, ctl_done_fn *done,
			 void *arg)
{
	ctl_service_delete(c, who, SERVICE_MODEL, name, NULL, done, arg);
}

struct sim_request sim_model_delete(struct sim *s, const char *org, const char *name)
{
	return call(s, model_delete, org, name);
}

void sim_model_delete_begin(struct sim *s, const char *org, const char *name)
{
	call_begin(s, model_delete, org, name);
}

struct address_request {
	struct sim_request q;
	char *ret;
};

static void on_address(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct address_request *a = arg;
	if (result->service)
		snprintf(a->ret, 64, "%s", result->service->address);
	sim_on_result(&a->q, result, err);
}

struct sim_request sim_model_get(struct sim *s, const char *org, const char *name, char ret_address[64])
{
	struct principal who;
	char ignored[64];
	struct address_request a = {.ret = ret_address ? ret_address : ignored};
	a.ret[0] = 0;
	sim_principal(&who, org, ROLE_MEMBER);
	ctl_service_get(s->ctl, &who, SERVICE_MODEL, name, on_address, &a);
	wait_for(s, &a.q);
	return a.q;
}

void sim_until_state(struct sim *s, const char *name, enum job_state state)
{
	int64_t end = s->now_ms + 3600 * SEC;
	struct sim_request q;
	while ((q = sim_get(s, "default", name)).state != (int)state && s->now_ms < end &&
	       !job_state_is_terminal((enum job_state)q.state))
		sim_step(s);
	EXPECT_STR(name, job_state_word((enum job_state)q.state), job_state_word(state));
}

void sim_until_model(struct sim *s, const char *name, enum service_state state)
{
	int64_t end = s->now_ms + 3600 * SEC;
	struct sim_request q;
	while ((q = sim_model_get(s, "default", name, NULL)).state != (int)state && s->now_ms < end)
		sim_step(s);
	EXPECT_STR(name, service_state_word((enum service_state)q.state), service_state_word(state));
}
