/* SPDX-License-Identifier: Apache-2.0 */
/* What a key may do: everything in its organisation, read it, read it and change the places of one job, or
 * read one place. */
#include "core/store_layout.h"
#include "s3/s3_int.h"

bool scope_may_write(const struct s3_request *r, const char *bucket, const char *key)
{
	if (!r->who.may_write || !r->who.writes)
		return r->who.may_write;
	for (char *const *address = r->who.writes; *address; address++)
		if (store_address_covers(*address, bucket, key))
			return true;
	return false;
}

/* What is listed is named by its prefix; other questions about a bucket have none. */
static bool may_read(const struct s3_request *r)
{
	if (!r->who.reads)
		return true;
	const char *prefix = request_query(r, "prefix");
	const char *key = *r->key ? r->key : prefix ? prefix : "";
	for (char *const *address = r->who.reads; *address; address++)
		if (store_address_covers(*address, r->bucket, key))
			return true;
	return false;
}

enum s3_error scope_check(const struct s3_request *r)
{
	const struct s3_operation *o = r->operation;
	if (!may_read(r))
		return S3_ACCESS_DENIED;
	if (!o->changes)
		return S3_OK;
	/* The body names the keys, each of which is asked for. */
	if (o->handle == delete_objects && r->who.may_write)
		return S3_OK;
	/* A bucket itself is beyond the places of a job: its key is "", which no address covers. */
	return scope_may_write(r, r->bucket, r->key) ? S3_OK : S3_ACCESS_DENIED;
}
