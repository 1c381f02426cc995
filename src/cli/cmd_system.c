/* SPDX-License-Identifier: Apache-2.0 */
/* up, down, status, doctor, console, version, frameworks. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/path.h"
#include "base/unit.h"
#include "cli/cli_int.h"

/* By its command line, which is empty once a process has ended, even when its parent has not asked about it
 * yet, and which another program that got the number of a killed server has not. */
static bool is_server(int pid)
{
	CLEANUP(free) char *path = mem_printf("/proc/%d/cmdline", pid);
	CLEANUP(buf) struct buf line = BUF_INIT;
	if (fd_read_file(AT_FDCWD, path, 65536, &line, NULL) < 0)
		return false;
	const char *program = buf_str(&line), *command = program + strlen(program) + 1;
	return command < program + line.len && !strcmp(command, "server");
}

static int server_pid(const struct cli *c, json_t **ret)
{
	CLEANUP(free) char *path = mem_printf("%s/run/server.json", c->config.data_folder);
	CLEANUP(json) json_t *j = NULL;
	if (json_read_file(AT_FDCWD, path, 65536, &j, NULL) < 0)
		return 0;
	int pid = (int)cli_int(j, "pid");
	if (pid <= 0 || !is_server(pid))
		return 0;
	if (ret)
		*ret = STEAL(j);
	return pid;
}

/* A server of this data folder is meant, whatever environment and configuration say about another one. */
void cli_mean_own_server(struct cli *c)
{
	CLEANUP(free) char *folder = mem_strdup(c->config.data_folder);
	unsetenv("CLOUDML_ENDPOINT");
	unsetenv("CLOUDML_TOKEN");
	client_config_done(&c->config);
	client_config_load(folder, &c->config);
}

static void print_banner(struct cli *c, bool started)
{
	cli_mean_own_server(c);
	const char *endpoint = c->config.endpoint ? c->config.endpoint : "?";
	const char *token = c->config.token ? c->config.token : "";
	CLEANUP(free) char *link = mem_printf("%s/#token=%s", endpoint, token);
	if (c->json) {
		CLEANUP(json)
		json_t *j = json_pack("{s:s,s:s,s:s,s:b}", "endpoint", endpoint, "data_folder",
				      c->config.data_folder, "console", link, "started", started);
		cli_print_json(j);
		return;
	}
	printf("%sCloud-ML is running%s at %s\n", cli_color(c, "ok"), cli_color_end(c), endpoint);
	printf("  console   %s\n", link);
	printf("  token     %s/root-token\n\n", c->config.data_folder);
	fflush(stdout);
	cli_hint(c, "cloudml run -- python train.py", "run the code of a folder");
	cli_hint(c, "cloudml status", "what it is doing");
	cli_hint(c, "cloudml down", "stop it; jobs and models go on");
}

static int open_log(const struct cli *c, struct err *err)
{
	int r = path_make_absolute_dirs(c->config.data_folder, 0700, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *path = mem_printf("%s/server.log", c->config.data_folder);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(err, errno, "cannot write '%s'", path) : fd;
}

/* In the child: becomes the server. ready_fd is inherited as 3. */
static void exec_server(const struct cli *c, const struct cli_args *a, int ready_fd, int log_fd)
{
	const char *port = cli_opt(a, "port"), *address = cli_opt(a, "listen");
	const char *abandoned = cli_opt(a, "abort-uploads");
	CLEANUP(free)
	char *listen = mem_printf("%s:%s", address ? address : "127.0.0.1", port ? port : "8080");
	const char *fixed[] = {"cloudml",  "server", "--data",	   c->config.data_folder,
			       "--listen", listen,   "--ready-fd", "3"};
	int count = ARRAY_LEN(fixed);
	while (cli_opt_n(a, "label", count - (int)ARRAY_LEN(fixed)))
		count++;
	char **argv = mem_alloc(sizeof(*argv) * (size_t)(2 * count + 3));
	int n = 0;
	for (; n < (int)ARRAY_LEN(fixed); n++)
		argv[n] = (char *)fixed[n];
	const char *label;
	for (int i = 0; (label = cli_opt_n(a, "label", i)); i++) {
		argv[n++] = "--label";
		argv[n++] = (char *)label;
	}
	if (abandoned) {
		argv[n++] = "--abort-uploads";
		argv[n++] = (char *)abandoned;
	}
	argv[n] = NULL;
	if (log_fd >= 0) {
		int null_fd = open("/dev/null", O_RDONLY);
		setsid();
		dup2(null_fd, 0);
		dup2(log_fd, 1);
		dup2(log_fd, 2);
	}
	if (ready_fd == 3)
		fcntl(3, F_SETFD, 0);
	else
		dup2(ready_fd, 3);
	execv("/proc/self/exe", argv);
	_exit(127);
}

static void print_log_end(const struct cli *c, off_t from)
{
	CLEANUP(free) char *path = mem_printf("%s/server.log", c->config.data_folder);
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[4096];
	ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, from) : 0;
	text[n < 0 ? 0 : n] = '\0';
	fputs(text, stderr);
}

/* Reads the line that the server writes when it answers; false when it ended before. */
static bool wait_ready(int fd)
{
	char text[256];
	ssize_t n;
	while ((n = read(fd, text, sizeof(text))) < 0 && errno == EINTR)
		;
	return n > 0;
}

static int stop_server(const struct cli *c, int pid, struct err *err)
{
	if (kill(pid, SIGTERM) < 0)
		return err_sys(err, errno, "cannot stop the server (pid %d)", pid);
	for (int i = 0; i < 300; i++) {
		if (!is_server(pid))
			return 0;
		usleep(100000);
	}
	return err_set(err, ERR_TIMEOUT,
		       "the server (pid %d) is still ending after 30 s; see '%s/server.log'", pid,
		       c->config.data_folder);
}

/* Does the server run a program that is no longer on the disk? */
static bool is_replaced(int pid)
{
	char target[PATH_MAX];
	CLEANUP(free) char *link = mem_printf("/proc/%d/exe", pid);
	ssize_t n = readlink(link, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	return str_ends(target, " (deleted)");
}

int cmd_up(struct cli *c, const struct cli_args *a, struct err *err)
{
	bool detach = cli_opt(a, "detach") != NULL;
	int running = server_pid(c, NULL);
	cli_mean_own_server(c);
	if (running && detach && is_replaced(running)) {
		cli_note(c, "the program was upgraded: starting the server anew; jobs and models go on");
		int r = stop_server(c, running, err);
		if (r < 0)
			return r;
		running = 0;
	}
	if (running && detach) {
		cli_note(c, "already running (pid %d)", running);
		print_banner(c, false);
		return 0;
	}
	if (running)
		return err_set(err, ERR_CONFLICT,
			       "another server (pid %d) already uses '%s'; stop it with 'cloudml down' or "
			       "give another folder with --data",
			       running, c->config.data_folder);
	CLEANUP(fd) int log_fd = -1;
	int pipe_fds[2], status = 0;
	if (detach) {
		log_fd = open_log(c, err);
		if (log_fd < 0)
			return log_fd;
	}
	off_t log_from = log_fd >= 0 ? lseek(log_fd, 0, SEEK_END) : 0;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "cannot start the server");
	if (pid == 0)
		exec_server(c, a, pipe_fds[1], log_fd);
	close(pipe_fds[1]);
	bool ready = wait_ready(pipe_fds[0]);
	close(pipe_fds[0]);
	if (ready) {
		print_banner(c, true);
		if (detach)
			return 0;
		signal(SIGINT,
		       SIG_IGN); /* the terminal sends it to the server as well, which ends in good order */
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ready)
		return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	if (detach)
		print_log_end(c, log_from);
	return err_set(
	    err, ERR_UNAVAILABLE,
	    "the server did not start; the lines above say why ('cloudml doctor' checks this machine)");
}

/* kind: "models", "tensorboards" */
static int stop_services(struct cli *c, const char *kind, struct err *err)
{
	CLEANUP(json) json_t *services = NULL;
	CLEANUP(free) char *all = mem_printf("/api/v1/%s", kind);
	size_t i;
	const json_t *item;
	int r = client_call(c->client, "GET", all, NULL, NULL, &services, err);
	json_array_foreach(json_object_get(services, "data"), i, item)
	{
		CLEANUP(free) char *path = mem_printf("%s/%s", all, cli_str(item, "name"));
		bool live = strcmp(cli_str(item, "state"), "stopping") != 0;
		if (r >= 0 && live)
			r = client_call(c->client, "DELETE", path, NULL, NULL, NULL, err);
		if (r == -ERR_NOT_FOUND) /* it ended meanwhile */
			r = 0;
	}
	return r;
}

static int stop_everything(struct cli *c, struct err *err)
{
	CLEANUP(json) json_t *jobs = NULL;
	size_t i;
	const json_t *item;
	int r = cli_connect(c, err);
	if (r >= 0)
		r = stop_services(c, "models", err);
	if (r >= 0)
		r = stop_services(c, "tensorboards", err);
	if (r >= 0)
		r = client_call(c->client, "GET", "/api/v1/jobs?limit=1000", NULL, NULL, &jobs, err);
	json_array_foreach(json_object_get(jobs, "data"), i, item)
	{
		CLEANUP(free) char *path = mem_printf("/api/v1/jobs/%s/cancel", cli_str(item, "id"));
		if (r >= 0 && !cli_int(item, "ended_ms"))
			r = client_call(c->client, "POST", path, NULL, NULL, NULL, err);
	}
	for (int tries = 0; r >= 0 && tries < 300; tries++) {
		CLEANUP(json) json_t *status = NULL;
		r = client_call(c->client, "GET", "/api/v1/status", NULL, NULL, &status, err);
		const json_t *j = json_object_get(status, "jobs"), *m = json_object_get(status, "models");
		if (!cli_int(j, "running") && !cli_int(j, "starting") && !cli_int(m, "ready") &&
		    !cli_int(m, "starting") && !cli_int(m, "stopping"))
			return 0;
		usleep(100000);
	}
	return r;
}

int cmd_down(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *server = NULL;
	int pid = server_pid(c, &server);
	cli_mean_own_server(c);
	c->changed = json_array();
	if (!pid) {
		cli_note(c, "not running (data folder '%s')", c->config.data_folder);
		return 0;
	}
	if (cli_opt(a, "jobs")) {
		int r = stop_everything(c, err);
		if (r < 0)
			return err_wrap(err, "stopping jobs and models");
	}
	int r = stop_server(c, pid, err);
	if (r >= 0)
		cli_changed(c, json_incref(server), "stopped");
	return r;
}

static void print_counts(const char *title, const json_t *counts)
{
	const char *word, *separator = "";
	json_t *n;
	printf("%-12s", title);
	json_object_foreach((json_t *)counts, word, n)
	{
		if (!json_integer_value(n))
			continue;
		printf("%s%lld %s", separator, (long long)json_integer_value(n), word);
		separator = ", ";
	}
	puts(*separator ? "" : "none");
}

static void print_use(const json_t *used, const json_t *capacity)
{
	char memory[32], of[32];
	unit_format_bytes(cli_int(used, "memory"), memory);
	unit_format_bytes(cli_int(capacity, "memory"), of);
	printf("%-12s%.3g of %.3g cores, %s of %s memory", "in use",
	       json_number_value(json_object_get(used, "cpu")),
	       json_number_value(json_object_get(capacity, "cpu")), memory, of);
	if (cli_int(capacity, "gpu"))
		printf(", %lld of %lld GPUs", (long long)cli_int(used, "gpu"),
		       (long long)cli_int(capacity, "gpu"));
	putchar('\n');
}

int cmd_status(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *s = NULL;
	char uptime[32];
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", "/api/v1/status", NULL, NULL, &s, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(s);
		return 0;
	}
	const json_t *b = json_object_get(s, "backend");
	cli_format_span(cli_int(s, "uptime_ms"), uptime);
	printf("%-12s%s, version %s, pid %lld, up %s\n", "server", client_endpoint(c->client),
	       cli_str(s, "version"), (long long)cli_int(s, "pid"), uptime);
	printf("%-12s%s\n", "data", cli_str(s, "data_folder"));
	printf("%-12s%s, cgroup %s\n", "containers", cli_str(b, "runtime"), cli_str(b, "cgroup"));
	print_use(json_object_get(s, "used"), json_object_get(s, "capacity"));
	print_counts("jobs", json_object_get(s, "jobs"));
	print_counts("models", json_object_get(s, "models"));
	return 0;
}

int cmd_doctor(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *checks = NULL;
	size_t i;
	const json_t *item;
	int bad = 0;
	int r = c->hooks->doctor(c->config.data_folder, &checks, err);
	if (r < 0)
		return r;
	json_array_foreach(checks, i, item) bad += !json_is_true(json_object_get(item, "ok"));
	if (c->json) {
		cli_print_json(checks);
		return bad ? 1 : 0;
	}
	json_array_foreach(checks, i, item)
	{
		bool ok = json_is_true(json_object_get(item, "ok"));
		printf("%s%-8s%s %-19s ", cli_color(c, ok ? "ok" : "missing"), ok ? "ok" : "missing",
		       cli_color_end(c), cli_str(item, "check"));
		cli_print_safe(stdout, cli_str(item, "detail"));
		putchar('\n');
		if (*cli_str(item, "hint"))
			printf("%29s%s\n", "", cli_str(item, "hint"));
	}
	return bad ? 1 : 0;
}

int cmd_console(struct cli *c, const struct cli_args *a, struct err *err)
{
	int r = cli_connect(c, err);
	if (r < 0)
		return r;
	if (!c->config.token)
		return err_set(err, ERR_UNAUTHENTICATED,
			       "no token; set CLOUDML_TOKEN or read '%s/root-token' as its owner",
			       c->config.data_folder);
	CLEANUP(free) char *link = mem_printf("%s/#token=%s", client_endpoint(c->client), c->config.token);
	if (c->json) {
		CLEANUP(json) json_t *j = json_pack("{s:s}", "console", link);
		cli_print_json(j);
	} else {
		puts(link);
	}
	return 0;
}

int cmd_version(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *v = NULL;
	if (cli_connect(c, NULL) >= 0)
		client_call(c->client, "GET", "/api/v1/version", NULL, NULL, &v, NULL);
	if (c->json) {
		CLEANUP(json) json_t *j = json_pack("{s:s}", "client", CLOUDML_VERSION);
		json_object_set(j, "server",
				json_object_get(v, "version") ? json_object_get(v, "version") : json_null());
		cli_print_json(j);
		return 0;
	}
	printf("cloudml %s\nserver  %s\n", CLOUDML_VERSION, v ? cli_str(v, "version") : "not running");
	return 0;
}

int cmd_frameworks(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const struct cli_column columns[] = {{"NAME", 0},     {"VERSION", 0}, {"", 0},
						    {"DOWNLOAD", 1}, {"ON DISK", 1}, {"WHAT", 0}};
	CLEANUP(json) json_t *list = NULL, *rows = json_array();
	size_t i;
	const json_t *f;
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", "/api/v1/frameworks", NULL, NULL, &list, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(list);
		return 0;
	}
	json_array_foreach(json_object_get(list, "data"), i, f)
	{
		char download[32], disk[32];
		unit_format_bytes(cli_int(f, "download_bytes"), download);
		unit_format_bytes(cli_int(f, "disk_bytes"), disk);
		json_array_append_new(rows,
				      json_pack("[s,s,s,s,s,s]", cli_str(f, "name"), cli_str(f, "version"),
						json_is_true(json_object_get(f, "default")) ? "default" : "",
						download, disk, cli_str(f, "title")));
	}
	cli_print_table(c, columns, ARRAY_LEN(columns), rows);
	return 0;
}
