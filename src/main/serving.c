/* SPDX-License-Identifier: Apache-2.0 */
/* cloudml-serving: flags, then the room 'serving'. */
#include <getopt.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/err.h"
#include "base/log.h"
#include "base/unit.h"
#include "serving/serving.h"

#define FIRST_INHERITED_FD 3

/* name, value in the help, text; the order is that of the help */
#define FLAG_TABLE(X)                                                                                        \
	X(port, "N", "port for gRPC and REST together (default 8500; 0: any free one)")                      \
	X(address, "ADDRESS", "numeric address to listen on (default 127.0.0.1)")                            \
	X(listen_fd, "FD", "inherited listening socket instead of a port (LISTEN_FDS=1 means 3)")            \
	X(model_name, "NAME", "name that clients use (default 'default')")                                   \
	X(model_base_path, "PATH", "folder of numbered versions, or a SavedModel, or a .onnx file")          \
	X(model_version, "N", "version to serve (default: the highest; 1 when the path is a model itself)")  \
	X(runtime_path, "DIR", "Python environment with tensorflow or onnxruntime (default $VIRTUAL_ENV)")   \
	X(threads, "N", "threads for one run of the model (default: all processors)")                        \
	X(workers, "N", "runs at the same time (default 2)")                                                 \
	X(max_message_size, "SIZE", "of one gRPC message (default 256M)")                                    \
	X(max_json_size, "SIZE", "of one REST body (default 64M)")                                           \
	X(max_request_memory, "SIZE", "of all requests in flight (default 512M)")                            \
	X(max_connections, "N", "open at the same time (default 4096)")                                      \
	X(header_timeout, "TIME", "from the first byte to the end of the headers (default 10s)")             \
	X(body_timeout, "TIME", "from there to the end of the body (default 2m)")                            \
	X(drain_timeout, "TIME", "for requests in flight after SIGTERM (default 30s)")                       \
	X(ready_fd, "FD", "gets one line of JSON when the model is loaded or failed")

enum flag {
#define FLAG_ENUM(name, value, text) FLAG_##name,
	FLAG_TABLE(FLAG_ENUM)
#undef FLAG_ENUM
	    FLAG_help,
	FLAG_version
};

static const struct option options[] = {
#define FLAG_OPTION(name, value, text) {#name, required_argument, NULL, FLAG_##name},
    FLAG_TABLE(FLAG_OPTION)
#undef FLAG_OPTION
	{"help", no_argument, NULL, FLAG_help},
    {"version", no_argument, NULL, FLAG_version},
    {0},
};

static void print_help(void)
{
	puts("usage: cloudml-serving --model_base_path PATH [--model_name NAME] [--port N] ...\n"
	     "\n"
	     "Serves one model with TensorFlow Serving's gRPC and REST protocols on one port.\n");
#define FLAG_HELP(name, value, text) printf("  %-28s %s\n", "--" #name " " value, text);
	FLAG_TABLE(FLAG_HELP)
#undef FLAG_HELP
	puts("  --help                       this text\n"
	     "  --version                    version of the program\n"
	     "\n"
	     "Sizes: 64M, 1G. Times: 30s, 5m. SIGTERM answers what is in flight, then ends with status 0.\n"
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

static int parse_int(const char *name, const char *text, int min, int max, int *ret, struct err *err)
{
	int64_t v = 0;
	int r = parse_number(name, text, min, max, &v, err);

	if (r >= 0)
		*ret = (int)v;
	return r;
}

static int parse_size(const char *name, const char *text, int64_t max, int64_t *ret, struct err *err)
{
	int64_t v = 0;
	int r = unit_parse_bytes(text, &v, err);

	if (r < 0)
		return err_wrap(err, "--%s", name);
	if (v < 1024 || v > max)
		return err_set(err, ERR_INVALID, "--%s is '%s', must be from 1K to %lldM", name, text,
			       (long long)(max >> 20));
	*ret = v;
	return 0;
}

static int parse_time(const char *name, const char *text, int64_t *ret_ms, struct err *err)
{
	int r = unit_parse_duration_ms(text, ret_ms, err);

	return r < 0 ? err_wrap(err, "--%s", name) : 0;
}

static int apply(enum flag flag, const char *name, const char *text, struct serving_options *o,
		 struct err *err)
{
	switch (flag) {
	case FLAG_port:
		return parse_int(name, text, 0, 65535, &o->port, err);
	case FLAG_address:
		o->address = text;
		return 0;
	case FLAG_listen_fd:
		return parse_int(name, text, 0, 1 << 20, &o->listen_fd, err);
	case FLAG_model_name:
		o->model_name = text;
		return 0;
	case FLAG_model_base_path:
		o->model_base_path = text;
		return 0;
	case FLAG_model_version:
		return parse_number(name, text, 0, INT64_MAX, &o->model_version, err);
	case FLAG_runtime_path:
		o->runtime_path = text;
		return 0;
	case FLAG_threads:
		return parse_int(name, text, 1, 256, &o->threads, err);
	case FLAG_workers:
		return parse_int(name, text, 1, 64, &o->workers, err);
	case FLAG_max_message_size:
		return parse_size(name, text, INT32_MAX, &o->message_bytes_max, err);
	case FLAG_max_json_size:
		return parse_size(name, text, INT32_MAX, &o->json_bytes_max, err);
	case FLAG_max_request_memory:
		return parse_size(name, text, (int64_t)1 << 40, &o->request_bytes_max, err);
	case FLAG_max_connections:
		return parse_int(name, text, 1, 100000, &o->connections_max, err);
	case FLAG_header_timeout:
		return parse_time(name, text, &o->header_timeout_ms, err);
	case FLAG_body_timeout:
		return parse_time(name, text, &o->body_timeout_ms, err);
	case FLAG_drain_timeout:
		return parse_time(name, text, &o->drain_ms, err);
	case FLAG_ready_fd:
		return parse_int(name, text, 0, 1 << 20, &o->ready_fd, err);
	default:
		return 0;
	}
}

/* Returns 1 when there is nothing to serve: help or version was asked for. */
static int parse_flags(int argc, char **argv, struct serving_options *o, struct err *err)
{
	int flag, index = 0, r;

	while ((flag = getopt_long(argc, argv, "", options, &index)) != -1) {
		if (flag == FLAG_help) {
			print_help();
			return 1;
		}
		if (flag == FLAG_version) {
			puts("cloudml-serving " CLOUDML_VERSION);
			return 1;
		}
		if (flag == '?')
			return err_set(err, ERR_INVALID, "try 'cloudml-serving --help'");
		r = apply((enum flag)flag, options[index].name, optarg, o, err);
		if (r < 0)
			return r;
	}
	if (optind < argc)
		return err_set(err, ERR_INVALID, "'%s' is no flag; try 'cloudml-serving --help'",
			       argv[optind]);
	if (!o->model_base_path)
		return err_set(err, ERR_INVALID,
			       "--model_base_path is missing; try 'cloudml-serving --help'");
	return 0;
}

static int processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* systemd's socket activation. */
static bool has_listen_fds(void)
{
	const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");

	return count && strcmp(count, "1") == 0 && (!pid || atol(pid) == (long)getpid());
}

int main(int argc, char **argv)
{
	struct serving_options o;
	struct err err = ERR_INIT;
	int r;

	serving_options_init(&o);
	o.model_name = "default";
	o.runtime_path = getenv("VIRTUAL_ENV");
	o.threads = processors();
	if (has_listen_fds())
		o.listen_fd = FIRST_INHERITED_FD;
	r = parse_flags(argc, argv, &o, &err);
	if (r == 0)
		r = serving_run(&o, &err);
	if (r >= 0)
		return 0;
	fprintf(stderr, "cloudml-serving: %s\n", err.msg);
	return err_exit(err.code);
}
