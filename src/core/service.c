/* SPDX-License-Identifier: Apache-2.0 */
/* The model service: states and specification. */
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

static int check_weights(const char *key, const char *value, struct err *err)
{
	struct service_weight weights[SERVICE_VERSIONS_MAX];
	int r = service_weights_parse(value, weights, err);
	return r < 0 ? r : 0;
}

static const struct {
	const char *word;
	char letter;
} kinds[SERVICE_KIND_COUNT] = {
    [SERVICE_MODEL] = {"model", 'm'}, [SERVICE_TENSORBOARD] = {"tensorboard", 't'}};

const char *service_kind_word(enum service_kind kind)
{
	return kinds[kind].word;
}

char service_kind_letter(enum service_kind kind)
{
	return kinds[kind].letter;
}

enum service_kind service_kind_of(const struct service *s)
{
	return s->id[0] == kinds[SERVICE_TENSORBOARD].letter ? SERVICE_TENSORBOARD : SERVICE_MODEL;
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
	X("replicas", FIELD_INT, replicas, .min = 1, .max = SERVICE_REPLICAS_MAX, .number = 1,               \
	  .about = "Model servers behind the one address.")                                                  \
	X("weights", FIELD_STRING, weights, .cap = SERVICE_WEIGHTS_TEXT_MAX, .text = "",                     \
	  .check = check_weights, .pattern = "^([0-9]+=[0-9]+(,[0-9]+=[0-9]+)*)?$",                          \
	  .about = "Versions that are served and their per mille of the requests that name none: "           \
		   "'1=900,2=100'; empty for the newest version alone.")                                     \
	X("framework", FIELD_STRING, framework, .cap = CORE_NAME_MAX, .text = "", .check = spec_check_name,  \
	  .about = "Name in the catalogue; empty for the one that fits the files.")                          \
	X("framework_version", FIELD_STRING, framework_version, .cap = 63, .text = "",                       \
	  .check = spec_check_version, .about = "Version in the catalogue; empty for the default.")          \
	X("cpu", FIELD_CPU, limits.cpu_milli, .min = 10, .max = 1024000, .number = 1000,                     \
	  .about = "Cores: 1.5 or '500m'.")                                                                  \
	X("memory", FIELD_BYTES, limits.memory_bytes, .min = 1 << 20, .max = 1LL << 46, .number = 2LL << 30, \
	  .about = "Memory in bytes or with a unit: '2G'.")                                                  \
	X("gpu", FIELD_INT, limits.gpu, .min = 0, .max = 64, .about = "Graphics processors.")                \
	X("startup_grace", FIELD_DURATION, startup_grace_ms, .min = 1000, .max = 24 * 3600 * INT64_C(1000),  \
	  .number = 600 * INT64_C(1000),                                                                     \
	  .about = "From the start of a replica's server until it must be ready: '10m'.")                    \
	X("health_interval", FIELD_DURATION, health_interval_ms, .min = 100, .max = 3600 * INT64_C(1000),    \
	  .number = 5000, .about = "Between two health checks, and the time for an answer: '5s'.")           \
	X("health_failures", FIELD_INT, health_failures, .min = 1, .max = 100, .number = 3,                  \
	  .about = "Failed checks in a row after which a replica is replaced.")

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

void service_spec_copy(const struct service_spec *from, struct service_spec *to)
{
	fields_copy(fields, from, to);
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

int service_spec_parse_tensorboard(const json_t *j, struct service_spec *ret, struct err *err)
{
	static const char *const taken[] = {"name", "uri", "cpu", "memory"};
	CLEANUP(json) json_t *rest = json_object();
	const char *job = json_string_value(json_object_get(j, "job")), *key;
	json_t *value;
	ret->limits.memory_bytes = 1LL << 30;
	json_object_foreach((json_t *)j, key, value)
	{
		bool known = !strcmp(key, "job") && job;
		for (size_t i = 0; i < ARRAY_LEN(taken); i++)
			known = known || !strcmp(key, taken[i]);
		if (!known)
			return err_set(err, ERR_INVALID, "tensorboard has no field '%.64s' of this type",
				       key);
		if (strcmp(key, "job"))
			json_object_set(rest, key, value);
	}
	int r = fields_parse(fields, "tensorboard", rest, ret, err);
	if (r < 0)
		return r;
	if (!ret->name)
		return err_set(err, ERR_INVALID, "tensorboard has no 'name'");
	if (!ret->uri == !job)
		return err_set(err, ERR_INVALID, "tensorboard needs one of 'uri' and 'job'");
	ret->job = job ? mem_strdup(job) : NULL;
	return 0;
}

/* A key that is not in a document keeps what the object has: so an update is parsed over a copy. */
int service_spec_patch(struct service_spec *s, const json_t *changes, struct err *err)
{
	CLEANUP(free) char *name = mem_strdup(s->name);
	bool has_uri = json_object_get(changes, "uri"), has_job = json_object_get(changes, "job");
	if (has_uri && has_job)
		return err_set(err, ERR_INVALID, "model has 'uri' and 'job'; give one of them");
	int r = fields_parse(fields, "model", changes, s, err);
	if (r < 0)
		return r;
	if (strcmp(s->name ? s->name : "", name))
		return err_set(err, ERR_INVALID,
			       "the name of model '%s' cannot be changed; create another one", name);
	if (json_object_get(changes, "framework") && !json_object_get(changes, "framework_version")) {
		free(s->framework_version);
		s->framework_version = mem_strdup("");
	}
	char **other = has_uri ? &s->job : has_job ? &s->uri : NULL;
	if (other) {
		free(*other);
		*other = NULL;
	}
	if (other && !json_object_get(changes, "framework")) { /* chosen anew by the files */
		free(s->framework);
		free(s->framework_version);
		s->framework = mem_strdup("");
		s->framework_version = mem_strdup("");
	}
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
