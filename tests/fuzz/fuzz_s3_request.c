/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request's head through the reader and the verifier: the first line is "METHOD TARGET", the others are
 * "name: value". Whoever passes has a key that exists, a known form of payload and the headers signed.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "s3/s3_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ACCESS_KEY "AKIAIOSFODNN7EXAMPLE"
#define DAY_MS INT64_C(1369353600000) /* 2013-05-24T00:00:00Z */

static int64_t fixed(struct clock *c)
{
	return DAY_MS;
}

static int find_key(void *arg, const char *access_key, struct s3_key *ret, struct err *err)
{
	if (strcmp(access_key, ACCESS_KEY) != 0)
		return err_set(err, ERR_UNAUTHENTICATED, "no such key");
	*ret = (struct s3_key){
	    .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", .org = "o", .user = "u", .may_write = true};
	return 0;
}

static void add_header(struct s3_request *r, char *line)
{
	char *colon = strchr(line, ':');
	if (!colon)
		return;
	*colon = '\0';
	request_add_header(r, line, colon + 1 + strspn(colon + 1, " "));
}

static void check(struct s3_request *r)
{
	enum s3_error e = request_parse(r, r->x->target);
	if (e)
		return;
	assert(r->path[0] == '/' && r->bucket && r->key && strlen(r->key) <= BLOB_KEY_MAX);
	assert(r->query_count <= S3_PARAMS_MAX && r->header_count <= S3_HEADERS_MAX);
	if (sign_verify(r))
		return;
	assert(strcmp(r->access_key, ACCESS_KEY) == 0 && strcmp(r->who.org, "o") == 0);
	for (size_t i = 0; i < r->header_count && r->is_fds; i++)
		assert(strncmp(r->headers[i].name, "x-amz-", 6) ||
		       !strncmp(r->headers[i].name, "x-amz-meta-", 11));
	assert(r->payload <= S3_PAYLOAD_UNSIGNED_TRAILER);
	assert(r->is_fds || request_query(r, "AWSAccessKeyId") || strlen(r->signing.signature) == 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct clock clock = {.wall_ms = fixed, .monotonic_ms = fixed};
	struct s3 s3 = {.config = {.find_key = find_key, .domain = "s3.amazonaws.com", .clock = &clock}};
	struct http_exchange x = {.arena = ARENA_INIT(1 << 22)};
	struct s3_request r = {.s3 = &s3, .x = &x};
	CLEANUP(free) char *text = mem_strndup((const char *)data, size);
	char *rest = text, *line = strsep(&rest, "\n"), *target = strchr(line, ' ');
	if (target) {
		*target++ = '\0';
		x.method = line;
		x.target = target;
		while (rest)
			add_header(&r, strsep(&rest, "\n"));
		check(&r);
	}
	arena_done(&x.arena);
	return 0;
}
