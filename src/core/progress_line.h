/* SPDX-License-Identifier: Apache-2.0 */
/* What one line of a program's output says about its progress. Private to this room. */
#ifndef CORE_PROGRESS_LINE_H
#define CORE_PROGRESS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_PAIRS_MAX 16
#define METRIC_NAME_MAX 63

struct line_pair {
	char name[METRIC_NAME_MAX + 1];
	double value; /* may be NaN or infinite */
};

struct line_facts {
	bool explicit_progress; /* "cloudml: progress=…": percent holds it and nothing else is guessed */
	bool explicit_metric;	/* "cloudml: metric …" */
	bool is_bar;		/* a progress bar: one of many refreshes of the same thing */
	int64_t epoch, epochs;	/* -1 unknown; 'Epoch 3/10' */
	int64_t step, total;	/* -1 unknown; '120/469' */
	double percent;		/* -1 unknown; of the bar or explicit */
	int64_t eta_ms;		/* -1 unknown; as the bar says */
	struct line_pair pairs[LINE_PAIRS_MAX];
	size_t pair_count;
};

/* 'line' is NUL-terminated, without control sequences. */
void progress_line_parse(const char *line, struct line_facts *ret);

#endif
