/* SPDX-License-Identifier: Apache-2.0 */
/* Field numbers of tensorflow/core/framework/tensor.proto and tensor_shape.proto. */
#ifndef SERVING_TENSOR_PB_INT_H
#define SERVING_TENSOR_PB_INT_H

enum {
	TENSOR_DTYPE = 1,
	TENSOR_SHAPE = 2,
	TENSOR_CONTENT = 4,
	SHAPE_DIM = 2,
	SHAPE_UNKNOWN_RANK = 3,
	DIM_SIZE = 1,
};

#endif
