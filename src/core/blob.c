/* SPDX-License-Identifier: Apache-2.0 */
/* What is common to every object store. */
#include "core/blob.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void blob_list_done(struct blob_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->entries[i].key);
		free(l->entries[i].upload_id);
	}
	free(l->entries);
	*l = (struct blob_list){0};
}

int blob_key_check(const char *key, struct err *err)
{
	size_t len = strlen(key);
	if (len == 0)
		return err_set(err, ERR_INVALID, "key is empty");
	if (len > BLOB_KEY_MAX)
		return err_set(err, ERR_INVALID, "key of %zu bytes is longer than %d", len, BLOB_KEY_MAX);
	/* Other keys could be written but never be named in a list. Jansson checks when it makes a string. */
	json_t *j = json_stringn(key, len);
	json_decref(j);
	return j ? 0 : err_set(err, ERR_INVALID, "key is not UTF-8");
}

int blob_put(struct blob_store *s, const char *org, const char *bucket, const char *key,
	     const struct blob_put_options *options, const void *data, size_t len, struct blob_info *ret,
	     struct err *err)
{
	struct blob_put *p = NULL;
	int r = s->ops->put_begin(s, org, bucket, key, options, &p, err);
	if (r < 0)
		return r;
	r = len ? s->ops->put_write(p, data, len, err) : 0;
	if (r < 0) {
		s->ops->put_abort(p);
		return r;
	}
	return s->ops->put_commit(p, ret, err);
}
