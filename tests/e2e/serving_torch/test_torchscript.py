# SPDX-License-Identifier: Apache-2.0
"""TorchScript models, scripted and traced, against what torch computes itself."""

from typing import Tuple

import grpc
import numpy as np
import pytest
import torch

from serving_client import Server

ROWS = np.random.default_rng(1).random((9, 4)).astype(np.float32)


class Scripted(torch.nn.Module):
    """Branches on its data, which tracing could not keep."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(4, 8), torch.nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.first(x))
        if bool(x.sum() > 1000):
            return self.second(hidden) * 0
        return torch.softmax(self.second(hidden), 1)


class Pair(torch.nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        return a + b, (a > b).to(torch.int64)


class Typed(torch.nn.Module):
    def forward(self, ids: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return (ids.to(torch.float64) * weight).sum(1)


def save(module, folder, traced=None):
    module = module.eval()
    made = torch.jit.trace(module, traced) if traced is not None else torch.jit.script(module)
    torch.jit.save(made, str(folder / "model.pt"))
    return module


def computed(module, *arrays):
    with torch.inference_mode():
        answer = module(*map(torch.from_numpy, arrays))
    return [t.numpy() for t in (answer if isinstance(answer, tuple) else (answer,))]


@pytest.mark.parametrize("traced", [False, True])
def test_a_network_over_every_protocol(tmp_path, traced):
    torch.manual_seed(1)
    module = save(Scripted() if not traced else torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(1)), tmp_path,
                  torch.zeros(1, 4) if traced else None)
    (expected,) = computed(module, ROWS)
    with Server(tmp_path) as server:
        signature = server.signatures()[0]["serving_default"]
        (name,) = signature.inputs
        assert list(signature.outputs) == ["output"] and signature.inputs[name].dtype == 1
        outputs, _ = server.predict({name: ROWS})
        np.testing.assert_allclose(outputs["output"], expected, rtol=1e-6)
        status, reply = server.rest({"instances": ROWS.tolist()})
        assert status == 200, reply
        np.testing.assert_allclose(np.float32(reply["predictions"]), expected, rtol=1e-6)
        body = {"inputs": [{"name": name, "shape": [9, 4], "datatype": "FP32", "data": ROWS.tolist()}]}
        status, reply = server.http("POST", "/v2/models/m/infer", body)
        assert status == 200, reply
        np.testing.assert_allclose(np.float32(reply["outputs"][0]["data"]).reshape(9, 3), expected, rtol=1e-6)
        assert server.http("GET", "/v2/models/m")[1]["platform"] == "python"


def test_several_inputs_and_outputs(tmp_path):
    module = save(Pair(), tmp_path)
    a, b = ROWS, ROWS[::-1].copy()
    with Server(tmp_path) as server:
        outputs, _ = server.predict({"a": a, "b": b})
        assert set(outputs) == {"output_0", "output_1"} and outputs["output_1"].dtype == np.float32  # nobody says otherwise
        for i, want in enumerate(computed(module, a, b)):
            np.testing.assert_array_equal(outputs[f"output_{i}"], want)


def test_a_signature_beside_the_model_names_types(tmp_path):
    module = save(Typed(), tmp_path)
    (tmp_path / "signature.json").write_text(
        '{"inputs": [{"name": "ids", "datatype": "INT64", "shape": [-1, 3]}, {"name": "weight", "datatype": "FP64", "shape": [3]}],'
        ' "outputs": [{"name": "sum", "datatype": "FP64", "shape": [-1]}]}')
    ids, weight = np.arange(6).reshape(2, 3), np.array([0.5, 1, 2])
    with Server(tmp_path) as server:
        outputs, _ = server.predict({"ids": ids, "weight": weight})
        np.testing.assert_array_equal(outputs["sum"], computed(module, ids, weight)[0])
        with pytest.raises(grpc.RpcError) as failure:
            server.predict({"ids": ids.astype(np.float32), "weight": weight})
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_model_that_fails_and_one_that_is_none_say_why(tmp_path):
    save(Pair(), tmp_path)
    with Server(tmp_path) as server:
        with pytest.raises(grpc.RpcError) as failure:
            server.predict({"a": ROWS, "b": ROWS[:, :3]})
        assert failure.value.code() == grpc.StatusCode.INTERNAL and "TorchScript" in failure.value.details()
        assert set(server.predict({"a": ROWS, "b": ROWS})[0]) == {"output_0", "output_1"}
    (tmp_path / "model.pt").write_bytes(b"no model")
    server = Server(tmp_path)
    code, _ = server.stop()
    assert code not in (0, None) and "PytorchStreamReader" in server.ready["error"]
