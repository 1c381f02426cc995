/* SPDX-License-Identifier: Apache-2.0 */
/* What uv prints when it is no terminal's child, read line by line: how far the installation is, and why it
 * failed. */
#ifndef LOCAL_UV_PROGRESS_H
#define LOCAL_UV_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

#define UV_LINE_MAX 400
#define UV_LINES_KEPT 8

enum uv_phase { UV_RESOLVING, UV_DOWNLOADING, UV_INSTALLING, UV_COMPILING, UV_DONE };

struct uv_progress {
	enum uv_phase phase;
	int64_t resolved;	   /* packages; 0 until known */
	int64_t large, large_done; /* downloads worth a line of their own */
	int64_t large_bytes;	   /* their announced sizes together */
	int64_t prepared, installed;
	/* The last lines, cleaned, oldest first from 'oldest'. */
	char lines[UV_LINES_KEPT][UV_LINE_MAX];
	size_t line_count; /* ever seen, blank ones not counted */
	char partial[UV_LINE_MAX];
	size_t partial_len;
};

/* Feeds bytes as they arrive; a zeroed struct is the start. Lines past UV_LINE_MAX are cut. */
void uv_progress_feed(struct uv_progress *p, const char *data, size_t len);
void uv_progress_end(struct uv_progress *p); /* the last line may lack its newline */
/* The kept lines joined by blanks, wrapped text made whole again, ornaments dropped. Returns ret. */
const char *uv_progress_reason(const struct uv_progress *p, char *ret, size_t cap);
/* What a person can do about that failure; a constant. */
const char *uv_progress_hint(const struct uv_progress *p);

#endif
