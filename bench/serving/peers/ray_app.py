# SPDX-License-Identifier: Apache-2.0
"""Ray Serve: ray_app.py PORT MODEL"""

import signal
import sys

import numpy as np
import onnxruntime
import ray
from ray import serve

PORT, MODEL = int(sys.argv[1]), sys.argv[2]


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 1})
class Mlp:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    async def __call__(self, request):
        x = np.asarray((await request.json())["x"], np.float32)
        return {"y": self.session.run(None, {"x": x})[0].tolist()}


ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": PORT}, proxy_location="HeadOnly")
serve.run(Mlp.bind(MODEL), route_prefix="/predict")
signal.sigwait({signal.SIGTERM})
ray.shutdown()
