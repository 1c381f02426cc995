# SPDX-License-Identifier: Apache-2.0
"""LitServe: litserve_app.py PORT MODEL"""

import sys

import litserve
import numpy as np
import onnxruntime

PORT, MODEL = int(sys.argv[1]), sys.argv[2]


class Api(litserve.LitAPI):
    def setup(self, device):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])

    def decode_request(self, request):
        return np.asarray(request["x"], np.float32)

    def predict(self, x):
        return self.session.run(None, {"x": x})[0]

    def encode_response(self, y):
        return {"y": y.tolist()}


if __name__ == "__main__":
    litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1).run(host="127.0.0.1", port=PORT, log_level="warning",
                                                                         generate_client_file=False)
