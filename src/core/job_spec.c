/* SPDX-License-Identifier: Apache-2.0 */
/* The specification of a job: its table of fields and the rules between them. */
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "core/field.h"
#include "core/job.h"
#include "core/spec_check.h"

static const char *const network_words[] = {"egress", "none", NULL};
static const char *const kind_words[] = {"folder", "python", NULL};

static const char *const fail_words[] = {
#define WORD(code, word, retried) word,
    FAIL_TABLE(WORD)
#undef WORD
	NULL};

#define GIB (1LL << 30)
#define DAY_MS (24LL * 3600 * 1000)

/* X(key, type, member, …): the order is the order in JSON, help and schema. */
#define JOB_SPEC_TABLE(X)                                                                                    \
	X("name", FIELD_STRING, name, .cap = CORE_NAME_MAX, .check = spec_check_name,                        \
	  .pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",                                                      \
	  .about = "Name for people; derived from the module or command when absent.")                       \
	X("framework", FIELD_STRING, framework, .cap = CORE_NAME_MAX, .text = "python",                      \
	  .check = spec_check_name, .pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",                            \
	  .about = "Name in the catalogue of frameworks.")                                                   \
	X("framework_version", FIELD_STRING, framework_version, .cap = 63, .text = "",                       \
	  .check = spec_check_version,                                                                       \
	  .about = "Version in the catalogue; empty for the catalogue's default.")                           \
	X("package", FIELD_STRING, package, .cap = 1200, .check = spec_check_object,                         \
	  .about = "Address (fds://) of the code: a .tar.gz of a folder, a source package or a wheel.")      \
	X("package_kind", FIELD_STRING, package_kind, .cap = 16, .words = kind_words,                        \
	  .about = "'folder' is unpacked into the work folder, 'python' is installed.")                      \
	X("module", FIELD_STRING, module, .cap = 255, .check = spec_check_module,                            \
	  .about = "Python module to run; exactly one of module and command.")                               \
	X("command", FIELD_STRINGS, command,                                                                 \
	  .about = "Program and arguments; exactly one of module and command.")                              \
	X("args", FIELD_STRINGS, args, .about = "Arguments appended to the module or command.")              \
	X("env", FIELD_ENV, env, .check = spec_check_env,                                                    \
	  .about = "Environment variables; names with LD_ and CLOUDML_ are reserved.")                       \
	X("requirements", FIELD_STRINGS, requirements, .cap = 512, .check = spec_check_requirement,          \
	  .about = "Further Python packages, one PEP 508 requirement each.")                                 \
	X("cpu", FIELD_CPU, limits.cpu_milli, .min = 10, .max = 1024000, .number = 1000,                     \
	  .about = "Cores: 1.5 or '500m'.")                                                                  \
	X("memory", FIELD_BYTES, limits.memory_bytes, .min = 1 << 20, .max = 1LL << 46, .number = 2 * GIB,   \
	  .about = "Memory in bytes or with a unit: '2G'.")                                                  \
	X("gpu", FIELD_INT, limits.gpu, .min = 0, .max = 64, .about = "Graphics processors.")                \
	X("tasks", FIELD_INT, tasks, .min = 1, .max = JOB_TASKS_MAX, .number = 1,                            \
	  .about = "How many tasks, each with these resources, start, fail and start again together.")       \
	X("prepare_command", FIELD_STRING, prepare_command, .about = "Shell command before the main one.")   \
	X("finish_command", FIELD_STRING, finish_command,                                                    \
	  .about = "Shell command after the main one, whether it succeeded or failed.")                      \
	X("max_retries", FIELD_INT, max_retries, .min = 0, .max = 100,                                       \
	  .about = "How often a failed attempt is repeated.")                                                \
	X("after", FIELD_STRINGS, after, .cap = CORE_NAME_MAX + 8, .check = spec_check_after,                \
	  .about = "Starts after these jobs: 'JOB' once it completed, 'JOB:any' once it ended, "             \
		   "'JOB:failed' once it failed.")                                                           \
	X("retry", FIELD_GROUP, retry, .group = retry_fields,                                                \
	  .about = "Rules of repetition: limit, on (classes of failure), backoff.")                          \
	X("grace_period", FIELD_DURATION, grace_period_ms, .min = 0, .max = 3600 * 1000, .number = 10000,    \
	  .about = "Time from SIGTERM to SIGKILL; 10s when absent.")                                         \
	X("hang_timeout", FIELD_DURATION, hang_timeout_ms, .min = 0, .max = 7 * DAY_MS,                      \
	  .about = "Stopped as hung after so long without output or use of the processor; absent: never.")   \
	X("queue_timeout", FIELD_DURATION, queue_timeout_ms, .min = 0, .max = 366 * DAY_MS,                  \
	  .about = "Fails when it was not started so long after its submission; absent: waits for ever.")    \
	X("max_duration", FIELD_DURATION, max_duration_ms, .min = 0, .max = 366 * DAY_MS,                    \
	  .about = "Longest run of one attempt: '2h', '90s'; absent for no limit.")                          \
	X("priority", FIELD_INT, priority, .min = 0, .max = 100, .number = 50, .about = "Higher wins.")      \
	X("preemptible", FIELD_BOOL, preemptible,                                                            \
	  .about = "Work of higher priority may stop it; it starts again later.")                            \
	X("start_after", FIELD_TIME, start_after_ms, .about = "Starts no earlier: '2026-11-25T08:30:00Z'.")  \
	X("deadline", FIELD_TIME, deadline_ms,                                                               \
	  .about = "Fails when it cannot end by then: '2026-11-25T18:00:00Z'.")                              \
	X("node_labels", FIELD_STRINGS, node_labels, .cap = SPEC_LABEL_MAX, .check = spec_check_label,       \
	  .about = "Labels that a node must have, each 'key=value'.")                                        \
	X("max_processes", FIELD_INT, max_processes, .min = 1, .max = 65536, .number = 1024,                 \
	  .about = "Limit of processes and threads.")                                                        \
	X("network", FIELD_WORD, network, .words = network_words,                                            \
	  .about = "'egress' for outgoing traffic only, 'none' for no network.")                             \
	X("store", FIELD_GROUP, store, .group = store_fields,                                                \
	  .about = "What the program may write in the store beside its own places.")                         \
	X("array", FIELD_GROUP, array, .group = array_fields,                                                \
	  .about = "Many jobs of this specification: count, max_running.")

static const struct field backoff_fields[] = {{.key = "initial",
					       .type = FIELD_DURATION,
					       .offset = offsetof(struct job_backoff, initial_ms),
					       .min = 1,
					       .max = DAY_MS,
					       .number = 1000,
					       .about = "Wait before the second attempt."},
					      {.key = "factor",
					       .type = FIELD_INT,
					       .offset = offsetof(struct job_backoff, factor),
					       .min = 1,
					       .max = 10,
					       .number = 2,
					       .about = "By what the wait grows with each further attempt."},
					      {.key = "max",
					       .type = FIELD_DURATION,
					       .offset = offsetof(struct job_backoff, max_ms),
					       .min = 1,
					       .max = 7 * DAY_MS,
					       .number = 300000,
					       .about = "The longest wait."},
					      {.key = NULL}};

static const struct field retry_fields[] = {
    {.key = "limit",
     .type = FIELD_INT,
     .offset = offsetof(struct job_retry, limit),
     .min = 0,
     .max = 100,
     .number = -1,
     .about = "How often a failed attempt is repeated; max_retries when absent."},
    {.key = "on",
     .type = FIELD_STRINGS,
     .offset = offsetof(struct job_retry, on),
     .cap = 32,
     .words = fail_words,
     .about = "After which classes of failure; user_error, lost, preempted, hung and platform when absent."},
    {.key = "backoff",
     .type = FIELD_GROUP,
     .offset = offsetof(struct job_retry, backoff),
     .group = backoff_fields,
     .about = "Waits between attempts."},
    {.key = NULL}};

static const struct field store_fields[] = {
    {.key = "write",
     .type = FIELD_STRINGS,
     .offset = offsetof(struct job_store, write),
     .cap = 1200,
     .check = spec_check_uri,
     .about = "Addresses (fds://) of the organisation's buckets, folders and objects."},
    {.key = NULL}};

static const struct field array_fields[] = {
    {.key = "count",
     .type = FIELD_INT,
     .offset = offsetof(struct job_array, count),
     .min = 1,
     .max = JOB_ARRAY_MAX,
     .about = "How many elements; each finds its number, from 0, in CLOUDML_ARRAY_INDEX."},
    {.key = "max_running",
     .type = FIELD_INT,
     .offset = offsetof(struct job_array, max_running),
     .min = 1,
     .max = JOB_ARRAY_MAX,
     .about = "How many of them are unfinished jobs at a time; absent: as many as there is room for."},
    {.key = NULL}};

static const struct field fields[] = {
#define FIELD(name_, type_, member, ...)                                                                     \
	{.key = name_, .type = type_, .offset = offsetof(struct job_spec, member), __VA_ARGS__},
    JOB_SPEC_TABLE(FIELD)
#undef FIELD
	{.key = NULL}};

const char *const job_spec_fields[] = {
#define KEY(name_, ...) name_,
    JOB_SPEC_TABLE(KEY)
#undef KEY
	NULL};

void job_spec_init(struct job_spec *s)
{
	fields_init(fields, s);
}

void job_spec_done(struct job_spec *s)
{
	fields_done(fields, s);
}

/* The last path segment without its extension, of the script when an interpreter runs one. */
static const char *command_subject(char *const *command)
{
	static const char *const interpreters[] = {"python", "python3", "sh", "bash", "uv", "torchrun"};
	const char *base = strrchr(command[0], '/') ? strrchr(command[0], '/') + 1 : command[0];
	for (size_t i = 0; i < ARRAY_LEN(interpreters); i++) {
		if (strcmp(base, interpreters[i]) != 0)
			continue;
		for (size_t a = 1; command[a]; a++)
			if (command[a][0] != '-' && !strpbrk(command[a], " \n\t;|&"))
				return strrchr(command[a], '/') ? strrchr(command[a], '/') + 1 : command[a];
	}
	return base;
}

static char *derive_name(const struct job_spec *s)
{
	const char *subject = s->module ? s->module : command_subject(s->command);
	size_t end = strlen(subject);
	if (!s->module && end > 3 && str_ends(subject, ".py"))
		end -= 3;
	CLEANUP(buf) struct buf name = BUF_INIT;
	for (size_t i = 0; i < end && name.len < CORE_NAME_MAX; i++) {
		char c = subject[i];
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (plain)
			buf_addc(&name, c);
		else if (name.len && name.data[name.len - 1] != '-')
			buf_addc(&name, '-');
	}
	while (name.len && name.data[name.len - 1] == '-')
		name.data[--name.len] = '\0';
	return name.len ? buf_steal(&name) : mem_strdup("job");
}

static int check_whole(const struct job_spec *s, struct err *err)
{
	bool has_command = s->command && s->command[0];
	if (s->module && has_command)
		return err_set(err, ERR_INVALID, "job has both 'module' and 'command'; give one of them");
	if (!s->module && !has_command)
		return err_set(err, ERR_INVALID, "job has neither 'module' nor 'command'; give one of them");
	if (has_command && !s->command[0][0])
		return err_set(err, ERR_INVALID, "command: the program's name is empty");
	if (s->package_kind && !s->package)
		return err_set(err, ERR_INVALID, "job has 'package_kind' without 'package'");
	if (strings_count(s->after) > JOB_AFTER_MAX)
		return err_set(err, ERR_INVALID, "after has more than %d jobs", JOB_AFTER_MAX);
	if (strings_count(s->args) + strings_count(s->command) > CORE_ARGS_MAX)
		return err_set(err, ERR_INVALID, "command and args together have more than %d items",
			       CORE_ARGS_MAX);
	if (strings_count(s->node_labels) > JOB_LABELS_MAX)
		return err_set(err, ERR_INVALID, "node_labels has more than %d items", JOB_LABELS_MAX);
	if (strings_count(s->store.write) > JOB_WRITES_MAX)
		return err_set(err, ERR_INVALID, "store.write has more than %d addresses", JOB_WRITES_MAX);
	if (s->array.max_running && !s->array.count)
		return err_set(err, ERR_INVALID, "array has 'max_running' without 'count'; say how many");
	if (s->array.max_running > s->array.count)
		return err_set(err, ERR_INVALID, "array: max_running %lld is above its count of %lld",
			       (long long)s->array.max_running, (long long)s->array.count);
	if (s->deadline_ms && s->deadline_ms <= s->start_after_ms)
		return err_set(err, ERR_INVALID,
			       "deadline is not after start_after; give the job time to run");
	return 0;
}

int job_label_check(const char *what, const char *label, struct err *err)
{
	return spec_check_label(what, label, err);
}

int64_t job_spec_retry_limit(const struct job_spec *s)
{
	return s->retry.limit >= 0 ? s->retry.limit : s->max_retries;
}

bool job_spec_retries(const struct job_spec *s, enum fail_class class, int64_t charged)
{
	bool is_listed = !s->retry.on && fail_is_retried(class);
	if (class == FAIL_NONE || class == FAIL_CANCELLED)
		return false;
	for (size_t i = 0; s->retry.on && s->retry.on[i]; i++)
		is_listed |= !strcmp(s->retry.on[i], fail_word(class));
	return is_listed && (!fail_is_charged(class) || charged <= job_spec_retry_limit(s));
}

int64_t job_spec_backoff_ms(const struct job_spec *s, int64_t charged)
{
	const struct job_backoff *b = &s->retry.backoff;
	int64_t ms = b->initial_ms;
	for (int64_t i = 1; i < charged && ms < b->max_ms && b->factor > 1; i++)
		ms *= b->factor;
	return ms < b->max_ms ? ms : b->max_ms;
}

int job_spec_parse(const json_t *j, struct job_spec *ret, struct err *err)
{
	int r = fields_parse(fields, "job", j, ret, err);
	if (r < 0)
		return r;
	r = check_whole(ret, err);
	if (r < 0)
		return r;
	if (!ret->name)
		ret->name = derive_name(ret);
	if (!ret->framework[0]) {
		free(ret->framework);
		ret->framework = mem_strdup("python");
	}
	if (ret->package && !ret->package_kind)
		ret->package_kind = mem_strdup(str_ends(ret->package, ".whl") ? "python" : "folder");
	return 0;
}

json_t *job_spec_format(const struct job_spec *s)
{
	return fields_format(fields, s);
}

struct resources job_spec_held(const struct job_spec *s)
{
	int64_t n = s->tasks > 1 ? s->tasks : 1;
	return (struct resources){s->limits.cpu_milli * n, s->limits.memory_bytes * n, s->limits.gpu * n};
}

bool job_spec_equal(const struct job_spec *a, const struct job_spec *b)
{
	return fields_equal(fields, a, b);
}

int job_spec_copy(const struct job_spec *s, struct job_spec *ret)
{
	fields_copy(fields, s, ret);
	return 0;
}

json_t *job_spec_schema(void)
{
	return fields_schema(fields, "Job");
}
