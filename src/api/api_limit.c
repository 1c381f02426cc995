/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much one user, one organisation and one who guesses may ask in a time: token buckets. A route says what
 * a call of it costs; a bucket fills with its rate up to BURST_S seconds' worth. What is counted are calls
 * that were admitted, and logins that failed.
 */
#include "api/api_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"

#define BURST_S 2
#define BUCKETS_MAX 20000 /* then those that are full are forgotten, and if none is, all */
#define GUESSES_BURST 10  /* failed logins with one key from one address, */
#define GUESSES_PER_MINUTE 6
#define ADDRESS_BURST 200 /* and with any from one address */
#define ADDRESS_PER_MINUTE 120

struct api_bucket {
	int64_t level; /* thousandths of a unit */
	int64_t at_ms; /* monotonic */
};

struct rate {
	int64_t milli_per_ms; /* thousandths of a unit a millisecond: units a second */
	int64_t burst;	      /* units */
};

/* ---- one bucket ---- */

static void bucket_fill(struct api_bucket *b, const struct rate *r, int64_t now_ms)
{
	int64_t most = r->burst * 1000, passed = now_ms - b->at_ms;
	b->at_ms = now_ms;
	if (passed >= (most - b->level) / r->milli_per_ms)
		b->level = most;
	else
		b->level += passed * r->milli_per_ms;
}

static void forget_full(struct map *buckets, const struct rate *r, int64_t now_ms)
{
	const char *key;
	void *value;
	bool all = true;
	for (size_t i = 0; map_next(buckets, &i, &key, &value);) {
		struct api_bucket *b = value;
		bucket_fill(b, r, now_ms);
		all = all && b->level < r->burst * 1000;
		if (b->level >= r->burst * 1000)
			map_delete(buckets, key);
	}
	for (size_t i = 0; all && map_next(buckets, &i, &key, &value);)
		map_delete(buckets, key);
}

static struct api_bucket *bucket_of(struct map *buckets, const char *name, const struct rate *r,
				    int64_t now_ms)
{
	struct api_bucket *b = map_get(buckets, name);
	if (!b) {
		if (map_count(buckets) >= BUCKETS_MAX)
			forget_full(buckets, r, now_ms);
		b = MEM_NEW(struct api_bucket);
		*b = (struct api_bucket){r->burst * 1000, now_ms};
		map_set(buckets, name, b);
	}
	bucket_fill(b, r, now_ms);
	return b;
}

/* 0 when 'cost' is there, else the seconds until it will be. A cost above the burst needs a full bucket. */
static int64_t bucket_wait(const struct api_bucket *b, const struct rate *r, int64_t cost)
{
	int64_t need = (cost < r->burst ? cost : r->burst) * 1000;
	if (b->level >= need)
		return 0;
	int64_t ms = (need - b->level + r->milli_per_ms - 1) / r->milli_per_ms;
	return (ms + 999) / 1000;
}

static void bucket_take(struct api_bucket *b, int64_t cost)
{
	b->level -= cost * 1000;
	if (b->level < 0)
		b->level = 0;
}

/* ---- users and organisations ---- */

static int refuse(struct http_exchange *x, int64_t wait_s, const char *who, struct err *err)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)wait_s);
	http_reply_header(x, "Retry-After", text);
	return err_set(err, ERR_LIMIT, "%s too much at once; try again in %s s", who, text);
}

int api_limit_check(struct http_exchange *x, struct api *a, const struct principal *who, struct err *err)
{
	const struct rate user_rate = {a->config.user_rate, a->config.user_rate * BURST_S};
	const struct rate org_rate = {a->config.org_rate, a->config.org_rate * BURST_S};
	int64_t cost = x->route->cost, now_ms = clock_monotonic_ms(a->config.clock), wait_s;
	char name[2 * CORE_NAME_MAX + 3];
	struct api_bucket *user = NULL, *org = NULL;
	if (!cost)
		return 0;
	snprintf(name, sizeof(name), "%s/%s", principal_home(who), who->user);
	if (user_rate.milli_per_ms)
		user = bucket_of(a->user_buckets, name, &user_rate, now_ms);
	if (org_rate.milli_per_ms)
		org = bucket_of(a->org_buckets, principal_home(who), &org_rate, now_ms);
	if (user && (wait_s = bucket_wait(user, &user_rate, cost)) > 0)
		return refuse(x, wait_s, "you ask", err);
	if (org && (wait_s = bucket_wait(org, &org_rate, cost)) > 0)
		return refuse(x, wait_s, "your organisation asks", err);
	if (user)
		bucket_take(user, cost);
	if (org)
		bucket_take(org, cost);
	return 0;
}

/* ---- logins ---- */

/* Rates below one a second: a unit of these buckets is a thousandth of a guess. */
static const struct rate guess_rate = {GUESSES_PER_MINUTE * 1000 / 60, GUESSES_BURST * 1000};
static const struct rate address_rate = {ADDRESS_PER_MINUTE * 1000 / 60, ADDRESS_BURST * 1000};

static void name_guess(struct http_exchange *x, const char *token, char ret[160])
{
	char id[STORE_KEY_ID_MAX + 1] = "-", sha256[DIGEST_HEX_LEN + 1];
	struct err ignored = ERR_INIT;
	if (store_token_parse(token, id, sha256, &ignored) < 0 ||
	    strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789") != strlen(id))
		snprintf(id, sizeof(id), "-"); /* a stranger's bytes go into no log */
	snprintf(ret, 160, "%s %s", http_client_address(x), id);
}

int api_login_check(struct http_exchange *x, struct api *a, const char *token, struct err *err)
{
	char name[160];
	name_guess(x, token, name);
	const struct api_bucket *b = map_get(a->guess_buckets, name);
	if (!b)
		return 0;
	int64_t now_ms = clock_monotonic_ms(a->config.clock);
	int64_t wait_s =
	    bucket_wait(bucket_of(a->guess_buckets, name, &guess_rate, now_ms), &guess_rate, 1000);
	return wait_s ? refuse(x, wait_s, "logins with this key failed", err) : 0;
}

int api_login_failed(struct http_exchange *x, struct api *a, const char *token, struct err *err)
{
	char name[160];
	int64_t now_ms = clock_monotonic_ms(a->config.clock);
	name_guess(x, token, name);
	struct api_bucket *address =
	    bucket_of(a->address_buckets, http_client_address(x), &address_rate, now_ms);
	int64_t wait_s = bucket_wait(address, &address_rate, 1000);
	if (wait_s)
		return refuse(x, wait_s, "logins from this address failed", err);
	bucket_take(address, 1000);
	bucket_take(bucket_of(a->guess_buckets, name, &guess_rate, now_ms), 1000);
	log_warn("auth.login_failed from=\"%s\"", name);
	return -err->code;
}

/* ---- life ---- */

void api_limits_open(struct api *a)
{
	a->user_buckets = map_new(free);
	a->org_buckets = map_new(free);
	a->guess_buckets = map_new(free);
	a->address_buckets = map_new(free);
}

void api_limits_close(struct api *a)
{
	map_free(a->user_buckets);
	map_free(a->org_buckets);
	map_free(a->guess_buckets);
	map_free(a->address_buckets);
}
