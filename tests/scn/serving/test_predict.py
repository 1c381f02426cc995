# SPDX-License-Identifier: Apache-2.0
"""Predictions over gRPC and REST with ONNX models."""

import base64
import gzip
import http.client
import json
import math
import threading
import zlib

import grpc
import numpy as np
import pytest

import onnx_models
from serving_client import TIMEOUT, Server, from_proto


@pytest.fixture(scope="module")
def multiply(tmp_path_factory):
    base = tmp_path_factory.mktemp("multiply")
    onnx_models.multiply(base / "3" / "model.onnx", 3)
    onnx_models.multiply(base / "00012" / "model.onnx", 2)
    (base / "notes").mkdir()
    with Server(base) as server:
        yield server


@pytest.fixture(scope="module")
def identities(tmp_path_factory):
    with Server(onnx_models.identities(tmp_path_factory.mktemp("identities") / "all.onnx")) as server:
        yield server


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with Server(onnx_models.pair(tmp_path_factory.mktemp("pair") / "pair.onnx"), flags=["--model_version", "9"]) as server:
        yield server


X = np.array([[1, 2, 3, 4.5], [-1, 0.1, 1e20, 0]], np.float32)


def expect(code, text, call, *args, **how):
    with pytest.raises(grpc.RpcError) as failure:
        call(*args, **how)
    assert failure.value.code() == code, failure.value.details()
    assert text in failure.value.details()


def test_ready_line_names_version_and_signature(multiply):
    assert multiply.ready == {"ready": True, "version": 12, "signature": "serving_default"}


@pytest.mark.parametrize("content", [False, True])
def test_both_encodings_give_typed_outputs_and_the_resolved_spec(multiply, content):
    outputs, spec = multiply.predict({"x": X}, content=content)
    np.testing.assert_array_equal(outputs["y"], X * np.float32(2))
    assert (spec.name, spec.version.value, spec.signature_name) == ("m", 12, "serving_default")


def test_rest_rows_and_columns(multiply):
    status, reply = multiply.rest({"instances": X.tolist()})
    assert status == 200
    np.testing.assert_array_equal(np.array(reply["predictions"], np.float32), X * np.float32(2))
    status, reply = multiply.rest({"inputs": {"x": [[1, 2, 3, 4]]}, "signature_name": "serving_default"})
    assert (status, reply) == (200, {"outputs": [[2.0, 4.0, 6.0, 8.0]]})
    assert multiply.rest({"instances": [{"x": [1, 2, 3, 4]}]})[1] == {"predictions": [[2.0, 4.0, 6.0, 8.0]]}
    assert multiply.rest({"inputs": [[1, 2, 3, 4]]}, "/versions/12")[0] == 200


def test_rest_writes_and_reads_what_json_has_no_word_for(multiply):
    status, reply = multiply.http("POST", "/v1/models/m:predict", '{"inputs":[[NaN, Infinity, -Infinity, 1e-45]]}')
    values = reply["outputs"][0]
    assert status == 200 and math.isnan(values[0]) and values[1] == math.inf and values[2] == -math.inf
    assert np.float32(values[3]) == np.float32(2.8e-45)


def test_floats_survive_rest_bit_for_bit(identities):
    rng = np.random.default_rng(7)
    bits = rng.integers(0, 2**32, (50, 4), np.uint32)
    values = bits.view(np.float32)
    values[~np.isfinite(values)] = 1.5
    inputs = {f"{n}_in": [[]] for n in onnx_models.ELEMENTS}
    inputs["float32_in"] = values.astype(float).tolist()
    status, reply = identities.rest({"inputs": inputs})
    assert status == 200, reply
    np.testing.assert_array_equal(np.array(reply["outputs"]["float32"]).astype(np.float32), values)


SAMPLES = {
    "float32": [[1.5, -0.0]], "float64": [[1e300, -2.25]], "int32": [[-(2**31), 2**31 - 1]], "uint8": [[0, 255]],
    "int16": [[-32768, 32767]], "int8": [[-128, 127]], "object": [[b"text \xc3\xa4", b""]], "int64": [[-(2**63), 2**63 - 1]],
    "bool": [[True, False]], "uint16": [[0, 65535]], "float16": [[65504, -6e-8]], "uint32": [[0, 2**32 - 1]],
    "uint64": [[0, 2**64 - 1]],
}


@pytest.mark.parametrize("content", [False, True])
def test_every_element_type_survives_grpc(identities, content):
    inputs = {f"{n}_in": np.array(v, n) for n, v in SAMPLES.items()}
    request = identities.request({k: v for k, v in inputs.items() if k != "object_in"}, content=content)
    request.inputs["object_in"].CopyFrom(identities.request({"o": inputs["object_in"]}).inputs["o"])
    reply = identities.prediction.Predict(request, timeout=TIMEOUT)
    for name, sample in SAMPLES.items():
        result = from_proto(reply.outputs[name])
        assert result.dtype == np.dtype(name) and result.shape == (1, 2)
        assert result.tolist() == np.array(sample, name).tolist(), name


def test_every_element_type_survives_rest(identities):
    inputs = {f"{n}_in": v for n, v in SAMPLES.items() if n != "object"}
    inputs["object_in"] = [["text ä", {"b64": base64.b64encode(b"\xff\0").decode()}]]
    status, reply = identities.rest({"inputs": inputs})
    assert status == 200, reply
    for name, sample in SAMPLES.items():
        if name not in ("object", "float16"):
            assert reply["outputs"][name] == sample, name
    assert reply["outputs"]["object"] == [["text ä", {"b64": "/wA="}]]
    assert np.array_equal(np.array(reply["outputs"]["float16"], np.float16), np.array(SAMPLES["float16"], np.float16))


def test_rows_of_several_inputs_and_outputs(pair):
    status, reply = pair.rest({"instances": [{"a": 1, "b": 2}, {"b": 4, "a": 8}]})
    assert (status, reply) == (200, {"predictions": [{"difference": -1.0, "total": 3.0}, {"difference": 4.0, "total": 12.0}]})
    assert pair.rest({"inputs": {"a": [1], "b": [2]}})[1] == {"outputs": {"difference": [-1.0], "total": [3.0]}}


def test_output_filter_chooses_outputs(pair):
    ab = {"a": np.float32([1]), "b": np.float32([2])}
    outputs, spec = pair.predict(ab, filter=["total"])
    assert list(outputs) == ["total"] and spec.version.value == 9
    expect(grpc.StatusCode.INVALID_ARGUMENT, "not found in signature: nope", pair.predict, ab, filter=["nope"])
    expect(grpc.StatusCode.INVALID_ARGUMENT, "duplicate", pair.predict, ab, filter=["total", "total"])


def test_one_value_repeats(multiply):
    request = multiply.request({"x": X})
    del request.inputs["x"].float_val[1:]
    reply = multiply.prediction.Predict(request, timeout=TIMEOUT)
    assert set(reply.outputs["y"].float_val) == {2.0}


def test_what_does_not_fit_the_signature_is_refused(multiply, pair):
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    expect(invalid, "Missing but required: {b}", pair.predict, {"a": np.float32([1])})
    expect(invalid, "Sent extra: {c}", pair.predict, {k: np.float32([1]) for k in "abc"})
    expect(invalid, "float but double", multiply.predict, {"x": X.astype(np.float64)})
    expect(invalid, "[2,3]", multiply.predict, {"x": X[:, :3]})
    expect(grpc.StatusCode.INTERNAL, "broadcast", pair.predict, {"a": np.float32([1, 2]), "b": np.float32([1, 2, 3])})
    request = multiply.request({"x": X}, content=True)
    request.inputs["x"].tensor_content += b"1"
    expect(invalid, "tensor_content has 33 bytes", multiply.prediction.Predict, request, timeout=TIMEOUT)
    expect(grpc.StatusCode.FAILED_PRECONDITION, 'key "other" not found', multiply.predict, {"x": X}, signature="other")


def test_unknown_models_versions_and_methods_are_named(multiply):
    missing = grpc.StatusCode.NOT_FOUND
    expect(missing, "Servable not found for request: Latest(other)", multiply.predict, {"x": X}, name="other")
    expect(missing, "Servable not found for request: Specific(m, 3)", multiply.predict, {"x": X}, version=3)
    expect(grpc.StatusCode.INVALID_ARGUMENT, "model_spec.name is empty", multiply.predict, {"x": X}, name="")
    expect(missing, "Could not find any versions of model other", multiply.status, name="other")
    expect(missing, "Could not find version 4 of model m", multiply.status, version=4)
    call = multiply.channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    expect(grpc.StatusCode.UNIMPLEMENTED, "SessionRun", call, b"", timeout=TIMEOUT)
    call = multiply.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    expect(grpc.StatusCode.INVALID_ARGUMENT, "malformed", call, b"\xff\xff\xff", timeout=TIMEOUT)


def test_status_metadata_and_health(multiply):
    status = multiply.status()
    assert [(s.version, s.state, s.status.error_code) for s in status] == [(12, 30, 0)]
    assert len(multiply.status(version=12)) == 1
    signatures, spec = multiply.signatures()
    assert spec.version.value == 12
    info = signatures["serving_default"].inputs["x"]
    assert info.dtype == 1 and [d.size for d in info.tensor_shape.dim] == [-1, 4]
    assert signatures["serving_default"].method_name == "tensorflow/serving/predict"
    assert multiply.check_health() == 1
    expect(grpc.StatusCode.NOT_FOUND, "unknown service", multiply.check_health, "nobody")
    code, reply = multiply.http("GET", "/v1/models/m")
    assert (code, reply) == (200, {"model_version_status": [
        {"version": "12", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]})
    code, reply = multiply.http("GET", "/v1/models/m/versions/12/metadata")
    assert code == 200 and reply["model_spec"] == {"name": "m", "signature_name": "", "version": "12"}
    described = reply["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert described["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert [d["size"] for d in described["inputs"]["x"]["tensor_shape"]["dim"]] == ["-1", "4"]


@pytest.mark.parametrize("method, path, body, status, text", [
    ("GET", "/other", None, 404, "Not found"),
    ("GET", "/v1/models/other", None, 404, "Could not find any versions"),
    ("GET", "/v1/models/m/versions/4", None, 404, "Could not find version 4"),
    ("POST", "/v1/models/other:predict", {"instances": [1]}, 404, "Servable not found"),
    ("POST", "/v1/models/m/versions/4:predict", {"instances": [1]}, 404, "Specific(m, 4)"),
    ("POST", "/v1/models/m/labels/stable:predict", {"instances": [1]}, 400, "label"),
    ("POST", "/v1/models/m", {"instances": [1]}, 400, "Malformed request: POST /v1/models/m"),
    ("POST", "/v1/models/m:classify", {"examples": []}, 400, "'examples' value is an empty array"),
    ("POST", "/v1/models/m:regress", {}, 400, "key 'examples' is expected"),
    ("POST", "/v1/models/m:classify", {"examples": [{"x": 1}]}, 400, "method_name to be tensorflow/serving/classify"),
    ("PUT", "/v1/models/m:predict", {"instances": [1]}, 400, "Malformed request: PUT /v1/models/m:predict"),
    ("GET", "/V1/MODELS", None, 400, "Malformed request: GET /V1/MODELS"),
    ("POST", "/v1/models/m:predict", "", 400, "empty"),
    ("POST", "/v1/models/m:predict", "{", 400, "JSON Parse error"),
    ("POST", "/v1/models/m:predict", {"signature_name": "o", "instances": [1]}, 400, '"o" not found'),
    ("POST", "/v1/models/m:predict", {"instances": [[1, 2, 3, 4], [1]]}, 400, "shape"),
    ("POST", "/v1/models/m:predict", {"instances": [["a", "b", "c", "d"]]}, 400, "expected type: float"),
    ("POST", "/v1/models/m:predict", {"instances": [[1, 2, 3]]}, 400, "[1,3]"),
    ("POST", "/v1/models/m:predict", "[" * 250000, 400, "expected type: object"),
    ("POST", "/v1/models/m:predict", '{"instances":' + "[" * 250000, 400, "64 levels"),
])
def test_rest_errors(multiply, method, path, body, status, text):
    code, reply = multiply.http(method, path, body)
    assert code == status and text in reply["error"], reply


def test_compressed_requests(multiply):
    outputs, _ = multiply.predict({"x": X}, compression=grpc.Compression.Gzip)
    np.testing.assert_array_equal(outputs["y"], X * np.float32(2))
    outputs, _ = multiply.predict({"x": X}, compression=grpc.Compression.Deflate)
    np.testing.assert_array_equal(outputs["y"], X * np.float32(2))
    body = json.dumps({"instances": [[1, 2, 3, 4]]}).encode()
    for coding, packed in (("gzip", gzip.compress(body)), ("deflate", zlib.compress(body))):
        assert multiply.rest(packed, headers={"Content-Encoding": coding})[1] == {"predictions": [[2.0, 4.0, 6.0, 8.0]]}
    assert multiply.rest(body, headers={"Content-Encoding": "gzip"})[0] == 400
    assert multiply.rest(body, headers={"Content-Encoding": "br"})[0] == 415


def test_a_connection_serves_many_requests(multiply):
    connection = http.client.HTTPConnection("127.0.0.1", multiply.port, timeout=TIMEOUT)
    for i in range(20):
        assert multiply.rest({"instances": [[i, 0, 0, 0]]}, connection=connection)[1]["predictions"][0][0] == 2 * i
        assert multiply.http("GET", "/nothing", connection=connection)[0] == 404
    connection.close()


def test_a_chunked_body_is_one_body(multiply):
    parts = iter([b'{"instances"', b":[[1,2", b",3,4]]}"])
    assert multiply.rest(None)[0] == 400
    c = http.client.HTTPConnection("127.0.0.1", multiply.port, timeout=TIMEOUT)
    c.request("POST", "/v1/models/m:predict", parts, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert json.loads(c.getresponse().read()) == {"predictions": [[2.0, 4.0, 6.0, 8.0]]}
    c.close()


def test_a_big_tensor_goes_both_ways(multiply):
    x = np.random.default_rng(3).random((250_000, 4), np.float32)
    for content in (True, False):
        outputs, _ = multiply.predict({"x": x}, content=content)
        np.testing.assert_array_equal(outputs["y"], x * np.float32(2))


@pytest.mark.parametrize("size", [6000, 100_000])  # bytes; both ways
@pytest.mark.parametrize("content", [False, True])
def test_a_contiguous_tensor_is_copied_once_in_and_never_out(tmp_path, content, size):
    x = np.arange(size // 16 * 4, dtype=np.float32).reshape(-1, 4)
    flags = ["--enable_serialization_as_tensor_content"] if content else []
    with Server(onnx_models.multiply(tmp_path / "model.onnx"), flags=flags) as server:
        request = server.request({"x": x}, content=content)
        before = server.copied()
        reply = server.prediction.Predict(request, timeout=TIMEOUT).outputs["y"]
        after = server.copied()
        values = np.frombuffer(reply.tensor_content, np.float32) if content else np.float32(reply.float_val)
        np.testing.assert_array_equal(values.reshape(-1, 4), x * 2)
        assert after[0] - before[0] == request.ByteSize()
        assert after[1] - before[1] < 200  # what stands around the elements


def test_eight_clients_at_once_get_their_own_answers(multiply):
    failures = []

    def work(number):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", multiply.port, timeout=TIMEOUT)
            for i in range(100):
                x = np.full((1 + i % 5, 4), number * 1000 + i, np.float32)
                if i % 2:
                    y = multiply.predict({"x": x})[0]["y"]
                else:
                    y = multiply.rest({"instances": x.tolist()}, connection=connection)[1]["predictions"]
                np.testing.assert_array_equal(np.array(y), x * 2)
            connection.close()
        except BaseException as failure:  # noqa: BLE001  (reported below)
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures
