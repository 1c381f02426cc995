/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and stopping PostgreSQL, which refuses to run as root: then it runs as 'nobody'. */
#include "unit/store/postgres_fixture.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "store/store_pq.h"
#include "unit/test.h"

#define NOBODY 65534
#define READY "ready to accept connections"

static char folder[300], programs[200];
static pid_t server_pid, owner_pid;
static int log_fd = -1;
static pthread_t drain;
static const struct pq *pq;
static PGconn *admin;

static void become_unprivileged(void)
{
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGQUIT); /* goes with the test, however that ends */
}

static pid_t start(char *const argv[], int output)
{
	char path[300];
	snprintf(path, sizeof(path), "%s/%s", programs, argv[0]);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid)
		return pid;
	become_unprivileged();
	dup2(output, 1);
	dup2(output, 2);
	if (chdir(folder) == 0)
		execv(path, argv);
	_exit(127);
}

static void find_programs(void)
{
	glob_t found = {0};
	int r = glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found);
	if (r == 0)
		snprintf(programs, sizeof(programs), "%.*s",
			 (int)(strlen(found.gl_pathv[found.gl_pathc - 1]) - strlen("/initdb")),
			 found.gl_pathv[found.gl_pathc - 1]);
	globfree(&found);
	if (r != 0)
		SKIP("PostgreSQL is not installed (package postgresql-15)");
}

static void make_cluster(void)
{
	char parent[300];
	const char *mine = test_dir();
	snprintf(folder, sizeof(folder), "%s/postgres", mine);
	snprintf(parent, sizeof(parent), "%s/..", mine);
	assert_int_equal(chmod(mine, 0711), 0); /* to pass through */
	assert_int_equal(chmod(parent, 0711), 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	if (geteuid() == 0)
		assert_int_equal(chown(folder, NOBODY, NOBODY), 0);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), status = 0;
	char *argv[] = {(char *)"initdb",
			(char *)"-D",
			(char *)"data",
			(char *)"-U",
			(char *)"cloudml",
			(char *)"--auth=trust",
			(char *)"-E",
			(char *)"UTF8",
			(char *)"--locale=C.UTF-8",
			(char *)"-N",
			NULL};
	pid_t pid = start(argv, null);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(null);
}

/* The server's log: nobody may wait for a full pipe. */
static void *drain_log(void *arg)
{
	char text[4096];
	while (read(log_fd, text, sizeof(text)) > 0)
		;
	return NULL;
}

static void wait_until_ready(void)
{
	char text[8192];
	size_t len = 0;
	while (len < sizeof(text) - 1) {
		ssize_t n = read(log_fd, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			fail_msg("PostgreSQL did not start: %.*s", (int)len, text);
		len += (size_t)n;
		text[len] = 0;
		if (strstr(text, READY))
			return;
	}
	fail_msg("PostgreSQL says too much: %s", text);
}

static void stop_server(void)
{
	if (!server_pid || getpid() != owner_pid)
		return;
	pq->PQfinish(admin);
	kill(server_pid, SIGQUIT);
	waitpid(server_pid, NULL, 0);
	pthread_join(drain, NULL);
	close(log_fd);
}

static void start_server(void)
{
	struct err err = ERR_INIT;
	char url[400];
	int fds[2];
	find_programs();
	EXPECT_OK(pq_load(&pq, &err), &err);
	make_cluster();
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	char *argv[] = {(char *)"postgres",
			(char *)"-D",
			(char *)"data",
			(char *)"-c",
			(char *)"listen_addresses=",
			(char *)"-c",
			(char *)"unix_socket_directories=..",
			(char *)"-c",
			(char *)"shared_buffers=16MB",
			(char *)"-c",
			(char *)"max_connections=20",
			NULL};
	server_pid = start(argv, fds[1]);
	owner_pid = getpid();
	close(fds[1]);
	log_fd = fds[0];
	wait_until_ready();
	assert_int_equal(pthread_create(&drain, NULL, drain_log, NULL), 0);
	atexit(stop_server);
	snprintf(url, sizeof(url), "postgresql://cloudml@/postgres?host=%s", folder);
	const char *keys[] = {"dbname", NULL}, *values[] = {url, NULL};
	admin = pq->PQconnectdbParams(keys, values, 1);
	if (pq->PQstatus(admin) != CONNECTION_OK)
		fail_msg("%s", pq->PQerrorMessage(admin));
}

void postgres_sql(const char *sql)
{
	PGresult *result = pq->PQexec(admin, sql);
	ExecStatusType status = pq->PQresultStatus(result);
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, pq->PQerrorMessage(admin));
	pq->PQclear(result);
}

void postgres_schema(const char *schema, char *ret_url, size_t cap)
{
	char sql[200];
	if (!server_pid)
		start_server();
	snprintf(sql, sizeof(sql), "SET client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS %s",
		 schema);
	if (getpid() == owner_pid) /* a child's copy of the connection is not for use */
		postgres_sql(sql);
	snprintf(ret_url, cap, "postgresql://cloudml@/postgres?host=%s&options=-csearch_path%%3D%s", folder,
		 schema);
}

void postgres_break_connections(void)
{
	postgres_sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = "
		     "'client backend' AND pid <> pg_backend_pid()");
}
