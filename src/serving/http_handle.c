/* SPDX-License-Identifier: Apache-2.0 */
/* Which protocol an HTTP/1 request is for. */
#include <stdlib.h>
#include <string.h>
#include "serving/http.h"
#include "serving/oip_route.h"

#define TIMEOUT_SECONDS_MAX 86400
#define NS_PER_MS 1000000

void http_handle(struct http_call *c)
{
	const char *metrics = c->server->metrics_path;

	if (metrics && (strcmp(c->path, "/metrics") == 0 || strcmp(c->path, metrics) == 0))
		metrics_handle(c);
	else if (strcmp(c->path, "/") == 0 || strncmp(c->path, "/page/", 6) == 0)
		page_handle(c);
	else if (oip_route_takes(c->path))
		oip_rest_handle(c);
	else if (!admin_rest_handle(c))
		tfs_rest_handle(c);
}

/* Bodies that carry tensors as bytes are messages like those of gRPC. */
size_t http_body_max(struct http_call *c)
{
	const struct serving_options *o = c->server->options;
	bool binary = oip_route_takes(c->path) && http_header(c, OIP_HEADER_LENGTH);

	return (size_t)(binary && o->message_bytes_max > o->json_bytes_max ? o->message_bytes_max
									   : o->json_bytes_max);
}

int http_timeout(struct http_call *c, int64_t *ms, struct err *err)
{
	const char *text = http_header(c, "Request-Timeout");
	char *end;
	double seconds;

	if (!text)
		return 0;
	seconds = strtod(text, &end);
	if (end == text || *end || !(seconds > 0) || seconds > TIMEOUT_SECONDS_MAX)
		return err_set(err, ERR_INVALID,
			       "Request-Timeout is '%.40s', must be a number of seconds up to %d", text,
			       TIMEOUT_SECONDS_MAX);
	*ms = seconds < 0.001 ? 1 : (int64_t)(seconds * 1000);
	return 0;
}

int64_t http_deadline(struct http_call *c)
{
	int64_t limit_ms = c->server->options->rest_timeout_ms, ms = limit_ms;

	http_timeout(c, &ms, NULL);
	return c->arrived_ns + (ms < limit_ms ? ms : limit_ms) * NS_PER_MS;
}
