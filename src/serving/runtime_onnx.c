/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX models through ONNX Runtime, loaded at run time: one signature with the graph's inputs and outputs. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/log.h"
#include "base/mem.h"
#include "serving/onnx_external.h"
#include "serving/ort_api.h"
#include "serving/runtime.h"

#define SIGNATURE_MEMORY_MAX ((size_t)16 << 20)

enum { ORT_LOG_ERROR = 3, ORT_ARENA_ALLOCATOR = 1, ORT_MEM_DEFAULT = 0 };

struct onnx_model {
	struct runtime_model base;
	ort_session *session;
	struct arena arena;
	struct signature signature;
	struct signature_set signatures;
	const char **input_names, **output_names;
};

static struct ort_api ort;
static ort_env *env; /* one per process, never released */
static ort_allocator *allocator;
static ort_memory_info *cpu_memory;
static pthread_mutex_t onnx_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the one-time opening */

/* The .onnx file of a model: 'path' itself, or the only one in the folder. Returns owned or NULL. */
static char *onnx_file(const char *path)
{
	CLEANUP(free) char *pattern = NULL;
	struct stat st;

	if (stat(path, &st) < 0)
		return NULL;
	if (S_ISREG(st.st_mode))
		return str_ends(path, ".onnx") ? mem_strdup(path) : NULL;
	pattern = mem_printf("%s/*.onnx", path);
	return runtime_glob(pattern);
}

static bool onnx_matches(const char *path)
{
	CLEANUP(free) char *file = onnx_file(path);

	return file != NULL;
}

/* Turns a status into an error and releases it; 0 for none. */
static int onnx_check(ort_status *status, struct err *err)
{
	static const int codes[] = {[2] = ERR_INVALID, [3] = ERR_NOT_FOUND,   [4] = ERR_NOT_FOUND,
				    [7] = ERR_INVALID, [9] = ERR_UNSUPPORTED, [10] = ERR_INVALID};
	int code;

	if (!status)
		return 0;
	code = ort.GetErrorCode(status);
	err_set(err, code > 0 && code < (int)ARRAY_LEN(codes) && codes[code] ? codes[code] : ERR_INTERNAL,
		"%s", ort.GetErrorMessage(status));
	ort.ReleaseStatus(status);
	return -err->code;
}

static int onnx_open_api(const char *dir, struct err *err)
{
	CLEANUP(free) char *pattern = mem_printf("%s/capi/libonnxruntime.so*", dir);
	CLEANUP(free) char *path = runtime_glob(pattern);
	const struct ort_api_base *(*get_base)(void);
	void *library, *const *table;
	int r;

	if (!path)
		return err_set(err, ERR_NOT_FOUND, "no '%s'; onnxruntime 1.19 or newer is needed", pattern);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return err_set(err, ERR_UNAVAILABLE, "cannot load '%s': %s", path, dlerror());
	*(void **)&get_base = dlsym(library, "OrtGetApiBase");
	table = get_base ? get_base()->get_api(ORT_API_WANTED) : NULL;
	if (!table)
		return err_set(err, ERR_UNSUPPORTED, "'%s' does not offer API version %d", path,
			       ORT_API_WANTED);
#define ORT_API_LOAD(place, name, result, args) *(void **)&ort.name = table[place];
	ORT_API(ORT_API_LOAD)
#undef ORT_API_LOAD
	r = onnx_check(ort.CreateEnv(ORT_LOG_ERROR, "cloudml", &env), err);
	if (r >= 0)
		r = onnx_check(ort.DisableTelemetryEvents(env), err);
	if (r >= 0)
		r = onnx_check(ort.GetAllocatorWithDefaultOptions(&allocator), err);
	if (r >= 0)
		r = onnx_check(ort.CreateCpuMemoryInfo(ORT_ARENA_ALLOCATOR, ORT_MEM_DEFAULT, &cpu_memory),
			       err);
	return r;
}

static int onnx_open(const struct runtime_options *options, struct err *err)
{
	CLEANUP(free) char *dir = NULL;
	int r = 0;

	pthread_mutex_lock(&onnx_lock);
	if (!cpu_memory) {
		r = runtime_package(options, "onnxruntime", &dir, err);
		if (r >= 0)
			r = onnx_open_api(dir, err);
	}
	pthread_mutex_unlock(&onnx_lock);
	return r;
}

static int onnx_describe_type(const ort_type_info *type, struct signature_tensor *t, struct err *err)
{
	const ort_tensor_info *info = NULL;
	size_t rank = 0;
	int element = 0, r;

	r = onnx_check(ort.CastTypeInfoToTensorInfo(type, &info), err);
	if (r < 0 || !info) /* a sequence or map: DT_INVALID */
		return r;
	r = onnx_check(ort.GetTensorElementType(info, &element), err);
	if (r >= 0)
		r = onnx_check(ort.GetDimensionsCount(info, &rank), err);
	if (r < 0)
		return r;
	if (rank > TENSOR_RANK_MAX)
		return err_set(err, ERR_UNSUPPORTED, "'%s' has %zu dimensions, at most %d are supported",
			       t->alias, rank, TENSOR_RANK_MAX);
	t->dtype = dtype_from_onnx(element);
	t->dtype_number = t->dtype;
	t->rank = (int)rank;
	return onnx_check(ort.GetDimensions(info, t->dims, rank), err);
}

typedef ort_status *(*get_name)(const ort_session *, size_t, ort_allocator *, char **);
typedef ort_status *(*get_type)(const ort_session *, size_t, ort_type_info **);

static int onnx_describe(struct onnx_model *m, size_t index, get_name name_of, get_type type_of,
			 struct signature_tensor *t, struct err *err)
{
	ort_type_info *type = NULL;
	char *name = NULL;
	int r = onnx_check(name_of(m->session, index, allocator, &name), err);

	if (r < 0)
		return r;
	t->alias = arena_strndup(&m->arena, name, strlen(name));
	t->tensor_name = t->alias;
	onnx_check(ort.AllocatorFree(allocator, name), err);
	r = onnx_check(type_of(m->session, index, &type), err);
	if (r < 0)
		return r;
	r = onnx_describe_type(type, t, err);
	ort.ReleaseTypeInfo(type);
	return r;
}

static int onnx_describe_all(struct onnx_model *m, size_t count, get_name name_of, get_type type_of,
			     struct signature_tensor **ret, const char ***ret_names, struct err *err)
{
	int r = 0;

	if (count > SIGNATURE_TENSORS_MAX)
		return err_set(err, ERR_TOO_LARGE, "model has more than %d inputs or outputs",
			       SIGNATURE_TENSORS_MAX);
	*ret = arena_alloc(&m->arena, (count ? count : 1) * sizeof(**ret));
	*ret_names = arena_alloc(&m->arena, (count ? count : 1) * sizeof(**ret_names));
	for (size_t i = 0; i < count && r >= 0; i++) {
		r = onnx_describe(m, i, name_of, type_of, &(*ret)[i], err);
		(*ret_names)[i] = (*ret)[i].alias;
	}
	return r;
}

/* Outputs that are no tensors (the class maps of scikit-learn converters) are left out; inputs that are none
 * make the model unusable. */
static int onnx_filter(struct onnx_model *m, struct err *err)
{
	struct signature *s = &m->signature;
	size_t kept = 0;

	for (size_t i = 0; i < s->input_count; i++)
		if (s->inputs[i].dtype == DT_INVALID)
			return err_set(err, ERR_UNSUPPORTED, "input '%s' is no tensor of a supported type",
				       s->inputs[i].alias);
	for (size_t i = 0; i < s->output_count; i++) {
		if (s->outputs[i].dtype == DT_INVALID)
			continue;
		m->output_names[kept] = m->output_names[i];
		s->outputs[kept++] = s->outputs[i];
	}
	s->output_count = kept;
	if (kept == 0)
		return err_set(err, ERR_UNSUPPORTED,
			       "model has no output that is a tensor of a supported type");
	return 0;
}

static int onnx_signature(struct onnx_model *m, struct err *err)
{
	struct signature *s = &m->signature;
	int r = onnx_check(ort.SessionGetInputCount(m->session, &s->input_count), err);

	if (r >= 0)
		r = onnx_check(ort.SessionGetOutputCount(m->session, &s->output_count), err);
	if (r >= 0)
		r = onnx_describe_all(m, s->input_count, ort.SessionGetInputName, ort.SessionGetInputTypeInfo,
				      &s->inputs, &m->input_names, err);
	if (r >= 0)
		r = onnx_describe_all(m, s->output_count, ort.SessionGetOutputName,
				      ort.SessionGetOutputTypeInfo, &s->outputs, &m->output_names, err);
	if (r >= 0)
		r = onnx_filter(m, err);
	s->name = SIGNATURE_DEFAULT;
	s->method_name = SIGNATURE_METHOD_PREDICT;
	s->runtime = m;
	m->signatures = (struct signature_set){1, s};
	return r;
}

static void onnx_unload(struct runtime_model *base)
{
	struct onnx_model *m = CONTAINER_OF(base, struct onnx_model, base);

	if (m->session)
		ort.ReleaseSession(m->session);
	arena_done(&m->arena);
	free(m);
}

/* A session of the model in 'file' with weights that lie beside it. */
static int onnx_create(struct onnx_model *m, ort_session_options *o, const char *file, struct err *err)
{
	struct onnx_external x;
	int r;

	onnx_external_init(&x);
	r = onnx_external_read(&x, file, err);
	if (r >= 0 && x.count > 0)
		r = onnx_check(
		    ort.AddExternalInitializersFromFilesInMemory(o, x.names, x.bytes, x.lengths, x.count),
		    err);
	if (r >= 0)
		r = onnx_check(ort.CreateSession(env, file, o, &m->session), err);
	onnx_external_done(&x);
	return r;
}

/* The library may have been built without it: then its own list says what there is. */
static int onnx_has_provider(const char *wanted, struct err *err)
{
	CLEANUP(buf) struct buf names = BUF_INIT;
	char **list = NULL;
	int count = 0;
	bool found = false;
	int r = onnx_check(ort.GetAvailableProviders(&list, &count), err);
	if (r < 0)
		return r;
	for (int i = 0; i < count; i++) {
		found |= strcmp(list[i], wanted) == 0;
		buf_printf(&names, "%s%s", i ? ", " : "", list[i]);
	}
	r = onnx_check(ort.ReleaseAvailableProviders(list, count), err);
	if (r < 0 || found)
		return r;
	return err_set(err, ERR_UNSUPPORTED,
		       "this onnxruntime has no %s, only %s; install onnxruntime-gpu into the environment or "
		       "leave --onnx_cuda out",
		       wanted, buf_str(&names));
}

static int onnx_use_cuda(ort_session_options *o, int device, struct err *err)
{
	char number[16];
	const char *const key = "device_id", *const value = number;
	ort_cuda_options *cuda = NULL;
	int r = onnx_has_provider("CUDAExecutionProvider", err);
	if (r < 0)
		return r;
	snprintf(number, sizeof(number), "%d", device);
	r = onnx_check(ort.CreateCUDAProviderOptions(&cuda), err);
	if (r < 0)
		return r;
	r = onnx_check(ort.UpdateCUDAProviderOptions(cuda, &key, &value, 1), err);
	if (r >= 0)
		r = onnx_check(ort.SessionOptionsAppendExecutionProvider_CUDA_V2(o, cuda), err);
	ort.ReleaseCUDAProviderOptions(cuda);
	return r < 0 ? err_wrap(err, "using CUDA device %d", device) : 0;
}

static int onnx_session(struct onnx_model *m, const struct runtime_options *options, const char *file,
			struct err *err)
{
	ort_session_options *session_options = NULL;
	int r = onnx_check(ort.CreateSessionOptions(&session_options), err);

	if (r < 0)
		return r;
	r = onnx_check(ort.SetIntraOpNumThreads(session_options, options->threads), err);
	if (r >= 0)
		r = onnx_check(ort.SetInterOpNumThreads(session_options, 1), err);
	if (r >= 0) /* idle threads must not spin: other replicas share the processors */
		r = onnx_check(
		    ort.AddSessionConfigEntry(session_options, "session.intra_op.allow_spinning", "0"), err);
	if (r >= 0 && options->cuda)
		r = onnx_use_cuda(session_options, options->cuda_device, err);
	if (r >= 0)
		r = onnx_create(m, session_options, file, err);
	ort.ReleaseSessionOptions(session_options);
	return r;
}

static int onnx_load(const struct runtime_options *options, const char *path, struct runtime_model **ret,
		     struct err *err)
{
	CLEANUP(free) char *file = onnx_file(path);
	struct onnx_model *m;
	int r;

	if (!file)
		return err_set(err, ERR_NOT_FOUND, "no .onnx file at '%s'", path);
	r = onnx_open(options, err);
	if (r < 0)
		return r;
	m = MEM_NEW(struct onnx_model);
	m->base.ops = &runtime_onnx;
	m->arena = ARENA_INIT(SIGNATURE_MEMORY_MAX);
	r = onnx_session(m, options, file, err);
	if (r >= 0)
		r = onnx_signature(m, err);
	if (r < 0) {
		onnx_unload(&m->base);
		return err_wrap(err, "loading ONNX model '%s'", file);
	}
	*ret = &m->base;
	return 0;
}

static const struct signature_set *onnx_signatures(const struct runtime_model *base)
{
	return &CONTAINER_OF(base, struct onnx_model, base)->signatures;
}

static int onnx_string_input(const struct tensor *t, ort_value **ret, struct err *err)
{
	int type = dtype_info(DT_STRING)->onnx;
	int r = onnx_check(ort.CreateTensorAsOrtValue(allocator, t->dims, (size_t)t->rank, type, ret), err);
	char *to;

	for (size_t i = 0; i < t->count && r >= 0; i++) {
		r = onnx_check(ort.GetResizedStringTensorElementBuffer(*ret, i, t->strings[i].len, &to), err);
		if (r >= 0 && t->strings[i].len > 0)
			memcpy(to, t->strings[i].data, t->strings[i].len);
	}
	return r;
}

/* Numbers are used where they lie: the run reads them and holds on to nothing. */
static int onnx_input(const struct tensor *t, ort_value **ret, struct err *err)
{
	static char none[16];

	if (t->dtype == DT_STRING)
		return onnx_string_input(t, ret, err);
	return onnx_check(ort.CreateTensorWithDataAsOrtValue(cpu_memory, t->bytes ? (void *)t->data : none,
							     t->bytes, t->dims, (size_t)t->rank,
							     dtype_info((uint64_t)t->dtype)->onnx, ret),
			  err);
}

static void release_value(void *owner)
{
	ort.ReleaseValue(owner);
}

/* All strings in one block: views first, bytes behind them. */
static int onnx_string_output(ort_value *from, struct tensor *ret, struct err *err)
{
	CLEANUP(free) size_t *offsets = mem_try_alloc(ret->count + 1, sizeof(*offsets));
	size_t total = 0, views = ret->count * sizeof(struct str);
	struct str *block;
	char *text;
	int r = onnx_check(ort.GetStringTensorDataLength(from, &total), err);

	if (r < 0)
		return r;
	block = malloc(views + total + 1);
	if (!block || !offsets) {
		free(block);
		return err_set(err, ERR_NO_MEMORY, "no memory for %zu strings of an output", ret->count);
	}
	text = (char *)block + views;
	r = onnx_check(ort.GetStringTensorContent(from, text, total, offsets, ret->count), err);
	if (r < 0) {
		free(block);
		return r;
	}
	offsets[ret->count] = total;
	for (size_t i = 0; i < ret->count; i++)
		block[i] = (struct str){text + offsets[i], offsets[i + 1] - offsets[i]};
	ret->strings = block;
	ret->owner = block;
	ret->release = free;
	ort.ReleaseValue(from);
	return 0;
}

static int onnx_output_shape(ort_value *from, struct tensor *ret, struct err *err)
{
	ort_tensor_info *info = NULL;
	int64_t dims[TENSOR_RANK_MAX];
	size_t rank = 0;
	int element = 0, r = onnx_check(ort.GetTensorTypeAndShape(from, &info), err);

	if (r < 0)
		return r;
	r = onnx_check(ort.GetTensorElementType(info, &element), err);
	if (r >= 0)
		r = onnx_check(ort.GetDimensionsCount(info, &rank), err);
	if (r >= 0 && rank <= TENSOR_RANK_MAX)
		r = onnx_check(ort.GetDimensions(info, dims, rank), err);
	ort.ReleaseTensorTypeAndShapeInfo(info);
	return r < 0 ? r : tensor_set_shape(ret, dtype_from_onnx(element), (int)rank, dims, err);
}

/* Takes 'from' on success. */
static int onnx_output(ort_value *from, struct tensor *ret, struct err *err)
{
	void *data = NULL;
	int r;

	*ret = (struct tensor){0};
	r = onnx_output_shape(from, ret, err);
	if (r < 0)
		return err_wrap(err, "the model's output");
	if (ret->dtype == DT_STRING)
		return onnx_string_output(from, ret, err);
	r = onnx_check(ort.GetTensorMutableData(from, &data), err);
	if (r < 0)
		return r;
	ret->data = data;
	ret->owner = from;
	ret->release = release_value;
	return 0;
}

static int onnx_take_outputs(ort_value **from, size_t count, struct tensor *ret, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < count; i++) {
		r = onnx_output(from[i], &ret[i], err);
		if (r >= 0) {
			from[i] = NULL;
			continue;
		}
		ret[i] = (struct tensor){0};
		for (size_t k = 0; k < i; k++)
			tensor_done(&ret[k]);
		break;
	}
	return r;
}

static void release_values(ort_value **values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (values[i])
			ort.ReleaseValue(values[i]);
}

static int onnx_run(struct runtime_model *base, const struct signature *s, const struct tensor *const *inputs,
		    const size_t *outputs, size_t output_count, struct tensor *ret, struct err *err)
{
	struct onnx_model *m = CONTAINER_OF(base, struct onnx_model, base);
	ort_value *in[SIGNATURE_TENSORS_MAX] = {0}, *out[SIGNATURE_TENSORS_MAX] = {0};
	const char *names[SIGNATURE_TENSORS_MAX];
	int r = 0;

	for (size_t i = 0; i < s->input_count && r >= 0; i++)
		r = onnx_input(inputs[i], &in[i], err);
	for (size_t i = 0; i < output_count; i++)
		names[i] = m->output_names[outputs[i]];
	if (r >= 0)
		r = onnx_check(ort.Run(m->session, NULL, m->input_names, (const ort_value *const *)in,
				       s->input_count, names, output_count, out),
			       err);
	if (r >= 0)
		r = onnx_take_outputs(out, output_count, ret, err);
	release_values(in, s->input_count);
	release_values(out, output_count);
	return r;
}

const struct runtime_ops runtime_onnx = {
    .name = "onnx",
    .outlive = true, /* values keep the allocator they came from */
    .matches = onnx_matches,
    .load = onnx_load,
    .signatures = onnx_signatures,
    .run = onnx_run,
    .unload = onnx_unload,
};
