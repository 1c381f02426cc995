/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a cron as JSON. */
#include "core/cron.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "core/field.h"
#include "core/spec_check.h"

static const char *const overlap_words[] = {"skip", "allow", "replace", NULL};
static const char *const missed_words[] = {"once", "drop", NULL};

static const struct field fields[] = {
    {.key = "name",
     .type = FIELD_CHARS,
     .offset = offsetof(struct cron, name),
     .cap = CORE_NAME_MAX + 1,
     .check = spec_check_name,
     .about = "Name, unique in the organisation."},
    {.key = "schedule",
     .type = FIELD_CHARS,
     .offset = offsetof(struct cron, schedule),
     .cap = CRON_SCHEDULE_MAX + 1,
     .about = "Minute, hour, day of month, month, day of week, in UTC: '0 3 * * mon-fri'."},
    {.key = "overlap",
     .type = FIELD_WORD,
     .offset = offsetof(struct cron, overlap),
     .words = overlap_words,
     .about = "While the job before still lives: 'skip' the tick, 'allow' both, or 'replace' the old one."},
    {.key = "missed",
     .type = FIELD_WORD,
     .offset = offsetof(struct cron, missed),
     .words = missed_words,
     .about = "Ticks that passed while no server ran: run 'once', or 'drop' them."},
    {.key = NULL}};

struct cron *cron_new(void)
{
	struct cron *c = MEM_NEW(struct cron);
	fields_init(fields, c);
	job_spec_init(&c->job);
	return c;
}

void cron_free(struct cron *c)
{
	if (!c)
		return;
	job_spec_done(&c->job);
	free(c);
}

int cron_parse(const json_t *j, struct cron *ret, struct err *err)
{
	struct cron_schedule schedule;
	if (!json_is_object(j))
		return err_set(err, ERR_INVALID, "cron is not a JSON object");
	CLEANUP(json) json_t *own = json_copy((json_t *)j);
	json_object_del(own, "job");
	int r = fields_parse(fields, "cron", own, ret, err);
	if (r >= 0 && (!ret->name[0] || !ret->schedule[0]))
		r = err_set(err, ERR_INVALID, "a cron needs a 'name', a 'schedule' and a 'job'");
	if (r >= 0)
		r = cron_schedule_parse(ret->schedule, &schedule, err);
	if (r < 0)
		return r;
	CLEANUP(json) json_t *job = json_copy(json_object_get(j, "job"));
	if (!json_is_object(job))
		return err_set(err, ERR_INVALID,
			       "a cron needs a 'job': the specification of what is submitted");
	if (!json_object_get(job, "name"))
		json_object_set_new(job, "name", json_string(ret->name));
	r = job_spec_parse(job, &ret->job, err);
	return r < 0 ? err_wrap(err, "job") : 0;
}

json_t *cron_spec_format(const struct cron *c)
{
	json_t *j = fields_format(fields, c);
	json_object_set_new(j, "job", job_spec_format(&c->job));
	return j;
}

json_t *cron_format(const struct cron *c)
{
	json_t *j =
	    json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "id", c->id, "org", c->org, "user",
		      c->user, "state", c->paused ? "paused" : "active", "seq", (json_int_t)c->seq, "version",
		      (json_int_t)c->version, "created_ms", (json_int_t)c->created_ms, "next_ms",
		      (json_int_t)(c->paused ? 0 : c->next_ms), "last_ms", (json_int_t)c->last_ms);
	CLEANUP(json) json_t *spec = cron_spec_format(c);
	json_object_set_new(j, "last_job", c->last_job[0] ? json_string(c->last_job) : json_null());
	json_object_update(j, spec);
	return j;
}

json_t *cron_spec_schema(void)
{
	json_t *schema = fields_schema(fields, "Cron");
	json_object_set_new(json_object_get(schema, "properties"), "job",
			    json_pack("{s:s}", "$ref", "#/components/schemas/JobSpec"));
	return schema;
}
