/* SPDX-License-Identifier: Apache-2.0 */
/* Which files a folder's .gitignore files leave out (gitignore(5)), without needing git. */
#ifndef CLI_GITIGNORE_H
#define CLI_GITIGNORE_H

#include <stdbool.h>
#include <stddef.h>

struct gitignore;

struct gitignore *gitignore_new(void);
void gitignore_free(struct gitignore *g);
/* Adds the patterns of one file that lies in 'folder' ("" = the root, else "a/b"); later files win. At most
 * 10,000 patterns; what is beyond is not read. */
void gitignore_add(struct gitignore *g, const char *folder, const char *text, size_t len);
/* 'path' relative to the root, clean. A folder that is ignored is not to be entered. */
bool gitignore_match(const struct gitignore *g, const char *path, bool is_folder);
/* One pattern as wildmatch with WM_PATHNAME: '*' and '?' stop at '/', '**' does not; for tests. */
bool gitignore_glob(const char *pattern, const char *text);

#endif
