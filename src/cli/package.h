/* SPDX-License-Identifier: Apache-2.0 */
/* Code on its way to the platform: a folder becomes a reproducible .tar.gz, an archive is taken as it is. */
#ifndef CLI_PACKAGE_H
#define CLI_PACKAGE_H

#include <stdint.h>
#include "base/digest.h"
#include "base/err.h"

#define PACKAGE_FILES_MAX 100000
#define PACKAGE_BYTES_MAX (4LL << 30)

struct package {
	int fd;		    /* unlinked temporary file or the archive itself, at offset 0; -1 = none */
	int64_t size_bytes; /* of the archive */
	int64_t files, content_bytes; /* packed; 0 for an archive that was given */
	char sha256[DIGEST_HEX_LEN + 1];
	const char *file_name; /* of an archive that was given: view of its path; NULL for a folder */
	char largest[256];     /* path of the largest file, for the hint on big uploads */
	int64_t largest_bytes;
};
#define PACKAGE_INIT ((struct package){.fd = -1})
void package_done(struct package *p);
static inline void cleanup_package(struct package *p)
{
	package_done(p);
}

/* Packs a folder: .gitignore and .cloudmlignore are respected; .git, __pycache__, .venv, venv, node_modules
 * and
 * *.pyc are always left out. Links that stay inside are kept, others refused. Same files → same bytes (times
 * and owners are not recorded). ERR_TOO_LARGE names the largest file. */
int package_folder(const char *path, struct package *ret, struct err *err);
/* Opens an sdist or wheel and digests it. ERR_INVALID for other names. */
int package_archive(const char *path, struct package *ret, struct err *err);

/* Calls fn with each regular file a packed folder has, as package_folder sees it; for detection. 0 or
 * negative. */
typedef int package_file_fn(void *arg, int folder_fd, const char *path, int64_t size_bytes);
int package_each_file(const char *folder, package_file_fn *fn, void *arg, struct err *err);

#endif
