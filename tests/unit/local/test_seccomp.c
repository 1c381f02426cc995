/* SPDX-License-Identifier: Apache-2.0 */
/* The allow-list of system calls equals the golden file; its OCI form says the same. */
#include <fcntl.h>
#include <stdlib.h>
#include "base/fd.h"
#include "base/mem.h"
#include "local/seccomp.h"
#include "unit/test.h"

TEST(the_list_of_allowed_calls_is_the_reviewed_one)
{
	struct err err = ERR_INIT;
	CLEANUP(buf) struct buf now = BUF_INIT, golden = BUF_INIT;
	const char *path = getenv("TEST_GOLDEN");
	assert_non_null(path);
	seccomp_describe(&now);
	EXPECT_OK(fd_read_file(AT_FDCWD, path, 1 << 16, &golden, &err), &err);
	/* A change is made on purpose: review it against docs, then update the file. */
	EXPECT_STR("seccomp.golden", buf_str(&now), buf_str(&golden));
}

static const json_t *find_rule(const json_t *calls, const char *name)
{
	size_t i, k;
	json_t *rule, *word;
	json_array_foreach(calls, i, rule)
	    json_array_foreach(json_object_get(rule, "names"), k,
			       word) if (strcmp(json_string_value(word), name) == 0) return rule;
	return NULL;
}

TEST(what_is_dangerous_is_in_no_rule)
{
	static const char *const dangerous[] = {"mount",
						"umount2",
						"pivot_root",
						"chroot",
						"unshare",
						"setns",
						"ptrace",
						"process_vm_readv",
						"process_vm_writev",
						"io_uring_setup",
						"io_uring_enter",
						"keyctl",
						"add_key",
						"request_key",
						"bpf",
						"userfaultfd",
						"perf_event_open",
						"kexec_load",
						"init_module",
						"finit_module",
						"delete_module",
						"open_by_handle_at",
						"pidfd_getfd",
						"kcmp",
						"reboot",
						"swapon",
						"settimeofday",
						"fsopen",
						"move_mount",
						"open_tree",
						"mount_setattr",
						"fanotify_init",
						"memfd_secret",
						"modify_ldt",
						"iopl",
						"ioperm",
						"syslog"};
	CLEANUP(json) json_t *j = seccomp_format();
	for (size_t i = 0; i < ARRAY_LEN(dangerous); i++)
		if (find_rule(json_object_get(j, "syscalls"), dangerous[i]))
			fail_msg("'%s' is allowed", dangerous[i]);
}

TEST(what_is_not_listed_fails_with_eperm_and_clone3_is_unknown)
{
	CLEANUP(json) json_t *j = seccomp_format();
	assert_string_equal(json_string_value(json_object_get(j, "defaultAction")), "SCMP_ACT_ERRNO");
	assert_int_equal(json_integer_value(json_object_get(j, "defaultErrnoRet")), 1);
	assert_int_equal(json_array_size(json_object_get(j, "architectures")), 1);
	const json_t *rule = find_rule(json_object_get(j, "syscalls"), "clone3");
	assert_string_equal(json_string_value(json_object_get(rule, "action")), "SCMP_ACT_ERRNO");
	assert_int_equal(json_integer_value(json_object_get(rule, "errnoRet")), 38);
}

TEST(clone_is_allowed_without_namespaces_only)
{
	CLEANUP(json) json_t *j = seccomp_format();
	const json_t *args = json_object_get(find_rule(json_object_get(j, "syscalls"), "clone"), "args");
	const json_t *arg = json_array_get(args, 0);
	assert_string_equal(json_string_value(json_object_get(arg, "op")), "SCMP_CMP_MASKED_EQ");
	assert_int_equal(json_integer_value(json_object_get(arg, "value")), 0x7e020000);
	assert_int_equal(json_integer_value(json_object_get(arg, "valueTwo")), 0);
}
