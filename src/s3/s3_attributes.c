/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What S3 keeps with an object, as JSON in the store's attributes: {"h": {header: value}, "t": {tag: value},
 * "c": ["CRC32", base64, type]}.
 */
#include "s3/s3_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"

#define META_BYTES_MAX 2048 /* of all x-amz-meta- headers, as S3 */

static const char *const kept[] = {"cache-control",    "content-disposition",
				   "content-encoding", "content-language",
				   "expires",	       "x-amz-website-redirect-location"};

/* aws-chunked says how the request came, not what the object is. */
static char *strip_chunked(const char *value)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	while (*value) {
		value += strspn(value, " ,");
		size_t len = strcspn(value, ","), end = len;
		while (end && value[end - 1] == ' ')
			end--;
		if (end && !(end == 11 && strncasecmp(value, "aws-chunked", 11) == 0))
			buf_printf(&b, "%s%.*s", b.len ? "," : "", (int)end, value);
		value += len;
	}
	return b.len ? buf_steal(&b) : NULL;
}

static bool is_kept(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (strcmp(kept[i], name) == 0)
			return true;
	return strncmp(name, "x-amz-meta-", 11) == 0;
}

json_t *attributes_of_request(const struct s3_request *r, enum s3_error *ret_error)
{
	json_t *headers = json_object(), *j = json_object();
	size_t meta = 0;
	*ret_error = S3_OK;
	for (size_t i = 0; i < r->header_count; i++) {
		const struct s3_pair *h = &r->headers[i];
		if (!is_kept(h->name))
			continue;
		bool is_encoding = strcmp(h->name, "content-encoding") == 0;
		CLEANUP(free) char *value = is_encoding ? strip_chunked(h->value) : mem_strdup(h->value);
		if (strncmp(h->name, "x-amz-meta-", 11) == 0)
			meta += strlen(h->name) - 11 + strlen(h->value);
		json_t *text = value ? json_string(value) : NULL;
		if (value && !text) /* bytes that are no UTF-8: kept as Latin-1 would be a guess */
			*ret_error = S3_INVALID_ARGUMENT;
		if (text)
			json_object_set_new(headers, h->name, text);
	}
	if (meta > META_BYTES_MAX)
		*ret_error = S3_INVALID_REQUEST;
	if (json_object_size(headers))
		json_object_set_new(j, "h", headers);
	else
		json_decref(headers);
	return j;
}

char *attributes_text(json_t *j)
{
	if (!json_object_size(j))
		return NULL;
	CLEANUP(buf) struct buf b = BUF_INIT;
	json_write(j, &b);
	return buf_steal(&b);
}

void attributes_reply(struct s3_request *r, const char *attributes, bool with_checksum)
{
	CLEANUP(json) json_t *j = attributes && *attributes ? json_loads(attributes, 0, NULL) : NULL;
	const char *name;
	json_t *value;
	json_object_foreach(json_object_get(j, "h"), name, value)
	{
		bool is_meta = strncmp(name, "x-amz-meta-", 11) == 0;
		const char *shown =
		    r->is_fds && is_meta ? arena_printf(&r->x->arena, "x-xiaomi-meta-%s", name + 11) : name;
		http_reply_header(r->x, shown, json_string_value(value));
	}
	size_t tags = json_object_size(json_object_get(j, "t"));
	if (tags)
		http_reply_header(r->x, "x-amz-tagging-count", arena_printf(&r->x->arena, "%zu", tags));
	json_t *checksum = json_object_get(j, "c");
	const char *kind = json_string_value(json_array_get(checksum, 0));
	if (!with_checksum || !kind)
		return;
	char lower[16] = "";
	for (size_t i = 0; kind[i] && i < sizeof(lower) - 1; i++)
		lower[i] = (char)(kind[i] | 0x20); /* digits have the bit already */
	http_reply_header(r->x, arena_printf(&r->x->arena, "x-amz-checksum-%s", lower),
			  json_string_value(json_array_get(checksum, 1)));
	http_reply_header(r->x, "x-amz-checksum-type", json_string_value(json_array_get(checksum, 2)));
}

void attributes_checksum(struct buf *b, struct s3_request *r, const char *attributes)
{
	CLEANUP(json) json_t *j = attributes && *attributes ? json_loads(attributes, 0, NULL) : NULL;
	json_t *checksum = json_object_get(j, "c");
	const char *kind = json_string_value(json_array_get(checksum, 0));
	if (!kind)
		return;
	xml_open(b, "Checksum");
	xml_text(b, arena_printf(&r->x->arena, "Checksum%s", kind),
		 json_string_value(json_array_get(checksum, 1)));
	xml_text(b, "ChecksumType", json_string_value(json_array_get(checksum, 2)));
	xml_close(b, "Checksum");
}
