/* SPDX-License-Identifier: Apache-2.0 */
/* The one log writer: a line is built whole and written with one call, so that lines of threads do not mix.
 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

static const char *const level_words[] = {"debug", "info", "warn", "error"};
#define LEVEL_UNSET (-1)
static atomic_int current_level = LEVEL_UNSET;

static int level_from_environment(void)
{
	const char *s = getenv("CLOUDML_LOG");
	return s ? log_level_parse(s) : -1;
}

/* The environment is for a person who looks for something: it wins over what the program set. */
void log_set_level(enum log_level level)
{
	int wanted = level_from_environment();
	atomic_store(&current_level, wanted >= 0 ? wanted : (int)level);
}

int log_level_parse(const char *s)
{
	for (size_t i = 0; i < ARRAY_LEN(level_words); i++)
		if (strcmp(s, level_words[i]) == 0)
			return (int)i;
	return -1;
}

/* What came from strangers must not forge lines or drive a terminal. Bytes above 0x7f pass: UTF-8 names stay
 * readable. */
static void add_escaped(struct buf *line, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = s[i];
		if (c == '\n')
			buf_adds(line, "\\n");
		else if (c < 0x20 || c == 0x7f)
			buf_printf(line, "\\x%02x", c);
		else
			buf_addc(line, (char)c);
	}
}

static void write_line(const struct buf *line)
{
	size_t done = 0;
	while (done < line->len) {
		ssize_t n = write(STDERR_FILENO, line->data + done, line->len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* nobody to tell */
		done += n;
	}
}

void log_write(enum log_level level, const char *fmt, ...)
{
	if (atomic_load(&current_level) == LEVEL_UNSET)
		log_set_level(LOG_INFO);
	if ((int)level < atomic_load(&current_level))
		return;
	int saved = errno;
	CLEANUP(buf) struct buf text = BUF_INIT, line = BUF_INIT;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&text, fmt, ap);
	va_end(ap);
	char now[32];
	clock_format(clock_wall_ms(&clock_real), now);
	buf_printf(&line, "%s %s ", now, level_words[level]);
	add_escaped(&line, buf_str(&text), text.len);
	buf_addc(&line, '\n');
	write_line(&line);
	errno = saved;
}
