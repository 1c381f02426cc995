/* SPDX-License-Identifier: Apache-2.0 */
/* The model service: replicas of cloudml-serving for one model. Notebooks and TensorBoards will be services
 * of another kind with the same life cycle. */
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

/* JSON of POST /api/v1/models. */
struct service_spec {
	char *name; /* RFC 1123 label; unique among the organisation's live services */
	char *uri;  /* fds:// prefix that holds a SavedModel, a numbered version folder of one, or an .onnx
		       file */
	char *job;  /* instead of uri: id of a completed job; the API resolves it to the job's output + model
		       folder */
	int64_t model_version;		     /* 0 = from the folder, else 1 */
	char *framework, *framework_version; /* "" = tensorflow for a SavedModel, onnx for .onnx */
	struct resources limits;	     /* defaults 1 core, 2 GiB */
};
void service_spec_init(struct service_spec *s);
void service_spec_done(struct service_spec *s);
int service_spec_parse(const json_t *j, struct service_spec *ret, struct err *err);
json_t *service_spec_format(const struct service_spec *s);
json_t *service_spec_schema(void);

struct service {
	char id[16]; /* "m" + 9 characters of base 32 */
	char org[CORE_NAME_MAX + 1], user[CORE_NAME_MAX + 1];
	struct service_spec spec;
	enum service_state state;
	char reason[32];
	char message[480];
	int64_t seq, version, attempt;
	int64_t created_ms, ready_ms, deadline_ms;
	int64_t restarts;
	char address[64];	  /* "127.0.0.1:18500" once known: HTTP and gRPC on one port */
	struct progress progress; /* not durable */
};
struct service *service_new(void);
void service_free(struct service *s);
static inline void cleanup_service(struct service **s)
{
	service_free(*s);
}
json_t *service_format(const struct service *s); /* the API's Model; returns owned */

#endif
