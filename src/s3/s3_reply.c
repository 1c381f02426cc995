/* SPDX-License-Identifier: Apache-2.0 */
/* Answers, errors above all. */
#include "s3/s3_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

static const struct {
	const char *word, *text;
	int status;
} errors[] = {[S3_OK] = {"", "", 200},
#define S3_ERROR_ROW(id, word, status, text) [id] = {word, text, status},
	      S3_ERROR_TABLE(S3_ERROR_ROW)
#undef S3_ERROR_ROW
};

int s3_status(enum s3_error e)
{
	return errors[e].status;
}

const char *error_word(enum s3_error e)
{
	return errors[e].word;
}

void request_free(struct s3_request *r)
{
	json_decref(r->attributes);
	strings_free(r->who.writes);
	strings_free(r->who.reads);
	explicit_bzero(r->who.secret, sizeof(r->who.secret));
	free(r->work);
	free(r);
}

void reply_headers(struct s3_request *r)
{
	http_reply_header(r->x, "x-amz-request-id", r->id);
	http_reply_header(r->x, "Server", "cloudml");
	cors_reply(r);
}

void reply_xml(struct s3_request *r, int status, struct buf *xml)
{
	reply_headers(r);
	http_reply_buf(r->x, status, "application/xml", xml);
	request_free(r);
}

void reply_empty(struct s3_request *r, int status)
{
	if (r->is_fds && status == 204)
		status = 200;
	reply_headers(r);
	http_reply_empty(r->x, status);
	request_free(r);
}

void reply_error(struct s3_request *r, enum s3_error e, const char *text)
{
	struct buf b = BUF_INIT;
	if (errors[e].status >= 500)
		log_warn("s3.error code=%s method=%s target=\"%s\" message=\"%s\"", errors[e].word,
			 r->x->method, r->x->target, text ? text : errors[e].text);
	if (e == S3_NOT_MODIFIED || strcmp(r->x->method, "HEAD") == 0) {
		reply_empty(r, errors[e].status);
		return;
	}
	if (e == S3_SLOW_DOWN || e == S3_UNAVAILABLE)
		http_reply_header(r->x, "Retry-After", "1");
	if (r->is_fds) {
		CLEANUP(json)
		json_t *j = json_pack("{s:s, s:s, s:s}", "code", errors[e].word, "message",
				      text && *text ? text : errors[e].text, "requestId", r->id);
		json_write(j, &b);
		reply_headers(r);
		http_reply_buf(r->x, errors[e].status, "application/json", &b);
		request_free(r);
		return;
	}
	buf_adds(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
	xml_text(&b, "Code", errors[e].word);
	xml_text(&b, "Message", text && *text ? text : errors[e].text);
	xml_text(&b, "Resource", r->path ? r->path : "/");
	xml_text(&b, "RequestId", r->id);
	xml_close(&b, "Error");
	reply_xml(r, errors[e].status, &b);
}

enum s3_error error_of(const struct err *err, enum s3_error not_found)
{
	switch (err->code) {
	case 0:
		return S3_OK;
	case ERR_NOT_FOUND:
		return not_found;
	case ERR_DENIED:
		return S3_ACCESS_DENIED;
	case ERR_STATE:
		return S3_PRECONDITION_FAILED;
	case ERR_INVALID:
		return S3_INVALID_ARGUMENT;
	case ERR_TOO_LARGE:
		return S3_ENTITY_TOO_LARGE;
	case ERR_EXISTS:
		return S3_BUCKET_EXISTS;
	case ERR_METHOD:
		return S3_METHOD_NOT_ALLOWED;
	case ERR_QUOTA:
		return S3_QUOTA;
	case ERR_DISK_FULL:
		return S3_DISK_FULL;
	case ERR_BUSY:
	case ERR_LIMIT:
		return S3_SLOW_DOWN;
	case ERR_UNAVAILABLE:
		return S3_UNAVAILABLE;
	default:
		return S3_INTERNAL;
	}
}

void reply_err(struct s3_request *r, const struct err *err, enum s3_error not_found)
{
	/* The store says which of the two is missing. */
	if (err->code == ERR_NOT_FOUND && strstr(err->msg, "no bucket"))
		not_found = S3_NO_SUCH_BUCKET;
	else if (err->code == ERR_NOT_FOUND && strstr(err->msg, "no upload"))
		not_found = S3_NO_SUCH_UPLOAD;
	else if (err->code == ERR_NOT_FOUND && request_query(r, "versionId"))
		not_found = S3_NO_SUCH_VERSION;
	reply_error(r, error_of(err, not_found), err->msg);
}
