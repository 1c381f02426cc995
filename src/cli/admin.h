/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of administration share. */
#ifndef CLI_ADMIN_H
#define CLI_ADMIN_H

#include "cli/cli_int.h"

/* "/api/v1/orgs/ORG" + fmt, ORG from --org or one's own; owned. 'fmt' has at most one %s for 'name', which is
 * escaped. */
char *admin_path(const struct cli_args *a, const char *fmt, const char *name);
/* One call with an idempotency key of its own. */
int admin_change(struct cli *c, const char *method, const char *path, const json_t *body, json_t **ret,
		 struct err *err);
/* All pages of a list into one {"data": […]}; 'cursor' is the query parameter of the next page. At most
 * 'most' rows. */
int admin_list(struct cli *c, const char *path, const char *cursor, size_t most, json_t **ret,
	       struct err *err);

/* A column shows a field, as its kind says. */
enum admin_kind { SHOW_TEXT, SHOW_TIME, SHOW_EXPIRY, SHOW_HOURS, SHOW_COUNT, SHOW_FLAG };
struct admin_column {
	struct cli_column column;
	const char *field;
	enum admin_kind kind;
};
/* The list as a table, or as it is with --json. 'none' is said when it is empty. */
void admin_print(struct cli *c, const json_t *list, const struct admin_column *columns, size_t count,
		 const char *none);
/* QuotaStates as a table of what is held and what may be. */
void admin_print_quotas(struct cli *c, const json_t *list);
/* --NAME VALUE into the body as text. */
void admin_put(json_t *body, const struct cli_args *a, const char *option, const char *field);
/* --NAME yes|no into the body. */
int admin_put_flag(json_t *body, const struct cli_args *a, const char *option, const char *field,
		   struct err *err);
/* "QUESTION [y/N]"; without a terminal only --yes says yes. */
bool admin_confirmed(const struct cli *c, const char *question);

#endif
