/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs that are more than their organisation may store: they wait for room, and then their job's end says
 * what is missing. */
#include <stdio.h>
#include <string.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/unit.h"
#include "local/local_int.h"

#define RECORD_MAX 4096

bool local_unsaved_ends(const struct local_task *t, int64_t now_ms)
{
	return t->quota_since_ms && (t->gives_up || now_ms - t->quota_since_ms >= UNSAVED_WAIT_MS);
}

void local_unsaved_wait(struct local_task *t, int64_t now_ms)
{
	char left[32], bytes[32], what[64] = "the log or the metrics";
	if (!t->quota_since_ms)
		t->quota_since_ms = now_ms ? now_ms : 1;
	int64_t left_ms = t->quota_since_ms + UNSAVED_WAIT_MS - now_ms;
	unit_format_duration(left_ms > 0 ? left_ms : 0, left);
	unit_format_bytes(t->put.refused_bytes, bytes);
	if (t->put.refused)
		snprintf(what, sizeof(what), "%lld files of %.12s", (long long)t->put.refused, bytes);
	snprintf(t->status.progress.text, sizeof(t->status.progress.text),
		 "storage is full: %s wait %.12s for room; remove objects or raise the quota", what, left);
}

static void describe(const struct local_task *t, const struct err *why, char ret[UNSAVED_TEXT_MAX])
{
	const struct store_put_stats *p = &t->put;
	char saved[32], missing[32], files[200] = "the log or the metrics";
	unit_format_bytes(p->bytes - p->refused_bytes, saved);
	unit_format_bytes(p->refused_bytes, missing);
	if (p->refused)
		snprintf(files, sizeof(files), "%lld of %s, '%.60s' first", (long long)p->refused, missing,
			 p->first_refused);
	snprintf(
	    ret, UNSAVED_TEXT_MAX,
	    "the organisation's storage is full: %lld files of %s of the output were saved, not %s (%.110s)",
	    (long long)(p->files - p->refused), saved, files, why->msg);
}

int local_unsaved_write(struct local_task *t, int folder_fd, const struct err *why, struct err *err)
{
	describe(t, why, t->unsaved);
	return fd_write_file(folder_fd, FOLDER_UNSAVED, t->unsaved, strlen(t->unsaved), 0600, err);
}

int local_unsaved_read(struct local_task *t, int folder_fd, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	if (!folder_has(folder_fd, FOLDER_UNSAVED))
		return 0;
	int r = fd_read_file(folder_fd, FOLDER_UNSAVED, RECORD_MAX, &text, err);
	if (r >= 0)
		snprintf(t->unsaved, sizeof(t->unsaved), "%s", buf_str(&text));
	return r < 0 ? r : 0;
}

void local_unsaved_end(const struct local_task *t, struct task_exit *record)
{
	char before[sizeof(record->message)];
	if (!t->unsaved[0])
		return;
	memcpy(before, record->message, sizeof(before));
	if (record->fail != FAIL_NONE)
		snprintf(record->message, sizeof(record->message), "%.150s; %s", before, t->unsaved);
	else
		snprintf(record->message, sizeof(record->message), "%s", t->unsaved);
	/* Who cancelled a job shall hear of it as well: its controller knows that it was. */
	if ((record->fail == FAIL_NONE || record->fail == FAIL_CANCELLED) && t->spec.kind == TASK_JOB)
		record->fail = FAIL_QUOTA;
}
