/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model service: replicas of cloudml-serving for one model, behind one address that stays. A TensorBoard
 * is a service of another kind with the same life: one replica, no port, reached through the API alone; its
 * 'uri' is the folder that it reads. Notebooks will be another.
 *
 * A service has a wish, 'spec', and a revision that counts its wishes. What a replica runs (files, framework,
 * limits, health rules) is a release, named by the revision that brought it; weights and the count of
 * replicas are no part of it and change without a new one. While an update goes on, 'previous' is what served
 * before and serves again when the update fails.
 */
#ifndef CORE_SERVICE_H
#define CORE_SERVICE_H

#include <jansson.h>
#include "core/job.h"

#define SERVICE_STATE_TABLE(X)                                                                               \
	X(SERVICE_STARTING, "starting", 0)                                                                   \
	X(SERVICE_READY, "ready", 0)                                                                         \
	X(SERVICE_STOPPING, "stopping", 0)                                                                   \
	X(SERVICE_FAILED, "failed", 1) /* gave up; message says why; delete and create again */              \
	X(SERVICE_DELETED, "deleted", 1)
enum service_state {
#define SERVICE_STATE_ENUM(state, word, terminal) state,
	SERVICE_STATE_TABLE(SERVICE_STATE_ENUM)
#undef SERVICE_STATE_ENUM
	    SERVICE_STATE_COUNT
};
const char *service_state_word(enum service_state s);
int service_state_parse(const char *word, enum service_state *ret, struct err *err);
bool service_state_may_move(enum service_state from, enum service_state to);

#define SERVICE_REPLICAS_MAX 32
/* Replicas of two releases, and those that end. */
#define SERVICE_SLOTS_MAX (2 * SERVICE_REPLICAS_MAX + 8)
#define SERVICE_VERSIONS_MAX 16 /* with a weight */
#define SERVICE_WEIGHTS_TEXT_MAX 400

/* What a service runs. The kinds share names and life; a kind is told by the first letter of the id. */
enum service_kind { SERVICE_MODEL, SERVICE_TENSORBOARD, SERVICE_KIND_COUNT };
const char *service_kind_word(enum service_kind kind); /* "model", "tensorboard" */
char service_kind_letter(enum service_kind kind);      /* 'm', 't' */

/* JSON of POST /api/v1/models. */
struct service_spec {
	char *name; /* RFC 1123 label; unique among the organisation's live services */
	char *uri;  /* fds:// prefix that holds a SavedModel, a numbered version folder of one, or an .onnx
		       file */
	char *job;  /* instead of uri: id of a completed job; the API resolves it to the job's output + model
		       folder */
	int64_t model_version; /* 0 = from the folder, else 1 */
	int64_t replicas;      /* 1 */
	char *weights; /* "1=900,2=100": the versions that are loaded, and their per mille of the requests
			  that name none; "" = no weights */
	char *framework, *framework_version; /* "" = tensorflow for a SavedModel, onnx for .onnx */
	struct resources limits;	     /* of each replica; defaults 1 core, 2 GiB */
	int64_t startup_grace_ms;   /* from the start of a replica's server until it must be ready; 10 min */
	int64_t health_interval_ms; /* between two checks, and the time for an answer; 5 s */
	int64_t health_failures;    /* so many in a row: the replica is replaced; 3 */
};
void service_spec_init(struct service_spec *s);
void service_spec_done(struct service_spec *s);
void service_spec_copy(const struct service_spec *from, struct service_spec *to); /* 'to' is initialised */
int service_spec_parse(const json_t *j, struct service_spec *ret, struct err *err);
/* JSON of POST /api/v1/tensorboards, which has few of the fields; 'job' may be any name of a job. */
int service_spec_parse_tensorboard(const json_t *j, struct service_spec *ret, struct err *err);
/* The fields of an update over those of 's'; a new uri or job takes the place of the other. ERR_INVALID; the
 * name cannot change. */
int service_spec_patch(struct service_spec *s, const json_t *changes, struct err *err);
/* Do both make the same release? */
bool service_spec_same_release(const struct service_spec *a, const struct service_spec *b);
json_t *service_spec_format(const struct service_spec *s);
json_t *service_spec_schema(void);

struct service_weight {
	int64_t version;
	int64_t per_mille;
};
/* "1=900,2=100" → count; versions once each, the sum is 1000. ERR_INVALID. "" and NULL are 0. */
int service_weights_parse(const char *text, struct service_weight ret[SERVICE_VERSIONS_MAX], struct err *err);
bool service_weights_same_versions(const char *a, const char *b);

/* One place of a service. Its task is "<service>-<attempt>-serving-<slot>". */
struct replica {
	int64_t slot;
	int64_t attempt; /* fencing token, unique among the replicas of a service */
	int64_t release;
	int64_t restarts;
	int64_t ready_ms; /* of this attempt; 0 = not yet */
	bool draining;	  /* it ends for good: no new connections, answers for what is in flight */
	/* Not durable. */
	const char *state; /* waiting, starting, ready, unhealthy, restarting, draining */
	char message[200];
};

#define SERVICE_UPDATE_TABLE(X)                                                                              \
	X(UPDATE_NONE, "none")                                                                               \
	X(UPDATE_ROLLING, "rolling")                                                                         \
	X(UPDATE_DONE, "done")                                                                               \
	X(UPDATE_FAILED, "failed") /* what served before serves again; message says why */
enum service_update_state {
#define SERVICE_UPDATE_ENUM(state, word) state,
	SERVICE_UPDATE_TABLE(SERVICE_UPDATE_ENUM)
#undef SERVICE_UPDATE_ENUM
};
struct service_update {
	enum service_update_state state;
	int64_t revision;
	int64_t started_ms, ended_ms;
	char message[400];
};

struct service {
	char id[16]; /* the letter of its kind + 9 characters of base 32 */
	char org[CORE_NAME_MAX + 1], user[CORE_NAME_MAX + 1];
	struct service_spec spec;
	enum service_state state;
	char reason[32];
	char message[480];
	int64_t seq, version;
	int64_t attempt;	       /* the greatest that a replica was given */
	int64_t revision;	       /* of the last wish that was accepted, 1 and up */
	int64_t release;	       /* of 'spec' */
	struct service_spec *previous; /* what served before the update that goes on; NULL = none */
	int64_t previous_release;
	struct service_update update;
	struct replica replicas[SERVICE_SLOTS_MAX]; /* in the order of their making */
	size_t replica_count;
	int64_t created_ms, ready_ms, deadline_ms;
	int64_t restarts;
	char address[64];	  /* "127.0.0.1:18500" once known: HTTP and gRPC on one port */
	struct progress progress; /* not durable */
};
struct service *service_new(void);
struct service *service_copy(const struct service *s);
void service_free(struct service *s);
/* What a row keeps beside its columns: release, previous specification, update, replicas. */
json_t *service_rollout_format(const struct service *s);
/* NULL: a row of before there were replicas. Needs id, attempt and ready_ms. ERR_CORRUPT. */
int service_rollout_parse(const json_t *j, struct service *s, struct err *err);
/* The specification that replicas of this release are made of; NULL for one that is neither. */
const struct service_spec *service_spec_of(const struct service *s, int64_t release);
size_t service_ready_count(const struct service *s); /* by the states of its replicas */
static inline void cleanup_service(struct service **s)
{
	service_free(*s);
}
enum service_kind service_kind_of(const struct service *s);
json_t *service_format(const struct service *s); /* the API's Model or Tensorboard; returns owned */

#endif
