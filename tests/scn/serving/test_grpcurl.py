# SPDX-License-Identifier: Apache-2.0
"""All that a client does, from the command line with grpcurl: it asks the server which services and messages there are."""

import base64
import json

import numpy as np
import pytest

import onnx_models
from grpcurl import Grpcurl
from serving_client import Server

PREDICTION, MODEL, OIP = "tensorflow.serving.PredictionService/", "tensorflow.serving.ModelService/", "inference.GRPCInferenceService/"
X = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": 1}, {"size": 4}]}, "float_val": [1, 2, 3, 4]}
DOUBLED = [2, 4, 6, 8]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("grpcurl")
    for version in (1, 2):
        onnx_models.multiply(base / "m" / str(version) / "model.onnx", version)
    return base


@pytest.fixture(scope="module")
def tool(base):
    with Server(base / "m", flags=["--file_system_poll_wait_seconds=0"]) as server:
        yield Grpcurl(server)


def spec(**more):
    return {"model_spec": {"name": "m", **more}}


def test_services_and_messages_are_listed_and_described(tool):
    listed = set(tool.text("list").split())
    assert listed == {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", "inference.GRPCInferenceService",
                      "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
    methods = {name: set(tool.text("list", name).split()) for name in listed}
    assert {m.rsplit(".", 1)[1] for m in methods["tensorflow.serving.PredictionService"]} == {
        "Classify", "Regress", "Predict", "MultiInference", "GetModelMetadata"}
    assert "inference.GRPCInferenceService.ModelStreamInfer" in methods["inference.GRPCInferenceService"]
    for symbol, part in (("tensorflow.serving.PredictionService", "rpc Classify"), ("tensorflow.TensorProto", "bytes tensor_content = 4"),
                         ("tensorflow.DataType", "DT_BFLOAT16 = 14"), ("tensorflow.serving.ModelSpec", "version_label = 4"),
                         ("inference.ModelInferRequest", "repeated bytes raw_input_contents = 7"),
                         ("inference.GRPCInferenceService.ModelStreamInfer", "stream .inference.ModelInferRequest")):
        assert part in tool.text("describe", symbol), symbol


def test_predictions(tool):
    reply = tool.call(PREDICTION + "Predict", {**spec(), "inputs": {"x": X}})
    assert reply["outputs"]["y"]["floatVal"] == DOUBLED
    assert reply["modelSpec"] == {"name": "m", "version": "2", "signatureName": "serving_default"}
    content = {"dtype": "DT_FLOAT", "tensor_shape": X["tensor_shape"],
               "tensor_content": base64.b64encode(np.float32([1, 2, 3, 4]).tobytes()).decode()}
    reply = tool.call(PREDICTION + "Predict", {**spec(version=2, signature_name="serving_default"), "inputs": {"x": content},
                                               "output_filter": ["y"]})
    assert reply["outputs"]["y"]["floatVal"] == DOUBLED


@pytest.mark.parametrize("method, body, code, part", [
    ("Predict", {"model_spec": {"name": "other"}}, "NotFound", "Servable not found for request: Latest(other)"),
    ("Predict", spec(version=9), "NotFound", "Specific(m, 9)"), ("Predict", {}, "InvalidArgument", "model_spec.name is empty"),
    ("Predict", {**spec(), "inputs": {"y": X}}, "InvalidArgument", "Missing but required: {x}"),
    ("Predict", {**spec(), "inputs": {"x": {**X, "dtype": "DT_INT32"}}}, "InvalidArgument", "float but int32"),
    ("Predict", {**spec(), "inputs": {"x": X}, "output_filter": ["z"]}, "InvalidArgument", "not found in signature: z"),
    ("Predict", {**spec(signature_name="none"), "inputs": {"x": X}}, "FailedPrecondition", '"none" not found'),
    ("GetModelMetadata", {**spec(), "metadata_field": "other"}, "InvalidArgument", "other is not supported"),
    ("Classify", {**spec(), "input": {"example_list": {"examples": [{}]}}}, "InvalidArgument", "tensorflow/serving/classify"),
    ("Regress", spec(), "InvalidArgument", ""),
    ("MultiInference", {}, "InvalidArgument", "at least one task"),
])
def test_mistakes(tool, method, body, code, part):
    got, message = tool.fail(PREDICTION + method, body)
    assert got == code and part in message


def test_status_metadata_and_health(tool):
    (status,) = tool.call(MODEL + "GetModelStatus", spec())["model_version_status"]
    assert (status["version"], status["state"]) == ("2", "AVAILABLE")
    assert tool.fail(MODEL + "GetModelStatus", spec(version=9))[0] == "NotFound"
    reply = tool.call(PREDICTION + "GetModelMetadata", {**spec(), "metadata_field": "signature_def"})
    assert reply["modelSpec"]["version"] == "2"
    described = reply["metadata"]["signature_def"]["signatureDef"]["serving_default"]
    assert described["inputs"]["x"]["dtype"] == "DT_FLOAT" and described["methodName"] == "tensorflow/serving/predict"
    assert tool.call("grpc.health.v1.Health/Check") == {"status": "SERVING"}


def test_open_inference(tool):
    assert tool.call(OIP + "ServerLive") == {"live": True} and tool.call(OIP + "ServerReady") == {"ready": True}
    assert tool.call(OIP + "ModelReady", {"name": "m", "version": "2"}) == {"ready": True}
    assert tool.call(OIP + "ServerMetadata")["name"] == "cloudml-serving"
    assert tool.call(OIP + "ModelMetadata", {"name": "m"})["inputs"] == [{"name": "x", "datatype": "FP32", "shape": ["-1", "4"]}]
    body = {"model_name": "m", "id": "7", "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [1, 4], "contents": {"fp32_contents": [1, 2, 3, 4]}}]}
    reply = tool.call(OIP + "ModelInfer", body)
    assert reply["id"] == "7" and reply["outputs"][0]["contents"]["fp32Contents"] == DOUBLED
    code, out, err = tool.run(OIP + "ModelStreamInfer", body="\n".join([json.dumps(body)] * 3))
    assert code == 0 and out.count('"modelVersion": "2"') == 3, err
    assert tool.call(OIP + "RepositoryIndex")["models"][-1]["state"] == "READY"
    assert tool.call(OIP + "ModelConfig", {"name": "m"})["config"]["backend"] == "onnxruntime"
    assert int(tool.call(OIP + "ModelStatistics", {"name": "m"})["modelStats"][0]["inferenceCount"]) >= 4
    assert tool.fail(OIP + "ModelInfer", {"model_name": "other"}) == ("NotFound", "model 'other' is not found")


def test_reloads_policies_labels_and_unloading(base):
    with Server(base / "m", flags=["--file_system_poll_wait_seconds=0"]) as server:
        tool = Grpcurl(server)

        def reload(*configs):
            return {"config": {"model_config_list": {"config": [
                {"name": "m", "base_path": str(base / "m"), "model_platform": "onnx", **c} for c in configs]}}}

        def product(**how):
            return tool.call(PREDICTION + "Predict", {**spec(**how), "inputs": {"x": X}})["outputs"]["y"]["floatVal"][0]

        both = {"model_version_policy": {"specific": {"versions": [1, 2]}}, "version_labels": {"stable": 1, "canary": 2}}
        assert "status" in tool.call(MODEL + "HandleReloadConfigRequest", reload(both))
        assert [s["version"] for s in tool.call(MODEL + "GetModelStatus", spec())["model_version_status"]] == ["2", "1"]
        assert (product(), product(version=1), product(version_label="stable"), product(version_label="canary")) == (2, 1, 1, 2)
        weighted = {**both, "version_weights": {"1": 1000, "2": 0}}
        tool.call(MODEL + "HandleReloadConfigRequest", reload(weighted))
        assert product() == 1
        code, message = tool.fail(MODEL + "HandleReloadConfigRequest", reload({}, {"name": "n", "base_path": "/nowhere"}))
        assert code == "NotFound" and "/nowhere" in message
        assert tool.call(OIP + "RepositoryModelUnload", {"model_name": "m"})
        assert tool.fail(PREDICTION + "Predict", {**spec(), "inputs": {"x": X}})[0] == "NotFound"
        assert tool.call(OIP + "RepositoryModelLoad", {"model_name": "m"})
        assert product() == 2
