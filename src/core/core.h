/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Front door of the room of nouns: organisation, principal, job, task, service, resources, events; and the
 * two vtables that variants of the platform stand behind: backend.h (where tasks run), blob.h (where bytes
 * live).
 *
 * No I/O, no clock, no allocation sized by outsiders without a limit. Every noun has: init/done or new/free,
 * parse from JSON (strict: unknown fields are refused), format to JSON, a state table where it has states.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

/* Limits of everything an outsider sizes. */
/* Names of jobs, models, organisations: [a-z0-9]([a-z0-9-]*[a-z0-9])? (RFC 1123 label). */
#define CORE_NAME_MAX 63
#define CORE_TEXT_MAX 4096	   /* commands, modules, arguments, environment values */
#define CORE_ARGS_MAX 256	   /* arguments, environment variables, requirements */
#define CORE_SPEC_BYTES_MAX 262144 /* JSON of one job or model */

int core_name_check(const char *what, const char *name, struct err *err); /* ERR_INVALID with the rule */

/* What a task asks for and what a node has. -1 in a limit = none. */
struct resources {
	int64_t cpu_milli; /* thousandths of a core */
	int64_t memory_bytes;
	int64_t gpu;
};
bool resources_fit(const struct resources *want, const struct resources *free_now);
void resources_add(struct resources *sum, const struct resources *r);
void resources_sub(struct resources *sum, const struct resources *r);

/* Who asks. Made by authentication, never by a request's body. */
enum role { ROLE_VIEWER, ROLE_MEMBER, ROLE_ADMIN };
#define ROLE_COUNT 3
struct principal {
	/* Whose things the request is about: the caller's own organisation, or for a platform administrator
	 * the one that the request's path names. */
	char org[CORE_NAME_MAX + 1];
	char user[CORE_NAME_MAX + 1];
	char home[CORE_NAME_MAX + 1]; /* the organisation that the user belongs to; "" = org */
	char key_id[32];
	enum role role;	    /* the lesser of the user's and the key's */
	bool is_platform;   /* may make organisations and act in any of them */
	int64_t expires_ms; /* of the key, Unix time; 0 = never */
};
const char *role_word(enum role r);
int role_parse(const char *word, enum role *ret, struct err *err); /* ERR_INVALID names the roles */
const char *principal_home(const struct principal *who);
/* "ada", or "default/ada" when ada acts in another organisation than hers. */
#define ACTOR_MAX (2 * CORE_NAME_MAX + 1)
void principal_actor(const struct principal *who, char ret[ACTOR_MAX + 1]);

#endif
