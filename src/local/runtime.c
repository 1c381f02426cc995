/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the OCI runtime. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/cgroup.h"
#include "local/runtime.h"
#include "local/runtime_int.h"

/* The runtimes are trusted with root: only the system's own folders count, whatever PATH says. */
static const char *const program_folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					      "/usr/bin",	 "/sbin",	   "/bin"};

bool runtime_find_program(const char *name, char *ret, size_t cap)
{
	for (size_t i = 0; i < ARRAY_LEN(program_folders); i++) {
		path_format(ret, cap, "%s/%s", program_folders[i], name);
		if (access(ret, X_OK) == 0)
			return true;
	}
	*ret = 0;
	return false;
}

static bool choose(const char *name, const char *why, struct runtime *r)
{
	if (!runtime_find_program(name, r->path, sizeof(r->path)))
		return false;
	snprintf(r->name, sizeof(r->name), "%s", name);
	snprintf(r->why, sizeof(r->why), "%s", why);
	return true;
}

static bool choose_any(struct runtime *r, struct buf *missing)
{
	const char *wish = getenv("CLOUDML_RUNTIME");
	if (wish && *wish) {
		if (strcmp(wish, "crun") != 0 && strcmp(wish, "runc") != 0)
			buf_printf(missing, "; CLOUDML_RUNTIME is '%s', set it to runc or crun", wish);
		else if (!choose(wish, "chosen by CLOUDML_RUNTIME", r))
			buf_printf(missing, "; program '%s' (named by CLOUDML_RUNTIME) is not installed",
				   wish);
		return *r->name;
	}
	if (choose("crun", "crun starts containers two to three times faster than runc", r) ||
	    choose("runc", "crun is not installed", r))
		return true;
	buf_adds(missing, "; neither crun nor runc is installed: install package crun");
	return false;
}

static bool has_namespaces(void)
{
	char text[32] = "";
	FILE *f = fopen("/proc/sys/user/max_user_namespaces", "re");
	if (!f)
		return false;
	bool read = fgets(text, sizeof(text), f) != NULL;
	fclose(f);
	return read && atol(text) > 0;
}

static int detect(struct runtime *r, struct err *err)
{
	CLEANUP(buf) struct buf missing = BUF_INIT;
	char controllers[64];
	memset(r, 0, sizeof(*r));
	r->cgroup = cgroup_mode_detect(CGROUP_ROOT);
	struct cgroup_tree tree = {r->cgroup, CGROUP_ROOT};
	if (geteuid() != 0)
		buf_adds(
		    &missing,
		    "; this process is not root, and without root no memory, processor and process limits "
		    "can be enforced");
	choose_any(r, &missing);
	cgroup_missing(&tree, controllers, sizeof(controllers));
	if (r->cgroup == CGROUP_NONE)
		buf_printf(&missing, "; no control groups are mounted at '%s'", CGROUP_ROOT);
	else if (*controllers)
		buf_printf(&missing, "; control group controllers are missing: %s", controllers);
	if (!has_namespaces())
		buf_adds(&missing, "; user namespaces are off: set sysctl user.max_user_namespaces above 0");
	runtime_find_program("slirp4netns", r->slirp_path, sizeof(r->slirp_path));
	r->hide_unified = r->cgroup == CGROUP_HYBRID && strcmp(r->name, "crun") == 0;
	if (missing.len)
		return err_set(err, ERR_UNSUPPORTED, "containers cannot run here: %s", buf_str(&missing) + 2);
	return 0;
}

static struct {
	pthread_once_t once;
	struct runtime runtime;
	int r;
	struct err err;
} detected = {.once = PTHREAD_ONCE_INIT};

static void detect_once(void)
{
	detected.r = detect(&detected.runtime, &detected.err);
}

int runtime_detect(struct runtime *ret, struct err *err)
{
	pthread_once(&detected.once, detect_once);
	*ret = detected.runtime;
	if (detected.r < 0 && err)
		*err = detected.err;
	return detected.r;
}

int runtime_version(struct runtime *r, struct err *err)
{
	char command[512];
	snprintf(command, sizeof(command), "exec %s --version", r->path);
	FILE *f = popen(command, "re");
	if (!f)
		return err_sys(err, errno, "cannot run '%s'", r->path);
	char line[128] = "", rest[256];
	char *got = fgets(line, sizeof(line), f);
	while (fgets(rest, sizeof(rest), f))
		continue;
	int status = pclose(f);
	if (!got || status != 0)
		return err_set(err, ERR_UNSUPPORTED, "'%s --version' failed; reinstall it", r->path);
	line[strcspn(line, "\n")] = 0;
	const char *word = strrchr(line, ' ');
	snprintf(r->version, sizeof(r->version), "%.63s", word ? word + 1 : line);
	return 0;
}
