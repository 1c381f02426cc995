# SPDX-License-Identifier: Apache-2.0
"""Loading and unloading of models, lazily loaded ones, and what the index tells."""

import json
import threading

import grpc
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

import onnx_models
from oip_samples import X, make_inputs
from serving_client import TIMEOUT, Server


@pytest.fixture
def bases(tmp_path):
    for name, by in (("two", 2), ("three", 3)):
        onnx_models.multiply(tmp_path / name / "1" / "model.onnx", by)
    return tmp_path


def config(bases, *names):
    models = "".join(f'config {{ name: "{n}" base_path: "{bases / n}" model_platform: "onnx" }}' for n in names)
    (bases / "models.config").write_text(f"model_config_list {{ {models} }}")
    return ["--model_config_file", str(bases / "models.config"), "--file_system_poll_wait_seconds", "0"]


def product(client, name):
    module = tritonclient.http if isinstance(client, tritonclient.http.InferenceServerClient) else tritonclient.grpc
    return client.infer(name, make_inputs(module, {"x": X})).as_numpy("y")[0, 1]


def states(client):
    return {(m["name"], m.get("version")): (m["state"], m["reason"]) for m in client.get_model_repository_index()}


def test_a_model_is_unloaded_and_loaded_again(bases, http_client):
    with Server(None, flags=config(bases, "two", "three")) as server:
        c = http_client(server)
        assert (product(c, "two"), product(c, "three")) == (4, 6)
        assert states(c) == {("two", "1"): ("READY", ""), ("three", "1"): ("READY", "")}
        c.unload_model("two")
        assert not c.is_model_ready("two") and c.is_model_ready("three") and c.is_server_ready()
        with pytest.raises(InferenceServerException, match="model 'two' is not found: it was unloaded"):
            product(c, "two")
        assert product(c, "three") == 6
        assert states(c)[("two", "1")][0] != "READY"
        assert server.http("GET", "/v2/models")[1] == {"models": ["three"]}
        c.load_model("two")
        assert c.is_model_ready("two") and product(c, "two") == 4
        with pytest.raises(InferenceServerException, match="no configuration names it"):
            c.load_model("four")
        with pytest.raises(InferenceServerException, match="'four' is not loaded"):
            c.unload_model("four")
        with pytest.raises(InferenceServerException, match="not offered"):
            c.load_model("two", config="{}")
        assert (product(c, "two"), product(c, "three")) == (4, 6)


def test_loading_looks_at_the_folder_and_the_file_again(bases, http_client):
    with Server(None, flags=config(bases, "two")) as server:
        c = http_client(server)
        onnx_models.multiply(bases / "two" / "2" / "model.onnx", 20)
        c.load_model("two")
        assert product(c, "two") == 40 and c.get_model_metadata("two")["versions"] == ["2"]
        config(bases, "two", "three")
        c.load_model("three")
        assert (product(c, "two"), product(c, "three")) == (40, 6)
        (bases / "two" / "3").mkdir()
        (bases / "two" / "3" / "model.onnx").write_bytes(b"no model")
        for _ in range(2):
            with pytest.raises(InferenceServerException, match="version 3 of model 'two': .*ONNX"):
                c.load_model("two")
        assert product(c, "two") == 40  # what serves goes on
        assert states(c)[("two", "3")][0] in ("UNAVAILABLE", "LOADING") and "ONNX" in states(c)[("two", "3")][1]
        c.load_model("three")  # is not kept from it


def test_many_changes_at_the_same_time(bases, http_client):
    for i in range(8):
        onnx_models.multiply(bases / f"m{i}" / "1" / "model.onnx", i + 1)
    names = [f"m{i}" for i in range(8)]
    with Server(None, flags=config(bases, *names)) as server:
        codes = []

        def change(name, verb):
            codes.append(server.http("POST", f"/v2/repository/models/{name}/{verb}", {})[0])

        threads = [threading.Thread(target=change, args=(n, "unload")) for n in names[:6]]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert codes == [200] * 6 and server.http("GET", "/v2/models")[1] == {"models": names[6:]}
        for n in names[:6]:
            change(n, "load")
        assert codes == [200] * 12
        assert all(product(http_client(server), n) == 2 * (i + 1) for i, n in enumerate(names))


def test_both_dialects_over_grpc(bases, grpc_client):
    with Server(None, flags=config(bases, "two", "three")) as server:
        c = grpc_client(server)
        c.unload_model("two")
        assert not c.is_model_ready("two")
        c.load_model("two")
        assert product(c, "two") == 4
        with pytest.raises(InferenceServerException, match="not offered"):
            c.load_model("two", config="{}")
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/RepositoryModelUnload")
            assert call(b"\x0a\x05three", timeout=TIMEOUT) == b"\x0a\x05three\x10\x01"  # the name in field 1
            assert not c.is_model_ready("three")
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            stub.RepositoryModelLoad(service_pb2.RepositoryModelLoadRequest(repository_name="x", model_name="three"), timeout=TIMEOUT)
            assert product(c, "three") == 6
            with pytest.raises(grpc.RpcError) as failure:
                call(b"", timeout=TIMEOUT)
            assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_models_loaded_by_their_first_request(bases, http_client, grpc_client):
    with Server(None, flags=config(bases, "two", "three") + ["--lazy_load"]) as server:
        c = http_client(server)
        assert c.is_model_ready("two") and states(c)[("two", "1")] == ("UNAVAILABLE", "loaded by its first request")
        assert product(c, "two") == 4 and states(c)[("two", "1")] == ("READY", "")
        answers = []
        arrived = threading.Event()

        def on_answer(result, error):
            answers.append((result, error))
            arrived.set()

        stream = grpc_client(server)
        stream.start_stream(callback=on_answer)
        stream.async_stream_infer("three", make_inputs(tritonclient.grpc, {"x": X}))
        assert arrived.wait(TIMEOUT)
        stream.stop_stream()
        result, error = answers[0]
        assert error is None and result.as_numpy("y")[0, 1] == 6


def test_batched_requests_are_counted_as_what_they_are(bases, http_client):
    (bases / "batching.txt").write_text("max_batch_size { value: 64 } batch_timeout_micros { value: 50000 }")
    flags = config(bases, "two") + ["--enable_batching", "--batching_parameters_file", str(bases / "batching.txt")]
    with Server(None, flags=flags) as server:
        c = tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.port}", concurrency=16)
        calls = [c.async_infer("two", make_inputs(tritonclient.http, {"x": X + i})) for i in range(64)]
        for i, call in enumerate(calls):
            np.testing.assert_array_equal(call.get_result().as_numpy("y"), (X + i) * np.float32(2))
        stats = c.get_inference_statistics("two")["model_stats"][0]
        c.close()
    assert stats["inference_count"] == 128 and stats["inference_stats"]["success"]["count"] == 64
    assert 0 < stats["execution_count"] <= 64
    assert json.dumps(stats)
