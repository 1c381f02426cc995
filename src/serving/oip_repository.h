/* SPDX-License-Identifier: Apache-2.0 */
/* Models as the Open Inference Protocol finds and changes them. */
#ifndef SERVING_OIP_REPOSITORY_H
#define SERVING_OIP_REPOSITORY_H

#include <stdbool.h>
#include "base/err.h"
#include "serving/model.h"
#include "serving/predict.h"
#include "serving/server.h"

bool oip_server_ready(const struct server *s);
/* As registry_resolve, in the words of this protocol: ERR_NOT_FOUND when model or version is unknown,
 * ERR_UNAVAILABLE when it is known but does not serve. */
int oip_resolve(struct server *s, const struct model_spec *spec, struct model_version **ret, struct err *err);
/* 0 when a request for it would be served; loads nothing, holds nothing. Errors as oip_resolve. */
int oip_model_ready(const struct server *s, const struct model_spec *spec, struct err *err);
/* Replaces the error of a prediction that found no version or signature by one in these words. */
void oip_explain(const struct predict *p, struct err *err);

/* A request to load or unload a model. */
struct oip_change {
	struct str name;
	bool load;
};
/* Checks "parameters" of a request; those that would change what is loaded are refused: ERR_UNSUPPORTED. */
int oip_change_parameters_json(struct str body, struct err *err);
int oip_change_parameters_pb(struct str entry, struct err *err);
/* Loading: the model joins the list of models again, with the configuration that the options or the file give
 * it, or else the one it had; when it is listed, its folder is looked at anew. Unloading: it leaves the list.
 * Calls 'done' once, later, when the model can serve or never will, or is out of the list. Borrows 'change'.
 */
void oip_repository_change(struct server *s, const struct oip_change *change,
			   void (*done)(void *arg, const struct err *err), void *arg);

#endif
