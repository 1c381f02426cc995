/* SPDX-License-Identifier: Apache-2.0 */
/* Job and model specifications: what is accepted formats to JSON that is accepted again and means the same.
 */
#include <assert.h>
#include <string.h>
#include "base/json.h"
#include "core/service.h"

static void check_job(const json_t *j)
{
	struct err err = ERR_INIT;
	struct job_spec s, again;
	job_spec_init(&s);
	job_spec_init(&again);
	if (job_spec_parse(j, &s, &err) == 0) {
		CLEANUP(json) json_t *first = job_spec_format(&s);
		int r = job_spec_parse(first, &again, &err);
		assert(r == 0);
		CLEANUP(json) json_t *second = job_spec_format(&again);
		assert(json_equal(first, second));
		assert(!s.module != !(s.command && s.command[0]));
		assert(core_name_check("name", s.name, &err) == 0);
		for (size_t i = 0; s.env && s.env[i]; i++)
			assert(strncmp(s.env[i], "LD_", 3) != 0 && strncmp(s.env[i], "CLOUDML_", 8) != 0);
		for (size_t i = 0; s.requirements && s.requirements[i]; i++)
			assert(s.requirements[i][0] != '-' && !strpbrk(s.requirements[i], "\r\n"));
		assert(s.limits.cpu_milli > 0 && s.limits.memory_bytes > 0 && s.limits.gpu >= 0);
	}
	job_spec_done(&s);
	job_spec_done(&again);
}

static void check_service(const json_t *j)
{
	struct err err = ERR_INIT;
	struct service_spec s, again;
	service_spec_init(&s);
	service_spec_init(&again);
	if (service_spec_parse(j, &s, &err) == 0) {
		CLEANUP(json) json_t *first = service_spec_format(&s);
		int r = service_spec_parse(first, &again, &err);
		assert(r == 0);
		CLEANUP(json) json_t *second = service_spec_format(&again);
		assert(json_equal(first, second));
	}
	service_spec_done(&s);
	service_spec_done(&again);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(json) json_t *j = NULL;
	if (json_parse((const char *)data, size, CORE_SPEC_BYTES_MAX, &j, &err) < 0)
		return 0;
	check_job(j);
	check_service(j);
	return 0;
}
