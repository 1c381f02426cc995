/* SPDX-License-Identifier: Apache-2.0 */
/* From what was observed to the exit record. */
#include "local/exit_record.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/unit.h"
#include "local/text_clean.h"

#define PROGRAM_CHARS_MAX 80
#define LAST_LINE_CHARS_MAX 220

/* "python train.py", "python -m trainer.task": what people call the program. */
static void describe_program(const struct task_spec *spec, char *ret, size_t cap)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	if (spec->module && *spec->module) {
		buf_printf(&text, "python -m %s", spec->module);
	} else {
		for (size_t i = 0; spec->command && spec->command[i] && text.len < PROGRAM_CHARS_MAX; i++)
			buf_printf(&text, "%s%s", i ? " " : "", spec->command[i]);
	}
	char clean[PROGRAM_CHARS_MAX + 1];
	text_clean(buf_str(&text), text.len, clean, sizeof(clean));
	snprintf(ret, cap, "%s%s", *clean ? clean : "the program", text.len > PROGRAM_CHARS_MAX ? "…" : "");
}

static void describe_stage(const struct exit_facts *f, char *ret, size_t cap)
{
	const char *stage = f->result->stage;
	if (strcmp(stage, STAGE_RUN) == 0)
		describe_program(f->spec, ret, cap);
	else if (strcmp(stage, STAGE_SERVE) == 0)
		snprintf(ret, cap, f->spec->kind == TASK_TENSORBOARD ? "TensorBoard" : "the model server");
	else if (strcmp(stage, STAGE_UNPACK) == 0)
		snprintf(ret, cap, "unpacking the package");
	else if (strcmp(stage, STAGE_INSTALL) == 0)
		snprintf(ret, cap, "installing the package");
	else if (strcmp(stage, STAGE_CHECK) == 0)
		snprintf(ret, cap, "looking for the module");
	else
		snprintf(ret, cap, "the %s command", stage);
}

static bool is_package_stage(const char *stage)
{
	return strcmp(stage, STAGE_UNPACK) == 0 || strcmp(stage, STAGE_INSTALL) == 0 ||
	       strcmp(stage, STAGE_CHECK) == 0;
}

/* Our own stages end with one line that says it all. */
static bool take_own_line(const struct exit_facts *f, struct task_exit *ret)
{
	if (!str_starts(f->last_line, "cloudml: "))
		return false;
	snprintf(ret->message, sizeof(ret->message), "%.460s", f->last_line + 9);
	return true;
}

/* The log also holds lines of the platform; what it says of a program's end must be the program's. */
static bool is_platforms(const char *line)
{
	return str_starts(line, "cloudml: ") || str_starts(line, "cloudml-init: ");
}

static void describe_end(const struct exit_facts *f, struct task_exit *ret)
{
	char who[PROGRAM_CHARS_MAX + 40], how[160], last[LAST_LINE_CHARS_MAX + 40] = "";
	describe_stage(f, who, sizeof(who));
	if (f->result->exit_signal) {
		const char *name = strsignal(f->result->exit_signal);
		snprintf(how, sizeof(how), "was ended by signal %d (%s)", f->result->exit_signal,
			 name ? name : "unknown");
	} else if (f->result->exit_code == 127) {
		snprintf(how, sizeof(how),
			 "exited with status 127: a program was not found; check the command, or add "
			 "the package that has it to the requirements");
	} else if (f->result->exit_code == 126) {
		snprintf(how, sizeof(how),
			 "exited with status 126: a file is not executable; start it with its "
			 "interpreter, as in 'python train.py'");
	} else {
		snprintf(how, sizeof(how), "exited with status %d", f->result->exit_code);
	}
	if (*f->last_line && !is_platforms(f->last_line)) {
		char clean[LAST_LINE_CHARS_MAX + 1];
		size_t n = text_clean(f->last_line, strlen(f->last_line), clean, sizeof(clean));
		snprintf(last, sizeof(last), "; the last line was '%s%s'", clean,
			 n < strlen(f->last_line) ? "…" : "");
	}
	snprintf(ret->message, sizeof(ret->message), "%s %s%s", who, how, last);
}

static void describe_memory(const struct exit_facts *f, struct task_exit *ret)
{
	char limit[32];
	int64_t bytes = f->spec->limits.memory_bytes, twice_mib = bytes > 0 ? (bytes * 2) >> 20 : 0;
	unit_format_bytes(bytes, limit);
	const char *what = f->spec->kind == TASK_JOB	 ? "job"
			   : f->spec->kind == TASK_MODEL ? "model"
							 : "TensorBoard";
	if (twice_mib && twice_mib % 1024 == 0)
		snprintf(ret->message, sizeof(ret->message),
			 "out of memory: the %s used its limit of %s; run it again with --memory %lldG", what,
			 limit, (long long)(twice_mib / 1024));
	else if (twice_mib)
		snprintf(ret->message, sizeof(ret->message),
			 "out of memory: the %s used its limit of %s; run it again with --memory %lldM", what,
			 limit, (long long)twice_mib);
	else
		snprintf(ret->message, sizeof(ret->message), "out of memory: this machine has no more");
}

static void describe_stop(enum fail_class why, const struct task_spec *spec, bool killed,
			  struct task_exit *ret)
{
	char limit[32];
	const char *hard = killed ? "; it did not end within the time of grace and was killed" : "";
	ret->fail = why;
	switch (why) {
	case FAIL_CANCELLED:
		snprintf(ret->message, sizeof(ret->message), "cancelled%s", hard);
		break;
	case FAIL_PREEMPTED:
		snprintf(ret->message, sizeof(ret->message),
			 "stopped to make room for something of higher priority%s", hard);
		break;
	case FAIL_TIMEOUT:
		unit_format_duration(spec ? spec->max_duration_ms : 0, limit);
		snprintf(ret->message, sizeof(ret->message),
			 "ran longer than its limit of %s; run it again with a longer maximum duration%s",
			 limit, hard);
		break;
	case FAIL_HUNG:
		unit_format_duration(spec ? spec->hang_timeout_ms : 0, limit);
		snprintf(ret->message, sizeof(ret->message),
			 "hung: no output and no use of the processor for %s; look at the last lines of the "
			 "log, or run it again with a longer hang_timeout%s",
			 limit, hard);
		break;
	case FAIL_LOST:
		snprintf(ret->message, sizeof(ret->message), "%s%s",
			 spec && spec->tasks > 1
			     ? "stopped with the other tasks of its job, or this machine was shut down"
			     : "this machine was shut down",
			 hard);
		break;
	default:
		snprintf(ret->message, sizeof(ret->message), "stopped by the platform (%s)%s", fail_word(why),
			 hard);
	}
}

void exit_record_make(const struct exit_facts *f, struct task_exit *ret)
{
	const struct container_result *r = f->result;
	*ret = (struct task_exit){.exit_code = r->exit_code, .exit_signal = r->exit_signal};
	bool whole = r->ran && r->ended && !r->stage[0];
	if (whole && f->spec->kind == TASK_JOB && (!f->stop_wanted || !r->stopped)) {
		ret->exit_code = 0; /* also when a wish to stop came too late */
		return;
	}
	if (f->stop_wanted) {
		describe_stop(f->why, f->spec, r->killed || !r->ended, ret);
	} else if (!r->ran) {
		ret->fail = FAIL_PLATFORM;
		ret->exit_code = -1;
		snprintf(ret->message, sizeof(ret->message), "the container could not be started: %s",
			 r->message);
	} else if (r->out_of_memory) {
		ret->fail = FAIL_OUT_OF_MEMORY;
		describe_memory(f, ret);
	} else if (f->serve_error) {
		ret->fail = FAIL_ENVIRONMENT;
		snprintf(ret->message, sizeof(ret->message), "the model cannot be served: %.440s",
			 f->serve_error);
	} else if (!r->ended) {
		ret->fail = FAIL_LOST;
		snprintf(ret->message, sizeof(ret->message), "the container was killed from outside: %s",
			 r->message);
	} else if (is_package_stage(r->stage)) {
		ret->fail = FAIL_ENVIRONMENT;
		if (!take_own_line(f, ret))
			describe_end(f, ret);
	} else {
		ret->fail = FAIL_USER;
		describe_end(f, ret);
	}
}

void exit_record_of_err(const struct err *err, bool stop_wanted, enum fail_class why, struct task_exit *ret)
{
	*ret = (struct task_exit){.exit_code = -1};
	if (stop_wanted && err->code == ERR_CANCELLED) {
		describe_stop(why, NULL, false, ret);
		return;
	}
	switch (err->code) {
	case ERR_BACKEND:
	case ERR_NOT_FOUND:
	case ERR_INVALID:
	case ERR_TOO_LARGE:
		ret->fail = FAIL_ENVIRONMENT;
		break;
	default:
		ret->fail = FAIL_PLATFORM;
	}
	snprintf(ret->message, sizeof(ret->message), "%s", err->msg);
}
