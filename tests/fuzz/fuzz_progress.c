/* SPDX-License-Identifier: Apache-2.0 */
/* Output of programs: any bytes, cut anywhere, give the same bounded progress. */
#include <assert.h>
#include <math.h>
#include <string.h>
#include "core/progress.h"

struct seen {
	size_t count;
	double sum;
};

static void note(void *arg, const char *name, int64_t step, double value)
{
	struct seen *s = arg;
	assert(name[0] && strlen(name) <= 63 && step >= -1 && isfinite(value));
	s->count++;
	s->sum = s->sum * 0.5 + value;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct progress_watch *whole = progress_watch_new(), *cut = progress_watch_new();
	struct seen a = {0}, b = {0};
	struct progress p, q;
	progress_watch_feed(whole, (const char *)data, size, 7, note, &a);
	for (size_t i = 0; i < size; i++)
		progress_watch_feed(cut, (const char *)data + i, 1, 7, note, &b);
	bool changed = progress_watch_get(whole, 7, &p);
	assert(changed == progress_watch_get(cut, 7, &q));
	assert(a.count == b.count && (a.sum == b.sum || isnan(a.sum)));
	assert(p.percent == q.percent && p.step == q.step && p.total == q.total &&
	       strcmp(p.text, q.text) == 0);
	assert(p.percent == -1 || (p.percent >= 0 && p.percent <= 100));
	assert(p.step >= -1 && p.total >= -1 && p.eta_ms >= -1);
	assert(memchr(p.text, '\0', sizeof(p.text)));
	progress_watch_free(whole);
	progress_watch_free(cut);
	return 0;
}
