/* SPDX-License-Identifier: Apache-2.0 */
/* What is written for the runtime and for cloudml-init, and what is read back; nothing is started. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/container_int.h"
#include "local/netns.h"
#include "local/oci_config.h"
#include "local/oci_rootfs.h"
#include "main/init_plan.h"
#include "unit/test.h"

static char *env[] = {"PATH=/usr/bin", "A=b", NULL};
static char *run_argv[] = {"python3", "-m", "train", "", NULL};
static char *finish_argv[] = {"true", NULL};
static const struct container_stage stages[] = {{.name = "run", .argv = run_argv, .cwd = "/work"},
						{.name = "finish", .argv = finish_argv, .always = true}};
static const struct container_mount mounts[] = {{"/data/work", "/work", true}, {"/data/env", "/env", false}};

static struct container_spec good_spec(void)
{
	return (struct container_spec){.name = "j1-1-worker-0",
				       .folder = "/data/tasks/j1-1-worker-0",
				       .stages = stages,
				       .stage_count = 2,
				       .env = env,
				       .mounts = mounts,
				       .mount_count = 2,
				       .limits = {.cpu_milli = 1500, .memory_bytes = 1 << 30},
				       .max_processes = 100,
				       .tmp_bytes = 64 << 20,
				       .network = NETWORK_EGRESS,
				       .uid_base = 1000000,
				       .grace_ms = 5000};
}

static json_t *format(const struct container_spec *spec, enum cgroup_mode mode)
{
	static const struct container_mount host[] = {{"/usr", "/usr", false}};
	struct runtime runtime = {.name = "runc", .cgroup = mode};
	json_t *j = oci_config_format(spec, &(struct oci_machine){.runtime = &runtime,
								  .init_path = "/lib/cloudml-init",
								  .mounts = host,
								  .mount_count = 1,
								  .swap_limit = true});
	assert_non_null(j);
	return j;
}

static json_int_t number_at(const json_t *j, const char *a, const char *b, const char *c, const char *d)
{
	const json_t *at = json_object_get(json_object_get(json_object_get(j, a), b), c);
	return json_integer_value(d ? json_object_get(at, d) : at);
}

static const json_t *mount_at(const json_t *config, const char *target)
{
	size_t i;
	json_t *m;
	json_array_foreach(json_object_get(config, "mounts"), i,
			   m) if (strcmp(json_string_value(json_object_get(m, "destination")), target) ==
				  0) return m;
	return NULL;
}

static bool mount_has(const json_t *mount, const char *option)
{
	size_t i;
	json_t *o;
	json_array_foreach(json_object_get(mount, "options"), i,
			   o) if (strcmp(json_string_value(o), option) == 0) return true;
	return false;
}

TEST(the_process_has_no_capability_and_gains_none)
{
	struct container_spec spec = good_spec();
	CLEANUP(json) json_t *j = format(&spec, CGROUP_HYBRID);
	const json_t *process = json_object_get(j, "process");
	const char *kind;
	json_t *set;
	assert_true(json_is_true(json_object_get(process, "noNewPrivileges")));
	assert_int_equal(json_object_size(json_object_get(process, "capabilities")), 5);
	json_object_foreach(json_object_get(process, "capabilities"), kind, set)
	    EXPECT_INT(kind, json_array_size(set), 0);
	assert_int_equal(number_at(j, "process", "user", "uid", NULL), 1000);
	assert_int_equal(number_at(j, "process", "user", "gid", NULL), 1000);
	assert_null(json_object_get(process, "rlimits"));
	assert_null(json_object_get(process, "oomScoreAdj"));
	assert_true(json_is_true(json_object_get(json_object_get(j, "root"), "readonly")));
	assert_non_null(json_object_get(json_object_get(j, "linux"), "seccomp"));
}

TEST(all_namespaces_but_the_network_are_the_runtimes_to_make)
{
	struct container_spec spec = good_spec();
	CLEANUP(json) json_t *j = format(&spec, CGROUP_HYBRID);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write(json_object_get(json_object_get(j, "linux"), "namespaces"), &text);
	assert_string_equal(buf_str(&text),
			    "[{\"type\":\"pid\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},"
			    "{\"type\":\"user\"},{\"type\":\"cgroup\"}]");
}

TEST(limits_are_written_in_the_units_of_the_specification)
{
	struct container_spec spec = good_spec();
	CLEANUP(json) json_t *j = format(&spec, CGROUP_HYBRID);
	const json_t *l = json_object_get(j, "linux");
	assert_int_equal(number_at(l, "resources", "memory", "limit", NULL), 1 << 30);
	assert_int_equal(number_at(l, "resources", "memory", "swap", NULL), 1 << 30);
	assert_int_equal(number_at(l, "resources", "cpu", "quota", NULL), 150000);
	assert_int_equal(number_at(l, "resources", "cpu", "period", NULL), 100000);
	assert_int_equal(number_at(l, "resources", "cpu", "shares", NULL), 1536);
	assert_int_equal(number_at(l, "resources", "pids", "limit", NULL), 100);
	assert_null(json_object_get(json_object_get(l, "resources"), "unified"));
	assert_string_equal(json_string_value(json_object_get(l, "cgroupsPath")), "/cloudml/j1-1-worker-0");
	CLEANUP(json) json_t *v2 = format(&spec, CGROUP_V2);
	const json_t *unified =
	    json_object_get(json_object_get(json_object_get(v2, "linux"), "resources"), "unified");
	assert_string_equal(json_string_value(json_object_get(unified, "memory.oom.group")), "1");
	spec.limits.cpu_milli = 1;
	CLEANUP(json) json_t *small = format(&spec, CGROUP_V2);
	assert_int_equal(number_at(json_object_get(small, "linux"), "resources", "cpu", "quota", NULL), 1000);
	assert_int_equal(number_at(json_object_get(small, "linux"), "resources", "cpu", "shares", NULL), 2);
}

TEST(only_mounts_that_were_asked_for_can_be_written)
{
	struct container_spec spec = good_spec();
	CLEANUP(json) json_t *j = format(&spec, CGROUP_HYBRID);
	assert_true(mount_has(mount_at(j, "/work"), "rw"));
	static const char *const readonly[] = {"/env", "/usr", "/.cloudml/init"};
	for (size_t i = 0; i < ARRAY_LEN(readonly); i++) {
		assert_true(mount_has(mount_at(j, readonly[i]), "ro"));
		assert_true(mount_has(mount_at(j, readonly[i]), "nosuid"));
		assert_true(mount_has(mount_at(j, readonly[i]), "nodev"));
	}
	assert_true(mount_has(mount_at(j, "/tmp"), "size=67108864"));
	assert_true(mount_has(mount_at(j, "/dev/shm"), "noexec"));
	assert_null(mount_at(j, "/sys"));
}

TEST(text_that_is_not_utf8_makes_no_configuration)
{
	struct container_spec spec = good_spec();
	struct runtime runtime = {.name = "runc", .cgroup = CGROUP_V1};
	spec.hostname = "\xff\xfe";
	assert_null(oci_config_format(&spec, &(struct oci_machine){.runtime = &runtime, .init_path = "/i"}));
}

TEST(the_plan_is_what_init_reads)
{
	struct container_spec spec = good_spec();
	struct container_fds fds;
	static struct init_plan plan;
	CLEANUP(buf) struct buf text = BUF_INIT;
	spec.fd_count = 2;
	container_fds_number(&spec, CGROUP_HYBRID, &fds);
	assert_int_equal(fds.count, 7);
	container_plan_format(&spec, &fds, &text);
	assert_null(init_plan_parse(text.data, text.len, &plan));
	assert_int_equal(plan.grace_ms, 5000);
	assert_int_equal(plan.fds, 2);
	assert_int_equal(plan.record, 5);
	assert_int_equal(plan.oom, 6);
	assert_int_equal(plan.peak, 7);
	assert_int_equal(plan.event, 8);
	assert_int_equal(plan.gate, 9);
	assert_int_equal(plan.stage_count, 2);
	assert_string_equal(plan.stages[0].name, "run");
	assert_string_equal(plan.stages[0].cwd, "/work");
	assert_false(plan.stages[0].always);
	assert_string_equal(plan.stages[0].argv[2], "train");
	assert_string_equal(plan.stages[0].argv[3], "");
	assert_null(plan.stages[0].argv[4]);
	assert_true(plan.stages[1].always);
	assert_string_equal(plan.stages[1].argv[0], "true");
}

TEST(version_2_needs_no_counters_in_the_plan)
{
	struct container_spec spec = good_spec();
	struct container_fds fds;
	spec.network = NETWORK_NONE;
	container_fds_number(&spec, CGROUP_V2, &fds);
	assert_int_equal(fds.count, 1);
	assert_int_equal(fds.record, 3);
	assert_int_equal(fds.oom, -1);
	assert_int_equal(fds.gate, -1);
}

TEST(a_plan_that_is_wrong_is_refused)
{
#define PLAN(text)                                                                                           \
	{                                                                                                    \
		text, sizeof(text) - 1                                                                       \
	}
	static const struct {
		const char *text;
		size_t len;
	} rows[] = {
	    PLAN(""),
	    PLAN("cloudml-init-plan"),
	    PLAN("other\0"
		 "1\0end\0"),
	    PLAN("cloudml-init-plan\0"
		 "2\0end\0"),
	    PLAN("cloudml-init-plan\0"
		 "1\0end\0"),
	    PLAN("cloudml-init-plan\0"
		 "1\0record\0"
		 "3\0"),
	    PLAN("cloudml-init-plan\0"
		 "1\0record\0"
		 "x\0end\0"),
	    PLAN("cloudml-init-plan\0"
		 "1\0record\0"
		 "-3\0end\0"),
	    PLAN("cloudml-init-plan\0"
		 "1\0record\0"
		 "99999\0end\0"),
	    PLAN("cloudml-init-plan\0"
		 "1\0record\0"
		 "3\0odd\0end\0"),
	    PLAN("cloudml-init-plan\0"
		 "1\0record\0"
		 "3\0stage\0run\0"
		 "2\0/\0"
		 "1\0a\0end\0"),
	    PLAN("cloudml-init-plan\0"
		 "1\0record\0"
		 "3\0stage\0run\0"
		 "0\0/\0"
		 "0\0end\0"),
	    PLAN("cloudml-init-plan\0"
		 "1\0record\0"
		 "3\0stage\0run\0"
		 "0\0/\0"
		 "5\0a\0end\0"),
	    PLAN("cloudml-init-plan\0"
		 "1\0record\0"
		 "3\0stage\0run\0"
		 "0\0/\0"
		 "9999\0a\0end\0"),
	};
	static struct init_plan plan;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char copy[256];
		memcpy(copy, rows[i].text, rows[i].len);
		if (!init_plan_parse(copy, rows[i].len, &plan))
			fail_msg("row %zu was taken", i);
	}
}

TEST(specifications_that_are_wrong_are_refused)
{
	struct err err = ERR_INIT;
	static const struct container_mount over_usr[] = {{"/data", "/usr/lib", true}},
					    dots[] = {{"/data/../etc", "/x", false}};
	static const struct container_stage network[] = {{.name = "network", .argv = finish_argv}};
	struct container_spec spec = good_spec();
	EXPECT_OK(container_check(&spec, &err), &err);
#define REFUSED(change, part)                                                                                \
	do {                                                                                                 \
		spec = good_spec();                                                                          \
		change;                                                                                      \
		assert_true(container_check(&spec, &err) < 0);                                               \
		if (!strstr(err.msg, part))                                                                  \
			fail_msg("'%s' is not in '%s'", part, err.msg);                                      \
	} while (0)
	REFUSED(spec.name = "../x", "container name");
	REFUSED(spec.name = "", "container name");
	REFUSED(spec.name = "a/b", "container name");
	REFUSED(spec.folder = "tasks/x", "task folder");
	REFUSED(spec.uid_base = 0, "user ids");
	REFUSED(spec.stage_count = 0, "stages");
	REFUSED(spec.stage_count = 17, "stages");
	REFUSED((spec.stages = network, spec.stage_count = 1), "stage name");
	REFUSED((spec.mounts = over_usr, spec.mount_count = 1), "is the platform's");
	REFUSED((spec.mounts = dots, spec.mount_count = 1), "clean absolute");
	REFUSED(spec.limits.memory_bytes = 1 << 20, "memory limit");
	REFUSED(spec.limits.cpu_milli = 0, "processor limit");
	REFUSED(spec.limits.gpu = 1, "gpu");
	REFUSED(spec.max_processes = 1, "process limit");
	REFUSED(spec.env = NULL, "environment");
	REFUSED(spec.grace_ms = -1, "negative");
}

TEST(records_tell_how_far_a_container_is)
{
	struct err err = ERR_INIT;
	struct container_record r;
	EXPECT_OK(container_record_parse("", &r, &err), &err);
	assert_int_equal(r.progress.state, CONTAINER_STARTING);
	EXPECT_OK(container_record_parse(
		      "init 10\nstage unpack start 11\nstage unpack exit 0 0 12\nstage run start 13\nend", &r,
		      &err),
		  &err);
	assert_true(r.started);
	assert_false(r.ended);
	assert_int_equal(r.progress.state, CONTAINER_STAGE);
	assert_string_equal(r.progress.stage, "run");
	assert_int_equal(r.progress.stage_started_ms, 13);
	EXPECT_OK(container_record_parse(
		      "init 10\nstage run start 13\nstage run exit -1 9 14\nend run -1 9 2 4096 1 0 15\n", &r,
		      &err),
		  &err);
	assert_true(r.ended && r.stopped && !r.killed);
	assert_string_equal(r.failed, "run");
	assert_int_equal(r.exit_code, -1);
	assert_int_equal(r.exit_signal, 9);
	assert_int_equal(r.oom_kills, 2);
	assert_int_equal(r.peak_bytes, 4096);
	assert_int_equal(r.started_ms, 10);
	assert_int_equal(r.ended_ms, 15);
}

TEST(records_that_are_wrong_are_refused)
{
	static const char *const rows[] = {"x\n",
					   "init\n",
					   "init x\n",
					   "stage run start\n",
					   "stage run exit 0 0\n",
					   "stage aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa start 1\n",
					   "end run 0 0\n",
					   "end run 0 0 0 0 0 0 1 2\n",
					   "end run 0 0 0 0 0 0 99999999999999999999\n",
					   "\n"};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct container_record r;
		EXPECT_ERR(container_record_parse(rows[i], &r, &err), ERR_CORRUPT, &err, "record");
	}
}

static void expect_resolv(const char *host, enum network_mode mode, const char *expected)
{
	struct err err = ERR_INIT;
	char path[256];
	CLEANUP(buf) struct buf got = BUF_INIT;
	path_format(path, sizeof(path), "%s/resolv.conf", test_dir());
	EXPECT_OK(fd_write_file_fast(AT_FDCWD, path, host, strlen(host), 0644, &err), &err);
	netns_resolv_conf(path, mode, &got);
	EXPECT_STR(host, buf_str(&got), expected);
}

TEST(name_servers_that_cannot_be_reached_are_replaced)
{
	expect_resolv("nameserver 10.1.2.3\nsearch a.example b.example\n", NETWORK_EGRESS,
		      "nameserver 10.1.2.3\nsearch a.example b.example\n");
	expect_resolv("# local\nnameserver 127.0.0.53\noptions edns0\n", NETWORK_EGRESS,
		      "options edns0\nnameserver 10.0.2.3\n");
	expect_resolv("nameserver ::1\nnameserver 0.0.0.0\n", NETWORK_EGRESS, "nameserver 10.0.2.3\n");
	expect_resolv("", NETWORK_EGRESS, "nameserver 10.0.2.3\n");
	expect_resolv("nameserver 1.1.1.1 # one\nnameserver 1.1.1.2\nnameserver 1.1.1.3\nnameserver 1.1.1.4",
		      NETWORK_EGRESS, "nameserver 1.1.1.1\nnameserver 1.1.1.2\nnameserver 1.1.1.3\n");
	expect_resolv("nameserver 10.1.2.3\n", NETWORK_NONE, "# this container has no network\n");
}

TEST(link_local_addresses_and_our_own_are_blocked)
{
	struct netns_blocked b;
	netns_blocked_find("/nonexistent", &b);
	assert_true(b.count >= 1);
	assert_int_equal(b.networks[0].prefix, 16);
	for (unsigned i = 0; i < b.count; i++)
		assert_int_not_equal(((const uint8_t *)&b.networks[i].address)[0], 127);
}

TEST(the_skeleton_is_made_with_open_folders_whatever_the_umask)
{
	struct err err = ERR_INIT;
	struct container_spec spec = good_spec();
	char path[512];
	struct stat st;
	const char *folder = test_dir(), *source = test_dir();
	const struct container_mount own[] = {{source, "/deep/er/work", true},
					      {"/etc/passwd", "/conf/file", false}};
	const struct buf plan = {.data = "plan", .len = 4};
	CLEANUP(oci_rootfs) struct oci_rootfs root = {0};
	CLEANUP(buf) struct buf text = BUF_INIT;
	spec.mounts = own;
	spec.mount_count = 2;
	EXPECT_OK(oci_rootfs_build(&spec, &plan, &root, &err), &err);
	mode_t before = umask(077);
	assert_int_equal(oci_rootfs_apply(&root, folder), 0);
	assert_int_equal(umask(before), 077);
	static const struct {
		const char *path;
		mode_t mode;
	} rows[] = {{"tmp", S_IFDIR | 01777},	       {"deep/er/work", S_IFDIR | 0755},
		    {"conf/file", S_IFREG | 0644},     {"etc/passwd", S_IFREG | 0644},
		    {".cloudml/plan", S_IFREG | 0644}, {"usr", S_IFDIR | 0755}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		path_format(path, sizeof(path), "%s/%s", folder, rows[i].path);
		EXPECT_INT(rows[i].path, stat(path, &st), 0);
		EXPECT_INT(rows[i].path, st.st_mode, rows[i].mode);
	}
	path_format(path, sizeof(path), "%s/etc/passwd", folder);
	EXPECT_OK(fd_read_file(AT_FDCWD, path, 4096, &text, &err), &err);
	assert_non_null(strstr(buf_str(&text), "cloudml:x:1000:1000:cloudml:/work:/bin/sh\n"));
	static const char *const absent[] = {"root", "home", "opt", "etc/shadow", "sys"};
	for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
		path_format(path, sizeof(path), "%s/%s", folder, absent[i]);
		EXPECT_INT(absent[i], access(path, F_OK), -1);
	}
}

TEST(a_mount_of_what_is_not_there_is_refused)
{
	struct err err = ERR_INIT;
	struct container_spec spec = good_spec();
	const struct buf plan = {.data = "", .len = 0};
	CLEANUP(oci_rootfs) struct oci_rootfs root = {0};
	EXPECT_ERR(oci_rootfs_build(&spec, &plan, &root, &err), ERR_NOT_FOUND, &err,
		   "cannot mount '/data/work' on '/work'");
}
