/* SPDX-License-Identifier: Apache-2.0 */
/* Names, roles and resource arithmetic. */
#include "core/core.h"

#include <stdio.h>
#include <string.h>

static bool is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int core_name_check(const char *what, const char *name, struct err *err)
{
	size_t len = strlen(name);
	bool ok = len > 0 && len <= CORE_NAME_MAX && is_label_char(name[0]) && is_label_char(name[len - 1]);
	for (size_t i = 0; ok && i < len; i++)
		ok = is_label_char(name[i]) || name[i] == '-';
	if (ok)
		return 0;
	return err_set(err, ERR_INVALID,
		       "%s '%.80s' is not a name; use 1 to %d lower-case letters, digits and '-', with a "
		       "letter or digit "
		       "at both ends",
		       what, name, CORE_NAME_MAX);
}

bool resources_fit(const struct resources *want, const struct resources *free_now)
{
	return want->cpu_milli <= free_now->cpu_milli && want->memory_bytes <= free_now->memory_bytes &&
	       want->gpu <= free_now->gpu;
}

void resources_add(struct resources *sum, const struct resources *r)
{
	sum->cpu_milli += r->cpu_milli;
	sum->memory_bytes += r->memory_bytes;
	sum->gpu += r->gpu;
}

void resources_sub(struct resources *sum, const struct resources *r)
{
	sum->cpu_milli -= r->cpu_milli;
	sum->memory_bytes -= r->memory_bytes;
	sum->gpu -= r->gpu;
}

const char *role_word(enum role r)
{
	switch (r) {
	case ROLE_VIEWER:
		return "viewer";
	case ROLE_MEMBER:
		return "member";
	case ROLE_ADMIN:
		return "admin";
	}
	return "unknown";
}

int role_parse(const char *word, enum role *ret, struct err *err)
{
	for (int r = 0; r < ROLE_COUNT; r++) {
		if (strcmp(role_word((enum role)r), word) == 0) {
			*ret = (enum role)r;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID, "there is no role '%.40s'; use viewer, member or admin", word);
}

const char *principal_home(const struct principal *who)
{
	return who->home[0] ? who->home : who->org;
}

void principal_actor(const struct principal *who, char ret[ACTOR_MAX + 1])
{
	if (strcmp(principal_home(who), who->org) == 0)
		snprintf(ret, ACTOR_MAX + 1, "%s", who->user);
	else
		snprintf(ret, ACTOR_MAX + 1, "%s/%s", who->home, who->user);
}
