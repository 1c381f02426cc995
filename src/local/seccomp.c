/* SPDX-License-Identifier: Apache-2.0 */
/* The allow-list of system calls. What is not in the table fails with EPERM. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include "base/mem.h"
#include "local/seccomp.h"

/* Calls that are allowed with any argument. Left out on purpose: everything that makes namespaces or mounts,
 * tracing and reading other processes (ptrace, process_vm_*, kcmp, pidfd_getfd), io_uring, keys, bpf,
 * userfaultfd, perf, modules, kexec, clocks, swap, quotas, chroot, fanotify, open_by_handle_at, modify_ldt
 * and memfd_secret. Names that a kernel or libseccomp does not know are passed over by the runtimes. */
static const char *const seccomp_plain[] = {
    /* files */
    "access",
    "chdir",
    "chmod",
    "chown",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "fchown",
    "fchownat",
    "fcntl",
    "fdatasync",
    "fgetxattr",
    "flistxattr",
    "flock",
    "fremovexattr",
    "fsetxattr",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "futimesat",
    "getcwd",
    "getdents",
    "getdents64",
    "getxattr",
    "inotify_add_watch",
    "inotify_init",
    "inotify_init1",
    "inotify_rm_watch",
    "ioctl",
    "lchown",
    "lgetxattr",
    "link",
    "linkat",
    "listxattr",
    "llistxattr",
    "lremovexattr",
    "lseek",
    "lsetxattr",
    "lstat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "removexattr",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "setxattr",
    "splice",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync",
    "sync_file_range",
    "syncfs",
    "tee",
    "truncate",
    "umask",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
    "vmsplice",
    "write",
    "writev",
    "io_cancel",
    "io_destroy",
    "io_getevents",
    "io_pgetevents",
    "io_setup",
    "io_submit",
    /* memory */
    "brk",
    "cachestat",
    "get_mempolicy",
    "madvise",
    "mbind",
    "membarrier",
    "memfd_create",
    "mincore",
    "mlock",
    "mlock2",
    "mlockall",
    "mmap",
    "mprotect",
    "mremap",
    "mseal",
    "msync",
    "munlock",
    "munlockall",
    "munmap",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "remap_file_pages",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "map_shadow_stack",
    /* processes and threads */
    "arch_prctl",
    "capget",
    "capset",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "fork",
    "futex",
    "futex_requeue",
    "futex_wait",
    "futex_waitv",
    "futex_wake",
    "get_robust_list",
    "get_thread_area",
    "getcpu",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getitimer",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getpriority",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "getsid",
    "gettid",
    "getuid",
    "ioprio_get",
    "ioprio_set",
    "kill",
    "pause",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "restart_syscall",
    "rseq",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_getattr",
    "sched_getparam",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "sched_yield",
    "seccomp",
    "set_robust_list",
    "set_thread_area",
    "set_tid_address",
    "setfsgid",
    "setfsuid",
    "setgid",
    "setgroups",
    "setitimer",
    "setpgid",
    "setpriority",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setrlimit",
    "setsid",
    "setuid",
    "sigaltstack",
    "sysinfo",
    "tgkill",
    "time",
    "times",
    "tkill",
    "uname",
    "vfork",
    "wait4",
    "waitid",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "getrandom",
    /* signals, time, events */
    "alarm",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "gettimeofday",
    "nanosleep",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "pselect6",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_tgsigqueueinfo",
    "select",
    "signalfd",
    "signalfd4",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_settime",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    /* sockets (which families: seccomp_rules) and System V and POSIX queues, which have their own namespace
     */
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "mq_getsetattr",
    "mq_notify",
    "mq_open",
    "mq_timedreceive",
    "mq_timedsend",
    "mq_unlink",
    "msgctl",
    "msgget",
    "msgrcv",
    "msgsnd",
    "semctl",
    "semget",
    "semop",
    "semtimedop",
    "shmat",
    "shmctl",
    "shmdt",
    "shmget",
};

/* Masks of clone(2): every CLONE_NEW* flag that fits its first argument. */
#define CLONE_NAMESPACES 0x7e020000u

struct seccomp_arg {
	unsigned index;
	uint64_t mask; /* 0 = compare the whole argument */
	uint64_t value;
};

struct seccomp_rule {
	const char *call;
	int error; /* 0 = allow */
	unsigned arg_count;
	struct seccomp_arg args[2]; /* all must hold */
};

static const struct seccomp_rule seccomp_rules[] = {
#if defined(__s390x__)
    {"clone", 0, 1, {{1, CLONE_NAMESPACES, 0}}},
#else
    {"clone", 0, 1, {{0, CLONE_NAMESPACES, 0}}},
#endif
    /* Its flags are behind a pointer: with "no such call" the C library falls back to clone. */
    {"clone3", ENOSYS, 0, {{0}}},
    /* Only of the calling process, so that nobody can starve process 1. */
    {"prlimit64", 0, 1, {{0, 0, 0}}},
    /* Linux, Linux32 never; the two bits are "read implies exec" off and address randomisation off
       (debuggers). */
    {"personality", 0, 1, {{0, 0, 0x0}}},
    {"personality", 0, 1, {{0, 0, 0x40000}}},
    {"personality", 0, 1, {{0, 0, 0xffffffff}}},
    {"socket", 0, 1, {{0, 0, 1}}},	       /* AF_UNIX */
    {"socket", 0, 1, {{0, 0, 2}}},	       /* AF_INET */
    {"socket", 0, 1, {{0, 0, 10}}},	       /* AF_INET6 */
    {"socket", 0, 2, {{0, 0, 16}, {2, 0, 0}}}, /* AF_NETLINK, NETLINK_ROUTE: getifaddrs */
    {"socketpair", 0, 1, {{0, 0, 1}}},
};

static const char *seccomp_architecture(void)
{
#if defined(__x86_64__)
	return "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
	return "SCMP_ARCH_AARCH64";
#elif defined(__riscv) && __riscv_xlen == 64
	return "SCMP_ARCH_RISCV64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
	return "SCMP_ARCH_PPC64LE";
#elif defined(__s390x__)
	return "SCMP_ARCH_S390X";
#else
#error "add this machine's SCMP_ARCH word"
#endif
}

static json_t *seccomp_rule_format(const struct seccomp_rule *r)
{
	json_t *rule = json_pack("{s:[s]}", "names", r->call);
	if (r->error)
		json_object_update_new(
		    rule, json_pack("{s:s, s:i}", "action", "SCMP_ACT_ERRNO", "errnoRet", r->error));
	else
		json_object_set_new(rule, "action", json_string("SCMP_ACT_ALLOW"));
	json_t *args = json_array();
	for (unsigned i = 0; i < r->arg_count; i++) {
		const struct seccomp_arg *a = &r->args[i];
		if (a->mask)
			json_array_append_new(args,
					      json_pack("{s:i, s:I, s:I, s:s}", "index", (int)a->index,
							"value", (json_int_t)a->mask, "valueTwo",
							(json_int_t)a->value, "op", "SCMP_CMP_MASKED_EQ"));
		else
			json_array_append_new(args,
					      json_pack("{s:i, s:I, s:s}", "index", (int)a->index, "value",
							(json_int_t)a->value, "op", "SCMP_CMP_EQ"));
	}
	if (r->arg_count)
		json_object_set(rule, "args", args);
	json_decref(args);
	return rule;
}

json_t *seccomp_format(void)
{
	json_t *names = json_array();
	for (size_t i = 0; i < ARRAY_LEN(seccomp_plain); i++)
		json_array_append_new(names, json_string(seccomp_plain[i]));
	json_t *calls = json_array();
	json_array_append_new(calls, json_pack("{s:o, s:s}", "names", names, "action", "SCMP_ACT_ALLOW"));
	for (size_t i = 0; i < ARRAY_LEN(seccomp_rules); i++)
		json_array_append_new(calls, seccomp_rule_format(&seccomp_rules[i]));
	return json_pack("{s:s, s:i, s:[s], s:o}", "defaultAction", "SCMP_ACT_ERRNO", "defaultErrnoRet",
			 EPERM, "architectures", seccomp_architecture(), "syscalls", calls);
}

void seccomp_describe(struct buf *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(seccomp_plain); i++)
		buf_printf(ret, "%s\n", seccomp_plain[i]);
	for (size_t i = 0; i < ARRAY_LEN(seccomp_rules); i++) {
		const struct seccomp_rule *r = &seccomp_rules[i];
		buf_printf(ret, "%s%s", r->call, r->error ? " fails" : "");
		if (r->error)
			buf_printf(ret, " %d", r->error);
		for (unsigned k = 0; k < r->arg_count; k++) {
			const struct seccomp_arg *a = &r->args[k];
			buf_printf(ret, " arg%u", a->index);
			if (a->mask)
				buf_printf(ret, " & 0x%llx", (unsigned long long)a->mask);
			buf_printf(ret, " == 0x%llx", (unsigned long long)a->value);
		}
		buf_addc(ret, '\n');
	}
	buf_printf(ret, "otherwise fails %d\n", EPERM);
}
