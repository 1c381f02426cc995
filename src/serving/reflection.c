/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.reflection: which services there are and what their messages look like, for tools like grpcurl. */
#include "serving/reflection.h"

#include <string.h>
#include "base/mem.h"
#include "net/grpc.h"
#include "net/pb.h"
#include "serving/rpc.h"

#define NAME_MAX_BYTES 512
#define NESTING_MAX 16
#define FILES_MAX 64 /* of one answer: a file and all it imports */

enum { /* google/protobuf/descriptor.proto */
       SET_FILE = 1,
       FILE_NAME = 1,
       FILE_PACKAGE = 2,
       FILE_DEPENDENCY = 3,
       FILE_MESSAGE = 4,
       FILE_ENUM = 5,
       FILE_SERVICE = 6,
       MESSAGE_FIELD = 2,
       MESSAGE_NESTED = 3,
       MESSAGE_ENUM = 4,
       ENUM_VALUE = 2,
       SERVICE_METHOD = 2,
       ANY_NAME = 1, /* of every descriptor */
};
enum { /* grpc/reflection/v1/reflection.proto */
       REQUEST_HOST = 1,
       REQUEST_FILE = 3,
       REQUEST_SYMBOL = 4,
       REQUEST_EXTENSION = 5,
       REQUEST_EXTENSION_NUMBERS = 6,
       REQUEST_LIST = 7,
       RESPONSE_HOST = 1,
       RESPONSE_REQUEST = 2,
       RESPONSE_FILES = 4,
       RESPONSE_NUMBERS = 5,
       RESPONSE_SERVICES = 6,
       RESPONSE_ERROR = 7,
};

static struct str descriptor_set(void)
{
	return (struct str){(const char *)reflection_descriptors, reflection_descriptors_len};
}

static bool same(struct str a, struct str b)
{
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static struct str field_of(struct str message, uint32_t number)
{
	struct str found = {"", 0};
	struct pb p;
	struct pb_field f;

	pb_init_str(&p, message);
	while (pb_next(&p, &f))
		if (pb_is(&f, number, PB_BYTES))
			found = f.bytes;
	return found;
}

static struct str file_by_name(struct str name)
{
	struct pb p;
	struct pb_field f;

	pb_init_str(&p, descriptor_set());
	while (pb_next(&p, &f))
		if (pb_is(&f, SET_FILE, PB_BYTES) && same(field_of(f.bytes, FILE_NAME), name))
			return f.bytes;
	return (struct str){NULL, 0};
}

/* "a.b.C": takes 'part' and the dot behind it off the front; false when it is not there. */
static bool take_part(struct str *name, struct str part)
{
	if (name->len < part.len || memcmp(name->data, part.data, part.len) != 0)
		return false;
	if (name->len == part.len) {
		*name = (struct str){NULL, 0};
		return true;
	}
	if (name->data[part.len] != '.')
		return false;
	*name = (struct str){name->data + part.len + 1, name->len - part.len - 1};
	return true;
}

/* Is there an item 'number' of the descriptor whose name is the whole of 'rest'? */
static bool has_leaf(struct str descriptor, uint32_t number, struct str rest)
{
	struct pb p;
	struct pb_field f;

	pb_init_str(&p, descriptor);
	while (pb_next(&p, &f))
		if (pb_is(&f, number, PB_BYTES) && same(field_of(f.bytes, ANY_NAME), rest))
			return true;
	return false;
}

/* Does an item 'number' of the descriptor have the name that 'rest' begins with? *ret_left is what follows.
 */
static bool enter(struct str descriptor, uint32_t number, struct str rest, struct str *ret,
		  struct str *ret_left)
{
	struct pb p;
	struct pb_field f;

	pb_init_str(&p, descriptor);
	while (pb_next(&p, &f)) {
		*ret_left = rest;
		*ret = f.bytes;
		if (pb_is(&f, number, PB_BYTES) && take_part(ret_left, field_of(f.bytes, ANY_NAME)))
			return true;
	}
	return false;
}

static bool file_has(struct str file, struct str symbol)
{
	struct str package = field_of(file, FILE_PACKAGE), inside, left;
	uint32_t messages = FILE_MESSAGE, enums = FILE_ENUM;

	if (package.len > 0 && (!take_part(&symbol, package) || !symbol.data))
		return false;
	if (enter(file, FILE_SERVICE, symbol, &inside, &left))
		return !left.data || has_leaf(inside, SERVICE_METHOD, left);
	for (int depth = 0; depth < NESTING_MAX; depth++) {
		if (has_leaf(file, enums, symbol) || (enter(file, enums, symbol, &inside, &left) &&
						      left.data && has_leaf(inside, ENUM_VALUE, left)))
			return true;
		if (!enter(file, messages, symbol, &inside, &left))
			return false;
		if (!left.data || has_leaf(inside, MESSAGE_FIELD, left))
			return true;
		file = inside;
		symbol = left;
		messages = MESSAGE_NESTED;
		enums = MESSAGE_ENUM;
	}
	return false;
}

static struct str file_by_symbol(struct str symbol)
{
	struct pb p;
	struct pb_field f;

	pb_init_str(&p, descriptor_set());
	while (pb_next(&p, &f))
		if (pb_is(&f, SET_FILE, PB_BYTES) && file_has(f.bytes, symbol))
			return f.bytes;
	return (struct str){NULL, 0};
}

/* The file and what it imports, each once; files[] is also the queue. */
static void add_files(struct str first, struct buf *b)
{
	struct str files[FILES_MAX] = {first};
	struct pb_mark mark = pb_begin(b, RESPONSE_FILES, 16384);
	size_t count = 1;
	struct pb p;
	struct pb_field f;

	for (size_t i = 0; i < count; i++) {
		pb_add_str(b, 1, files[i]);
		pb_init_str(&p, files[i]);
		while (pb_next(&p, &f)) {
			struct str file;
			bool known = false;
			if (!pb_is(&f, FILE_DEPENDENCY, PB_BYTES))
				continue;
			file = file_by_name(f.bytes);
			for (size_t k = 0; k < count; k++)
				known |= files[k].data == file.data;
			if (file.data && !known && count < FILES_MAX)
				files[count++] = file;
		}
	}
	pb_close(b, mark);
}

/* The services of all methods; methods of a service stand together in their table. */
static void add_services(struct buf *b)
{
	struct pb_mark list = pb_begin(b, RESPONSE_SERVICES, 512), item;
	const struct rpc_method *m;
	struct str last = {"", 0};

	for (size_t i = 0; (m = rpc_method_next(&i)) != NULL;) {
		struct str name = {m->path + 1, (size_t)(strrchr(m->path, '/') - m->path - 1)};
		if (same(name, last))
			continue;
		last = name;
		item = pb_begin(b, 1, 64);
		pb_add_str(b, 1, name);
		pb_close(b, item);
	}
	pb_close(b, list);
}

static void add_error(struct buf *b, int code, const char *what, struct str name)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct pb_mark mark = pb_begin(b, RESPONSE_ERROR, 0);

	buf_printf(&text, "%s not found: %.*s", what, (int)(name.len > 200 ? 200 : name.len), name.data);
	pb_add_varint(b, 1, (uint64_t)code);
	pb_add_string(b, 2, buf_str(&text));
	pb_close(b, mark);
}

static void add_answer(uint32_t what, struct str name, struct buf *b)
{
	struct str file = {NULL, 0};
	struct pb_mark mark;

	if (what == REQUEST_LIST) {
		add_services(b);
		return;
	}
	if (what == REQUEST_EXTENSION_NUMBERS && file_by_symbol(name).data) { /* proto3 has no extensions */
		mark = pb_begin(b, RESPONSE_NUMBERS, 0);
		pb_add_str(b, 1, name);
		pb_close(b, mark);
		return;
	}
	if (what == REQUEST_FILE)
		file = file_by_name(name);
	else if (what == REQUEST_SYMBOL)
		file = file_by_symbol(name);
	if (file.data)
		add_files(file, b);
	else
		add_error(b, GRPC_NOT_FOUND,
			  what == REQUEST_FILE	      ? "file"
			  : what == REQUEST_EXTENSION ? "extension"
						      : "symbol",
			  what == REQUEST_EXTENSION ? field_of(name, 1) : name);
}

int reflection_answer(struct str request, struct buf *b, struct err *err)
{
	uint32_t what = 0;
	struct str name = {"", 0}, host = {"", 0};
	struct pb p;
	struct pb_field f;
	int r;

	pb_init_str(&p, request);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, REQUEST_HOST, PB_BYTES)) {
			pb_text(&p, &f, &host);
		} else if (f.wire == PB_BYTES && f.number >= REQUEST_FILE && f.number <= REQUEST_LIST) {
			what = f.number;
			if (what == REQUEST_EXTENSION)
				name = f.bytes; /* a message */
			else
				pb_text(&p, &f, &name);
		}
	}
	r = pb_end(&p, "ServerReflectionRequest", err);
	if (r < 0)
		return r;
	if (what == 0)
		return err_set(err, ERR_INVALID, "the reflection request asks for nothing");
	if (request.len > NAME_MAX_BYTES)
		return err_set(err, ERR_INVALID, "reflection request of more than %d bytes", NAME_MAX_BYTES);
	pb_add_str(b, RESPONSE_HOST, host);
	pb_add_str(b, RESPONSE_REQUEST, request);
	add_answer(what, name, b);
	return 0;
}

static void reflection_message(struct rpc_stream *s, struct str message, struct shared *memory)
{
	struct buf reply = BUF_INIT;
	struct err err = ERR_INIT;

	rpc_reply_begin(&reply);
	if (reflection_answer(message, &reply, &err) >= 0) {
		rpc_stream_send(s, &reply);
		return;
	}
	buf_done(&reply);
	rpc_stream_end(s, &err);
}

static void reflection_half_close(struct rpc_stream *s)
{
	rpc_stream_end(s, NULL);
}

static const struct rpc_stream_ops reflection_ops = {.message = reflection_message,
						     .half_close = reflection_half_close};

const struct rpc_method reflection_rpc_methods[] = {
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", NULL, NULL, &reflection_ops},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", NULL, NULL, &reflection_ops},
    {NULL, NULL, NULL, NULL},
};
