/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the Open Inference Protocol over gRPC. */
#ifndef SERVING_OIP_GRPC_H
#define SERVING_OIP_GRPC_H

#include "serving/oip.h"
#include "serving/rpc.h"

/* One infer request on its way. */
struct oip_infer {
	struct oip_request request;
	void *owner;
	uint32_t wrap_field; /* the reply becomes this field of a message of its own; 0 = it is the message */
	/* Once. err->code 0: the reply, which begins as rpc_reply_begin makes it; taken. Else 'request' still
	 * has the texts of the message, but no tensors. */
	void (*done)(struct oip_infer *in, const struct err *err, struct buf *takes_reply);
	struct rpc_views *views; /* of the reply, for 'done' to take; none when it is wrapped */
	struct predict **slot;	 /* where the prediction is known until 'done', to cancel it; may be NULL */
};
/* 'message' lies in 'memory'; both stay until 'done' was called, possibly before this returns. Copies 'how',
 * of which 'request' is not looked at. */
void oip_grpc_infer(struct server *s, struct str message, struct shared *memory, int64_t deadline_ns,
		    const struct oip_infer *how);

extern const struct rpc_stream_ops oip_stream_ops; /* ModelStreamInfer */

#endif
