/* SPDX-License-Identifier: Apache-2.0 */
/* Flags of a model service; requests in the forms that people have. */
#include "cli/model_spec.h"

#include <stdlib.h>
#include <string.h>

#define DTYPE_SUFFIX "_dtype"

struct number_flag {
	const char *flag, *field;
	long long min;
};
static const struct number_flag numbers[] = {{"model-version", "model_version", 1},
					     {"replicas", "replicas", 1},
					     {"health-failures", "health_failures", 1}};
static const char *const texts[][2] = {{"cpu", "cpu"},
				       {"memory", "memory"},
				       {"weights", "weights"},
				       {"startup-grace", "startup_grace"},
				       {"health-interval", "health_interval"}};

static int add_number(const struct number_flag *f, const char *value, json_t *spec, struct err *err)
{
	char *end = NULL;
	long long n = strtoll(value, &end, 10);
	if (!*value || *end || n < f->min)
		return err_set(err, ERR_INVALID, "--%s needs a number from %lld, not '%s'", f->flag, f->min,
			       value);
	json_object_set_new(spec, f->field, json_integer(n));
	return 0;
}

int cli_model_spec(const struct cli_args *a, json_t *spec, struct err *err)
{
	const char *framework = cli_opt(a, "framework");
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (cli_opt(a, texts[i][0]))
			json_object_set_new(spec, texts[i][1], json_string(cli_opt(a, texts[i][0])));
	if (framework)
		cli_put_framework(spec, framework);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		const char *value = cli_opt(a, numbers[i].flag);
		int r = value ? add_number(&numbers[i], value, spec, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- requests ---- */

static const char *const dtypes[][2] = {
    {"float32", "DT_FLOAT"},	 {"float", "DT_FLOAT"},	  {"float64", "DT_DOUBLE"}, {"double", "DT_DOUBLE"},
    {"float16", "DT_HALF"},	 {"half", "DT_HALF"},	  {"int8", "DT_INT8"},	    {"int16", "DT_INT16"},
    {"int32", "DT_INT32"},	 {"int64", "DT_INT64"},	  {"uint8", "DT_UINT8"},    {"uint16", "DT_UINT16"},
    {"uint32", "DT_UINT32"},	 {"uint64", "DT_UINT64"}, {"string", "DT_STRING"},  {"bool", "DT_BOOL"},
    {"bfloat16", "DT_BFLOAT16"},
};

static const char *dtype_of(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
		if (!strcmp(word, dtypes[i][0]) || !strcmp(word, dtypes[i][1]))
			return dtypes[i][1];
	return NULL;
}

static bool has_dtypes(const json_t *j)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)j, key, value)
	{
		if (str_ends(key, DTYPE_SUFFIX) && json_is_string(value))
			return true;
	}
	return false;
}

static int check_dtype(const char *input, const char *word, const json_t *metadata, struct err *err)
{
	const json_t *all = json_object_get(
	    json_object_get(json_object_get(metadata, "metadata"), "signature_def"), "signature_def");
	const json_t *inputs = json_object_get(json_object_get(all, "serving_default"), "inputs");
	const char *dtype = dtype_of(word), *theirs = cli_str(json_object_get(inputs, input), "dtype");
	if (!dtype)
		return err_set(err, ERR_INVALID, "'%s%s' is '%s', which is no type of elements", input,
			       DTYPE_SUFFIX, word);
	if (*theirs && strcmp(theirs, dtype))
		return err_set(err, ERR_INVALID, "'%s%s' is '%s', but the model's input '%s' is %s", input,
			       DTYPE_SUFFIX, word, input, theirs);
	return 0;
}

/* {"x": …, "x_dtype": …} → {"inputs": {"x": …}} */
static json_t *named_inputs(const json_t *j, const json_t *metadata, struct err *err)
{
	json_t *inputs = json_object(), *value;
	const char *key;
	int r = 0;
	json_object_foreach((json_t *)j, key, value)
	{
		if (str_ends(key, DTYPE_SUFFIX) && json_is_string(value)) {
			CLEANUP(free) char *name = mem_strndup(key, strlen(key) - strlen(DTYPE_SUFFIX));
			if (!json_object_get(j, name))
				r = err_set(err, ERR_INVALID, "the request has '%s' and no '%s'", key, name);
			else
				r = check_dtype(name, json_string_value(value), metadata, err);
		} else {
			json_object_set(inputs, key, value);
		}
		if (r < 0) {
			json_decref(inputs);
			return NULL;
		}
	}
	return json_pack("{s:o}", "inputs", inputs);
}

json_t *cli_model_request(json_t *j, const json_t *metadata, struct err *err)
{
	if (json_is_array(j)) /* bare rows */
		return json_pack("{s:o}", "instances", j);
	if (!json_is_object(j) || !has_dtypes(j))
		return j;
	json_t *request = named_inputs(j, metadata, err);
	json_decref(j);
	return request;
}
