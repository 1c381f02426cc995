/* SPDX-License-Identifier: Apache-2.0 */
/* Which protocol an HTTP/1 request is for. */
#include <string.h>
#include "serving/http.h"

void http_handle(struct http_call *c)
{
	const char *metrics = c->server->metrics_path;

	if (metrics && (strcmp(c->path, "/metrics") == 0 || strcmp(c->path, metrics) == 0))
		metrics_handle(c);
	else if (strcmp(c->path, "/") == 0 || strncmp(c->path, "/page/", 6) == 0)
		page_handle(c);
	else if (!admin_rest_handle(c))
		tfs_rest_handle(c);
}
