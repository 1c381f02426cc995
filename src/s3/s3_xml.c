/* SPDX-License-Identifier: Apache-2.0 */
/* Writing answers and reading small documents. Reading is expat's. */
#include "s3/s3_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <expat.h>
#include "base/clock.h"
#include "base/mem.h"

#define DEPTH_MAX 8
#define TEXT_MAX 8192

static void escape(struct buf *b, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (c == '&')
			buf_adds(b, "&amp;");
		else if (c == '<')
			buf_adds(b, "&lt;");
		else if (c == '>')
			buf_adds(b, "&gt;");
		else if (c == '"')
			buf_adds(b, "&quot;");
		else if (c < 0x20) /* XML 1.0 has no such characters; clients ask for encoding-type=url */
			buf_printf(b, "&#x%X;", c);
		else
			buf_addc(b, (char)c);
	}
}

void xml_begin(struct buf *b, const char *root)
{
	buf_printf(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%s xmlns=\"" S3_XMLNS "\">", root);
}

void xml_open(struct buf *b, const char *name)
{
	buf_printf(b, "<%s>", name);
}

void xml_close(struct buf *b, const char *name)
{
	buf_printf(b, "</%s>", name);
}

void xml_text(struct buf *b, const char *name, const char *value)
{
	xml_open(b, name);
	escape(b, value);
	xml_close(b, name);
}

void xml_url(struct buf *b, const char *name, const char *value, bool encoded)
{
	if (!encoded) {
		xml_text(b, name, value);
		return;
	}
	xml_open(b, name);
	uri_encode(b, value, false);
	xml_close(b, name);
}

void xml_int(struct buf *b, const char *name, int64_t value)
{
	buf_printf(b, "<%s>%lld</%s>", name, (long long)value, name);
}

void xml_bool(struct buf *b, const char *name, bool value)
{
	xml_text(b, name, value ? "true" : "false");
}

void xml_time(struct buf *b, const char *name, int64_t ms)
{
	char text[32];
	clock_format(ms, text);
	xml_text(b, name, text);
}

void xml_etag(struct buf *b, const char *etag)
{
	buf_printf(b, "<ETag>&quot;%s&quot;</ETag>", etag);
}

struct reader {
	XML_Parser parser;
	xml_element_fn *fn;
	void *arg;
	char path[256];
	size_t path_len[DEPTH_MAX + 1];
	int depth;
	struct buf text;
	bool has_children[DEPTH_MAX + 1];
	int result;
};

static void stop(struct reader *w)
{
	w->result = -1;
	XML_StopParser(w->parser, XML_FALSE);
}

static void on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *w = arg;
	if (w->result < 0)
		return;
	const char *colon = strrchr(name, ':'); /* a name space's prefix means nothing to us */
	if (colon)
		name = colon + 1;
	size_t at = w->depth ? w->path_len[w->depth - 1] : 0;
	if (!*name || w->depth == DEPTH_MAX || at + strlen(name) + 2 > sizeof(w->path)) {
		stop(w);
		return;
	}
	if (w->depth)
		w->has_children[w->depth - 1] = true;
	at += (size_t)snprintf(w->path + at, sizeof(w->path) - at, "%s%s", w->depth ? "/" : "", name);
	w->path_len[w->depth] = at;
	w->has_children[w->depth++] = false;
	buf_clear(&w->text);
	if (w->fn(w->arg, w->path, NULL, false) < 0)
		stop(w);
}

static void on_end(void *arg, const XML_Char *name)
{
	struct reader *w = arg;
	if (w->result < 0) /* expat ends an empty element although its begin stopped the parser */
		return;
	w->depth--;
	w->path[w->path_len[w->depth]] = '\0';
	if (w->fn(w->arg, w->path, w->has_children[w->depth] ? NULL : buf_str(&w->text), true) < 0)
		stop(w);
	if (w->depth)
		w->path[w->path_len[w->depth - 1]] = '\0';
	buf_clear(&w->text);
}

static void on_text(void *arg, const XML_Char *s, int len)
{
	struct reader *w = arg;
	if (w->result < 0)
		return;
	if (w->text.len + (size_t)len > TEXT_MAX)
		stop(w);
	else
		buf_add(&w->text, s, (size_t)len);
}

/* No document needs one, and entities that name each other grow without end. */
static void on_doctype(void *arg, const XML_Char *name, const XML_Char *system, const XML_Char *public,
		       int internal)
{
	stop(arg);
}

int xml_read(const char *data, size_t len, xml_element_fn *fn, void *arg, struct err *err)
{
	struct reader w = {.fn = fn, .arg = arg};
	w.parser = XML_ParserCreate(NULL);
	if (!w.parser)
		return err_set(err, ERR_NO_MEMORY, "no memory for an XML parser");
	XML_SetUserData(w.parser, &w);
	XML_SetElementHandler(w.parser, on_start, on_end);
	XML_SetCharacterDataHandler(w.parser, on_text);
	XML_SetStartDoctypeDeclHandler(w.parser, on_doctype);
	if (XML_Parse(w.parser, data, (int)len, 1) != XML_STATUS_OK)
		w.result = -1;
	XML_ParserFree(w.parser);
	buf_done(&w.text);
	return w.result < 0 ? err_set(err, ERR_INVALID, "the XML cannot be understood") : 0;
}
