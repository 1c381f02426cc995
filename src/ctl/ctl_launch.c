/* SPDX-License-Identifier: Apache-2.0 */
/* From a row to what the backend is told; the names of tasks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "ctl/ctl_int.h"

void ctl_job_task_name(const struct job *job, int64_t attempt, char ret[TASK_NAME_MAX + 1])
{
	snprintf(ret, TASK_NAME_MAX + 1, "%s-%lld-main-0", job->id,
		 (long long)(attempt > 0 ? attempt : job->attempt));
}

void ctl_service_task_name(const struct service *s, char ret[TASK_NAME_MAX + 1])
{
	snprintf(ret, TASK_NAME_MAX + 1, "%s-%lld-serving-0", s->id, (long long)s->attempt);
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

int launch_job(struct ctl *c, const struct job *job, struct err *err)
{
	CLEANUP(task_spec) struct task_spec t;
	const struct job_spec *s = &job->spec;
	task_spec_init(&t);
	ctl_job_task_name(job, 0, t.name);
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

int launch_service(struct ctl *c, const struct service *s, struct err *err)
{
	CLEANUP(task_spec) struct task_spec t;
	task_spec_init(&t);
	ctl_service_task_name(s, t.name);
	memcpy(t.org, s->org, sizeof(t.org));
	memcpy(t.owner, s->id, sizeof(t.owner));
	t.attempt = s->attempt;
	t.kind = TASK_MODEL;
	set(&t.framework, s->spec.framework);
	set(&t.framework_version, s->spec.framework_version);
	set(&t.model_uri, s->spec.uri);
	set(&t.model_name, s->spec.name);
	t.model_version = s->spec.model_version;
	t.limits = s->spec.limits;
	t.port_hint = port_of(s->address);
	return c->config.backend->ops->launch(c->config.backend, &t, err);
}
