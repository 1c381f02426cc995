/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a bundle. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "local/cgroup.h"
#include "local/container_int.h"
#include "local/oci_config.h"
#include "local/seccomp.h"

#define CPU_PERIOD_USEC 100000
#define CPU_QUOTA_MIN_USEC 1000

static json_t *strings(const char *const *words)
{
	json_t *a = json_array();
	for (; *words; words++)
		json_array_append_new(a, json_string(*words));
	return a;
}

static void add_mount(json_t *mounts, const char *type, const char *source, const char *target,
		      const char *const *options)
{
	json_array_append_new(mounts, json_pack("{s:s, s:s, s:s, s:o}", "destination", target, "type", type,
						"source", source, "options", strings(options)));
}

static void add_bind(json_t *mounts, const struct container_mount *m)
{
	const char *const options[] = {"rbind", "rprivate", "nosuid", "nodev", m->writable ? "rw" : "ro",
				       NULL};
	add_mount(mounts, "bind", m->source, m->target, options);
}

static void add_tmpfs(json_t *mounts, const char *target, int64_t bytes, bool exec)
{
	char size[32];
	snprintf(size, sizeof(size), "size=%lld", (long long)bytes);
	const char *const options[] = {"nosuid", "nodev", "mode=1777", size, exec ? NULL : "noexec", NULL};
	add_mount(mounts, "tmpfs", "tmpfs", target, options);
}

static json_t *mounts_format(const struct container_spec *spec, const struct oci_machine *machine)
{
	static const char *const proc[] = {"nosuid", "noexec", "nodev", NULL};
	static const char *const dev[] = {"nosuid", "strictatime", "mode=755", "size=65536k", NULL};
	static const char *const pts[] = {"nosuid",	   "noexec",	"newinstance",
					  "ptmxmode=0666", "mode=0620", NULL};
	json_t *mounts = json_array();
	add_mount(mounts, "proc", "proc", "/proc", proc);
	add_mount(mounts, "tmpfs", "tmpfs", "/dev", dev);
	add_mount(mounts, "devpts", "devpts", "/dev/pts", pts);
	add_tmpfs(mounts, "/dev/shm", spec->limits.memory_bytes, false);
	add_tmpfs(mounts, "/tmp", spec->tmp_bytes > 0 ? spec->tmp_bytes : spec->limits.memory_bytes / 2,
		  true);
	for (size_t i = 0; i < machine->mount_count; i++)
		add_bind(mounts, &machine->mounts[i]);
	add_bind(mounts, &(struct container_mount){machine->init_path, CONTAINER_TOOLS "/init", false});
	for (size_t i = 0; i < spec->mount_count; i++)
		add_bind(mounts, &spec->mounts[i]);
	return mounts;
}

static json_t *resources_format(const struct container_spec *spec, const struct oci_machine *machine)
{
	int64_t quota = spec->limits.cpu_milli * CPU_PERIOD_USEC / 1000,
		shares = spec->limits.cpu_milli * 1024 / 1000;
	if (quota < CPU_QUOTA_MIN_USEC)
		quota = CPU_QUOTA_MIN_USEC;
	shares = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
	json_t *memory = json_pack("{s:I}", "limit", (json_int_t)spec->limits.memory_bytes);
	if (machine->swap_limit)
		/* Equal to the limit: no swap. */
		json_object_set_new(memory, "swap", json_integer(spec->limits.memory_bytes));
	json_t *r = json_pack("{s:[{s:b, s:s}], s:o, s:{s:I, s:I, s:I}, s:{s:I}}", "devices", "allow", 0,
			      "access", "rwm", "memory", memory, "cpu", "quota", (json_int_t)quota, "period",
			      (json_int_t)CPU_PERIOD_USEC, "shares", (json_int_t)shares, "pids", "limit",
			      (json_int_t)spec->max_processes);
	if (machine->runtime->cgroup == CGROUP_V2)
		json_object_set_new(r, "unified", json_pack("{s:s}", "memory.oom.group", "1"));
	return r;
}

static json_t *id_mapping(uid_t base)
{
	return json_pack("[{s:i, s:I, s:i}]", "containerID", 0, "hostID", (json_int_t)base, "size",
			 CONTAINER_UID_COUNT);
}

static json_t *linux_format(const struct container_spec *spec, const struct oci_machine *machine)
{
	static const char *const masked[] = {"/proc/acpi",	  "/proc/asound",	 "/proc/kcore",
					     "/proc/keys",	  "/proc/latency_stats", "/proc/timer_list",
					     "/proc/timer_stats", "/proc/sched_debug",	 "/proc/scsi",
					     "/proc/config.gz",	  "/proc/kallsyms",	 NULL};
	static const char *const readonly[] = {"/proc/bus",	      "/proc/fs", "/proc/irq", "/proc/sys",
					       "/proc/sysrq-trigger", NULL};
	/* No network namespace: the runtime is started inside the one that the container shall have. */
	static const char *const kinds[] = {"pid", "mount", "ipc", "uts", "user", "cgroup", NULL};
	struct cgroup_tree tree = {machine->runtime->cgroup, CGROUP_ROOT};
	char cgroup[256];
	cgroup_oci_path(&tree, spec->name, cgroup, sizeof(cgroup));
	json_t *namespaces = json_array();
	for (size_t i = 0; kinds[i]; i++)
		json_array_append_new(namespaces, json_pack("{s:s}", "type", kinds[i]));
	return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:s}", "namespaces", namespaces,
			 "uidMappings", id_mapping(spec->uid_base), "gidMappings", id_mapping(spec->uid_base),
			 "cgroupsPath", cgroup, "resources", resources_format(spec, machine), "maskedPaths",
			 strings(masked), "readonlyPaths", strings(readonly), "seccomp", seccomp_format(),
			 "rootfsPropagation", "private");
}

static json_t *process_format(const struct container_spec *spec)
{
	/* No rlimits and no oomScoreAdj: a root without CAP_SYS_RESOURCE cannot set them. */
	return json_pack("{s:b, s:{s:i, s:i}, s:[s, s], s:o, s:s, s:b, s:{s:[], s:[], s:[], s:[], s:[]}}",
			 "terminal", 0, "user", "uid", CONTAINER_UID, "gid", CONTAINER_UID, "args",
			 CONTAINER_TOOLS "/init", CONTAINER_TOOLS "/plan", "env",
			 json_from_strings(spec->env), "cwd", "/", "noNewPrivileges", 1, "capabilities",
			 "bounding", "effective", "inheritable", "permitted", "ambient");
}

json_t *oci_config_format(const struct container_spec *spec, const struct oci_machine *machine)
{
	char host[64];
	snprintf(host, sizeof(host), "%.63s", spec->hostname ? spec->hostname : spec->name);
	return json_pack("{s:s, s:o, s:{s:s, s:b}, s:s, s:o, s:o}", "ociVersion", "1.0.2", "process",
			 process_format(spec), "root", "path", CONTAINER_ROOT, "readonly", 1, "hostname",
			 host, "mounts", mounts_format(spec, machine), "linux", linux_format(spec, machine));
}
