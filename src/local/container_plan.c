/* SPDX-License-Identifier: Apache-2.0 */
/* Writer of the plan that cloudml-init reads. */
#include <string.h>
#include "base/json.h"
#include "local/container_int.h"

void container_fds_number(const struct container_spec *spec, enum cgroup_mode mode, struct container_fds *ret)
{
	int next = 3 + (int)spec->fd_count;
	bool v1 = mode != CGROUP_V2;
	ret->record = next++;
	ret->oom = v1 ? next++ : -1;
	ret->peak = v1 ? next++ : -1;
	ret->event = v1 ? next++ : -1;
	ret->gate = spec->network == NETWORK_EGRESS ? next++ : -1;
	ret->count = next - 3;
}

static void add_field(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text) + 1);
}

static void add_number(struct buf *b, const char *word, int64_t n)
{
	if (word)
		add_field(b, word);
	buf_printf(b, "%lld", (long long)n);
	buf_addc(b, 0);
}

static void add_descriptor(struct buf *b, const char *word, int fd)
{
	if (fd >= 0)
		add_number(b, word, fd);
}

void container_plan_format(const struct container_spec *spec, const struct container_fds *fds,
			   struct buf *ret)
{
	add_field(ret, "cloudml-init-plan");
	add_field(ret, "1");
	add_number(ret, "grace", spec->grace_ms);
	add_number(ret, "fds", (int64_t)spec->fd_count);
	add_descriptor(ret, "record", fds->record);
	add_descriptor(ret, "oom", fds->oom);
	add_descriptor(ret, "peak", fds->peak);
	add_descriptor(ret, "event", fds->event);
	add_descriptor(ret, "gate", fds->gate);
	for (size_t i = 0; i < spec->stage_count; i++) {
		const struct container_stage *s = &spec->stages[i];
		add_field(ret, "stage");
		add_field(ret, s->name);
		add_field(ret, s->always ? "1" : "0");
		add_field(ret, s->cwd ? s->cwd : "/");
		add_number(ret, NULL, (int64_t)strings_count(s->argv));
		for (char *const *arg = s->argv; *arg; arg++)
			add_field(ret, *arg);
	}
	add_field(ret, "end");
}
