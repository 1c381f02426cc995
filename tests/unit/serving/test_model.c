/* SPDX-License-Identifier: Apache-2.0 */
/* Finding models on disk and resolving them by name, version and label. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "serving/model.h"
#include "serving/model_scan.h"
#include "unit/test.h"

static void make_model(const char *dir, const char *folder, const char *file)
{
	CLEANUP(free) char *path = mem_printf("%s/%s", dir, folder);
	CLEANUP(free) char *whole = mem_printf("%s/%s", path, file);

	mkdir(path, 0700);
	int fd = open(whole, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
}

/* Looks at 'base' and writes the numbers found: "10 2 ". */
static void scan(const char *base, struct version_policy policy, struct buf *ret, struct err *err)
{
	struct scan_item item = {.name = mem_strdup("m"), .base_path = mem_strdup(base), .policy = policy};

	model_scan(&item);
	for (size_t i = 0; i < item.count; i++)
		buf_printf(ret, "%lld ", (long long)item.versions[i].number);
	*err = item.err;
	scan_item_done(&item);
}

TEST(policies_choose_among_the_folders_that_hold_a_model)
{
	static const struct {
		const char *row;
		struct version_policy policy;
		const char *expected;
	} rows[] = {
	    {"latest", {VERSIONS_LATEST, 1, 0, {0}}, "10 "},
	    {"latest two", {VERSIONS_LATEST, 2, 0, {0}}, "10 2 "},
	    {"latest many", {VERSIONS_LATEST, 4000000000, 0, {0}}, "10 2 1 "},
	    {"all", {VERSIONS_ALL, 1, 0, {0}}, "10 2 1 "},
	    {"specific", {VERSIONS_SPECIFIC, 1, 3, {1, 10, 77}}, "10 1 "},
	};
	const char *dir = test_dir();

	make_model(dir, "1", "model.onnx");
	make_model(dir, "2", "saved_model.pb");
	make_model(dir, "002", "saved_model.pb");
	make_model(dir, "00010", "model.onnx");
	make_model(dir, "99", "something_else");
	make_model(dir, "notes", "saved_model.pb");
	make_model(dir, "99999999999999999999", "saved_model.pb");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf) struct buf found = BUF_INIT;
		struct err err = ERR_INIT;
		scan(dir, rows[i].policy, &found, &err);
		EXPECT_INT(rows[i].row, err.code, 0);
		EXPECT_STR(rows[i].row, buf_str(&found), rows[i].expected);
	}
}

TEST(a_folder_that_did_not_change_is_not_read_again)
{
	static const struct timespec past[2] = {{1000000000, 7}, {1000000000, 7}};
	struct scan_item item = {.policy = {VERSIONS_LATEST, 1, 0, {0}}};
	const char *dir = test_dir();

	make_model(dir, "1", "saved_model.pb");
	item.name = mem_strdup("m");
	item.base_path = mem_strdup(dir);
	model_scan(&item);
	EXPECT_INT("changed a moment ago: it may change again", (int)item.folder_time_ns, 0);
	assert_int_equal(utimensat(AT_FDCWD, dir, past, 0), 0);
	scan_item_done(&item);
	item = (struct scan_item){.name = mem_strdup("m"), .base_path = mem_strdup(dir), .policy.latest = 1};
	model_scan(&item);
	assert_true(item.folder_time_ns == 1000000000LL * 1000000000 + 7 && !item.unchanged);
	EXPECT_INT("found", (int)item.count, 1);
	model_scan(&item);
	assert_true(item.unchanged);
	int64_t time_ns = item.folder_time_ns;
	scan_item_done(&item);
	make_model(dir, "2", "saved_model.pb");
	item = (struct scan_item){.name = mem_strdup("m"),
				  .base_path = mem_strdup(dir),
				  .folder_time_ns = time_ns,
				  .policy.latest = 1};
	model_scan(&item);
	assert_true(!item.unchanged && item.count == 1 && item.versions[0].number == 2);
	scan_item_done(&item);
}

TEST(a_model_may_lie_at_the_base_path_itself)
{
	CLEANUP(buf) struct buf found = BUF_INIT;
	struct version_policy latest = {.latest = 1}, specific = {VERSIONS_SPECIFIC, 1, 1, {42}};
	struct err err = ERR_INIT;

	const char *dir = test_dir();
	make_model(dir, "m", "saved_model.pb");
	CLEANUP(free) char *base = mem_printf("%s/m", dir);
	scan(base, latest, &found, &err);
	EXPECT_STR("default", buf_str(&found), "1 ");
	scan(base, specific, &found, &err);
	EXPECT_STR("given", buf_str(&found), "1 42 ");
	scan("/nonexistent", latest, &found, &err);
	EXPECT_ERR(-err.code, ERR_NOT_FOUND, &err, "/nonexistent");
	scan(test_dir(), latest, &found, &err);
	EXPECT_ERR(-err.code, ERR_NOT_FOUND, &err, "saved_model.pb");
	scan(dir, specific, &found, &err);
	EXPECT_ERR(-err.code, ERR_NOT_FOUND, &err, "no version 42");
}

TEST(a_print_changes_with_the_files)
{
	CLEANUP(free) char *path = NULL;
	const char *dir = test_dir();
	uint64_t before = 0, same = 0, after = 0;
	int64_t bytes = 0;
	struct err err = ERR_INIT;

	make_model(dir, "1", "saved_model.pb");
	path = mem_printf("%s/1", dir);
	EXPECT_OK(model_print(path, &bytes, &before, &err), &err);
	EXPECT_OK(model_print(path, &bytes, &same, &err), &err);
	assert_true(before == same && bytes == 0);
	make_model(dir, "1", "variables");
	CLEANUP(free) char *file = mem_printf("%s/saved_model.pb", path);
	EXPECT_OK(fd_write_file_fast(AT_FDCWD, file, "abc", 3, 0600, &err), &err);
	EXPECT_OK(model_print(path, &bytes, &after, &err), &err);
	assert_true(after != before && bytes == 3);
}

static bool never(const char *path)
{
	return false;
}

static const struct signature_set *no_signatures(const struct runtime_model *m)
{
	static const struct signature_set none;

	return &none;
}

static int unloaded;

static void count_unload(struct runtime_model *m)
{
	unloaded++;
}

static const struct runtime_ops fake_ops = {
    .name = "fake", .matches = never, .signatures = no_signatures, .unload = count_unload};

static struct runtime_model fake = {&fake_ops};

static struct model_version *make_version(struct model *m, int64_t number, enum version_state state)
{
	struct model_version *v = model_add_version(m, number, "/x");

	if (state >= VERSION_LOADING)
		model_version_move(v, VERSION_LOADING);
	v->runtime = state >= VERSION_AVAILABLE ? &fake : NULL;
	if (state >= VERSION_AVAILABLE)
		model_version_move(v, VERSION_AVAILABLE);
	return v;
}

/* The number of the version that a request gets; -1 and err set when none. */
static int64_t resolve(struct registry *r, struct model_spec spec, struct err *err)
{
	struct model_version *v = NULL;
	int64_t number = -1;

	if (registry_resolve(r, &spec, &v, err) >= 0) {
		number = v->number;
		model_version_unref(v);
	}
	return number;
}

TEST(requests_resolve_to_available_versions_only)
{
	struct model_spec spec = {.name = STR("m")};
	struct model_version *v, *found = NULL;
	struct registry r;
	struct model *m;
	struct err err = ERR_INIT;

	registry_init(&r);
	m = registry_add(&r, "m");
	m->listed = true;
	assert_ptr_equal(registry_add(&r, "m"), m);
	v = make_version(m, 5, VERSION_START);
	EXPECT_ERR(registry_resolve(&r, &spec, &found, &err), ERR_NOT_FOUND, &err,
		   "Servable not found for request: Latest(m)");
	assert_false(registry_is_ready(&r));
	model_version_move(v, VERSION_LOADING);
	v->runtime = &fake;
	model_version_move(v, VERSION_AVAILABLE);
	assert_true(registry_is_ready(&r));
	EXPECT_OK(registry_resolve(&r, &spec, &found, &err), &err);
	EXPECT_INT("number", found->number, 5);
	spec.has_version = true;
	spec.version = 6;
	EXPECT_ERR(registry_resolve(&r, &spec, &v, &err), ERR_NOT_FOUND, &err, "Specific(m, 6)");
	spec = (struct model_spec){.name = STR("other")};
	EXPECT_ERR(registry_resolve(&r, &spec, &v, &err), ERR_NOT_FOUND, &err, "Servable not found");
	spec = (struct model_spec){.name = STR("m"), .label = STR("stable")};
	EXPECT_ERR(registry_resolve(&r, &spec, &v, &err), ERR_INVALID, &err, "label: stable");
	EXPECT_ERR(model_status_missing(&spec, false, &err), ERR_NOT_FOUND, &err,
		   "Could not find any versions of model m");
	unloaded = 0;
	registry_done(&r);
	EXPECT_INT("a request still holds it", unloaded, 0);
	model_version_unref(found);
	EXPECT_INT("the last reference unloads", unloaded, 1);
}

TEST(the_newest_available_version_is_the_default)
{
	struct model_spec spec = {.name = STR("m")};
	struct registry r;
	struct err err = ERR_INIT;

	registry_init(&r);
	struct model *m = registry_add(&r, "m");
	make_version(m, 2, VERSION_AVAILABLE);
	make_version(m, 7, VERSION_LOADING);
	make_version(m, 1, VERSION_AVAILABLE);
	EXPECT_INT("newest", resolve(&r, spec, &err), 2);
	spec.has_version = true;
	spec.version = 1;
	EXPECT_INT("by number", resolve(&r, spec, &err), 1);
	registry_done(&r);
}

TEST(labels_name_available_versions_unless_they_are_new)
{
	static const struct model_label good[] = {{"stable", 1}, {"canary", 2}}, bad[] = {{"stable", 3}},
					new_one[] = {{"stable", 1}, {"soon", 3}}, moved[] = {{"soon", 4}};
	struct model_spec spec = {.name = STR("m"), .label = STR("stable")};
	struct registry r;
	struct err err = ERR_INIT;

	registry_init(&r);
	struct model *m = registry_add(&r, "m");
	make_version(m, 1, VERSION_AVAILABLE);
	make_version(m, 2, VERSION_AVAILABLE);
	make_version(m, 3, VERSION_LOADING);
	EXPECT_OK(model_set_labels(m, good, 2, false, &err), &err);
	EXPECT_INT("stable", resolve(&r, spec, &err), 1);
	spec.label = STR("canary");
	EXPECT_INT("canary", resolve(&r, spec, &err), 2);
	EXPECT_ERR(model_set_labels(m, bad, 1, false, &err), ERR_STATE, &err,
		   "version 3 of model m, which is not currently available");
	EXPECT_ERR(model_set_labels(m, bad, 1, true, &err), ERR_STATE, &err, "not currently available");
	EXPECT_INT("nothing changed", resolve(&r, spec, &err), 2);
	EXPECT_OK(model_set_labels(m, new_one, 2, true, &err), &err);
	EXPECT_OK(model_set_labels(m, new_one, 2, true, &err), &err);
	EXPECT_ERR(model_set_labels(m, moved, 1, true, &err), ERR_STATE, &err, "version 4");
	spec.label = STR("soon");
	EXPECT_INT("not there yet", resolve(&r, spec, &err), -1);
	EXPECT_STR("why", err.msg, "Servable not found for request: Specific(m, 3)");
	spec.label = STR("canary");
	EXPECT_INT("replaced", resolve(&r, spec, &err), -1);
	registry_done(&r);
}

TEST(a_thousand_requests_split_exactly_by_the_weights)
{
	static const struct model_weight weights[] = {{1, 650}, {2, 333}, {3, 17}}, few[] = {{1, 999}},
					 absent[] = {{9, 1000}}, twice[] = {{1, 500}, {1, 500}},
					 canary[] = {{3, 100}, {1, 900}};
	struct model_spec spec = {.name = STR("m")};
	struct registry r;
	struct err err = ERR_INIT;

	registry_init(&r);
	struct model *m = registry_add(&r, "m");
	for (int i = 1; i <= 3; i++)
		make_version(m, i, VERSION_AVAILABLE);
	EXPECT_OK(model_set_weights(m, weights, 3, &err), &err);
	for (int round = 0; round < 3; round++) {
		int counts[4] = {0};
		for (int i = 0; i < 1000; i++)
			counts[resolve(&r, spec, &err)]++;
		EXPECT_INT("first", counts[1], 650);
		EXPECT_INT("second", counts[2], 333);
		EXPECT_INT("third", counts[3], 17);
	}
	EXPECT_OK(model_set_weights(m, canary, 2, &err), &err);
	for (int round = 0; round < 50; round++) { /* no long runs either: a tenth of 20 is about 2 */
		int seen = 0;
		for (int i = 0; i < 20; i++)
			seen += resolve(&r, spec, &err) == 3;
		assert_true(seen >= 1 && seen <= 3);
	}
	EXPECT_ERR(model_set_weights(m, few, 1, &err), ERR_INVALID, &err, "sum up to 999");
	EXPECT_ERR(model_set_weights(m, absent, 1, &err), ERR_STATE, &err, "version 9");
	EXPECT_ERR(model_set_weights(m, twice, 2, &err), ERR_INVALID, &err, "two weights");
	spec.has_version = true;
	spec.version = 2;
	EXPECT_INT("a number beats weights", resolve(&r, spec, &err), 2);
	spec.has_version = false;
	model_version_move(model_find_version(m, 1), VERSION_UNLOADING);
	for (int i = 0; i < 1000; i++)
		EXPECT_INT("who cannot serve is replaced by the newest", resolve(&r, spec, &err), 3);
	EXPECT_OK(model_set_weights(m, NULL, 0, &err), &err);
	EXPECT_INT("none", resolve(&r, spec, &err), 3);
	registry_done(&r);
}

TEST(ended_versions_make_room_for_new_ones)
{
	struct registry r;

	registry_init(&r);
	struct model *m = registry_add(&r, "m");
	for (int i = 1; i <= MODEL_VERSIONS_MAX; i++)
		make_version(m, i, VERSION_LOADING);
	assert_null(model_add_version(m, 1000, "/x"));
	model_version_move(model_find_version(m, 5), VERSION_END);
	assert_non_null(model_add_version(m, 1000, "/x"));
	assert_null(model_find_version(m, 5));
	EXPECT_INT("newest first", m->versions[0]->number, 1000);
	EXPECT_INT("count", (int)m->version_count, MODEL_VERSIONS_MAX);
	registry_done(&r);
}
