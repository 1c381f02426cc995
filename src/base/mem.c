/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation that aborts when memory is gone, and the cleanups of foreign types. */
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *checked(void *p)
{
	if (!p) {
		static const char text[] = "cloudml: out of memory\n";
		ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);
		(void)n;
		abort();
	}
	return p;
}

void *mem_alloc(size_t size)
{
	return checked(calloc(1, size ? size : 1));
}

void *mem_realloc(void *p, size_t size)
{
	return checked(realloc(p, size ? size : 1));
}

char *mem_strdup(const char *s)
{
	return s ? checked(strdup(s)) : NULL;
}

char *mem_strndup(const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *copy = mem_alloc(len + 1);
	memcpy(copy, s, len);
	return copy;
}

char *mem_printf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return checked(n < 0 ? NULL : s);
}

void *mem_try_alloc(size_t count, size_t size)
{
	size_t total;
	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	return calloc(1, total ? total : 1);
}

void cleanup_free(void *pp)
{
	int saved = errno;
	free(*(void **)pp);
	errno = saved;
}

void cleanup_fd(int *fd)
{
	int saved = errno;
	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

void cleanup_dir(void *pp)
{
	int saved = errno;
	if (*(DIR **)pp)
		closedir(*(DIR **)pp);
	errno = saved;
}

void cleanup_file(void *pp)
{
	int saved = errno;
	if (*(FILE **)pp)
		fclose(*(FILE **)pp);
	errno = saved;
}
