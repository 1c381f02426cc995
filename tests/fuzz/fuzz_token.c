/* SPDX-License-Identifier: Apache-2.0 */
/* Bearer tokens, and the days of questions about accounting: what is accepted has the shape that it should.
 */
#include <assert.h>
#include <string.h>
#include "base/mem.h"
#include "core/usage.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct err err = ERR_INIT;
	char id[STORE_KEY_ID_MAX + 1], sha256[65], back[USAGE_DATE_LEN + 1];
	int64_t day;
	CLEANUP(free) char *text = mem_strndup((const char *)data, size);
	if (store_token_parse(text, id, sha256, &err) >= 0) {
		size_t len = strlen(id);
		assert(strlen(text) < STORE_TOKEN_MAX && len > 0 && strlen(sha256) == 64);
		assert(!strncmp(text, "cml_", 4) && !strncmp(text + 4, id, len) && text[4 + len] == '_');
	}
	if (usage_parse_day("since", text, &day, &err) >= 0) {
		usage_format_day(day, back);
		assert(!strcmp(back, text) && day >= 0);
	}
	return 0;
}
