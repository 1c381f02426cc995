/* SPDX-License-Identifier: Apache-2.0 */
/* Dependencies between jobs: "JOB" or "JOB:CONDITION", and what an end means for who waits for it. */
#include <stdio.h>
#include <string.h>
#include "core/job.h"
#include "core/spec_check.h"

static const char *const words[] = {
#define WORD(code, word) word,
    JOB_AFTER_TABLE(WORD)
#undef WORD
};

const char *job_after_word(enum job_after on)
{
	return (unsigned)on < JOB_AFTER_COUNT ? words[on] : "unknown";
}

int job_after_parse(const char *text, char ret_job[CORE_NAME_MAX + 1], enum job_after *ret_on,
		    struct err *err)
{
	size_t len = strcspn(text, ":");
	if (len == 0 || len > CORE_NAME_MAX)
		return err_set(err, ERR_INVALID,
			       "after: '%.80s' does not name a job; use the id or name of one", text);
	snprintf(ret_job, CORE_NAME_MAX + 1, "%.*s", (int)len, text);
	int r = core_name_check("after", ret_job, err);
	*ret_on = JOB_AFTER_OK;
	if (r < 0 || !text[len])
		return r;
	for (unsigned i = 0; i < JOB_AFTER_COUNT; i++) {
		if (strcmp(text + len + 1, words[i]) == 0) {
			*ret_on = (enum job_after)i;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID,
		       "after: '%.80s' has an unknown condition; use JOB (or JOB:ok), JOB:any or JOB:failed",
		       text);
}

int spec_check_after(const char *key, const char *value, struct err *err)
{
	char job[CORE_NAME_MAX + 1];
	enum job_after on;
	return job_after_parse(value, job, &on, err);
}

int job_after_judge(enum job_after on, enum job_state state)
{
	if (!job_state_is_terminal(state))
		return 0;
	if (on == JOB_AFTER_ANY)
		return 1;
	return (state == JOB_COMPLETED) == (on == JOB_AFTER_OK) ? 1 : -1;
}
