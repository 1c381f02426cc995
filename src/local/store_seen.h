/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was put into the store of a tree that still changes: which file, as it was, became which object. A
 * file is taken for the same when its number, size and times are; its program cannot set the time of its last
 * change (ctime). Not thread-safe: one pass at a time.
 */
#ifndef LOCAL_STORE_SEEN_H
#define LOCAL_STORE_SEEN_H

#include <sys/stat.h>
#include "local/store_copy.h"

struct store_seen *store_seen_new(void); /* returns owned */
void store_seen_free(struct store_seen *s);
bool store_seen_same(const struct stat *a, const struct stat *b);
/* The file of 'key' has not changed since it was put. With 'at' also: the object is still the one that was
 * put. */
bool store_seen_has(struct store_seen *s, const char *key, const struct stat *st,
		    const struct store_place *at);
/* keeps_times false: the last pass puts it again, whatever its times say. */
void store_seen_add(struct store_seen *s, const char *key, const struct stat *st, const char *etag,
		    bool keeps_times);
/* Begins the last pass, in which every file is marked that still exists. */
void store_seen_begin_last(struct store_seen *s);
void store_seen_mark(struct store_seen *s, const char *key);
/* Ends it: removes the objects whose files went meanwhile, unless somebody else has replaced them. */
int store_seen_end_last(struct store_seen *s, const struct store_place *at, struct err *err);

#endif
