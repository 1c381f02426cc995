# SPDX-License-Identifier: Apache-2.0
"""Every element type of TensorFlow, in every form in which a protocol can carry it, through a model that gives it back."""

import http.client
import json
import struct

import grpc
import numpy as np
import pytest

from inference import inference_pb2
from serving_client import TIMEOUT, Server
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

# name: number, typed field, its values, the same as bytes in memory, word of the Open Inference Protocol and its field
HALF, BRAIN = [0x3C00, 0xC100, 0x7BFF, 1], [0x3F80, 0xC020, 0x7F7F, 1]
BITS8 = bytes([0x00, 0x3C, 0xC4, 0x7B])


def numbers(kind, values):
    return values, np.array(values, kind).tobytes()


TYPES = {
    "float32": (1, "float_val", *numbers("f4", [1.5, -0.25, 3e38, 1e-45]), "FP32", "fp32_contents"),
    "float64": (2, "double_val", *numbers("f8", [1.5, -0.1, 1e300, 5e-324]), "FP64", "fp64_contents"),
    "int32": (3, "int_val", *numbers("i4", [0, -1, 2**31 - 1, -2**31]), "INT32", "int_contents"),
    "uint8": (4, "int_val", *numbers("u1", [0, 1, 128, 255]), "UINT8", "uint_contents"),
    "int16": (5, "int_val", *numbers("i2", [0, -1, 32767, -32768]), "INT16", "int_contents"),
    "int8": (6, "int_val", *numbers("i1", [0, -1, 127, -128]), "INT8", "int_contents"),
    "string": (7, "string_val", [b"", b"a\0\xff", "ä".encode(), b"x" * 300], None, "BYTES", "bytes_contents"),
    "complex64": (8, "scomplex_val", *numbers("f4", [1, -2, 0.5, 0, 3e38, 1, 0, -1]), None, None),
    "int64": (9, "int64_val", *numbers("i8", [0, -1, 2**63 - 1, -2**63]), "INT64", "int64_contents"),
    "bool": (10, "bool_val", *numbers("?", [True, False, False, True]), "BOOL", "bool_contents"),
    "qint8": (11, "int_val", *numbers("i1", [0, -1, 127, -128]), None, None),
    "quint8": (12, "int_val", *numbers("u1", [0, 1, 128, 255]), None, None),
    "qint32": (13, "int_val", *numbers("i4", [0, -1, 2**31 - 1, -2**31]), None, None),
    "bfloat16": (14, "half_val", *numbers("u2", BRAIN), "BF16", None),
    "qint16": (15, "int_val", *numbers("i2", [0, -1, 32767, -32768]), None, None),
    "quint16": (16, "int_val", *numbers("u2", [0, 1, 32768, 65535]), None, None),
    "uint16": (17, "int_val", *numbers("u2", [0, 1, 32768, 65535]), "UINT16", "uint_contents"),
    "complex128": (18, "dcomplex_val", *numbers("f8", [1, -2, 0.5, 0, 1e300, 1, 0, -1]), None, None),
    "float16": (19, "half_val", *numbers("u2", HALF), "FP16", None),
    "uint32": (22, "uint32_val", *numbers("u4", [0, 1, 2**31, 2**32 - 1]), "UINT32", "uint_contents"),
    "uint64": (23, "uint64_val", *numbers("u8", [0, 1, 2**63, 2**64 - 1]), "UINT64", "uint64_contents"),
    "float8_e5m2": (24, "float8_val", BITS8, BITS8, None, None),
    "float8_e4m3fn": (25, "float8_val", BITS8, BITS8, None, None),
    "float8_e4m3fnuz": (26, "float8_val", BITS8, BITS8, None, None),
    "float8_e4m3b11fnuz": (27, "float8_val", BITS8, BITS8, None, None),
    "float8_e5m2fnuz": (28, "float8_val", BITS8, BITS8, None, None),
    "int4": (29, "int_val", *numbers("i1", [0, -1, 7, -8]), None, None),
    "uint4": (30, "int_val", *numbers("u1", [0, 1, 8, 15]), None, None),
}
IN_JSON = [n for n, t in TYPES.items() if t[4]]
OTHERS = [n for n in TYPES if n not in IN_JSON]


@pytest.fixture(scope="module")
def server(models):
    with Server(models / "types", "types") as server:
        yield server


@pytest.fixture(scope="module")
def content_server(models):
    with Server(models / "types", "types", flags=["--enable_serialization_as_tensor_content"]) as server:
        yield server


def content_of(name):
    values, raw = TYPES[name][2:4]
    if raw is not None:
        return raw
    return bytes(n for v in values for n in varint(len(v))) + b"".join(values)


def varint(n):
    return [n] if n < 128 else [n & 127 | 128, *varint(n >> 7)]


def tensor(name, values=None, content=None, count=4):
    made = tensor_pb2.TensorProto(dtype=TYPES[name][0], tensor_shape={"dim": [{"size": count}]})
    if content is not None:
        made.tensor_content = content
    elif isinstance(values, bytes):
        made.float8_val = values
    else:
        getattr(made, TYPES[name][1]).extend(values)
    return made


def predict(server, name, sent):
    request = predict_pb2.PredictRequest(model_spec={"name": "types", "signature_name": name})
    request.inputs["x"].CopyFrom(sent)
    reply = server.prediction.Predict(request, timeout=TIMEOUT)
    assert reply.model_spec.signature_name == name and list(reply.outputs) == ["y"]
    got = reply.outputs["y"]
    assert got.dtype == TYPES[name][0] and [d.size for d in got.tensor_shape.dim] == [d.size for d in sent.tensor_shape.dim]
    return got


def typed_of(name, proto):
    got = getattr(proto, TYPES[name][1])
    return got if isinstance(got, bytes) else list(got)


@pytest.mark.parametrize("name", TYPES)
def test_typed_fields_and_tensor_content(server, content_server, name):
    values = TYPES[name][2]
    want = typed_of(name, tensor(name, values))  # what the field makes of them
    for sent in (tensor(name, values), tensor(name, content=content_of(name))):
        got = predict(server, name, sent)
        assert typed_of(name, got) == want and not got.tensor_content
        got = predict(content_server, name, sent)
        assert got.tensor_content == content_of(name) and not typed_of(name, got)


@pytest.mark.parametrize("name", TYPES)
def test_the_last_value_repeats_and_none_is_zero(server, name):
    per = 2 if name.startswith("complex") else 1
    values = TYPES[name][2][:2 * per]
    got = typed_of(name, predict(server, name, tensor(name, values)))
    want = typed_of(name, tensor(name, values))
    assert got == want + want[-per:] * 2
    zeros = typed_of(name, predict(server, name, tensor(name, values[:0])))
    assert zeros == {"string": [b""] * 4}.get(name, bytes(4) if isinstance(values, bytes) else [0] * 4 * per)
    empty = predict(server, name, tensor(name, values[:0], count=0))
    assert not typed_of(name, empty)


@pytest.mark.parametrize("name", TYPES)
def test_content_of_the_wrong_size_and_another_type_are_refused(server, name):
    for sent, why in ((tensor(name, content=content_of(name)[:-1]), "tensor_content"),
                      (tensor("int32" if name != "int32" else "int64", [1, 2, 3, 4]), "int")):
        with pytest.raises(grpc.RpcError) as failure:
            predict(server, name, sent)
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT and why in failure.value.details()


def values_in_json(name):
    if name == "string":
        return ["", "text", "ä", "x" * 300]
    if name in ("float16", "bfloat16"):
        bits = np.array(TYPES[name][2], np.uint16)
        floats = bits.view(np.float16) if name == "float16" else (bits.astype(np.uint32) << 16).view(np.float32)
        return [float(f) for f in floats]
    return TYPES[name][2]


def same(name, got, want):
    if "float" in name:
        assert [np.float32(v) if name != "float64" else v for v in got] == [np.float32(v) if name != "float64" else v for v in want]
    else:
        assert got == want


@pytest.mark.parametrize("name", IN_JSON)
def test_rest(server, name):
    values = values_in_json(name)
    status, reply = server.rest({"signature_name": name, "instances": values})
    assert status == 200, reply
    same(name, reply["predictions"], values)
    status, reply = server.rest({"signature_name": name, "inputs": {"x": values}})
    assert status == 200, reply
    same(name, reply["outputs"], values)


@pytest.mark.parametrize("name", OTHERS)
def test_what_json_cannot_hold_is_refused(server, name):
    status, reply = server.rest({"signature_name": name, "instances": [1, 2]})
    assert status == 501 and name.replace("float16", "half") in reply["error"] and "use gRPC" in reply["error"]
    status, reply = infer(server, name, {"datatype": "INT8", "data": [1, 2, 3, 4]})
    assert status in (400, 501) and "input" in json.loads(reply)["error"]


def infer(server, name, item, blob=b"", **more):
    body = json.dumps({"parameters": {"signature_name": name}, "inputs": [{"name": "x", "shape": [4], **item}], **more}).encode()
    headers = {"Inference-Header-Content-Length": str(len(body))} if blob else {}
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    c.request("POST", "/v2/models/types/infer", body + blob, headers)
    reply = c.getresponse()
    data = reply.read()
    c.close()
    return reply.status, data


def blob_of(name):
    values, raw = TYPES[name][2:4]
    return raw if raw is not None else b"".join(struct.pack("<I", len(v)) + v for v in values)


@pytest.mark.parametrize("name", IN_JSON)
def test_open_inference_over_http(server, name):
    word, values = TYPES[name][4], values_in_json(name)
    status, reply = infer(server, name, {"datatype": word, "data": values})
    assert status == 200, reply
    (output,) = json.loads(reply)["outputs"]
    assert (output["datatype"], output["shape"]) == (word, [4])
    same(name, output["data"], values)
    blob = blob_of(name)
    status, reply = infer(server, name, {"datatype": word, "parameters": {"binary_data_size": len(blob)}}, blob,
                          outputs=[{"name": "y", "parameters": {"binary_data": True}}])
    assert status == 200 and reply.endswith(blob), reply


@pytest.mark.parametrize("name", IN_JSON)
def test_open_inference_over_grpc(server, name):
    word, field = TYPES[name][4:]
    call = server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer",
                                      request_serializer=inference_pb2.ModelInferRequest.SerializeToString,
                                      response_deserializer=inference_pb2.ModelInferResponse.FromString)

    def ask():
        request = inference_pb2.ModelInferRequest(model_name="types", inputs=[{"name": "x", "datatype": word, "shape": [4]}])
        request.parameters["signature_name"].string_param = name
        return request

    request = ask()
    request.raw_input_contents.append(blob_of(name))
    reply = call(request, timeout=TIMEOUT)
    assert list(reply.raw_output_contents) == [blob_of(name)] and reply.outputs[0].datatype == word
    if not field:
        return
    request = ask()
    getattr(request.inputs[0].contents, field).extend(TYPES[name][2])
    reply = call(request, timeout=TIMEOUT)
    assert list(getattr(reply.outputs[0].contents, field)) == list(getattr(request.inputs[0].contents, field))
    assert not reply.raw_output_contents


@pytest.mark.parametrize("name", TYPES)
def test_metadata_names_every_type(server, name):
    status, reply = server.http("GET", "/v1/models/types/metadata")
    shown = reply["metadata"]["signature_def"]["signature_def"][name]["inputs"]["x"]["dtype"]
    word = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}.get(name, name.upper())
    assert status == 200 and shown == "DT_" + word
