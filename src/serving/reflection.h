/* SPDX-License-Identifier: Apache-2.0 */
/* Server reflection: descriptors of the files in proto/, made by protoc when the server is built. */
#ifndef SERVING_REFLECTION_H
#define SERVING_REFLECTION_H

#include "base/buf.h"
#include "base/err.h"

/* A serialized FileDescriptorSet with all imports. */
extern const unsigned char reflection_descriptors[];
extern const unsigned reflection_descriptors_len;

/* Answers one ServerReflectionRequest: appends the body of a ServerReflectionResponse (v1 and v1alpha are
 * alike on the wire). What is not found is an error_response inside. ERR_INVALID when malformed. */
int reflection_answer(struct str request, struct buf *b, struct err *err);

#endif
