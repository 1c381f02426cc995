/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue of frameworks. */
#include "unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "core/framework.h"

static int add(struct catalogue *c, const char *text, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	int r = json_parse(text, strlen(text), 65536, &j, err);
	return r < 0 ? r : catalogue_add(c, j, err);
}

#define TWO                                                                                                  \
	"{\"name\":\"tensorflow\",\"title\":\"TensorFlow\",\"imports\":[\"tensorflow\",\"keras\"],"          \
	"\"versions\":["                                                                                     \
	"{\"version\":\"2.21.0\",\"default\":true,\"packages\":[\"a==1\"],\"download\":\"4K\",\"disk\":"     \
	"8192},"                                                                                             \
	"{\"version\":\"2.15.1\",\"title\":\"old\",\"packages\":[\"a==0\"]}]}"

TEST(versions_are_found_by_name_and_default)
{
	struct err err = ERR_INIT;
	struct catalogue c = {0};
	EXPECT_OK(add(&c, TWO, &err), &err);
	assert_int_equal(c.count, 2);
	const struct framework *f = catalogue_find(&c, "tensorflow", NULL, &err);
	assert_non_null(f);
	assert_string_equal(f->version, "2.21.0");
	assert_string_equal(f->title, "TensorFlow 2.21.0");
	assert_int_equal(f->download_bytes, 4096);
	assert_int_equal(f->disk_bytes, 8192);
	assert_ptr_equal(catalogue_find(&c, "tensorflow", "", &err), f);
	f = catalogue_find(&c, "tensorflow", "2.15.1", &err);
	assert_string_equal(f->packages[0], "a==0");
	assert_string_equal(f->imports[1], "keras");
	CLEANUP(json) json_t *j = framework_format(f);
	assert_string_equal(json_string_value(json_object_get(j, "title")), "old");
	catalogue_done(&c);
}

TEST(what_is_not_found_is_explained)
{
	struct err err = ERR_INIT;
	struct catalogue c = {0};
	EXPECT_OK(add(&c, TWO, &err), &err);
	assert_null(catalogue_find(&c, "tensorfow", NULL, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_non_null(strstr(err.msg, "did you mean 'tensorflow'"));
	assert_null(catalogue_find(&c, "tensorflow", "9", &err));
	assert_non_null(strstr(err.msg, "2.21.0, 2.15.1"));
	assert_null(catalogue_find(&c, "mxnet", NULL, &err));
	assert_non_null(strstr(err.msg, "there is tensorflow"));
	catalogue_done(&c);
}

TEST(bad_files_change_nothing)
{
	static const struct {
		const char *text;
		int code;
		const char *why;
	} rows[] = {
	    {TWO, ERR_EXISTS, "already"},
	    {"[]", ERR_INVALID, "not a JSON object"},
	    {"{\"versions\":[]}", ERR_INVALID, "no 'name'"},
	    {"{\"name\":\"A\",\"versions\":[]}", ERR_INVALID, "lower-case"},
	    {"{\"name\":\"x\",\"versions\":[]}", ERR_INVALID, "no default"},
	    {"{\"name\":\"x\",\"versions\":[{\"version\":\"1\"}]}", ERR_INVALID, "no default"},
	    {"{\"name\":\"x\",\"versions\":[{\"default\":true}]}", ERR_INVALID, "no 'version'"},
	    {"{\"name\":\"x\",\"versions\":[{\"version\":\"1\",\"default\":true},{\"version\":\"1\"}]}",
	     ERR_EXISTS, "twice"},
	    {"{\"name\":\"x\",\"versions\":[{\"version\":\"1\",\"default\":true},{\"version\":\"2\","
	     "\"default\":true}]}",
	     ERR_INVALID, "second default"},
	    {"{\"name\":\"x\",\"versions\":[{\"version\":\"1\",\"default\":true,\"package\":[]}]}",
	     ERR_INVALID, "did you mean 'packages'"},
	};
	struct err err = ERR_INIT;
	struct catalogue c = {0};
	EXPECT_OK(add(&c, TWO, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		EXPECT_ERR(add(&c, rows[i].text, &err), rows[i].code, &err, rows[i].why);
		assert_int_equal(c.count, 2);
	}
	catalogue_done(&c);
}

/* Every package of the shipped catalogue is an exact pin, and the build packages are there. */
TEST(the_shipped_catalogue_is_pinned_whole)
{
	struct catalogue c = {0};
	CLEANUP(dir) DIR *d = opendir(CORE_TEST_DATA "/../../../../frameworks");
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		struct err err = ERR_INIT;
		CLEANUP(json) json_t *j = NULL;
		if (!str_ends(e->d_name, ".json"))
			continue;
		EXPECT_OK(json_read_file(dirfd(d), e->d_name, 1 << 20, &j, &err), &err);
		EXPECT_OK(catalogue_add(&c, j, &err), &err);
	}
	assert_true(c.count >= 5);
	for (size_t i = 0; i < c.count; i++) {
		bool setuptools = false, wheel = false;
		for (size_t p = 0; p < strings_count(c.items[i].packages); p++) {
			const char *package = c.items[i].packages[p];
			const char *pin = strstr(package, "==");
			if (!pin || strpbrk(pin + 2, "*,<> "))
				EXPECT_STR(c.items[i].name, package, "an exact pin");
			setuptools |= str_starts(package, "setuptools==");
			wheel |= str_starts(package, "wheel==");
		}
		assert_true(setuptools && wheel);
		assert_true(c.items[i].download_bytes > 0 && c.items[i].disk_bytes > 0);
	}
	catalogue_done(&c);
}
