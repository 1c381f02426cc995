/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of Python workers, see python_message.h. */
#include "serving/python_message.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define TEXT_MAX 400 /* of a worker's error */

_Static_assert(sizeof(struct python_head) == 32 && sizeof(struct python_bell) == 24,
	       "as the worker packs them");
_Static_assert(sizeof(struct python_record) == 24 + 8 * TENSOR_RANK_MAX, "as the worker packs it");

static size_t align(size_t n)
{
	return (n + PYTHON_ALIGNMENT - 1) / PYTHON_ALIGNMENT * PYTHON_ALIGNMENT;
}

/* Bytes of a tensor's payload; tensors are within TENSOR_BYTES_MAX, so that sums of a request do not
 * overflow. */
static size_t payload_size(const struct tensor *t)
{
	size_t n = t->bytes;

	if (t->dtype != DT_STRING)
		return n;
	n = (t->count + 1) * sizeof(uint64_t);
	for (size_t i = 0; i < t->count; i++)
		n += t->strings[i].len;
	return n;
}

static void write_payload(char *to, const struct tensor *t)
{
	uint64_t at = 0;
	char *text = to + (t->count + 1) * sizeof(at);

	if (t->dtype != DT_STRING) {
		if (t->bytes > 0)
			memcpy(to, t->data, t->bytes);
		return;
	}
	for (size_t i = 0; i < t->count; i++) {
		memcpy(to + i * sizeof(at), &at, sizeof(at));
		if (t->strings[i].len > 0)
			memcpy(text + at, t->strings[i].data, t->strings[i].len);
		at += t->strings[i].len;
	}
	memcpy(to + t->count * sizeof(at), &at, sizeof(at));
}

int python_message_encode(void *slot, size_t cap, const struct tensor *const *inputs, size_t input_count,
			  const size_t *outputs, size_t output_count, size_t *ret_size, struct err *err)
{
	struct python_record *records = (void *)((char *)slot + sizeof(struct python_head));
	size_t wanted_at = sizeof(struct python_head) + input_count * sizeof(*records);
	size_t payloads_at = align(wanted_at + output_count * sizeof(uint32_t)), size = payloads_at;

	for (size_t i = 0; i < input_count; i++)
		size += align(payload_size(inputs[i]));
	if (size > cap)
		return err_set(
		    err, ERR_TOO_LARGE,
		    "inputs of %zu bytes do not fit the %zu bytes that server and worker share; raise "
		    "--python_ring_bytes",
		    size, cap);
	*(struct python_head *)slot = (struct python_head){.magic = PYTHON_MAGIC,
							   .kind = PYTHON_RUN,
							   .tensor_count = (uint32_t)input_count,
							   .output_count = (uint32_t)output_count,
							   .size = size};
	for (size_t i = 0, at = payloads_at; i < input_count; i++) {
		const struct tensor *t = inputs[i];
		records[i] = (struct python_record){.dtype = (uint32_t)t->dtype,
						    .rank = (uint32_t)t->rank,
						    .offset = at,
						    .bytes = payload_size(t)};
		memcpy(records[i].dims, t->dims, (size_t)t->rank * sizeof(int64_t));
		write_payload((char *)slot + at, t);
		at += align(records[i].bytes);
	}
	for (size_t i = 0; i < output_count; i++)
		((uint32_t *)((char *)slot + wanted_at))[i] = (uint32_t)outputs[i];
	*ret_size = size;
	return 0;
}

static int broken(struct err *err, const char *what)
{
	return err_set(err, ERR_CORRUPT, "the Python worker sent a malformed answer: %s", what);
}

/* The worker's text, one line without control characters. */
static int failed(const char *text, size_t len, uint32_t fault, struct err *err)
{
	char line[TEXT_MAX + 1];
	size_t n = len < TEXT_MAX ? len : TEXT_MAX;

	memcpy(line, text, n);
	while (n > 0 && n < len && ((unsigned char)line[n - 1] & 0xc0) == 0x80) /* no half characters */
		n--;
	if (n > 0 && n < len && (unsigned char)line[n - 1] >= 0xc0)
		n--;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
	line[n] = 0;
	return err_set(err, fault == PYTHON_FAULT_INPUT ? ERR_INVALID : ERR_INTERNAL, "%s",
		       n ? line : "the worker failed and did not say why");
}

/* Copies the head and checks what holds for all kinds. */
static int read_head(const void *message, size_t size, struct python_head *ret, struct err *err)
{
	if (size < sizeof(*ret))
		return broken(err, "shorter than a head");
	memcpy(ret, message, sizeof(*ret));
	if (ret->magic != PYTHON_MAGIC || ret->size != size)
		return broken(err, "not the head of a message");
	if (ret->kind == PYTHON_FAILED)
		return failed((const char *)message + sizeof(*ret), size - sizeof(*ret), ret->fault, err);
	return 0;
}

/* Views of the text; the offsets are read once. */
static int decode_strings(const char *payload, size_t bytes, struct tensor *t, struct err *err)
{
	size_t table;
	uint64_t from, to;
	struct str *views;

	if (__builtin_mul_overflow(t->count + 1, sizeof(from), &table) || table > bytes)
		return broken(err, "offsets of strings outside of their tensor");
	views = mem_try_alloc(t->count + 1, sizeof(*views));
	if (!views)
		return err_set(err, ERR_NO_MEMORY, "no memory for %zu strings of an output", t->count);
	memcpy(&from, payload, sizeof(from));
	for (size_t i = 0; i < t->count; i++, from = to) {
		memcpy(&to, payload + (i + 1) * sizeof(to), sizeof(to));
		if (from > to || to > bytes - table) {
			free(views);
			return broken(err, "a string outside of its tensor");
		}
		views[i] = (struct str){payload + table + from, to - from};
	}
	t->strings = views;
	t->owner = views;
	t->release = free;
	return 0;
}

static int decode_tensor(const char *message, size_t size, const struct python_record *rec,
			 const struct signature_tensor *want, struct tensor *t, struct err *err)
{
	*t = (struct tensor){0};
	if (rec->dtype != (uint32_t)want->dtype)
		return broken(err, "an element type that is not the signature's");
	if (rec->rank > TENSOR_RANK_MAX)
		return broken(err, "a tensor of too many dimensions");
	if (tensor_set_shape(t, (enum dtype)rec->dtype, (int)rec->rank, rec->dims, err) < 0)
		return broken(err, "a tensor with a shape that cannot be");
	if (rec->offset % PYTHON_ALIGNMENT != 0 || rec->offset > size || rec->bytes > size - rec->offset)
		return broken(err, "a tensor outside of the message");
	if (t->dtype == DT_STRING)
		return decode_strings(message + rec->offset, rec->bytes, t, err);
	if (rec->bytes != t->bytes)
		return broken(err, "a tensor whose size is not that of its shape");
	t->data = message + rec->offset;
	return 0;
}

int python_message_decode(const void *message, size_t size, const struct signature *s, const size_t *outputs,
			  size_t count, struct tensor *ret, struct err *err)
{
	struct python_head head;
	int r = read_head(message, size, &head, err);

	if (r < 0)
		return r;
	if (head.kind != PYTHON_ANSWER || head.tensor_count != count)
		return broken(err, "not an answer with the wanted outputs");
	if (count * sizeof(struct python_record) > size - sizeof(head))
		return broken(err, "records outside of the message");
	for (size_t i = 0; i < count; i++) {
		struct python_record record;
		memcpy(&record, (const char *)message + sizeof(head) + i * sizeof(record), sizeof(record));
		r = decode_tensor(message, size, &record, &s->outputs[outputs[i]], &ret[i], err);
		if (r >= 0)
			continue;
		for (size_t k = 0; k < i; k++)
			tensor_done(&ret[k]);
		return r;
	}
	return 0;
}

int python_message_hello(const void *message, size_t size, struct str *ret, struct err *err)
{
	struct python_head head;
	int r = read_head(message, size, &head, err);

	if (r < 0)
		return r;
	if (head.kind != PYTHON_HELLO)
		return broken(err, "not a hello");
	*ret = (struct str){(const char *)message + sizeof(head), size - sizeof(head)};
	return 0;
}

int python_message_copy_out(struct tensor *t, struct err *err)
{
	bool strings = t->dtype == DT_STRING;
	size_t views = strings ? t->count * sizeof(struct str) : 0, size = views + t->bytes;
	char *block, *text;

	for (size_t i = 0; strings && i < t->count; i++)
		size += t->strings[i].len;
	block = mem_try_alloc(size + 1, 1);
	if (!block)
		return err_set(err, ERR_NO_MEMORY, "no memory for an output of %zu bytes", size);
	text = block + views;
	if (!strings && t->bytes > 0)
		memcpy(text, t->data, t->bytes);
	for (size_t i = 0; strings && i < t->count; i++) {
		memcpy(text, t->strings[i].data, t->strings[i].len);
		((struct str *)(void *)block)[i] = (struct str){text, t->strings[i].len};
		text += t->strings[i].len;
	}
	tensor_done(t);
	t->data = block;
	t->owner = block;
	t->release = free;
	return 0;
}
