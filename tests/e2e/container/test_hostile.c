/* SPDX-License-Identifier: Apache-2.0 */
/* Code that means ill, in containers. Attacks are Python scripts: one line per attempt, "NAME refused" or
 * "NAME GOT IN". */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "e2e/container/trial.h"

/* Common to the scripts: attempt("name", f) runs f and says how it ended; call(name, number, …) is a raw
 * system call. */
#define PRELUDE                                                                                              \
	"cat > /work/attack.py <<'END'\n"                                                                    \
	"import ctypes, errno, os, platform, signal, socket, sys\n"                                          \
	"libc = ctypes.CDLL(None, use_errno=True)\n"                                                         \
	"def attempt(name, f):\n"                                                                            \
	"    try:\n"                                                                                         \
	"        got = f()\n"                                                                                \
	"    except (OSError, PermissionError) as e:\n"                                                      \
	"        print(name, 'refused', errno.errorcode.get(e.errno), flush=True)\n"                         \
	"    else:\n"                                                                                        \
	"        print(name, 'GOT IN', repr(got)[:80], flush=True)\n"                                        \
	"def call(name, number, *args):\n"                                                                   \
	"    def f():\n"                                                                                     \
	"        r = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a "   \
	"for a in args])\n"                                                                                  \
	"        if r < 0: raise OSError(ctypes.get_errno(), name)\n"                                        \
	"        return r\n"                                                                                 \
	"    attempt(name, f)\n"
#define EPILOGUE "END\npython3 /work/attack.py\n"

static void expect_all_refused(struct trial *t, int attempts)
{
	int refused = 0;
	for (const char *at = buf_str(&t->text); (at = strstr(at, " refused ")) != NULL; at++)
		refused++;
	if (!strstr(buf_str(&t->text), "GOT IN") && refused == attempts)
		return;
	fputs(buf_str(&t->text), stderr);
	fail_msg("%d of %d attempts were refused", refused, attempts);
}

TEST(a_memory_hog_ends_out_of_memory_and_its_neighbour_does_not_notice)
{
	struct trial hog, neighbour;
	trial_init(&neighbour, "echo up; read go < /work/gate; echo unharmed");
	path_format(neighbour.work, sizeof(neighbour.work), "%s/work/gate", neighbour.folder);
	assert_int_equal(mkfifo(neighbour.work, 0666), 0);
	assert_int_equal(chmod(neighbour.work, 0666), 0);
	char gate[256];
	memcpy(gate, neighbour.work, sizeof(gate));
	path_format(neighbour.work, sizeof(neighbour.work), "%s/work", neighbour.folder);
	trial_start(&neighbour);
	trial_read_until(&neighbour, "up\n");
	trial_run(&hog, "exec python3 -c 'x = []\nwhile True: x.append(bytearray(1 << 20))'");
	assert_true(hog.result.out_of_memory);
	assert_string_equal(hog.result.stage, "run");
	assert_non_null(strstr(hog.result.message, "memory limit of 128 MiB"));
	assert_true(hog.result.memory_peak_bytes > 100 << 20);
	int fd = open(gate, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "go\n", 3), 3);
	close(fd);
	trial_wait(&neighbour);
	EXPECT_PRINTS(&neighbour, "unharmed");
	assert_false(neighbour.result.out_of_memory);
	assert_int_equal(neighbour.result.exit_code, 0);
	trial_done(&hog);
	trial_done(&neighbour);
}

TEST(a_container_ends_when_only_a_child_of_its_stage_hits_the_memory_limit)
{
	struct trial t;
	trial_run(&t, "python3 -c 'x = []\nwhile True: x.append(bytearray(1 << 20))' & wait $!; sleep 1000");
	assert_true(t.result.out_of_memory);
	assert_string_equal(t.result.stage, "run");
	trial_done(&t);
}

TEST(files_in_tmp_count_as_memory)
{
	struct trial t;
	trial_init(&t, "head -c 900M /dev/zero > /tmp/big; echo status $?");
	t.spec.tmp_bytes = 1 << 30;
	trial_start(&t);
	trial_wait(&t);
	assert_true(t.result.out_of_memory);
	trial_done(&t);
}

TEST(tmp_has_its_size)
{
	struct trial t;
	trial_init(&t, "head -c 20M /dev/zero > /tmp/big || echo full");
	t.spec.tmp_bytes = 8 << 20;
	trial_start(&t);
	trial_wait(&t);
	EXPECT_PRINTS(&t, "full");
	trial_done(&t);
}

TEST(a_fork_bomb_meets_the_process_limit)
{
	struct trial t;
	trial_run(&t, PRELUDE "def bomb():\n"
			      "    n = 0\n"
			      "    while True:\n"
			      "        try:\n"
			      "            if os.fork() == 0: signal.pause()\n"
			      "            n += 1\n"
			      "        except BlockingIOError: return n\n"
			      "n = bomb()\n"
			      "print('forked', n, 'ok' if 20 < n < 64 else 'wrong')\n" EPILOGUE);
	EXPECT_PRINTS(&t, " ok\n");
	assert_int_equal(t.result.exit_code, 0);
	trial_done(&t);
}

TEST(the_files_of_the_host_are_not_there)
{
	struct trial t;
	trial_run(&t, PRELUDE
		  "for p in ['/root', '/home', '/opt', '/srv', '/sys', '/boot', '/mnt', '/etc/shadow', "
		  "'/etc/ssh', '/var/lib', '/run/cloudml', '/var/log', '/etc/ssl/private']:\n"
		  "    attempt(p, lambda: os.listdir(p) if os.path.isdir(p) else open(p).read())\n"
		  "for p in ['/x', '/etc/x', '/usr/x', '/.cloudml/x', '/run/x', '/proc/sys/kernel/x', "
		  "'/dev/x/y']:\n"
		  "    attempt(p, lambda: open(p, 'w'))\n"
		  "attempt('core', lambda: open('/proc/sys/kernel/core_pattern', 'w'))\n"
		  "attempt('trigger', lambda: open('/proc/sysrq-trigger', 'w'))\n"
		  "attempt('plan', lambda: open('/.cloudml/plan', 'a'))\n"
		  "attempt('init', lambda: open('/.cloudml/init', 'a'))\n" EPILOGUE);
	expect_all_refused(&t, 24);
	trial_done(&t);
}

TEST(forbidden_system_calls_are_refused)
{
	struct trial t;
	trial_run(
	    &t, PRELUDE
	    "buf = ctypes.create_string_buffer(256)\n"
	    "x86 = platform.machine() == 'x86_64'\n"
	    "def n(x, a): return x if x86 else a\n"
	    "call('mount', n(165, 40), b'none', b'/tmp', b'tmpfs', 0, None)\n"
	    "call('umount2', n(166, 39), b'/tmp', 0)\n"
	    "call('pivot_root', n(155, 41), b'/', b'/')\n"
	    "call('chroot', n(161, 51), b'/tmp')\n"
	    "for f in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000, 0x4000000, 0x2000000, 0x80):\n"
	    "    call('unshare-%x' % f, n(272, 97), f)\n"
	    "call('setns', n(308, 268), 0, 0)\n"
	    "for f in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000, 0x4000000, 0x2000000):\n"
	    "    call('clone-%x' % f, n(56, 220), f | 17, 0, 0, 0, 0)\n"
	    "call('clone3', 435, buf, 88)\n"
	    "call('ptrace-traceme', n(101, 117), 0, 0, 0, 0)\n"
	    "call('ptrace-attach', n(101, 117), 16, 1, 0, 0)\n"
	    "call('process_vm_readv', n(310, 270), 1, buf, 1, buf, 1, 0)\n"
	    "call('process_vm_writev', n(311, 271), 1, buf, 1, buf, 1, 0)\n"
	    "call('pidfd_getfd', 438, 0, 0, 0)\n"
	    "call('kcmp', n(312, 272), 1, 1, 0, 0, 0)\n"
	    "call('io_uring_setup', 425, 8, buf)\n"
	    "call('bpf', n(321, 280), 0, buf, 128)\n"
	    "call('perf_event_open', n(298, 241), buf, 0, -1, -1, 0)\n"
	    "call('userfaultfd', n(323, 282), 1)\n"
	    "call('add_key', n(248, 217), b'user', b'x', b'y', 1, -2)\n"
	    "call('request_key', n(249, 218), b'user', b'x', b'y', -2)\n"
	    "call('keyctl', n(250, 219), 0, -3, 1)\n"
	    "call('init_module', n(175, 105), buf, 1, b'')\n"
	    "call('kexec_load', n(246, 104), 0, 0, buf, 0)\n"
	    "call('open_by_handle_at', n(304, 265), 0, buf, 0)\n"
	    "call('fanotify_init', n(300, 262), 0, 0)\n"
	    "call('memfd_secret', 447, 0)\n"
	    "call('sethostname', n(170, 161), b'x', 1)\n"
	    "call('reboot', n(169, 142), 0xfee1dead, 672274793, 0, 0)\n"
	    "call('settimeofday', n(164, 170), buf, None)\n"
	    "call('swapon', n(167, 224), b'/tmp/x', 0)\n"
	    "call('quotactl', n(179, 60), 0, b'/', 0, buf)\n"
	    "call('syslog', n(103, 116), 3, buf, 200)\n"
	    "call('personality', n(135, 92), 8)\n"
	    "call('prlimit-1', n(302, 261), 1, 1, buf, None)\n"
	    "call('fsopen', 430, b'tmpfs', 0)\n"
	    "call('open_tree', 428, -100, b'/', 1)\n"
	    "call('move_mount', 429, -100, b'/', -100, b'/tmp', 0)\n"
	    "call('mount_setattr', 442, -100, b'/', 0, buf, 32)\n"
	    "attempt('mknod', lambda: os.mknod('/tmp/disk', 0o60600, os.makedev(8, 0)))\n"
	    "attempt('setuid', lambda: os.setuid(0))\n"
	    "attempt('chown', lambda: os.chown('/work/attack.py', 0, 0))\n" EPILOGUE);
	expect_all_refused(&t, 54);
	trial_done(&t);
}

TEST(only_the_families_of_the_internet_and_unix_sockets_can_be_opened)
{
	struct trial t;
	trial_run(&t, PRELUDE "def family(name, f, k, p):\n"
			      "    attempt(name, lambda: socket.socket(f, k, p))\n"
			      "family('packet', 17, 3, 0)\n"
			      "family('alg', 38, 5, 0)\n"
			      "family('vsock', 40, 1, 0)\n"
			      "family('bluetooth', 31, 3, 0)\n"
			      "family('xdp', 44, 3, 0)\n"
			      "family('netfilter', 16, 3, 12)\n"
			      "family('audit', 16, 3, 9)\n"
			      "family('raw', 2, 3, 1)\n"
			      "for f in (1, 2, 10): socket.socket(f, 1).close()\n"
			      "socket.socketpair()\n"
			      "print('names', [n for i, n in socket.if_nameindex()])\n" EPILOGUE);
	expect_all_refused(&t, 8);
	EXPECT_PRINTS(&t, "names ['lo']");
	trial_done(&t);
}

TEST(nobody_inside_has_a_capability_or_can_gain_one)
{
	struct trial t;
	trial_run(
	    &t,
	    "grep -E '^(Cap|NoNewPrivs|Seccomp:|Uid|Groups)' /proc/self/status; grep ^Cap /proc/1/status");
	EXPECT_PRINTS(&t,
		      "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
		      "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
	EXPECT_PRINTS(&t, "Uid:\t1000\t1000\t1000\t1000\n");
	trial_done(&t);
}

TEST(the_record_and_process_1_are_out_of_reach)
{
	struct trial t;
	trial_run(&t, PRELUDE "attempt('fds', lambda: os.listdir('/proc/1/fd'))\n"
			      "attempt('mem', lambda: open('/proc/1/mem', 'r+b'))\n"
			      "attempt('environ', lambda: open('/proc/1/environ').read())\n"
			      "for i in range(3, 16):\n"
			      "    attempt('fd%d' % i, lambda: open('/proc/1/fd/%d' % i, 'a'))\n"
			      "attempt('oom', lambda: open('/proc/1/oom_score_adj', 'w').write('1000'))\n"
			      "os.kill(1, signal.SIGKILL)\n"
			      "os.kill(1, signal.SIGSTOP)\n"
			      "os.kill(1, signal.SIGSEGV)\n"
			      "print('own', sorted(os.listdir('/proc/self/fd')))\n"
			      "sys.exit(5)\n" EPILOGUE);
	expect_all_refused(&t, 17);
	EXPECT_PRINTS(&t, "own ['0', '1', '2', '3']"); /* 3 is the listing itself */
	assert_int_equal(t.result.exit_code, 5);
	assert_true(t.result.ended);
	trial_done(&t);
}

TEST(descriptors_of_the_caller_do_not_leak)
{
	struct trial t;
	int fd = open("/etc/passwd", O_RDONLY); /* on purpose without O_CLOEXEC */
	assert_true(fd >= 0);
	trial_run(&t, "ls -l /proc/self/fd; echo; ls /proc/self/fd | wc -l");
	close(fd);
	EXPECT_PRINTS(&t, "\n4\n");
	assert_null(strstr(buf_str(&t.text), "passwd"));
	trial_done(&t);
}

TEST(a_daemon_in_a_session_of_its_own_dies_with_the_container)
{
	struct trial t;
	trial_run(
	    &t, "setsid sh -c 'trap \"\" TERM HUP; echo started > /work/daemon; exec sleep 1000' < /dev/null "
		"> /dev/null 2>&1 & while ! [ -s /work/daemon ]; do sleep 0.01; done; echo done");
	/* That trial_wait returned at all says that init did not wait for it. */
	EXPECT_PRINTS(&t, "done");
	struct container_stats stats;
	assert_true(container_stats(t.name, &stats, NULL) < 0 || stats.processes == 0);
	trial_done(&t);
}

TEST(who_ignores_sigterm_is_killed_after_the_grace_time)
{
	struct trial t;
	struct err err = ERR_INIT;
	trial_init(&t, "trap '' TERM; echo deaf; while :; do sleep 1000; done");
	t.spec.grace_ms = 100;
	trial_start(&t);
	trial_read_until(&t, "deaf");
	EXPECT_OK(container_signal(t.name, SIGTERM, &err), &err);
	trial_wait(&t);
	assert_true(t.result.stopped);
	assert_true(t.result.killed);
	assert_int_equal(t.result.exit_signal, SIGKILL);
	assert_non_null(strstr(t.result.message, "did not end 100 ms after SIGTERM"));
	trial_done(&t);
}

TEST(a_killed_container_is_said_to_be_killed)
{
	struct trial t;
	struct err err = ERR_INIT;
	trial_init(&t, "echo up; sleep 1000");
	trial_start(&t);
	trial_read_until(&t, "up");
	EXPECT_OK(container_kill(t.name, &err), &err);
	trial_wait(&t);
	assert_true(t.result.ran);
	assert_false(t.result.ended);
	assert_false(t.result.out_of_memory);
	assert_string_equal(t.result.stage, "run");
	assert_string_equal(t.result.message, "the container was killed from outside during stage 'run'");
	trial_done(&t);
}

TEST(cleanup_ends_a_container_whose_runtime_was_killed)
{
	struct trial t;
	trial_init(&t, "echo up; sleep 1000");
	trial_start(&t);
	trial_read_until(&t, "up");
	assert_int_equal(kill(t.pid, SIGKILL), 0);
	assert_int_equal(waitpid(t.pid, NULL, 0), t.pid);
	trial_done(&t);
}
