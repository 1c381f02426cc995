# SPDX-License-Identifier: Apache-2.0
"""A server of two models: 'm' doubles floats, 'whole' gives back four whole numbers."""

import pytest

import onnx_models
from serving_client import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("contract")
    onnx_models.multiply(base / "m" / "12" / "model.onnx", 2)
    onnx_models.save(base / "whole" / "3" / "model.onnx", [onnx_models.helper.make_node("Identity", ["x"], ["y"])],
                     [("x", "int32", ["N", 4])], [("y", "int32", ["N", 4])])
    (base / "models").write_text("model_config_list { %s }" % " ".join(
        f"config {{ name: '{name}' base_path: '{base / name}' }}" for name in ("m", "whole")))
    with Server(None, flags=[f"--model_config_file={base / 'models'}"]) as server:
        yield server
