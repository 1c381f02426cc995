/* SPDX-License-Identifier: Apache-2.0 */
/* The log writer, seen through its standard error. */
#include "unit/test.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"

static int saved, pipe_fds[2];

static void capture(void)
{
	saved = dup(STDERR_FILENO);
	assert_int_equal(pipe(pipe_fds), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
}

static struct buf captured(void)
{
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT;
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipe_fds[1]);
	EXPECT_OK(fd_read_all(pipe_fds[0], 65536, &b, &err), &err);
	close(pipe_fds[0]);
	return b;
}

TEST(a_line_has_time_level_and_event)
{
	log_set_level(LOG_INFO);
	capture();
	errno = EINTR;
	log_info("job.start job=%d", 41);
	assert_int_equal(errno, EINTR);
	log_debug("not.shown");
	CLEANUP(buf) struct buf b = captured();
	assert_non_null(strstr(b.data, "Z info job.start job=41\n"));
	assert_null(strstr(b.data, "not.shown"));
	assert_int_equal(b.data[4], '-');
}

TEST(control_characters_cannot_forge_a_line)
{
	log_set_level(LOG_DEBUG);
	capture();
	log_debug("x name=%s", "a\nb\x1b[31m\x7f\xc3\xa9");
	CLEANUP(buf) struct buf b = captured();
	assert_non_null(strstr(b.data, "debug x name=a\\nb\\x1b[31m\\x7f\xc3\xa9\n"));
}

TEST(the_environment_overrides_the_level)
{
	setenv("CLOUDML_LOG", "error", 1);
	log_set_level(LOG_DEBUG);
	capture();
	log_warn("hidden");
	log_error("shown");
	CLEANUP(buf) struct buf b = captured();
	unsetenv("CLOUDML_LOG");
	assert_null(strstr(b.data, "hidden"));
	assert_non_null(strstr(b.data, "error shown"));
}

TEST(levels_have_words)
{
	assert_int_equal(log_level_parse("debug"), LOG_DEBUG);
	assert_int_equal(log_level_parse("error"), LOG_ERROR);
	assert_int_equal(log_level_parse("loud"), -1);
}
