/* SPDX-License-Identifier: Apache-2.0 */
/* What the key of a job may change: every operation of the gateway against places in and outside its scope.
 */
#include "base/json.h"
#include "s3/s3_int.h"
#include "unit/test.h"

static char *job_writes[] = {"fds://acme/jobs/j1/output", "fds://data/models/", "fds://data/one.bin",
			     "fds://scratch/", NULL};

static enum s3_error check(const struct s3_operation *o, const char *bucket, const char *key, char **writes,
			   bool may_write)
{
	struct s3_request r = {.operation = o,
			       .bucket = o->on_bucket || o->on_key ? bucket : "",
			       .key = o->on_key ? key : "",
			       .who = {.may_write = may_write, .writes = writes}};
	return scope_check(&r);
}

TEST(every_operation_that_changes_is_refused_outside_the_scope)
{
	static const char *const outside[][2] = {
	    {"acme", "a"},
	    {"acme", "jobs/j1"},
	    {"acme", "jobs/j1/outputs/a"},
	    {"acme", "jobs/j1/logs/1.log"},
	    {"acme", "jobs/j2/output/a"},
	    {"acme", "Jobs/j1/output/a"},
	    {"acme", "/jobs/j1/output/a"},
	    {"acme", "jobs//j1/output/a"},
	    {"acm", "jobs/j1/output/a"},
	    {"acme2", "jobs/j1/output/a"},
	    {"data", "models"},
	    {"data", "modelsx/a"},
	    {"data", "one.bin2"},
	    {"data", "one.bi"},
	    {"scratch2", "a"},
	    {"ACME", "jobs/j1/output/a"},
	};
	size_t changing = 0, deletes = 0;
	for (const struct s3_operation *o = s3_operations; o->method; o++) {
		if (!o->changes)
			continue;
		changing++;
		deletes += o->handle == delete_objects;
		for (size_t i = 0; i < ARRAY_LEN(outside); i++) {
			enum s3_error e = check(o, outside[i][0], outside[i][1], job_writes, true);
			/* It names its keys in the body. */
			EXPECT_INT(o->query ? o->query : o->method, e,
				   o->handle == delete_objects ? S3_OK : S3_ACCESS_DENIED);
			EXPECT_INT(outside[i][1], check(o, outside[i][0], outside[i][1], job_writes, false),
				   S3_ACCESS_DENIED);
		}
	}
	assert_true(changing > 15);
	assert_int_equal(deletes, 1);
}

TEST(a_key_of_one_place_reads_and_lists_nothing_else)
{
	static char *reads[] = {"fds://acme/jobs/j1", NULL};
	static const struct {
		const char *bucket, *key;
		bool good;
	} table[] = {{"acme", "jobs/j1/output/a", true},
		     {"acme", "jobs/j1", true},
		     {"acme", "jobs/j10/output/a", false},
		     {"acme", "jobs/", false},
		     {"acme", "data/a", false},
		     {"other", "jobs/j1/output/a", false},
		     {"acme", "", false},
		     {"acme", "/jobs/j1", false}};
	for (const struct s3_operation *o = s3_operations; o->method; o++) {
		for (size_t i = 0; i < ARRAY_LEN(table); i++) {
			struct s3_request r = {.operation = o,
					       .bucket = o->on_bucket || o->on_key ? table[i].bucket : "",
					       .key = o->on_key ? table[i].key : "",
					       .who = {.reads = reads}};
			bool good = o->on_key && table[i].good && !o->changes;
			EXPECT_INT(table[i].key, scope_check(&r), good ? S3_OK : S3_ACCESS_DENIED);
		}
	}
}

TEST(a_bucket_itself_is_outside_of_every_scope)
{
	static const char *const buckets[] = {"acme", "data", "scratch", "new"};
	for (const struct s3_operation *o = s3_operations; o->method; o++)
		for (size_t i = 0; i < ARRAY_LEN(buckets) && o->on_bucket; i++)
			if (o->changes && o->handle != delete_objects)
				EXPECT_INT(buckets[i], check(o, buckets[i], "", job_writes, true),
					   S3_ACCESS_DENIED);
}

TEST(objects_in_the_scope_may_be_changed)
{
	static const char *const inside[][2] = {
	    {"acme", "jobs/j1/output"},	    {"acme", "jobs/j1/output/a"},
	    {"acme", "jobs/j1/output//b/"}, {"data", "models/"},
	    {"data", "models/a/b"},	    {"data", "one.bin"},
	    {"data", "one.bin/x"},	    {"scratch", "a"},
	};
	for (const struct s3_operation *o = s3_operations; o->method; o++)
		for (size_t i = 0; i < ARRAY_LEN(inside) && o->on_key; i++)
			EXPECT_INT(inside[i][1], check(o, inside[i][0], inside[i][1], job_writes, true),
				   S3_OK);
}

/* The check stands in the way that every request takes to its handler. */
TEST(no_handler_is_chosen_outside_the_scope)
{
	static const char *const none[] = {NULL};
	struct http_exchange x = {.method = "PUT"};
	struct s3_request r = {.x = &x,
			       .bucket = "acme",
			       .key = "jobs/j2/output/a",
			       .who = {.may_write = true, .writes = job_writes}};
	assert_int_equal(operation_choose(&r, s3_operations, none), S3_ACCESS_DENIED);
	r.key = "jobs/j1/output/a";
	assert_int_equal(operation_choose(&r, s3_operations, none), S3_OK);
	r.who.may_write = false;
	assert_int_equal(operation_choose(&r, s3_operations, none), S3_ACCESS_DENIED);
}

TEST(each_key_of_a_list_of_removals_is_asked_for)
{
	struct s3_request r = {.who = {.may_write = true, .writes = job_writes}};
	assert_true(scope_may_write(&r, "acme", "jobs/j1/output/a"));
	assert_false(scope_may_write(&r, "acme", "jobs/j2/output/a"));
	assert_false(scope_may_write(&r, "acme", ""));
	r.who.may_write = false;
	assert_false(scope_may_write(&r, "acme", "jobs/j1/output/a"));
}

TEST(keys_of_people_have_no_scope)
{
	for (const struct s3_operation *o = s3_operations; o->method; o++) {
		EXPECT_INT(o->method, check(o, "any", "thing", NULL, true), S3_OK);
		EXPECT_INT(o->method, check(o, "any", "thing", NULL, false),
			   o->changes ? S3_ACCESS_DENIED : S3_OK);
		/* Reading is not narrowed. */
		if (!o->changes)
			EXPECT_INT(o->method, check(o, "any", "thing", job_writes, true), S3_OK);
	}
}
