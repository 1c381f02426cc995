/* SPDX-License-Identifier: Apache-2.0 */
/* External data of ONNX models, see onnx_external.h. Field numbers: onnx.proto3. */
#include "serving/onnx_external.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/fd.h"
#include "base/mem.h"
#include "net/pb.h"

#define NAMES_BYTES_MAX ((size_t)4 << 20)
#define NAME_BYTES_MAX 1024
#define GRAPHS_DEPTH_MAX 32
#define LOCATION "location"

/* FUNCTION differs from GRAPH by its fields only. */
enum message { MODEL, GRAPH, FUNCTION, NODE, ATTRIBUTE, TENSOR, SPARSE, ENTRY, MESSAGES };

/* Which fields lead from the model to the files of its tensors. */
static const struct {
	enum message in;
	uint32_t field;
	enum message to;
} paths[] = {
    {MODEL, 7, GRAPH},	     {MODEL, 25, FUNCTION},   {FUNCTION, 7, NODE},    {GRAPH, 1, NODE},
    {GRAPH, 5, TENSOR},	     {GRAPH, 15, SPARSE},     {NODE, 5, ATTRIBUTE},   {ATTRIBUTE, 5, TENSOR},
    {ATTRIBUTE, 6, GRAPH},   {ATTRIBUTE, 10, TENSOR}, {ATTRIBUTE, 11, GRAPH}, {ATTRIBUTE, 22, SPARSE},
    {ATTRIBUTE, 23, SPARSE}, {SPARSE, 1, TENSOR},     {SPARSE, 2, TENSOR},    {TENSOR, 13, ENTRY},
};

void onnx_external_init(struct onnx_external *x)
{
	*x = (struct onnx_external){.arena = ARENA_INIT(NAMES_BYTES_MAX)};
}

void onnx_external_done(struct onnx_external *x)
{
	for (size_t i = 0; x->bytes && i < x->count; i++)
		free(x->bytes[i]);
	free(x->bytes);
	free(x->lengths);
	free(x->names);
	arena_done(&x->arena);
}

static bool leads_out(struct str name)
{
	if (name.data[0] == '/' || memchr(name.data, 0, name.len))
		return true;
	for (size_t i = 0; i + 1 < name.len; i++)
		if (name.data[i] == '.' && name.data[i + 1] == '.' && (i == 0 || name.data[i - 1] == '/') &&
		    (i + 2 == name.len || name.data[i + 2] == '/'))
			return true;
	return false;
}

static int add_name(struct onnx_external *x, struct str name, struct err *err)
{
	if (name.len == 0 || name.len > NAME_BYTES_MAX || leads_out(name))
		return err_set(err, ERR_INVALID, "external data at '%.*s' is not in the model's folder",
			       (int)(name.len > 200 ? 200 : name.len), name.data);
	for (size_t i = x->count; i-- > 0;)
		if (str_eq(name, x->names[i]))
			return 0;
	if (x->count == ONNX_EXTERNAL_MAX)
		return err_set(err, ERR_TOO_LARGE, "external data in more than %d files", ONNX_EXTERNAL_MAX);
	x->names = mem_realloc(x->names, (x->count + 1) * sizeof(*x->names));
	x->names[x->count] = arena_strndup(&x->arena, name.data, name.len);
	if (!x->names[x->count])
		return err_set(err, ERR_TOO_LARGE, "the names of external data are too long");
	x->count++;
	return 0;
}

static int read_entry(struct onnx_external *x, struct str bytes, struct err *err)
{
	struct str key = {"", 0}, value = {"", 0};
	struct pb p;
	struct pb_field f;
	int r;

	pb_init_str(&p, bytes);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, 1, PB_BYTES))
			key = f.bytes;
		else if (pb_is(&f, 2, PB_BYTES))
			value = f.bytes;
	}
	r = pb_end(&p, "external data", err);
	return r >= 0 && str_eq(key, LOCATION) ? add_name(x, value, err) : r;
}

/* Recursion ends with GRAPHS_DEPTH_MAX: graphs lie in attributes of nodes of graphs. */
static int walk(struct onnx_external *x, enum message in, struct str bytes, int depth, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r = 0;

	if (in == ENTRY)
		return read_entry(x, bytes, err);
	if (depth > GRAPHS_DEPTH_MAX)
		return err_set(err, ERR_INVALID, "graphs in more than %d levels", GRAPHS_DEPTH_MAX);
	pb_init_str(&p, bytes);
	while (r >= 0 && pb_next(&p, &f)) {
		if (f.wire != PB_BYTES)
			continue;
		for (size_t i = 0; i < ARRAY_LEN(paths) && r >= 0; i++)
			if (paths[i].in == in && paths[i].field == f.number)
				r = walk(x, paths[i].to, f.bytes, depth + (paths[i].to == GRAPH), err);
	}
	return r < 0 ? r : pb_end(&p, "model", err);
}

int onnx_external_parse(struct onnx_external *x, struct str model, struct err *err)
{
	return walk(x, MODEL, model, 0, err);
}

/* Most models are one file: then there is nothing to look for in it. */
static bool is_alone(const char *file)
{
	const char *slash = strrchr(file, '/');
	CLEANUP(free) char *folder = slash ? mem_strndup(file, (size_t)(slash - file + 1)) : mem_strdup(".");
	CLEANUP(dir) DIR *dir = opendir(folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, slash ? slash + 1 : file) != 0 &&
		    strcmp(entry->d_name, "assets.extra") != 0)
			return false;
	return true;
}

static int read_files(struct onnx_external *x, const char *file, struct err *err)
{
	const char *slash = strrchr(file, '/');
	int folder_len = slash ? (int)(slash - file + 1) : 0;

	x->bytes = mem_alloc((x->count + 1) * sizeof(*x->bytes));
	x->lengths = mem_alloc((x->count + 1) * sizeof(*x->lengths));
	for (size_t i = 0; i < x->count; i++) {
		CLEANUP(free) char *path = mem_printf("%.*s%s", folder_len, file, x->names[i]);
		struct buf b = BUF_INIT;
		int r = fd_read_file(AT_FDCWD, path, SIZE_MAX / 2, &b, err);
		if (r < 0) {
			buf_done(&b);
			return r;
		}
		x->bytes[i] = b.data;
		x->lengths[i] = b.len;
	}
	return 0;
}

int onnx_external_read(struct onnx_external *x, const char *file, struct err *err)
{
	CLEANUP(buf) struct buf model = BUF_INIT;
	int r;

	if (is_alone(file))
		return 0;
	r = fd_read_file(AT_FDCWD, file, SIZE_MAX / 2, &model, err);
	if (r >= 0)
		r = onnx_external_parse(x, (struct str){buf_str(&model), model.len}, err);
	if (r >= 0 && x->count > 0)
		r = read_files(x, file, err);
	return r;
}
