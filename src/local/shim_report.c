/* SPDX-License-Identifier: Apache-2.0 */
/* What the shim tells: status.json, the log, the metrics. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "local/shim_int.h"

#define STATUS_PAUSE_MS 200
#define SAMPLE_FAST_MS 50 /* until the program itself runs: stages are short */
#define SAMPLE_MS 1000
#define SAMPLES_DENSE 3600 /* one a second for an hour, then every tenth is kept */

static int64_t now_ms(void)
{
	return clock_monotonic_ns() / 1000000;
}

static void write_status(struct shim *s)
{
	struct err err = ERR_INIT;
	s->status_waits = false;
	s->status_written_ms = now_ms();
	if (folder_write_status(s->folder_fd, &s->status, &err) < 0)
		log_warn("shim.status error=\"%s\"", err.msg); /* a full disk: the next one may fit */
}

static void on_status_timer(void *arg)
{
	struct shim *s = arg;
	if (s->status_waits)
		write_status(s);
}

void shim_set_phase(struct shim *s, enum task_phase phase, const char *word)
{
	if (phase < s->status.phase)
		return;
	s->status.phase = phase;
	s->status.progress = PROGRESS_NONE;
	snprintf(s->status.progress.phase, sizeof(s->status.progress.phase), "%s", word);
	write_status(s);
}

void shim_set_progress(struct shim *s, const struct progress *p)
{
	s->status.progress = *p;
	if (s->status_waits)
		return;
	s->status_waits = true;
	int64_t due_ms = s->status_written_ms + STATUS_PAUSE_MS - now_ms();
	loop_timer_set(s->status_timer, due_ms > 0 ? due_ms : 0, 0);
}

static void on_metric(void *arg, const char *name, int64_t step, double value)
{
	struct shim *s = arg;
	task_series_add(&s->series, name, clock_wall_ms(&clock_real), step, value);
}

bool shim_take_output(struct shim *s, const char *data, size_t len)
{
	if (!task_log_write(&s->log, data, len)) {
		struct progress p = s->status.progress;
		snprintf(p.text, sizeof(p.text),
			 "the disk is full: the program waits until its log can be written");
		shim_set_progress(s, &p);
		return false;
	}
	if (!s->program_ran)
		return true;
	int64_t now_ms = clock_wall_ms(&clock_real);
	progress_watch_feed(s->progress, data, len, now_ms, on_metric, s);
	struct progress p = PROGRESS_NONE;
	if (!s->status_waits && progress_watch_get(s->progress, now_ms, &p)) {
		if (!p.phase[0])
			snprintf(p.phase, sizeof(p.phase), "running");
		shim_set_progress(s, &p);
	}
	return true;
}

void shim_sample(struct shim *s)
{
	struct container_stats stats;
	struct err err = ERR_INIT;
	if (!s->program_ran && s->spec.kind == TASK_JOB)
		return; /* called again when the program has been started */
	loop_timer_set(s->sample_timer, SAMPLE_MS, SAMPLE_MS);
	if (task_log_sync(&s->log, &err) < 0)
		log_warn("shim.log error=\"%s\"", err.msg);
	/* A percent that arrived while a status was waiting to be written. */
	struct progress p = PROGRESS_NONE;
	if (!s->status_waits && progress_watch_get(s->progress, clock_wall_ms(&clock_real), &p))
		shim_set_progress(s, &p);
	if (container_stats(s->spec.name, &stats, &err) < 0)
		return;
	s->cpu_usec = stats.cpu_usec;
	int64_t now = now_ms(), unix_ms = clock_wall_ms(&clock_real);
	bool keep = s->sample_count < SAMPLES_DENSE || s->sample_count % 10 == 0;
	if (s->sampled_ms && now > s->sampled_ms && keep) {
		double percent =
		    (double)(stats.cpu_usec - s->sampled_cpu_usec) / (double)(now - s->sampled_ms) / 10;
		task_series_add(&s->series, "cpu_percent", unix_ms, -1, round(percent * 10) / 10);
		task_series_add(&s->series, "memory_bytes", unix_ms, -1, (double)stats.memory_bytes);
	}
	if (!s->sampled_ms || keep) {
		s->sampled_ms = now;
		s->sampled_cpu_usec = stats.cpu_usec;
	}
	s->sample_count++;
}

void shim_sample_start(struct shim *s, void (*fn)(void *arg))
{
	s->sample_timer = loop_timer_new(s->loop, fn, s);
	loop_timer_set(s->sample_timer, SAMPLE_FAST_MS, SAMPLE_FAST_MS);
}

int shim_report_open(struct shim *s, struct err *err)
{
	s->progress = progress_watch_new();
	s->status_timer = loop_timer_new(s->loop, on_status_timer, s);
	s->series.fd = -1;
	int r = task_log_open(&s->log, s->folder_fd, TASK_LOG_BYTES_MAX, err);
	return r < 0 ? r : task_series_open(&s->series, s->folder_fd, err);
}

void shim_report_close(struct shim *s)
{
	progress_watch_free(s->progress);
	loop_timer_free(s->status_timer);
	loop_timer_free(s->sample_timer);
	task_log_close(&s->log);
	task_series_close(&s->series);
}
