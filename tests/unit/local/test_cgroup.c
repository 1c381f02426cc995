/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups as files, in trees made for the purpose. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/cgroup.h"
#include "unit/test.h"

static void put(const char *root, const char *path, const char *text)
{
	struct err err = ERR_INIT;
	char folder[1024], full[1024];
	path_format(full, sizeof(full), "%s/%s", root, path);
	path_format(folder, sizeof(folder), "%s", full);
	*strrchr(folder, '/') = 0;
	EXPECT_OK(path_make_absolute_dirs(folder, 0755, &err), &err);
	EXPECT_OK(fd_write_file_fast(AT_FDCWD, full, text, strlen(text), 0644, &err), &err);
}

static void expect_text(const char *root, const char *path, const char *text)
{
	struct err err = ERR_INIT;
	char full[1024];
	CLEANUP(buf) struct buf got = BUF_INIT;
	path_format(full, sizeof(full), "%s/%s", root, path);
	EXPECT_OK(fd_read_file(AT_FDCWD, full, 4096, &got, &err), &err);
	EXPECT_STR(path, buf_str(&got), text);
}

static void drop(const char *root, const char *path)
{
	char full[1024];
	path_format(full, sizeof(full), "%s/%s", root, path);
	assert_int_equal(unlink(full), 0);
}

TEST(the_mode_is_told_by_what_is_mounted)
{
	const char *root = test_dir();
	assert_int_equal(cgroup_mode_detect(root), CGROUP_NONE);
	put(root, "memory/cgroup.procs", "");
	assert_int_equal(cgroup_mode_detect(root), CGROUP_V1);
	put(root, "unified/cgroup.controllers", "");
	assert_int_equal(cgroup_mode_detect(root), CGROUP_HYBRID);
	put(root, "cgroup.controllers", "cpu memory\n");
	assert_int_equal(cgroup_mode_detect(root), CGROUP_V2);
	assert_string_equal(cgroup_mode_word(CGROUP_HYBRID), "hybrid");
}

TEST(missing_controllers_are_named)
{
	char missing[64];
	const char *root = test_dir();
	struct cgroup_tree v1 = {CGROUP_V1, root}, v2 = {CGROUP_V2, root};
	put(root, "memory/cgroup.procs", "");
	cgroup_missing(&v1, missing, sizeof(missing));
	assert_string_equal(missing, "cpu pids");
	put(root, "cgroup.controllers", "cpuset cpu io memory hugetlb\n");
	cgroup_missing(&v2, missing, sizeof(missing));
	assert_string_equal(missing, "pids");
	put(root, "cgroup.controllers", "cpuset io memory cpu pids\n");
	cgroup_missing(&v2, missing, sizeof(missing));
	assert_string_equal(missing, "");
}

TEST(the_path_for_the_runtime_leaves_us_a_group_of_our_own_in_version_2)
{
	char path[256];
	cgroup_oci_path(&(struct cgroup_tree){CGROUP_HYBRID, "/"}, "a", path, sizeof(path));
	assert_string_equal(path, "/cloudml/a");
	cgroup_oci_path(&(struct cgroup_tree){CGROUP_V2, "/"}, "a", path, sizeof(path));
	assert_string_equal(path, "/cloudml/a/c");
}

/* Files of a tree on disk do not appear by themselves as the kernel's do: made beforehand. */
TEST(version_2_enables_controllers_from_the_root_down)
{
	struct err err = ERR_INIT;
	const char *root = test_dir();
	struct cgroup_tree t = {CGROUP_V2, root};
	put(root, "cgroup.subtree_control", "cpuset cpu memory");
	put(root, "cloudml/cgroup.subtree_control", "");
	put(root, "cloudml/a/cgroup.subtree_control", "cpu memory pids\n");
	EXPECT_OK(cgroup_make(&t, "a", &err), &err);
	/* Only what was missing is written; our file keeps the last write over the old bytes. */
	expect_text(root, "cgroup.subtree_control", "+pidst cpu memory");
	expect_text(root, "cloudml/cgroup.subtree_control", "+pidsry");
	expect_text(root, "cloudml/a/cgroup.subtree_control", "cpu memory pids\n");
}

TEST(version_2_says_what_it_could_not_enable)
{
	struct err err = ERR_INIT;
	const char *root = test_dir();
	struct cgroup_tree t = {CGROUP_V2, root};
	EXPECT_ERR(cgroup_make(&t, "a", &err), ERR_NOT_FOUND, &err, "cgroup.subtree_control");
}

TEST(version_1_makes_the_group_of_memory)
{
	struct err err = ERR_INIT;
	char path[1024];
	struct stat st;
	const char *root = test_dir();
	struct cgroup_tree t = {CGROUP_V1, root};
	put(root, "memory/cgroup.procs", "");
	EXPECT_OK(cgroup_make(&t, "a", &err), &err);
	EXPECT_OK(cgroup_make(&t, "a", &err), &err);
	path_format(path, sizeof(path), "%s/memory/cloudml/a", root);
	assert_int_equal(stat(path, &st), 0);
}

TEST(counters_of_version_2_are_read)
{
	struct err err = ERR_INIT;
	struct container_stats s;
	int64_t kills, peak;
	const char *root = test_dir();
	struct cgroup_tree t = {CGROUP_V2, root};
	EXPECT_ERR(cgroup_stats(&t, "a", &s, &err), ERR_NOT_FOUND, &err, "'a'");
	put(root, "cloudml/a/memory.current", "5000000\n");
	put(root, "cloudml/a/memory.stat", "anon 3\ninactive_anon 1\ninactive_file 1000000\n");
	put(root, "cloudml/a/memory.peak", "7000000\n");
	put(root, "cloudml/a/memory.events", "low 0\nhigh 0\nmax 9\noom 2\noom_kill 3\noom_group_kill 1\n");
	put(root, "cloudml/a/cpu.stat", "usage_usec 123456\nuser_usec 1\n");
	put(root, "cloudml/a/pids.current", "4\n");
	EXPECT_OK(cgroup_stats(&t, "a", &s, &err), &err);
	assert_int_equal(s.memory_bytes, 4000000);
	assert_int_equal(s.memory_peak_bytes, 7000000);
	assert_int_equal(s.cpu_usec, 123456);
	assert_int_equal(s.processes, 4);
	assert_int_equal(s.oom_kills, 3);
	cgroup_final(&t, "a", &kills, &peak);
	assert_int_equal(kills, 3);
	assert_int_equal(peak, 7000000);
	/* Before Linux 5.19 there is no peak. */
	drop(root, "cloudml/a/memory.peak");
	cgroup_final(&t, "a", &kills, &peak);
	assert_int_equal(peak, -1);
}

TEST(counters_of_version_1_are_read)
{
	struct err err = ERR_INIT;
	struct container_stats s;
	int64_t kills, peak;
	const char *root = test_dir();
	struct cgroup_tree t = {CGROUP_V1, root};
	put(root, "memory/cloudml/a/memory.usage_in_bytes", "5000000\n");
	put(root, "memory/cloudml/a/memory.stat", "inactive_file 1\ntotal_inactive_file 2000000\n");
	put(root, "memory/cloudml/a/memory.max_usage_in_bytes", "6000000\n");
	put(root, "memory/cloudml/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
	put(root, "cpuacct/cloudml/a/cpuacct.usage", "5000999\n");
	put(root, "pids/cloudml/a/pids.current", "9\n");
	EXPECT_OK(cgroup_stats(&t, "a", &s, &err), &err);
	assert_int_equal(s.memory_bytes, 3000000);
	assert_int_equal(s.memory_peak_bytes, 6000000);
	assert_int_equal(s.cpu_usec, 5000);
	assert_int_equal(s.processes, 9);
	assert_int_equal(s.oom_kills, 2);
	cgroup_final(&t, "a", &kills, &peak);
	assert_int_equal(kills, 2);
	assert_int_equal(peak, 6000000);
}

TEST(killing_writes_cgroup_kill_and_kills_every_process_that_is_listed)
{
	char text[64];
	int status;
	const char *root = test_dir();
	struct cgroup_tree t = {CGROUP_V2, root};
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	snprintf(text, sizeof(text), "0\n%d\n", (int)pid);
	put(root, "cloudml/a/cgroup.kill", "");
	put(root, "cloudml/a/cgroup.procs", "");
	put(root, "cloudml/a/c/cgroup.procs", text);
	assert_int_equal(cgroup_kill(&t, "a"), 2);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	expect_text(root, "cloudml/a/cgroup.kill", "1");
	assert_int_equal(cgroup_kill(&t, "b"), 0);
}

TEST(process_1_is_the_one_whose_last_number_is_1)
{
	bool listens;
	const char *root = test_dir();
	struct cgroup_tree t = {CGROUP_V2, root};
	put(root, "cloudml/a/c/cgroup.procs", "50\n51\n52\n53\n");
	put(root, "51/status", "Name:\tx\nNSpid:\t51\t11\nThreads:\t1\n");
	put(root, "52/status", "Name:\trunc\nNSpid:\t52\nThreads:\t1\n");
	assert_int_equal(cgroup_init(&t, "a", root, &listens), 0);
	put(root, "53/status", "Name:\trunc:[2:INIT]\nNSpid:\t53\t1\nThreads:\t1\n");
	assert_int_equal(cgroup_init(&t, "a", root, &listens), 53);
	assert_false(listens);
	put(root, "53/status", "Name:\tcloudml-init\nNSpid:\t53\t1\nThreads:\t1\n");
	assert_int_equal(cgroup_init(&t, "a", root, &listens), 53);
	assert_true(listens);
}

TEST(removal_takes_the_folders_of_all_controllers_and_what_is_below)
{
	struct err err = ERR_INIT;
	char path[1024];
	char **names = NULL;
	const char *root = test_dir();
	struct cgroup_tree t = {CGROUP_HYBRID, root};
	static const char *const folders[] = {"memory/cloudml/a/sub/sub", "pids/cloudml/a", "cpu/cloudml/b",
					      "memory/cloudml/c"};
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		path_format(path, sizeof(path), "%s/%s", root, folders[i]);
		EXPECT_OK(path_make_absolute_dirs(path, 0755, &err), &err);
	}
	EXPECT_OK(cgroup_list(&t, &names, &err), &err);
	assert_int_equal(strings_count(names), 2);
	strings_free(names);
	assert_true(cgroup_remove(&t, "a"));
	assert_true(cgroup_remove(&t, "a"));
	path_format(path, sizeof(path), "%s/pids/cloudml/a", root);
	assert_int_not_equal(access(path, F_OK), 0);
	path_format(path, sizeof(path), "%s/cpu/cloudml/b", root);
	assert_int_equal(access(path, F_OK), 0);
	EXPECT_OK(cgroup_list(&t, &names, &err), &err);
	assert_int_equal(strings_count(names), 1);
	assert_string_equal(names[0], "c");
	strings_free(names);
}
