/* SPDX-License-Identifier: Apache-2.0 */
/* Cron: a job that is submitted again and again, by a text of five fields in UTC. */
#ifndef CORE_CRON_H
#define CORE_CRON_H

#include <jansson.h>
#include "core/job.h"

#define CRON_SCHEDULE_MAX 200 /* characters of the text */

/* Sets of values: bit n = the value n. */
struct cron_schedule {
	uint64_t minutes;
	uint32_t hours, days, months, weekdays;
	bool any_day, any_weekday; /* '*': then the other one decides alone; else either may match */
};
/* "minute hour day-of-month month day-of-week": numbers, names (jan, mon), lists, ranges, steps; also
 * @hourly,
 * @daily, @weekly, @monthly, @yearly. Sunday is 0 or 7. ERR_INVALID, also for what never fires. */
int cron_schedule_parse(const char *text, struct cron_schedule *ret, struct err *err);
/* First time it fires after that one, Unix time in ms; -1 = not within 40 years. */
int64_t cron_schedule_next(const struct cron_schedule *s, int64_t after_ms);

/* What happens at a tick while the job of the tick before still lives; and to ticks that passed while no
 * server ran. word, meaning */
enum cron_overlap { CRON_SKIP, CRON_ALLOW, CRON_REPLACE };
enum cron_missed { CRON_ONCE, CRON_DROP };

struct cron {
	char id[16]; /* "c" and 9 characters */
	char org[CORE_NAME_MAX + 1], user[CORE_NAME_MAX + 1];
	char name[CORE_NAME_MAX + 1]; /* unique in the organisation */
	char schedule[CRON_SCHEDULE_MAX + 1];
	int overlap, missed; /* enum cron_overlap, cron_missed */
	struct job_spec job;
	bool paused;
	int64_t seq, version, created_ms;
	int64_t next_ms;   /* the tick that comes; every tick is made durable with its job */
	int64_t last_ms;   /* the last tick; 0 = none yet */
	char last_job[16]; /* "" = none yet */
};
struct cron *cron_new(void);
void cron_free(struct cron *c);
/* {"name", "schedule", "overlap", "missed", "job": JobSpec} into a new one. ERR_INVALID. */
int cron_parse(const json_t *j, struct cron *ret, struct err *err);
json_t *cron_spec_format(const struct cron *c); /* the same back; returns owned */
json_t *cron_format(const struct cron *c);	/* the API's Cron; returns owned */
json_t *cron_spec_schema(void);			/* returns owned */

#endif
