# SPDX-License-Identifier: Apache-2.0
"""The HTTP form with tritonclient and by hand."""

import asyncio
import gzip
import http.client
import json
import struct
import zlib

import numpy as np
import pytest
import tritonclient.http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

from oip_samples import DATATYPES, SAMPLES, X, make_inputs, sample
from serving_client import TIMEOUT

LENGTH = "Inference-Header-Content-Length"


def call(server, method, path, body=None, headers=None):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    c.request(method, path, body, headers or {})
    reply = c.getresponse()
    data = reply.read()
    c.close()
    return reply.status, dict(reply.getheaders()), data


def infer(server, body, path="/v2/models/m/infer", **headers):
    status, _, data = call(server, "POST", path, json.dumps(body), headers)
    return status, json.loads(data)


def one(data, shape=(1, 4), datatype="FP32", **more):
    return {"inputs": [{"name": "x", "shape": list(shape), "datatype": datatype, "data": data}], **more}


def test_health_metadata_and_configuration(multiply, http_client):
    c = http_client(multiply)
    assert c.is_server_live() and c.is_server_ready() and c.is_model_ready("m") and c.is_model_ready("m", "12")
    assert not c.is_model_ready("other") and not c.is_model_ready("m", "3")
    server = c.get_server_metadata()
    assert server["name"] == "cloudml-serving" and "binary_tensor_data" in server["extensions"]
    assert c.get_model_metadata("m") == {
        "name": "m", "versions": ["12"], "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}]}
    config = c.get_model_config("m", "12")
    assert (config["max_batch_size"], config["backend"]) == (0, "onnxruntime")
    assert config["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1, 4]}]
    with pytest.raises(InferenceServerException, match="model 'other' is not found"):
        c.get_model_metadata("other")
    with pytest.raises(InferenceServerException, match="version 3 of model 'm' is not found"):
        c.get_model_metadata("m", "3")


@pytest.mark.parametrize("path, expected", [
    ("/v2/health/live", {"live": True}), ("/v2/health/ready", {"live": True, "ready": True}),
    ("/v2/models/m/ready", {"name": "m", "ready": True}), ("/v2/models/m/versions/12/ready", {"name": "m", "ready": True}),
    ("/v2/models", {"models": ["m"]}), ("/v1/models", {"models": ["m"]}), ("/v2/models/m/", None), ("/v2/", None),
])
def test_paths(multiply, path, expected):
    status, _, data = call(multiply, "GET", path)
    assert status == 200
    assert expected is None or json.loads(data) == expected


def test_index_and_statistics(multiply, http_client):
    c = http_client(multiply)
    assert c.get_model_repository_index() == [{"name": "m", "version": "12", "state": "READY", "reason": ""}]
    status, _, data = call(multiply, "POST", "/v2/repository/index", '{"ready": true}')
    assert status == 200 and len(json.loads(data)) == 1
    before = c.get_inference_statistics("m", "12")["model_stats"][0]
    c.infer("m", make_inputs(tritonclient.http, {"x": X}))
    with pytest.raises(InferenceServerException):
        c.infer("m", make_inputs(tritonclient.http, {"x": X[:, :3]}))
    after = c.get_inference_statistics()["model_stats"][0]
    grown = lambda key: after["inference_stats"][key]["count"] - before["inference_stats"][key]["count"]  # noqa: E731
    assert (after["name"], after["version"]) == ("m", "12")
    assert after["inference_count"] - before["inference_count"] == 2
    assert after["execution_count"] - before["execution_count"] == 1
    assert grown("success") == 1 and grown("fail") == 1 and grown("compute_infer") == 1
    assert after["inference_stats"]["compute_infer"]["ns"] > before["inference_stats"]["compute_infer"]["ns"]
    assert after["last_inference"] > 0


@pytest.mark.parametrize("binary_input", [False, True])
@pytest.mark.parametrize("binary_output", [False, True, None])
def test_every_element_type_survives(identities, http_client, binary_input, binary_output):
    arrays = {f"{n}_in": sample(n) for n in SAMPLES}
    inputs = []
    for name, array in arrays.items():
        # The client has no JSON form of 16-bit floats.
        inputs += make_inputs(tritonclient.http, {name: array}, binary_data=binary_input or array.dtype == np.float16)
    outputs = None
    if binary_output is not None:
        outputs = [tritonclient.http.InferRequestedOutput(n, binary_data=binary_output) for n in SAMPLES]
    reply = http_client(identities).infer("m", inputs, outputs=outputs, request_id="the id")
    assert reply.get_response()["id"] == "the id" and reply.get_response()["model_version"] == "1"
    for name in SAMPLES:
        got = reply.as_numpy(name)
        text = binary_output is False and name == "object"
        want = np.array([["text ä", ""]], object) if text else sample(name)
        assert got.shape == (1, 2) and got.tolist() == want.tolist(), name
        assert reply.get_output(name)["datatype"] == DATATYPES[name]


@pytest.mark.parametrize("request_coding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("reply_coding", [None, "gzip", "deflate"])
def test_compression_both_ways(multiply, http_client, request_coding, reply_coding):
    x = np.arange(100_000, dtype=np.float32).reshape(-1, 4)
    reply = http_client(multiply).infer("m", make_inputs(tritonclient.http, {"x": x}),
                                        request_compression_algorithm=request_coding,
                                        response_compression_algorithm=reply_coding)
    np.testing.assert_array_equal(reply.as_numpy("y"), x * 2)


@pytest.mark.parametrize("accepted, coding", [
    ("gzip", "gzip"), ("deflate", "deflate"), ("br, gzip;q=0.2, deflate;q=0.8", "deflate"), ("gzip;q=0", None), ("br", None),
])
def test_the_answer_is_compressed_as_the_client_likes(multiply, accepted, coding):
    body = json.dumps(one(list(range(2000)), (500, 4)))
    status, headers, data = call(multiply, "POST", "/v2/models/m/infer", body, {"Accept-Encoding": accepted})
    assert status == 200 and headers.get("Content-Encoding") == coding
    text = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[coding](data)
    assert json.loads(text)["outputs"][0]["data"][3] == 6.0
    assert headers["Content-Type"] == "application/json" and LENGTH not in headers


def test_json_flat_and_nested_with_parameters(multiply):
    flat = infer(multiply, one([1, 2, 3, 4], id="7", parameters={"priority": 1, "anything": {"a": [1]}}))
    assert flat == (200, {"id": "7", "model_name": "m", "model_version": "12", "outputs": [
        {"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [2.0, 4.0, 6.0, 8.0]}]})
    assert infer(multiply, one([[1, 2, 3, 4]], id="7"))[1] == flat[1]
    status, reply = infer(multiply, one([[1, 2], [3, 4]], parameters={"signature_name": "serving_default"}),
                          "/v2/models/m/versions/12/infer")
    assert status == 200 and reply["outputs"][0]["data"] == [2.0, 4.0, 6.0, 8.0] and "id" not in reply


def test_members_in_any_order_and_defaults_of_binary_output(multiply):
    body = ('{"outputs":[{"name":"y"}],"parameters":{"binary_data_output":true},"inputs":[{"data":[1,2,3,4],'
            '"parameters":{},"shape":[1,4],"datatype":"FP32","name":"x"}]}')
    status, headers, data = call(multiply, "POST", "/v2/models/m/infer", body)
    length = int(headers[LENGTH])
    assert status == 200 and headers["Content-Type"] == "application/octet-stream"
    assert json.loads(data[:length])["outputs"][0]["parameters"] == {"binary_data_size": 16}
    assert struct.unpack("<4f", data[length:]) == (2, 4, 6, 8)


def test_a_raw_body_is_the_one_input(multiply):
    status, headers, data = call(multiply, "POST", "/v2/models/m/infer", X.tobytes(), {LENGTH: "0"})
    length = int(headers[LENGTH])
    assert status == 200 and json.loads(data[:length])["outputs"][0]["shape"] == [2, 4]
    np.testing.assert_array_equal(np.frombuffer(data[length:], np.float32).reshape(2, 4), X * np.float32(2))
    status, _, data = call(multiply, "POST", "/v2/models/m/infer", b"12345678", {LENGTH: "0"})
    assert status == 400 and "do not fill" in json.loads(data)["error"]


def test_chosen_outputs(pair, http_client):
    inputs = make_inputs(tritonclient.http, {"a": np.float32([1]), "b": np.float32([2])})
    reply = http_client(pair).infer("m", inputs, outputs=[tritonclient.http.InferRequestedOutput("total")])
    assert [o["name"] for o in reply.get_response()["outputs"]] == ["total"] and reply.as_numpy("total") == [3]
    mixed = [tritonclient.http.InferRequestedOutput("total", binary_data=False),
             tritonclient.http.InferRequestedOutput("difference", binary_data=True)]
    reply = http_client(pair).infer("m", inputs, outputs=mixed)
    assert reply.as_numpy("total") == [3] and reply.as_numpy("difference") == [-1]
    assert reply.get_output("total")["data"] == [3.0]


def test_bytes_that_are_no_text_need_the_binary_form(identities, http_client):
    arrays = {f"{n}_in": sample(n) for n in SAMPLES}
    arrays["object_in"] = np.array([[b"\xff\0", b"x"]], object)
    inputs = make_inputs(tritonclient.http, arrays)
    reply = http_client(identities).infer("m", inputs)
    assert reply.as_numpy("object").tolist() == [[b"\xff\0", b"x"]]
    with pytest.raises(InferenceServerException, match="ask for binary_data"):
        http_client(identities).infer("m", inputs, outputs=[tritonclient.http.InferRequestedOutput("object", binary_data=False)])


def test_many_requests_over_asyncio(multiply):
    async def run():
        async with tritonclient.http.aio.InferenceServerClient(f"127.0.0.1:{multiply.port}") as c:
            assert await c.is_server_ready() and (await c.get_model_metadata("m"))["name"] == "m"
            calls = [c.infer("m", make_inputs(tritonclient.http, {"x": X + i}), response_compression_algorithm="gzip") for i in range(40)]
            return [r.as_numpy("y") for r in await asyncio.gather(*calls)]

    for i, y in enumerate(asyncio.run(run())):
        np.testing.assert_array_equal(y, (X + i) * np.float32(2))


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/v2/nothing", 404), ("POST", "/v2/health/live", 405), ("GET", "/v2/models/m/infer", 405),
    ("GET", "/v2/models/other", 404), ("GET", "/v2/models/m/versions/x", 400), ("GET", "/v2/models/%zz", 400),
    ("GET", "/v2/logging", 501), ("POST", "/v2/trace/setting", 501), ("GET", "/v2/systemsharedmemory/status", 501),
    ("POST", "/v2/cudasharedmemory/region/a/register", 501), ("POST", "/v2/models/m/generate", 501),
    ("POST", "/v2/models/m/generate_stream", 501), ("GET", "/v2/models/stats/stats", 404),
])
def test_what_is_not_there_is_told_in_json(multiply, method, path, status):
    got, headers, data = call(multiply, method, path, "{}" if method == "POST" else None)
    assert got == status and json.loads(data)["error"] and headers["Content-Type"] == "application/json"


def test_calls_that_are_not_offered_raise_in_the_client(multiply, http_client):
    c = http_client(multiply)
    for refused in (c.get_log_settings, c.get_trace_settings, c.get_system_shared_memory_status, c.get_cuda_shared_memory_status):
        with pytest.raises(InferenceServerException, match="not offered"):
            refused()
