/* SPDX-License-Identifier: Apache-2.0 */
/* Models that Python computes, in processes of their own: predict.py, scikit-learn, XGBoost, LightGBM,
 * TorchScript. */
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "serving/python_message.h"
#include "serving/python_pool.h"
#include "serving/python_signature.h"
#include "serving/runtime.h"

#define SIGNATURE_MEMORY_MAX ((size_t)16 << 20)
#define PROCESSES_DEFAULT_MAX 2
#define RING_BYTES_DEFAULT ((size_t)64 << 20)
#define TIMEOUT_DEFAULT_MS 60000

struct python_model {
	struct runtime_model base;
	struct python_pool *pool;
	struct arena arena;
	struct signature signature;
	struct signature_set signatures;
};

/* A slot whose answer is still read; freed with the last of its tensors. */
struct lease {
	struct python_worker *worker;
	int slot;
	atomic_size_t refs;
};
struct leased_tensor {
	struct lease *lease;
	void *strings; /* views of a tensor of strings; NULL for numbers */
};

/* The worker looks for the same names, see python/cloudml_worker.py. */
static const char *const model_files[] = {"predict.py", "model.joblib", "model.pkl", "model.json",
					  "model.ubj",	"model.txt",	"model.pt"};

static bool python_matches(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(model_files); i++) {
		CLEANUP(free) char *file = mem_printf("%s/%s", path, model_files[i]);
		if (S_ISREG(st.st_mode) ? strcmp(name, model_files[i]) == 0 : access(file, F_OK) == 0)
			return true;
	}
	return false;
}

static int default_processes(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < PROCESSES_DEFAULT_MAX ? n : PROCESSES_DEFAULT_MAX;
}

static struct python_pool_options pool_options(const struct runtime_options *o, const char *path)
{
	int processes = o->python_processes > 0 ? o->python_processes : default_processes();

	return (struct python_pool_options){
	    .environment = o->path,
	    .model = path,
	    .processes = processes,
	    .threads = o->threads > processes ? o->threads / processes : 1,
	    .slot_bytes = o->python_ring_bytes > 0 ? (size_t)o->python_ring_bytes : RING_BYTES_DEFAULT,
	    .run_timeout_ms = o->python_timeout_ms > 0 ? o->python_timeout_ms : TIMEOUT_DEFAULT_MS,
	};
}

static void python_unload(struct runtime_model *base)
{
	struct python_model *m = CONTAINER_OF(base, struct python_model, base);

	python_pool_free(m->pool);
	arena_done(&m->arena);
	free(m);
}

static int python_load(const struct runtime_options *options, const char *path, struct runtime_model **ret,
		       struct err *err)
{
	struct python_pool_options how = pool_options(options, path);
	struct python_model *m;
	int r;

	if (!options->path || !options->path[0])
		return err_set(err, ERR_NOT_FOUND,
			       "no Python environment given to run '%s' in; start with --runtime_path DIR",
			       path);
	m = MEM_NEW(struct python_model);
	m->base.ops = &runtime_python;
	m->arena = ARENA_INIT(SIGNATURE_MEMORY_MAX);
	r = python_pool_new(&how, &m->pool, err);
	if (r >= 0)
		r = python_signature_parse(python_pool_hello(m->pool), &m->arena, &m->signature, err);
	if (r < 0) {
		python_unload(&m->base);
		return err_wrap(err, "loading Python model '%s'", path);
	}
	m->signature.runtime = m;
	m->signatures = (struct signature_set){1, &m->signature};
	*ret = &m->base;
	return 0;
}

static const struct signature_set *python_signatures(const struct runtime_model *base)
{
	return &CONTAINER_OF(base, struct python_model, base)->signatures;
}

static void release_leased(void *owner)
{
	struct leased_tensor *t = owner;
	struct lease *lease = t->lease;

	free(t->strings);
	free(t);
	if (atomic_fetch_sub(&lease->refs, 1) > 1)
		return;
	python_slot_release(lease->worker, lease->slot);
	free(lease);
}

/* The answer stays where it is until the last tensor is done. */
static void lend_answer(const struct python_turn *turn, struct tensor *tensors, size_t count)
{
	struct lease *lease = MEM_NEW(struct lease);

	lease->worker = turn->worker;
	lease->slot = turn->slot;
	atomic_init(&lease->refs, count);
	for (size_t i = 0; i < count; i++) {
		struct leased_tensor *t = MEM_NEW(struct leased_tensor);
		*t = (struct leased_tensor){lease, tensors[i].owner};
		tensors[i].owner = t;
		tensors[i].release = release_leased;
	}
}

/* Ends the turn. */
static int give_answer(struct python_turn *turn, struct tensor *tensors, size_t count, struct err *err)
{
	bool keep = count > 0 && python_turn_may_keep(turn);
	int r = 0;

	if (keep)
		lend_answer(turn, tensors, count);
	for (size_t i = 0; i < count && !keep && r >= 0; i++)
		r = python_message_copy_out(&tensors[i], err);
	python_turn_done(turn, keep);
	for (size_t i = 0; i < count && r < 0; i++)
		tensor_done(&tensors[i]);
	return r;
}

static int python_run(struct runtime_model *base, const struct signature *s,
		      const struct tensor *const *inputs, const size_t *outputs, size_t output_count,
		      struct tensor *ret, struct err *err)
{
	struct python_model *m = CONTAINER_OF(base, struct python_model, base);
	struct python_turn turn;
	const void *answer = NULL;
	size_t size = 0, answer_size = 0;
	int r = python_turn_begin(m->pool, &turn, err);

	if (r < 0)
		return r;
	r = python_message_encode(turn.memory, turn.cap, inputs, s->input_count, outputs, output_count, &size,
				  err);
	if (r < 0) {
		python_turn_done(&turn, false);
		return r;
	}
	r = python_turn_ask(&turn, size, &answer, &answer_size, err);
	if (r < 0) {
		python_turn_fail(&turn, err);
		return r;
	}
	r = python_message_decode(answer, answer_size, s, outputs, output_count, ret, err);
	if (r == -ERR_CORRUPT) /* who breaks the rules once is not asked again */
		python_turn_fail(&turn, err);
	else if (r < 0)
		python_turn_done(&turn, false);
	return r < 0 ? r : give_answer(&turn, ret, output_count, err);
}

const struct runtime_ops runtime_python = {
    .name = "python",
    .waits = true,
    .matches = python_matches,
    .load = python_load,
    .signatures = python_signatures,
    .run = python_run,
    .unload = python_unload,
};
