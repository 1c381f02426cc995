/* SPDX-License-Identifier: Apache-2.0 */
/* Reader of the plan of cloudml-init. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "main/init_plan.h"

struct cursor {
	char *at, *end;
};

static char *cursor_field(struct cursor *c)
{
	char *nul = c->at < c->end ? memchr(c->at, 0, (size_t)(c->end - c->at)) : NULL;
	if (!nul)
		return NULL;
	char *field = c->at;
	c->at = nul + 1;
	return field;
}

static bool cursor_number(struct cursor *c, long max, long *ret)
{
	char *field = cursor_field(c), *end;
	if (!field || *field < '0' || *field > '9')
		return false;
	errno = 0;
	long n = strtol(field, &end, 10);
	if (*end || errno || n > max)
		return false;
	*ret = n;
	return true;
}

static const char *parse_stage(struct cursor *c, struct init_plan *p)
{
	if (p->stage_count == INIT_PLAN_STAGES_MAX)
		return "too many stages";
	struct init_stage *s = &p->stages[p->stage_count];
	long always, count;
	s->name = cursor_field(c);
	if (!s->name || !*s->name || !cursor_number(c, 1, &always))
		return "a stage without a name";
	s->always = always;
	s->cwd = cursor_field(c);
	if (!s->cwd || !cursor_number(c, INIT_PLAN_ARGS_MAX, &count) || count == 0)
		return "a stage without arguments";
	if (p->arg_count + (size_t)count + 1 > INIT_PLAN_ARGS_MAX + INIT_PLAN_STAGES_MAX)
		return "too many arguments";
	s->argv = &p->args[p->arg_count];
	for (long i = 0; i < count; i++) {
		s->argv[i] = cursor_field(c);
		if (!s->argv[i])
			return "a stage with fewer arguments than it says";
	}
	s->argv[count] = NULL;
	p->arg_count += (size_t)count + 1;
	p->stage_count++;
	return NULL;
}

static bool parse_setting(struct cursor *c, const char *word, struct init_plan *p)
{
	const struct {
		const char *word;
		int *value;
	} descriptors[] = {
	    {"fds", &p->fds}, {"record", &p->record}, {"gate", &p->gate},
	    {"oom", &p->oom}, {"peak", &p->peak},     {"event", &p->event},
	};
	if (strcmp(word, "grace") == 0)
		return cursor_number(c, LONG_MAX / 2, &p->grace_ms);
	for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++) {
		if (strcmp(word, descriptors[i].word) != 0)
			continue;
		long n;
		if (!cursor_number(c, 1023, &n))
			return false;
		*descriptors[i].value = (int)n;
		return true;
	}
	return false;
}

const char *init_plan_parse(char *data, size_t len, struct init_plan *ret)
{
	struct cursor c = {data, data + len};
	memset(ret, 0, sizeof(*ret));
	ret->record = ret->gate = ret->oom = ret->peak = ret->event = -1;
	const char *magic = cursor_field(&c), *version = cursor_field(&c);
	if (!magic || strcmp(magic, "cloudml-init-plan") != 0)
		return "not a plan";
	if (!version || strcmp(version, "1") != 0)
		return "a plan of another version";
	for (;;) {
		const char *word = cursor_field(&c);
		if (!word)
			return "a plan without its end";
		if (strcmp(word, "end") == 0)
			break;
		if (strcmp(word, "stage") == 0) {
			const char *wrong = parse_stage(&c, ret);
			if (wrong)
				return wrong;
		} else if (!parse_setting(&c, word, ret)) {
			return "an unknown word or a bad number";
		}
	}
	if (ret->record < 0)
		return "a plan without a record";
	return NULL;
}
