/* SPDX-License-Identifier: Apache-2.0 */
/* Registry, seed, temporary folders and main() of test programs. */
#include "unit/test.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/path.h"

#define TESTS_MAX 1024
#define DIRS_MAX 4096

static struct CMUnitTest tests[TESTS_MAX];
static size_t test_count;
struct rng test_rng;

static char *root; /* of all test_dir() */
static char *dirs[DIRS_MAX];
static size_t dir_count;

void test_register(const char *name, void (*fn)(void **state))
{
	assert(test_count < TESTS_MAX);
	tests[test_count++] = (struct CMUnitTest){.name = name, .test_func = fn};
}

static void remove_root(void)
{
	struct err err = ERR_INIT;
	if (getenv("TEST_KEEP"))
		fprintf(stderr, "kept %s\n", root);
	else if (path_remove_tree(AT_FDCWD, root, &err) < 0)
		fprintf(stderr, "%s\n", err.msg);
	for (size_t i = 0; i < dir_count; i++)
		free(dirs[i]);
	free(root);
}

const char *test_dir(void)
{
	assert(dir_count < DIRS_MAX);
	if (!root) {
		const char *tmp = getenv("TMPDIR");
		root = mem_printf("%s/cloudml-test-XXXXXX", tmp ? tmp : "/tmp");
		char *made = mkdtemp(root);
		assert(made);
		atexit(remove_root);
	}
	char *dir = mem_printf("%s/%zu", root, dir_count);
	int r = mkdir(dir, 0700);
	assert(r == 0);
	dirs[dir_count++] = dir;
	return dir;
}

void test_expect_ok(int r, const struct err *err, const char *call, const char *file, int line)
{
	if (r >= 0)
		return;
	print_error("%s failed: %s (%s)\n", call, err ? err->msg : "", err_word(r));
	_fail(file, line);
}

void test_expect_err(int r, int code, const struct err *err, const char *part, const char *call,
		     const char *file, int line)
{
	if (r >= 0)
		print_error("%s succeeded; expected '%s'\n", call, err_word(code));
	else if (r != -code || (err && err->code != code))
		print_error("%s: expected '%s', got '%s': %s\n", call, err_word(code), err_word(r),
			    err ? err->msg : "");
	else if (err && part && !strstr(err->msg, part))
		print_error("%s: expected '%s' in the message, got: %s\n", call, part, err->msg);
	else
		return;
	_fail(file, line);
}

void test_expect_str(const char *row, const char *actual, const char *expected, const char *file, int line)
{
	if (actual && expected ? strcmp(actual, expected) == 0 : actual == expected)
		return;
	print_error("row '%s': expected '%s', got '%s'\n", row, expected ? expected : "(null)",
		    actual ? actual : "(null)");
	_fail(file, line);
}

void test_expect_int(const char *row, int64_t actual, int64_t expected, const char *file, int line)
{
	if (actual == expected)
		return;
	print_error("row '%s': expected %" PRId64 ", got %" PRId64 "\n", row, expected, actual);
	_fail(file, line);
}

static bool is_wanted(const char *name, int argc, char **argv)
{
	bool wanted = argc < 2;
	for (int i = 1; i < argc; i++)
		wanted |= strstr(name, argv[i]) != NULL;
	return wanted;
}

static uint64_t start_seed(void)
{
	const char *given = getenv("TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : rng_u64(&rng_system) >> 32;
	rng_seed(&test_rng, seed);
	return seed;
}

int main(int argc, char **argv)
{
	size_t n = 0;
	for (size_t i = 0; i < test_count; i++)
		if (is_wanted(tests[i].name, argc, argv))
			tests[n++] = tests[i];
	printf("TEST_SEED=%" PRIu64 "\n", start_seed());
	const char *slash = strrchr(argv[0], '/');
	return _cmocka_run_group_tests(slash ? slash + 1 : argv[0], tests, n, NULL, NULL) ? 1 : 0;
}
