/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about organisations. */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "ctl/ctl_admin_int.h"

static int get_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct org o;
	int r = store_org_get(tx, a->who.org, &o, err);
	if (r >= 0)
		admin_answer_org(a, &o);
	return r;
}

static int replay_own(struct store_tx *tx, struct admin_call *a, const char *id, struct err *err)
{
	return get_run(tx, a, err);
}

static void keep_apply(struct ctl *c, struct admin_call *a)
{
	auth_keep_org(c, &a->answer.orgs.items[0]);
}

/* ---- create ---- */

static int create_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct org o = {.created_ms = a->now_ms};
	int64_t count = 0;
	quota_init(&o.quota);
	int r = core_name_check("organisation", a->name, err);
	if (r >= 0)
		r = store_org_count(tx, &count, err);
	if (r >= 0 && count >= CTL_ORGS_MAX)
		r = err_set(err, ERR_QUOTA, "there are %d organisations already; delete some", CTL_ORGS_MAX);
	if (r >= 0)
		r = store_org_insert(tx, a->name, a->now_ms, err);
	memcpy(o.name, a->name, sizeof(o.name));
	memcpy(o.description, a->text, sizeof(o.description));
	if (r >= 0)
		r = store_org_update(tx, &o, err);
	if (r < 0)
		return r;
	admin_answer_org(a, &o);
	return admin_say(a, "organisation %s created", o.name);
}

static int create_replay(struct store_tx *tx, struct admin_call *a, const char *id, struct err *err)
{
	struct org o;
	int r = store_org_get(tx, a->name, &o, err);
	if (r >= 0)
		admin_answer_org(a, &o);
	return r;
}

/* ---- list ---- */

static int list_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	if (!a->who.is_platform)
		return get_run(tx, a, err);
	return store_org_list(tx, a->request.after, (size_t)a->request.limit, &a->answer.orgs, err);
}

/* ---- update ---- */

static int update_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct org o;
	int r = store_org_get(tx, a->who.org, &o, err);
	if (r < 0)
		return r;
	if (!a->request.text)
		return err_set(err, ERR_INVALID, "nothing to change; give 'description'");
	memcpy(o.description, a->text, sizeof(o.description));
	r = store_org_update(tx, &o, err);
	if (r < 0)
		return r;
	admin_answer_org(a, &o);
	return admin_say(a, "description set");
}

/* ---- delete ---- */

static int check_empty(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	int64_t jobs = 0, crons = 0;
	int r = store_org_jobs(tx, a->who.org, &jobs, err);
	if (r >= 0)
		r = store_org_crons(tx, a->who.org, &crons, err);
	if (r < 0 || a->request.force || (!jobs && !crons && !a->models && !a->request.has_objects))
		return r < 0 ? r : 0;
	return err_set(
	    err, ERR_STATE,
	    "organisation '%s' is not empty: it has %lld jobs (%lld of them live), %lld crons, %lld "
	    "models%s; with force all of it goes, with users, keys and accounting, and cannot come back",
	    a->who.org, (long long)jobs, (long long)a->live_jobs, (long long)crons, (long long)a->models,
	    a->request.has_objects ? " and objects in the store" : "");
}

static int delete_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct org o;
	int r = store_org_get(tx, a->who.org, &o, err);
	if (r >= 0 && strcmp(a->who.org, principal_home(&a->who)) == 0)
		r = err_set(err, ERR_STATE, "organisation '%s' is your own; it cannot be deleted from within",
			    o.name);
	if (r >= 0 && o.state != ORG_DELETING)
		r = check_empty(tx, a, err);
	if (r < 0)
		return r;
	o.state = ORG_DELETING;
	memcpy(o.state_by, a->event.actor, sizeof(o.state_by));
	r = store_org_update(tx, &o, err);
	if (r < 0)
		return r;
	admin_answer_org(a, &o);
	return admin_say(a, "organisation %s is being deleted with %lld live jobs and %lld models", o.name,
			 (long long)a->live_jobs, (long long)a->models);
}

/* Nobody of it is admitted from here on. */
static void delete_apply(struct ctl *c, struct admin_call *a)
{
	auth_keep_org(c, &a->answer.orgs.items[0]);
	auth_changed(c);
	purge_begin(c, &a->answer.orgs.items[0]);
}

/* It may be gone by now; that is what was asked for. */
static int delete_replay(struct store_tx *tx, struct admin_call *a, const char *id, struct err *err)
{
	struct org o = {.state = ORG_DELETING};
	struct err gone = ERR_INIT;
	if (store_org_get(tx, a->who.org, &o, &gone) < 0)
		memcpy(o.name, a->who.org, sizeof(o.name));
	admin_answer_org(a, &o);
	return 0;
}

const struct admin_verb_rule admin_org_create = {"org_created", "org/", create_run, create_replay,
						 keep_apply};
const struct admin_verb_rule admin_org_list = {.run = list_run};
const struct admin_verb_rule admin_org_get = {.run = get_run};
const struct admin_verb_rule admin_org_update = {"org_updated", "org/", update_run, replay_own, keep_apply};
const struct admin_verb_rule admin_org_delete = {"org_deleted", "org/", delete_run, delete_replay,
						 delete_apply};
