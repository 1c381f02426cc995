/* SPDX-License-Identifier: Apache-2.0 */
/* store lifecycle. */
#include <stdlib.h>
#include <string.h>
#include "base/unit.h"
#include "cli/store.h"

static void print_rules(struct cli *c, const json_t *rules)
{
	static const struct cli_column columns[] = {
	    {"PREFIX", 0}, {"EXPIRE", 1}, {"OLD VERSIONS", 1}, {"UPLOADS", 1}, {"KEEP LAST", 1}};
	CLEANUP(json) json_t *rows = json_array();
	size_t i;
	const json_t *rule;
	if (!json_array_size(rules))
		cli_note(c, "there are no rules");
	json_array_foreach(rules, i, rule)
	{
		static const char *const periods[] = {"expire", "noncurrent", "abort_uploads"};
		char times[3][32] = {"-", "-", "-"}, keep[32] = "-";
		const char *prefix = cli_str(rule, "prefix");
		for (size_t k = 0; k < ARRAY_LEN(periods); k++)
			if (cli_int(rule, periods[k]))
				unit_format_duration(cli_int(rule, periods[k]) * 1000, times[k]);
		if (cli_int(rule, "keep_last"))
			snprintf(keep, sizeof(keep), "%lld", (long long)cli_int(rule, "keep_last"));
		json_array_append_new(rows, json_pack("[s,s,s,s,s]", *prefix ? prefix : "(all)", times[0],
						      times[1], times[2], keep));
	}
	if (json_array_size(rows))
		cli_print_table(c, columns, ARRAY_LEN(columns), rows);
}

/* The rules there are without the one for the prefix. */
static json_t *rules_without(const json_t *bucket, const char *prefix, bool *ret_found)
{
	json_t *rules = json_array(), *rule;
	size_t i;
	*ret_found = false;
	json_array_foreach(json_object_get(bucket, "lifecycle"), i, rule)
	{
		if (strcmp(cli_str(rule, "prefix"), prefix))
			json_array_append(rules, rule);
		else
			*ret_found = true;
	}
	return rules;
}

static int make_rule(const struct cli_args *a, const char *prefix, json_t **ret, struct err *err)
{
	const char *keep = cli_opt(a, "keep-last");
	CLEANUP(json) json_t *rule = json_pack("{s:s}", "prefix", prefix);
	static const char *const periods[][2] = {
	    {"expire", "expire"}, {"noncurrent", "noncurrent"}, {"abort-uploads", "abort_uploads"}};
	for (size_t i = 0; i < ARRAY_LEN(periods); i++)
		if (cli_opt(a, periods[i][0]))
			json_object_set_new(rule, periods[i][1], json_string(cli_opt(a, periods[i][0])));
	if (keep) {
		char *end = NULL;
		long long n = strtoll(keep, &end, 10);
		if (!*keep || *end)
			return err_set(err, ERR_INVALID, "--keep-last '%s' is not a whole number", keep);
		json_object_set_new(rule, "keep_last", json_integer(n));
	}
	*ret = STEAL(rule);
	return 0;
}

int cmd_store_lifecycle(struct cli *c, const struct cli_args *a, struct err *err)
{
	const char *verb = a->positional[0], *prefix = cli_opt(a, "prefix") ? cli_opt(a, "prefix") : "";
	CLEANUP(free) char *path = store_route("store-buckets", a->positional[1], "", NULL);
	CLEANUP(json) json_t *bucket = NULL, *rule = NULL, *answer = NULL;
	bool sets = !strcmp(verb, "set"), found;
	int r = cli_connect(c, err);
	if (r >= 0 && !sets && strcmp(verb, "get") && strcmp(verb, "rm"))
		r = err_set(err, ERR_INVALID, "'%s' is not one of get, set and rm", verb);
	if (r >= 0)
		r = client_call(c->client, "GET", path, NULL, NULL, &bucket, err);
	if (r < 0)
		return r;
	if (!strcmp(verb, "get")) {
		if (c->json)
			cli_print_json(json_object_get(bucket, "lifecycle"));
		else
			print_rules(c, json_object_get(bucket, "lifecycle"));
		return 0;
	}
	CLEANUP(json) json_t *rules = rules_without(bucket, prefix, &found);
	if (sets)
		r = make_rule(a, prefix, &rule, err);
	else if (!found)
		r = err_set(err, ERR_NOT_FOUND, "bucket '%s' has no rule for the prefix '%s'",
			    a->positional[1], prefix);
	if (r >= 0 && rule)
		json_array_append(rules, rule);
	CLEANUP(json) json_t *body = json_pack("{s:O}", "lifecycle", rules);
	c->changed = json_array();
	if (r >= 0)
		r = client_call(c->client, "PATCH", path, body, NULL, &answer, err);
	if (r >= 0)
		cli_changed(c, json_incref(answer), "rules of fds://%s/ changed", a->positional[1]);
	if (r >= 0 && !c->json)
		print_rules(c, json_object_get(answer, "lifecycle"));
	return r;
}
