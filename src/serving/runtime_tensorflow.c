/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow SavedModels through the C API, loaded at run time. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "net/pb.h"
#include "serving/copies.h"
#include "serving/runtime.h"
#include "serving/tf_api.h"

#define SIGNATURE_MEMORY_MAX ((size_t)16 << 20)
#define TF_ALIGNMENT 64

enum { TF_CODE_OK = 0 };

struct tf_model {
	struct runtime_model base;
	tf_graph *graph;
	tf_session *session;
	struct arena arena;
	struct signature_set signatures;
};

/* Where a signature's tensors are in the graph. */
struct tf_binding {
	struct tf_output *inputs, *outputs;
};

static struct tf_api tf;
static pthread_mutex_t tf_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the one-time opening */

static bool tf_matches(const char *path)
{
	CLEANUP(free) char *binary = mem_printf("%s/saved_model.pb", path);
	CLEANUP(free) char *text = mem_printf("%s/saved_model.pbtxt", path);

	return access(binary, F_OK) == 0 || access(text, F_OK) == 0;
}

static int tf_open(const struct runtime_options *options, struct err *err)
{
	CLEANUP(free) char *dir = NULL;
	int r = 0;

	pthread_mutex_lock(&tf_lock);
	if (!tf.cc) {
		r = runtime_package(options, "tensorflow", &dir, err);
		if (r >= 0)
			r = tf_api_open(dir, &tf, err);
	}
	pthread_mutex_unlock(&tf_lock);
	return r;
}

static int tf_fail(tf_status *status, struct err *err)
{
	static const int codes[] = {
	    [1] = ERR_CANCELLED, [2] = ERR_INTERNAL,	 [3] = ERR_INVALID,  [4] = ERR_TIMEOUT,
	    [5] = ERR_NOT_FOUND, [6] = ERR_EXISTS,	 [7] = ERR_DENIED,   [8] = ERR_LIMIT,
	    [9] = ERR_STATE,	 [10] = ERR_CONFLICT,	 [11] = ERR_INVALID, [12] = ERR_UNSUPPORTED,
	    [13] = ERR_INTERNAL, [14] = ERR_UNAVAILABLE, [15] = ERR_CORRUPT, [16] = ERR_UNAUTHENTICATED,
	};
	int code = tf.TF_GetCode(status);

	return err_set(err, code > 0 && code < (int)ARRAY_LEN(codes) ? codes[code] : ERR_INTERNAL, "%s",
		       tf.TF_Message(status));
}

/* ConfigProto: the first session of the process fixes the pools, and all sessions share them. */
static void tf_config(const struct runtime_options *options, struct buf *b)
{
	pb_add_varint(b, 2, (uint64_t)options->threads);       /* intra_op_parallelism_threads */
	pb_add_varint(b, 5, (uint64_t)options->inter_threads); /* inter_op_parallelism_threads */
	pb_add_varint(b, 7, 1);				       /* allow_soft_placement */
}

/* "op:3" or "op" → operation and index. */
static bool tf_locate(struct tf_model *m, const char *tensor_name, struct tf_output *ret)
{
	const char *colon = strrchr(tensor_name, ':');
	char *end = NULL;
	long index = colon ? strtol(colon + 1, &end, 10) : 0;
	CLEANUP(free)
	char *op = mem_strndup(tensor_name, colon ? (size_t)(colon - tensor_name) : strlen(tensor_name));

	if (colon && (end == colon + 1 || *end))
		return false;
	ret->operation = tf.TF_GraphOperationByName(m->graph, op);
	ret->index = (int)index;
	return ret->operation && index >= 0 && index < tf.TF_OperationNumOutputs(ret->operation);
}

static struct tf_output *tf_locate_all(struct tf_model *m, const struct signature_tensor *tensors,
				       size_t count)
{
	struct tf_output *items = arena_alloc(&m->arena, (count ? count : 1) * sizeof(*items));

	for (size_t i = 0; i < count; i++)
		if (tensors[i].dtype == DT_INVALID || !tf_locate(m, tensors[i].tensor_name, &items[i]))
			return NULL;
	return items;
}

/* A signature that names tensors we cannot find or whose types we cannot send stays listed but cannot be run.
 */
static void tf_bind(struct tf_model *m, struct signature *s)
{
	struct tf_binding *binding = arena_alloc(&m->arena, sizeof(*binding));

	binding->inputs = tf_locate_all(m, s->inputs, s->input_count);
	binding->outputs = tf_locate_all(m, s->outputs, s->output_count);
	if (binding->inputs && binding->outputs && s->output_count > 0)
		s->runtime = binding;
}

static void tf_unload(struct runtime_model *base)
{
	struct tf_model *m = CONTAINER_OF(base, struct tf_model, base);
	tf_status *status = tf.TF_NewStatus();

	if (m->session) {
		tf.TF_CloseSession(m->session, status);
		tf.TF_DeleteSession(m->session, status);
	}
	if (m->graph)
		tf.TF_DeleteGraph(m->graph);
	tf.TF_DeleteStatus(status);
	arena_done(&m->arena);
	free(m);
}

static int tf_load_into(struct tf_model *m, const struct runtime_options *options, const char *path,
			struct tf_buffer *meta, tf_status *status, struct err *err)
{
	static const char *const tags[] = {"serve"};
	CLEANUP(buf) struct buf config = BUF_INIT;
	tf_session_options *session_options = tf.TF_NewSessionOptions();
	int r;

	tf_config(options, &config);
	tf.TF_SetConfig(session_options, config.data, config.len, status);
	if (tf.TF_GetCode(status) == TF_CODE_OK)
		m->session = tf.TF_LoadSessionFromSavedModel(session_options, NULL, path, tags, 1, m->graph,
							     meta, status);
	tf.TF_DeleteSessionOptions(session_options);
	if (tf.TF_GetCode(status) != TF_CODE_OK) {
		tf_fail(status, err);
		return err_wrap(err, "loading SavedModel '%s'", path);
	}
	r = signature_decode(meta->data, meta->length, &m->arena, &m->signatures, err);
	if (r < 0)
		return err_wrap(err, "reading signatures of '%s'", path);
	for (size_t i = 0; i < m->signatures.count; i++)
		tf_bind(m, &m->signatures.items[i]);
	return 0;
}

static int tf_load(const struct runtime_options *options, const char *path, struct runtime_model **ret,
		   struct err *err)
{
	struct tf_model *m;
	struct tf_buffer *meta;
	tf_status *status;
	int r = tf_open(options, err);

	if (r < 0)
		return r;
	m = MEM_NEW(struct tf_model);
	m->base.ops = &runtime_tensorflow;
	m->arena = ARENA_INIT(SIGNATURE_MEMORY_MAX);
	m->graph = tf.TF_NewGraph();
	meta = tf.TF_NewBuffer();
	status = tf.TF_NewStatus();
	r = tf_load_into(m, options, path, meta, status, err);
	tf.TF_DeleteStatus(status);
	tf.TF_DeleteBuffer(meta);
	if (r < 0) {
		tf_unload(&m->base);
		return r;
	}
	log_debug("runtime.load runtime=tensorflow version=%s path=%s", tf.TF_Version(), path);
	*ret = &m->base;
	return 0;
}

static const struct signature_set *tf_signatures(const struct runtime_model *base)
{
	return &CONTAINER_OF(base, struct tf_model, base)->signatures;
}

static void unref_data(void *data, size_t len, void *arg)
{
	shared_unref(arg);
}

/* TensorFlow takes memory as it is when it is aligned to 64 bytes and would copy it otherwise. It may hold on
 * to what it took (an output or a variable may be the input), so only counted memory is handed over. */
/* Whoever drops the last reference on the elements, perhaps a later output or a variable, frees them and
 * their texts. */
static void free_strings(void *data, size_t len, void *arg)
{
	struct tf_tstring *elements = data;

	for (size_t i = 0; i < len / sizeof(*elements); i++)
		tf.TF_StringDealloc(&elements[i]);
	free(data);
}

static tf_tensor *tf_string_input(const struct tensor *t)
{
	size_t bytes = t->count * sizeof(struct tf_tstring);
	struct tf_tstring *elements;
	void *memory;

	if (posix_memalign(&memory, TF_ALIGNMENT, bytes ? bytes : TF_ALIGNMENT) != 0)
		return NULL;
	elements = memory;
	for (size_t i = 0; i < t->count; i++) {
		tf.TF_StringInit(&elements[i]);
		tf.TF_StringCopy(&elements[i], t->strings[i].data, t->strings[i].len);
	}
	return tf.TF_NewTensor(DT_STRING, t->dims, t->rank, memory, bytes, free_strings, NULL);
}

static tf_tensor *tf_input(const struct tensor *t)
{
	tf_tensor *out;

	if (t->dtype == DT_STRING)
		return tf_string_input(t);
	if (t->bytes > 0 && t->shared && (uintptr_t)t->data % TF_ALIGNMENT == 0)
		return tf.TF_NewTensor(t->dtype, t->dims, t->rank, (void *)t->data, t->bytes, unref_data,
				       shared_ref(t->shared));
	out = tf.TF_AllocateTensor(t->dtype, t->dims, t->rank, t->bytes);
	if (out && t->bytes > 0)
		memcpy(tf.TF_TensorData(out), t->data, t->bytes);
	copies_count(COPY_IN, t->bytes);
	return out;
}

static void release_tensor(void *owner)
{
	tf.TF_DeleteTensor(owner);
}

struct string_owner {
	tf_tensor *tensor;
	struct str strings[];
};

static void release_strings(void *owner)
{
	struct string_owner *o = owner;

	tf.TF_DeleteTensor(o->tensor);
	free(o);
}

/* Takes 'from' on success. */
static int tf_output_tensor(tf_tensor *from, struct tensor *ret, struct err *err)
{
	int64_t dims[TENSOR_RANK_MAX];
	int rank = tf.TF_NumDims(from), r;
	struct string_owner *strings;
	const struct tf_tstring *elements = tf.TF_TensorData(from);

	for (int i = 0; i < rank && i < TENSOR_RANK_MAX; i++)
		dims[i] = tf.TF_Dim(from, i);
	*ret = (struct tensor){0};
	r = tensor_set_shape(ret, (enum dtype)tf.TF_TensorType(from), rank, dims, err);
	if (r < 0)
		return err_wrap(err, "the model's output");
	if (ret->dtype != DT_STRING) {
		ret->data = elements;
		ret->owner = from;
		ret->release = release_tensor;
		return 0;
	}
	strings = malloc(sizeof(*strings) + ret->count * sizeof(struct str));
	if (!strings)
		return err_set(err, ERR_NO_MEMORY, "no memory for %zu strings of an output", ret->count);
	strings->tensor = from;
	for (size_t i = 0; i < ret->count; i++)
		strings->strings[i] = tf_tstring_view(&elements[i]);
	ret->strings = strings->strings;
	ret->owner = strings;
	ret->release = release_strings;
	return 0;
}

static int tf_take_outputs(tf_tensor **from, size_t count, struct tensor *ret, struct err *err)
{
	size_t done = 0;
	int r = 0;

	for (; done < count && r >= 0; done++) {
		r = tf_output_tensor(from[done], &ret[done], err);
		if (r >= 0)
			from[done] = NULL;
		else
			ret[done] = (struct tensor){0};
	}
	for (size_t i = 0; r < 0 && i < done; i++)
		tensor_done(&ret[i]);
	return r;
}

static void tf_delete_all(tf_tensor **items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (items[i])
			tf.TF_DeleteTensor(items[i]);
}

static int tf_run(struct runtime_model *base, const struct signature *s, const struct tensor *const *inputs,
		  const size_t *outputs, size_t output_count, struct tensor *ret, struct err *err)
{
	struct tf_model *m = CONTAINER_OF(base, struct tf_model, base);
	const struct tf_binding *binding = s->runtime;
	tf_tensor *in[SIGNATURE_TENSORS_MAX] = {0}, *out[SIGNATURE_TENSORS_MAX] = {0};
	struct tf_output wanted[SIGNATURE_TENSORS_MAX];
	tf_status *status;
	int r = 0;

	if (!binding)
		return err_set(err, ERR_UNSUPPORTED, "signature '%s' uses tensors that cannot be sent",
			       s->name);
	for (size_t i = 0; i < s->input_count; i++) {
		in[i] = tf_input(inputs[i]);
		if (!in[i])
			r = err_set(err, ERR_NO_MEMORY, "no memory for input '%s'", s->inputs[i].alias);
	}
	for (size_t i = 0; i < output_count; i++)
		wanted[i] = binding->outputs[outputs[i]];
	if (r >= 0) {
		status = tf.TF_NewStatus();
		tf.TF_SessionRun(m->session, NULL, binding->inputs, in, (int)s->input_count, wanted, out,
				 (int)output_count, NULL, 0, NULL, status);
		r = tf.TF_GetCode(status) == TF_CODE_OK ? 0 : tf_fail(status, err);
		tf.TF_DeleteStatus(status);
	}
	if (r >= 0)
		r = tf_take_outputs(out, output_count, ret, err);
	tf_delete_all(in, s->input_count);
	tf_delete_all(out, output_count);
	return r;
}

const struct runtime_ops runtime_tensorflow = {
    .name = "tensorflow",
    .outlive = true, /* tensors are counted, and their allocator is the process's */
    .matches = tf_matches,
    .load = tf_load,
    .signatures = tf_signatures,
    .run = tf_run,
    .unload = tf_unload,
};
