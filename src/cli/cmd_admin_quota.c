/* SPDX-License-Identifier: Apache-2.0 */
/* quota commands and usage. */
#include <stdlib.h>
#include <string.h>
#include "base/unit.h"
#include "cli/admin.h"

/* ---- quota ---- */

static const char *const purposes[] = {"training", "models", "development"};
static const char *const limits[] = {"cpu", "memory", "gpu", "count"};

/* "held / most"; '-' for no limit. */
static void format_share(const json_t *used, const json_t *most, const char *field, char ret[80])
{
	double held = json_number_value(json_object_get(used, field));
	double limit = json_number_value(json_object_get(most, field));
	char a[32], b[32] = "-";
	if (!strcmp(field, "memory") || !strcmp(field, "bytes")) {
		unit_format_bytes((int64_t)held, a);
		if (limit >= 0)
			unit_format_bytes((int64_t)limit, b);
	} else {
		snprintf(a, sizeof(a), "%g", held);
		if (limit >= 0)
			snprintf(b, sizeof(b), "%g", limit);
	}
	snprintf(ret, 80, "%s / %s", a, b);
}

void admin_print_quotas(struct cli *c, const json_t *list)
{
	static const struct cli_column columns[] = {{"ORGANISATION", 0}, {"PURPOSE", 0}, {"CPU", 1},
						    {"MEMORY", 1},	 {"GPU", 1},	 {"TASKS", 1}};
	CLEANUP(json) json_t *rows = json_array();
	size_t i;
	const json_t *q;
	json_array_foreach(json_object_get(list, "data"), i, q)
	{
		for (size_t p = 0; p < ARRAY_LEN(purposes); p++) {
			const json_t *used = json_object_get(json_object_get(q, "used"), purposes[p]);
			const json_t *most = json_object_get(json_object_get(q, "quota"), purposes[p]);
			json_t *row = json_pack("[s, s]", cli_str(q, "org"), purposes[p]);
			for (size_t k = 0; k < ARRAY_LEN(limits); k++) {
				char text[80];
				format_share(used, most, limits[k], text);
				json_array_append_new(row, json_string(text));
			}
			json_array_append_new(rows, row);
		}
	}
	cli_print_table(c, columns, ARRAY_LEN(columns), rows);
}

static void print_rest(struct cli *c, const json_t *q)
{
	const json_t *quota = json_object_get(q, "quota");
	bool borrow = json_is_true(json_object_get(quota, "borrow"));
	printf("\n%s; weight %lld in the fair share\n",
	       borrow ? "may borrow beyond it while nobody who is owed waits" : "may not borrow beyond it",
	       (long long)cli_int(quota, "weight"));
	printf("one user: %lld jobs at the same time, %lld unfinished (-1 = no limit)\n",
	       (long long)cli_int(quota, "user_running"), (long long)cli_int(quota, "user_queued"));
	const json_t *used = json_object_get(json_object_get(q, "used"), "storage");
	const json_t *most = json_object_get(quota, "storage");
	char bytes[80], objects[80];
	format_share(used, most, "bytes", bytes);
	format_share(used, most, "objects", objects);
	printf("store: %s, objects %s\n", bytes, objects);
	if (*cli_str(q, "warning"))
		cli_note(c, "note: %s", cli_str(q, "warning"));
}

static void print_one(struct cli *c, json_t *q)
{
	CLEANUP(json) json_t *list = json_pack("{s:[O]}", "data", q);
	admin_print_quotas(c, list);
	print_rest(c, q);
}

int cmd_quota_get(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *q = NULL;
	CLEANUP(free) char *path = admin_path(a, "/quota", NULL);
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", path, NULL, NULL, &q, err);
	if (r >= 0 && c->json)
		cli_print_json(q);
	else if (r >= 0)
		print_one(c, q);
	return r;
}

int cmd_quota_list(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *list = NULL;
	int r = admin_list(c, "/api/v1/quotas", "after", SIZE_MAX, &list, err);
	if (r >= 0 && c->json)
		cli_print_json(list);
	else if (r >= 0)
		admin_print_quotas(c, list);
	return r;
}

static int put_number(json_t *body, const struct cli_args *a, const char *option, const char *field,
		      struct err *err)
{
	const char *value = cli_opt(a, option);
	char *end = NULL;
	if (!value)
		return 0;
	long long number = strtoll(value, &end, 10);
	if (!*value || *end)
		return err_set(err, ERR_INVALID, "--%s '%s' is not a whole number", option, value);
	json_object_set_new(body, field, json_integer(number));
	return 0;
}

int cmd_quota_set(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const char *const numbers[][2] = {
	    {"weight", "weight"}, {"user-running", "user_running"}, {"user-queued", "user_queued"}};
	CLEANUP(json) json_t *answer = NULL, *body = json_object();
	CLEANUP(json) json_t *share = json_object(), *storage = json_object();
	CLEANUP(free) char *path = admin_path(a, "/quota", NULL);
	const char *purpose = cli_opt(a, "purpose");
	int r = admin_put_flag(body, a, "borrow", "borrow", err);
	for (size_t i = 0; i < ARRAY_LEN(numbers) && r >= 0; i++)
		r = put_number(body, a, numbers[i][0], numbers[i][1], err);
	admin_put(share, a, "cpu", "cpu");
	admin_put(share, a, "memory", "memory");
	for (size_t i = 2; i < ARRAY_LEN(limits) && r >= 0; i++)
		r = put_number(share, a, limits[i], limits[i], err);
	admin_put(storage, a, "storage", "bytes");
	if (r >= 0)
		r = put_number(storage, a, "objects", "objects", err);
	if (json_object_size(storage))
		json_object_set(body, "storage", storage);
	if (json_object_size(share))
		json_object_set(body, purpose ? purpose : "training", share);
	if (r >= 0 && !json_object_size(body))
		r = err_set(err, ERR_INVALID, "nothing to change; see 'cloudml quota set --help'");
	c->changed = json_array();
	if (r >= 0)
		r = admin_change(c, "PATCH", path, body, &answer, err);
	if (r < 0)
		return r;
	cli_changed(c, json_incref(answer), "changed the quota of %s", cli_str(answer, "org"));
	if (!c->json)
		print_one(c, answer);
	return 0;
}

/* ---- usage ---- */

static const struct admin_column usage_columns[] = {
    {{"ORGANISATION", 0}, "org", SHOW_TEXT},
    {{"DAY", 0}, "day", SHOW_TEXT},
    {{"USER", 0}, "user", SHOW_TEXT},
    {{"ID", 0}, "id", SHOW_TEXT},
    {{"NAME", 0}, "name", SHOW_TEXT},
    {{"CPU HOURS", 1}, "cpu_hours", SHOW_HOURS},
    {{"MEMORY GIB HOURS", 1}, "memory_gib_hours", SHOW_HOURS},
    {{"GPU HOURS", 1}, "gpu_hours", SHOW_HOURS},
    {{"ENDED", 1}, "attempts", SHOW_COUNT},
    {{"RUNNING", 1}, "running", SHOW_COUNT},
};

/* RFC 4180: names and ids hold nothing that would need quotes. */
static void print_csv(const json_t *list)
{
	size_t i;
	const json_t *row;
	for (size_t k = 0; k < ARRAY_LEN(usage_columns); k++)
		printf("%s%s", k ? "," : "", usage_columns[k].field);
	puts("");
	json_array_foreach(json_object_get(list, "data"), i, row)
	{
		for (size_t k = 0; k < ARRAY_LEN(usage_columns); k++) {
			const json_t *value = json_object_get(row, usage_columns[k].field);
			fputs(k ? "," : "", stdout);
			if (json_is_real(value))
				printf("%.9g", json_real_value(value));
			else if (json_is_integer(value))
				printf("%lld", (long long)json_integer_value(value));
			else
				cli_print_safe(stdout, cli_str(row, usage_columns[k].field));
		}
		puts("");
	}
}

/* Columns of which some row has something. */
static void print_usage(struct cli *c, const json_t *list)
{
	struct admin_column shown[ARRAY_LEN(usage_columns)];
	size_t count = 0, i;
	const json_t *row;
	for (size_t k = 0; k < ARRAY_LEN(usage_columns); k++) {
		bool any = usage_columns[k].kind != SHOW_TEXT;
		json_array_foreach(json_object_get(list, "data"), i, row) any |=
		    *cli_str(row, usage_columns[k].field) != 0;
		if (any)
			shown[count++] = usage_columns[k];
	}
	admin_print(c, list, shown, count, "nothing was used in these days");
}

static void add_query(struct buf *path, const struct cli_args *a, const char *name)
{
	if (!cli_opt(a, name))
		return;
	CLEANUP(free) char *value = client_escape(cli_opt(a, name), false);
	buf_printf(path, "%c%s=%s", strchr(buf_str(path), '?') ? '&' : '?', name, value);
}

int cmd_usage(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const char *const filters[] = {"user", "job", "since", "until", "by"};
	CLEANUP(json) json_t *list = NULL;
	CLEANUP(buf) struct buf path = BUF_INIT;
	CLEANUP(free) char *own = admin_path(a, "/usage", NULL);
	buf_adds(&path, cli_opt(a, "all") ? "/api/v1/usage" : own);
	for (size_t i = 0; i < ARRAY_LEN(filters); i++)
		add_query(&path, a, filters[i]);
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", buf_str(&path), NULL, NULL, &list, err);
	if (r < 0)
		return r;
	if (c->json)
		cli_print_json(list);
	else if (cli_opt(a, "csv"))
		print_csv(list);
	else
		print_usage(c, list);
	if (json_is_true(json_object_get(list, "next")))
		cli_note(c, "older attempts were left out; ask for fewer days, or by user or day");
	return 0;
}
