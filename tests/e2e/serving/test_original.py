# SPDX-License-Identifier: Apache-2.0
"""The cases of tensorflow_model_server_test.py, the test that the original server's own tree has, by behaviour: started by
its command line, asked by a real client, with SavedModels of the same signatures. CASES says which test is which case."""

import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import grpc
import pytest

from serving_client import PROGRAM, TIMEOUT
from tensorflow_serving.apis import (classification_pb2, get_model_metadata_pb2, get_model_status_pb2, inference_pb2,
                                     model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc, regression_pb2)

CASES = {
    "testGetModelStatus": "test_status",
    "testGetModelMetadata": "test_metadata",
    "testClassify": "test_classify",
    "testRegress": "test_regress",
    "testMultiInference": "test_multi_inference",
    "testPredictSavedModel": "test_predict",
    "testPredictUpconvertedSavedModel": "leaves out: session bundles, the format before SavedModel, are not loaded",
    "testPredictBatching": "test_predict_with_batching",
    "testBadModelUpconvertedSavedModel": "test_a_model_that_is_broken",
    "testGoodModelConfig": "test_models_of_a_file",
    "testBadModelConfig": "test_a_file_that_is_malformed",
    "testModelConfigReload": "test_a_file_that_changes",
    "testModelConfigReloadWithZeroPollPeriod": "test_a_file_that_changes_and_is_not_looked_at",
    "testGoodGrpcChannelArgs": "test_predict",
    "testClassifyREST": "test_rest",
    "testRegressREST": "test_rest",
    "testPredictREST": "test_rest",
    "testPredictColumnarREST": "test_rest",
    "testGetStatusREST": "test_rest_status_and_metadata",
    "testGetModelMetadataREST": "test_rest_status_and_metadata",
    "testPrometheusEndpoint": "test_metrics",
    "testPredictUDS": "test_unix_socket",
    "testPredictOnTfLite": "leaves out: TensorFlow Lite models are not loaded",
    "testPredictWithSignatureDefOnTfLite": "leaves out: TensorFlow Lite models are not loaded",
    "test_tf_saved_model_save": "test_a_function_without_a_batch",
    "test_tf_saved_model_save_multiple_signatures": "test_several_signatures",
    "test_sequential_keras_saved_model_save": "test_keras",
    "test_distrat_sequential_keras_saved_model_save": "test_keras",
    "test_profiler_service_with_valid_trace_request": "leaves out: there is no profiler service",
    "test_tf_text": "leaves out: operations of tensorflow_text are a library of their own that is not opened",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    subprocess.run([sys.executable, pathlib.Path(__file__).with_name("make_original_models.py"), folder], check=True)
    return folder


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Original:
    """The program by the command line of the original's test; 'with' ends it."""

    def __init__(self, *flags, model=None, wait=True):
        self.port, self.rest_port = free_port(), free_port()
        command = [PROGRAM, f"--port={self.port}", f"--rest_api_port={self.rest_port}", "--rest_api_timeout_in_ms=30000",
                   f"--runtime_path={sys.prefix}", *flags]
        command += ["--model_name=default", f"--model_base_path={model}"] if model else []
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.address = f"localhost:{self.port}"
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self):
        """As the original's test does: by the error for a model that there is not."""
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                self.call("Predict", predict_pb2.PredictRequest(model_spec={"name": "intentionally_missing_model"}))
            except grpc.RpcError as error:
                if "Servable" in error.details():
                    return
                assert self.process.poll() is None and time.monotonic() < end, error.details()

    def call(self, method, request, address=None, service=prediction_service_pb2_grpc.PredictionServiceStub):
        with grpc.insecure_channel(address or self.address) as channel:
            return getattr(service(channel), method)(request, timeout=TIMEOUT)

    def rest(self, path, body=None):
        url = f"http://localhost:{self.rest_port}{path}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=TIMEOUT) as reply:
            return reply.read().decode()

    def predict(self, expected, version=123, name="default", output="y", signature="", batch=False, address=None):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = name
        request.model_spec.signature_name = signature
        request.inputs["x"].dtype = 1
        request.inputs["x"].float_val.append(2.0)
        for _ in range(2 if batch else 1):
            request.inputs["x"].tensor_shape.dim.add().size = 1
        if output:
            request.output_filter.append(output)
        reply = self.call("Predict", request, address)
        (value,) = reply.outputs.values()
        assert value.dtype == 1 and list(value.float_val) == [expected]
        spec = reply.model_spec
        assert (spec.name, spec.signature_name, spec.version.value) == (name, signature or "serving_default", version)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.process.send_signal(signal.SIGTERM)
        self.log = self.process.communicate(timeout=TIMEOUT)[1]


@pytest.fixture(scope="module")
def server(made):
    with Original("--grpc_channel_arguments=grpc.max_connection_age_ms=2000,grpc.lb_policy_name=grpclb",
                  model=made / "half_plus_two") as s:
        yield s


def config(*models):
    return "model_config_list: {\n" + "".join(
        f'config: {{ name: "{name}", base_path: "{path}", model_platform: "tensorflow" }}\n' for name, path in models) + "}\n"


def test_every_case_has_its_test():
    for case, test in CASES.items():
        assert test.startswith("leaves out: ") or callable(globals()[test]), case


def test_status(server):
    request = get_model_status_pb2.GetModelStatusRequest(model_spec={"name": "default"})
    (status,) = server.call("GetModelStatus", request, service=model_service_pb2_grpc.ModelServiceStub).model_version_status
    assert status.version == 123 and status.status.error_code == 0


def test_metadata(server):
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec={"name": "default"}, metadata_field=["signature_def"])
    reply = server.call("GetModelMetadata", request)
    assert reply.model_spec.name == "default" and reply.model_spec.version.value == 123
    found = get_model_metadata_pb2.SignatureDefMap()
    assert reply.metadata["signature_def"].Unpack(found)
    assert {"serving_default", "classify_x_to_y", "regress_x_to_y"} <= set(found.signature_def)


def two(request):
    request.input.example_list.examples.add().features.feature["x"].float_list.value.append(2.0)
    return request


def test_classify(server):
    spec = {"name": "default", "signature_name": "classify_x_to_y"}
    reply = server.call("Classify", two(classification_pb2.ClassificationRequest(model_spec=spec)))
    assert [c.score for c in reply.result.classifications[0].classes] == [3.0]
    assert reply.model_spec.signature_name == "classify_x_to_y" and reply.model_spec.version.value == 123


def test_regress(server):
    spec = {"name": "default", "signature_name": "regress_x_to_y"}
    reply = server.call("Regress", two(regression_pb2.RegressionRequest(model_spec=spec)))
    assert [r.value for r in reply.result.regressions] == [3.0]
    assert reply.model_spec.signature_name == "regress_x_to_y" and reply.model_spec.version.value == 123


def test_multi_inference(server):
    request = two(inference_pb2.MultiInferenceRequest())
    for kind in ("regress", "classify"):
        request.tasks.add(model_spec={"name": "default", "signature_name": f"{kind}_x_to_y"},
                          method_name=f"tensorflow/serving/{kind}")
    regressed, classified = server.call("MultiInference", request).results
    assert regressed.regression_result.regressions[0].value == 3.0
    assert classified.classification_result.classifications[0].classes[0].score == 3.0


def test_predict(server):
    server.predict(3.0)
    server.predict(3.0, output=None)


def test_predict_with_batching(made, tmp_path):
    path = tmp_path / "batching.txt"
    path.write_text("max_batch_size { value: 128 }\nbatch_timeout_micros { value: 0 }\nmax_enqueued_batches { value: 1000000 }\n"
                    "num_batch_threads { value: 8 }\n")
    with Original("--enable_batching", f"--batching_parameters_file={path}", model=made / "half_plus_two") as s:
        s.predict(3.0)
        s.predict(3.0, output=None)


def test_a_model_that_is_broken(made, tmp_path):
    """The original goes on without a version and answers FAILED_PRECONDITION; here the start fails with the reason."""
    broken = tmp_path / "broken" / "00000123"
    broken.mkdir(parents=True)
    (broken / "saved_model.pb").write_bytes(b"this is no model")
    with Original(model=broken.parent, wait=False) as s:
        assert s.process.wait(TIMEOUT) != 0
    assert "saved_model" in s.log or "SavedModel" in s.log


def test_models_of_a_file(made, tmp_path):
    path = tmp_path / "models.conf"
    path.write_text(config(("half_plus_two", made / "half_plus_two"), ("half_plus_three", made / "half_plus_three")))
    with Original(f"--model_config_file={path}") as s:
        for name, expected in (("half_plus_two", 3.0), ("half_plus_three", 4.0)):
            s.predict(expected, name=name)
            s.predict(expected, name=name, output=None)


def test_a_file_that_is_malformed(tmp_path):
    path = tmp_path / "models.conf"
    path.write_text("improperly formatted file\n")
    with Original(f"--model_config_file={path}", wait=False) as s:
        assert s.process.wait(TIMEOUT) != 0
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig" in s.log


def test_a_file_that_changes(made, tmp_path):
    path = tmp_path / "models.conf"
    path.write_text(config(("half_plus_two", made / "half_plus_two")))
    with Original(f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=1") as s:
        s.predict(3.0, name="half_plus_two", output=None)
        path.write_text(config(("half_plus_three", made / "half_plus_three")))
        end = time.monotonic() + TIMEOUT
        while True:
            try:
                return s.predict(4.0, name="half_plus_three", output=None)
            except grpc.RpcError as error:
                assert time.monotonic() < end, error


def test_a_file_that_changes_and_is_not_looked_at(made, tmp_path):
    path = tmp_path / "models.conf"
    path.write_text(config(("half_plus_two", made / "half_plus_two")))
    with Original(f"--model_config_file={path}", "--model_config_file_poll_wait_seconds=0") as s:
        path.write_text(config(("half_plus_three", made / "half_plus_three")))
        s.predict(3.0, name="half_plus_two", output=None)
    assert "half_plus_three" not in s.log  # not even tried


@pytest.mark.parametrize("verb, body, expected", [
    ("classify", {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}]}, {"results": [[["", 3.0]]]}),
    ("regress", {"signature_name": "regress_x_to_y", "examples": [{"x": 2.0}]}, {"results": [3.0]}),
    ("predict", {"instances": [2.0, 3.0, 4.0]}, {"predictions": [3.0, 3.5, 4.0]}),
    ("predict", {"inputs": [2.0, 3.0, 4.0]}, {"outputs": [3.0, 3.5, 4.0]}),
])
def test_rest(server, verb, body, expected):
    assert json.loads(server.rest(f"/v1/models/default:{verb}", body)) == expected


def test_rest_status_and_metadata(server):
    assert json.loads(server.rest("/v1/models/default")) == {"model_version_status": [
        {"version": "123", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]}
    metadata = json.loads(server.rest("/v1/models/default/metadata"))
    assert metadata["model_spec"] == {"name": "default", "signature_name": "", "version": "123"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["x"] == {"dtype": "DT_FLOAT", "name": "x:0", "tensor_shape": {
        "dim": [{"size": "-1", "name": ""}], "unknown_rank": False}}
    assert set(signature["outputs"]) == {"y"}


def test_metrics(made, tmp_path):
    path = tmp_path / "monitoring.txt"
    path.write_text('prometheus_config: {\n  enable: true,\n  path: "/monitoring/prometheus/metrics"\n}\n')
    with Original(f"--monitoring_config_file={path}", model=made / "half_plus_two") as s:
        text = s.rest("/monitoring/prometheus/metrics")
        assert "# TYPE" in text and re.search(r"^:tensorflow:serving:request_count\{", text, re.M)


def test_unix_socket(made, tmp_path):
    path = tmp_path / "tf-serving.sock"
    with Original(f"--grpc_socket_path={path}", model=made / "half_plus_two") as s:
        s.predict(3.0, output=None, address=f"unix:{path}")


def test_a_function_without_a_batch(made):
    with Original(model=made / "function") as s:
        s.predict(12.0, output=None)


def test_several_signatures(made):
    with Original(model=made / "signatures") as s:
        request = predict_pb2.PredictRequest(model_spec={"name": "default", "signature_name": "custom_signature_key"})
        request.inputs["x"].dtype = 1
        request.inputs["x"].float_val.append(2.0)
        assert list(s.call("Predict", request).outputs["y"].float_val) == [2.0]
        request.model_spec.signature_name = ""
        assert list(s.call("Predict", request).outputs["y"].float_val) == [1.0]


@pytest.mark.parametrize("model", ["keras", "keras_mirrored"])
def test_keras(made, model):
    with Original(model=made / model) as s:
        s.predict(2.0, output=None, batch=True)
