/* SPDX-License-Identifier: Apache-2.0 */
/* Where the things of a job lie; its access key. */
#include <stdio.h>
#include "base/json.h"
#include "base/mem.h"
#include "core/store_layout.h"
#include "unit/test.h"

TEST(the_key_of_an_attempt_has_one_form)
{
	static const char *const bad[] = {"",
					  "job",
					  "job.",
					  "job.j1",
					  "job.j1.",
					  "job.j1.0",
					  "job.j1.01",
					  "job.j1.-1",
					  "job.j1.1x",
					  "job.j1. 1",
					  "job..1",
					  "job.j1.1.2",
					  "Job.j1.1",
					  "xjob.j1.1",
					  "job.j1.+1",
					  "job.j1.1 ",
					  "job.j123456789012345678.1",
					  "job.j1.99999999999999999999"};
	char key[STORE_JOB_KEY_MAX], id[16];
	int64_t attempt;
	store_job_key("jabc234567", 12, key);
	assert_string_equal(key, "job.jabc234567.12");
	assert_true(store_job_key_parse(key, id, &attempt));
	assert_string_equal(id, "jabc234567");
	assert_int_equal(attempt, 12);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT_INT(bad[i], store_job_key_parse(bad[i], id, &attempt), false);
}

TEST(a_job_writes_its_own_places_and_those_that_it_names)
{
	struct job *job = job_new();
	CLEANUP(json)
	json_t *j = json_pack("{s:s, s:{s:[s]}}", "module", "a", "store", "write", "fds://data/models");
	struct err err = ERR_INIT;
	snprintf(job->id, sizeof(job->id), "j1");
	snprintf(job->org, sizeof(job->org), "acme");
	EXPECT_OK(job_spec_parse(j, &job->spec, &err), &err);
	CLEANUP(strings) char **writes = store_job_writes(job);
	static const char *const expected[] = {"fds://acme/jobs/j1/output", "fds://acme/jobs/j1/checkpoints",
					       "fds://acme/jobs/j1/tensorboard", "fds://data/models"};
	assert_int_equal(strings_count(writes), ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_string_equal(writes[i], expected[i]);
	job_free(job);
}
