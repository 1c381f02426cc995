/* SPDX-License-Identifier: Apache-2.0 */
/* tensorflow.serving.ModelService/HandleReloadConfigRequest: a new list of models over the wire. */
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"
#include "net/pb.h"
#include "serving/model_life.h"
#include "serving/rpc.h"

enum { REQUEST_CONFIG = 1, RESPONSE_STATUS = 1 };

struct rpc_reload {
	struct reload reload;
	struct rpc_call *call;
};

static void reload_done(struct reload *r, const struct err *err)
{
	struct rpc_reload *mine = CONTAINER_OF(r, struct rpc_reload, reload);
	struct rpc_call *c = mine->call;
	struct buf reply = BUF_INIT;

	free(mine);
	if (err->code) {
		rpc_fail(c, err);
		return;
	}
	rpc_reply_begin(&reply);
	pb_close(&reply, pb_begin(&reply, RESPONSE_STATUS, 0)); /* a status without code: well */
	rpc_reply(c, &reply);
}

static int read_request(struct str message, struct model_config_list *config, struct err *err)
{
	struct str bytes = {NULL, 0};
	struct pb p;
	struct pb_field f;
	int r;

	pb_init_str(&p, message);
	while (pb_next(&p, &f))
		if (pb_is(&f, REQUEST_CONFIG, PB_BYTES))
			bytes = f.bytes;
	r = pb_end(&p, "ReloadConfigRequest", err);
	if (r >= 0 && !bytes.data)
		return err_set(err, ERR_INVALID, "the request holds no config");
	return r < 0 ? r : model_config_read_pb(bytes, config, err);
}

void tfs_handle_reload(struct rpc_call *c)
{
	CLEANUP(model_config_list) struct model_config_list *config = model_config_list_new();
	struct rpc_reload *mine;
	struct err err = ERR_INIT;

	if (read_request(c->message, config, &err) < 0) {
		rpc_fail(c, &err);
		return;
	}
	log_info("config.reload models=%zu", config->count);
	mine = MEM_NEW(struct rpc_reload);
	mine->call = c;
	mine->reload.config = STEAL(config);
	mine->reload.done = reload_done;
	model_life_reload(c->server->life, &mine->reload);
}
