/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The binary interface of TensorFlow's file-system plugins as far as this plugin uses it: the tables that
 * TF_InitPlugin fills, in the order of slots that TensorFlow 2.6 and later expect (all version numbers are
 * 0). TensorFlow's own header (tensorflow/c/experimental/filesystem/filesystem_interface.h) is no C.
 * tests/e2e/tensorflow_fs loads the result into the real one.
 */
#ifndef FDS_TF_ABI_H
#define FDS_TF_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tf_status; /* opaque; its codes are those of google.rpc.Code, as err_grpc() gives them */

/* The four objects are one pointer each, which belongs to the plugin. */
struct tf_object {
	void *own;
};
struct tf_statistics {
	int64_t length, mtime_nsec;
	bool is_directory;
};

struct tf_random_access_ops {
	void (*cleanup)(struct tf_object *file);
	/* n bytes with OK, fewer with OUT_OF_RANGE, -1 with any other code. Thread-safe. */
	int64_t (*read)(const struct tf_object *file, uint64_t offset, size_t n, char *buffer,
			struct tf_status *s);
};
struct tf_writable_ops {
	void (*cleanup)(struct tf_object *file);
	void (*append)(const struct tf_object *file, const char *buffer, size_t n, struct tf_status *s);
	int64_t (*tell)(const struct tf_object *file, struct tf_status *s);
	void (*flush)(const struct tf_object *file, struct tf_status *s);
	void (*sync)(const struct tf_object *file, struct tf_status *s);
	void (*close)(const struct tf_object *file, struct tf_status *s); /* comes twice at times */
};
struct tf_region_ops {
	void (*cleanup)(struct tf_object *region);
	const void *(*data)(const struct tf_object *region);
	uint64_t (*length)(const struct tf_object *region);
};

#define TF_FS const struct tf_object *fs
struct tf_filesystem_ops {
	void (*init)(struct tf_object *fs, struct tf_status *s);
	void (*cleanup)(struct tf_object *fs); /* never called by TensorFlow */
	void (*new_random_access_file)(TF_FS, const char *path, struct tf_object *file, struct tf_status *s);
	void (*new_writable_file)(TF_FS, const char *path, struct tf_object *file, struct tf_status *s);
	void (*new_appendable_file)(TF_FS, const char *path, struct tf_object *file, struct tf_status *s);
	void (*new_region)(TF_FS, const char *path, struct tf_object *region, struct tf_status *s);
	void (*create_dir)(TF_FS, const char *path, struct tf_status *s);
	void (*recursively_create_dir)(TF_FS, const char *path, struct tf_status *s);
	void (*delete_file)(TF_FS, const char *path, struct tf_status *s);
	void (*delete_dir)(TF_FS, const char *path, struct tf_status *s);
	void (*delete_recursively)(TF_FS, const char *path, uint64_t *undeleted_files,
				   uint64_t *undeleted_dirs, struct tf_status *s);
	void (*rename_file)(TF_FS, const char *from, const char *to, struct tf_status *s);
	void (*copy_file)(TF_FS, const char *from, const char *to, struct tf_status *s);
	void (*path_exists)(TF_FS, const char *path, struct tf_status *s);
	bool (*paths_exist)(TF_FS, char **paths, int count, struct tf_status **s);
	void (*stat)(TF_FS, const char *path, struct tf_statistics *ret, struct tf_status *s);
	bool (*is_directory)(TF_FS, const char *path, struct tf_status *s);
	int64_t (*get_file_size)(TF_FS, const char *path, struct tf_status *s);
	char *(*translate_name)(TF_FS, const char *uri);
	int (*get_children)(TF_FS, const char *path, char ***entries, struct tf_status *s);
	int (*get_matching_paths)(TF_FS, const char *glob, char ***entries, struct tf_status *s);
	void (*flush_caches)(TF_FS);
	void (*transactions[6])(void);	/* unused */
	void (*configuration[5])(void); /* unused */
};

struct tf_plugin_ops {
	char *scheme;
	int filesystem_abi, filesystem_api;
	size_t filesystem_size;
	struct tf_filesystem_ops *filesystem;
	int random_access_abi, random_access_api;
	size_t random_access_size;
	struct tf_random_access_ops *random_access;
	int writable_abi, writable_api;
	size_t writable_size;
	struct tf_writable_ops *writable;
	int region_abi, region_api;
	size_t region_size;
	struct tf_region_ops *region;
};
struct tf_plugin_info {
	size_t num_schemes;
	struct tf_plugin_ops *ops;
	void *(*allocate)(size_t size);
	void (*release)(void *p);
};

/* The one symbol that this library exports. */
void TF_InitPlugin(struct tf_plugin_info *info);

#endif
