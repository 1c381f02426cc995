/* SPDX-License-Identifier: Apache-2.0 */
/* What a container is for: running things, and saying what became of them. */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "e2e/container/trial.h"

TEST(a_script_runs_and_its_end_is_recorded)
{
	struct trial t;
	trial_run(&t, "echo hello; pwd; id -u; id -un; hostname; cat /etc/resolv.conf");
	EXPECT_PRINTS(&t, "hello\n/work\n1000\ncloudml\n");
	EXPECT_PRINTS(&t, t.name);
	assert_true(t.result.ran);
	assert_true(t.result.ended);
	assert_string_equal(t.result.stage, "");
	assert_int_equal(t.result.exit_code, 0);
	assert_string_equal(t.result.message, "");
	assert_true(t.result.memory_peak_bytes > 0);
	trial_done(&t);
}

TEST(a_failing_script_is_reported_with_its_status)
{
	struct trial t;
	trial_run(&t, "exit 7");
	assert_string_equal(t.result.stage, "run");
	assert_int_equal(t.result.exit_code, 7);
	assert_int_equal(t.result.exit_signal, 0);
	assert_string_equal(t.result.message, "stage 'run' exited with status 7");
	trial_done(&t);
}

TEST(stages_run_in_order_and_a_failure_skips_all_but_those_that_always_run)
{
	struct trial t;
	char *one[] = {"echo", "one", NULL}, *two[] = {"sh", "-c", "echo two; exit 3", NULL},
	     *three[] = {"echo", "three", NULL};
	char *four[] = {"sh", "-c", "echo four; exit 4", NULL};
	const struct container_stage stages[] = {
	    {.name = "prepare", .argv = one},
	    {.name = "run", .argv = two, .cwd = "/work"},
	    {.name = "skipped", .argv = three},
	    {.name = "finish", .argv = four, .always = true},
	};
	trial_init(&t, "");
	t.spec.stages = stages;
	t.spec.stage_count = 4;
	trial_start(&t);
	trial_wait(&t);
	EXPECT_PRINTS(&t, "one\ntwo\nfour\n");
	assert_null(strstr(buf_str(&t.text), "three"));
	assert_string_equal(t.result.stage, "run");
	assert_int_equal(t.result.exit_code, 3);
	trial_done(&t);
}

TEST(progress_names_the_stage_that_runs)
{
	struct trial t;
	struct err err = ERR_INIT;
	struct container_progress p;
	struct container_stats stats;
	trial_init(&t, "echo up; sleep 1000 & wait");
	EXPECT_OK(container_progress(t.folder, &p, &err), &err);
	assert_int_equal(p.state, CONTAINER_STARTING);
	EXPECT_ERR(container_signal(t.name, SIGTERM, &err), ERR_NOT_FOUND, &err, t.name);
	trial_start(&t);
	trial_read_until(&t, "up");
	EXPECT_OK(container_progress(t.folder, &p, &err), &err);
	assert_int_equal(p.state, CONTAINER_STAGE);
	assert_string_equal(p.stage, "run");
	EXPECT_OK(container_stats(t.name, &stats, &err), &err);
	assert_true(stats.memory_bytes > 0 && stats.memory_bytes <= 128 << 20);
	assert_true(stats.processes >= 2 && stats.processes <= 64);
	assert_true(stats.cpu_usec > 0);
	assert_int_equal(stats.oom_kills, 0);
	EXPECT_OK(container_signal(t.name, SIGTERM, &err), &err);
	trial_wait(&t);
	EXPECT_OK(container_progress(t.folder, &p, &err), &err);
	assert_int_equal(p.state, CONTAINER_ENDED);
	assert_true(t.result.stopped);
	assert_false(t.result.killed);
	assert_int_equal(t.result.exit_signal, SIGTERM);
	trial_done(&t);
	EXPECT_ERR(container_signal(t.name, SIGTERM, &err), ERR_NOT_FOUND, &err, "does not run");
	EXPECT_ERR(container_stats(t.name, &stats, &err), ERR_NOT_FOUND, &err, t.name);
	EXPECT_OK(container_kill(t.name, &err), &err);
}

TEST(a_name_runs_once)
{
	struct trial t;
	pid_t pid;
	int pair[2];
	struct err err = ERR_INIT;
	trial_init(&t, "echo up; read x; sleep 1000");
	trial_start(&t);
	trial_read_until(&t, "up");
	assert_int_equal(pipe(pair), 0);
	EXPECT_ERR(container_spawn(&t.spec, pair[1], &pid, &err), ERR_EXISTS, &err, "exists");
	close(pair[0]);
	close(pair[1]);
	EXPECT_OK(container_kill(t.name, &err), &err);
	trial_wait(&t);
	trial_done(&t);
}

TEST(a_listening_socket_is_passed_on)
{
	struct trial t;
	trial_init(&t, "exec python3 -c 'import socket; s = socket.socket(fileno=3); print(s.getsockname()); "
		       "s.accept()[0]"
		       ".sendall(b\"hi\")'");
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	t.spec.fds = &fd;
	t.spec.fd_count = 1;
	trial_start(&t);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, len), 0);
	char got[8] = "";
	assert_int_equal(recv(client, got, sizeof(got), MSG_WAITALL), 2);
	assert_string_equal(got, "hi");
	close(client);
	close(fd);
	trial_wait(&t);
	assert_int_equal(t.result.exit_code, 0);
	trial_done(&t);
}

TEST(a_command_that_is_not_there_says_so)
{
	struct trial t;
	trial_init(&t, "");
	char *argv[] = {"no-such-program", NULL};
	t.stage.argv = argv;
	trial_start(&t);
	trial_wait(&t);
	EXPECT_PRINTS(&t, "cannot run 'no-such-program': No such file or directory");
	assert_int_equal(t.result.exit_code, 127);
	trial_done(&t);
}

TEST(programs_find_what_they_need)
{
	struct trial t;
	trial_run(&t, "set -e; python3 -c 'import ssl, sqlite3, multiprocessing as m, threading, zoneinfo\n"
		      "if __name__ == \"__main__\":\n"
		      "    print(ssl.create_default_context().cert_store_stats()[\"x509\"] > 0)\n"
		      "    q = m.Queue(); p = m.Process(target=q.put, args=(42,)); p.start(); "
		      "print(q.get()); p.join()\n"
		      "    t = threading.Thread(target=print, args=(\"thread\",)); t.start(); t.join()'\n"
		      "mkfifo /tmp/f; date > /work/date; touch /var/tmp/x; awk 'BEGIN { print \"awk\" }'; "
		      "echo > /dev/full || echo full");
	EXPECT_PRINTS(&t, "True\n42\nthread\nawk\n");
	assert_string_equal(t.result.message, "");
	trial_done(&t);
}

TEST(without_network_only_loopback_is_there)
{
	struct trial t;
	trial_run(&t, "python3 -c 'import socket\n"
		      "s = socket.create_server((\"127.0.0.1\", 0)); "
		      "socket.create_connection(s.getsockname()); print(\"loop\")\n"
		      "try: socket.create_connection((\"10.0.2.3\", 53), 5)\n"
		      "except OSError as e: print(e)'");
	EXPECT_PRINTS(&t, "loop\n[Errno 101] Network is unreachable");
	trial_done(&t);
}

/* The host's loopback, its own addresses and metadata services cannot be reached; slirp's name server can. */
TEST(with_egress_there_is_a_network_but_not_to_the_host)
{
	struct trial t;
	struct runtime r;
	assert_true(runtime_detect(&r, NULL) >= 0);
	if (!*r.slirp_path || access("/dev/net/tun", R_OK | W_OK) < 0)
		SKIP("no slirp4netns or no /dev/net/tun");
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	char script[1024];
	snprintf(script, sizeof(script),
		 "python3 -c 'import socket\n"
		 "print(sorted(n for i, n in socket.if_nameindex()))\n"
		 "for a in (\"10.0.2.2\", \"127.0.0.1\", \"169.254.169.254\"):\n"
		 "    try: socket.create_connection((a, %d), 5); print(\"GOT IN\", a)\n"
		 "    except OSError as e: print(a, \"refused\", e)\n"
		 "s = socket.socket(2, 2); s.connect((\"10.0.2.3\", 53)); print(s.getsockname()[0])'",
		 ntohs(address.sin_port));
	trial_init(&t, script);
	t.spec.network = NETWORK_EGRESS;
	trial_start(&t);
	trial_wait(&t);
	close(fd);
	EXPECT_PRINTS(&t, "['lo', 'tap0']\n");
	EXPECT_PRINTS(&t, "10.0.2.2 refused");
	EXPECT_PRINTS(&t, "127.0.0.1 refused");
	EXPECT_PRINTS(&t, "169.254.169.254 refused [Errno 113]");
	EXPECT_PRINTS(&t, "10.0.2.100\n");
	assert_null(strstr(buf_str(&t.text), "GOT IN"));
	trial_done(&t);
}

/* The process that carries the traffic of the container whose runtime is 'runtime'; -1 when there is none. */
static pid_t find_slirp(pid_t runtime)
{
	char want[64], path[64];
	DIR *d = opendir("/proc");
	pid_t found = -1;
	assert_non_null(d);
	snprintf(want, sizeof(want), "/proc/%d/ns/net", (int)runtime);
	for (struct dirent *e; found < 0 && (e = readdir(d)) != NULL;) {
		CLEANUP(buf) struct buf line = BUF_INIT;
		pid_t pid = (pid_t)atoi(e->d_name);
		snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
		if (pid > 0 && fd_read_file(AT_FDCWD, path, 4096, &line, NULL) >= 0 &&
		    memmem(buf_str(&line), line.len, want, strlen(want)))
			found = pid;
	}
	closedir(d);
	return found;
}

TEST(the_user_mode_network_ends_with_its_container)
{
	struct trial t;
	struct err err = ERR_INIT;
	struct runtime r;
	assert_true(runtime_detect(&r, NULL) >= 0);
	if (!*r.slirp_path || access("/dev/net/tun", R_OK | W_OK) < 0)
		SKIP("no slirp4netns or no /dev/net/tun");
	trial_init(&t, "echo up; sleep 1000");
	t.spec.network = NETWORK_EGRESS;
	trial_start(&t);
	trial_read_until(&t, "up");
	pid_t slirp = find_slirp(t.pid);
	assert_true(slirp > 0);
	struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, slirp, 0), .events = POLLIN};
	assert_true(ended.fd >= 0);
	EXPECT_OK(container_kill(t.name, &err), &err);
	trial_wait(&t);
	assert_int_equal(poll(&ended, 1, 60000), 1);
	close(ended.fd);
	trial_done(&t);
}

TEST(a_start_that_fails_leaves_nothing)
{
	struct trial t;
	struct err err = ERR_INIT;
	char **left = NULL;
	int pair[2];
	pid_t pid;
	trial_init(&t, "true");
	t.mount.source = "/nonexistent";
	assert_int_equal(pipe(pair), 0);
	EXPECT_OK(container_prepare(&t.spec, &err), &err);
	EXPECT_ERR(container_spawn(&t.spec, pair[1], &pid, &err), ERR_NOT_FOUND, &err, "/nonexistent");
	close(pair[0]);
	close(pair[1]);
	EXPECT_OK(container_list(&left, &err), &err);
	for (char **name = left; *name; name++)
		assert_string_not_equal(*name, t.name);
	strings_free(left);
	trial_done(&t);
}

/* crun and runc hand the standard streams to the container's user: never a device of the host. */
TEST(a_device_is_refused_as_output)
{
	struct trial t;
	struct err err = ERR_INIT;
	pid_t pid;
	trial_init(&t, "true");
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	EXPECT_OK(container_prepare(&t.spec, &err), &err);
	EXPECT_ERR(container_spawn(&t.spec, fd, &pid, &err), ERR_INVALID, &err, "must be a pipe or a file");
	close(fd);
	trial_done(&t);
}
