/* SPDX-License-Identifier: Apache-2.0 */
/* What uv prints: "Resolved 5 packages in 444ms", "Downloading numpy (17.4MiB)", " Downloading numpy" (done)
 * … */
#include "local/uv_progress.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "local/text_clean.h"

/* "(17.4MiB)" at the end of the line; 0 when there is none. */
static int64_t size_in_parentheses(const char *line)
{
	const char *open = strrchr(line, '(');
	if (!open)
		return 0;
	char *unit;
	double n = strtod(open + 1, &unit);
	if (!(n > 0) || n > 1e6)
		return 0;
	int64_t scale = *unit == 'K' ? 1 << 10 : *unit == 'M' ? 1 << 20 : *unit == 'G' ? 1 << 30 : 1;
	return (int64_t)(n * (double)scale);
}

/* "WORD 5 packages in …" */
static bool count_after(const char *line, const char *word, int64_t *ret)
{
	size_t len = strlen(word);
	if (strncmp(line, word, len) != 0 || line[len] != ' ')
		return false;
	char *end;
	long long n = strtoll(line + len + 1, &end, 10);
	if (end == line + len + 1 || n < 0 || n > 1000000)
		return false;
	*ret = n;
	return true;
}

static void advance(struct uv_progress *p, enum uv_phase phase)
{
	if (phase > p->phase)
		p->phase = phase;
}

static void read_line(struct uv_progress *p, const char *line, bool indented)
{
	int64_t compiled;
	if (count_after(line, "Resolved", &p->resolved)) {
		advance(p, UV_DOWNLOADING);
	} else if (strncmp(line, "Downloading ", 12) == 0 && !indented && strchr(line, '(')) {
		p->large++;
		p->large_bytes += size_in_parentheses(line);
		advance(p, UV_DOWNLOADING);
	} else if ((strncmp(line, "Downloading ", 12) == 0 && indented) ||
		   strncmp(line, "Downloaded ", 11) == 0) {
		if (p->large_done < p->large)
			p->large_done++;
	} else if (count_after(line, "Prepared", &p->prepared)) {
		advance(p, UV_INSTALLING);
	} else if (count_after(line, "Installed", &p->installed)) {
		advance(p, UV_COMPILING);
	} else if (strncmp(line, "Bytecode compiled ", 18) == 0 &&
		   count_after(line + 9, "compiled", &compiled)) {
		advance(p, UV_DONE);
	}
}

static void take_line(struct uv_progress *p)
{
	char *slot = p->lines[p->line_count % UV_LINES_KEPT];
	bool indented = p->partial_len && p->partial[0] == ' ';
	size_t n = text_clean(p->partial, p->partial_len, slot, UV_LINE_MAX);
	p->partial_len = 0;
	if (!n)
		return;
	read_line(p, slot, indented);
	p->line_count++;
}

void uv_progress_feed(struct uv_progress *p, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n' || data[i] == '\r')
			take_line(p);
		else if (p->partial_len < sizeof(p->partial) - 1)
			p->partial[p->partial_len++] = data[i];
	}
}

void uv_progress_end(struct uv_progress *p)
{
	if (p->partial_len)
		take_line(p);
}

static const char *kept_line(const struct uv_progress *p, size_t i)
{
	size_t count = p->line_count < UV_LINES_KEPT ? p->line_count : UV_LINES_KEPT;
	return i < count ? p->lines[(p->line_count - count + i) % UV_LINES_KEPT] : NULL;
}

/* The ornaments are three-byte characters (a cross, box lines, an arrow head) in front of the text. */
static const char *skip_ornaments(const char *line)
{
	while ((unsigned char)line[0] >= 0xc2 || *line == ' ') {
		line++;
		while (((unsigned char)*line & 0xc0) == 0x80)
			line++;
	}
	return line;
}

/* Where the complaint begins: everything before is the course of things. */
static bool is_course(const char *line)
{
	static const char *const starts[] = {"Using ",	   "Resolved ", "Downloading ", "Downloaded ",
					     "Prepared ",  "Building ", "Built ",	"Creating ",
					     "Installed ", "Activate ", "Uninstalled "};
	for (size_t i = 0; i < ARRAY_LEN(starts); i++)
		if (strncmp(line, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

const char *uv_progress_reason(const struct uv_progress *p, char *ret, size_t cap)
{
	size_t used = 0;
	ret[0] = 0;
	const char *line;
	for (size_t i = 0; (line = kept_line(p, i)); i++) {
		line = skip_ornaments(line);
		if (!*line || is_course(line) || strncmp(line, "No solution found when", 22) == 0)
			continue;
		size_t n = strlen(line);
		if (used + n + 2 > cap)
			break;
		used += (size_t)snprintf(ret + used, cap - used, "%s%s", used ? " " : "", line);
	}
	return ret;
}

static bool any_line_has(const struct uv_progress *p, const char *needle)
{
	const char *line;
	for (size_t i = 0; (line = kept_line(p, i)); i++)
		if (strstr(line, needle))
			return true;
	return false;
}

const char *uv_progress_hint(const struct uv_progress *p)
{
	static const struct {
		const char *needle, *hint;
	} hints[] = {
	    {"No space left", "make room in the data folder and run it again"},
	    {"not found in the package registry", "check the spelling of the requirement"},
	    {"unsatisfiable", "relax the versions in the requirements"},
	    {"no version of", "choose a version that exists"},
	    {"dns error", "check this machine's network and name servers"},
	    {"Failed to fetch", "check this machine's network or proxy and run it again"},
	    {"error sending request", "check this machine's network or proxy and run it again"},
	    {"certificate",
	     "set SSL_CERT_FILE to the certificates of your proxy in the server's environment"},
	    {"Failed to build",
	     "choose a version that has a wheel for this Python, or add what its build needs"},
	    {"Failed to parse", "write requirements as 'name==version', one a line"},
	};
	for (size_t i = 0; i < ARRAY_LEN(hints); i++)
		if (any_line_has(p, hints[i].needle))
			return hints[i].hint;
	return "see the environment's log for all of it";
}
