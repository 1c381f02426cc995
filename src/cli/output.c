/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, JSON, colours and notes. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/unit.h"
#include "cli/cli_int.h"

void cli_print_json(const json_t *j)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	json_write_pretty(j, &b);
	fwrite(b.data, 1, b.len, stdout);
}

const char *cli_color(const struct cli *c, const char *word)
{
	static const struct {
		const char *word, *escape;
	} colors[] = {{"completed", "\033[32m"}, {"ready", "\033[32m"},	   {"ok", "\033[32m"},
		      {"running", "\033[36m"},	 {"starting", "\033[33m"}, {"queued", "\033[33m"},
		      {"submitted", "\033[33m"}, {"failed", "\033[31m"},   {"missing", "\033[31m"},
		      {"cancelled", "\033[35m"}, {"stopping", "\033[35m"}, {"dim", "\033[2m"},
		      {"bold", "\033[1m"}};
	for (size_t i = 0; c->color && i < ARRAY_LEN(colors); i++)
		if (!strcmp(colors[i].word, word))
			return colors[i].escape;
	return "";
}

const char *cli_color_end(const struct cli *c)
{
	return c->color ? "\033[0m" : "";
}

void cli_print_safe(FILE *f, const char *text)
{
	for (; *text; text++) {
		unsigned char ch = (unsigned char)*text;
		if (ch == '\n' || ch == '\t' || (ch >= 32 && ch != 127))
			fputc(ch, f);
		else
			fprintf(f, "\\x%02x", ch);
	}
}

/* Columns on a terminal: UTF-8 continuation bytes take no room. */
static int width_of(const char *s)
{
	int n = 0;
	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void print_cell(const struct cli *c, const struct cli_column *column, const char *text, int width,
		       bool last)
{
	int pad = width - width_of(text);
	if (column->right)
		printf("%*s", pad, "");
	const char *color = cli_color(c, text);
	fputs(color, stdout);
	cli_print_safe(stdout, text);
	if (*color)
		fputs(cli_color_end(c), stdout);
	if (!last)
		printf("%*s  ", column->right ? 0 : pad, "");
}

void cli_print_table(const struct cli *c, const struct cli_column *columns, size_t count, const json_t *rows)
{
	int widths[16] = {0};
	size_t i;
	const json_t *row;
	for (size_t k = 0; k < count; k++)
		widths[k] = width_of(columns[k].title);
	json_array_foreach(rows, i, row)
	{
		for (size_t k = 0; k < count; k++) {
			int w = width_of(json_string_value(json_array_get(row, k)));
			widths[k] = w > widths[k] ? w : widths[k];
		}
	}
	for (size_t k = 0; k < count && !c->quiet; k++)
		printf(columns[k].right ? "%*s%s" : "%-*s%s",
		       k + 1 < count || columns[k].right ? widths[k] : 0, columns[k].title,
		       k + 1 < count ? "  " : "\n");
	json_array_foreach(rows, i, row)
	{
		for (size_t k = 0; k < count; k++)
			print_cell(c, &columns[k], json_string_value(json_array_get(row, k)), widths[k],
				   k + 1 == count);
		putchar('\n');
	}
}

void cli_note(const struct cli *c, const char *fmt, ...)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	if (c->quiet)
		return;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	cli_print_safe(stderr, buf_str(&b));
	fputc('\n', stderr);
}

void cli_changed(struct cli *c, json_t *item, const char *fmt, ...)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	json_array_append_new(c->changed, item);
	if (c->json)
		return;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	cli_note(c, "%s", buf_str(&b));
}

void cli_hint(const struct cli *c, const char *command, const char *what)
{
	if (!c->quiet && !c->json)
		fprintf(stderr, "  %-44s  %s\n", command, what);
}

void cli_format_span(int64_t ms, char ret[32])
{
	unit_format_duration(ms < 1000 ? ms : ms / 1000 * 1000, ret);
}

void cli_format_age(int64_t since_ms, char ret[32])
{
	int64_t ms = cli_now_ms() - since_ms;
	if (since_ms > 0)
		cli_format_span(ms < 1000 ? 1000 : ms, ret);
	else
		snprintf(ret, 32, "-");
}

void cli_format_time(int64_t wall_ms, char ret[32])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	if (!localtime_r(&seconds, &tm) || !strftime(ret, 32, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(ret, 32, "-");
}

const char *cli_str(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));
	return s ? s : "";
}

int64_t cli_int(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}
