# SPDX-License-Identifier: Apache-2.0
"""Command lines of the original server, more ports, other forms of answers."""

import socket
import subprocess

import grpc
import numpy as np
import pytest

import onnx_models
from serving_client import PROGRAM, TIMEOUT, Server, http_at, prediction_service_pb2_grpc
from tensorflow_serving.apis import predict_pb2

X = np.float32([[1, 2, 3, 4]])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return onnx_models.multiply(tmp_path_factory.mktemp("model") / "model.onnx")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def run(*flags):
    return subprocess.run([PROGRAM, *flags], capture_output=True, text=True, timeout=TIMEOUT)


@pytest.mark.parametrize("flags, why", [
    (["--port=x"], "--port is 'x'"),
    (["--port"], "'--port' needs a value"),
    (["--enable_grpc_healthcheck_service=maybe"], "must be true or false"),
    (["--noenable_grpc_healthcheck_service=true"], "takes no value"),
    (["--noport"], "unknown flag '--noport'"),
    (["-port=1"], "'-port=1' is no flag"),
    (["--thread_pool_factory_config_file", "x"], "is not supported: use --threads"),
    (["--platform_config_file=x"], "is not supported"),
    (["--tensorflow_intra_op_parallelism=-1"], "must be a number from 0 to 256"),
    (["--grpc_socket_path=" + "x" * 200, "--model_base_path=/", "--port=0"], "longer than"),
])
def test_mistakes_are_explained(flags, why):
    done = run(*flags)
    assert done.returncode != 0 and why in done.stderr, done.stderr


def test_flags_without_effect_are_taken_and_told():
    done = run("--grpc_max_threads=4", "--prefer_tflite_model", "--flush_filesystem_caches=false", "--nouse_alts_credentials")
    assert "--grpc_max_threads has no effect here" in done.stderr and "--prefer_tflite_model has no effect" in done.stderr
    assert "flush" not in done.stderr and "alts" not in done.stderr
    assert "--model_base_path is missing" in done.stderr


def test_every_port_and_the_socket_speak_both_protocols(model, tmp_path):
    path = tmp_path / "socket"
    other = free_port()
    with Server(model, flags=[f"--rest_api_port={other}", f"--grpc_socket_path={path}"]) as server:
        for target in (f"127.0.0.1:{server.port}", f"127.0.0.1:{other}", f"unix:{path}"):
            with grpc.insecure_channel(target) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                assert stub.Predict(server.request({"x": X}), timeout=TIMEOUT).outputs["y"].float_val[0] == 2
        for port in (server.port, other):
            assert http_at(port, "GET", "/v1/models/m")[0] == 200
        taken = run(f"--rest_api_port={other}", "--port=0", f"--model_base_path={model}")
        assert taken.returncode != 0 and "cannot listen" in taken.stderr
    assert not path.exists()


def test_a_dead_server_leaves_no_socket_in_the_way(model, tmp_path):
    path = tmp_path / "socket"
    first = Server(model, flags=[f"--grpc_socket_path={path}"])
    first.process.kill()
    first.stop()
    assert path.exists()
    with Server(model, flags=["--grpc_socket_path", str(path)]):
        taken = run(f"--grpc_socket_path={path}", "--port=0", f"--model_base_path={model}")
        assert taken.returncode != 0 and "cannot listen" in taken.stderr
        assert path.exists()


def test_outputs_as_tensor_content(model):
    with Server(model, flags=["--enable_serialization_as_tensor_content"]) as server:
        reply = server.prediction.Predict(server.request({"x": X}), timeout=TIMEOUT)
        assert not reply.outputs["y"].float_val
        assert np.frombuffer(reply.outputs["y"].tensor_content, np.float32).tolist() == [2, 4, 6, 8]
        assert isinstance(reply, predict_pb2.PredictResponse)


def test_the_health_service_can_be_switched_off(model):
    with Server(model, flags=["--noenable_grpc_healthcheck_service"]) as server:
        with pytest.raises(grpc.RpcError) as failure:
            server.check_health()
        assert failure.value.code() == grpc.StatusCode.UNIMPLEMENTED
