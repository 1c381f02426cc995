# SPDX-License-Identifier: Apache-2.0
"""BentoML: bentoml serve bentoml_app:Mlp; the model's path comes in $MODEL."""

import os

import bentoml
import numpy as np
import onnxruntime


@bentoml.service(workers=1)
class Mlp:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])

    @bentoml.api
    def predict(self, x: list[list[float]]) -> list[list[float]]:
        return self.session.run(None, {"x": np.asarray(x, np.float32)})[0].tolist()
