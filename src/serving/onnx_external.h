/* SPDX-License-Identifier: Apache-2.0 */
/* Weights that an ONNX model keeps in files beside it.
 *
 * ONNX Runtime maps such files into memory: whoever writes them in place changes the model that serves,
 * whoever cuts them ends the process (SIGBUS). So they are read, and the library gets bytes. */
#ifndef SERVING_ONNX_EXTERNAL_H
#define SERVING_ONNX_EXTERNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define ONNX_EXTERNAL_MAX 4096 /* files of one model */

struct onnx_external {
	struct arena arena; /* the names */
	size_t count;
	const char **names; /* as the model says them */
	char **bytes;	    /* owned */
	size_t *lengths;
};

void onnx_external_init(struct onnx_external *x);
void onnx_external_done(struct onnx_external *x);
/* Reads what the model in 'file' refers to. Nothing when nothing lies beside it. ERR_INVALID for a name that
 * leads out of the model's folder or a malformed model, ERR_NOT_FOUND, ERR_IO. */
int onnx_external_read(struct onnx_external *x, const char *file, struct err *err);
/* The names alone, from the bytes of a model. */
int onnx_external_parse(struct onnx_external *x, struct str model, struct err *err);

#endif
