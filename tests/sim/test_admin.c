/* SPDX-License-Identifier: Apache-2.0 */
/* Administration under crashes: an organisation goes whole however often the server dies meanwhile, and what
 * was acknowledged about keys is true afterwards. */
#include <stdio.h>
#include "base/mem.h"
#include "ctl/ctl_admin.h"
#include "sim/sim.h"

struct answer {
	bool is_done, replayed;
	int code;
	size_t count;
	char token[STORE_TOKEN_MAX], id[KEY_ID_MAX + 1];
	enum org_state state;
};

static void on_answer(void *arg, const struct admin_answer *answer, const struct err *err)
{
	struct answer *a = arg;
	a->is_done = true;
	a->code = err->code;
	a->replayed = answer->replayed;
	a->count = answer->orgs.count + answer->users.count + answer->keys.count + answer->events.count;
	memcpy(a->token, answer->token, sizeof(a->token));
	if (answer->keys.count)
		memcpy(a->id, answer->keys.items[0].id, sizeof(a->id));
	if (answer->orgs.count)
		a->state = answer->orgs.items[0].state;
}

/* The platform's administrator acts in 'org'. Steps until the answer; false when 'steps' were not enough. */
static bool act(struct sim *s, const char *org, struct admin_request q, const char *key, int64_t steps,
		struct answer *ret)
{
	struct principal root;
	struct ctl_idempotency idem = {.key = key, .body_sha256 = "of the body"};
	sim_principal(&root, org, ROLE_ADMIN);
	snprintf(root.home, sizeof(root.home), "default");
	snprintf(root.user, sizeof(root.user), "root");
	root.is_platform = true;
	*ret = (struct answer){0};
	ctl_admin(s->ctl, &root, &q, &idem, on_answer, ret);
	while (steps-- > 0 && !ret->is_done)
		sim_step(s);
	return ret->is_done;
}

static struct answer must(struct sim *s, const char *org, struct admin_request q)
{
	struct answer a;
	assert_true(act(s, org, q, NULL, 10000, &a));
	if (a.code)
		fail_msg("verb %d answered %s", (int)q.verb, err_word(a.code));
	return a;
}

static void make_org(struct sim *s, const char *org)
{
	struct admin_request q = ADMIN_REQUEST(ADMIN_ORG_CREATE);
	q.name = org;
	must(s, "default", q);
	q = ADMIN_REQUEST(ADMIN_USER_CREATE);
	q.name = "bob";
	must(s, org, q);
}

static struct answer make_key(struct sim *s, const char *org)
{
	struct admin_request q = ADMIN_REQUEST(ADMIN_KEY_CREATE);
	q.user = "bob";
	return must(s, org, q);
}

static bool is_valid(struct sim *s, const char *token)
{
	struct principal who;
	struct err err = ERR_INIT;
	return ctl_authenticate(s->ctl, token, &who, &err) >= 0;
}

static int count_of(struct sim *s, const char *org, enum admin_verb verb)
{
	struct answer a;
	assert_true(act(s, org, ADMIN_REQUEST(verb), NULL, 10000, &a));
	return a.code ? -a.code : (int)a.count;
}

TEST(an_organisation_goes_whole_wherever_the_server_dies)
{
	int64_t crashes = 0;
	for (int64_t after = 0; after < 160; after += 3) {
		struct sim *s = sim_new(.seed = (uint64_t)after + 1);
		struct answer a;
		make_org(s, "third");
		char token[STORE_TOKEN_MAX];
		memcpy(token, make_key(s, "third").token, sizeof(token));
		sim_plan_set(s, "long", (struct sim_plan){.run_ms = -1});
		sim_plan_set(s, "stays", (struct sim_plan){.run_ms = 40 * SEC});
		char gone[16], stays[16];
		snprintf(gone, sizeof(gone), "%s", sim_submit(s, "long", .org = "third").id);
		snprintf(stays, sizeof(stays), "%s", sim_submit(s, "stays").id);
		sim_model_create(s, "third", "model");
		sim_run(s, 5 * SEC);
		assert_true(is_valid(s, token));

		struct admin_request q = ADMIN_REQUEST(ADMIN_ORG_DELETE);
		assert_true(act(s, "third", q, "k", 10000, &a));
		assert_int_equal(a.code, ERR_STATE); /* it is not empty */
		q.force = true;
		bool acknowledged = act(s, "third", q, "forced", after, &a);
		for (int64_t n = after; acknowledged && n > 0; n--)
			sim_step(s);
		sim_crash(s);
		sim_start(s);
		crashes++;
		if (!acknowledged) { /* the client asks again with its key */
			assert_true(act(s, "third", q, "forced", 10000, &a));
			assert_int_equal(a.code, 0);
		}
		assert_false(is_valid(s, token));
		sim_run(s, 600 * SEC);
		assert_int_equal(count_of(s, "third", ADMIN_ORG_GET), -ERR_NOT_FOUND);
		assert_int_equal(sim_get(s, "third", gone).err.code, ERR_NOT_FOUND);
		assert_int_equal(sim_model_get(s, "third", "model", NULL).err.code, ERR_NOT_FOUND);
		EXPECT_STATE(s, "stays", JOB_COMPLETED);
		EXPECT_STARTS(s, "stays", 1);
		assert_int_equal(map_count(s->tasks), 0);
		/* Its name is free again, for one that knows nothing of it. */
		make_org(s, "third");
		assert_int_equal(count_of(s, "third", ADMIN_USER_LIST), 1);
		assert_int_equal(count_of(s, "third", ADMIN_KEY_LIST), 0);
		assert_int_equal(sim_get(s, "third", gone).err.code, ERR_NOT_FOUND);
		map_delete(s->told, gone);
		sim_free(s);
	}
	print_message("%lld crashes\n", (long long)crashes);
}

/* A client that repeats a request with its key until it is answered: one key each, and none that was revoked.
 */
TEST(what_was_acknowledged_about_keys_is_true_after_every_crash)
{
	struct sim *s = sim_new(.seed = 7);
	struct rng rng;
	char live[40][STORE_TOKEN_MAX], dead[40][STORE_TOKEN_MAX], ids[40][KEY_ID_MAX + 1];
	size_t live_count = 0, dead_count = 0, unseen = 0;
	rng_seed(&rng, 11);
	make_org(s, "third");
	for (int round = 0; round < 40; round++) {
		char key[16];
		struct answer a;
		struct admin_request q = ADMIN_REQUEST(ADMIN_KEY_CREATE);
		q.user = "bob";
		snprintf(key, sizeof(key), "make-%d", round);
		bool done = act(s, "third", q, key, (int64_t)rng_below(&rng, 8), &a);
		if (!done || rng_below(&rng, 2)) {
			sim_crash(s);
			sim_start(s);
		}
		if (!done)
			assert_true(act(s, "third", q, key, 10000, &a));
		assert_int_equal(a.code, 0);
		unseen += a.replayed; /* made, but nobody has its token */
		if (a.token[0]) {
			memcpy(ids[live_count], a.id, sizeof(a.id));
			memcpy(live[live_count++], a.token, sizeof(a.token));
		}
		if (live_count && rng_below(&rng, 2)) {
			size_t i = (size_t)rng_below(&rng, live_count);
			q = ADMIN_REQUEST(ADMIN_KEY_REVOKE);
			q.name = ids[i];
			must(s, "third", q);
			memcpy(dead[dead_count++], live[i], sizeof(live[i]));
			memcpy(live[i], live[--live_count], sizeof(live[i]));
			memcpy(ids[i], ids[live_count], sizeof(ids[i]));
		}
		for (size_t i = 0; i < live_count; i++)
			assert_true(is_valid(s, live[i]));
		for (size_t i = 0; i < dead_count; i++)
			assert_false(is_valid(s, dead[i]));
	}
	assert_int_equal(count_of(s, "third", ADMIN_KEY_LIST), (int)(live_count + unseen));
	assert_true(live_count > 0 && dead_count > 0 && unseen > 0);
	sim_free(s);
}
