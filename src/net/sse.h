/* SPDX-License-Identifier: Apache-2.0 */
/* Server-Sent Events: the lines of one event (WHATWG HTML, 9.2). */
#ifndef NET_SSE_H
#define NET_SSE_H

#include "base/buf.h"

/* Appends "event: NAME", "data: …" (one line per line of data) and the empty line. 'data' NULL = no data
 * line, which a browser does not report. */
void sse_event(struct buf *out, const char *name, const char *data);
/* A comment that keeps proxies and half-open connections honest. */
void sse_comment(struct buf *out, const char *text);

#endif
