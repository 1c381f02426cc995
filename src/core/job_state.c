/* SPDX-License-Identifier: Apache-2.0 */
/* States and failure classes of jobs: words, allowed moves, which failures are retried. */
#include "core/job.h"

#include <string.h>

#define BIT(state) (1u << (state))

static const char *const state_words[] = {
#define WORD(state, word, terminal) word,
    JOB_STATE_TABLE(WORD)
#undef WORD
};

static const bool state_terminal[] = {
#define TERMINAL(state, word, terminal) terminal,
    JOB_STATE_TABLE(TERMINAL)
#undef TERMINAL
};

/* Back to queued is a retry, which carries a new attempt. 'starting' may end as completed without having been
 * seen running: a short job can be over before the first look. Nothing leaves a terminal state. */
static const unsigned moves[JOB_STATE_COUNT] = {
    [JOB_SUBMITTED] = BIT(JOB_QUEUED) | BIT(JOB_FAILED) | BIT(JOB_CANCELLED),
    [JOB_QUEUED] = BIT(JOB_STARTING) | BIT(JOB_FAILED) | BIT(JOB_CANCELLED),
    [JOB_STARTING] =
	BIT(JOB_RUNNING) | BIT(JOB_QUEUED) | BIT(JOB_COMPLETED) | BIT(JOB_FAILED) | BIT(JOB_CANCELLED),
    [JOB_RUNNING] = BIT(JOB_QUEUED) | BIT(JOB_COMPLETED) | BIT(JOB_FAILED) | BIT(JOB_CANCELLED),
};

const char *job_state_word(enum job_state s)
{
	return (unsigned)s < JOB_STATE_COUNT ? state_words[s] : "unknown";
}

int job_state_parse(const char *word, enum job_state *ret, struct err *err)
{
	for (unsigned i = 0; i < JOB_STATE_COUNT; i++) {
		if (strcmp(word, state_words[i]) == 0) {
			*ret = (enum job_state)i;
			return 0;
		}
	}
	return err_set(
	    err, ERR_INVALID,
	    "job state '%.40s' is unknown; use submitted, queued, starting, running, completed, failed or "
	    "cancelled",
	    word);
}

bool job_state_is_terminal(enum job_state s)
{
	return (unsigned)s < JOB_STATE_COUNT && state_terminal[s];
}

bool job_state_may_move(enum job_state from, enum job_state to)
{
	return (unsigned)from < JOB_STATE_COUNT && (unsigned)to < JOB_STATE_COUNT && (moves[from] & BIT(to));
}

static const char *const fail_words[] = {
#define WORD(code, word, retried) word,
    FAIL_TABLE(WORD)
#undef WORD
};

static const bool fail_retried[] = {
#define RETRIED(code, word, retried) retried,
    FAIL_TABLE(RETRIED)
#undef RETRIED
};

const char *fail_word(enum fail_class c)
{
	return (unsigned)c < FAIL_COUNT ? fail_words[c] : "unknown";
}

int fail_parse(const char *word, enum fail_class *ret)
{
	for (unsigned i = 0; i < FAIL_COUNT; i++) {
		if (strcmp(word, fail_words[i]) == 0) {
			*ret = (enum fail_class)i;
			return 0;
		}
	}
	return -1;
}

bool fail_is_retried(enum fail_class c)
{
	return (unsigned)c < FAIL_COUNT && fail_retried[c];
}

bool fail_is_charged(enum fail_class c)
{
	return c != FAIL_NONE && c != FAIL_CANCELLED && c != FAIL_PREEMPTED;
}

const char *network_word(enum network_mode m)
{
	return m == NETWORK_NONE ? "none" : "egress";
}
