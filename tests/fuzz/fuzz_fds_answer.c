/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP answers as TensorFlow's file system reads them: whole and byte by byte they read the same, within
 * their limits. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "fds_wire.h"

#define BODY_MAX 50000

struct source {
	const uint8_t *data;
	size_t len, at, step;
};

static ssize_t read_source(void *arg, void *data, size_t len, struct err *err)
{
	struct source *s = arg;
	size_t n = s->len - s->at;
	n = n > len ? len : n;
	n = n > s->step ? s->step : n;
	memcpy(data, s->data + s->at, n);
	s->at += n;
	return (ssize_t)n;
}

static int read_answer(const uint8_t *data, size_t size, size_t step, struct fds_answer *a, char *into,
		       size_t *ret_len)
{
	struct source source = {data, size, 0, step};
	struct err err = ERR_INIT;
	struct fds_wire *w = mem_alloc(sizeof(*w));
	struct fds_body b = {.into = into, .max = BODY_MAX};
	w->read = read_source;
	w->arg = &source;
	memset(a, 0, sizeof(*a));
	int r = fds_wire_head(w, a, &err);
	if (r >= 0)
		r = fds_wire_body(w, a, false, &b, &err);
	assert(r >= 0 || err.msg[0]);
	assert(b.len <= BODY_MAX);
	*ret_len = b.len;
	free(w);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fds_answer a, b;
	size_t a_len, b_len;
	char *whole = malloc(BODY_MAX), *bytes = malloc(BODY_MAX);
	int r = read_answer(data, size, size + 1, &a, whole, &a_len);
	int s = read_answer(data, size, 1, &b, bytes, &b_len);
	assert(r == s);
	if (r >= 0) {
		assert(a.status == b.status && a.total == b.total && !strcmp(a.etag, b.etag));
		assert(a_len == b_len && !memcmp(whole, bytes, a_len));
	}
	free(whole);
	free(bytes);
	return 0;
}
