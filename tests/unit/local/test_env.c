/* SPDX-License-Identifier: Apache-2.0 */
/* Which environment a task needs, and what uv says while it is made. */
#include "unit/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/env_key.h"
#include "local/env_plugin.h"
#include "local/env_vars.h"
#include "local/uv_progress.h"

static char *no_requirements[] = {"  ", "# nothing", NULL};
static char *some[] = {"six==1.16.0", "attrs", NULL};
static char *same_some[] = {" attrs ", "six==1.16.0", "attrs", NULL};
static char *packages[] = {"numpy==1.26.4", NULL};

static const char *key_of(struct env_want want)
{
	static char key[ENV_KEY_LEN + 1];
	env_key(&want, key);
	return key;
}

TEST(keys_differ_exactly_when_environments_do)
{
	const struct env_want base = {
	    .framework = "f", .version = "1", .packages = packages, .org = "acme", .python = "python3.11"};
	char first[ENV_KEY_LEN + 1];
	memcpy(first, key_of(base), sizeof(first));
	struct env_want w = base;
	w.org = "rival";
	w.requirements = no_requirements;
	EXPECT_STR("shared by all without requirements", key_of(w), first);
	w = base;
	w.version = "2";
	assert_string_not_equal(key_of(w), first);
	w = base;
	w.python = "python3.12";
	assert_string_not_equal(key_of(w), first);
	w = base;
	w.packages = NULL;
	assert_string_not_equal(key_of(w), first);
	w = base;
	w.requirements = some;
	assert_string_not_equal(key_of(w), first);
	memcpy(first, key_of(w), sizeof(first));
	w.requirements = same_some;
	EXPECT_STR("order, blanks and doubles do not matter", key_of(w), first);
	w.org = "rival";
	assert_string_not_equal(key_of(w), first);
}

TEST(a_package_is_not_taken_for_a_requirement)
{
	const struct env_want a = {
	    .framework = "f", .version = "1", .packages = some, .org = "o", .python = "p"};
	const struct env_want b = {
	    .framework = "f", .version = "1", .requirements = some, .org = "o", .python = "p"};
	char first[ENV_KEY_LEN + 1];
	memcpy(first, key_of(a), sizeof(first));
	assert_string_not_equal(key_of(b), first);
}

TEST(a_variable_is_set_once)
{
	CLEANUP(env_vars) struct env_vars v = {0};
	env_vars_set(&v, "A=1");
	env_vars_set(&v, "AB=2");
	env_vars_set(&v, "A=%d", 3);
	assert_int_equal(v.count, 2);
	EXPECT_STR("A", v.items[0], "A=3");
	EXPECT_STR("AB", v.items[1], "AB=2");
	assert_null(v.items[2]);
}

TEST(certificates_outside_the_visible_folder_and_foreign_settings_are_not_passed)
{
	CLEANUP(env_vars) struct env_vars v = {0};
	setenv("SSL_CERT_FILE", "/root/secret.pem", 1);
	setenv("UV_CACHE_DIR", "/root/cache", 1);
	setenv("UV_INDEX_URL", "https://mirror.example/simple", 1);
	setenv("PIP_INDEX_URL", "https://pip.example/simple", 1);
	setenv("SOME_SECRET", "x", 1);
	setenv("UV_PUBLISH_TOKEN", "SECRET", 1);
	env_vars_pass_network(&v);
	for (size_t i = 0; i < v.count; i++) {
		assert_null(strstr(v.items[i], "/root/"));
		assert_null(strstr(v.items[i], "SECRET"));
		if (strncmp(v.items[i], "UV_INDEX_URL=", 13) == 0)
			EXPECT_STR("uv's own word wins", v.items[i],
				   "UV_INDEX_URL=https://mirror.example/simple");
	}
	assert_true(v.count >= 1);
}

TEST(uv_output_becomes_progress)
{
	static const char text[] =
	    "Using Python 3.11.2 environment at: /env\nResolved 5 packages in 444ms\n"
	    "Downloading pandas (10.6MiB)\nDownloading numpy (17.4MiB)\n Downloading numpy\n";
	static const char rest[] =
	    " Downloading pandas\nPrepared 5 packages in 792ms\nInstalled 5 packages in 105ms\n"
	    "Bytecode compiled 1955 files in 2.95s\n + numpy==1.26.4\n";
	struct uv_progress p = {0};
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		uv_progress_feed(&p, text + i, 1);
	assert_int_equal(p.phase, UV_DOWNLOADING);
	assert_int_equal(p.resolved, 5);
	assert_int_equal(p.large, 2);
	assert_int_equal(p.large_done, 1);
	assert_in_range(p.large_bytes, 27 << 20, 29 << 20);
	uv_progress_feed(&p, rest, sizeof(rest) - 1);
	assert_int_equal(p.phase, UV_DONE);
	assert_int_equal(p.prepared, 5);
	assert_int_equal(p.installed, 5);
}

TEST(uv_reason_is_whole_and_comes_with_a_hint)
{
	static const char text[] = "Using Python 3.11.2 environment at: /env\n"
				   "  \xc3\x97 No solution found when resolving dependencies:\n"
				   "  \xe2\x95\xb0\xe2\x94\x80\xe2\x96\xb6 Because there is no version of "
				   "numpy==9.9 and you require numpy==9.9, we\n"
				   "      can conclude that your requirements are unsatisfiable.";
	struct uv_progress p = {0};
	char reason[300];
	uv_progress_feed(&p, text, sizeof(text) - 1);
	uv_progress_end(&p);
	EXPECT_STR(
	    "reason", uv_progress_reason(&p, reason, sizeof(reason)),
	    "Because there is no version of numpy==9.9 and you require numpy==9.9, we can conclude that your "
	    "requirements are unsatisfiable.");
	EXPECT_STR("hint", uv_progress_hint(&p), "relax the versions in the requirements");
}

static char *read_text(const char *path)
{
	struct err err = ERR_INIT;
	CLEANUP(buf) struct buf text = BUF_INIT;
	EXPECT_OK(fd_read_file(AT_FDCWD, path, 4096, &text, &err), &err);
	return mem_strdup(buf_str(&text));
}

TEST(a_hook_is_put_in_once_and_follows_no_link_of_the_builder)
{
	struct err err = ERR_INIT;
	CLEANUP(free) char *env = mem_printf("%s/env", test_dir());
	CLEANUP(free) char *site = mem_printf("%s/lib/python3.11/site-packages", env);
	CLEANUP(free) char *hook = mem_printf("%s/" ENV_PLUGIN_FILE, site);
	CLEANUP(free) char *outside = mem_printf("%s/outside", test_dir());
	CLEANUP(free) char *other = mem_printf("%s/lib/python3.12", env);
	EXPECT_OK(path_make_absolute_dirs(site, 0755, &err), &err);
	EXPECT_OK(fd_write_file(AT_FDCWD, outside, "kept", 4, 0644, &err), &err);

	EXPECT_ERR(env_plugin_hook(env, "python3.13", &err), ERR_NOT_FOUND, &err, "");
	EXPECT_OK(env_plugin_hook(env, "python3.11", &err), &err);
	CLEANUP(free) char *text = read_text(hook);
	assert_memory_equal(text, "import ", 7); /* else site.py takes it for a folder */
	struct stat first, again;
	assert_int_equal(stat(hook, &first), 0);
	assert_int_equal(first.st_mode & 0777, 0644);
	EXPECT_OK(env_plugin_hook(env, "python3.11", &err), &err);
	assert_int_equal(stat(hook, &again), 0);
	assert_int_equal(first.st_ino, again.st_ino);

	assert_int_equal(unlink(hook), 0);
	assert_int_equal(symlink(outside, hook), 0);
	EXPECT_OK(env_plugin_hook(env, "python3.11", &err), &err);
	CLEANUP(free) char *replaced = read_text(hook);
	EXPECT_STR("in place of a link", replaced, text);
	CLEANUP(free) char *kept = read_text(outside);
	EXPECT_STR("what the link named", kept, "kept");

	assert_int_equal(unlink(hook), 0);
	assert_int_equal(mkfifo(hook, 0644), 0); /* must not be waited for */
	EXPECT_OK(env_plugin_hook(env, "python3.11", &err), &err);
	CLEANUP(free) char *after = read_text(hook);
	EXPECT_STR("in place of a pipe", after, text);

	assert_int_equal(symlink("python3.11", other), 0);
	assert_true(env_plugin_hook(env, "python3.12", &err) < 0);
}
