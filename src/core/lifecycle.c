/* SPDX-License-Identifier: Apache-2.0 */
/* Life-cycle rules: JSON both ways, and which files make a checkpoint. */
#include "core/lifecycle.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"

#define KEY "lifecycle_rules"
#define ATTRIBUTES_MAX 16384 /* core/blob.h */

void lifecycle_done(struct lifecycle *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->rules[i].prefix);
	free(l->rules);
	*l = (struct lifecycle){0};
}

static void check_period(struct json_reader *r, const struct lifecycle_rule *rule, const char *name,
			 int64_t ms)
{
	if (ms && (ms < LIFECYCLE_EXPIRE_MIN_MS || ms > LIFECYCLE_EXPIRE_MAX_MS))
		json_reader_fail(r, "'%s' of '%s' is not between a minute and a hundred years", name,
				 rule->prefix);
}

static int parse_rule(const json_t *j, struct lifecycle *l, struct err *err)
{
	struct lifecycle_rule *rule = &l->rules[l->count++];
	struct json_reader r;
	if (!json_is_object(j))
		return err_set(err, ERR_INVALID, "a life-cycle rule is {\"prefix\": …, \"expire\": …}");
	json_reader_begin(&r, j, "a life-cycle rule");
	json_get_string(&r, "prefix", 1024, &rule->prefix);
	json_get_duration_ms(&r, "expire", &rule->expire_ms);
	json_get_duration_ms(&r, "noncurrent", &rule->noncurrent_ms);
	json_get_duration_ms(&r, "abort_uploads", &rule->abort_ms);
	json_get_int(&r, "keep_last", 1, 1000000, &rule->keep_last);
	if (!rule->prefix)
		rule->prefix = mem_strdup("");
	if (!rule->expire_ms && !rule->noncurrent_ms && !rule->abort_ms && !rule->keep_last)
		json_reader_fail(&r,
				 "the rule for '%s' removes nothing; give it 'expire', 'noncurrent', "
				 "'abort_uploads' or 'keep_last'",
				 rule->prefix);
	check_period(&r, rule, "expire", rule->expire_ms);
	check_period(&r, rule, "noncurrent", rule->noncurrent_ms);
	check_period(&r, rule, "abort_uploads", rule->abort_ms);
	for (size_t i = 0; i + 1 < l->count; i++)
		if (!strcmp(l->rules[i].prefix, rule->prefix))
			json_reader_fail(&r, "there are two rules for '%s'", rule->prefix);
	return json_reader_end(&r, err);
}

int lifecycle_parse(const json_t *list, struct lifecycle *ret, struct err *err)
{
	size_t i;
	const json_t *j;
	int r = 0;
	if (!json_is_array(list) || json_array_size(list) > LIFECYCLE_RULES_MAX)
		return err_set(err, ERR_INVALID, "life-cycle rules are a list of at most %d",
			       LIFECYCLE_RULES_MAX);
	ret->rules = mem_alloc((json_array_size(list) + 1) * sizeof(*ret->rules));
	ret->count = 0;
	json_array_foreach(list, i, j) if (r >= 0) r = parse_rule(j, ret, err);
	if (r < 0)
		lifecycle_done(ret);
	return r;
}

json_t *lifecycle_format(const struct lifecycle *l)
{
	json_t *list = json_array();
	for (size_t i = 0; i < l->count; i++) {
		const struct lifecycle_rule *rule = &l->rules[i];
		json_t *j = json_pack("{s:s}", "prefix", rule->prefix);
		if (rule->expire_ms)
			json_object_set_new(j, "expire", json_integer(rule->expire_ms / 1000));
		if (rule->noncurrent_ms)
			json_object_set_new(j, "noncurrent", json_integer(rule->noncurrent_ms / 1000));
		if (rule->abort_ms)
			json_object_set_new(j, "abort_uploads", json_integer(rule->abort_ms / 1000));
		if (rule->keep_last)
			json_object_set_new(j, "keep_last", json_integer(rule->keep_last));
		json_array_append_new(list, j);
	}
	return list;
}

static int read_attributes(const char *attributes, json_t **ret, struct err *err)
{
	int r = 0;
	if (!attributes || !*attributes)
		*ret = json_object();
	else
		r = json_parse(attributes, strlen(attributes), ATTRIBUTES_MAX, ret, err);
	if (r < 0 || !json_is_object(*ret))
		return err_set(err, ERR_CORRUPT, "the bucket's attributes cannot be read");
	return 0;
}

int lifecycle_of_bucket(const char *attributes, struct lifecycle *ret, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	int r = read_attributes(attributes, &j, err);
	const json_t *list = json_object_get(j, KEY);
	return r < 0 || !list ? r : lifecycle_parse(list, ret, err);
}

int lifecycle_into_bucket(const char *attributes, const struct lifecycle *l, char **ret, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	struct buf b = BUF_INIT;
	int r = read_attributes(attributes, &j, err);
	if (r < 0)
		return r;
	if (l->count)
		json_object_set_new(j, KEY, lifecycle_format(l));
	else
		json_object_del(j, KEY);
	if (json_object_size(j))
		json_write(j, &b);
	if (b.len > ATTRIBUTES_MAX) {
		buf_done(&b);
		return err_set(err, ERR_TOO_LARGE,
			       "the rules take more than the %d bytes there are for a bucket's settings",
			       ATTRIBUTES_MAX);
	}
	*ret = b.len ? buf_steal(&b) : mem_strdup("");
	return 0;
}

size_t lifecycle_checkpoint(const char *below)
{
	const char *slash = strchr(below, '/');
	size_t len = slash ? (size_t)(slash - below) : strlen(below);
	for (size_t i = 0; i < len; i++) {
		bool starts = i == 0 || strchr("-_.=", below[i - 1]);
		size_t end = i;
		while (end < len && isdigit((unsigned char)below[end]))
			end++;
		if (!starts || end == i)
			continue;
		/* Of a folder's name all is said; a file's may go on with suffixes. */
		if (slash ? end == len : end == len || below[end] == '.')
			return end;
		i = end;
	}
	return 0;
}
