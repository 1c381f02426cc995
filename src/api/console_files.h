/* SPDX-License-Identifier: Apache-2.0 */
/* The console's files, embedded at build; the table is generated from web/. */
#ifndef API_CONSOLE_FILES_H
#define API_CONSOLE_FILES_H

#include <stdbool.h>
#include <stddef.h>

struct console_file {
	const char *path; /* "/index.html", "/assets/index-4f2a.js" */
	const char *content_type;
	const char *etag; /* quoted */
	const unsigned char *data;
	size_t len;
	bool gzip; /* data is compressed */
};
extern const struct console_file console_files[];
extern const size_t console_file_count;

#endif
