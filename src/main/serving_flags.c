/* SPDX-License-Identifier: Apache-2.0 */
/* Flags of cloudml-serving: one table of what is done, one of what the original server knows besides. */
#include "main/serving_flags.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/unit.h"
#include "serving/tls_files.h"

enum flag_kind { FLAG_TEXT, FLAG_MODE, FLAG_INT, FLAG_INT64, FLAG_BOOL, FLAG_SIZE, FLAG_TIME };

struct flag {
	const char *name;
	enum flag_kind kind;
	size_t place;	  /* in struct serving_options */
	int64_t min, max; /* of numbers and sizes */
	const char *value, *text;
};

#define PLACE(field) offsetof(struct serving_options, field)

/* The order is that of the help. */
static const struct flag flags[] = {
    {"port", FLAG_INT, PLACE(port), 0, 65535, "N",
     "port for gRPC and REST together (default 8500; 0: any free one)"},
    {"rest_api_port", FLAG_INT, PLACE(rest_port), 0, 65535, "N",
     "second port, speaks both as well (default 0: none)"},
    {"grpc_socket_path", FLAG_TEXT, PLACE(socket_path), 0, 0, "PATH", "Unix socket to listen on besides"},
    {"grpc_socket_permissions", FLAG_MODE, PLACE(socket_mode), 0, 0777, "MODE",
     "of that socket's file, as chmod takes them (default: by the umask)"},
    {"ssl_config_file", FLAG_TEXT, PLACE(ssl_config_file), 0, 0, "PATH",
     "SSLConfig in text: TLS with the key and certificates in it"},
    {"tls_cert", FLAG_TEXT, PLACE(tls_cert), 0, 0, "PATH",
     "the server's certificate (and its chain) in PEM: TLS on all ports"},
    {"tls_key", FLAG_TEXT, PLACE(tls_key), 0, 0, "PATH", "its private key"},
    {"tls_client_ca", FLAG_TEXT, PLACE(tls_client_ca), 0, 0, "PATH",
     "clients must show a certificate that one of these has signed"},
    {"plain_rest_api", FLAG_BOOL, PLACE(plain_rest), 0, 0, "", "--rest_api_port goes without TLS"},
    {"address", FLAG_TEXT, PLACE(address), 0, 0, "ADDRESS",
     "numeric address to listen on (default 127.0.0.1)"},
    {"listen_fd", FLAG_INT, PLACE(listen_fd), 0, 1 << 20, "FD",
     "inherited listening socket instead of a port (LISTEN_FDS=1 means 3)"},
    {"control_fd", FLAG_INT, PLACE(control_fd), 0, 1 << 20, "FD",
     "inherited listening socket of this process alone; the others accept when the models are loaded"},
    {"model_name", FLAG_TEXT, PLACE(model_name), 0, 0, "NAME", "name that clients use (default 'default')"},
    {"model_base_path", FLAG_TEXT, PLACE(model_base_path), 0, 0, "PATH",
     "folder of numbered versions, or a model itself (see docs/serving.md)"},
    {"model_version", FLAG_INT64, PLACE(model_version), 0, INT64_MAX, "N",
     "version to serve (default: the highest; 1 when the path is a model itself)"},
    {"model_config_file", FLAG_TEXT, PLACE(model_config_file), 0, 0, "PATH",
     "models, versions, labels and weights as ModelServerConfig in text"},
    {"model_config_file_poll_wait_seconds", FLAG_INT, PLACE(model_config_poll_s), 0, 1 << 30, "N",
     "between looks at that file (default 0: read once)"},
    {"file_system_poll_wait_seconds", FLAG_INT, PLACE(folder_poll_s), 0, 1 << 30, "N",
     "between looks for new versions (default 1; 0: once)"},
    {"max_num_load_retries", FLAG_INT, PLACE(load_retries), 0, 1000, "N",
     "of a version that does not load (default 5; none at the start)"},
    {"load_retry_interval_micros", FLAG_INT64, PLACE(load_retry_us), -1, INT64_MAX / 1000000, "N",
     "between them (default one minute; -1: none)"},
    {"num_load_threads", FLAG_INT, PLACE(load_threads), 0, 64, "N",
     "models that load at the same time (default 1)"},
    {"allow_version_labels_for_unavailable_models", FLAG_BOOL, PLACE(labels_before_versions), 0, 0, "",
     "a new label may name a version before it is available"},
    {"lazy_load", FLAG_BOOL, PLACE(lazy_load), 0, 0, "", "load a version when the first request asks for it"},
    {"model_memory_budget", FLAG_SIZE, PLACE(model_memory_bytes), 1024, INT64_MAX, "SIZE",
     "of loaded models, by the size of their files; the one unused for longest goes"},
    {"enable_model_warmup", FLAG_BOOL, PLACE(warm_up), 0, 0, "",
     "run the requests a model brings before it serves (default on)"},
    {"runtime_path", FLAG_TEXT, PLACE(runtime_path), 0, 0, "DIR",
     "Python environment with the models' libraries (default $VIRTUAL_ENV)"},
    {"threads", FLAG_INT, PLACE(threads), 1, 256, "N",
     "threads for one run of the model (default: all processors)"},
    {"onnx_cuda", FLAG_BOOL, PLACE(onnx_cuda), 0, 0, "",
     "ONNX models run on a CUDA device; needs onnxruntime-gpu in the environment"},
    {"onnx_cuda_device", FLAG_INT, PLACE(onnx_cuda_device), 0, 64, "N", "which one (default 0)"},
    {"python_processes", FLAG_INT, PLACE(python_processes), 1, 64, "N",
     "of a model that Python computes (default 2, at most one a processor)"},
    {"python_ring_bytes", FLAG_SIZE, PLACE(python_ring_bytes), 65536, INT32_MAX, "SIZE",
     "inputs and outputs of one of its runs (default 64M)"},
    {"python_timeout", FLAG_TIME, PLACE(python_timeout_ms), 0, 0, "TIME",
     "of one of its runs; then its process is started anew (default 1m)"},
    {"workers", FLAG_INT, PLACE(workers), 1, 64, "N", "runs at the same time (default 2)"},
    {"enable_batching", FLAG_BOOL, PLACE(batching), 0, 0, "",
     "run requests together that wait at the same time"},
    {"batching_parameters_file", FLAG_TEXT, PLACE(batching_file), 0, 0, "PATH",
     "BatchingParameters in text: sizes, waiting time, limits"},
    {"enable_grpc_healthcheck_service", FLAG_BOOL, PLACE(health_service), 0, 0, "",
     "grpc.health.v1 (default on)"},
    {"enable_serialization_as_tensor_content", FLAG_BOOL, PLACE(tensor_content), 0, 0, "",
     "outputs as tensor_content instead of typed fields"},
    {"rest_api_timeout_in_ms", FLAG_INT64, PLACE(rest_timeout_ms), 1, INT32_MAX, "N",
     "of one REST prediction (default 30000)"},
    {"rest_api_enable_cors_support", FLAG_BOOL, PLACE(cors), 0, 0, "", "let pages of other sites call REST"},
    {"enable_cors_support", FLAG_BOOL, PLACE(cors), 0, 0, "", "the same"},
    {"monitoring_config_file", FLAG_TEXT, PLACE(monitoring_config_file), 0, 0, "PATH",
     "MonitoringConfig in text: path of the metrics, or none"},
    {"max_message_size", FLAG_SIZE, PLACE(message_bytes_max), 1024, INT32_MAX, "SIZE",
     "of one gRPC message (default 256M)"},
    {"max_json_size", FLAG_SIZE, PLACE(json_bytes_max), 1024, INT32_MAX, "SIZE",
     "of one REST body (default 64M)"},
    {"max_request_memory", FLAG_SIZE, PLACE(request_bytes_max), 1024, (int64_t)1 << 40, "SIZE",
     "of all requests in flight (default 512M)"},
    {"max_connections", FLAG_INT, PLACE(connections_max), 1, 100000, "N",
     "open at the same time (default 4096)"},
    {"header_timeout", FLAG_TIME, PLACE(header_timeout_ms), 0, 0, "TIME",
     "from the first byte to the end of the headers (default 10s)"},
    {"body_timeout", FLAG_TIME, PLACE(body_timeout_ms), 0, 0, "TIME",
     "from there to the end of the body (default 2m)"},
    {"drain_timeout", FLAG_TIME, PLACE(drain_ms), 0, 0, "TIME",
     "for requests in flight after SIGTERM (default 30s)"},
    {"drain_idle", FLAG_TIME, PLACE(drain_idle_ms), 0, 0, "TIME",
     "of that, for clients to leave connections that are idle (default 0: closed at once)"},
    {"ready_fd", FLAG_INT, PLACE(ready_fd), 0, 1 << 20, "FD",
     "gets one line of JSON when the models are loaded or one failed"},
};

/* What the original server knows and this one does without. 'refused' ends the start when the flag is given
 * with a value that asks for something. */
static const struct foreign_flag {
	const char *name;
	bool is_bool, refused;
	const char *text;
} foreign_flags[] = {
    {"grpc_max_threads", false, false, "one thread serves all connections; see --workers"},
    {"grpc_channel_arguments", false, false, "limits of connections are fixed; see --max_message_size"},
    {"rest_api_num_threads", false, false, "one thread serves all connections; see --workers"},
    {"use_alts_credentials", true, true, "transport security is left to a gateway in front of the server"},
    {"enable_per_model_batching_parameters", true, false, "all models share the file of parameters"},
    {"platform_config_file", false, true, "the runtime is chosen by what lies in a version's folder"},
    {"num_unload_threads", false, false, "unloading shares the threads of --num_load_threads"},
    {"flush_filesystem_caches", true, false, "the operating system keeps its caches as it likes"},
    {"tensorflow_session_config_file", false, true, "use --threads and --tensorflow_inter_op_parallelism"},
    {"per_process_gpu_memory_fraction", false, false, "models run on processors"},
    {"saved_model_tags", false, false, "models are loaded by the tag 'serve'"},
    {"num_request_iterations_for_warmup", false, false, "each record runs once"},
    {"prefer_tflite_model", true, false, "only SavedModels and ONNX files are loaded"},
    {"num_tflite_interpreters_per_pool", false, false, "only SavedModels and ONNX files are loaded"},
    {"num_tflite_pools", false, false, "only SavedModels and ONNX files are loaded"},
    {"remove_unused_fields_from_bundle_metagraph", true, false, "unused fields are never kept"},
    {"enable_signature_method_name_check", true, false, "a signature's method is not looked at"},
    {"force_allow_any_version_labels_for_unavailable_models", true, true,
     "use --allow_version_labels_for_unavailable_models"},
    {"xla_cpu_compilation_enabled", true, false, "TensorFlow decides"},
    {"xla_gpu_compilation_enabled", true, false, "TensorFlow decides"},
    {"enable_profiler", true, false, "there is no profiler service"},
    {"thread_pool_factory_config_file", false, true, "use --threads and --workers"},
    {"mixed_precision", false, true, "convert the model beforehand"},
    {"skip_initialize_tpu", true, false, "models run on processors"},
    {"use_saved_model", true, false, "what is in a version's folder says what it is"},
    {"use_tflite_model", true, false, "only SavedModels and ONNX files are loaded"},
};

static void print_help(void)
{
	puts("usage: cloudml-serving --model_base_path PATH [--model_name NAME] [--port N] ...\n"
	     "       cloudml-serving --model_config_file PATH [--port N] ...\n"
	     "\n"
	     "Serves models with TensorFlow Serving's gRPC and REST protocols on one port.\n");
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		CLEANUP(free)
		char *head = mem_printf("--%s %s", flags[i].name, flags[i].value);
		if (strlen(head) > 40)
			printf("  %s\n  %-40s %s\n", head, "", flags[i].text);
		else
			printf("  %-40s %s\n", head, flags[i].text);
	}
	puts("  --tensorflow_session_parallelism N       both of the next two\n"
	     "  --tensorflow_intra_op_parallelism N      other name of --threads (0: all processors)\n"
	     "  --tensorflow_inter_op_parallelism N      operations of one run at the same time (default 1)\n"
	     "  --help                                   this text\n"
	     "  --version                                version of the program\n"
	     "\n"
	     "Taken from the original server's command lines, without effect:");
	for (size_t i = 0; i < ARRAY_LEN(foreign_flags); i++)
		if (!foreign_flags[i].refused)
			printf("  --%s: %s\n", foreign_flags[i].name, foreign_flags[i].text);
	puts("\n"
	     "--name=value and --name value mean the same; --noname and --name=false switch off. Sizes: 64M, "
	     "1G.\n"
	     "Times: 30s, 5m. SIGTERM answers what is in flight, then ends with status 0.\n"
	     "CLOUDML_LOG=debug|info|warn|error sets how much is logged.");
}

static int parse_number(const char *name, const char *text, int64_t min, int64_t max, int64_t *ret,
			struct err *err)
{
	char *end;
	long long v = strtoll(text, &end, 10);

	if (end == text || *end || v < min || v > max)
		return err_set(err, ERR_INVALID, "--%s is '%s', must be a number from %lld to %lld", name,
			       text, (long long)min, (long long)max);
	*ret = v;
	return 0;
}

static int parse_mode(const struct flag *f, const char *text, int *ret, struct err *err)
{
	char *end;
	long v = strtol(text, &end, 8);

	if (end == text || *end || v < f->min || v > f->max)
		return err_set(err, ERR_INVALID, "--%s is '%s', must be permissions such as 0660", f->name,
			       text);
	*ret = (int)v;
	return 0;
}

static int parse_size(const struct flag *f, const char *text, int64_t *ret, struct err *err)
{
	int64_t v = 0;
	int r = unit_parse_bytes(text, &v, err);

	if (r < 0)
		return err_wrap(err, "--%s", f->name);
	if (v < f->min || v > f->max)
		return err_set(err, ERR_INVALID, "--%s is '%s', must be from 1K to %lldM", f->name, text,
			       (long long)(f->max >> 20));
	*ret = v;
	return 0;
}

static int parse_bool(const char *name, const char *text, bool *ret, struct err *err)
{
	*ret = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
	if (*ret || strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
		return 0;
	return err_set(err, ERR_INVALID, "--%s is '%s', must be true or false", name, text);
}

static int apply(const struct flag *f, const char *text, struct serving_options *o, struct err *err)
{
	void *place = (char *)o + f->place;
	int64_t v = 0;
	int r;

	switch (f->kind) {
	case FLAG_TEXT:
		*(const char **)place = text;
		return 0;
	case FLAG_MODE:
		return parse_mode(f, text, place, err);
	case FLAG_INT:
		r = parse_number(f->name, text, f->min, f->max, &v, err);
		if (r >= 0)
			*(int *)place = (int)v;
		return r;
	case FLAG_INT64:
		return parse_number(f->name, text, f->min, f->max, place, err);
	case FLAG_BOOL:
		return parse_bool(f->name, text, place, err);
	case FLAG_SIZE:
		return parse_size(f, text, place, err);
	case FLAG_TIME:
		r = unit_parse_duration_ms(text, place, err);
		return r < 0 ? err_wrap(err, "--%s", f->name) : 0;
	}
	return 0;
}

/* The original's names for the threads of a run; 0 leaves the choice to the program. */
static int apply_parallelism(const char *name, const char *text, struct serving_options *o, struct err *err)
{
	bool both = strcmp(name, "tensorflow_session_parallelism") == 0;
	int64_t v = 0;
	int r = parse_number(name, text, 0, 256, &v, err);

	if (r < 0 || v == 0)
		return r;
	if (both || strcmp(name, "tensorflow_intra_op_parallelism") == 0)
		o->threads = (int)v;
	if (both || strcmp(name, "tensorflow_inter_op_parallelism") == 0)
		o->inter_threads = (int)v;
	return 0;
}

static int apply_foreign(const struct foreign_flag *f, const char *text, struct err *err)
{
	bool off = f->is_bool ? strcmp(text, "false") == 0 || strcmp(text, "0") == 0 : !*text;

	if (off)
		return 0;
	if (f->refused)
		return err_set(err, ERR_UNSUPPORTED, "--%s is not supported: %s", f->name, f->text);
	fprintf(stderr, "cloudml-serving: --%s has no effect here: %s\n", f->name, f->text);
	return 0;
}

/* A flag of either table by its name, or by its name behind "no" when it is on or off. */
struct found {
	const struct flag *own;
	const struct foreign_flag *foreign;
	const char *parallelism;
	bool is_bool, negated;
};

static bool find_exact(struct str name, struct found *ret)
{
	static const char *const parallelism[] = {"tensorflow_session_parallelism",
						  "tensorflow_intra_op_parallelism",
						  "tensorflow_inter_op_parallelism"};

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (str_eq(name, flags[i].name))
			*ret = (struct found){.own = &flags[i], .is_bool = flags[i].kind == FLAG_BOOL};
	for (size_t i = 0; i < ARRAY_LEN(foreign_flags); i++)
		if (str_eq(name, foreign_flags[i].name))
			*ret =
			    (struct found){.foreign = &foreign_flags[i], .is_bool = foreign_flags[i].is_bool};
	for (size_t i = 0; i < ARRAY_LEN(parallelism); i++)
		if (str_eq(name, parallelism[i]))
			*ret = (struct found){.parallelism = parallelism[i]};
	return ret->own || ret->foreign || ret->parallelism;
}

static bool find(struct str name, struct found *ret)
{
	*ret = (struct found){0};
	if (find_exact(name, ret))
		return true;
	if (name.len < 3 || memcmp(name.data, "no", 2) != 0)
		return false;
	ret->negated = find_exact((struct str){name.data + 2, name.len - 2}, ret) && ret->is_bool;
	return ret->negated;
}

/* One flag at argv[*at]; moves *at past a value of its own. */
static int parse_flag(int argc, char **argv, int *at, struct serving_options *o, struct err *err)
{
	const char *arg = argv[*at] + 2, *equals = strchr(arg, '='), *value = equals ? equals + 1 : NULL;
	struct found found;

	if (!find((struct str){arg, equals ? (size_t)(equals - arg) : strlen(arg)}, &found))
		return err_set(err, ERR_INVALID, "unknown flag '%.100s'; try 'cloudml-serving --help'",
			       argv[*at]);
	if (found.negated && value)
		return err_set(err, ERR_INVALID, "'%.100s' takes no value", argv[*at]);
	if (found.is_bool && !value)
		value = found.negated ? "false" : "true";
	if (!value && *at + 1 < argc)
		value = argv[++*at];
	if (!value)
		return err_set(err, ERR_INVALID, "'%.100s' needs a value; try 'cloudml-serving --help'",
			       argv[*at]);
	if (found.own)
		return apply(found.own, value, o, err);
	if (found.foreign)
		return apply_foreign(found.foreign, value, err);
	return apply_parallelism(found.parallelism, value, o, err);
}

int serving_flags_parse(int argc, char **argv, struct serving_options *o, struct err *err)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			print_help();
			return 1;
		}
		if (strcmp(argv[i], "--version") == 0) {
			puts("cloudml-serving " CLOUDML_VERSION);
			return 1;
		}
		if (strncmp(argv[i], "--", 2) != 0 || !argv[i][2])
			return err_set(err, ERR_INVALID, "'%.100s' is no flag; try 'cloudml-serving --help'",
				       argv[i]);
		int r = parse_flag(argc, argv, &i, o, err);
		if (r < 0)
			return r;
	}
	if (o->model_config_file && !*o->model_config_file)
		o->model_config_file = NULL;
	if (o->socket_path && !*o->socket_path)
		o->socket_path = NULL;
	if (o->load_retry_us < 0)
		o->load_retry_us = 0;
	if (o->ssl_config_file && !*o->ssl_config_file)
		o->ssl_config_file = NULL;
	if (!o->model_base_path && !o->model_config_file)
		return err_set(err, ERR_INVALID,
			       "--model_base_path is missing; try 'cloudml-serving --help'");
	return tls_options_check(o, err);
}
