/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of administrators: the table of verbs and what all of them share. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "ctl/ctl_admin_int.h"

static const struct admin_verb_rule *const rules[ADMIN_VERB_COUNT] = {
    [ADMIN_ORG_CREATE] = &admin_org_create,
    [ADMIN_ORG_LIST] = &admin_org_list,
    [ADMIN_ORG_GET] = &admin_org_get,
    [ADMIN_ORG_UPDATE] = &admin_org_update,
    [ADMIN_ORG_DELETE] = &admin_org_delete,
    [ADMIN_USER_CREATE] = &admin_user_create,
    [ADMIN_USER_LIST] = &admin_user_list,
    [ADMIN_USER_GET] = &admin_user_get,
    [ADMIN_USER_UPDATE] = &admin_user_update,
    [ADMIN_USER_DELETE] = &admin_user_delete,
    [ADMIN_KEY_CREATE] = &admin_key_create,
    [ADMIN_KEY_LIST] = &admin_key_list,
    [ADMIN_KEY_REVOKE] = &admin_key_revoke,
    [ADMIN_KEY_ROTATE] = &admin_key_rotate,
    [ADMIN_AUDIT_LIST] = &admin_audit_list,
    [ADMIN_QUOTA_GET] = &admin_quota_get,
    [ADMIN_QUOTA_LIST] = &admin_quota_list,
    [ADMIN_QUOTA_SET] = &admin_quota_set,
    [ADMIN_USAGE] = &admin_usage,
    [ADMIN_USAGE_ALL] = &admin_usage_all,
};

/* ---- answers ---- */

void admin_answer_org(struct admin_call *a, const struct org *o)
{
	a->answer.orgs.items = mem_realloc(a->answer.orgs.items, sizeof(*o));
	a->answer.orgs.items[0] = *o;
	a->answer.orgs.count = 1;
}

void admin_answer_user(struct admin_call *a, const struct user *u)
{
	a->answer.users.items = mem_realloc(a->answer.users.items, sizeof(*u));
	a->answer.users.items[0] = *u;
	a->answer.users.count = 1;
}

void admin_answer_key(struct admin_call *a, const struct key *k)
{
	a->answer.keys.items = mem_realloc(a->answer.keys.items, sizeof(*k));
	a->answer.keys.items[0] = *k;
	a->answer.keys.count = 1;
}

int admin_say(struct admin_call *a, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(a->event.message, sizeof(a->event.message), fmt, ap);
	va_end(ap);
	return 0;
}

static void answer(struct admin_call *a, const struct err *err)
{
	static const struct err none = ERR_INIT;
	static const struct admin_answer nothing = {0};
	ctl_admin_fn *done = STEAL(a->done);
	if (done)
		done(a->arg, err ? &nothing : &a->answer, err ? err : &none);
}

/* ---- who ---- */

bool admin_is_self(const struct admin_call *a, const char *user)
{
	return strcmp(principal_home(&a->who), a->who.org) == 0 && strcmp(a->who.user, user) == 0;
}

int admin_check_target(const struct admin_call *a, const struct user *target, struct err *err)
{
	if (!target->is_platform || a->who.is_platform || admin_is_self(a, target->name))
		return 0;
	return err_set(err, ERR_DENIED,
		       "user '%s' is a platform administrator; only another one may change that user or "
		       "their keys",
		       target->name);
}

/* ---- on the way ---- */

/* An organisation that the path named may not be there, or be on its way out. */
static int check_org(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct org o;
	bool changes = a->rule->reason != NULL && a->request.verb != ADMIN_ORG_CREATE &&
		       a->request.verb != ADMIN_ORG_DELETE;
	int r = store_org_get(tx, a->who.org, &o, err);
	if (r >= 0 && changes && o.state == ORG_DELETING)
		return err_set(err, ERR_STATE, "organisation '%s' is being deleted", o.name);
	return r;
}

static int note_change(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	const char *home = principal_home(&a->who);
	int r = store_audit_insert(tx, a->who.org, &a->event, err);
	/* What a platform administrator does elsewhere is also told at home: that outlives the other one. */
	if (r >= 0 && strcmp(home, a->who.org) != 0) {
		struct event there = a->event;
		snprintf(there.message, sizeof(there.message), "in %s: %.400s", a->who.org, a->event.message);
		r = store_audit_insert(tx, home, &there, err);
	}
	if (r >= 0 && a->has_key)
		r = store_idempotency_insert(tx, home, a->key, a->body_sha256, a->new_key.id, a->now_ms, err);
	return r;
}

static int admin_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct admin_call *a = CONTAINER_OF(op, struct admin_call, op);
	char id[16] = "";
	int r = 0;
	if (a->refusal.code) {
		*err = a->refusal;
		return -err->code;
	}
	if (a->has_key)
		r = store_idempotency_find(tx, principal_home(&a->who), a->key, a->body_sha256, a->now_ms, id,
					   err);
	if (r < 0)
		return r;
	if (r > 0) {
		a->answer.replayed = true;
		a->answer.token[0] = 0;
		r = a->rule->replay ? a->rule->replay(tx, a, id, err) : 0;
		return r != -ERR_NOT_FOUND
			   ? r
			   : err_set(err, ERR_CONFLICT,
				     "what the idempotency key '%s' made is gone; choose a new key", a->key);
	}
	r = check_org(tx, a, err);
	if (r >= 0)
		r = a->rule->run(tx, a, err);
	return r < 0 || !a->rule->reason ? r : note_change(tx, a, err);
}

static void admin_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct admin_call *a = CONTAINER_OF(op, struct admin_call, op);
	if (r < 0) {
		answer(a, err);
		return;
	}
	if (!a->answer.replayed && a->rule->reason) {
		log_info("admin.%s org=%s subject=%s actor=%s", a->rule->reason, a->who.org, a->event.subject,
			 a->event.actor);
		if (a->rule->apply)
			a->rule->apply(op->ctl, a);
	}
	if (a->rule->show)
		a->rule->show(op->ctl, a);
	answer(a, NULL);
}

static void admin_abandon(struct ctl_op *op, const struct err *err)
{
	answer(CONTAINER_OF(op, struct admin_call, op), err);
}

static void admin_release(struct ctl_op *op)
{
	struct admin_call *a = CONTAINER_OF(op, struct admin_call, op);
	store_orgs_done(&a->answer.orgs);
	store_users_done(&a->answer.users);
	store_keys_done(&a->answer.keys);
	store_events_done(&a->answer.events);
	usage_rows_done(&a->answer.usage);
	free(a->answer.quotas);
	json_decref(a->quota);
	explicit_bzero(a->answer.token, sizeof(a->answer.token));
	free(a);
}

/* ---- the call ---- */

static void take_text(struct admin_call *a, const char **text, char *ret, size_t cap, const char *what)
{
	if (!*text)
		return;
	if (strlen(*text) >= cap)
		err_set(&a->refusal, ERR_INVALID, "the %s '%.60s…' is too long; at most %zu bytes", what,
			*text, cap - 1);
	snprintf(ret, cap, "%s", *text);
	*text = ret;
}

static void take_request(struct admin_call *a, const struct admin_request *request)
{
	struct admin_request *q = &a->request;
	*q = *request;
	take_text(a, &q->name, a->name, sizeof(a->name), "name");
	take_text(a, &q->user, a->user, sizeof(a->user), "user");
	take_text(a, &q->after, a->after, sizeof(a->after), "name");
	take_text(a, &q->text, a->text, sizeof(a->text), "text");
	take_text(a, &q->job, a->job, sizeof(a->job), "name");
	a->quota = json_deep_copy(q->quota);
	if (q->text && !a->refusal.code)
		org_text_check("the text", q->text, &a->refusal);
	if (q->limit < 1 || q->limit > 1000)
		err_set(&a->refusal, ERR_INVALID, "limit %lld is out of range; use 1 to 1000",
			(long long)q->limit);
}

static void take_event(struct admin_call *a)
{
	struct event *e = &a->event;
	char actor[ACTOR_MAX + 1];
	principal_actor(&a->who, actor);
	*e = (struct event){.time_ms = a->now_ms};
	if (!a->rule->reason)
		return;
	const char *slash = strchr(a->rule->subject, '/');
	const char *name = a->new_key.id[0] && a->request.verb == ADMIN_KEY_CREATE ? a->new_key.id
			   : a->request.name					   ? a->request.name
										   : a->who.org;
	snprintf(e->subject, sizeof(e->subject), "%.*s%.*s", (int)(slash + 1 - a->rule->subject),
		 a->rule->subject, CORE_NAME_MAX, name);
	snprintf(e->type, sizeof(e->type), "Normal");
	snprintf(e->reason, sizeof(e->reason), "%s", a->rule->reason);
	snprintf(e->actor, sizeof(e->actor), "%s", actor);
}

static void take_counts(struct ctl *c, struct admin_call *a)
{
	struct ctl_status status;
	if (a->request.verb != ADMIN_ORG_DELETE)
		return;
	ctl_status(c, a->who.org, &status);
	for (int s = 0; s < JOB_STATE_COUNT; s++)
		a->live_jobs += job_state_is_terminal((enum job_state)s) ? 0 : status.jobs_by_state[s];
	a->models = service_count(c, a->who.org);
}

void ctl_admin(struct ctl *c, const struct principal *who, const struct admin_request *request,
	       const struct ctl_idempotency *idem, ctl_admin_fn *done, void *arg)
{
	struct admin_call *a = MEM_NEW(struct admin_call);
	a->op = (struct ctl_op){
	    .run = admin_run, .finish = admin_finish, .abandon = admin_abandon, .release = admin_release};
	a->rule = rules[request->verb];
	a->who = *who;
	a->done = done;
	a->arg = arg;
	a->now_ms = ctl_wall(c);
	take_request(a, request);
	if (request->verb == ADMIN_KEY_CREATE || request->verb == ADMIN_KEY_ROTATE)
		store_key_make(c->config.rng, &a->new_key, a->answer.token);
	take_event(a);
	take_counts(c, a);
	if (idem && idem->key && a->rule->reason) {
		a->has_key = true;
		/* One byte more than allowed is kept, so that the store refuses what is too long. */
		snprintf(a->key, sizeof(a->key), "%s", idem->key);
		snprintf(a->body_sha256, sizeof(a->body_sha256), "%s", idem->body_sha256);
	}
	ctl_op_submit(c, &a->op);
}

/* ---- the audit ---- */

static int audit_list_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	return store_audit_list(tx, a->who.org, a->request.before, a->request.limit, &a->answer.events, err);
}

const struct admin_verb_rule admin_audit_list = {.run = audit_list_run};
