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
    (["--grpc_socket_permissions=9"], "must be permissions such as 0660"),
    (["--grpc_socket_permissions=1777"], "must be permissions such as 0660"),
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


# Every flag of the original server with a value that its documentation allows -> what is said when it is taken:
# nothing, that it has no effect, or that it is refused.
ORIGINAL_FLAGS = {
    "port=0": "", "rest_api_port=0": "", "grpc_socket_path=": "", "grpc_socket_permissions=0777": "",
    "rest_api_num_threads=8": "no effect", "rest_api_timeout_in_ms=5000": "", "rest_api_enable_cors_support": "",
    "enable_batching=false": "", "batching_parameters_file=": "", "enable_per_model_batching_parameters": "no effect",
    "allow_version_labels_for_unavailable_models=true": "",
    "force_allow_any_version_labels_for_unavailable_models=true": "not supported",
    "model_config_file=": "", "model_config_file_poll_wait_seconds=0": "", "model_name=m": "",
    "num_load_threads=0": "", "num_unload_threads=2": "no effect", "max_num_load_retries=3": "",
    "load_retry_interval_micros=-1": "", "file_system_poll_wait_seconds=0": "", "flush_filesystem_caches": "no effect",
    "tensorflow_session_parallelism=0": "", "tensorflow_intra_op_parallelism=2": "", "tensorflow_inter_op_parallelism=2": "",
    "tensorflow_session_config_file=x": "not supported", "use_alts_credentials=true": "not supported",
    "ssl_config_file=": "", "platform_config_file=x": "not supported", "per_process_gpu_memory_fraction=0.5": "no effect",
    "saved_model_tags=serve": "no effect", "grpc_max_threads=4": "no effect",
    "grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb": "no effect",
    "enable_model_warmup=true": "", "num_request_iterations_for_warmup=2": "no effect", "monitoring_config_file=": "",
    "remove_unused_fields_from_bundle_metagraph=true": "no effect", "prefer_tflite_model=true": "no effect",
    "num_tflite_pools=1": "no effect", "num_tflite_interpreters_per_pool=1": "no effect",
    "enable_signature_method_name_check=true": "no effect", "xla_cpu_compilation_enabled=true": "no effect",
    "xla_gpu_compilation_enabled=true": "no effect", "enable_profiler": "no effect",
    "thread_pool_factory_config_file=x": "not supported", "mixed_precision=bfloat16": "not supported",
    "skip_initialize_tpu=true": "no effect", "enable_grpc_healthcheck_service=true": "",
    "enable_serialization_as_tensor_content=false": "", "use_saved_model=true": "no effect",
}


def test_every_flag_of_the_original_is_known():
    for flag, said in ORIGINAL_FLAGS.items():
        text = run(f"--{flag}").stderr  # ends for want of a model, or because the flag is refused
        told = [word for word in ("no effect", "not supported") if f"--{flag.split('=')[0]}" in text and word in text]
        assert told == ([said] if said else []), (flag, text)
        assert ("--model_base_path is missing" in text) == (said != "not supported"), (flag, text)


def test_the_last_flag_counts_as_in_the_images_entry_script(model):
    with Server(model, flags=["--model_name=other", f"--model_base_path={model}", "--model_name=last"]) as server:
        assert server.http("GET", "/v1/models/last")[0] == 200
        assert server.http("GET", "/v1/models/other")[0] == 404


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
    with Server(model, flags=["--grpc_socket_path", str(path)]) as server:
        assert predict_at(path, server) == 2
    assert not path.exists()


def predict_at(path, server):
    with grpc.insecure_channel(f"unix:{path}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        return stub.Predict(server.request({"x": X}), timeout=TIMEOUT).outputs["y"].float_val[0]


def test_a_socket_goes_from_one_server_to_the_next(model, tmp_path):
    path = tmp_path / "socket"
    triple = onnx_models.multiply(tmp_path / "triple" / "model.onnx", 3)
    first = Server(model, flags=[f"--grpc_socket_path={path}"])
    with grpc.insecure_channel(f"unix:{path}") as kept:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(kept)
        assert stub.Predict(first.request({"x": X}), timeout=TIMEOUT).outputs["y"].float_val[0] == 2
        with Server(triple, flags=[f"--grpc_socket_path={path}"]) as second:
            assert predict_at(path, second) == 3
            assert stub.Predict(first.request({"x": X}), timeout=TIMEOUT).outputs["y"].float_val[0] == 2
            assert first.stop()[0] == 0
            assert predict_at(path, second) == 3
    assert list(tmp_path.glob("socket*")) == []


def test_a_file_that_is_no_socket_is_not_replaced(model, tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    done = run(f"--grpc_socket_path={path}", "--port=0", f"--model_base_path={model}")
    assert done.returncode != 0 and "no socket" in done.stderr
    assert path.read_text() == "precious"


def test_permissions_of_the_socket(model, tmp_path):
    path = tmp_path / "socket"
    with Server(model, flags=[f"--grpc_socket_path={path}", "--grpc_socket_permissions=0620"]):
        assert path.stat().st_mode & 0o777 == 0o620


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
