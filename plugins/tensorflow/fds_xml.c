/* SPDX-License-Identifier: Apache-2.0 */
/* XML by expat: a path of element names and the text of each element at its end. */
#include "fds_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <expat.h>
#include "base/buf.h"
#include "base/mem.h"
#include "fds_path.h"

#define DEPTH_MAX 8
#define TEXT_MAX 8192 /* of one element: a key of 1,024 bytes, encoded, has 3,072 */

struct reader {
	XML_Parser parser;
	char path[256]; /* "ListBucketResult/Contents/Key" */
	int depth;
	struct buf text;
	bool failed;
	/* At the end of every element, false = give up. The text may be changed. */
	bool (*element)(void *arg, const char *path, char *text);
	void *arg;
};

/* expat's one need of a C library newer than 2.34; it wants a salt for its hash, nothing secret. */
void arc4random_buf(void *data, size_t len);
void arc4random_buf(void *data, size_t len)
{
	if (getrandom(data, len, GRND_NONBLOCK) != (ssize_t)len)
		memset(data, 0, len);
}

static void give_up(struct reader *r)
{
	r->failed = true;
	XML_StopParser(r->parser, XML_FALSE);
}

static void on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *r = arg;
	const char *local = strrchr(name, ':');
	local = local ? local + 1 : name;
	size_t at = strlen(r->path), len = strlen(local);
	if (r->depth == DEPTH_MAX || at + len + 2 > sizeof(r->path)) {
		give_up(r);
		return;
	}
	if (r->depth++)
		r->path[at++] = '/';
	memcpy(r->path + at, local, len + 1);
	buf_clear(&r->text);
}

static void on_text(void *arg, const XML_Char *text, int len)
{
	struct reader *r = arg;
	if (r->text.len + (size_t)len > TEXT_MAX)
		give_up(r);
	else
		buf_add(&r->text, text, (size_t)len);
}

static void on_end(void *arg, const XML_Char *name)
{
	struct reader *r = arg;
	buf_reserve(&r->text, 0);
	if (!r->failed && !r->element(r->arg, r->path, r->text.data))
		give_up(r);
	char *slash = strrchr(r->path, '/');
	*(slash ? slash : r->path) = '\0';
	r->depth--;
	buf_clear(&r->text);
}

/* No answer of S3 has one; entities would come with it. */
static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system, const XML_Char *public,
		       int internal)
{
	give_up(arg);
}

static int read_xml(const char *text, size_t len, bool (*element)(void *arg, const char *path, char *text),
		    void *arg, struct err *err)
{
	struct reader r = {.element = element, .arg = arg, .parser = XML_ParserCreate("UTF-8")};
	if (!r.parser)
		return err_set(err, ERR_NO_MEMORY, "no memory for reading the store's answer");
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	bool ok = len <= FDS_XML_MAX && XML_Parse(r.parser, text, (int)len, 1) == XML_STATUS_OK && !r.failed;
	XML_ParserFree(r.parser);
	buf_done(&r.text);
	return ok ? 0 : err_set(err, ERR_BACKEND, "the store's answer is not the XML that was expected");
}

/* ---- lists ---- */

struct listing {
	struct fds_list *list;
	struct fds_entry entry; /* being read */
	bool is_list, encoded, truncated;
};

void fds_list_clear(struct fds_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->entries[i].key);
	free(l->entries);
	free(l->token);
	*l = (struct fds_list){0};
}

static bool push(struct listing *l)
{
	struct fds_list *list = l->list;
	if (!l->entry.key || list->count == FDS_PAGE_MAX)
		return false;
	if (list->count == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 64;
		list->entries = mem_realloc(list->entries, list->cap * sizeof(*list->entries));
	}
	list->entries[list->count++] = l->entry;
	l->entry = (struct fds_entry){0};
	return true;
}

static bool set_key(struct listing *l, const char *text, bool is_prefix)
{
	free(l->entry.key);
	l->entry.key = mem_strdup(text);
	l->entry.is_prefix = is_prefix;
	return text[0] != '\0';
}

/* "2026-11-25T10:00:00.000Z" */
static int64_t parse_time_ns(const char *text)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ns = 0, unit = 100000000;
	if (!rest)
		return 0;
	if (*rest == '.')
		for (rest++; *rest >= '0' && *rest <= '9' && unit; rest++, unit /= 10)
			ns += (*rest - '0') * unit;
	return (int64_t)timegm(&tm) * 1000000000 + ns;
}

static bool on_list_element(void *arg, const char *path, char *text)
{
	static const char root[] = "ListBucketResult";
	struct listing *l = arg;
	if (strncmp(path, root, sizeof(root) - 1) != 0)
		return false;
	path += sizeof(root) - 1;
	if (!*path) {
		l->is_list = true;
		return true;
	}
	path++;
	if (!strcmp(path, "Contents/Key"))
		return set_key(l, text, false);
	if (!strcmp(path, "CommonPrefixes/Prefix"))
		return set_key(l, text, true);
	if (!strcmp(path, "Contents/Size"))
		l->entry.size = strtoll(text, NULL, 10);
	else if (!strcmp(path, "Contents/LastModified"))
		l->entry.modified_ns = parse_time_ns(text);
	else if (!strcmp(path, "Contents") || !strcmp(path, "CommonPrefixes"))
		return push(l);
	else if (!strcmp(path, "EncodingType"))
		l->encoded = !strcmp(text, "url");
	else if (!strcmp(path, "IsTruncated"))
		l->truncated = !strcmp(text, "true");
	else if (!strcmp(path, "NextContinuationToken")) {
		free(l->list->token);
		l->list->token = mem_strdup(text);
	}
	return true;
}

static bool decode_keys(struct fds_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (!fds_decode(list->entries[i].key))
			return false;
	return true;
}

int fds_xml_list(const char *text, size_t len, struct fds_list *ret, struct err *err)
{
	struct listing l = {.list = ret};
	fds_list_clear(ret);
	int r = read_xml(text, len, on_list_element, &l, err);
	free(l.entry.key);
	if (r >= 0 && (!l.is_list || (l.truncated && !ret->token) || (l.encoded && !decode_keys(ret))))
		r = err_set(err, ERR_BACKEND, "the store's list is not as S3 has it");
	if (r >= 0 && !l.truncated) {
		free(ret->token);
		ret->token = NULL;
	}
	if (r < 0)
		fds_list_clear(ret);
	return r;
}

/* ---- single values ---- */

struct value {
	const char *path;
	char *ret;
	size_t cap;
	bool is_error, too_long;
	char code[64], message[256];
};

static void copy_text(char *ret, size_t cap, const char *text)
{
	snprintf(ret, cap, "%s", text);
	for (; *ret; ret++)
		if ((unsigned char)*ret < ' ' || *ret == 0x7f)
			*ret = '?';
}

static bool on_value_element(void *arg, const char *path, char *text)
{
	struct value *v = arg;
	if (!strcmp(path, "Error"))
		v->is_error = true;
	else if (!strcmp(path, "Error/Code"))
		copy_text(v->code, sizeof(v->code), text);
	else if (!strcmp(path, "Error/Message"))
		copy_text(v->message, sizeof(v->message), text);
	else if (v->path && !strcmp(path, v->path)) {
		v->too_long = strlen(text) >= v->cap;
		copy_text(v->ret, v->cap, text);
	}
	return true;
}

int fds_xml_value(const char *text, size_t len, const char *path, char *ret, size_t cap, struct err *err)
{
	struct value v = {.path = path, .ret = ret, .cap = cap};
	ret[0] = '\0';
	int r = read_xml(text, len, on_value_element, &v, err);
	if (r < 0)
		return r;
	if (v.is_error)
		return err_set(err, ERR_UNAVAILABLE, "the store said %s: %s", v.code, v.message);
	if (v.too_long)
		return err_set(err, ERR_BACKEND, "the store's %s is longer than %zu bytes", path, cap - 1);
	return 0;
}

void fds_xml_error(const char *text, size_t len, char code[64], char message[256])
{
	struct value v = {0};
	struct err ignored = ERR_INIT;
	code[0] = message[0] = '\0';
	if (read_xml(text, len, on_value_element, &v, &ignored) < 0)
		return;
	memcpy(code, v.code, sizeof(v.code));
	memcpy(message, v.message, sizeof(v.message));
}

/* ---- delete-many ---- */

struct deleted {
	size_t failed;
	bool is_result;
	char *code;
};

static bool on_deleted_element(void *arg, const char *path, char *text)
{
	struct deleted *d = arg;
	if (!strcmp(path, "DeleteResult"))
		d->is_result = true;
	else if (!strcmp(path, "DeleteResult/Error"))
		d->failed++;
	else if (!strcmp(path, "DeleteResult/Error/Code") && !d->failed)
		copy_text(d->code, 64, text);
	return true;
}

int fds_xml_deleted(const char *text, size_t len, size_t *ret_failed, char code[64], struct err *err)
{
	struct deleted d = {.code = code};
	code[0] = '\0';
	int r = read_xml(text, len, on_deleted_element, &d, err);
	if (r >= 0 && !d.is_result)
		r = err_set(err, ERR_BACKEND, "the store's answer to a deletion is not as S3 has it");
	*ret_failed = d.failed;
	return r;
}
