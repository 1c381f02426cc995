/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads HTTP/1.1 answers from any source of bytes. Everything that the other side sizes has a limit; an
 * answer that could be read in two ways (two lengths, a length and chunks) is refused.
 */
#ifndef FDS_WIRE_H
#define FDS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "base/err.h"

#define FDS_HEAD_MAX (32 * 1024) /* bytes of status line and headers, trailers as well */
#define FDS_ETAG_MAX 128

struct fds_answer {
	int status;
	int64_t length; /* -1 = not said */
	bool chunked, close;
	int64_t total;			/* of the object, from Content-Range; -1 = not said */
	int64_t range_start, range_end; /* -1 = not said */
	int64_t modified_ns;		/* Unix time, 0 = not said */
	char etag[FDS_ETAG_MAX + 1];	/* with its quotes; "" = not said */
};

struct fds_wire {
	/* At least one byte, 0 at the end, or a negative error. */
	ssize_t (*read)(void *arg, void *data, size_t len, struct err *err);
	void *arg;
	size_t at, end; /* of the bytes that wait */
	size_t head_bytes;
	char waiting[16384];
};

/* Where a body goes: into 'into' as far as it has room, or into 'text'. A longer one is an error. */
struct fds_body {
	char *into;
	struct buf *text;
	size_t max, len;
};

/* Skips interim answers. ERR_BACKEND for what is no answer, ERR_UNAVAILABLE when the bytes end, or the
 * source's error. */
int fds_wire_head(struct fds_wire *w, struct fds_answer *ret, struct err *err);
/* The body of that answer, unless it has none (HEAD, 204, 304). May set close in 'a'. */
int fds_wire_body(struct fds_wire *w, struct fds_answer *a, bool is_head, struct fds_body *body,
		  struct err *err);

#endif
