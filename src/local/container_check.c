/* SPDX-License-Identifier: Apache-2.0 */
/* Checking what somebody wants to run in a container. */
#include <string.h>
#include "base/json.h"
#include "local/container_int.h"

#define CONTAINER_ARGS_MAX 4096
#define CONTAINER_PATH_MAX 1000

int container_name_check(const char *name, struct err *err)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	size_t n = name ? strlen(name) : 0;
	if (n == 0 || n > CONTAINER_NAME_MAX || strspn(name, letters) != n || strchr("_.-", name[0]))
		return err_set(
		    err, ERR_INVALID,
		    "bad container name '%.100s': letters, digits, '_', '.' and '-', at most %d, a letter or "
		    "digit first",
		    name ? name : "", CONTAINER_NAME_MAX);
	return 0;
}

/* Absolute, no empty part, no "." and "..", no control characters. */
static bool is_clean(const char *path)
{
	if (!path || path[0] != '/' || !path[1] || strlen(path) > CONTAINER_PATH_MAX)
		return false;
	for (const char *at = path; *at; at++) {
		if ((unsigned char)*at < 32 || *at == 127)
			return false;
		if (*at != '/')
			continue;
		size_t n = strcspn(at + 1, "/");
		if (n == 0 || (n == 1 && at[1] == '.') || (n == 2 && at[1] == '.' && at[2] == '.'))
			return false;
	}
	return true;
}

static bool is_stage_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	size_t n = name ? strlen(name) : 0;
	return n > 0 && n <= CONTAINER_STAGE_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
	       strspn(name, letters) == n && strcmp(name, "network") != 0;
}

static int check_stages(const struct container_spec *spec, struct err *err)
{
	size_t args = 0;
	if (spec->stage_count == 0 || spec->stage_count > CONTAINER_STAGES_MAX)
		return err_set(err, ERR_INVALID, "container '%s' has %zu stages; 1 to %d are possible",
			       spec->name, spec->stage_count, CONTAINER_STAGES_MAX);
	for (size_t i = 0; i < spec->stage_count; i++) {
		const struct container_stage *s = &spec->stages[i];
		if (!is_stage_name(s->name))
			return err_set(err, ERR_INVALID,
				       "bad stage name '%.40s': lower-case letters, digits, '_' and '-', at "
				       "most %d, not "
				       "'network'",
				       s->name ? s->name : "", CONTAINER_STAGE_NAME_MAX);
		if (!s->argv || !s->argv[0])
			return err_set(err, ERR_INVALID, "stage '%s' has no command", s->name);
		args += strings_count(s->argv);
		if (s->cwd && strcmp(s->cwd, "/") != 0 && !is_clean(s->cwd))
			return err_set(err, ERR_INVALID, "bad working folder '%.200s' of stage '%s'", s->cwd,
				       s->name);
	}
	if (args > CONTAINER_ARGS_MAX)
		return err_set(err, ERR_INVALID, "container '%s' has %zu arguments, at most %d are possible",
			       spec->name, args, CONTAINER_ARGS_MAX);
	return 0;
}

static int check_mounts(const struct container_spec *spec, struct err *err)
{
	static const char *const taken[] = {"/proc", "/dev",  "/sys", "/usr",	"/etc",
					    "/bin",  "/sbin", "/lib", "/lib64", NULL};
	if (spec->mount_count > CONTAINER_MOUNTS_MAX)
		return err_set(err, ERR_INVALID, "container '%s' has %zu mounts, at most %d are possible",
			       spec->name, spec->mount_count, CONTAINER_MOUNTS_MAX);
	for (size_t i = 0; i < spec->mount_count; i++) {
		const struct container_mount *m = &spec->mounts[i];
		if (!is_clean(m->source) || !is_clean(m->target))
			return err_set(err, ERR_INVALID,
				       "bad mount '%.200s' on '%.200s': both must be clean absolute paths",
				       m->source ? m->source : "", m->target ? m->target : "");
		for (size_t k = 0; taken[k]; k++) {
			size_t n = strlen(taken[k]);
			if (strncmp(m->target, taken[k], n) == 0 && (!m->target[n] || m->target[n] == '/'))
				return err_set(err, ERR_INVALID,
					       "cannot mount on '%s': '%s' is the platform's", m->target,
					       taken[k]);
		}
	}
	return 0;
}

static int check_limits(const struct container_spec *spec, struct err *err)
{
	if (spec->limits.cpu_milli <= 0 || spec->limits.cpu_milli > 1000000)
		return err_set(err, ERR_INVALID,
			       "container '%s' needs a processor limit between 1 and 1000000 thousandths",
			       spec->name);
	/* Below this the runtime itself does not start. */
	if (spec->limits.memory_bytes < 16 * 1024 * 1024)
		return err_set(err, ERR_INVALID, "container '%s' needs a memory limit of at least 16 MiB",
			       spec->name);
	if (spec->limits.gpu > 0)
		return err_set(err, ERR_UNSUPPORTED,
			       "containers on this machine cannot use a gpu; ask for 0");
	if (spec->max_processes < 8)
		return err_set(err, ERR_INVALID, "container '%s' needs a process limit of at least 8",
			       spec->name);
	if (spec->tmp_bytes < 0 || spec->grace_ms < 0)
		return err_set(err, ERR_INVALID, "container '%s' has a negative size or time", spec->name);
	return 0;
}

int container_check(const struct container_spec *spec, struct err *err)
{
	int r = container_name_check(spec->name, err);
	if (r < 0)
		return r;
	if (spec->network_name)
		r = container_name_check(spec->network_name, err);
	if (r < 0)
		return r;
	if (!is_clean(spec->folder))
		return err_set(err, ERR_INVALID,
			       "bad task folder '%.200s' of container '%s': must be a clean absolute path",
			       spec->folder ? spec->folder : "", spec->name);
	if (spec->uid_base < CONTAINER_UID_COUNT || spec->uid_base > (uid_t)-1 - 2 * CONTAINER_UID_COUNT)
		return err_set(err, ERR_INVALID, "container '%s' has no user ids of its own: uid_base is %u",
			       spec->name, (unsigned)spec->uid_base);
	if (spec->inside_port < 0 || spec->inside_port > 65535 || (spec->inside_port && !spec->inside_fd))
		return err_set(err, ERR_INVALID, "container '%s' has a bad port inside: %d", spec->name,
			       spec->inside_port);
	if (spec->fd_count > CONTAINER_FDS_MAX)
		return err_set(err, ERR_INVALID,
			       "container '%s' has %zu descriptors, at most %d are possible", spec->name,
			       spec->fd_count, CONTAINER_FDS_MAX);
	if (!spec->env)
		return err_set(err, ERR_INVALID, "container '%s' has no environment", spec->name);
	r = check_limits(spec, err);
	r = r < 0 ? r : check_stages(spec, err);
	return r < 0 ? r : check_mounts(spec, err);
}
