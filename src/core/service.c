/* SPDX-License-Identifier: Apache-2.0 */
/* The model service: states, specification, record. */
#include "core/service.h"

#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "core/field.h"
#include "core/spec_check.h"

#define BIT(state) (1u << (state))

static const char *const state_words[] = {
#define WORD(state, word, terminal) word,
    SERVICE_STATE_TABLE(WORD)
#undef WORD
};

/* ready to starting is a restart of the replica. A failed service may be deleted at once when nothing of it
 * runs. */
static const unsigned moves[SERVICE_STATE_COUNT] = {
    [SERVICE_STARTING] = BIT(SERVICE_READY) | BIT(SERVICE_STOPPING) | BIT(SERVICE_FAILED),
    [SERVICE_READY] = BIT(SERVICE_STARTING) | BIT(SERVICE_STOPPING) | BIT(SERVICE_FAILED),
    [SERVICE_STOPPING] = BIT(SERVICE_DELETED),
    [SERVICE_FAILED] = BIT(SERVICE_STOPPING) | BIT(SERVICE_DELETED),
};

const char *service_state_word(enum service_state s)
{
	return (unsigned)s < SERVICE_STATE_COUNT ? state_words[s] : "unknown";
}

int service_state_parse(const char *word, enum service_state *ret, struct err *err)
{
	for (unsigned i = 0; i < SERVICE_STATE_COUNT; i++) {
		if (strcmp(word, state_words[i]) == 0) {
			*ret = (enum service_state)i;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID,
		       "model state '%.40s' is unknown; use starting, ready, stopping, failed or deleted",
		       word);
}

bool service_state_may_move(enum service_state from, enum service_state to)
{
	return (unsigned)from < SERVICE_STATE_COUNT && (unsigned)to < SERVICE_STATE_COUNT &&
	       (moves[from] & BIT(to));
}

#define SERVICE_SPEC_TABLE(X)                                                                                \
	X("name", FIELD_STRING, name, .cap = CORE_NAME_MAX, .check = spec_check_name,                        \
	  .pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", .about = "Name of the model in requests.")           \
	X("uri", FIELD_STRING, uri, .cap = 1200, .check = spec_check_uri,                                    \
	  .about =                                                                                           \
	      "Address (fds://) of a SavedModel, of a folder of numbered versions, or of an .onnx file.")    \
	X("job", FIELD_STRING, job, .cap = 15, .check = spec_check_job_id,                                   \
	  .about = "Instead of uri: id of a completed job that wrote model/ into its output.")               \
	X("model_version", FIELD_INT, model_version, .min = 0, .max = INT64_MAX,                             \
	  .about = "Version to answer with; 0 takes the folder's number, else 1.")                           \
	X("framework", FIELD_STRING, framework, .cap = CORE_NAME_MAX, .text = "", .check = spec_check_name,  \
	  .about = "Name in the catalogue; empty for the one that fits the files.")                          \
	X("framework_version", FIELD_STRING, framework_version, .cap = 63, .text = "",                       \
	  .check = spec_check_version, .about = "Version in the catalogue; empty for the default.")          \
	X("cpu", FIELD_CPU, limits.cpu_milli, .min = 10, .max = 1024000, .number = 1000,                     \
	  .about = "Cores: 1.5 or '500m'.")                                                                  \
	X("memory", FIELD_BYTES, limits.memory_bytes, .min = 1 << 20, .max = 1LL << 46, .number = 2LL << 30, \
	  .about = "Memory in bytes or with a unit: '2G'.")                                                  \
	X("gpu", FIELD_INT, limits.gpu, .min = 0, .max = 64, .about = "Graphics processors.")

static const struct field fields[] = {
#define FIELD(name_, type_, member, ...)                                                                     \
	{.key = name_, .type = type_, .offset = offsetof(struct service_spec, member), __VA_ARGS__},
    SERVICE_SPEC_TABLE(FIELD)
#undef FIELD
	{.key = NULL}};

void service_spec_init(struct service_spec *s)
{
	fields_init(fields, s);
}

void service_spec_done(struct service_spec *s)
{
	fields_done(fields, s);
}

int service_spec_parse(const json_t *j, struct service_spec *ret, struct err *err)
{
	int r = fields_parse(fields, "model", j, ret, err);
	if (r < 0)
		return r;
	if (!ret->name)
		return err_set(err, ERR_INVALID, "model has no 'name'");
	if (!ret->uri && !ret->job)
		return err_set(err, ERR_INVALID, "model has neither 'uri' nor 'job'; give one of them");
	return 0;
}

json_t *service_spec_format(const struct service_spec *s)
{
	return fields_format(fields, s);
}

json_t *service_spec_schema(void)
{
	json_t *j = fields_schema(fields, "Model");
	json_object_set_new(j, "required", json_pack("[s]", "name"));
	return j;
}

struct service *service_new(void)
{
	struct service *s = MEM_NEW(struct service);
	service_spec_init(&s->spec);
	s->progress = PROGRESS_NONE;
	return s;
}

void service_free(struct service *s)
{
	if (!s)
		return;
	service_spec_done(&s->spec);
	free(s);
}

json_t *service_format(const struct service *s)
{
	const char *name = s->spec.name ? s->spec.name : "";
	json_t *j = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:s}", "id", s->id, "name", name,
	    "org", s->org, "user", s->user, "state", service_state_word(s->state), "reason", s->reason,
	    "message", field_text_json(s->message), "version", (json_int_t)s->version, "attempt",
	    (json_int_t)s->attempt, "restarts", (json_int_t)s->restarts, "created_ms",
	    (json_int_t)s->created_ms, "ready_ms", (json_int_t)s->ready_ms, "address", s->address);
	bool addressed = s->address[0];
	json_object_set_new(j, "http_url",
			    addressed ? json_sprintf("http://%s/v1/models/%s", s->address, name)
				      : json_null());
	json_object_set_new(j, "grpc_address", addressed ? json_string(s->address) : json_null());
	json_object_set_new(j, "progress", progress_format(&s->progress));
	json_object_set_new(j, "spec", service_spec_format(&s->spec));
	return j;
}
