/* SPDX-License-Identifier: Apache-2.0 */
/* gitignore(5): patterns, negation, anchoring, folders only, double asterisks. */
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "cli/gitignore.h"

#define PATTERNS_MAX 10000

struct pattern {
	char *folder; /* of the file it stands in */
	char *glob;
	bool negated, folder_only,
	    anchored; /* anchored: matches the whole path below 'folder', else the last segment */
};
struct gitignore {
	struct pattern *patterns;
	size_t count;
};

struct gitignore *gitignore_new(void)
{
	return MEM_NEW(struct gitignore);
}

void gitignore_free(struct gitignore *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->count; i++) {
		free(g->patterns[i].folder);
		free(g->patterns[i].glob);
	}
	free(g->patterns);
	free(g);
}

/* '[' … ']' at *p; moves *p behind it. An unclosed bracket matches itself. */
static bool match_class(const char **p, char c, bool *closed)
{
	const char *s = *p + 1;
	bool negated = *s == '!' || *s == '^', hit = false, first = true;
	if (negated)
		s++;
	for (; *s && (*s != ']' || first); s++, first = false) {
		char low = *s == '\\' && s[1] ? *++s : *s;
		if (s[1] == '-' && s[2] && s[2] != ']') {
			char high = s[2] == '\\' && s[3] ? s[3] : s[2];
			hit |=
			    (unsigned char)c >= (unsigned char)low && (unsigned char)c <= (unsigned char)high;
			s += s[2] == '\\' && s[3] ? 3 : 2;
		} else {
			hit |= c == low;
		}
	}
	*closed = *s == ']';
	if (*closed)
		*p = s + 1;
	return hit != negated && c != '/';
}

/* fresh: p is at the beginning of a segment. 'budget' bounds hostile patterns. */
static bool glob_match(const char *p, const char *t, bool fresh, int *budget)
{
	while (*p) {
		if (--*budget < 0)
			return false;
		if (*p == '*') {
			const char *rest = p + strspn(p, "*");
			/* Two stars go over slashes only where they are a whole segment. */
			bool folders = rest - p > 1 && fresh && (!*rest || *rest == '/');
			if (folders && *rest && glob_match(rest + 1, t, true, budget)) /* no folder at all */
				return true;
			if (!*rest)
				return folders || !strchr(t, '/');
			for (;; t++) {
				if (glob_match(rest, t, false, budget))
					return true;
				if (!*t || (*t == '/' && !folders) || *budget < 0)
					return false;
			}
		}
		fresh = *p == '/';
		bool closed = false;
		const char *next = p;
		if (!*t)
			return false;
		if (*p == '?') {
			if (*t == '/')
				return false;
			p++;
		} else if (*p == '[' && (match_class(&next, *t, &closed) || closed)) {
			const char *again = p;
			if (!match_class(&again, *t, &closed))
				return false;
			p = next;
		} else {
			if (*p == '\\' && p[1])
				p++;
			if (*p++ != *t)
				return false;
		}
		t++;
	}
	return !*t;
}

bool gitignore_glob(const char *pattern, const char *text)
{
	/* As git does it: letters are compared first, and what follows them counts as a beginning. */
	size_t letters = strcspn(pattern, "*?[\\");
	int budget = 100000;
	return !strncmp(pattern, text, letters) &&
	       glob_match(pattern + letters, text + letters, true, &budget);
}

static void add_line(struct gitignore *g, const char *folder, const char *line, size_t len)
{
	struct pattern p = {0};
	if (len && line[len - 1] == '\r')
		len--;
	while (len && line[len - 1] == ' ' && !(len > 1 && line[len - 2] == '\\'))
		len--;
	if (len && line[0] == '#')
		return;
	if (len && line[0] == '!') {
		p.negated = true;
		line++, len--;
	}
	if (len && line[len - 1] == '/') {
		p.folder_only = true;
		len--;
	}
	if (!len || g->count >= PATTERNS_MAX)
		return;
	p.anchored = memchr(line, '/', len) != NULL;
	if (line[0] == '/')
		line++, len--;
	p.glob = mem_strndup(line, len);
	p.folder = mem_strdup(folder);
	g->patterns = mem_realloc(g->patterns, (g->count + 1) * sizeof(p));
	g->patterns[g->count++] = p;
}

void gitignore_add(struct gitignore *g, const char *folder, const char *text, size_t len)
{
	while (len) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;
		add_line(g, folder, text, n);
		text += n + (end != NULL);
		len -= n + (end != NULL);
	}
}

static bool pattern_match(const struct pattern *p, const char *path, bool is_folder)
{
	size_t n = strlen(p->folder);
	if (p->folder_only && !is_folder)
		return false;
	if (n && (strncmp(path, p->folder, n) || path[n] != '/'))
		return false;
	const char *below = n ? path + n + 1 : path, *slash = strrchr(below, '/');
	return gitignore_glob(p->glob, p->anchored || !slash ? below : slash + 1);
}

bool gitignore_match(const struct gitignore *g, const char *path, bool is_folder)
{
	for (size_t i = g->count; i-- > 0;)
		if (pattern_match(&g->patterns[i], path, is_folder))
			return !g->patterns[i].negated;
	return false;
}
