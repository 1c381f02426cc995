/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text: what parses must write and parse again to the same value; the reader takes any object. */
#include <assert.h>
#include <string.h>
#include "base/json.h"

static void check_round_trip(const json_t *j)
{
	struct err err = ERR_INIT;
	CLEANUP(buf) struct buf compact = BUF_INIT, pretty = BUF_INIT;
	CLEANUP(json) json_t *again = NULL, *from_pretty = NULL;
	json_write(j, &compact);
	json_write_pretty(j, &pretty);
	int r = json_parse(compact.data, compact.len, SIZE_MAX, &again, &err);
	assert(r == 0 && json_equal(j, again));
	r = json_parse(pretty.data, pretty.len, SIZE_MAX, &from_pretty, &err);
	assert(r == 0 && json_equal(j, from_pretty));
}

static void read_fields(const json_t *j)
{
	struct json_reader r;
	struct err err = ERR_INIT;
	CLEANUP(free) char *name = NULL;
	CLEANUP(strings) char **args = NULL;
	int64_t n = 0, bytes = 0, ms = 0, milli = 0;
	bool on = false;
	double rate = 0;
	json_reader_begin(&r, j, "thing");
	json_get_string(&r, "name", 16, &name);
	json_get_int(&r, "count", -5, 5, &n);
	json_get_bool(&r, "on", &on);
	json_get_double(&r, "rate", &rate);
	json_get_bytes(&r, "bytes", &bytes);
	json_get_duration_ms(&r, "wait", &ms);
	json_get_cpu_milli(&r, "cpu", &milli);
	json_get_strings(&r, "args", 4, 8, &args);
	json_get_array(&r, "list", 4);
	json_get_object(&r, "inner");
	int result = json_reader_end(&r, &err);
	assert(result == -err.code);
	assert(n >= -5 && n <= 5 && bytes >= 0 && ms >= 0 && milli >= 0 && strings_count(args) <= 4);
	assert(!name || strlen(name) <= 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(json) json_t *j = NULL;
	int r = json_parse((const char *)data, size, 1 << 20, &j, &err);
	assert(r == -err.code && (r == 0) == (j != NULL));
	if (r < 0)
		return 0;
	check_round_trip(j);
	read_fields(j);
	return 0;
}
