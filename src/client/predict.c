/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC Predict (tensorflow_serving/apis/predict.proto) on libcurl's HTTP/2 with prior knowledge. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/mem.h"
#include "client/client_int.h"
#include "client/tensor_json.h"
#include "net/grpc.h"
#include "net/pb.h"

static const json_t *signature_of(const json_t *metadata, const char *name)
{
	const json_t *j = json_object_get(json_object_get(metadata, "metadata"), "signature_def");
	return json_object_get(json_object_get(j, "signature_def"), name);
}

static int add_input(struct buf *b, const char *name, const json_t *value, const json_t *inputs,
		     struct err *err)
{
	const char *dtype = json_string_value(json_object_get(json_object_get(inputs, name), "dtype"));
	if (!dtype)
		return err_set(err, ERR_INVALID, "the model has no input '%s'", name);
	CLEANUP(buf) struct buf tensor = BUF_INIT;
	int r = tensor_json_encode(value, dtype, &tensor, err);
	if (r < 0)
		return err_wrap(err, "input '%s'", name);
	struct pb_mark entry = pb_begin(b, 2, tensor.len + strlen(name) + 16);
	pb_add_string(b, 1, name);
	pb_add_bytes(b, 2, tensor.data, tensor.len);
	pb_close(b, entry);
	return 0;
}

/* Row form: [{"a": 1, "b": 2}, …] → {"a": [1, …], "b": [2, …]}; bare rows belong to the only input. Returns
 * owned. */
static json_t *columns_of(const json_t *instances, const json_t *inputs)
{
	json_t *columns = json_object();
	const char *name;
	json_t *ignored;
	json_object_foreach((json_t *)inputs, name, ignored)
	{
		json_t *column = json_array();
		size_t i;
		const json_t *row;
		json_array_foreach(instances, i, row) json_array_append(
		    column, json_is_object(row) ? json_object_get(row, name) : (json_t *)row);
		json_object_set_new(columns, name, column);
	}
	return columns;
}

static int build_request(const char *model, const json_t *metadata, const json_t *request, struct buf *b,
			 struct err *err)
{
	const json_t *instances = json_object_get(request, "instances"),
		     *named = json_object_get(request, "inputs");
	const char *signature = json_string_value(json_object_get(request, "signature_name"));
	const json_t *inputs =
	    json_object_get(signature_of(metadata, signature ? signature : "serving_default"), "inputs");
	if (!inputs)
		return err_set(err, ERR_INVALID, "the model has no signature '%s'",
			       signature ? signature : "serving_default");
	if (!instances == !named)
		return err_set(err, ERR_INVALID, "the request needs either \"instances\" or \"inputs\"");
	CLEANUP(json) json_t *columns = NULL;
	if (instances) {
		columns = columns_of(instances, inputs);
	} else if (json_is_object(named)) {
		columns = json_incref((json_t *)named);
	} else {
		columns = json_object();
		json_object_set(columns, json_object_iter_key(json_object_iter((json_t *)inputs)),
				(json_t *)named);
	}
	struct pb_mark spec = pb_begin(b, 1, 64);
	pb_add_string(b, 1, model);
	if (signature)
		pb_add_string(b, 3, signature);
	pb_close(b, spec);
	const char *name;
	json_t *value;
	json_object_foreach(columns, name, value)
	{
		int r = add_input(b, name, value, inputs, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int decode_outputs(struct str message, json_t *outputs, struct err *err)
{
	struct pb p, entry;
	struct pb_field f, e;
	pb_init_str(&p, message);
	while (pb_next(&p, &f)) {
		if (!pb_is(&f, 1, PB_BYTES))
			continue;
		struct str key = {0}, tensor = {0};
		json_t *value = NULL;
		pb_init_str(&entry, f.bytes);
		while (pb_next(&entry, &e)) {
			if (pb_is(&e, 1, PB_BYTES))
				key = e.bytes;
			else if (pb_is(&e, 2, PB_BYTES))
				tensor = e.bytes;
		}
		CLEANUP(free) char *name = mem_strndup(key.data ? key.data : "", key.len);
		int r = tensor_json_decode(tensor, &value, err);
		if (r < 0)
			return err_wrap(err, "output '%s'", name);
		json_object_set_new(outputs, name, value);
	}
	return pb_end(&p, "PredictResponse", err);
}

/* As TensorFlow Serving's REST: one output is bare, several are objects by name. Returns owned. */
static json_t *rest_shape(json_t *outputs, bool rows)
{
	json_t *only =
	    json_object_size(outputs) == 1 ? json_object_iter_value(json_object_iter(outputs)) : NULL;
	if (!rows)
		return json_pack("{s:O}", "outputs", only ? only : outputs);
	if (only)
		return json_pack("{s:O}", "predictions", only);
	json_t *predictions = json_array();
	const char *name;
	json_t *column, *row;
	json_object_foreach(outputs, name, column)
	{
		size_t i;
		json_array_foreach(column, i, row)
		{
			if (json_array_size(predictions) <= i)
				json_array_append_new(predictions, json_object());
			json_object_set(json_array_get(predictions, i), name, row);
		}
	}
	return json_pack("{s:o}", "predictions", predictions);
}

struct answer {
	struct grpc_reader reader;
	int status; /* -1 = none yet */
	struct buf message;
	struct err err;
};

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	struct answer *a = arg;
	size_t n = size * count;
	if (n > 12 && !strncasecmp(data, "grpc-status:", 12))
		a->status = atoi(data + 12);
	if (n > 13 && !strncasecmp(data, "grpc-message:", 13)) {
		struct str text = {data + 13, n - 13};
		while (text.len && strchr(" \t", text.data[0]))
			text.data++, text.len--;
		while (text.len && strchr("\r\n", text.data[text.len - 1]))
			text.len--;
		buf_clear(&a->message);
		grpc_message_decode(&a->message, text);
	}
	return n;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct answer *a = arg;
	size_t used = 0;
	if (grpc_reader_feed(&a->reader, data, size * count, CLIENT_ANSWER_BYTES_MAX, &used, &a->err) < 0)
		return 0;
	return size * count;
}

static int call(const char *address, const struct buf *body, struct answer *a, struct err *err)
{
	CURL *curl = curl_easy_init();
	if (!curl)
		return err_set(err, ERR_NO_MEMORY, "no memory for a connection");
	CLEANUP(free)
	char *url = mem_printf("http://%s/tensorflow.serving.PredictionService/Predict", address);
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/grpc");
	headers = curl_slist_append(headers, "TE: trailers");
	headers = curl_slist_append(headers, "Expect:");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->len);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, a);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
	CURLcode code = curl_easy_perform(curl);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	if (a->err.code)
		return err_set(err, a->err.code, "%s", a->err.msg);
	if (code != CURLE_OK)
		return err_set(err, ERR_UNAVAILABLE, "asking the model at %s: %s", address,
			       curl_easy_strerror(code));
	if (a->status > 0)
		return err_set(err, grpc_status_err(a->status), "%s: %s", grpc_status_name(a->status),
			       buf_str(&a->message));
	if (a->status < 0 || !grpc_reader_complete(&a->reader))
		return err_set(err, ERR_BACKEND, "the model at %s broke off its answer", address);
	return 0;
}

int client_grpc_predict(const char *address, const char *model, const json_t *metadata, const json_t *request,
			json_t **ret, struct err *err)
{
	CLEANUP(buf) struct buf message = BUF_INIT, body = BUF_INIT;
	CLEANUP(json) json_t *outputs = json_object();
	struct answer a = {.status = -1};
	uint8_t prefix[GRPC_PREFIX_BYTES];
	int r = build_request(model, metadata, request, &message, err);
	if (r < 0)
		return r;
	grpc_prefix_write(prefix, false, (uint32_t)message.len);
	buf_add(&body, prefix, sizeof(prefix));
	buf_add(&body, message.data, message.len);
	r = call(address, &body, &a, err);
	if (r >= 0)
		r = decode_outputs((struct str){(const char *)a.reader.message, a.reader.message_len},
				   outputs, err);
	if (r >= 0)
		*ret = rest_shape(outputs, json_object_get(request, "instances") != NULL);
	grpc_reader_done(&a.reader);
	buf_done(&a.message);
	return r;
}
