/* SPDX-License-Identifier: Apache-2.0 */
/* Server-Sent Events. */
#include "net/sse.h"

#include <string.h>

void sse_event(struct buf *out, const char *name, const char *data)
{
	buf_printf(out, "event: %s\n", name);
	while (data) {
		size_t len = strcspn(data, "\r\n");
		buf_adds(out, "data: ");
		buf_add(out, data, len);
		buf_addc(out, '\n');
		if (!data[len])
			break;
		data += len + (data[len] == '\r' && data[len + 1] == '\n' ? 2 : 1);
	}
	buf_addc(out, '\n');
}

void sse_comment(struct buf *out, const char *text)
{
	buf_printf(out, ": %s\n\n", text);
}
