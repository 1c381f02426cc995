/* SPDX-License-Identifier: Apache-2.0 */
/* `cloudml unpack ARCHIVE FOLDER`: a stage of a job's container. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/unit.h"
#include "local/local.h"
#include "local/unpack.h"

/* ARCHIVE may be the folder that holds the one archive. */
static int open_one(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot open archive '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return fd;
	CLEANUP(dir) DIR *dir = fdopendir(fd);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		int inner = openat(dirfd(dir), e->d_name, O_RDONLY | O_CLOEXEC);
		return inner < 0 ? err_sys(err, errno, "cannot open archive '%s'", e->d_name) : inner;
	}
	return err_set(err, ERR_NOT_FOUND, "no archive in '%s'", path);
}

static int unpack_paths(const char *archive, const char *folder, struct unpack_stats *ret, struct err *err)
{
	CLEANUP(fd) int archive_fd = open_one(archive, err);
	if (archive_fd < 0)
		return archive_fd;
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make folder '%s'", folder);
	CLEANUP(fd) int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0)
		return err_sys(err, errno, "cannot open folder '%s'", folder);
	return unpack_archive(archive_fd, folder_fd, &unpack_limits_default, ret, err);
}

int local_unpack_main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: cloudml unpack ARCHIVE FOLDER\n");
		return err_exit(ERR_INVALID);
	}
	setlocale(LC_CTYPE, "C.UTF-8"); /* names in UTF-8 stay as they are */
	struct err err = ERR_INIT;
	struct unpack_stats stats;
	int r = unpack_paths(argv[1], argv[2], &stats, &err);
	if (r < 0) {
		fprintf(stderr, "cloudml: cannot unpack the package: %s\n", err.msg);
		return err_exit(err.code);
	}
	char size[32];
	unit_format_bytes(stats.bytes, size);
	printf("cloudml: unpacked %lld %s, %s\n", (long long)stats.entries,
	       stats.entries == 1 ? "entry" : "entries", size);
	return 0;
}
