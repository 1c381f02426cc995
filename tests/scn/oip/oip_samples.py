# SPDX-License-Identifier: Apache-2.0
"""Values of each element type and how clients name them."""

import numpy as np

DATATYPES = {
    "float32": "FP32", "float64": "FP64", "int32": "INT32", "uint8": "UINT8", "int16": "INT16", "int8": "INT8",
    "object": "BYTES", "int64": "INT64", "bool": "BOOL", "uint16": "UINT16", "float16": "FP16", "uint32": "UINT32",
    "uint64": "UINT64",
}
SAMPLES = {
    "float32": [[1.5, -0.0]], "float64": [[1e300, -2.25]], "int32": [[-(2**31), 2**31 - 1]], "uint8": [[0, 255]],
    "int16": [[-32768, 32767]], "int8": [[-128, 127]], "object": [[b"text \xc3\xa4", b""]],
    "int64": [[-(2**63), 2**63 - 1]], "bool": [[True, False]], "uint16": [[0, 65535]], "float16": [[65504, -6e-8]],
    "uint32": [[0, 2**32 - 1]], "uint64": [[0, 2**64 - 1]],
}
X = np.array([[1, 2, 3, 4.5], [-1, 0.1, 1e20, 0]], np.float32)


def sample(name):
    return np.array(SAMPLES[name], name)


def make_inputs(module, arrays, **how):
    """arrays: name -> array; module: tritonclient.http or tritonclient.grpc"""
    made = []
    for name, array in arrays.items():
        tensor = module.InferInput(name, array.shape, DATATYPES[str(array.dtype)])
        tensor.set_data_from_numpy(array, **how)
        made.append(tensor)
    return made
