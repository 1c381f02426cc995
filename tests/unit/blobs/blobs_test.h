/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a new folder and short calls on it, for the tests of this room. */
#ifndef TESTS_UNIT_BLOBS_TEST_H
#define TESTS_UNIT_BLOBS_TEST_H

#include "unit/test.h"
#include "base/buf.h"
#include "base/mem.h"
#include "blobs/blobs.h"

#define ORG "team"
#define BUCKET "team"

/* Opens the store below 'dir' and makes BUCKET. Returns owned. */
struct blob_store *store_open(const char *dir);
void store_close(struct blob_store *s);
static inline void cleanup_store(struct blob_store **s)
{
	store_close(*s);
}
int store_put(struct blob_store *s, const char *key, const void *data, size_t len, struct err *err);
void store_puts(struct blob_store *s, const char *key, const char *text); /* must succeed */
/* Whole content; fails the test when what is read does not have the object's ETag. */
int store_get(struct blob_store *s, const char *key, struct buf *ret, struct err *err);
/* Keys of one page, joined by ' '; owned. '+' at the end when truncated. */
char *store_keys(struct blob_store *s, const char *prefix, const char *after, char delimiter, size_t limit);
size_t count_entries(const char *dir, const char *below); /* of a folder, "." and ".." not counted */

#endif
