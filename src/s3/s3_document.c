/* SPDX-License-Identifier: Apache-2.0 */
/* What bodies of XML say: keys to be removed, parts of an upload, tags, versioning. */
#include "s3/s3_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

/* ---- tags ---- */

enum s3_error tag_add(json_t *tags, const char *name, const char *value)
{
	if (!*name || strlen(name) > 128 || strlen(value) > 256 || json_object_get(tags, name) ||
	    json_object_size(tags) == TAGS_MAX)
		return S3_INVALID_TAG;
	return json_object_set_new(tags, name, json_string(value)) < 0 ? S3_INVALID_TAG : S3_OK;
}

struct tag_reader {
	json_t *tags;
	char key[160], value[320];
	enum s3_error e;
};

static int tag_element(void *arg, const char *path, const char *text, bool end)
{
	struct tag_reader *t = arg;
	if (!end)
		return 0;
	if (text && strcmp(path, "Tagging/TagSet/Tag/Key") == 0)
		snprintf(t->key, sizeof(t->key), "%s", text);
	else if (text && strcmp(path, "Tagging/TagSet/Tag/Value") == 0)
		snprintf(t->value, sizeof(t->value), "%s", text);
	else if (strcmp(path, "Tagging/TagSet/Tag") == 0) {
		t->e = tag_add(t->tags, t->key, t->value);
		t->key[0] = t->value[0] = '\0';
		return t->e ? -1 : 0;
	} else if (strcmp(path, "Tagging") != 0 && strncmp(path, "Tagging/", 8) != 0)
		return -1;
	return 0;
}

enum s3_error document_tags(struct str body, json_t *tags)
{
	struct tag_reader t = {.tags = tags};
	struct err err = ERR_INIT;
	if (xml_read(body.data, body.len, tag_element, &t, &err) < 0)
		return t.e ? t.e : S3_MALFORMED_XML;
	return S3_OK;
}

/* ---- Delete ---- */

struct delete_reader {
	struct blob_removal *items;
	size_t count;
	bool quiet;
	struct arena *arena;
	const char *key, *version;
};

static int delete_element(void *arg, const char *path, const char *text, bool end)
{
	struct delete_reader *d = arg;
	if (!end)
		return 0;
	if (text && strcmp(path, "Delete/Object/Key") == 0)
		d->key = arena_strndup(d->arena, text, strlen(text));
	else if (text && strcmp(path, "Delete/Object/VersionId") == 0)
		d->version = arena_strndup(d->arena, text, strlen(text));
	else if (text && strcmp(path, "Delete/Quiet") == 0)
		d->quiet = strcmp(text, "true") == 0;
	else if (strcmp(path, "Delete/Object") == 0) {
		if (!d->key || d->count == DELETE_MAX)
			return -1;
		d->items[d->count++] = (struct blob_removal){
		    .key = d->key, .version = d->version && *d->version ? d->version : NULL};
		d->key = d->version = NULL;
	} else if (strcmp(path, "Delete") != 0 && strncmp(path, "Delete/", 7) != 0)
		return -1;
	return 0;
}

enum s3_error document_delete(struct str body, struct arena *arena, struct blob_removal *items,
			      size_t *ret_count, bool *ret_quiet)
{
	struct delete_reader d = {.items = items, .arena = arena};
	struct err err = ERR_INIT;
	if (xml_read(body.data, body.len, delete_element, &d, &err) < 0 || d.count == 0)
		return S3_MALFORMED_XML;
	*ret_count = d.count;
	*ret_quiet = d.quiet;
	return S3_OK;
}

/* ---- CompleteMultipartUpload ---- */

struct parts_reader {
	struct blob_part *parts;
	size_t count;
	struct blob_part part;
};

static int part_element(void *arg, const char *path, const char *text, bool end)
{
	static const char root[] = "CompleteMultipartUpload";
	struct parts_reader *c = arg;
	const char *name = path + sizeof(root) - 1;
	if (strncmp(path, root, sizeof(root) - 1) != 0)
		return -1;
	if (!end)
		return 0;
	if (text && strcmp(name, "/Part/PartNumber") == 0) {
		if (strlen(text) > 5 || strspn(text, "0123456789") != strlen(text))
			return -1;
		c->part.number = atoi(text);
	} else if (text && strcmp(name, "/Part/ETag") == 0) {
		size_t len = strlen(text);
		bool quoted = len >= 2 && text[0] == '"' && text[len - 1] == '"';
		if (len - 2 * quoted > BLOB_ETAG_MAX)
			return -1;
		snprintf(c->part.etag, sizeof(c->part.etag), "%.*s", (int)(len - 2 * quoted), text + quoted);
	} else if (text && strncmp(name, "/Part/Checksum", 14) == 0) {
		int n = snprintf(c->part.checksum, sizeof(c->part.checksum), "%s=%s", name + 14, text);
		if (n >= (int)sizeof(c->part.checksum))
			return -1;
	} else if (strcmp(name, "/Part") == 0) {
		if (c->count == BLOB_PART_MAX || !c->part.number || !*c->part.etag)
			return -1;
		c->parts[c->count++] = c->part;
		c->part = (struct blob_part){0};
	}
	return 0;
}

enum s3_error document_parts(struct str body, struct blob_part *parts, size_t *ret_count)
{
	struct parts_reader c = {.parts = parts};
	struct err err = ERR_INIT;
	if (xml_read(body.data, body.len, part_element, &c, &err) < 0 || c.count == 0)
		return S3_MALFORMED_XML;
	*ret_count = c.count;
	return S3_OK;
}

/* ---- VersioningConfiguration ---- */

static int versioning_element(void *arg, const char *path, const char *text, bool end)
{
	enum blob_versioning *v = arg;
	if (!end || strcmp(path, "VersioningConfiguration/Status") != 0)
		return 0;
	if (text && strcmp(text, "Enabled") == 0)
		*v = BLOB_VERSIONING_ON;
	else if (text && strcmp(text, "Suspended") == 0)
		*v = BLOB_VERSIONING_SUSPENDED;
	else
		return -1;
	return 0;
}

enum s3_error document_versioning(struct str body, enum blob_versioning *ret)
{
	struct err err = ERR_INIT;
	*ret = BLOB_VERSIONING_OFF;
	bool is_whole = xml_read(body.data, body.len, versioning_element, ret, &err) == 0;
	return is_whole && *ret != BLOB_VERSIONING_OFF ? S3_OK : S3_MALFORMED_XML;
}
