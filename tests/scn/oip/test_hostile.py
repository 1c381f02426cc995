# SPDX-License-Identifier: Apache-2.0
"""Requests that no good client sends: each is answered with an error in the protocol's form, the server goes on and
holds no memory."""

import gzip
import http.client
import json
import struct
import zlib

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

import onnx_models
from oip_samples import X
from serving_client import TIMEOUT, Server

LENGTH = "Inference-Header-Content-Length"
GROWTH_MAX = 200 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = onnx_models.identities(tmp_path_factory.mktemp("m") / "m" / "all.onnx")
    with Server(path, flags=["--max_json_size", "8M", "--max_message_size", "16M"]) as server:
        yield server


@pytest.fixture(autouse=True)
def bounded(server):
    before = resident(server)
    yield
    status, body = send(server, "GET", "/v2/health/ready")
    assert status == 200 and body["ready"]
    assert resident(server) - before < GROWTH_MAX


def resident(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def send(server, method, path, body=None, headers=None):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    c.request(method, path, body, headers or {})
    reply = c.getresponse()
    data = reply.read()
    c.close()
    return reply.status, json.loads(data)


def infer(server, body, **headers):
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    return send(server, "POST", "/v2/models/m/infer", body, {k.replace("_", "-"): v for k, v in headers.items()})


def tensor(**changes):
    return {"name": "float32_in", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4], **changes}


def binary(sizes, blob, **changes):
    inputs = []
    for size in sizes:
        inputs.append(tensor(parameters={"binary_data_size": size}, **changes))
        del inputs[-1]["data"]
    text = json.dumps({"inputs": inputs}).encode()
    return text + blob, str(len(text))


@pytest.mark.parametrize("inputs, why", [
    ([tensor(shape=[-1, 4])], "not negative"),
    ([tensor(shape=[1, -4])], "not negative"),
    ([tensor(shape=[65536, 65536, 65536, 65536])], "more than"),
    ([tensor(shape=[2**31 - 1])], "more than"),
    ([tensor(shape=[2**31 - 1], datatype="INT8")], "4 values, its shape needs"),
    ([tensor(shape=[2**31, 2])], "more than"),
    ([tensor(shape=[2**63 - 1, 2**63 - 1])], "more than"),
    ([tensor(shape=[2**63])], "whole number"),
    ([tensor(shape=[2**64])], "whole number"),
    ([tensor(shape=[1.5])], "whole number"),
    ([tensor(shape=[1] * 33)], "dimensions"),
    ([tensor(shape=[2**31 - 1], datatype="BYTES", data=[])], "more than"),
    ([tensor(shape=[2**26], datatype="BYTES", data=[])], "0 values, its shape needs"),
    ([tensor(shape=[0, 2**63 - 1], data=[1])], "1 values, its shape needs 0"),
    ([tensor(shape="x")], "array"),
    ([tensor(datatype="FP33")], "datatype 'FP33'"),
    ([tensor(datatype=None)], "string is missing"),
    ([tensor(data=[1, 2, [3], 4])], "level"),
    ([tensor(data=[[1, 2], [3]])], "lists of"),
    ([tensor(data=["1", 2, 3, 4])], "not of expected type"),
    ([tensor(data=None)], "not of expected type"),
    ([tensor(datatype="INT8", data=[300, 0, 0, 0])], "not of expected type"),
    ([tensor(parameters={"binary_data_size": 16})], "both"),
    ([tensor(parameters={"shared_memory_region": "a"})], "shared memory"),
    ([tensor(parameters={"binary_data_size": -1})], "whole number"),
    ([tensor(name="")], "no name"),
    ([tensor(name="x" * 100_000)], "input size does not match"),
    ([tensor(), tensor()], "input size does not match"),
    ([tensor()] * 300, "more than 256"),
    ([{}], "no name"), ([7], "object is missing"), (7, "array is missing"), ([], "input size does not match"),
])
def test_inputs_that_make_no_sense(server, inputs, why):
    status, reply = infer(server, {"inputs": inputs})
    assert status in (400, 413, 501) and why in reply["error"], reply


@pytest.mark.parametrize("body", [
    "", "{", "[]", "null", '{"inputs"', '{"inputs":[}', '{"inputs":[{]}', "{}x", '{"id":7,"inputs":[]}', '{"a":"\x01"}',
    '{"inputs":[{"name":"a","shape":[1],"datatype":"FP32","data":[1}]}', "\0" * 100, "{" * 100_000,
    '{"a":' + "[" * 100_000 + "]" * 100_000 + "}", '{"inputs":[{"name":"a","data":' + "[" * 63 + "1" + "]" * 63 + "}]}",
    '{"parameters":{"binary_data_output":1}}', '{"inputs":[{"name":"\\ud800"}]}', '{"a":' + "9" * 5000 + "}",
])
def test_json_that_is_none(server, body):
    status, reply = infer(server, body)
    assert status == 400 and reply["error"]


@pytest.mark.parametrize("outputs, why", [
    ([{"name": "float32"}, {"name": "float32"}], "duplicate"), ([{"name": "nope"}], "nope"), ([{}], "no name"),
    ([{"name": "int8"}] * 1000, "more than 256"), ([{"name": "int8", "parameters": {"classification": 3}}], "classification"),
    ([{"name": "int8", "parameters": {"binary_data": "yes"}}], "true or false"),
])
def test_outputs_that_make_no_sense(server, outputs, why):
    inputs = [tensor(name=f"{n}_in", datatype=t, shape=[0, 0], data=[]) for n, t in (
        ("float32", "FP32"), ("float64", "FP64"), ("int32", "INT32"), ("uint8", "UINT8"), ("int16", "INT16"), ("int8", "INT8"),
        ("object", "BYTES"), ("int64", "INT64"), ("bool", "BOOL"), ("uint16", "UINT16"), ("float16", "FP16"),
        ("uint32", "UINT32"), ("uint64", "UINT64"))]
    assert infer(server, {"inputs": inputs})[0] == 200
    status, reply = infer(server, {"inputs": inputs, "outputs": outputs})
    assert status in (400, 501) and why in reply["error"]


@pytest.mark.parametrize("sizes, blob, why", [
    ([16], b"", "0 bytes are left"), ([15], b"x" * 16, "15 bytes of data"), ([16], b"x" * 17, "left behind"),
    ([17], b"x" * 17, "17 bytes of data"), ([2**62], b"x" * 16, "bytes are left in the body"), ([16, 16], b"x" * 31, "15 bytes are left"),
])
def test_binary_sizes_that_lie(server, sizes, blob, why):
    body, length = binary(sizes, blob)
    status, reply = infer(server, body, Inference_Header_Content_Length=length)
    assert status == 400 and why in reply["error"]


@pytest.mark.parametrize("blob, why", [
    (b"", "too few"), (b"\1\0\0", "too few"), (struct.pack("<I", 0) * 3 + b"\0\0", "too few"),
    (struct.pack("<I", 2**32 - 1) + b"x" * 100, "cut off"), (struct.pack("<I", 0) * 4 + b"x", "left behind"),
    (struct.pack("<I", 14) + b"x" * 14, "cut off"),
])
def test_strings_whose_lengths_lie(server, blob, why):
    body, length = binary([len(blob)], blob, datatype="BYTES")
    status, reply = infer(server, body, Inference_Header_Content_Length=length)
    assert status == 400 and why in reply["error"], reply


@pytest.mark.parametrize("length", ["-1", "999999999", "99999999999999999999999999", "x", "", "1e3", "10 ", "+5", "3"])
def test_header_lengths_out_of_range(server, length):
    status, reply = infer(server, json.dumps({"inputs": [tensor()]}), Inference_Header_Content_Length=length)
    assert status == 400 and reply["error"]


def test_bombs_and_unknown_codings(server):
    zeros = bytes(1 << 28)
    for coding, packed in (("gzip", gzip.compress(zeros)), ("deflate", zlib.compress(zeros))):
        status, reply = infer(server, packed, Content_Encoding=coding)
        assert status == 413 and reply["error"]
    assert infer(server, gzip.compress(b"{}")[:-5], Content_Encoding="gzip")[0] == 400
    assert infer(server, b"{}", Content_Encoding="gzip")[0] == 400
    assert infer(server, b"{}", Content_Encoding="br")[0] == 415


def test_a_million_chunks(server):
    body = json.dumps({"inputs": [tensor()]}).encode()
    body += b" " * (1_000_000 - len(body))
    with server.socket() as s:
        s.sendall(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        for start in range(0, len(body), 1000):
            s.sendall(b"".join(b"1\r\n%c\r\n" % c for c in body[start:start + 1000]))
        s.sendall(b"0\r\n\r\n")
        reply = b""
        while part := s.recv(10000):
            reply += part
    assert reply.startswith(b"HTTP/1.1 400") and b"Missing but required" in reply


def test_repository_requests_that_make_no_sense(server):
    for body in ("[", "{", '{"ready":', "7", '{"parameters":7}'):
        assert send(server, "POST", "/v2/repository/models/m/load", body)[0] == 400
    for body in ("[", "{", '{"ready":', "7", "\0", "{}\0", "{}x", '{"ready":1}', '{"ready":null}'):
        assert send(server, "POST", "/v2/repository/index", body)[0] == 400
    for body in ("\0", "{}x", '{"parameters":{"unload_dependents":7}}'):
        assert send(server, "POST", "/v2/repository/models/m/load", body)[0] == 400


def test_names_that_are_no_text_are_told_as_text(server):
    for path in ("/v2/models/%ff%c3/ready", "/v2/models/%ed%a0%80", "/v1/models/%ff", "/v2/models/" + "%c3%a4" * 150):
        status, reply = send(server, "GET", path)  # JSON, whatever the name is and wherever it is cut
        assert status in (400, 404) and (reply.get("error") or reply["name"]).isprintable()


def test_a_refused_method_names_the_right_one(server):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    c.request("DELETE", "/v2/models/m/infer")
    reply = c.getresponse()
    assert (reply.status, reply.headers["Allow"]) == (405, "POST") and reply.read()
    c.close()


def test_parameters_that_would_bring_a_model_along_are_refused(server):
    for name in ("config", "file:1/model.onnx"):
        status, reply = send(server, "POST", "/v2/repository/models/m/load", json.dumps({"parameters": {name: "{}"}}))
        assert status == 501 and name in reply["error"]


def grpc_request(**changes):
    request = service_pb2.ModelInferRequest(model_name="m", raw_input_contents=[X.tobytes()])
    request.inputs.add(**{"name": "float32_in", "datatype": "FP32", "shape": [2, 4], **changes})
    return request


@pytest.mark.parametrize("changes, code", [
    ({"shape": [-1, 4]}, "INVALID_ARGUMENT"), ({"shape": [2**31, 2]}, "RESOURCE_EXHAUSTED"),
    ({"shape": [2**31 - 1]}, "RESOURCE_EXHAUSTED"), ({"shape": [2**62, 2]}, "RESOURCE_EXHAUSTED"),
    ({"shape": [2**31 - 1], "datatype": "BYTES"}, "RESOURCE_EXHAUSTED"), ({"shape": [2**27], "datatype": "BYTES"}, "INVALID_ARGUMENT"),
    ({"shape": [1] * 40}, "INVALID_ARGUMENT"), ({"shape": [2, 3]}, "INVALID_ARGUMENT"), ({"datatype": ""}, "INVALID_ARGUMENT"),
    ({"datatype": "BYTES"}, "INVALID_ARGUMENT"), ({"name": "other"}, "INVALID_ARGUMENT"),
])
def test_grpc_inputs_that_make_no_sense(server, changes, code):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as failure:
            stub.ModelInfer(grpc_request(**changes), timeout=TIMEOUT)
        assert failure.value.code().name == code and failure.value.details()
        typed = grpc_request(**changes)
        del typed.raw_input_contents[:]
        with pytest.raises(grpc.RpcError):
            stub.ModelInfer(typed, timeout=TIMEOUT)


@pytest.mark.parametrize("method", ["ModelInfer", "ModelMetadata", "ModelConfig", "RepositoryIndex", "RepositoryModelLoad"])
def test_grpc_bytes_that_are_no_message(server, method):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
        for data in (b"\xff" * 20, b"\x0a\x7fm", b"\x0a\x01m\x2a\xff\xff\xff\xff\x0f", b"\x0b\x0c"):
            with pytest.raises(grpc.RpcError) as failure:
                call(data, timeout=TIMEOUT)
            assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_streams_of_nonsense_and_of_empty_messages(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer",
                                     response_deserializer=service_pb2.ModelStreamInferResponse.FromString)
        replies = list(call(iter([b"\xff" * 20] * 500 + [b""] * 20_000), timeout=TIMEOUT))
    assert len(replies) == 20_500 and all(r.error_message for r in replies)
    assert "malformed" in replies[0].error_message and "model_name" in replies[-1].error_message


def test_a_client_that_reads_no_answers_stops_the_reading(server):
    """Its messages stay on its side: what the server holds is bounded."""
    x = np.zeros((200_000, 4), np.int8)
    names = list(onnx_models.ELEMENTS)
    request = service_pb2.ModelInferRequest(model_name="m")
    for name in names:
        kind = {"object": "BYTES", "bool": "BOOL"}.get(name, name.upper().replace("FLOAT", "FP"))
        request.inputs.add(name=name + "_in", datatype=kind, shape=x.shape if name == "int8" else [0, 0])
        request.raw_input_contents.append(x.tobytes() if name == "int8" else b"")
    before = resident(server)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", options=[("grpc.http2.lookahead_bytes", 65536), (
            "grpc.max_receive_message_length", -1)]) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        replies = stub.ModelStreamInfer(iter([request] * 500), timeout=TIMEOUT)
        assert len(next(replies).infer_response.raw_output_contents) == len(names)
        for _ in range(20):
            stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=TIMEOUT)
        assert resident(server) - before < GROWTH_MAX
        replies.cancel()
