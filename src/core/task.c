/* SPDX-License-Identifier: Apache-2.0 */
/* The task: what a backend is told and what it reports, as JSON. */
#include "core/task.h"

#include <limits.h>
#include <string.h>
#include "core/field.h"

static const char *const kind_words[] = {"job", "model", "tensorboard", NULL};
static const char *const network_words[] = {"egress", "none", NULL};
static const char *const phase_words[] = {
#define WORD(phase, word, terminal) word,
    TASK_PHASE_TABLE(WORD)
#undef WORD
	NULL};
static const char *const fail_words[] = {
#define WORD(code, word, retried) word,
    FAIL_TABLE(WORD)
#undef WORD
	NULL};

/* Written by the controller and read back by the same program, so most limits only stop nonsense. The
 * environment stays an array: the controller's own CLOUDML_ variables are in it and their order is kept. */
#define TASK_SPEC_TABLE(X)                                                                                   \
	X("name", FIELD_CHARS, name, .cap = TASK_NAME_MAX + 1)                                               \
	X("org", FIELD_CHARS, org, .cap = CORE_NAME_MAX + 1)                                                 \
	X("owner", FIELD_CHARS, owner, .cap = 16)                                                            \
	X("attempt", FIELD_INT, attempt, .min = 0, .max = INT64_MAX)                                         \
	X("kind", FIELD_WORD, kind, .words = kind_words)                                                     \
	X("index", FIELD_INT, index, .min = 0, .max = JOB_TASKS_MAX - 1)                                     \
	X("tasks", FIELD_INT, tasks, .min = 1, .max = JOB_TASKS_MAX, .number = 1)                            \
	X("framework", FIELD_STRING, framework)                                                              \
	X("framework_version", FIELD_STRING, framework_version)                                              \
	X("requirements", FIELD_STRINGS, requirements)                                                       \
	X("package", FIELD_STRING, package)                                                                  \
	X("package_kind", FIELD_STRING, package_kind)                                                        \
	X("model_uri", FIELD_STRING, model_uri)                                                              \
	X("model_name", FIELD_STRING, model_name)                                                            \
	X("model_version", FIELD_INT, model_version, .min = 0, .max = INT64_MAX)                             \
	X("model_weights", FIELD_STRING, model_weights, .text = "")                                          \
	X("health_interval_ms", FIELD_INT, health_interval_ms, .min = 0, .max = INT64_MAX, .number = 5000)   \
	X("health_failures", FIELD_INT, health_failures, .min = 0, .max = 1000, .number = 3)                 \
	X("module", FIELD_STRING, module)                                                                    \
	X("command", FIELD_STRINGS, command)                                                                 \
	X("args", FIELD_STRINGS, args)                                                                       \
	X("env", FIELD_STRINGS, env, .cap = 2 * CORE_TEXT_MAX)                                               \
	X("prepare_command", FIELD_STRING, prepare_command)                                                  \
	X("finish_command", FIELD_STRING, finish_command)                                                    \
	X("cpu_milli", FIELD_INT, limits.cpu_milli, .min = -1, .max = INT64_MAX)                             \
	X("memory_bytes", FIELD_INT, limits.memory_bytes, .min = -1, .max = INT64_MAX)                       \
	X("gpu", FIELD_INT, limits.gpu, .min = -1, .max = INT64_MAX)                                         \
	X("max_processes", FIELD_INT, max_processes, .min = -1, .max = INT64_MAX, .number = 1024)            \
	X("max_duration_ms", FIELD_INT, max_duration_ms, .min = 0, .max = INT64_MAX)                         \
	X("grace_ms", FIELD_INT, grace_ms, .min = 0, .max = INT64_MAX, .number = 10000)                      \
	X("hang_timeout_ms", FIELD_INT, hang_timeout_ms, .min = 0, .max = INT64_MAX)                         \
	X("network", FIELD_WORD, network, .words = network_words)                                            \
	X("port_hint", FIELD_INT, port_hint, .min = 0, .max = 65535)

#define TASK_STATUS_TABLE(X)                                                                                 \
	X("name", FIELD_CHARS, name, .cap = TASK_NAME_MAX + 1)                                               \
	X("owner", FIELD_CHARS, owner, .cap = 16)                                                            \
	X("kind", FIELD_WORD, kind, .words = kind_words)                                                     \
	X("attempt", FIELD_INT, attempt, .min = 0, .max = INT64_MAX)                                         \
	X("phase", FIELD_WORD, phase, .words = phase_words)                                                  \
	X("progress", FIELD_PROGRESS, progress)                                                              \
	X("port", FIELD_INT32, port, .min = 0, .max = 65535)                                                 \
	X("unhealthy", FIELD_INT32, unhealthy, .min = 0, .max = INT_MAX)                                     \
	X("weights", FIELD_CHARS, weights, .cap = TASK_WEIGHTS_MAX + 1)                                      \
	X("exit_code", FIELD_INT32, exit_code, .min = INT_MIN, .max = INT_MAX)                               \
	X("exit_signal", FIELD_INT32, exit_signal, .min = 0, .max = 255)                                     \
	X("fail", FIELD_WORD, fail, .words = fail_words)                                                     \
	X("message", FIELD_CHARS, message, .cap = sizeof(((struct task_status *)0)->message))

static const struct field spec_fields[] = {
#define FIELD(name_, type_, member, ...)                                                                     \
	{.key = name_, .type = type_, .offset = offsetof(struct task_spec, member), __VA_ARGS__},
    TASK_SPEC_TABLE(FIELD)
#undef FIELD
	{.key = NULL}};

static const struct field status_fields[] = {
#define FIELD(name_, type_, member, ...)                                                                     \
	{.key = name_, .type = type_, .offset = offsetof(struct task_status, member), __VA_ARGS__},
    TASK_STATUS_TABLE(FIELD)
#undef FIELD
	{.key = NULL}};

void task_spec_init(struct task_spec *t)
{
	fields_init(spec_fields, t);
}

void task_spec_done(struct task_spec *t)
{
	fields_done(spec_fields, t);
}

json_t *task_spec_format(const struct task_spec *t)
{
	return fields_format(spec_fields, t);
}

int task_spec_parse(const json_t *j, struct task_spec *ret, struct err *err)
{
	int r = fields_parse(spec_fields, "task", j, ret, err);
	if (r < 0)
		return r;
	if (!ret->name[0])
		return err_set(err, ERR_INVALID, "task has no 'name'");
	return 0;
}

const char *task_phase_word(enum task_phase p)
{
	return (unsigned)p < TASK_PHASE_COUNT ? phase_words[p] : "unknown";
}

json_t *task_status_format(const struct task_status *s)
{
	return fields_format(status_fields, s);
}

int task_status_parse(const json_t *j, struct task_status *ret, struct err *err)
{
	fields_init(status_fields, ret);
	int r = fields_parse(status_fields, "task status", j, ret, err);
	if (r < 0)
		return r;
	if (!ret->name[0])
		return err_set(err, ERR_INVALID, "task status has no 'name'");
	return 0;
}
