/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX Runtime's C API is a table of function pointers whose order never changes (onnxruntime_c_api.h, "All
 * existing functions keep their place"). We declare the places we use, so that the build needs no foreign
 * header; running real models in tests/scn/serving checks them. */
#ifndef SERVING_ORT_API_H
#define SERVING_ORT_API_H

#include <stddef.h>
#include <stdint.h>

#define ORT_API_WANTED 18 /* release 1.18: the oldest table that has every place below */

typedef struct ort_status ort_status;
typedef struct ort_env ort_env;
typedef struct ort_session ort_session;
typedef struct ort_session_options ort_session_options;
typedef struct ort_value ort_value;
typedef struct ort_type_info ort_type_info;
typedef struct ort_tensor_info ort_tensor_info;
typedef struct ort_memory_info ort_memory_info;
typedef struct ort_allocator ort_allocator;
typedef struct ort_cuda_options ort_cuda_options;

/* place, name, result, arguments */
#define ORT_API(X)                                                                                           \
	X(1, GetErrorCode, int, (const ort_status *))                                                        \
	X(2, GetErrorMessage, const char *, (const ort_status *))                                            \
	X(3, CreateEnv, ort_status *, (int, const char *, ort_env **))                                       \
	X(6, DisableTelemetryEvents, ort_status *, (const ort_env *))                                        \
	X(7, CreateSession, ort_status *,                                                                    \
	  (const ort_env *, const char *, const ort_session_options *, ort_session **))                      \
	X(9, Run, ort_status *,                                                                              \
	  (ort_session *, const void *, const char *const *, const ort_value *const *, size_t,               \
	   const char *const *, size_t, ort_value **))                                                       \
	X(10, CreateSessionOptions, ort_status *, (ort_session_options **))                                  \
	X(24, SetIntraOpNumThreads, ort_status *, (ort_session_options *, int))                              \
	X(25, SetInterOpNumThreads, ort_status *, (ort_session_options *, int))                              \
	X(30, SessionGetInputCount, ort_status *, (const ort_session *, size_t *))                           \
	X(31, SessionGetOutputCount, ort_status *, (const ort_session *, size_t *))                          \
	X(33, SessionGetInputTypeInfo, ort_status *, (const ort_session *, size_t, ort_type_info **))        \
	X(34, SessionGetOutputTypeInfo, ort_status *, (const ort_session *, size_t, ort_type_info **))       \
	X(36, SessionGetInputName, ort_status *, (const ort_session *, size_t, ort_allocator *, char **))    \
	X(37, SessionGetOutputName, ort_status *, (const ort_session *, size_t, ort_allocator *, char **))   \
	X(48, CreateTensorAsOrtValue, ort_status *,                                                          \
	  (ort_allocator *, const int64_t *, size_t, int, ort_value **))                                     \
	X(49, CreateTensorWithDataAsOrtValue, ort_status *,                                                  \
	  (const ort_memory_info *, void *, size_t, const int64_t *, size_t, int, ort_value **))             \
	X(50, IsTensor, ort_status *, (const ort_value *, int *))                                            \
	X(51, GetTensorMutableData, ort_status *, (ort_value *, void **))                                    \
	X(53, GetStringTensorDataLength, ort_status *, (const ort_value *, size_t *))                        \
	X(54, GetStringTensorContent, ort_status *, (const ort_value *, void *, size_t, size_t *, size_t))   \
	X(55, CastTypeInfoToTensorInfo, ort_status *, (const ort_type_info *, const ort_tensor_info **))     \
	X(60, GetTensorElementType, ort_status *, (const ort_tensor_info *, int *))                          \
	X(61, GetDimensionsCount, ort_status *, (const ort_tensor_info *, size_t *))                         \
	X(62, GetDimensions, ort_status *, (const ort_tensor_info *, int64_t *, size_t))                     \
	X(65, GetTensorTypeAndShape, ort_status *, (const ort_value *, ort_tensor_info **))                  \
	X(69, CreateCpuMemoryInfo, ort_status *, (int, int, ort_memory_info **))                             \
	X(76, AllocatorFree, ort_status *, (ort_allocator *, void *))                                        \
	X(78, GetAllocatorWithDefaultOptions, ort_status *, (ort_allocator **))                              \
	X(93, ReleaseStatus, void, (ort_status *))                                                           \
	X(95, ReleaseSession, void, (ort_session *))                                                         \
	X(96, ReleaseValue, void, (ort_value *))                                                             \
	X(98, ReleaseTypeInfo, void, (ort_type_info *))                                                      \
	X(99, ReleaseTensorTypeAndShapeInfo, void, (ort_tensor_info *))                                      \
	X(100, ReleaseSessionOptions, void, (ort_session_options *))                                         \
	X(125, GetAvailableProviders, ort_status *, (char ***, int *))                                       \
	X(126, ReleaseAvailableProviders, ort_status *, (char **, int))                                      \
	X(130, AddSessionConfigEntry, ort_status *, (ort_session_options *, const char *, const char *))     \
	X(204, SessionOptionsAppendExecutionProvider_CUDA_V2, ort_status *,                                  \
	  (ort_session_options *, const ort_cuda_options *))                                                 \
	X(205, CreateCUDAProviderOptions, ort_status *, (ort_cuda_options **))                               \
	X(206, UpdateCUDAProviderOptions, ort_status *,                                                      \
	  (ort_cuda_options *, const char *const *, const char *const *, size_t))                            \
	X(208, ReleaseCUDAProviderOptions, void, (ort_cuda_options *))                                       \
	X(252, GetResizedStringTensorElementBuffer, ort_status *, (ort_value *, size_t, size_t, char **))    \
	X(279, AddExternalInitializersFromFilesInMemory, ort_status *,                                       \
	  (ort_session_options *, const char *const *, char *const *, const size_t *, size_t))

struct ort_api {
#define ORT_API_MEMBER(place, name, result, args) result(*name) args;
	ORT_API(ORT_API_MEMBER)
#undef ORT_API_MEMBER
};

/* What OrtGetApiBase returns. */
struct ort_api_base {
	void *const *(*get_api)(uint32_t version);
	const char *(*version)(void);
};

#endif
