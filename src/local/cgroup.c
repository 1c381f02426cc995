/* SPDX-License-Identifier: Apache-2.0 */
/* Making, killing, removing and listing the control groups of containers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/cgroup.h"
#include "local/cgroup_file.h"

#define CGROUP_PARENT "cloudml"
#define CGROUP_PROCS_BYTES_MAX (1 << 20)

static const char *const cgroup_needed[] = {"cpu", "memory", "pids"};

const char *cgroup_mode_word(enum cgroup_mode m)
{
	static const char *const words[] = {"none", "v1", "hybrid", "v2"};
	return words[m];
}

static bool exists(const char *root, const char *rest)
{
	char path[PATH_MAX];
	path_format(path, sizeof(path), "%s/%s", root, rest);
	return access(path, F_OK) == 0;
}

enum cgroup_mode cgroup_mode_detect(const char *root)
{
	if (exists(root, "cgroup.controllers"))
		return CGROUP_V2;
	if (!exists(root, "memory/cgroup.procs"))
		return CGROUP_NONE;
	return exists(root, "unified/cgroup.controllers") ? CGROUP_HYBRID : CGROUP_V1;
}

bool cgroup_is_v2(const struct cgroup_tree *t)
{
	return t->mode == CGROUP_V2;
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);
	for (const char *at = text; (at = strstr(at, word)) != NULL; at += n)
		if ((at == text || at[-1] == ' ') && (at[n] == 0 || at[n] == ' ' || at[n] == '\n'))
			return true;
	return false;
}

void cgroup_missing(const struct cgroup_tree *t, char *ret, size_t cap)
{
	CLEANUP(buf) struct buf controllers = BUF_INIT;
	char path[PATH_MAX];
	*ret = 0;
	if (cgroup_is_v2(t)) {
		path_format(path, sizeof(path), "%s/cgroup.controllers", t->root);
		fd_read_file(AT_FDCWD, path, 4096, &controllers, NULL);
	}
	for (size_t i = 0; i < ARRAY_LEN(cgroup_needed); i++) {
		path_format(path, sizeof(path), "%s/cgroup.procs", cgroup_needed[i]);
		bool there = cgroup_is_v2(t) ? has_word(buf_str(&controllers), cgroup_needed[i])
					     : exists(t->root, path);
		if (!there)
			snprintf(ret + strlen(ret), cap - strlen(ret), "%s%s", *ret ? " " : "",
				 cgroup_needed[i]);
	}
}

void cgroup_oci_path(const struct cgroup_tree *t, const char *name, char *ret, size_t cap)
{
	path_format(ret, cap, "/" CGROUP_PARENT "/%s%s", name, cgroup_is_v2(t) ? "/c" : "");
}

/* The folder of one controller ("" in version 2). */
void cgroup_folder(const struct cgroup_tree *t, const char *controller, const char *name, char *ret,
		   size_t cap)
{
	if (cgroup_is_v2(t))
		path_format(ret, cap, "%s/" CGROUP_PARENT "%s%s", t->root, *name ? "/" : "", name);
	else
		path_format(ret, cap, "%s/%s/" CGROUP_PARENT "%s%s", t->root, controller, *name ? "/" : "",
			    name);
}

static int make_folder(const char *path, struct err *err)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make control group '%s'", path);
	return 0;
}

/* Lets children of 'folder' have the three controllers. */
static int enable_controllers(const char *folder, struct err *err)
{
	char path[PATH_MAX];
	path_format(path, sizeof(path), "%s/cgroup.subtree_control", folder);
	CLEANUP(buf) struct buf now = BUF_INIT;
	int r = fd_read_file(AT_FDCWD, path, 4096, &now, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(cgroup_needed); i++) {
		char word[16];
		if (has_word(buf_str(&now), cgroup_needed[i]))
			continue;
		snprintf(word, sizeof(word), "+%s", cgroup_needed[i]);
		r = cgroup_write(path, word, err);
		if (r < 0)
			return err_wrap(err, "enabling controller '%s'", cgroup_needed[i]);
	}
	return 0;
}

static int make_v2(const struct cgroup_tree *t, const char *name, struct err *err)
{
	char parent[PATH_MAX], own[PATH_MAX];
	cgroup_folder(t, "", "", parent, sizeof(parent));
	cgroup_folder(t, "", name, own, sizeof(own));
	int r = enable_controllers(t->root, err);
	r = r < 0 ? r : make_folder(parent, err);
	r = r < 0 ? r : enable_controllers(parent, err);
	r = r < 0 ? r : make_folder(own, err);
	return r < 0 ? r : enable_controllers(own, err);
}

int cgroup_make(const struct cgroup_tree *t, const char *name, struct err *err)
{
	char path[PATH_MAX];
	if (cgroup_is_v2(t))
		return make_v2(t, name, err);
	cgroup_folder(t, "memory", "", path, sizeof(path));
	int r = make_folder(path, err);
	if (r < 0)
		return r;
	cgroup_folder(t, "memory", name, path, sizeof(path));
	return make_folder(path, err);
}

static int watch_open_file(const char *folder, const char *file, int flags, struct err *err)
{
	char path[PATH_MAX];
	path_format(path, sizeof(path), "%s/%s", folder, file);
	int fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? err_sys(err, errno, "cannot open '%s'", path) : fd;
}

int cgroup_watch_open(const struct cgroup_tree *t, const char *name, struct cgroup_watch *ret,
		      struct err *err)
{
	char folder[PATH_MAX], line[64];
	*ret = (struct cgroup_watch){-1, -1, -1};
	if (cgroup_is_v2(t))
		return 0;
	cgroup_folder(t, "memory", name, folder, sizeof(folder));
	CLEANUP(fd) int oom = watch_open_file(folder, "memory.oom_control", O_RDONLY, err);
	if (oom < 0)
		return oom;
	CLEANUP(fd) int peak = watch_open_file(folder, "memory.max_usage_in_bytes", O_RDONLY, err);
	if (peak < 0)
		return peak;
	CLEANUP(fd) int control = watch_open_file(folder, "cgroup.event_control", O_WRONLY, err);
	if (control < 0)
		return control;
	CLEANUP(fd) int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0)
		return err_sys(err, errno, "cannot make an eventfd");
	int n = snprintf(line, sizeof(line), "%d %d", event, oom);
	if (write(control, line, (size_t)n) != n)
		return err_sys(err, errno, "cannot watch '%s/memory.oom_control'", folder);
	*ret = (struct cgroup_watch){oom, peak, event};
	oom = peak = event = -1;
	return 0;
}

/* Every folder of 'name': one per controller in version 1, one in version 2. */
static void each_folder(const struct cgroup_tree *t, const char *name,
			void (*fn)(const char *folder, void *arg), void *arg)
{
	char folder[PATH_MAX];
	if (cgroup_is_v2(t)) {
		cgroup_folder(t, "", name, folder, sizeof(folder));
		fn(folder, arg);
		return;
	}
	CLEANUP(dir) DIR *d = opendir(t->root);
	for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
		/* Links are other names of the same controller ("cpu" -> "cpu,cpuacct"). */
		if (e->d_name[0] == '.' || e->d_type != DT_DIR)
			continue;
		cgroup_folder(t, e->d_name, name, folder, sizeof(folder));
		fn(folder, arg);
	}
}

/* Calls fn for every folder below, the deepest first, then for 'folder' itself. */
static void walk_up(const char *folder, int depth, void (*fn)(const char *folder, void *arg), void *arg)
{
	CLEANUP(dir) DIR *d = opendir(folder);
	if (!d)
		return;
	for (struct dirent *e; depth < 16 && (e = readdir(d)) != NULL;) {
		char below[PATH_MAX];
		if (e->d_name[0] == '.' || e->d_type != DT_DIR ||
		    strlen(folder) + strlen(e->d_name) + 2 > sizeof(below))
			continue;
		path_format(below, sizeof(below), "%s/%s", folder, e->d_name);
		walk_up(below, depth + 1, fn, arg);
	}
	fn(folder, arg);
}

/* Calls fn for every process directly in 'folder'; until it says true. */
static bool each_process(const char *folder, bool (*fn)(pid_t pid, void *arg), void *arg)
{
	char path[PATH_MAX], *end;
	CLEANUP(buf) struct buf text = BUF_INIT;
	path_format(path, sizeof(path), "%s/cgroup.procs", folder);
	fd_read_file(AT_FDCWD, path, CGROUP_PROCS_BYTES_MAX, &text, NULL);
	for (const char *at = buf_str(&text); *at; at = *end ? end + 1 : end) {
		long pid = strtol(at, &end, 10);
		if (end == at)
			break;
		if (fn((pid_t)pid, arg))
			return true;
	}
	return false;
}

static bool kill_process(pid_t pid, void *arg)
{
	int *count = arg;
	/* 0 stands for a process of a namespace above ours. */
	if (pid > 1)
		kill(pid, SIGKILL);
	++*count;
	return false;
}

static void kill_procs(const char *folder, void *arg)
{
	each_process(folder, kill_process, arg);
}

static void kill_below(const char *folder, void *arg)
{
	walk_up(folder, 0, kill_procs, arg);
}

int cgroup_kill(const struct cgroup_tree *t, const char *name)
{
	char path[PATH_MAX];
	int count = 0;
	if (cgroup_is_v2(t)) {
		cgroup_folder(t, "", name, path, sizeof(path));
		strncat(path, "/cgroup.kill", sizeof(path) - strlen(path) - 1);
		/* Since Linux 5.14; the loop below does it before, and counts in any case. */
		cgroup_write(path, "1", NULL);
	}
	each_folder(t, name, kill_below, &count);
	return count;
}

static void remove_one(const char *folder, void *arg)
{
	bool *gone = arg;
	if (rmdir(folder) < 0 && errno != ENOENT)
		*gone = false;
}

static void remove_below(const char *folder, void *arg)
{
	walk_up(folder, 0, remove_one, arg);
}

bool cgroup_remove(const struct cgroup_tree *t, const char *name)
{
	bool gone = true;
	each_folder(t, name, remove_below, &gone);
	return gone;
}

struct init_search {
	const char *proc_root;
	pid_t pid;
	bool listens;
};

/* Process 1 of a namespace has "1" as the last of its numbers. */
static bool is_init(pid_t pid, void *arg)
{
	struct init_search *search = arg;
	char path[PATH_MAX];
	CLEANUP(buf) struct buf text = BUF_INIT;
	path_format(path, sizeof(path), "%s/%d/status", search->proc_root, (int)pid);
	if (fd_read_file(AT_FDCWD, path, 65536, &text, NULL) < 0)
		return false;
	const char *numbers = strstr(buf_str(&text), "\nNSpid:");
	size_t n = numbers ? strcspn(numbers + 1, "\n") : 0;
	if (n < 3 || strncmp(numbers + 1 + n - 2, "\t1", 2) != 0)
		return false;
	search->pid = pid;
	/* It takes this name when no signal can be lost any more. */
	search->listens = str_starts(buf_str(&text), "Name:\tcloudml-init\n");
	return true;
}

pid_t cgroup_init(const struct cgroup_tree *t, const char *name, const char *proc_root, bool *ret_listens)
{
	char folder[PATH_MAX];
	struct init_search search = {.proc_root = proc_root};
	cgroup_folder(t, "memory", name, folder, sizeof(folder));
	if (cgroup_is_v2(t))
		strncat(folder, "/c", sizeof(folder) - strlen(folder) - 1);
	each_process(folder, is_init, &search);
	*ret_listens = search.listens;
	return search.pid;
}

int cgroup_list(const struct cgroup_tree *t, char ***ret, struct err *err)
{
	char path[PATH_MAX];
	size_t count = 0;
	cgroup_folder(t, "memory", "", path, sizeof(path));
	CLEANUP(dir) DIR *d = opendir(path);
	if (!d && errno != ENOENT)
		return err_sys(err, errno, "cannot list '%s'", path);
	char **names = mem_alloc(sizeof(*names));
	for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
		if (e->d_name[0] == '.' || e->d_type != DT_DIR)
			continue;
		names = mem_realloc(names, (count + 2) * sizeof(*names));
		names[count++] = mem_strdup(e->d_name);
		names[count] = NULL;
	}
	*ret = names;
	return 0;
}
