/* SPDX-License-Identifier: Apache-2.0 */
/* The record of cloudml-init (docs/formats/init-plan.md) and what became of a container. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/unit.h"
#include "local/container_int.h"

#define WORDS_MAX 10
#define RUNTIME_LOG_BYTES_MAX 65536

/* Splits a line in place; the count of words, -1 when there are too many. */
static int split(char *line, char *words[WORDS_MAX])
{
	int n = 0;
	char *rest = NULL;
	for (char *w = strtok_r(line, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
		if (n == WORDS_MAX)
			return -1;
		words[n++] = w;
	}
	return n;
}

static bool number(const char *word, int64_t *ret)
{
	char *end;
	errno = 0;
	*ret = strtoll(word, &end, 10);
	return *word && !*end && !errno;
}

static bool numbers(char *const *words, int count, int64_t *ret)
{
	for (int i = 0; i < count; i++)
		if (!number(words[i], &ret[i]))
			return false;
	return true;
}

static bool set_stage(char ret[CONTAINER_STAGE_NAME_MAX + 1], const char *name)
{
	if (strlen(name) > CONTAINER_STAGE_NAME_MAX)
		return false;
	strcpy(ret, name);
	return true;
}

static bool parse_end(char *const *words, struct container_record *r)
{
	int64_t n[7];
	if (!numbers(words + 2, 7, n) || !set_stage(r->failed, strcmp(words[1], "-") == 0 ? "" : words[1]))
		return false;
	r->exit_code = (int)n[0];
	r->exit_signal = (int)n[1];
	r->oom_kills = n[2];
	r->peak_bytes = n[3];
	r->stopped = n[4];
	r->killed = n[5];
	r->ended_ms = n[6];
	r->ended = true;
	r->progress.state = CONTAINER_ENDED;
	return true;
}

static bool parse_line(char *line, struct container_record *r)
{
	char *words[WORDS_MAX];
	int64_t ignored[3];
	int n = split(line, words);
	if (n == 2 && strcmp(words[0], "init") == 0) {
		r->started = true;
		r->progress.state = CONTAINER_STAGE;
		return number(words[1], &r->started_ms);
	}
	if (n == 4 && strcmp(words[0], "stage") == 0 && strcmp(words[2], "start") == 0)
		return number(words[3], &r->progress.stage_started_ms) &&
		       set_stage(r->progress.stage, words[1]) && set_stage(r->running, words[1]);
	if (n == 6 && strcmp(words[0], "stage") == 0 && strcmp(words[2], "exit") == 0) {
		*r->running = 0;
		return numbers(words + 3, 3, ignored);
	}
	return n == 9 && strcmp(words[0], "end") == 0 && parse_end(words, r);
}

int container_record_parse(const char *text, struct container_record *ret, struct err *err)
{
	CLEANUP(free) char *copy = mem_strdup(text);
	struct container_record r = {.oom_kills = -1, .peak_bytes = -1};
	char *line = copy;
	/* The last line may be half written: it has no newline. */
	for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = 0;
		if (!parse_line(line, &r))
			return err_set(err, ERR_CORRUPT, "bad line in the container's record");
	}
	*ret = r;
	return 0;
}

static int container_record_read(const char *folder, struct container_record *ret, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	char path[PATH_MAX];
	struct err e = ERR_INIT;
	path_format(path, sizeof(path), "%s/run/init-exit", folder);
	int r = fd_read_file(AT_FDCWD, path, CONTAINER_RECORD_BYTES_MAX, &text, &e);
	if (r < 0 && e.code != ERR_NOT_FOUND)
		return err ? (*err = e, r) : r;
	r = container_record_parse(buf_str(&text), ret, err);
	return r < 0 ? err_wrap(err, "reading '%s'", path) : 0;
}

int container_progress(const char *folder, struct container_progress *ret, struct err *err)
{
	struct container_record record;
	int r = container_record_read(folder, &record, err);
	if (r >= 0)
		*ret = record.progress;
	return r;
}

/* The last line that the runtime logged, without the decoration of its loggers. */
static void runtime_said(const char *folder, char *ret, size_t cap)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	char path[PATH_MAX];
	path_format(path, sizeof(path), "%s/bundle/runtime.log", folder);
	fd_read_file(AT_FDCWD, path, RUNTIME_LOG_BYTES_MAX, &text, NULL);
	while (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = 0;
	const char *line = strrchr(buf_str(&text), '\n');
	line = line ? line + 1 : buf_str(&text);
	const char *msg = strstr(line, "msg=\"");
	if (msg)
		line = msg + 5;
	snprintf(ret, cap, "%s", *line ? line : "it said nothing");
	size_t n = strlen(ret);
	if (msg && n && ret[n - 1] == '"')
		ret[n - 1] = 0;
}

static void explain(const struct container_spec *spec, struct container_result *r)
{
	char limit[32], said[200];
	unit_format_bytes(spec->limits.memory_bytes, limit);
	if (!r->ran) {
		runtime_said(spec->folder, said, sizeof(said));
		snprintf(r->message, sizeof(r->message), "the container did not start: %s", said);
	} else if (r->out_of_memory)
		snprintf(r->message, sizeof(r->message),
			 "stage '%s' was killed at the memory limit of %s; ask for more memory or use less",
			 r->stage, limit);
	else if (!r->ended)
		snprintf(r->message, sizeof(r->message),
			 "the container was killed from outside during stage '%s'", r->stage);
	else if (strcmp(r->stage, "network") == 0)
		snprintf(r->message, sizeof(r->message),
			 "the container's network did not start: slirp4netns failed; try it by hand or ask "
			 "for network '%s'",
			 network_word(NETWORK_NONE));
	else if (r->killed)
		snprintf(r->message, sizeof(r->message),
			 "stage '%s' did not end %lld ms after SIGTERM and was killed", r->stage,
			 (long long)spec->grace_ms);
	else if (r->exit_signal)
		snprintf(r->message, sizeof(r->message), "stage '%s' was ended by signal %d (%s)", r->stage,
			 r->exit_signal, strsignal(r->exit_signal));
	else if (r->exit_code)
		snprintf(r->message, sizeof(r->message), "stage '%s' exited with status %d", r->stage,
			 r->exit_code);
}

/* A dead init wrote no last line: what its control group, its last stage and the runtime's status tell. */
static void result_without_end(const struct container_record *record, int wait_status,
			       struct container_result *r)
{
	snprintf(r->stage, sizeof(r->stage), "%s", record->progress.stage);
	r->exit_code = -1;
	r->exit_signal = SIGKILL;
	if (wait_status != -1 && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) < 128 && !r->ran) {
		r->exit_code = WEXITSTATUS(wait_status);
		r->exit_signal = 0;
	}
}

int container_result(const struct container_spec *spec, int wait_status, struct container_result *ret,
		     struct err *err)
{
	struct runtime runtime;
	struct container_record record;
	int64_t oom_kills = -1, peak_bytes = -1;
	int e = container_record_read(spec->folder, &record, err);
	if (e < 0)
		return e;
	if (runtime_detect(&runtime, NULL) >= 0) {
		struct cgroup_tree tree = container_tree(&runtime);
		cgroup_final(&tree, spec->name, &oom_kills, &peak_bytes);
	}
	struct container_result r = {.ran = record.started,
				     .ended = record.ended,
				     .stopped = record.stopped,
				     .killed = record.killed,
				     .started_ms = record.started_ms,
				     .ended_ms = record.ended_ms};
	if (record.ended) {
		memcpy(r.stage, record.failed, sizeof(r.stage));
		r.exit_code = record.exit_code;
		r.exit_signal = record.exit_signal;
	} else
		result_without_end(&record, wait_status, &r);
	oom_kills = oom_kills < record.oom_kills ? record.oom_kills : oom_kills;
	r.memory_peak_bytes = peak_bytes < record.peak_bytes ? record.peak_bytes : peak_bytes;
	r.out_of_memory = oom_kills > 0;
	if (r.out_of_memory && !*r.stage) {
		/* The stage was done before all of the container was killed, as version 2 does in one step.
		 */
		memcpy(r.stage, record.progress.stage, sizeof(r.stage));
		r.exit_code = -1;
		r.exit_signal = SIGKILL;
	}
	explain(spec, &r);
	*ret = r;
	return 0;
}
