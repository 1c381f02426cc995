/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about quotas. They are rows of the organisation; the scheduler goes by a table in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/unit.h"
#include "ctl/ctl_admin_int.h"

/* ---- what is held beyond it ---- */

static void warn(struct admin_quota *q, enum purpose p, const char *what, const char *held, const char *most)
{
	size_t len = strlen(q->warning);
	snprintf(q->warning + len, sizeof(q->warning) - len, "%s%s holds %s%s, its quota is %s",
		 len ? "; " : "", purpose_word(p), held, what, most);
}

static void warn_purpose(struct admin_quota *q, enum purpose p)
{
	const struct quota_limit *most = &q->quota.purposes[p], *held = &q->used[p];
	char a[32], b[32];
	if (most->most.cpu_milli >= 0 && held->most.cpu_milli > most->most.cpu_milli) {
		unit_format_cpu(held->most.cpu_milli, a);
		unit_format_cpu(most->most.cpu_milli, b);
		warn(q, p, " cores", a, b);
	}
	if (most->most.memory_bytes >= 0 && held->most.memory_bytes > most->most.memory_bytes) {
		unit_format_bytes(held->most.memory_bytes, a);
		unit_format_bytes(most->most.memory_bytes, b);
		warn(q, p, " memory", a, b);
	}
	snprintf(a, sizeof(a), "%lld", (long long)held->most.gpu);
	snprintf(b, sizeof(b), "%lld", (long long)most->most.gpu);
	if (most->most.gpu >= 0 && held->most.gpu > most->most.gpu)
		warn(q, p, " GPUs", a, b);
	snprintf(a, sizeof(a), "%lld", (long long)held->count);
	snprintf(b, sizeof(b), "%lld", (long long)most->count);
	if (most->count >= 0 && held->count > most->count)
		warn(q, p, " tasks", a, b);
}

static void warn_all(struct admin_quota *q)
{
	for (int p = 0; p < PURPOSE_COUNT; p++)
		warn_purpose(q, (enum purpose)p);
	size_t len = strlen(q->warning);
	if (len)
		snprintf(q->warning + len, sizeof(q->warning) - len, "; nothing is stopped for that, but %s",
			 q->quota.borrow ? "what is beyond counts as borrowed and gives way to others"
					 : "nothing new starts until enough has ended");
}

static void warn_storage(struct admin_quota *q)
{
	const struct quota_storage *most = &q->quota.storage, *held = &q->stored;
	bool is_full = most->bytes >= 0 && held->bytes > most->bytes;
	size_t len = strlen(q->warning);
	if (!is_full && (most->objects < 0 || held->objects <= most->objects))
		return;
	snprintf(
	    q->warning + len, sizeof(q->warning) - len,
	    "%sthe store holds more %s than the quota of storage: nothing is removed for that, but nothing "
	    "more is taken",
	    len ? "; " : "", is_full ? "bytes" : "objects");
}

/* ---- the verbs ---- */

static void show(struct ctl *c, struct admin_call *a)
{
	const struct store_orgs *orgs = &a->answer.orgs;
	a->answer.quotas = mem_alloc((orgs->count + 1) * sizeof(*a->answer.quotas));
	for (size_t i = 0; i < orgs->count; i++) {
		struct admin_quota *q = &a->answer.quotas[a->answer.quota_count++];
		struct quota in_memory;
		memcpy(q->org, orgs->items[i].name, sizeof(q->org));
		q->quota = orgs->items[i].quota;
		ctl_quota_get(c, q->org, &in_memory, q->used);
		if (c->config.storage_used)
			c->config.storage_used(c->config.storage_arg, q->org, &q->stored);
		warn_all(q);
		warn_storage(q);
	}
}

static int get_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct org o;
	int r = store_org_get(tx, a->who.org, &o, err);
	if (r >= 0)
		admin_answer_org(a, &o);
	return r;
}

static int list_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	if (!a->who.is_platform)
		return get_run(tx, a, err);
	return store_org_list(tx, a->request.after, (size_t)a->request.limit, &a->answer.orgs, err);
}

static int set_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct org o;
	int r = store_org_get(tx, a->who.org, &o, err);
	if (r >= 0)
		r = quota_parse(a->quota, &o.quota, err);
	if (r >= 0)
		r = store_org_set_quota(tx, &o, err);
	if (r < 0)
		return r;
	admin_answer_org(a, &o);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write(a->quota, &text);
	return admin_say(a, "quota changed: %.440s", buf_str(&text));
}

static int set_replay(struct store_tx *tx, struct admin_call *a, const char *id, struct err *err)
{
	return get_run(tx, a, err);
}

static void set_apply(struct ctl *c, struct admin_call *a)
{
	auth_keep_org(c, &a->answer.orgs.items[0]);
}

const struct admin_verb_rule admin_quota_get = {.run = get_run, .show = show};
const struct admin_verb_rule admin_quota_list = {.run = list_run, .show = show};
const struct admin_verb_rule admin_quota_set = {"quota_set", "quota/", set_run, set_replay, set_apply, show};
