/* SPDX-License-Identifier: Apache-2.0 */
/* Finding models on disk and resolving them by name, version and label. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "serving/model.h"
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

TEST(the_highest_version_folder_that_holds_a_model_is_taken)
{
	CLEANUP(free) char *path = NULL;
	const char *dir = test_dir();
	struct err err = ERR_INIT;
	int64_t number = 0;

	make_model(dir, "2", "saved_model.pb");
	make_model(dir, "00010", "model.onnx");
	make_model(dir, "99", "something_else");
	make_model(dir, "notes", "saved_model.pb");
	EXPECT_OK(model_locate(dir, -1, &number, &path, &err), &err);
	EXPECT_INT("number", number, 10);
	assert_true(str_ends(path, "/00010"));
	free(STEAL(path));
	EXPECT_OK(model_locate(dir, 2, &number, &path, &err), &err);
	EXPECT_INT("number", number, 2);
	free(STEAL(path));
	EXPECT_ERR(model_locate(dir, 3, &number, &path, &err), ERR_NOT_FOUND, &err, "no version 3");
}

TEST(a_model_may_lie_at_the_base_path_itself)
{
	CLEANUP(free) char *path = NULL;
	const char *dir = test_dir();
	struct err err = ERR_INIT;
	int64_t number = 0;

	make_model(dir, "m", "saved_model.pb");
	CLEANUP(free) char *base = mem_printf("%s/m", dir);
	EXPECT_OK(model_locate(base, -1, &number, &path, &err), &err);
	EXPECT_INT("default", number, 1);
	free(STEAL(path));
	EXPECT_OK(model_locate(base, 42, &number, &path, &err), &err);
	EXPECT_INT("given", number, 42);
	free(STEAL(path));
	EXPECT_ERR(model_locate("/nonexistent", -1, &number, &path, &err), ERR_NOT_FOUND, &err,
		   "/nonexistent");
	EXPECT_ERR(model_locate(test_dir(), -1, &number, &path, &err), ERR_NOT_FOUND, &err, "saved_model.pb");
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

TEST(requests_resolve_to_available_versions_only)
{
	struct runtime_model fake = {&fake_ops};
	struct model_spec spec = {.name = STR("m")};
	struct model_version *v, *found = NULL;
	struct registry r;
	struct err err = ERR_INIT;

	registry_init(&r);
	EXPECT_OK(registry_add(&r, "m", 5, "/x", &v, &err), &err);
	EXPECT_ERR(registry_add(&r, "m", 6, "/x", &v, &err), ERR_EXISTS, &err, "'m'");
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
	registry_done(&r);
	EXPECT_INT("a request still holds it", unloaded, 0);
	model_version_unref(found);
	EXPECT_INT("the last reference unloads", unloaded, 1);
}
