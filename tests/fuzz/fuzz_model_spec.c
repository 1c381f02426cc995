/* SPDX-License-Identifier: Apache-2.0 */
/* A model's specification and its weights: what parses is formatted and parses to the same; an update with it
 * keeps the name. */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "core/service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_weights(const char *text)
{
	struct service_weight weights[SERVICE_VERSIONS_MAX];
	struct err err = ERR_INIT;
	int64_t sum = 0;
	int count = service_weights_parse(text, weights, &err);
	assert(count <= SERVICE_VERSIONS_MAX);
	for (int i = 0; i < count; i++)
		sum += weights[i].per_mille;
	assert(count <= 0 || sum == 1000);
	assert(count < 0 || service_weights_same_versions(text, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(json) json_t *j = NULL;
	CLEANUP(service) struct service *s = service_new(), *again = service_new(), *patched = service_new();
	CLEANUP(free) char *text = mem_strndup((const char *)data, size);
	struct err err = ERR_INIT;
	check_weights(text);
	if (json_parse((const char *)data, size, 65536, &j, &err) < 0)
		return 0;
	patched->spec.name = mem_strdup("m");
	patched->spec.uri = mem_strdup("fds://default/m/");
	if (service_spec_patch(&patched->spec, j, &err) >= 0)
		assert(!strcmp(patched->spec.name, "m") && (patched->spec.uri || patched->spec.job));
	if (service_spec_parse(j, &s->spec, &err) < 0)
		return 0;
	check_weights(s->spec.weights);
	CLEANUP(json) json_t *formatted = service_spec_format(&s->spec);
	assert(service_spec_parse(formatted, &again->spec, &err) >= 0);
	assert(service_spec_same_release(&s->spec, &again->spec));
	return 0;
}
