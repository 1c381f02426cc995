/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of model services with several replicas: death, updates, weights, and a server that dies meanwhile.
 */
#include "sim/sim.h"

#define READY(s, name, many)                                                                                 \
	do {                                                                                                 \
		struct sim_request ready_ = sim_model_get(s, NULL, name, NULL);                              \
		EXPECT_STR(name, service_state_word((enum service_state)ready_.state), "ready");             \
		EXPECT_INT("ready", ready_.ready, many);                                                     \
		EXPECT_INT("replicas", ready_.count, many);                                                  \
	} while (0)

static struct sim *sim_with(int64_t replicas)
{
	struct sim *s = sim_new();
	EXPECT_INT("create",
		   sim_model_create_with(s, "m", (struct sim_model_wish){.replicas = replicas, .version = 1})
		       .err.code,
		   0);
	sim_until_model(s, "m", SERVICE_READY);
	sim_run(s, 10 * SEC);
	READY(s, "m", replicas);
	return s;
}

static void end(struct sim *s)
{
	EXPECT_INT("delete", sim_model_delete(s, NULL, "m").err.code, 0);
	sim_until_idle(s, 600 * SEC);
	EXPECT_INT("get", sim_model_get(s, NULL, "m", NULL).err.code, ERR_NOT_FOUND);
	sim_check_settled(s);
	sim_free(s);
}

TEST(a_replica_that_dies_is_replaced_and_the_others_serve_on)
{
	struct sim *s = sim_with(3);
	char before[64], after[64];
	sim_model_get(s, NULL, "m", before);
	world_kill(s, sim_serving_one(s, "-serving-1"), FAIL_USER);
	sim_run(s, SEC / 2);
	struct sim_request q = sim_model_get(s, NULL, "m", NULL);
	EXPECT_STR("state", service_state_word((enum service_state)q.state), "ready");
	EXPECT_INT("serve on", sim_serving(s), 2);
	sim_run(s, 10 * SEC);
	READY(s, "m", 3);
	EXPECT_INT("attempts", sim_model_get(s, NULL, "m", after).attempt, 4);
	assert_string_equal(before, after);
	EXPECT_INT("starts", sim_marks_of(s, q.id)->starts, 4);
	end(s);
}

TEST(a_replica_that_hangs_is_replaced)
{
	struct sim *s = sim_with(2);
	struct sim_request q = sim_model_get(s, NULL, "m", NULL);
	sim_hang(s, sim_serving_one(s, "-serving-0"));
	sim_run(s, 20 * SEC);
	READY(s, "m", 2);
	EXPECT_INT("starts", sim_marks_of(s, q.id)->starts, 3);
	assert_null(sim_serving_one(s, "-1-serving-0"));
	end(s);
}

TEST(an_update_never_has_fewer_ready_replicas_than_before)
{
	struct sim *s = sim_with(2);
	size_t fewest;
	struct sim_request q = sim_model_update(s, "m", .version = 2);
	EXPECT_INT("update", q.err.code, 0);
	EXPECT_INT("revision", q.revision, 2);
	q = sim_until_updated(s, "m", &fewest);
	EXPECT_INT("update", q.update, UPDATE_DONE);
	EXPECT_INT("fewest", fewest, 2);
	sim_run(s, 10 * SEC);
	READY(s, "m", 2);
	EXPECT_INT("starts", sim_marks_of(s, q.id)->starts, 4);
	end(s);
}

TEST(a_broken_version_keeps_the_old_one_serving_and_says_why)
{
	struct sim *s = sim_with(2);
	size_t fewest;
	sim_plan_set(s, "m@2", (struct sim_plan){.prepare_ms = 500, .fail = FAIL_ENVIRONMENT});
	sim_model_update(s, "m", .version = 2);
	struct sim_request q = sim_until_updated(s, "m", &fewest);
	EXPECT_INT("update", q.update, UPDATE_FAILED);
	EXPECT_INT("fewest", fewest, 2);
	sim_run(s, 10 * SEC);
	READY(s, "m", 2);
	EXPECT_INT("starts", sim_marks_of(s, q.id)->starts, 3);
	/* What it was is its wish again: one that dies comes back as such. */
	world_kill(s, sim_serving_one(s, "-serving-0"), FAIL_USER);
	sim_run(s, 20 * SEC);
	READY(s, "m", 2);
	end(s);
}

TEST(a_version_that_breaks_after_its_first_replica_is_taken_back)
{
	struct sim *s = sim_with(3);
	size_t fewest;
	sim_model_update(s, "m", .version = 2);
	while (!sim_serving_one(s, "-4-serving-3") || sim_model_get(s, NULL, "m", NULL).count != 4)
		sim_step(s);
	sim_plan_set(s, "m@2", (struct sim_plan){.prepare_ms = 500, .fail = FAIL_ENVIRONMENT});
	struct sim_request q = sim_until_updated(s, "m", &fewest);
	EXPECT_INT("update", q.update, UPDATE_FAILED);
	for (int i = 0; i < 4000; i++) {
		sim_step(s);
		fewest = sim_serving(s) < fewest ? sim_serving(s) : fewest;
	}
	EXPECT_INT("fewest", fewest, 3);
	READY(s, "m", 3);
	assert_null(sim_serving_one(s, "-4-serving-3"));
	end(s);
}

TEST(a_version_that_is_never_ready_is_given_up_after_its_grace)
{
	struct sim *s = sim_with(1);
	size_t fewest;
	sim_plan_set(s, "m@2", (struct sim_plan){.prepare_ms = 500, .run_ms = -1, .fail = FAIL_USER});
	sim_model_update(s, "m", .version = 2, .grace_ms = 30 * SEC);
	struct sim_request q = sim_until_updated(s, "m", &fewest);
	EXPECT_INT("update", q.update, UPDATE_FAILED);
	EXPECT_INT("fewest", fewest, 1);
	sim_run(s, 30 * SEC);
	READY(s, "m", 1);
	end(s);
}

TEST(a_server_that_dies_in_an_update_goes_on_with_it)
{
	for (int step = 0; step < 120; step += 3) {
		struct sim *s = sim_with(2);
		size_t fewest;
		EXPECT_INT("update", sim_model_update(s, "m", .version = 2).err.code, 0);
		for (int i = 0; i < step; i++)
			sim_step(s);
		sim_crash(s);
		assert_true(sim_serving(s) >= 2);
		sim_run(s, 5 * SEC);
		sim_start(s);
		struct sim_request q = sim_until_updated(s, "m", &fewest);
		EXPECT_INT("update", q.update, UPDATE_DONE);
		EXPECT_INT("revision", q.revision, 2);
		assert_true(fewest >= 2);
		sim_run(s, 10 * SEC);
		READY(s, "m", 2);
		end(s);
	}
}

TEST(an_update_while_one_goes_on_takes_its_place)
{
	struct sim *s = sim_with(2);
	size_t fewest;
	sim_plan_set(s, "m@2", (struct sim_plan){.prepare_ms = 500, .run_ms = -1, .fail = FAIL_USER});
	sim_model_update(s, "m", .version = 2);
	sim_run(s, 5 * SEC);
	struct sim_request q = sim_model_update(s, "m", .version = 3);
	EXPECT_INT("revision", q.revision, 3);
	q = sim_until_updated(s, "m", &fewest);
	EXPECT_INT("update", q.update, UPDATE_DONE);
	EXPECT_INT("fewest", fewest, 2);
	sim_run(s, 10 * SEC);
	READY(s, "m", 2);
	end(s);
}

TEST(weights_change_without_a_restart_and_survive_one)
{
	struct sim *s = sim_new();
	size_t fewest;
	sim_model_create_with(s, "m", (struct sim_model_wish){.replicas = 2, .weights = "1=900,2=100"});
	sim_run(s, 10 * SEC);
	struct sim_request q = sim_model_update(s, "m", .weights = "1=100,2=900");
	EXPECT_INT("update", q.err.code, 0);
	q = sim_until_updated(s, "m", &fewest);
	EXPECT_INT("update", q.update, UPDATE_DONE);
	EXPECT_INT("starts", sim_marks_of(s, q.id)->starts, 2);
	for (int i = 0; i < 2; i++)
		assert_string_equal(sim_serving_one(s, i ? "-serving-1" : "-serving-0")->status.weights,
				    "1=100,2=900");
	world_kill(s, sim_serving_one(s, "-serving-0"), FAIL_USER);
	sim_run(s, 20 * SEC);
	assert_string_equal(sim_serving_one(s, "-serving-0")->status.weights, "1=100,2=900");
	/* Another set of versions is another release. */
	sim_model_update(s, "m", .weights = "2=500,3=500");
	sim_until_updated(s, "m", &fewest);
	EXPECT_INT("fewest", fewest, 2);
	EXPECT_INT("starts", sim_marks_of(s, q.id)->starts, 5);
	end(s);
}

TEST(replicas_come_and_go_with_the_wish)
{
	struct sim *s = sim_with(1);
	size_t fewest;
	sim_model_update(s, "m", .replicas = 3);
	sim_until_updated(s, "m", &fewest);
	READY(s, "m", 3);
	sim_model_update(s, "m", .replicas = 1);
	sim_until_updated(s, "m", &fewest);
	EXPECT_INT("fewest", fewest, 1);
	sim_run(s, 5 * SEC);
	READY(s, "m", 1);
	EXPECT_INT("cpu", s->in_use.cpu_milli, 1000);
	end(s);
}

TEST(an_update_of_what_was_changed_meanwhile_is_refused)
{
	struct sim *s = sim_with(1);
	struct principal who;
	struct service_spec spec;
	struct sim_request q = {0};
	sim_principal(&who, NULL, ROLE_MEMBER);
	service_spec_init(&spec);
	free(spec.name);
	spec.name = mem_strdup("m");
	spec.uri = mem_strdup("fds://default/other/");
	sim_model_update(s, "m", .replicas = 2);
	ctl_service_update(s->ctl, &who, "m", &spec, 1, NULL, sim_on_result, &q);
	while (!q.is_done)
		sim_step(s);
	EXPECT_INT("stale", q.err.code, ERR_CONFLICT);
	who.role = ROLE_VIEWER;
	q = (struct sim_request){0};
	ctl_service_update(s->ctl, &who, "m", &spec, 2, NULL, sim_on_result, &q);
	while (!q.is_done)
		sim_step(s);
	EXPECT_INT("viewer", q.err.code, ERR_DENIED);
	service_spec_done(&spec);
	end(s);
}

TEST(the_same_key_updates_and_deletes_once)
{
	struct sim *s = sim_with(1);
	struct principal who;
	struct service_spec spec;
	struct ctl_idempotency change = {"k1", "aaaa"}, removal = {"k2", "bbbb"};
	sim_principal(&who, NULL, ROLE_MEMBER);
	service_spec_init(&spec);
	free(spec.name);
	spec.name = mem_strdup("m");
	spec.uri = mem_strdup("fds://default/other/");
	for (int i = 0; i < 2; i++) {
		struct sim_request q = {0};
		ctl_service_update(s->ctl, &who, "m", &spec, 1, &change, sim_on_result, &q);
		while (!q.is_done)
			sim_step(s);
		EXPECT_INT("update", q.err.code, 0);
		EXPECT_INT("replayed", q.replayed, i);
		EXPECT_INT("revision", q.revision, 2);
	}
	/* Twice at a time, both made of the same revision: one of them is the repetition. */
	struct ctl_idempotency twice = {"k3", "cccc"};
	struct sim_request both[2] = {{0}};
	spec.replicas = 2;
	for (int i = 0; i < 2; i++)
		ctl_service_update(s->ctl, &who, "m", &spec, 2, &twice, sim_on_result, &both[i]);
	while (!both[0].is_done || !both[1].is_done)
		sim_step(s);
	EXPECT_INT("both", both[0].err.code + both[1].err.code, 0);
	EXPECT_INT("replayed", both[0].replayed + both[1].replayed, 1);
	EXPECT_INT("revision", both[1].revision, 3);
	for (int i = 0; i < 2; i++) {
		struct sim_request q = {0};
		ctl_service_delete(s->ctl, &who, SERVICE_MODEL, "m", &removal, sim_on_result, &q);
		while (!q.is_done)
			sim_step(s);
		EXPECT_INT("delete", q.err.code, 0);
		EXPECT_INT("replayed", q.replayed, i);
		EXPECT_STR("state", service_state_word((enum service_state)q.state),
			   i ? "deleted" : "stopping");
		sim_until_idle(s, 600 * SEC);
	}
	service_spec_done(&spec);
	sim_check_settled(s);
	sim_free(s);
}
