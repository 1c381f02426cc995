/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to the index for threads that read, and looking one version up. */
#include "blobs/blobs_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

int reader_take(struct blobs *b, struct index **ret, struct err *err)
{
	struct index *ix = NULL;
	pthread_mutex_lock(&b->lock);
	if (b->reader_count)
		ix = b->readers[--b->reader_count];
	pthread_mutex_unlock(&b->lock);
	if (!ix) {
		CLEANUP(free) char *path = mem_printf("%s/index", b->root);
		CLEANUP(free) struct index *made = MEM_NEW(struct index);
		int r = index_open(path, false, made, err);
		if (r < 0)
			return r;
		ix = STEAL(made);
	}
	*ret = ix;
	return 0;
}

void reader_give(struct blobs *b, struct index *ix)
{
	if (!ix)
		return;
	pthread_mutex_lock(&b->lock);
	bool kept = b->reader_count < READERS_MAX;
	if (kept)
		b->readers[b->reader_count++] = ix;
	pthread_mutex_unlock(&b->lock);
	if (kept)
		return;
	index_close(ix);
	free(ix);
}

void version_format(uint64_t seq, unsigned flags, char ret[BLOB_VERSION_MAX + 1])
{
	if (flags & RECORD_NULL)
		snprintf(ret, BLOB_VERSION_MAX + 1, "%s", BLOB_NULL_VERSION);
	else
		snprintf(ret, BLOB_VERSION_MAX + 1, "%016llx", (unsigned long long)seq);
}

int row_object(const struct row *row, struct object *ret, struct err *err)
{
	int r = object_unpack((struct str){row->body.data, row->body.len}, ret, err);
	if (r < 0)
		return r;
	version_format(row->seq, row->flags, ret->info.version);
	ret->info.is_delete_marker = row->flags & RECORD_MARKER;
	return 0;
}

int reader_find(struct blobs *b, const struct bucket *bucket, const char *key, const char *version,
		struct row *ret_row, struct object *ret, struct err *err)
{
	struct index *ix = NULL;
	struct str name = str_from(key);
	int r = reader_take(b, &ix, err);
	if (r < 0)
		return r;
	r = index_find(ix, bucket->id, name, version, ret_row, err);
	CLEANUP(row) struct row newest = {0};
	bool is_latest = !version;
	if (r > 0 && version) {
		struct err ignored = ERR_INIT;
		is_latest = index_find(ix, bucket->id, name, NULL, &newest, &ignored) > 0 &&
			    newest.seq == ret_row->seq;
	}
	reader_give(b, ix);
	if (r < 0)
		return r;
	if (r > 0 && (ret_row->flags & RECORD_MARKER) && version)
		return err_set(err, ERR_METHOD, "version '%s' of '%s' is a delete marker", version, key);
	if (r == 0 || (ret_row->flags & RECORD_MARKER))
		return err_set(err, ERR_NOT_FOUND, "there is no object '%s'%s in bucket '%s'", key,
			       version ? " of that version" : "", bucket->name);
	r = row_object(ret_row, ret, err);
	ret->info.is_latest = is_latest;
	return r < 0 ? err_wrap(err, "object '%s'", key) : 0;
}
