/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What our way of starting a container costs above the bare runtime: prepare, spawn, wait, result and cleanup
 * of a stage /bin/true against `RUNTIME run` of the same bundle with /bin/true in place of cloudml-init, in
 * turns. Prints medians and the ratio of each pair: median, minimum, maximum. Usage: container_start
 * [ROUNDS]; CLOUDML_RUNTIME chooses.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/container.h"
#include "local/oci_rootfs.h"

#define ROUNDS_MAX 10000
#define WARM_UP 3

static struct runtime runtime;
static int output = -1;

static void die(const struct err *err)
{
	fprintf(stderr, "container_start: %s\n", err->msg);
	exit(err->code == ERR_UNSUPPORTED ? 77 : 1);
}

static struct container_spec spec_of(const char *name, const char *folder)
{
	static char *argv[] = {"/bin/true", NULL}, *env[] = {"PATH=/usr/bin:/bin", NULL};
	static const struct container_stage stage = {.name = "run", .argv = argv};
	return (struct container_spec){.name = name,
				       .folder = folder,
				       .stages = &stage,
				       .stage_count = 1,
				       .env = env,
				       .limits = {.cpu_milli = 2000, .memory_bytes = 256 << 20},
				       .max_processes = 64,
				       .network = NETWORK_NONE,
				       .uid_base = 1879048192u,
				       .grace_ms = 1000};
}

static void wait_for(pid_t pid, int *status)
{
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		continue;
}

static double start_ours(const char *folder)
{
	struct err err = ERR_INIT;
	struct container_result result;
	pid_t pid;
	int status = 0;
	struct container_spec spec = spec_of("bench-ours", folder);
	int64_t from = clock_monotonic_ns();
	if (container_prepare(&spec, &err) < 0 || container_spawn(&spec, output, &pid, &err) < 0)
		die(&err);
	wait_for(pid, &status);
	if (container_result(&spec, status, &result, &err) < 0 ||
	    container_cleanup(spec.name, folder, &err) < 0)
		die(&err);
	int64_t to = clock_monotonic_ns();
	if (!result.ended || *result.stage) {
		fprintf(stderr, "container_start: %s\n", result.message);
		exit(1);
	}
	return (double)(to - from) / 1e6;
}

static void make_root(const struct container_spec *spec, const char *path)
{
	struct err err = ERR_INIT;
	CLEANUP(oci_rootfs) struct oci_rootfs root = {0};
	const struct buf plan = {.data = "", .len = 0};
	int r = oci_rootfs_build(spec, &plan, &root, &err);
	if (r < 0)
		die(&err);
	mkdir(path, 0755);
	r = oci_rootfs_apply(&root, path);
	if (r < 0) {
		err_sys(&err, -r, "cannot make '%s'", path);
		die(&err);
	}
}

/* The bundle as we make it, but with the program itself, a root of its own path and a network namespace. */
static void make_bare(const char *folder)
{
	struct err err = ERR_INIT;
	char path[PATH_MAX], root[PATH_MAX];
	CLEANUP(json) json_t *config = NULL;
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct container_spec spec = spec_of("bench-bare", folder);
	path_format(path, sizeof(path), "%s/bundle/config.json", folder);
	path_format(root, sizeof(root), "%s/bundle/rootfs", folder);
	if (container_prepare(&spec, &err) < 0 || json_read_file(AT_FDCWD, path, 1 << 20, &config, &err) < 0)
		die(&err);
	make_root(&spec, root);
	json_object_set_new(json_object_get(config, "process"), "args", json_pack("[s]", "/bin/true"));
	json_object_set_new(json_object_get(config, "root"), "path", json_string(root));
	json_array_append_new(json_object_get(json_object_get(config, "linux"), "namespaces"),
			      json_pack("{s:s}", "type", "network"));
	json_write(config, &text);
	if (fd_write_file_fast(AT_FDCWD, path, text.data, text.len, 0600, &err) < 0)
		die(&err);
}

static double start_bare(const char *folder)
{
	char bundle[PATH_MAX];
	int status = 0;
	path_format(bundle, sizeof(bundle), "%s/bundle", folder);
	int64_t from = clock_monotonic_ns();
	pid_t pid = fork();
	if (pid == 0) {
		if (runtime.hide_unified &&
		    (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		     umount2("/sys/fs/cgroup/unified", MNT_DETACH) < 0))
			_exit(126);
		dup2(output, 0);
		dup2(output, 1);
		dup2(output, 2);
		execl(runtime.path, runtime.path, "run", "--bundle", bundle, "bench-bare", NULL);
		_exit(127);
	}
	wait_for(pid, &status);
	int64_t to = clock_monotonic_ns();
	if (status) {
		fprintf(stderr, "container_start: bare %s failed: see its output with 'strace'\n",
			runtime.name);
		exit(1);
	}
	return (double)(to - from) / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double at(const double *sorted, int count, double part)
{
	return sorted[(int)((count - 1) * part + 0.5)];
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	int rounds = argc > 1 ? atoi(argv[1]) : 50;
	static double ours[ROUNDS_MAX], bare[ROUNDS_MAX], ratio[ROUNDS_MAX];
	if (rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: container_start [ROUNDS]\n");
		return 2;
	}
	if (runtime_detect(&runtime, &err) < 0 || runtime_version(&runtime, &err) < 0)
		die(&err);
	char base[] = "/tmp/cloudml-bench-XXXXXX", folder_ours[64], folder_bare[64], file[64];
	if (!mkdtemp(base) || chmod(base, 0755) < 0)
		return 1;
	path_format(folder_ours, sizeof(folder_ours), "%s/ours", base);
	path_format(folder_bare, sizeof(folder_bare), "%s/bare", base);
	path_format(file, sizeof(file), "%s/output", base);
	mkdir(folder_ours, 0755);
	mkdir(folder_bare, 0755);
	output = open(file, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	make_bare(folder_bare);
	for (int i = -WARM_UP; i < rounds; i++) {
		double a = start_bare(folder_bare), b = start_ours(folder_ours);
		if (i < 0)
			continue;
		bare[i] = a;
		ours[i] = b;
		ratio[i] = b / a;
	}
	qsort(bare, (size_t)rounds, sizeof(double), by_value);
	qsort(ours, (size_t)rounds, sizeof(double), by_value);
	qsort(ratio, (size_t)rounds, sizeof(double), by_value);
	printf("%s %s, cgroup %s, %d rounds in turns\n", runtime.name, runtime.version,
	       cgroup_mode_word(runtime.cgroup), rounds);
	printf("bare   p50 %6.1f ms  p99 %6.1f ms\n", at(bare, rounds, 0.5), at(bare, rounds, 0.99));
	printf("ours   p50 %6.1f ms  p99 %6.1f ms\n", at(ours, rounds, 0.5), at(ours, rounds, 0.99));
	printf("ratio  median %.2f  min %.2f  max %.2f\n", at(ratio, rounds, 0.5), ratio[0],
	       ratio[rounds - 1]);
	container_cleanup("bench-bare", folder_bare, &err);
	path_remove_tree(AT_FDCWD, base, &err);
	return 0;
}
