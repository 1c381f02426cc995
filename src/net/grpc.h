/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC over HTTP/2, the parts above HTTP/2: message framing, time limits, status texts.
 * Source: grpc/doc/PROTOCOL-HTTP2.md. Used by servers and clients alike; knows no socket. */
#ifndef NET_GRPC_H
#define NET_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

#define GRPC_PREFIX_BYTES 5
#define GRPC_MESSAGE_ALIGN 64 /* of the bytes that a grpc_reader hands out */

enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16
};
const char *grpc_status_name(int status); /* "NOT_FOUND"; "UNKNOWN" for a number outside the table */
int grpc_status_err(int status);	  /* ERR_ code that means the same; 0 for GRPC_OK */

/* Puts one message together from pieces of the stream. 'max' bounds the declared length before anything is
 * allocated. Up to a limit its memory is asked for at once, which costs nothing before it is written to;
 * beyond that memory grows with what has arrived, so a lying prefix costs nothing. */
struct grpc_reader {
	uint8_t prefix[GRPC_PREFIX_BYTES];
	size_t prefix_len;
	bool compressed;
	uint8_t *message; /* owned; aligned to GRPC_MESSAGE_ALIGN; NULL until the prefix is complete */
	size_t message_len, declared_len, cap;
	size_t moved; /* bytes that were copied once more because the memory grew */
	void *memory; /* what 'message' lies in */
	/* Optional, set before the first byte: where in the message (whose first 'len' bytes are 'head') a
	 * payload begins that should be aligned to GRPC_MESSAGE_ALIGN instead of the message; 0 = nowhere. */
	size_t (*payload_offset)(const void *head, size_t len);
};
/* Consumes up to 'len' bytes and stops behind the end of the message: *ret_used < len means that more than
 * one message was sent. ERR_TOO_LARGE past max, ERR_INVALID on a bad flag, ERR_NO_MEMORY. */
int grpc_reader_feed(struct grpc_reader *r, const void *data, size_t len, size_t max, size_t *ret_used,
		     struct err *err);
bool grpc_reader_complete(const struct grpc_reader *r);
void grpc_reader_done(struct grpc_reader *r); /* releases; ready for the next message */

void grpc_prefix_write(uint8_t prefix[GRPC_PREFIX_BYTES], bool compressed, uint32_t len);

/* "100m": up to 8 digits and a unit H M S m u n. *ret_ns is capped at INT64_MAX. ERR_INVALID. */
int grpc_timeout_parse(struct str text, int64_t *ret_ns, struct err *err);

/* grpc-message: bytes outside 0x20-0x7e and '%' become %XX. Decoding leaves malformed escapes as they are. */
void grpc_message_encode(struct buf *b, const char *text);
void grpc_message_decode(struct buf *b, struct str text);

#endif
