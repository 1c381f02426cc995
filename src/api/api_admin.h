/* SPDX-License-Identifier: Apache-2.0 */
/* What the nouns of administration share: requests from bodies and queries, answers from ctl's. */
#ifndef API_API_ADMIN_H
#define API_API_ADMIN_H

#include "api/api_int.h"
#include "ctl/ctl_admin.h"

/* Fields that a body of administration may have; each route names those that it takes. */
enum admin_field {
	FIELD_NAME = 1,
	FIELD_DESCRIPTION = 2,
	FIELD_ROLE = 4,
	FIELD_PLATFORM = 8,
	FIELD_USER = 16,
	FIELD_NOTE = 32,
	FIELD_EXPIRES = 64,
};
/* Reads the body into *q; texts go into the exchange's arena. ERR_INVALID. */
int api_admin_body(struct http_exchange *x, const char *what, int fields, struct admin_request *q,
		   struct err *err);
/* limit and after (a name). */
int api_admin_page(const struct http_exchange *x, struct admin_request *q, struct err *err);
/* Sends it with the exchange's idempotency key; answers the error when there is one already. */
void api_admin_call(struct http_exchange *x, const struct admin_request *q, const struct err *err);

#endif
