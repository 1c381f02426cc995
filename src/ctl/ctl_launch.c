/* SPDX-License-Identifier: Apache-2.0 */
/* From a row to what the backend is told; the names of tasks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "ctl/ctl_int.h"

void ctl_job_task_name(const struct job *job, int64_t attempt, int64_t index, char ret[TASK_NAME_MAX + 1])
{
	snprintf(ret, TASK_NAME_MAX + 1, "%s-%lld-%s-%lld", job->id,
		 (long long)(attempt > 0 ? attempt : job->attempt), job->spec.tasks > 1 ? "worker" : "main",
		 (long long)index);
}

void ctl_service_task_name(const struct service *s, const struct replica *r, char ret[TASK_NAME_MAX + 1])
{
	snprintf(ret, TASK_NAME_MAX + 1, "%s-%lld-serving-%lld", s->id, (long long)r->attempt,
		 (long long)r->slot);
}

enum task_kind ctl_service_task_kind(const struct service *s)
{
	return service_kind_of(s) == SERVICE_MODEL ? TASK_MODEL : TASK_TENSORBOARD;
}

int64_t ctl_service_task_slot(const char *task)
{
	const char *dash = strrchr(task, '-');
	int64_t slot = dash ? strtoll(dash + 1, NULL, 10) : -1;
	return slot >= 0 && slot < SERVICE_SLOTS_MAX ? slot : -1;
}

static void cleanup_task_spec(struct task_spec *t)
{
	task_spec_done(t);
}

static void set(char **to, const char *value)
{
	free(*to);
	*to = mem_strdup(value);
}

static void set_strings(char ***to, char *const *value)
{
	strings_free(*to);
	*to = value ? strings_copy(value) : NULL;
}

/* What an element finds in its environment beside what its specification says. */
static void add_element(struct ctl *c, const struct job *job, char ***env)
{
	const struct ctl_job *array = job->array_id[0] ? map_get(c->jobs, job->array_id) : NULL;
	if (!array)
		return;
	size_t count = strings_count(*env);
	*env = mem_realloc(*env, (count + 4) * sizeof(**env));
	(*env)[count] = mem_printf("CLOUDML_ARRAY_INDEX=%lld", (long long)job->array_index);
	(*env)[count + 1] = mem_printf("CLOUDML_ARRAY_COUNT=%lld", (long long)array->job->spec.array.count);
	(*env)[count + 2] = mem_printf("CLOUDML_ARRAY_JOB=%s", job->array_id);
	(*env)[count + 3] = NULL;
}

int launch_job(struct ctl *c, const struct job *job, int64_t index, struct err *err)
{
	CLEANUP(task_spec) struct task_spec t;
	const struct job_spec *s = &job->spec;
	task_spec_init(&t);
	ctl_job_task_name(job, 0, index, t.name);
	t.index = index;
	t.tasks = s->tasks;
	memcpy(t.org, job->org, sizeof(t.org));
	memcpy(t.owner, job->id, sizeof(t.owner));
	t.attempt = job->attempt;
	t.kind = TASK_JOB;
	set(&t.framework, s->framework);
	set(&t.framework_version, s->framework_version);
	set_strings(&t.requirements, s->requirements);
	set(&t.package, s->package);
	set(&t.package_kind, s->package_kind);
	set(&t.module, s->module);
	set_strings(&t.command, s->command);
	set_strings(&t.args, s->args);
	set_strings(&t.env, s->env);
	add_element(c, job, &t.env);
	set(&t.prepare_command, s->prepare_command);
	set(&t.finish_command, s->finish_command);
	t.limits = s->limits;
	t.max_processes = s->max_processes;
	t.max_duration_ms = s->max_duration_ms;
	t.grace_ms = s->grace_period_ms;
	t.hang_timeout_ms = s->hang_timeout_ms;
	t.network = s->network;
	return c->config.backend->ops->launch(c->config.backend, &t, err);
}

/* The port of the last time, so that an address stays the same over restarts. */
static int64_t port_of(const char *address)
{
	const char *colon = strrchr(address, ':');
	return colon ? strtoll(colon + 1, NULL, 10) : 0;
}

int launch_service(struct ctl *c, const struct service *s, const struct replica *r, struct err *err)
{
	const struct service_spec *spec = service_spec_of(s, r->release);
	CLEANUP(task_spec) struct task_spec t;
	task_spec_init(&t);
	ctl_service_task_name(s, r, t.name);
	memcpy(t.org, s->org, sizeof(t.org));
	memcpy(t.owner, s->id, sizeof(t.owner));
	t.attempt = r->attempt;
	t.kind = ctl_service_task_kind(s);
	set(&t.framework, spec->framework);
	set(&t.framework_version, spec->framework_version);
	set(&t.model_uri, spec->uri);
	set(&t.model_name, spec->name);
	t.model_version = spec->model_version;
	set(&t.model_weights, spec->weights ? spec->weights : "");
	t.health_interval_ms = spec->health_interval_ms;
	t.health_failures = spec->health_failures;
	t.limits = spec->limits;
	t.port_hint = port_of(s->address);
	return c->config.backend->ops->launch(c->config.backend, &t, err);
}
