/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between the server and a Python worker, as they lie in shared memory.
 *
 * Request:  head, one record per input in the signature's order, indexes of the wanted outputs (u32),
 * payloads. Answer:   head, one record per wanted output in the order they were asked for, payloads; or a
 * head and a text. Payloads start at multiples of PYTHON_ALIGNMENT. Numbers lie as in struct tensor; strings
 * are count + 1 offsets (u64) into the text that follows them. All numbers are little-endian. The worker runs
 * foreign code: nothing it writes is believed, and what is checked is read once, into memory that it cannot
 * reach. */
#ifndef SERVING_PYTHON_MESSAGE_H
#define SERVING_PYTHON_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include "serving/signature.h"
#include "serving/tensor.h"

#define PYTHON_MAGIC 0x50434d4cu
#define PYTHON_ALIGNMENT 64

enum python_kind { PYTHON_HELLO = 1, PYTHON_RUN, PYTHON_ANSWER, PYTHON_FAILED };
enum python_fault { PYTHON_FAULT_INTERNAL, PYTHON_FAULT_INPUT };

struct python_head {
	uint32_t magic, kind, tensor_count, output_count;
	uint64_t size;		/* of the whole message */
	uint32_t fault, unused; /* of PYTHON_FAILED: enum python_fault */
};
struct python_record {
	uint32_t dtype, rank; /* enum dtype */
	uint64_t offset, bytes;
	int64_t dims[TENSOR_RANK_MAX];
};

/* What goes over the socket when a message lies ready. */
struct python_bell {
	uint32_t slot, unused;
	uint64_t offset, size;
};

/* Writes a request to 'slot' (aligned to PYTHON_ALIGNMENT). ERR_TOO_LARGE when 'cap' bytes are not enough. */
int python_message_encode(void *slot, size_t cap, const struct tensor *const *inputs, size_t input_count,
			  const size_t *outputs, size_t output_count, size_t *ret_size, struct err *err);
/* Reads an answer of 'size' bytes at 'message' (aligned to PYTHON_ALIGNMENT). On success ret[0..count) are
 * views of it; strings are owned (tensor_done) but their text is a view. A worker's own failure is
 * ERR_INVALID or ERR_INTERNAL with its text, an answer that breaks the rules ERR_CORRUPT; then ret holds
 * nothing to release. */
int python_message_decode(const void *message, size_t size, const struct signature *s, const size_t *outputs,
			  size_t count, struct tensor *ret, struct err *err);
/* Text of a hello (JSON), a view; a PYTHON_FAILED is its error. */
int python_message_hello(const void *message, size_t size, struct str *ret, struct err *err);
/* Makes the tensor own its elements, strings with their text. ERR_NO_MEMORY. */
int python_message_copy_out(struct tensor *t, struct err *err);

#endif
