/* SPDX-License-Identifier: Apache-2.0 */
/* Error values and the accessors of the one table. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct row {
	const char *word;
	int http, grpc, exit_status;
} rows[ERR_CODE_COUNT] = {[ERR_NONE] = {"ok", 200, 0, 0},
#define ERR_ROW(code, word, http, grpc, s3, exit_status) [code] = {word, http, grpc, exit_status},
			  ERR_TABLE(ERR_ROW)
#undef ERR_ROW
};

/* A message cut in the middle of a UTF-8 character would not be valid JSON text. */
static void trim_utf8(char *s, size_t len)
{
	size_t i = len;
	while (i > 0 && len - i < 3 && ((unsigned char)s[i - 1] & 0xc0) == 0x80)
		i--;
	if (i == 0)
		return;
	unsigned char lead = s[i - 1];
	size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (len - (i - 1) < want)
		s[i - 1] = 0;
}

static void set_text(struct err *e, const char *text, const char *tail)
{
	int n = snprintf(e->msg, sizeof(e->msg), "%s%s%s", text, tail ? ": " : "", tail ? tail : "");
	if (n >= (int)sizeof(e->msg))
		trim_utf8(e->msg, sizeof(e->msg) - 1);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	if (!e)
		return -code;
	char text[sizeof(e->msg)]; /* the arguments may point into e->msg */
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(text))
		trim_utf8(text, sizeof(text) - 1);
	e->code = code;
	e->sys = 0;
	set_text(e, text, NULL);
	return -code;
}

static int code_of_errno(int sys)
{
	switch (sys) {
	case ENOSPC:
	case EDQUOT:
		return ERR_DISK_FULL;
	case ENOENT:
		return ERR_NOT_FOUND;
	case ENOMEM:
		return ERR_NO_MEMORY;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	default:
		return ERR_IO;
	}
}

int err_sys(struct err *e, int sys, const char *fmt, ...)
{
	int code = code_of_errno(sys);
	if (!e)
		return -code;
	char text[sizeof(e->msg)], reason[128];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	e->code = code;
	e->sys = sys;
	set_text(e, text, strerror_r(sys, reason, sizeof(reason)));
	return -code;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	if (!e)
		return -ERR_INTERNAL;
	char text[sizeof(e->msg)], old[sizeof(e->msg)];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(old, e->msg, sizeof(old));
	set_text(e, text, old);
	if (!e->code)
		e->code = ERR_INTERNAL;
	return -e->code;
}

static const struct row *row_of(int code)
{
	if (code < 0)
		code = -code;
	return code < ERR_CODE_COUNT ? &rows[code] : &rows[ERR_INTERNAL];
}

const char *err_word(int code)
{
	return row_of(code)->word;
}

int err_http(int code)
{
	return row_of(code)->http;
}

int err_grpc(int code)
{
	return row_of(code)->grpc;
}

int err_exit(int code)
{
	return row_of(code)->exit_status;
}

int err_from_word(const char *word)
{
	for (int i = 0; i < ERR_CODE_COUNT; i++)
		if (strcmp(rows[i].word, word) == 0)
			return i;
	return ERR_INTERNAL;
}
