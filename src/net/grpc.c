/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC message framing, time limits and status texts, see grpc.h. */
#include "net/grpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/utf8.h"

#define FIRST_ALLOCATION ((size_t)1 << 20) /* a message up to this size is never moved */
#define GROWTH 4

static const struct {
	const char *name;
	int err;
} statuses[] = {
    [GRPC_OK] = {"OK", ERR_NONE},
    [GRPC_CANCELLED] = {"CANCELLED", ERR_CANCELLED},
    [GRPC_UNKNOWN] = {"UNKNOWN", ERR_INTERNAL},
    [GRPC_INVALID_ARGUMENT] = {"INVALID_ARGUMENT", ERR_INVALID},
    [GRPC_DEADLINE_EXCEEDED] = {"DEADLINE_EXCEEDED", ERR_TIMEOUT},
    [GRPC_NOT_FOUND] = {"NOT_FOUND", ERR_NOT_FOUND},
    [GRPC_ALREADY_EXISTS] = {"ALREADY_EXISTS", ERR_EXISTS},
    [GRPC_PERMISSION_DENIED] = {"PERMISSION_DENIED", ERR_DENIED},
    [GRPC_RESOURCE_EXHAUSTED] = {"RESOURCE_EXHAUSTED", ERR_LIMIT},
    [GRPC_FAILED_PRECONDITION] = {"FAILED_PRECONDITION", ERR_STATE},
    [GRPC_ABORTED] = {"ABORTED", ERR_CONFLICT},
    [GRPC_OUT_OF_RANGE] = {"OUT_OF_RANGE", ERR_INVALID},
    [GRPC_UNIMPLEMENTED] = {"UNIMPLEMENTED", ERR_UNSUPPORTED},
    [GRPC_INTERNAL] = {"INTERNAL", ERR_INTERNAL},
    [GRPC_UNAVAILABLE] = {"UNAVAILABLE", ERR_UNAVAILABLE},
    [GRPC_DATA_LOSS] = {"DATA_LOSS", ERR_CORRUPT},
    [GRPC_UNAUTHENTICATED] = {"UNAUTHENTICATED", ERR_UNAUTHENTICATED},
};

const char *grpc_status_name(int status)
{
	return status < 0 || status > GRPC_UNAUTHENTICATED ? "UNKNOWN" : statuses[status].name;
}

int grpc_status_err(int status)
{
	return status < 0 || status > GRPC_UNAUTHENTICATED ? ERR_INTERNAL : statuses[status].err;
}

static size_t size_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int reader_grow(struct grpc_reader *r, size_t need, size_t lead, struct err *err)
{
	size_t cap = r->cap ? r->cap : size_min(r->declared_len, FIRST_ALLOCATION);
	void *grown;

	if (r->message && need <= r->cap)
		return 0;
	while (cap < need)
		cap = size_min(cap * GROWTH, r->declared_len);
	if (posix_memalign(&grown, GRPC_MESSAGE_ALIGN, GRPC_MESSAGE_ALIGN + cap) != 0)
		return err_set(err, ERR_NO_MEMORY, "no memory for a message of %zu bytes", r->declared_len);
	if (r->message_len > 0)
		memcpy((char *)grown + lead, r->message, r->message_len);
	r->moved += r->message ? r->message_len : 0;
	free(r->memory);
	r->memory = grown;
	r->message = (uint8_t *)grown + lead;
	r->cap = cap;
	return 0;
}

/* How far into its memory the message begins; settled by the first bytes that arrive. */
static size_t reader_lead(const struct grpc_reader *r, const void *head, size_t len)
{
	size_t offset;

	if (r->message)
		return (size_t)(r->message - (uint8_t *)r->memory);
	offset = r->payload_offset && len > 0 ? r->payload_offset(head, len) : 0;
	return (GRPC_MESSAGE_ALIGN - offset % GRPC_MESSAGE_ALIGN) % GRPC_MESSAGE_ALIGN;
}

static int reader_prefix(struct grpc_reader *r, size_t max, struct err *err)
{
	const uint8_t *p = r->prefix;

	if (p[0] > 1)
		return err_set(err, ERR_INVALID, "malformed message prefix: compression flag is %u", p[0]);
	r->compressed = p[0] == 1;
	r->declared_len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
	if (r->declared_len > max)
		return err_set(err, ERR_TOO_LARGE, "received message larger than max (%zu vs. %zu)",
			       r->declared_len, max);
	return 0;
}

int grpc_reader_feed(struct grpc_reader *r, const void *data, size_t len, size_t max, size_t *ret_used,
		     struct err *err)
{
	const uint8_t *bytes = data;
	size_t used = 0, n;
	int rc;

	*ret_used = 0;
	if (r->prefix_len < GRPC_PREFIX_BYTES) {
		used = size_min(len, GRPC_PREFIX_BYTES - r->prefix_len);
		memcpy(r->prefix + r->prefix_len, bytes, used);
		r->prefix_len += used;
		*ret_used = used;
		if (r->prefix_len < GRPC_PREFIX_BYTES)
			return 0;
		rc = reader_prefix(r, max, err);
		if (rc < 0)
			return rc;
	}
	n = size_min(len - used, r->declared_len - r->message_len);
	if (n == 0 && r->declared_len > 0)
		return 0;
	rc = reader_grow(r, r->message_len + n, reader_lead(r, bytes + used, n), err);
	if (rc < 0)
		return rc;
	if (n > 0)
		memcpy(r->message + r->message_len, bytes + used, n);
	r->message_len += n;
	*ret_used = used + n;
	return 0;
}

bool grpc_reader_complete(const struct grpc_reader *r)
{
	return r->prefix_len == GRPC_PREFIX_BYTES && r->message_len == r->declared_len;
}

void grpc_reader_done(struct grpc_reader *r)
{
	free(r->memory);
	*r = (struct grpc_reader){.payload_offset = r->payload_offset};
}

void grpc_prefix_write(uint8_t prefix[GRPC_PREFIX_BYTES], bool compressed, uint32_t len)
{
	prefix[0] = compressed;
	prefix[1] = (uint8_t)(len >> 24);
	prefix[2] = (uint8_t)(len >> 16);
	prefix[3] = (uint8_t)(len >> 8);
	prefix[4] = (uint8_t)len;
}

static const struct {
	char letter;
	int64_t ns;
} timeout_units[] = {
    {'n', 1}, {'u', 1000}, {'m', 1000000}, {'S', 1000000000}, {'M', 60000000000}, {'H', 3600000000000},
};
#define TIMEOUT_UNITS (sizeof(timeout_units) / sizeof(timeout_units[0]))

int grpc_timeout_parse(struct str text, int64_t *ret_ns, struct err *err)
{
	int64_t value = 0, ns = 0;

	if (text.len < 2 || text.len > 9)
		return err_set(err, ERR_INVALID, "malformed grpc-timeout: needs 1 to 8 digits and a unit");
	for (size_t i = 0; i < text.len - 1; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return err_set(err, ERR_INVALID,
				       "malformed grpc-timeout: needs 1 to 8 digits and a unit");
		value = value * 10 + (text.data[i] - '0');
	}
	for (size_t i = 0; i < TIMEOUT_UNITS; i++)
		if (timeout_units[i].letter == text.data[text.len - 1])
			ns = timeout_units[i].ns;
	if (ns == 0)
		return err_set(err, ERR_INVALID, "malformed grpc-timeout: unit is not one of H M S m u n");
	if (__builtin_mul_overflow(value, ns, ret_ns))
		*ret_ns = INT64_MAX;
	return 0;
}

void grpc_message_encode(struct buf *b, const char *text)
{
	const char *end = text + strlen(text);
	size_t n;

	for (const char *p = text; p < end; p += n) {
		n = utf8_length(p, end);
		if (n == 0) { /* a message that was cut, or that quotes what is no text */
			buf_adds(b, "%EF%BF%BD");
			n = 1;
		} else if (*p >= 0x20 && *p <= 0x7e && *p != '%') {
			buf_addc(b, *p);
		} else {
			for (size_t i = 0; i < n; i++)
				buf_printf(b, "%%%02X", (unsigned char)p[i]);
		}
	}
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void grpc_message_decode(struct buf *b, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		int hi = -1, lo = -1;
		if (text.data[i] == '%' && i + 2 < text.len) {
			hi = hex_value(text.data[i + 1]);
			lo = hex_value(text.data[i + 2]);
		}
		if (hi >= 0 && lo >= 0) {
			buf_addc(b, (char)(hi * 16 + lo));
			i += 2;
		} else {
			buf_addc(b, text.data[i]);
		}
	}
}
