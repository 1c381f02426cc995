/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of TensorFlow's C API that we call, as a table filled by dlsym. Our own declarations, so that
 * the build needs no TensorFlow; the shapes are those of tensorflow/c/c_api.h, tf_tensor.h and tf_tstring.h
 * since 2.4. */
#ifndef SERVING_TF_API_H
#define SERVING_TF_API_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

typedef struct tf_status tf_status;
typedef struct tf_graph tf_graph;
typedef struct tf_session tf_session;
typedef struct tf_session_options tf_session_options;
typedef struct tf_tensor tf_tensor;
typedef struct tf_operation tf_operation;
struct tf_output {
	tf_operation *operation;
	int index;
};
struct tf_buffer {
	const void *data;
	size_t length;
	void (*data_deallocator)(void *data, size_t length);
};

/* A string element: 24 bytes, kind in the lowest two bits of the first byte. */
struct tf_tstring {
	union {
		struct {
			uint8_t size_kind; /* size << 2 | kind */
			char text[23];
		} small;
		struct {
			size_t size_kind, cap;
			const char *data;
		} large;
		struct {
			size_t size_kind;
			const char *data;
			void *owner;
		} view;
		struct {
			uint32_t size_kind, offset; /* from the element itself */
		} offset;
	};
};
_Static_assert(sizeof(struct tf_tstring) == 24, "TF_TString is 24 bytes");
enum { TF_TSTRING_SMALL = 0, TF_TSTRING_LARGE = 1, TF_TSTRING_OFFSET = 2, TF_TSTRING_VIEW = 3 };

/* result, name, arguments, library ('f' framework, 'c' cc) */
#define TF_API(X)                                                                                            \
	X(const char *, TF_Version, (void), 'c')                                                             \
	X(tf_status *, TF_NewStatus, (void), 'f')                                                            \
	X(void, TF_DeleteStatus, (tf_status *), 'f')                                                         \
	X(int, TF_GetCode, (const tf_status *), 'f')                                                         \
	X(const char *, TF_Message, (const tf_status *), 'f')                                                \
	X(struct tf_buffer *, TF_NewBuffer, (void), 'f')                                                     \
	X(void, TF_DeleteBuffer, (struct tf_buffer *), 'f')                                                  \
	X(tf_graph *, TF_NewGraph, (void), 'c')                                                              \
	X(void, TF_DeleteGraph, (tf_graph *), 'c')                                                           \
	X(tf_operation *, TF_GraphOperationByName, (tf_graph *, const char *), 'c')                          \
	X(int, TF_OperationNumOutputs, (tf_operation *), 'c')                                                \
	X(tf_session_options *, TF_NewSessionOptions, (void), 'c')                                           \
	X(void, TF_DeleteSessionOptions, (tf_session_options *), 'c')                                        \
	X(void, TF_SetConfig, (tf_session_options *, const void *, size_t, tf_status *), 'c')                \
	X(tf_session *, TF_LoadSessionFromSavedModel,                                                        \
	  (const tf_session_options *, const struct tf_buffer *, const char *, const char *const *, int,     \
	   tf_graph *, struct tf_buffer *, tf_status *),                                                     \
	  'c')                                                                                               \
	X(void, TF_CloseSession, (tf_session *, tf_status *), 'c')                                           \
	X(void, TF_DeleteSession, (tf_session *, tf_status *), 'c')                                          \
	X(void, TF_SessionRun,                                                                               \
	  (tf_session *, const struct tf_buffer *, const struct tf_output *, tf_tensor *const *, int,        \
	   const struct tf_output *, tf_tensor **, int, const tf_operation *const *, int,                    \
	   struct tf_buffer *, tf_status *),                                                                 \
	  'c')                                                                                               \
	X(tf_tensor *, TF_NewTensor,                                                                         \
	  (int, const int64_t *, int, void *, size_t, void (*)(void *, size_t, void *), void *), 'f')        \
	X(tf_tensor *, TF_AllocateTensor, (int, const int64_t *, int, size_t), 'f')                          \
	X(void, TF_DeleteTensor, (tf_tensor *), 'f')                                                         \
	X(int, TF_TensorType, (const tf_tensor *), 'f')                                                      \
	X(int, TF_NumDims, (const tf_tensor *), 'f')                                                         \
	X(int64_t, TF_Dim, (const tf_tensor *, int), 'f')                                                    \
	X(size_t, TF_TensorByteSize, (const tf_tensor *), 'f')                                               \
	X(void *, TF_TensorData, (const tf_tensor *), 'f')                                                   \
	X(void, TF_StringInit, (struct tf_tstring *), 'c')                                                   \
	X(void, TF_StringDealloc, (struct tf_tstring *), 'c')                                                \
	X(void, TF_StringCopy, (struct tf_tstring *, const char *, size_t), 'c')

struct tf_api {
	void *framework, *cc;
#define TF_API_MEMBER(result, name, args, library) result(*name) args;
	TF_API(TF_API_MEMBER)
#undef TF_API_MEMBER
};

/* Opens the two libraries below the folder of the 'tensorflow' package, framework first, and fills the table.
 * They stay loaded: TensorFlow does not survive being unloaded. Errors say which file or symbol is missing.
 */
int tf_api_open(const char *package_dir, struct tf_api *ret, struct err *err);

/* View of a string element. */
struct str tf_tstring_view(const struct tf_tstring *s);

#endif
