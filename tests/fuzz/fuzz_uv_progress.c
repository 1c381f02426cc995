/* SPDX-License-Identifier: Apache-2.0 */
/* uv's output: counts stay sane and the reason fits, however the bytes are cut. */
#include <assert.h>
#include <string.h>
#include "local/uv_progress.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct uv_progress whole = {0}, pieces = {0};
	char reason[120], other[120];
	const char *text = (const char *)data;
	uv_progress_feed(&whole, text, size);
	for (size_t i = 0; i < size; i++)
		uv_progress_feed(&pieces, text + i, 1);
	uv_progress_end(&whole);
	uv_progress_end(&pieces);
	assert(strlen(uv_progress_reason(&whole, reason, sizeof(reason))) < sizeof(reason));
	assert(strcmp(reason, uv_progress_reason(&pieces, other, sizeof(other))) == 0);
	assert(whole.large_done <= whole.large && whole.resolved >= 0 && whole.installed >= 0);
	assert(uv_progress_hint(&whole)[0]);
	return 0;
}
