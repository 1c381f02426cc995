/* SPDX-License-Identifier: Apache-2.0 */
/* How many may follow logs and watch at once, so that nobody keeps the others out; and that nobody follows
 * with a key that was taken back. */
#include "api/api_int.h"

#include <stdlib.h>
#include "base/mem.h"
#include "ctl/ctl_admin.h"

#define OWNER_MAX (2 * CORE_NAME_MAX + 2)
#define EXPIRY_LOOK_MS (60 * 1000)

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

/* ---- rights that end ---- */

static void arm_expiry(struct api *a)
{
	int64_t first_ms = 0;
	struct api_stream *s;
	LIST_EACH(s, &a->open_streams, node)
	{
		if (s->who.expires_ms && (!first_ms || s->who.expires_ms < first_ms))
			first_ms = s->who.expires_ms;
	}
	if (!first_ms) {
		loop_timer_clear(a->expiry);
		return;
	}
	/* Never far ahead: the wall clock may be set meanwhile. */
	int64_t left = first_ms - clock_wall_ms(a->config.clock);
	loop_timer_set(a->expiry, left < 1 ? 1 : left > EXPIRY_LOOK_MS ? EXPIRY_LOOK_MS : left, 0);
}

/* Every one that is open asks again whether it may be. */
static void on_rights(void *arg)
{
	struct api *a = arg;
	struct list *next;
	for (struct list *at = a->open_streams.next; at != &a->open_streams; at = next) {
		struct api_stream *s = LIST_ENTRY(at, struct api_stream, node);
		struct principal now;
		struct err ignored = ERR_INIT;
		next = at->next;
		if (ctl_principal(a->config.ctl, s->who.key_id, &now, &ignored) < 0)
			s->cut(s->arg);
	}
	arm_expiry(a);
}

void api_streams_open(struct api *a)
{
	list_init(&a->open_streams);
	a->streams_of = map_new(free);
	a->expiry = loop_timer_new(a->config.loop, on_rights, a);
	ctl_on_rights(a->config.ctl, on_rights, a);
}

void api_streams_close(struct api *a)
{
	ctl_on_rights(a->config.ctl, NULL, NULL);
	loop_timer_free(a->expiry);
	map_free(a->streams_of);
}

/* ---- enter, leave ---- */

int api_stream_enter(struct api *a, struct api_stream *s, const struct principal *who, void (*cut)(void *arg),
		     void *arg, struct err *err)
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
	*s = (struct api_stream){.who = *who, .cut = cut, .arg = arg};
	list_append(&a->open_streams, &s->node);
	a->streams++;
	count_set(a, user, of_user + 1);
	count_set(a, who->org, of_org + 1);
	arm_expiry(a);
	return 0;
}

void api_stream_leave(struct api *a, struct api_stream *s)
{
	char user[OWNER_MAX];
	name_user(&s->who, user);
	list_remove(&s->node);
	a->streams--;
	count_set(a, user, count_of(a, user) - 1);
	count_set(a, s->who.org, count_of(a, s->who.org) - 1);
}
