/* SPDX-License-Identifier: Apache-2.0 */
/* How many may follow logs and watch at once, so that nobody keeps the others out. */
#include "api/api_int.h"

#include <stdlib.h>
#include "base/mem.h"

#define OWNER_MAX (2 * CORE_NAME_MAX + 2)

static void name_user(const struct principal *who, char ret[OWNER_MAX])
{
	snprintf(ret, OWNER_MAX, "%s/%s", who->org, who->user);
}

static size_t count_of(const struct api *a, const char *owner)
{
	const size_t *count = map_get(a->streams_of, owner);
	return count ? *count : 0;
}

static void count_set(struct api *a, const char *owner, size_t count)
{
	if (count == 0) {
		map_delete(a->streams_of, owner);
		return;
	}
	size_t *held = MEM_NEW(size_t);
	*held = count;
	map_set(a->streams_of, owner, held);
}

static int refuse(const char *who, int max, struct err *err)
{
	return err_set(err, ERR_LIMIT, "%s %d logs or lists already; end one or try again later", who, max);
}

int api_stream_enter(struct api *a, const struct principal *who, struct err *err)
{
	char user[OWNER_MAX];
	name_user(who, user);
	size_t of_user = count_of(a, user), of_org = count_of(a, who->org);
	if (of_user >= API_STREAMS_OF_USER_MAX)
		return refuse("you follow", API_STREAMS_OF_USER_MAX, err);
	if (of_org >= API_STREAMS_OF_ORG_MAX)
		return refuse("your organisation follows", API_STREAMS_OF_ORG_MAX, err);
	if (a->streams >= API_STREAMS_MAX)
		return refuse("all clients together follow", API_STREAMS_MAX, err);
	a->streams++;
	count_set(a, user, of_user + 1);
	count_set(a, who->org, of_org + 1);
	return 0;
}

void api_stream_leave(struct api *a, const struct principal *who)
{
	char user[OWNER_MAX];
	name_user(who, user);
	a->streams--;
	count_set(a, user, count_of(a, user) - 1);
	count_set(a, who->org, count_of(a, who->org) - 1);
}
