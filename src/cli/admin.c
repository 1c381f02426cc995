/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands of administration share: paths, pages, tables. */
#include "cli/admin.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *admin_path(const struct cli_args *a, const char *fmt, const char *name)
{
	const char *org = cli_opt(a, "org");
	CLEANUP(free) char *escaped_org = client_escape(org ? org : "-", false);
	CLEANUP(free) char *escaped = client_escape(name ? name : "", false);
	CLEANUP(buf) struct buf b = BUF_INIT;
	const char *hole = strstr(fmt, "%s");
	int head = (int)(hole ? hole - fmt : (ptrdiff_t)strlen(fmt));
	buf_printf(&b, "/api/v1/orgs/%s%.*s%s%s", escaped_org, head, fmt, hole ? escaped : "",
		   hole ? hole + 2 : "");
	return buf_steal(&b);
}

int admin_change(struct cli *c, const char *method, const char *path, const json_t *body, json_t **ret,
		 struct err *err)
{
	char key[33];
	cli_new_key(key);
	int r = cli_connect(c, err);
	return r < 0 ? r : client_call(c->client, method, path, body, key, ret, err);
}

int admin_list(struct cli *c, const char *path, const char *cursor, size_t most, json_t **ret,
	       struct err *err)
{
	CLEANUP(json) json_t *all = json_array();
	CLEANUP(free) char *next = NULL;
	int r = cli_connect(c, err);
	while (r >= 0 && json_array_size(all) < most) {
		CLEANUP(json) json_t *page = NULL;
		size_t left = most - json_array_size(all);
		CLEANUP(free) char *escaped = next ? client_escape(next, false) : NULL;
		CLEANUP(free)
		char *url = mem_printf("%s%climit=%zu%s%s%s%s", path, strchr(path, '?') ? '&' : '?',
				       left > 1000 ? (size_t)1000 : left, next ? "&" : "", next ? cursor : "",
				       next ? "=" : "", next ? escaped : "");
		r = client_call(c->client, "GET", url, NULL, NULL, &page, err);
		if (r < 0)
			return r;
		json_array_extend(all, json_object_get(page, "data"));
		const json_t *n = json_object_get(page, "next");
		free(next);
		next = json_is_string(n)    ? mem_strdup(json_string_value(n))
		       : json_is_integer(n) ? mem_printf("%lld", (long long)json_integer_value(n))
					    : NULL;
		if (!next)
			break;
	}
	if (r >= 0)
		*ret = json_pack("{s:O}", "data", all);
	return r;
}

static json_t *show(const json_t *row, const struct admin_column *column)
{
	const json_t *value = json_object_get(row, column->field);
	char text[64] = "";
	switch (column->kind) {
	case SHOW_TEXT:
		return json_string(cli_str(row, column->field));
	case SHOW_FLAG:
		return json_string(json_is_true(value) ? "yes" : "");
	case SHOW_TIME:
	case SHOW_EXPIRY:
		if (json_integer_value(value))
			cli_format_time(json_integer_value(value), text);
		else
			snprintf(text, sizeof(text), "%s", column->kind == SHOW_EXPIRY ? "never" : "-");
		break;
	case SHOW_HOURS:
		snprintf(text, sizeof(text), "%.3f", json_number_value(value));
		break;
	case SHOW_COUNT:
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
		break;
	}
	return json_string(text);
}

void admin_print(struct cli *c, const json_t *list, const struct admin_column *columns, size_t count,
		 const char *none)
{
	CLEANUP(json) json_t *rows = json_array();
	struct cli_column heads[16];
	size_t i;
	const json_t *item;
	if (c->json) {
		cli_print_json(list);
		return;
	}
	for (size_t k = 0; k < count; k++)
		heads[k] = columns[k].column;
	json_array_foreach(json_object_get(list, "data"), i, item)
	{
		json_t *row = json_array();
		for (size_t k = 0; k < count; k++)
			json_array_append_new(row, show(item, &columns[k]));
		json_array_append_new(rows, row);
	}
	if (json_array_size(rows))
		cli_print_table(c, heads, count, rows);
	else
		cli_note(c, "%s", none);
}

void admin_put(json_t *body, const struct cli_args *a, const char *option, const char *field)
{
	if (cli_opt(a, option))
		json_object_set_new(body, field, json_string(cli_opt(a, option)));
}

int admin_put_flag(json_t *body, const struct cli_args *a, const char *option, const char *field,
		   struct err *err)
{
	const char *value = cli_opt(a, option);
	if (!value)
		return 0;
	if (strcmp(value, "yes") && strcmp(value, "no"))
		return err_set(err, ERR_INVALID, "--%s takes yes or no, not '%s'", option, value);
	json_object_set_new(body, field, json_boolean(!strcmp(value, "yes")));
	return 0;
}

bool admin_confirmed(const struct cli *c, const char *question)
{
	char answer[8] = "";
	if (c->yes || !isatty(0) || !c->tty_err)
		return c->yes;
	cli_print_safe(stderr, question);
	fputs(" [y/N] ", stderr);
	return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}
