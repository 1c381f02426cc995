/* SPDX-License-Identifier: Apache-2.0 */
/* Archives: whatever comes in, nothing lands outside the folder and the limits hold. */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/unpack.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const struct unpack_limits limits = {
	    .entries = 100, .bytes = 1 << 20, .ratio = 200, .ratio_free_bytes = 1 << 16};
	struct err err = ERR_INIT;
	struct unpack_stats stats = {0};
	char outer[] = "/tmp/cloudml-fuzz-XXXXXX";
	if (!mkdtemp(outer))
		abort();
	CLEANUP(fd) int outer_fd = open(outer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdirat(outer_fd, "in", 0755);
	CLEANUP(fd) int inner_fd = openat(outer_fd, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd) int archive = memfd_create("archive", MFD_CLOEXEC);
	if (fd_write_all(archive, data, size, &err) < 0)
		abort();
	lseek(archive, 0, SEEK_SET);
	int r = unpack_archive(archive, inner_fd, &limits, &stats, &err);
	assert(r == 0 || err.code == -r);
	assert(r < 0 || (stats.entries <= limits.entries && stats.bytes <= limits.bytes));
	/* Nothing beside the folder: removing it leaves an empty one. */
	if (path_remove_tree(outer_fd, "in", &err) < 0 || rmdir(outer) < 0)
		abort();
	return 0;
}
