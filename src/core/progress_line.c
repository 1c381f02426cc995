/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one line: Keras and tqdm bars, epoch and step counters, XGBoost rounds, name and value pairs. */
#include "core/progress_line.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/buf.h"
#include "base/mem.h"

#define COUNT_MAX 1000000000000000LL

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_char(char c)
{
	return is_alpha(c) || is_digit(c) || c == '.' || c == '/' || c == '@' || c == '-';
}

/* Digits only; false (and *p unmoved) when there are none or too many. */
static bool read_count(const char **p, int64_t *ret)
{
	const char *s = *p;
	int64_t value = 0;
	while (is_digit(*s) && value < COUNT_MAX)
		value = value * 10 + (*s++ - '0');
	if (s == *p || is_digit(*s))
		return false;
	*p = s;
	*ret = value;
	return true;
}

/* "N/M" with nothing glued to either side: not a date, a path or a rate. */
static bool read_fraction(const char **p, int64_t *ret_step, int64_t *ret_total)
{
	const char *s = *p;
	int64_t step, total;
	if (!read_count(&s, &step))
		return false;
	while (*s == ' ')
		s++;
	if (*s != '/')
		return false;
	s++;
	while (*s == ' ')
		s++;
	if (!read_count(&s, &total) || total == 0 || step > total)
		return false;
	if (*s == '/' || *s == '.' || *s == '-' || is_alpha(*s))
		return false;
	*p = s;
	*ret_step = step;
	*ret_total = total;
	return true;
}

/* "1:02:03", "00:15" */
static int64_t read_clock_ms(const char *s)
{
	int64_t total = 0, part;
	for (int i = 0; i < 3; i++) {
		if (!read_count(&s, &part) || part > 1000000)
			return -1;
		total = total * 60 + part;
		if (*s != ':')
			return i > 0 ? total * 1000 : -1;
		s++;
	}
	return -1;
}

/* Skips blanks and the punctuation between a word and its number. */
static const char *skip_to_number(const char *s)
{
	while (*s == ' ' || *s == ':' || *s == '=' || *s == '[' || *s == '(' || *s == '#')
		s++;
	return s;
}

/* A number after one of the words, at a word's start: "Epoch [3/10]", "step: 100". */
static void find_counter(const char *line, const char *const *words, int64_t *ret_step, int64_t *ret_total)
{
	for (const char *p = line; *p; p++) {
		if (p > line && (is_name_char(p[-1]) || p[-1] == '\'' || p[-1] == '"'))
			continue;
		for (size_t i = 0; words[i]; i++) {
			size_t len = strlen(words[i]);
			if (strncasecmp(p, words[i], len) != 0 || is_alpha(p[len]))
				continue;
			const char *s = skip_to_number(p + len);
			if (read_fraction(&s, ret_step, ret_total))
				return;
			const char *t = s;
			int64_t value;
			if (read_count(&t, &value) && *t != '.' && !is_alpha(*t) && *t != '/') {
				*ret_step = value;
				return;
			}
		}
	}
}

/* The bar of Keras: "120/469 ━━━━ 2s 3ms/step - …", older "120/469 [====>…] - ETA: 2s". */
static bool find_keras_bar(const char *line, struct line_facts *f)
{
	const char *s = line;
	while (*s == ' ')
		s++;
	int64_t step, total;
	if (!read_fraction(&s, &step, &total) || *s != ' ')
		return false;
	while (*s == ' ')
		s++;
	if (strncmp(s, "━", 3) != 0 && *s != '[')
		return false;
	f->is_bar = true;
	f->step = step;
	f->total = total;
	/* The first number after the bar is what is left, or what was taken when the bar is full. */
	const char *last = strrchr(s, ']');
	for (const char *next; (next = strstr(s, "━"));)
		s = next + 3;
	if (last && last > s)
		s = last + 1;
	while (*s && !is_digit(*s))
		s++;
	const char *number = s;
	int64_t value;
	if (step < total && read_count(&s, &value) && value < 100000000) {
		if (*s == 's')
			f->eta_ms = value * 1000;
		else if (*s == ':')
			f->eta_ms = read_clock_ms(number);
	}
	return true;
}

/* "45%|####  | 450/1000 [00:12<00:15, 36.2it/s, loss=0.3]" */
static bool find_tqdm_bar(const char *line, struct line_facts *f)
{
	const char *mark = strstr(line, "%|");
	if (!mark)
		return false;
	const char *start = mark;
	while (start > line && is_digit(start[-1]))
		start--;
	int64_t percent;
	const char *s = start;
	if (!read_count(&s, &percent) || s != mark || percent > 100)
		return false;
	f->is_bar = true;
	f->percent = (double)percent;
	const char *bar_end = strrchr(mark + 2, '|');
	if (!bar_end)
		return true;
	s = bar_end + 1;
	while (*s == ' ')
		s++;
	int64_t step, total;
	if (read_fraction(&s, &step, &total)) {
		f->step = step;
		f->total = total;
	}
	const char *left = strchr(s, '<');
	if (left)
		f->eta_ms = read_clock_ms(left + 1);
	return true;
}

/* "[12/100]" or "[640/60000 (1%)]" anywhere. */
static void find_bracket(const char *line, struct line_facts *f)
{
	for (const char *p = strchr(line, '['); p; p = strchr(p + 1, '[')) {
		const char *s = p + 1;
		while (*s == ' ')
			s++;
		int64_t step, total;
		if (read_fraction(&s, &step, &total) && (*s == ']' || *s == ' ')) {
			f->step = step;
			f->total = total;
			return;
		}
	}
}

/* XGBoost and LightGBM: "[10]\ttrain-rmse:0.31". */
static bool find_round(const char *line, struct line_facts *f)
{
	const char *s = line + 1;
	int64_t round;
	if (line[0] != '[' || !read_count(&s, &round) || s[0] != ']' || (s[1] != '\t' && s[1] != ' '))
		return false;
	if (!strpbrk(s, ":="))
		return false;
	f->step = round;
	return true;
}

/* Words that count or configure; they are not measurements. */
static bool is_counter_name(const char *name)
{
	static const char *const names[] = {"epoch", "epochs",	    "step",  "steps",	"iter",	 "iteration",
					    "batch", "eta",	    "time",  "seed",	"v_num", "pid",
					    "port",  "global_step", "total", "progress"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

/* Names that are measurements also on a line that says nothing else. */
static bool is_metric_name(const char *name)
{
	static const char *const parts[] = {"loss",	 "acc",	  "auc",	   "error",   "rmse",
					    "mse",	 "mae",	  "mape",	   "f1",      "recall",
					    "precision", "score", "perplexity",	   "ppl",     "bleu",
					    "reward",	 "iou",	  "learning_rate", "logloss", "r2"};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (strcasestr(name, parts[i]))
			return true;
	return strcmp(name, "lr") == 0;
}

static bool ends_value(char c)
{
	return c == '\0' || c == ' ' || c == '\t' || c == ',' || c == ']' || c == ')' || c == ';' ||
	       c == '|' || c == '}' || c == '%';
}

/* The value after a name: [quote] (":" or "=") number. NULL when it is none, else where it ends. */
static const char *read_value(const char *s, double *ret)
{
	if (*s == '\'' || *s == '"')
		s++;
	if (*s != ':' && *s != '=')
		return NULL;
	s++;
	while (*s == ' ')
		s++;
	if (*s == '+' || *s == '-' ? !(is_digit(s[1]) || s[1] == '.' || is_alpha(s[1]))
				   : !(is_digit(*s) || *s == '.' || strncasecmp(s, "nan", 3) == 0 ||
				       strncasecmp(s, "inf", 3) == 0))
		return NULL;
	char *end;
	double value = strtod(s, &end);
	/* "train: 88%|" is a bar and its title. */
	if (end == s || !ends_value(*end) || (end[0] == '%' && end[1] == '|'))
		return NULL;
	*ret = value;
	return end;
}

static void find_pairs(const char *line, struct line_facts *f, bool only_metrics)
{
	for (const char *p = line; *p && f->pair_count < LINE_PAIRS_MAX;) {
		if (!is_alpha(*p)) {
			/* A name does not begin inside a number such as "36.2it". */
			if (is_digit(*p))
				while (is_name_char(*p))
					p++;
			else
				p++;
			continue;
		}
		const char *start = p;
		while (is_name_char(*p))
			p++;
		struct line_pair *pair = &f->pairs[f->pair_count];
		size_t len = (size_t)(p - start);
		double value;
		const char *end = read_value(p, &value);
		if (!end)
			continue;
		p = end;
		if (len > METRIC_NAME_MAX)
			continue;
		memcpy(pair->name, start, len);
		pair->name[len] = '\0';
		pair->value = value;
		if (!is_counter_name(pair->name) && (!only_metrics || is_metric_name(pair->name)))
			f->pair_count++;
	}
}

/* "cloudml: progress=0.4" (a fraction) and "cloudml: metric loss=0.3 step=12". */
static bool find_explicit(const char *line, struct line_facts *f)
{
	if (!str_starts(line, "cloudml: "))
		return false;
	const char *s = line + 9;
	if (str_starts(s, "progress=")) {
		char *end;
		double value = strtod(s + 9, &end);
		if (end == s + 9 || !(value >= 0) || value > 1)
			return false;
		f->explicit_progress = true;
		f->percent = value * 100;
		return true;
	}
	if (!str_starts(s, "metric "))
		return false;
	static const char *const step_words[] = {"step", NULL};
	f->explicit_metric = true;
	find_counter(s, step_words, &f->step, &f->total);
	find_pairs(s + 7, f, false);
	return true;
}

void progress_line_parse(const char *line, struct line_facts *ret)
{
	static const char *const epoch_words[] = {"epoch", NULL};
	static const char *const step_words[] = {"step",	"iter",	 "iteration", "batch",
						 "global_step", "round", NULL};
	ret->explicit_progress = ret->explicit_metric = ret->is_bar = false;
	ret->epoch = ret->epochs = ret->step = ret->total = ret->eta_ms = -1;
	ret->percent = -1;
	ret->pair_count = 0;
	if (find_explicit(line, ret))
		return;
	find_counter(line, epoch_words, &ret->epoch, &ret->epochs);
	bool found = find_keras_bar(line, ret) || find_tqdm_bar(line, ret) || find_round(line, ret);
	if (!found) {
		find_counter(line, step_words, &ret->step, &ret->total);
		/* "Epoch [3/10]" is the epoch's bracket, not a step's. */
		if (ret->step < 0 && ret->epochs < 0)
			find_bracket(line, ret);
	}
	find_pairs(line, ret, !found && ret->epoch < 0 && ret->step < 0);
}
