/* SPDX-License-Identifier: Apache-2.0 */
/* The S3 gateway's documents: every reader over every input; what is taken keeps to its limits. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "s3/s3_int.h"

static void read_cors(struct str body)
{
	struct arena arena = ARENA_INIT(1 << 20);
	cors_check(&arena, body);
	arena_done(&arena);
}

static void read_lifecycle(struct str body)
{
	struct lifecycle l = {0};
	if (document_lifecycle(body, &l) == S3_OK)
		assert(l.count > 0 && l.count <= LIFECYCLE_RULES_MAX);
	else
		assert(!l.rules);
	for (size_t i = 0; i < l.count; i++)
		assert(l.rules[i].prefix &&
		       (l.rules[i].expire_ms > 0 || l.rules[i].noncurrent_ms > 0 || l.rules[i].abort_ms > 0));
	lifecycle_done(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct path {
	size_t depth, begun, ended;
};

static size_t count_slashes(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += *s == '/';
	return n;
}

/* Elements are nested: each end belongs to the last begin. */
static int check_element(void *arg, const char *path, const char *text, bool end)
{
	struct path *p = arg;
	assert(path && *path && *path != '/' && strlen(path) < 256);
	if (!end) {
		assert(count_slashes(path) == p->depth && !text);
		p->depth++;
		p->begun++;
	} else {
		p->depth--;
		p->ended++;
		assert(count_slashes(path) == p->depth && p->ended <= p->begun);
	}
	return 0;
}

static void read_nesting(struct str body)
{
	struct path p = {0};
	struct err err = ERR_INIT;
	int r = xml_read(body.data, body.len, check_element, &p, &err);
	assert(r < 0 || (p.depth == 0 && p.begun == p.ended && p.begun > 0));
}

static void read_delete(struct str body)
{
	static struct blob_removal items[DELETE_MAX];
	struct arena arena = ARENA_INIT(1 << 22);
	size_t count = 0;
	bool quiet;
	if (document_delete(body, &arena, items, &count, &quiet) == S3_OK) {
		assert(count > 0 && count <= DELETE_MAX);
		for (size_t i = 0; i < count; i++)
			assert(strlen(items[i].key) <= 8192 && (!items[i].version || *items[i].version));
	}
	arena_done(&arena);
}

static void read_parts(struct str body)
{
	static struct blob_part parts[BLOB_PART_MAX];
	size_t count = 0;
	if (document_parts(body, parts, &count) != S3_OK)
		return;
	assert(count > 0 && count <= BLOB_PART_MAX);
	for (size_t i = 0; i < count; i++)
		assert(parts[i].number > 0 && parts[i].number < 100000 && *parts[i].etag);
}

static void read_tags(struct str body)
{
	json_t *tags = json_object();
	const char *name;
	json_t *value;
	if (document_tags(body, tags) == S3_OK) {
		assert(json_object_size(tags) <= TAGS_MAX);
		json_object_foreach(tags, name, value)
		    assert(*name && strlen(name) <= 128 && json_string_length(value) <= 256);
	}
	json_decref(tags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str body = {(const char *)data, size};
	enum blob_versioning v;
	read_nesting(body);
	read_delete(body);
	read_parts(body);
	read_tags(body);
	if (document_versioning(body, &v) == S3_OK)
		assert(v == BLOB_VERSIONING_ON || v == BLOB_VERSIONING_SUSPENDED);
	read_cors(body);
	read_lifecycle(body);
	return 0;
}
