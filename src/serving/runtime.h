/* SPDX-License-Identifier: Apache-2.0 */
/* Runtimes: what computes a model. One const table of functions per kind; runtime_find chooses by what lies
 * on disk.
 *
 * To add one: runtime_NAME.c with a 'const struct runtime_ops runtime_NAME', and a row in runtime.c. */
#ifndef SERVING_RUNTIME_H
#define SERVING_RUNTIME_H

#include <stdbool.h>
#include "base/err.h"
#include "serving/signature.h"
#include "serving/tensor.h"

struct runtime_options {
	const char *path;  /* Python environment that holds the libraries; may be NULL */
	int threads;	   /* for one run; >= 1 */
	int inter_threads; /* operations of a run at the same time; >= 1 */
	bool cuda;	   /* ONNX models run on a CUDA device; else on the processor */
	int cuda_device;

	/* Of models that Python computes; 0 = the default. */
	int python_processes;	   /* of one model */
	int64_t python_ring_bytes; /* for inputs and outputs of one run */
	int64_t python_timeout_ms; /* of one run */
};

/* First member of every runtime's own model. */
struct runtime_model {
	const struct runtime_ops *ops;
};

struct runtime_ops {
	const char *name; /* "tensorflow" */
	bool waits;	  /* a run may wait for what is not computing: never on the loop's thread */
	bool outlive;	  /* outputs may be released after their model was unloaded */

	/* Required. Is the model at 'path' (a folder, or a file) one of ours? Looks at names only; any
	 * thread. */
	bool (*matches)(const char *path);

	/* Required. Loads library (once per process) and model. Blocks for seconds; called on a worker
	 * thread, one load at a time. On success *ret is owned by the caller (unload). On failure *ret is
	 * untouched. */
	int (*load)(const struct runtime_options *options, const char *path, struct runtime_model **ret,
		    struct err *err);

	/* Required. View, valid until unload; any thread. */
	const struct signature_set *(*signatures)(const struct runtime_model *m);

	/* Required. Computes the outputs with the given indexes of signature 's'. 'inputs' are in the
	 * signature's order, already checked against it, borrowed for the call. On success every element of
	 * 'ret' is filled and owned by the caller (tensor_done); on failure none is. Blocks for as long as
	 * the model computes. Thread-safe: may be called from several threads for one model. ERR_INVALID when
	 * the model refuses the input. */
	int (*run)(struct runtime_model *m, const struct signature *s, const struct tensor *const *inputs,
		   const size_t *outputs, size_t output_count, struct tensor *ret, struct err *err);

	/* Required. Waits for nothing: the caller knows that no run is going on. May block for a moment. */
	void (*unload)(struct runtime_model *m);
};

extern const struct runtime_ops runtime_tensorflow, runtime_onnx, runtime_python;

/* NULL when no runtime knows what lies at 'path'. */
const struct runtime_ops *runtime_find(const char *path);
/* The folder of a package in the environment: "<path>/lib/python3.N/site-packages/<package>". Returns owned;
 * ERR_NOT_FOUND says what was looked for. */
int runtime_package(const struct runtime_options *options, const char *package, char **ret, struct err *err);
/* First file that matches the pattern (glob). Returns owned, NULL when there is none. */
char *runtime_glob(const char *pattern);

#endif
