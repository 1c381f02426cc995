/* SPDX-License-Identifier: Apache-2.0 */
/* Which mounts are ours, from the kernel's table (proc(5), /proc/PID/mountinfo). */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "mount/mount.h"

char *mount_resolve(const char *folder)
{
	char *whole = realpath(folder, NULL);
	if (whole || errno != ENOTCONN)
		return whole;
	/* A dead mount cannot be looked at; its parent can. */
	CLEANUP(free) char *text = mem_strdup(folder);
	size_t len = strlen(text);
	while (len > 1 && text[len - 1] == '/')
		text[--len] = '\0';
	char *slash = strrchr(text, '/');
	const char *name = slash ? slash + 1 : text;
	if (slash)
		*slash = '\0';
	CLEANUP(free) char *parent = realpath(!slash ? "." : slash == text ? "/" : text, NULL);
	if (!parent)
		return NULL;
	return mem_printf("%s/%s", strcmp(parent, "/") ? parent : "", name);
}

/* Undoes the table's \ooo in place. */
static void unescape(char *text)
{
	char *to = text;
	for (const char *p = text; *p; to++) {
		if (p[0] == '\\' && p[1] && p[2] && p[3]) {
			*to = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
			p += 4;
		} else {
			*to = *p++;
		}
	}
	*to = '\0';
}

bool mount_is_ours(const char *folder)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	CLEANUP(free) char *line = NULL;
	size_t size = 0;
	bool ours = false;
	if (!f)
		return false;
	while (getline(&line, &size, f) > 0) {
		char *dash = strstr(line, " - "), *place = line;
		for (int i = 0; i < 4 && place; i++) {
			place = strchr(place, ' ');
			place = place ? place + 1 : NULL;
		}
		char *end = place ? strchr(place, ' ') : NULL;
		if (!dash || !end)
			continue;
		*end = '\0';
		unescape(place);
		if (!strcmp(place, folder)) /* the last one of a place is the one that is seen */
			ours = !strncmp(dash + 3, "fuse.cloudml ", 13);
	}
	fclose(f);
	return ours;
}
