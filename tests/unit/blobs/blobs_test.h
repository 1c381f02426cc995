/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a new folder and short calls on it, for the tests of this room. */
#ifndef TESTS_UNIT_BLOBS_TEST_H
#define TESTS_UNIT_BLOBS_TEST_H

#include "unit/test.h"
#include "base/buf.h"
#include "base/mem.h"
#include "blobs/blobs.h"
#include "blobs/blobs_record.h"

#define ORG "team"
#define BUCKET "team"
#define OPTIONS(...) ((struct blob_put_options){__VA_ARGS__})

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
char *store_keys(struct blob_store *s, const char *prefix, const char *after, const char *delimiter,
		 size_t limit);
size_t count_files(const char *dir);				       /* data files of the store */
void store_damage(const char *dir, const char *file, off_t at);	       /* turns one bit over */
off_t find_bytes(const char *dir, const char *file, const char *text); /* where in the file; must be there */

#endif
