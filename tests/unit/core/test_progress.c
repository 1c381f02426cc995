/* SPDX-License-Identifier: Apache-2.0 */
/* Progress and metrics from output: real captures and single lines, whole and cut anywhere. */
#include "unit/test.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include "base/fd.h"
#include "base/mem.h"
#include "core/progress.h"

struct seen {
	size_t count;
	char name[64]; /* of the last one */
	int64_t step;
	double value;
	int64_t loss_step; /* of the last metric named "loss" */
	size_t loss_count;
	bool backwards; /* a loss came with a smaller step than the one before */
};

static void note(void *arg, const char *name, int64_t step, double value)
{
	struct seen *s = arg;
	s->count++;
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->step = step;
	s->value = value;
	if (strcmp(name, "loss") == 0) {
		s->backwards |= s->loss_count && step < s->loss_step;
		s->loss_step = step;
		s->loss_count++;
	}
}

static void feed(struct progress_watch *w, const char *text, int64_t now_ms, struct seen *s)
{
	progress_watch_feed(w, text, strlen(text), now_ms, note, s);
}

static void cleanup_watch(struct progress_watch **w)
{
	progress_watch_free(*w);
}

TEST(single_lines_are_understood)
{
	static const struct {
		const char *line;
		double percent;
		int64_t step, total;
		const char *metric; /* the last one; NULL: none */
		double value;
	} rows[] = {
	    {"Epoch 3/10\n", 20, 3, 10, NULL, 0},
	    {"Epoch [3/10] loss=0.5\n", 30, 3, 10, "loss", 0.5},
	    {"epoch: 3/10, accuracy: 0.91\n", 30, 3, 10, "accuracy", 0.91},
	    {"step 100/1000\n", 10, 100, 1000, NULL, 0},
	    {"Step: 100/1000 - loss: 2e-3\n", 10, 100, 1000, "loss", 2e-3},
	    {"[12/100] lr=0.1\n", 12, 12, 100, "lr", 0.1},
	    {"120/469 ━━━━━ 2s 3ms/step - accuracy: 0.91 - loss: 0.3\n", 100 * 120 / 469.0, 120, 469, "loss",
	     0.3},
	    {"120/469 [====>.....] - ETA: 2s - loss: 0.3\r", 100 * 120 / 469.0, 120, 469, "loss", 0.3},
	    {" 45%|####  | 450/1000 [00:12<00:15, 36.2it/s, loss=0.3]\r", 45, 450, 1000, "loss", 0.3},
	    {"[10]\ttrain-rmse:0.31\teval-rmse:0.4\n", -1, 10, -1, "eval-rmse", 0.4},
	    {"Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.3\n", -1, 640, 60000, "Loss", 2.3},
	    {"Epoch 3:  45%|████ | 45/100 [00:01<00:01, 30it/s, v_num=0, loss=0.25]\r", -1, 45, 100, "loss",
	     0.25},
	    {"{'loss': 0.3, 'learning_rate': 5e-05, 'epoch': 1.2}\n", -1, -1, -1, "learning_rate", 5e-05},
	    {"cloudml: progress=0.4\n", 40, -1, -1, NULL, 0},
	    {"cloudml: metric anything=7 step=12\n", -1, -1, -1, "anything", 7},
	    {"held-out accuracy: 94.5%\n", -1, -1, -1, "accuracy", 94.5},
	    {"\x1b[1mEpoch 2/4\x1b[0m\n", 25, 2, 4, NULL, 0},
	    {"train:  88%|####| 35/40 [00:00<00:00, 47it/s]\r", 87.5, 35, 40, NULL, 0},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(watch) struct progress_watch *w = progress_watch_new();
		struct seen s = {0};
		struct progress p;
		feed(w, rows[i].line, 1000, &s);
		assert_true(progress_watch_get(w, 1000, &p));
		EXPECT_INT(rows[i].line, (int64_t)(p.percent * 1000), (int64_t)(rows[i].percent * 1000));
		EXPECT_INT(rows[i].line, p.step, rows[i].step);
		EXPECT_INT(rows[i].line, p.total, rows[i].total);
		if (rows[i].metric) {
			EXPECT_STR(rows[i].line, s.name, rows[i].metric);
			assert_true(s.value == rows[i].value);
		} else {
			EXPECT_INT(rows[i].line, (int64_t)s.count, 0);
		}
	}
}

TEST(other_lines_say_nothing)
{
	static const char *const lines[] = {
	    "listening on port: 8080\n",
	    "2026-01-31 10:00:00 ready\n",
	    "see docs/1/2 for more\n",
	    "epochs are long\n",
	    "loss of signal\n",
	    "10.0.0.1/24\n",
	    "time: 3s\n",
	    "cloudml: progress=1.5\n",
	    "cloudml: progress=nan\n",
	    "Epoch\n",
	    "1/0 ━━ 1s\n",
	    "99999999999999999999999/3 ━ 1s\n",
	    "steps: many\n",
	    "accuracy: high\n",
	    "/usr/lib/python3.11/site-packages\n",
	    "host=10.0.0.1\n",
	    "%|||\n",
	    "[a]\tb:c\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		CLEANUP(watch) struct progress_watch *w = progress_watch_new();
		struct seen s = {0};
		struct progress p;
		feed(w, lines[i], 0, &s);
		EXPECT_INT(lines[i], progress_watch_get(w, 0, &p), false);
		EXPECT_INT(lines[i], (int64_t)s.count, 0);
	}
}

TEST(a_change_is_reported_once)
{
	CLEANUP(watch) struct progress_watch *w = progress_watch_new();
	struct seen s = {0};
	struct progress p;
	assert_false(progress_watch_get(w, 0, &p));
	assert_true(p.percent == -1 && p.step == -1 && p.eta_ms == -1);
	feed(w, "Epoch 1/2\n", 0, &s);
	assert_true(progress_watch_get(w, 0, &p));
	assert_string_equal(p.phase, "running");
	assert_string_equal(p.text, "epoch 1/2");
	assert_false(progress_watch_get(w, 0, &p));
	feed(w, "Epoch 1/2\n", 0, &s);
	assert_false(progress_watch_get(w, 0, &p));
}

TEST(remaining_time_comes_from_the_speed_so_far)
{
	CLEANUP(watch) struct progress_watch *w = progress_watch_new();
	struct seen s = {0};
	struct progress p;
	feed(w, "Epoch 1/10\n", 10000, &s);
	feed(w, "Epoch 2/10\n", 20000, &s);
	assert_true(progress_watch_get(w, 20000, &p));
	assert_true(p.percent == 10);
	assert_int_equal(p.eta_ms, 90000);
}

TEST(a_single_bar_knows_its_own_remaining_time)
{
	CLEANUP(watch) struct progress_watch *w = progress_watch_new();
	struct seen s = {0};
	struct progress p;
	feed(w, "  5%|#   | 50/1000 [00:12<1:02:03, 36.2it/s]\r", 0, &s);
	progress_watch_get(w, 0, &p);
	assert_int_equal(p.eta_ms, 3723000);
}

TEST(what_the_program_says_itself_wins)
{
	CLEANUP(watch) struct progress_watch *w = progress_watch_new();
	struct seen s = {0};
	struct progress p;
	feed(w, "cloudml: progress=0.5\nstep 1/100\n", 0, &s);
	progress_watch_get(w, 0, &p);
	assert_true(p.percent == 50);
}

TEST(an_unfinished_line_waits_for_its_end)
{
	CLEANUP(watch) struct progress_watch *w = progress_watch_new();
	struct seen s = {0};
	struct progress p;
	feed(w, "Epoch 3/1", 0, &s);
	assert_false(progress_watch_get(w, 0, &p));
	feed(w, "0\n", 0, &s);
	assert_true(progress_watch_get(w, 0, &p));
	assert_int_equal(p.total, 10);
}

TEST(endless_lines_and_endless_names_are_bounded)
{
	CLEANUP(watch) struct progress_watch *w = progress_watch_new();
	struct seen s = {0};
	struct progress p;
	for (int i = 0; i < 100000; i++)
		feed(w, "xxxxxxxxxx", 0, &s);
	feed(w, "\nEpoch 1/2\n", 0, &s);
	assert_true(progress_watch_get(w, 0, &p));
	for (int i = 0; i < 10000; i++) {
		char line[64];
		snprintf(line, sizeof(line), "loss_%d: %d\n", i, i);
		feed(w, line, 0, &s);
	}
	assert_int_equal(s.count, PROGRESS_METRICS_MAX);
}

TEST(numbers_that_are_none_are_not_metrics)
{
	CLEANUP(watch) struct progress_watch *w = progress_watch_new();
	struct seen s = {0};
	struct progress p;
	feed(w, "step 1/2 loss: nan\n", 0, &s);
	assert_int_equal(s.count, 0);
	assert_true(progress_watch_get(w, 0, &p));
	assert_non_null(strstr(p.text, "nan"));
}

static void read_data(const char *name, struct buf *ret)
{
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_printf("%s/%s", CORE_TEST_DATA, name);
	EXPECT_OK(fd_read_file(AT_FDCWD, path, 1 << 20, ret, &err), &err);
}

/* Real output of three epochs of examples/digits into a pipe, Keras 3.15. */
TEST(keras_output_is_followed_to_the_end)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	read_data("keras-3.txt", &b);
	CLEANUP(watch) struct progress_watch *w = progress_watch_new();
	struct seen s = {0};
	struct progress p = PROGRESS_NONE;
	double last = -1;
	for (size_t i = 0; i < b.len; i++) {
		progress_watch_feed(w, b.data + i, 1, (int64_t)i * 10, note, &s);
		if (progress_watch_get(w, (int64_t)i * 10, &p)) {
			assert_true(p.percent >= last);
			last = p.percent;
		}
	}
	assert_true(p.percent == 100);
	assert_int_equal(p.step, 45);
	assert_int_equal(p.total, 45);
	assert_true(strncmp(p.text, "epoch 3/3  accuracy 0.9", 23) == 0);
	assert_int_equal(s.loss_step, 3 * 45);
	assert_false(s.backwards);
	assert_true(s.loss_count >= 3);
}

TEST(real_tqdm_and_xgboost_output_is_followed)
{
	CLEANUP(buf) struct buf bar = BUF_INIT, rounds = BUF_INIT;
	read_data("tqdm.txt", &bar);
	read_data("xgboost.txt", &rounds);
	CLEANUP(watch) struct progress_watch *w = progress_watch_new(), *x = progress_watch_new();
	struct seen s = {0}, t = {0};
	struct progress p;
	progress_watch_feed(w, bar.data, bar.len, 0, note, &s);
	assert_true(progress_watch_get(w, 0, &p));
	assert_true(p.percent == 100 && p.step == 40 && p.total == 40);
	assert_string_equal(p.text, "step 40/40  loss 0.025");
	assert_int_equal(s.loss_step, 40);
	progress_watch_feed(x, rounds.data, rounds.len, 0, note, &t);
	assert_true(progress_watch_get(x, 0, &p));
	assert_int_equal(p.step, 11);
	assert_int_equal(t.count, 24);
	assert_string_equal(t.name, "eval-mlogloss");
	assert_int_equal(t.step, 11);
}

TEST(where_the_bytes_are_cut_makes_no_difference)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	read_data("keras-3.txt", &b);
	CLEANUP(watch) struct progress_watch *whole = progress_watch_new();
	struct seen a = {0};
	struct progress p, q;
	progress_watch_feed(whole, b.data, b.len, 5, note, &a);
	progress_watch_get(whole, 5, &p);
	for (int round = 0; round < 50; round++) {
		CLEANUP(watch) struct progress_watch *w = progress_watch_new();
		struct seen s = {0};
		for (size_t at = 0; at < b.len;) {
			size_t n = 1 + rng_below(&test_rng, 200);
			n = n > b.len - at ? b.len - at : n;
			progress_watch_feed(w, b.data + at, n, 5, note, &s);
			at += n;
		}
		progress_watch_get(w, 5, &q);
		assert_int_equal(s.count, a.count);
		assert_string_equal(p.text, q.text);
		assert_true(p.percent == q.percent && p.step == q.step && p.eta_ms == q.eta_ms);
	}
}
