/* SPDX-License-Identifier: Apache-2.0 */
/* Our own paths, for whoever runs the server:
 *
 *   GET  /cloudml/v1/models/NAME/weights   {"weights": {"1": 900, "2": 100}}
 *   POST /cloudml/v1/models/NAME/weights   the same as a body; {} takes all weights away
 *   POST /cloudml/v1/reload                reads --model_config_file again and waits until it is in force */
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "serving/http.h"
#include "serving/json_text.h"
#include "serving/model_life.h"
#include "serving/model_scan.h"
#include "serving/rest_route.h"

#define PREFIX "/cloudml/v1/"
#define BODY_MAX ((size_t)64 * 1024)

static void reply_error(struct http_call *c, const struct err *err)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "{\"error\":");
	json_text_write_string(&b, str_from(err->msg));
	buf_adds(&b, "}\n");
	http_reply(c, err_http(err->code), HTTP_JSON, &b);
}

static void reply_weights(struct http_call *c, const struct model *m)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "{\"weights\":{");
	for (size_t i = 0; i < m->weight_count; i++)
		buf_printf(&b, "%s\"%lld\":%d", i ? "," : "", (long long)m->weights[i].version,
			   m->weights[i].per_mille);
	buf_adds(&b, "}}\n");
	http_reply(c, 200, HTTP_JSON, &b);
}

static int read_weights(struct str body, struct model_weight *ret, size_t *ret_count, struct err *err)
{
	CLEANUP(json) json_t *root = NULL;
	struct json_reader reader;
	const json_t *weights;
	const char *key;
	json_t *value;
	int r = json_parse(body.data, body.len, BODY_MAX, &root, err);

	if (r < 0)
		return r;
	*ret_count = 0;
	json_reader_begin(&reader, root, "weights");
	weights = json_get_object(&reader, "weights");
	json_object_foreach((json_t *)weights, key, value)
	{
		int64_t version = model_version_of(key);
		if (*ret_count == MODEL_VERSIONS_MAX)
			json_reader_fail(&reader, "more than %d weights", MODEL_VERSIONS_MAX);
		else if (version < 0)
			json_reader_fail(&reader, "'%.50s' is no version", key);
		else if (!json_is_integer(value) || json_integer_value(value) < 0 ||
			 json_integer_value(value) > MODEL_WEIGHTS_SUM)
			json_reader_fail(&reader,
					 "the weight of version %s must be a whole number from 0 to %d", key,
					 MODEL_WEIGHTS_SUM);
		else
			ret[(*ret_count)++] = (struct model_weight){version, (int)json_integer_value(value)};
	}
	return json_reader_end(&reader, err);
}

static void handle_weights(struct http_call *c, struct str name)
{
	struct model_weight weights[MODEL_VERSIONS_MAX];
	struct model *m = registry_find(&c->server->registry, name);
	struct err err = ERR_INIT;
	size_t count = 0;
	int r = 0;

	if (!m || !m->listed)
		r = err_set(&err, ERR_NOT_FOUND, "there is no model '%.*s'",
			    (int)(name.len > 200 ? 200 : name.len), name.data);
	else if (strcmp(c->method, "POST") == 0 || strcmp(c->method, "PUT") == 0)
		r = read_weights(c->body, weights, &count, &err);
	else if (strcmp(c->method, "GET") != 0)
		r = err_set(&err, ERR_METHOD, "weights are read with GET and set with POST");
	if (r >= 0 && strcmp(c->method, "GET") != 0)
		r = model_set_weights(m, weights, count, &err);
	if (r < 0)
		reply_error(c, &err);
	else
		reply_weights(c, m);
}

struct http_reload {
	struct reload reload;
	struct http_call *call;
};

static void reload_done(struct reload *r, const struct err *err)
{
	struct http_reload *mine = CONTAINER_OF(r, struct http_reload, reload);
	struct http_call *c = mine->call;
	struct buf b = BUF_INIT;

	free(mine);
	server_call_end(c->server);
	if (err->code) {
		reply_error(c, err);
		return;
	}
	buf_adds(&b, "{}\n");
	http_reply(c, 200, HTTP_JSON, &b);
}

static void handle_reload(struct http_call *c)
{
	struct model_config_list *config = NULL;
	struct http_reload *mine;
	struct err err = ERR_INIT;
	int r = 0;

	if (strcmp(c->method, "POST") != 0)
		r = err_set(&err, ERR_METHOD, "a reload is asked for with POST");
	else if (!c->server->options->model_config_file)
		r = err_set(&err, ERR_STATE, "the server was started without --model_config_file");
	else
		r = model_life_configured(c->server->life, &config, &err);
	if (r < 0) {
		reply_error(c, &err);
		return;
	}
	mine = MEM_NEW(struct http_reload);
	mine->call = c;
	mine->reload.config = config;
	mine->reload.done = reload_done;
	server_call_begin(c->server);
	model_life_reload(c->server->life, &mine->reload);
}

bool admin_rest_handle(struct http_call *c)
{
	static const char models[] = PREFIX "models/", weights[] = "/weights";
	struct arena arena;
	struct str name;
	size_t len = strlen(c->path);

	if (strcmp(c->path, PREFIX "reload") == 0) {
		handle_reload(c);
		return true;
	}
	if (!str_starts(c->path, models) || !str_ends(c->path, weights) ||
	    len < strlen(models) + strlen(weights))
		return false;
	arena = ARENA_INIT(4096);
	if (!rest_path_decode((struct str){c->path + strlen(models), len - strlen(models) - strlen(weights)},
			      &arena, &name))
		name = (struct str){"", 0};
	handle_weights(c, name);
	arena_done(&arena);
	return true;
}
