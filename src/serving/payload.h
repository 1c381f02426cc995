/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a protobuf message the elements of a large tensor begin, told from its first bytes, so that the
 * message can be put where they are aligned; see grpc_reader. */
#ifndef SERVING_PAYLOAD_H
#define SERVING_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#define PAYLOAD_LEVELS_MAX 3

enum payload_step {
	PAYLOAD_NOTHING,
	PAYLOAD_INSIDE,	 /* the field is a message on the way to the elements */
	PAYLOAD_ELEMENTS /* the field holds them */
};
/* 'step' says what a field of length is, at a level of nesting from 0 on. 0 when there is nothing large. */
size_t payload_find(const void *head, size_t len, enum payload_step (*step)(int level, uint64_t field));

#endif
