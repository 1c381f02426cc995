/* SPDX-License-Identifier: Apache-2.0 */
/* A build without the console. */
#include "api/console_files.h"

static const unsigned char page[] =
    "<!doctype html><meta charset=utf-8><title>Cloud-ML</title><p>This build has no console. The API is at "
    "<code>/api/v1</code>; the command line is <code>cloudml</code>.";

const struct console_file console_files[] = {
    {"/index.html", "text/html; charset=utf-8", "\"no-console\"", page, sizeof(page) - 1, false}};
const size_t console_file_count = 1;
