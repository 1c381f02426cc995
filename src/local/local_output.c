/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs of jobs that run: what has settled in their folder is saved meanwhile, so that little is left to be
 * saved at the end. Failures are the last pass's affair, which tries again and says so. */
#include <fcntl.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/local_int.h"
#include "local/store_copy.h"

#define SETTLED_MS 5000
#define SHARE 20 /* a pass takes at most this part of the time */

/* The first task's output is the job's; those of others lie beside it, so that none overwrites another's. */
char *local_output_prefix(const struct local_task *t)
{
	if (t->spec.kind == TASK_MODEL)
		return mem_printf("models/%s/output", t->spec.owner);
	if (t->spec.index == 0)
		return mem_printf("jobs/%s/output", t->spec.owner);
	return mem_printf("jobs/%s/output/task-%lld", t->spec.owner, (long long)t->spec.index);
}

static int save(struct local_task *t, struct err *err)
{
	struct blob_store *store = t->local->config.blobs;
	const struct store_place at = {store, t->spec.org, t->spec.org};
	const struct store_put_how how = {.seen = t->seen, .settled_ms = SETTLED_MS};
	struct store_put_stats stats;
	CLEANUP(fd) int folder_fd = local_task_open(t, err);
	if (folder_fd < 0)
		return folder_fd;
	if (!folder_has(folder_fd, FOLDER_OUTPUT))
		return 0;
	CLEANUP(fd) int output_fd = path_open(folder_fd, FOLDER_OUTPUT, O_RDONLY | O_DIRECTORY, 0, err);
	if (output_fd < 0)
		return output_fd;
	CLEANUP(free) char *prefix = local_output_prefix(t);
	return store_put_tree(&at, prefix, output_fd, &how, &stats, err);
}

static void save_work(void *arg)
{
	struct local_task *t = arg;
	struct err err = ERR_INIT;
	int64_t began_ms = clock_monotonic_ms(&clock_real);
	if (save(t, &err) < 0)
		log_debug("task.output task=%s error=\"%s\"", t->name, err.msg);
	t->save_took_ms = clock_monotonic_ms(&clock_real) - began_ms;
}

static void save_done(void *arg)
{
	struct local_task *t = arg;
	if (!local_task_work_done(t))
		return;
	t->is_saving = false;
	t->save_after_ms = clock_monotonic_ms(&clock_real) + SHARE * t->save_took_ms;
	if (t->collect_waits)
		local_collect(t);
}

void local_output_look(struct local_task *t)
{
	bool runs = t->step == STEP_WATCH && t->status.phase >= TASK_RUNNING;
	if (!runs || t->is_saving || t->spec.kind != TASK_JOB || !t->spec.org[0] || !t->spec.owner[0] ||
	    clock_monotonic_ms(&clock_real) < t->save_after_ms)
		return;
	if (!t->seen)
		t->seen = store_seen_new();
	t->is_saving = true;
	local_task_work(t, save_work, save_done);
}
