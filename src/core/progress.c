/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the lines of a program's output together to progress, remaining time and series of metrics. */
#include "core/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "core/progress_line.h"

#define LINE_MAX_BYTES 4096
#define BAR_METRICS_EVERY_MS 1000
#define TEXT_METRICS 4

enum escape_state { ESCAPE_NO, ESCAPE_START, ESCAPE_CSI };

struct metric {
	char name[METRIC_NAME_MAX + 1];
	double value;
};

struct progress_watch {
	char line[LINE_MAX_BYTES + 1];
	size_t line_len;
	enum escape_state escape;

	int64_t epoch, epochs;
	int64_t step, total;  /* within the epoch when there are epochs */
	bool is_explicit;     /* the program says itself how far it is; guesses are over */
	double first_percent; /* with its time: base of the estimate */
	int64_t first_ms;
	int64_t bar_metrics_ms; /* when a bar's metrics were last handed out */
	struct metric metrics[PROGRESS_METRICS_MAX];
	size_t metric_count;

	struct progress now;
	bool changed;
};

struct progress_watch *progress_watch_new(void)
{
	struct progress_watch *w = MEM_NEW(struct progress_watch);
	w->now = PROGRESS_NONE;
	w->epoch = w->epochs = w->step = w->total = -1;
	w->first_percent = -1;
	w->bar_metrics_ms = -BAR_METRICS_EVERY_MS;
	return w;
}

void progress_watch_free(struct progress_watch *w)
{
	free(w);
}

static struct metric *metric_find(struct progress_watch *w, const char *name)
{
	for (size_t i = 0; i < w->metric_count; i++)
		if (strcmp(w->metrics[i].name, name) == 0)
			return &w->metrics[i];
	if (w->metric_count == PROGRESS_METRICS_MAX)
		return NULL;
	struct metric *m = &w->metrics[w->metric_count++];
	snprintf(m->name, sizeof(m->name), "%s", name);
	return m;
}

/* The abscissa of a line's metrics: steps over all epochs when both are known, so that one series has one
 * axis. */
static int64_t metric_step(const struct progress_watch *w, const struct line_facts *f)
{
	if (f->explicit_metric)
		return f->step;
	/* The line's own position is the watch's by now; a line without one is at the place reached before
	 * it. */
	if (w->step >= 0 && w->total > 0 && w->epoch > 0)
		return (w->epoch - 1) * w->total + w->step;
	return w->step >= 0 ? w->step : w->epoch;
}

static void take_metrics(struct progress_watch *w, const struct line_facts *f, int64_t now_ms,
			 void (*on_metric)(void *, const char *, int64_t, double), void *arg)
{
	bool unfinished_bar = f->is_bar && !(f->total > 0 && f->step == f->total);
	bool emit = !unfinished_bar || now_ms - w->bar_metrics_ms >= BAR_METRICS_EVERY_MS;
	if (unfinished_bar && emit && f->pair_count)
		w->bar_metrics_ms = now_ms;
	for (size_t i = 0; i < f->pair_count; i++) {
		struct metric *m = metric_find(w, f->pairs[i].name);
		if (!m)
			continue;
		m->value = f->pairs[i].value;
		if (emit && on_metric && isfinite(m->value))
			on_metric(arg, m->name, metric_step(w, f), m->value);
	}
}

static void take_position(struct progress_watch *w, const struct line_facts *f)
{
	if (f->epoch >= 0) {
		if (f->epoch != w->epoch)
			w->step = w->total = -1;
		w->epoch = f->epoch;
		if (f->epochs > 0)
			w->epochs = f->epochs;
	}
	if (f->step >= 0) {
		w->step = f->step;
		w->total = f->total;
	}
}

/* Part of the whole, -1 when unknown. */
static double whole_percent(const struct progress_watch *w, const struct line_facts *f)
{
	double part = f->percent >= 0 ? f->percent / 100 : -1;
	if (w->step >= 0 && w->total > 0)
		part = (double)w->step / (double)w->total;
	if (w->epochs > 0) {
		/* "Epoch 3/10" alone announces the epoch; with numbers beside it reports the epoch's end. */
		if (part < 0)
			part = f->epoch >= 0 && f->pair_count ? 1 : 0;
		double done = (double)(w->epoch > 0 ? w->epoch - 1 : 0) + part;
		return 100 * fmin(done / (double)w->epochs, 1);
	}
	/* Bars of epochs without a known number of them start over and over: no part of a whole. */
	return w->epoch >= 0 || part < 0 ? -1 : 100 * part;
}

static int64_t estimate_ms(struct progress_watch *w, double percent, int64_t now_ms)
{
	if (w->first_percent < 0 || percent < w->first_percent) {
		w->first_percent = percent;
		w->first_ms = now_ms;
		return -1;
	}
	double gained = percent - w->first_percent;
	int64_t elapsed_ms = now_ms - w->first_ms;
	if (gained < 0.5 || elapsed_ms < 1000)
		return -1;
	return (int64_t)fmin((double)elapsed_ms * (100 - percent) / gained, 1e15);
}

static void describe(struct progress_watch *w, struct progress *p)
{
	int len = 0;
	p->text[0] = '\0';
	const int cap = (int)sizeof(p->text);
	if (w->epoch >= 0 && w->epochs > 0)
		len = snprintf(p->text, sizeof(p->text), "epoch %lld/%lld", (long long)w->epoch,
			       (long long)w->epochs);
	else if (w->epoch >= 0)
		len = snprintf(p->text, sizeof(p->text), "epoch %lld", (long long)w->epoch);
	else if (w->step >= 0 && w->total > 0)
		len = snprintf(p->text, sizeof(p->text), "step %lld/%lld", (long long)w->step,
			       (long long)w->total);
	else if (w->step >= 0)
		len = snprintf(p->text, sizeof(p->text), "step %lld", (long long)w->step);
	for (size_t i = 0; i < w->metric_count && i < TEXT_METRICS; i++) {
		char part[METRIC_NAME_MAX + 40];
		int part_len = snprintf(part, sizeof(part), "%s%s %.4g", len ? "  " : "", w->metrics[i].name,
					w->metrics[i].value);
		if (len + part_len >= cap)
			break;
		memcpy(p->text + len, part, (size_t)part_len + 1);
		len += part_len;
	}
}

static void take_line(struct progress_watch *w, int64_t now_ms,
		      void (*on_metric)(void *, const char *, int64_t, double), void *arg)
{
	struct line_facts f;
	progress_line_parse(w->line, &f);
	bool position = f.epoch >= 0 || f.step >= 0 || f.percent >= 0;
	if (!position && !f.pair_count)
		return;
	if (!f.explicit_metric && !f.explicit_progress)
		take_position(w, &f);
	take_metrics(w, &f, now_ms, on_metric, arg);

	struct progress p = w->now;
	snprintf(p.phase, sizeof(p.phase), "running");
	if (f.explicit_progress) {
		w->is_explicit = true;
		p.percent = f.percent;
		p.eta_ms = estimate_ms(w, p.percent, now_ms);
	} else if (position && !f.explicit_metric && !w->is_explicit) {
		p.percent = whole_percent(w, &f);
		int64_t estimate = p.percent >= 0 ? estimate_ms(w, p.percent, now_ms) : -1;
		p.eta_ms = w->epochs < 0 && f.eta_ms >= 0 ? f.eta_ms : estimate;
	}
	bool in_epoch = w->step >= 0;
	p.step = in_epoch ? w->step : w->epoch;
	p.total = in_epoch ? w->total : w->epochs;
	describe(w, &p);
	if (memcmp(&p, &w->now, sizeof(p)) != 0) {
		w->now = p;
		w->changed = true;
	}
}

static void end_line(struct progress_watch *w, int64_t now_ms,
		     void (*on_metric)(void *, const char *, int64_t, double), void *arg)
{
	if (w->line_len == 0)
		return;
	w->line[w->line_len] = '\0';
	take_line(w, now_ms, on_metric, arg);
	w->line_len = 0;
}

/* True when the byte belongs to a control sequence (colours, cursor movement) and is dropped. */
static bool skip_escape(struct progress_watch *w, unsigned char c)
{
	switch (w->escape) {
	case ESCAPE_NO:
		if (c != 0x1b)
			return false;
		w->escape = ESCAPE_START;
		return true;
	case ESCAPE_START:
		w->escape = c == '[' ? ESCAPE_CSI : ESCAPE_NO;
		return true;
	case ESCAPE_CSI:
		/* Parameters and intermediates, then one final byte; a line's end inside is a broken
		 * sequence. */
		if (c == '\n' || c == '\r') {
			w->escape = ESCAPE_NO;
			return false;
		}
		if (c >= 0x40 && c <= 0x7e)
			w->escape = ESCAPE_NO;
		return true;
	}
	return false;
}

void progress_watch_feed(struct progress_watch *w, const char *data, size_t len, int64_t now_ms,
			 void (*on_metric)(void *arg, const char *name, int64_t step, double value),
			 void *arg)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];
		if (skip_escape(w, c))
			continue;
		if (c == '\n' || c == '\r' || c == '\b')
			end_line(w, now_ms, on_metric, arg);
		else if (c == '\t' || c >= 0x20) {
			if (w->line_len < LINE_MAX_BYTES)
				w->line[w->line_len++] = (char)c;
		}
	}
}

bool progress_watch_get(struct progress_watch *w, int64_t now_ms, struct progress *ret)
{
	*ret = w->now;
	bool changed = w->changed;
	w->changed = false;
	return changed;
}
