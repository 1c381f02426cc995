/* SPDX-License-Identifier: Apache-2.0 */
/* Accounting: what was held, for how long. */
#include "api/api_admin.h"

#include <string.h>

#define USUAL_DAYS 30

static int parse_by(const char *word, bool all, struct admin_request *q, struct err *err)
{
	static const struct {
		const char *word;
		enum usage_by by;
		bool all;
	} words[] = {{"org", USAGE_BY_NOTHING, true},
		     {"day", USAGE_BY_DAY, true},
		     {"user", USAGE_BY_USER, true},
		     {"job", USAGE_BY_JOB, false}};
	for (size_t i = 0; word && i < ARRAY_LEN(words); i++) {
		if (!strcmp(word, words[i].word) && (!all || words[i].all)) {
			q->by = words[i].by;
			return 0;
		}
	}
	return word ? err_set(err, ERR_INVALID, "by '%.32s' is unknown; use org, day, user%s", word,
			      all ? "" : " or job")
		    : 0;
}

static int read_query(struct http_exchange *x, bool all, struct admin_request *q, struct err *err)
{
	const struct api *a = x->app;
	const char *since = http_query(x, "since"), *until = http_query(x, "until");
	int r = 0;
	q->last_day = usage_day(clock_wall_ms(a->config.clock));
	if (until)
		r = usage_parse_day("until", until, &q->last_day, err);
	q->first_day = q->last_day - USUAL_DAYS + 1;
	if (r == 0 && since)
		r = usage_parse_day("since", since, &q->first_day, err);
	return r == 0 ? parse_by(http_query(x, "by"), all, q, err) : r;
}

static void get_usage(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_USAGE);
	read_query(x, false, &q, &err);
	q.user = http_query(x, "user");
	q.job = http_query(x, "job");
	api_admin_call(x, &q, &err);
}

static void get_all_usage(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	struct admin_request q = ADMIN_REQUEST(ADMIN_USAGE_ALL);
	read_query(x, true, &q, &err);
	api_admin_call(x, &q, &err);
}

static const struct http_param all_params[] = {{"since", "string", "first day, 2026-01-31; default 30 days"},
					       {"until", "string", "last day; default today (UTC)"},
					       {"by", "string", "org (default), day, user: one row for each"},
					       {NULL}};
static const struct http_param usage_params[] = {
    {"since", "string", "first day, 2026-01-31; default 30 days"},
    {"until", "string", "last day; default today (UTC)"},
    {"user", "string", "only this user's"},
    {"job", "string", "only this job or model, while its record is there"},
    {"by", "string", "org (default), day, user, job (the 1000 newest attempts): one row for each"},
    {NULL}};

const struct http_route api_usage_routes[] = {
    {"GET", "/api/v1/usage", HTTP_PLATFORM, HTTP_BODY_NONE, 0, get_all_usage, "usage",
     "CPU-, memory- and GPU-hours of all organisations", all_params, NULL, "UsageList", 200, 1000},
    {"GET", "/api/v1/orgs/{org}/usage", HTTP_VIEWER | HTTP_OF_ORG, HTTP_BODY_NONE, 0, get_usage, "usage",
     "CPU-, memory- and GPU-hours of an organisation", usage_params, NULL, "UsageList", 200, 100},
    {.method = NULL},
};
