# SPDX-License-Identifier: Apache-2.0
"""Every field of every request message, made wrong in every way its bytes can be. What Google's parser refuses the server
must refuse; what it reads the server must read in the same way. And JSON that is wrong."""

import grpc
import numpy as np
import pytest
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

import onnx_models
from grpc_reflection.v1 import reflection_pb2
from inference import inference_pb2
from proto_mutator import fill, mutations
from serving_client import TIMEOUT, Server
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

X = np.float32([[1, 2, 3, 4]])
GROWTH_MAX = 200 << 20
# Codes of an answer that a mutated request may get; UNAVAILABLE, UNKNOWN and INTERNAL would be faults of the server.
CODES = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"}
NAMES = {"name": "m", "model_name": "m", "signature_name": "", "inputs": "x", "version_label": "stable", "dtype": 1,
         "datatype": "FP32", "metadata_field": "signature_def", "method_name": "tensorflow/serving/regress", "service": ""}


def services():
    for file in (prediction_service_pb2, model_service_pb2, health_pb2, inference_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                yield f"/{service.full_name}/{method.name}", method


METHODS = {path: method for path, method in services() if not method.name.startswith(("Watch", "ModelStreamInfer"))}
CHANGING = ("HandleReloadConfigRequest", "RepositoryModelLoad", "RepositoryModelUnload")


def request_class(method):
    return method.input_type._concrete_class  # noqa: SLF001  (there is no other way from a descriptor to its class)


def full(path):
    return fill(request_class(METHODS[path])(), NAMES)


def predict(content):
    request = METHODS["/tensorflow.serving.PredictionService/Predict"].input_type._concrete_class()  # noqa: SLF001
    request.model_spec.name = "m"
    request.output_filter.append("y")
    tensor = request.inputs["x"]
    tensor.dtype = 1
    for size in X.shape:
        tensor.tensor_shape.dim.add().size = size
    if content:
        tensor.tensor_content = X.tobytes()
    else:
        tensor.float_val.extend(X.reshape(-1).tolist())
    return request


def infer(raw):
    request = inference_pb2.ModelInferRequest(model_name="m", id="7", outputs=[{"name": "y"}])
    request.parameters["signature_name"].string_param = "serving_default"
    tensor = request.inputs.add(name="x", datatype="FP32", shape=X.shape)
    if raw:
        request.raw_input_contents.append(X.tobytes())
    else:
        tensor.contents.fp32_contents.extend(X.reshape(-1).tolist())
    return request


def bases():
    """(id, method, message): all fields at once, and messages that are answered."""
    for path in METHODS:
        yield path.rsplit("/", 1)[1], path, full(path)
    for raw in (False, True):
        yield f"Predict content={raw}", "/tensorflow.serving.PredictionService/Predict", predict(raw)
        yield f"ModelInfer raw={raw}", "/inference.GRPCInferenceService/ModelInfer", infer(raw)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    base = tmp_path_factory.mktemp("malformed")
    onnx_models.multiply(base / "1" / "model.onnx")
    return base


@pytest.fixture
def server(model):
    flags = ["--file_system_poll_wait_seconds=0", "--max_message_size", "16M"]
    with Server(model, flags=flags) as server:
        before = resident(server)
        yield server
        assert server.predict({"x": X}, name="m")[0]["y"].tolist() == [[2, 4, 6, 8]]
        assert resident(server) - before < GROWTH_MAX


@pytest.fixture(scope="module")
def shared(model):
    with Server(model, flags=["--max_message_size", "16M"]) as server:
        before = resident(server)
        yield server
        assert server.predict({"x": X})[0]["y"].tolist() == [[2, 4, 6, 8]]
        assert resident(server) - before < GROWTH_MAX


def resident(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def ask(call, data):
    try:
        return "OK", call(data, timeout=TIMEOUT)
    except grpc.RpcError as failure:
        return failure.code().name, failure.details()


BASES = list(bases())


def expectation(kind, field, what, data, original):
    """(codes that may answer, the message that must be answered alike or None)"""
    try:
        meant = kind.FromString(data)
    except DecodeError:
        return {"INVALID_ARGUMENT"}, None
    if what.startswith("an unknown field"):
        return CODES, original  # Google's parser forgets whole entries of maps then; reading on is better
    if "group" in what:
        return {"INVALID_ARGUMENT"}, None  # nothing here ever had groups: they are refused, not passed over
    if what == "twice":
        return CODES, None  # messages are not merged: the last one counts, a second input of a name is an error
    meant.DiscardUnknownFields()
    return CODES, meant.SerializeToString(deterministic=True)


@pytest.mark.parametrize("path, message", [b[1:] for b in BASES], ids=[b[0] for b in BASES])
def test_every_field_of_every_request(server, model, path, message):
    call = server.channel.unary_unary(path)
    changing = path.endswith(CHANGING)
    kind, faults, count, known = type(message), [], 0, {}
    original = message.SerializeToString(deterministic=True)
    for field, what, data in mutations(original, kind.DESCRIPTOR):
        count += 1
        code, answer = ask(call, data)
        codes, meant = expectation(kind, field, what, data, original)
        if code not in codes:
            faults.append(f"{field}: {what}: {code} {answer} instead of {codes}")
        elif meant is not None and not changing:
            if meant not in known:
                known[meant] = ask(call, meant)
            if known[meant][0] != code:
                faults.append(f"{field}: {what}: {code} {answer} instead of {known[meant]}")
    if changing:
        server.reload(f"model_config_list {{ config {{ name: 'm' base_path: '{model}' model_platform: 'onnx' }} }}")
    assert not faults, f"{len(faults)} of {count}:\n" + "\n".join(str(f)[:300] for f in faults[:40])
    assert count > 0 or not original


STREAMS = {"/inference.GRPCInferenceService/ModelStreamInfer": inference_pb2.ModelInferRequest,
           "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": reflection_pb2.ServerReflectionRequest,
           "/grpc.health.v1.Health/Watch": health_pb2.HealthCheckRequest}


@pytest.mark.parametrize("path", STREAMS)
def test_every_field_of_messages_in_streams(server, path):
    """Malformed ones end the stream or are answered as errors inside; the server is not the worse for it."""
    call = server.channel.stream_stream(path)
    kind = STREAMS[path]
    for field, what, data in mutations(fill(kind(), NAMES).SerializeToString(), kind.DESCRIPTOR):
        replies = call(iter([data]), timeout=TIMEOUT)
        try:
            first = next(replies, b"")
        except grpc.RpcError as failure:
            assert failure.code().name in CODES, f"{field}: {what}: {failure}"
            continue
        replies.cancel()
        if path.endswith("ModelStreamInfer") and expectation(kind, field, what, data, None)[0] != CODES:
            assert inference_pb2.ModelStreamInferResponse.FromString(first).error_message, f"{field}: {what}"


def send(server, body, path="/v1/models/m:predict"):
    if isinstance(body, str):
        body = body.encode()
    status, reply = server.http("POST", path, body)
    assert status != 200 or "error" not in reply
    return status, reply


@pytest.mark.parametrize("body", [
    "[" * 250_000, '{"instances":' + "[" * 250_000 + "]" * 250_000 + "}", '{"a":' * 250_000, '{"instances":[' + "{\"x\":[" * 250_000,
    '{"inputs":{"x":' + "[" * 63 + "1" + "]" * 63 + "}}",
    '{"instances":[' + ",".join(["[1]"] * 1_000_000) + "]}",
    '{"instances":[' + ",".join(["[1,2,3,4]"] * 400_000) + ",[1,2,3]]}",
    '{"instances":[' + "[1,2,3,4]," * 400_000 + "]}",
    '{"instances":[[' + "1," * 1_000_000 + "1]]}",
    '{"instances":[' + "[],"  * 500_000 + "[]]}",
    '{"instances":[' + '"",' * 500_000 + '""]}',
    '{"instances":[' + "{}," * 500_000 + "{}]}",
    '{"instances":[[' + "1" * 1_000_000 + ",2,3,x]]}",
    '{"instances":[[1,2,3,-]]}', '{"instances":[[1,2,3,01]]}', '{"instances":[[1,2,3,1.]]}', '{"instances":[[1,2,3,.5]]}',
    '{"instances":[[1,2,3,1e]]}', '{"instances":[[1,2,3,+1]]}', '{"instances":[[1,2,3,0x10]]}', '{"instances":[[1,2,3,nan]]}',
    '{"instances":[[1,2,3,Infinit]]}', '{"instances":[[1,2,3,true]]}', '{"instances":[[1,2,3,null]]}',
    '{"instances":[[1,2,3,"4"]]}', '{"instances":[[1,2,3,{"b64":"AA=="}]]}', '{"instances":[{"x":{"b64":"AA=="}}]}',
    '{"instances":[[1,2,3,4]],"inputs":[[1,2,3,4]]}', '{"instances":[[1,2,3,4]],"instances":[[1,2,3]]}',
    '{"instances":[{"x":[1,2,3,4],"x":[1,2,3]}]}', '{"instances":[{"x":[1,2,3,4],"y":1}]}', '{"instances":[{}]}',
    '{"instances":[{"x":[1,2,3,4]},[1,2,3,4]]}', '{"instances":[[1,2,3,4],{"x":[1,2,3,4]}]}', '{"instances":{}}',
    '{"instances":"x"}', '{"instances":1}', '{"instances":null}', '{"instances":[]}', '{"inputs":[]}', '{"inputs":{}}',
    '{"inputs":{"x":[[1,2,3,4]],"x":[[1,2]]}}', '{"inputs":{"y":[[1,2,3,4]]}}', '{"inputs":null}', '{"signature_name":7}',
    '{"signature_name":"\\ud800","instances":[[1,2,3,4]]}', '{"signature_name":"\\udc00\\ud800","instances":[[1,2,3,4]]}',
    '{"instances":[{"\\ud800":1}]}', b'{"instances":[{"\xff":[1,2,3,4]}]}', b'{"signature_name":"\xed\xa0\x80","instances":[1]}',
    '{"instances":[[1,2,3,4]]}\0', '{"instances":[[1,2,3,4]]}{}', '\0{"instances":[[1,2,3,4]]}', '\ufeff{"instances":[[1,2,3,4]]}',
    '{"instances":[[1,2,3,4],]}', '{"instances":[[1,2,3,4]],}', "{'instances':[[1,2,3,4]]}", '{"instances":[[1 2 3 4]]}',
    '{"instances" [[1,2,3,4]]}', '{"instances":[[1,2,3,4]}', '{"instances":[[1,2,3,4]]', '[[1,2,3,4]]', '""', "null", "7", " ",
    '{"signature_name":"' + "x" * 1_000_000 + '","instances":[[1,2,3,4]]}', '{"' + "x" * 1_000_000 + '":1}',
    '{"signature_name":"serving_default","signature_name":"none","instances":[[1,2,3,4]]}',
    '{"a":"\\u12"}', '{"a":"\\x"}', '{"a":"\t"}', '{"instances":[[1,2,3,4]],"signature_name":"\x01"}', "//\n{}", "{/**/}",
], ids=lambda body: repr(body[:40]))
def test_json_that_is_wrong(shared, body):
    status, reply = send(shared, body)
    assert status in (400, 404, 413) and isinstance(reply["error"], str) and reply["error"]


@pytest.mark.parametrize("numbers, expected", [
    ("[1e400,-1e400,1e-400,4]", "[[Infinity,-Infinity,0.0,8.0]]"), ("[" + "9" * 900 + ",0,0,0]", "[[Infinity,0.0,0.0,0.0]]"),
    ("[0." + "0" * 900 + "1,-0,0.0,-0.0]", "[[0.0,-0.0,0.0,-0.0]]"), ("[NaN,Infinity,-Infinity,4]", "[[NaN,Infinity,-Infinity,8.0]]"),
    ("[1E2,1e+2,1.5e-1,0e9]", "[[200.0,200.0,0.3,0.0]]"),
])
def test_numbers_at_the_edge(shared, numbers, expected):
    body = '{"signature_name":"serving_default","instances":[%s]}' % numbers
    text = shared.raw("POST", "/v1/models/m:predict", body)
    assert "".join(text.split()) == '{"predictions":%s}' % expected


def sized(*dims, values=4):
    request = predict(False)
    del request.inputs["x"].tensor_shape.dim[:]
    for size in dims:
        request.inputs["x"].tensor_shape.dim.add().size = size
    del request.inputs["x"].float_val[values:]
    return request


@pytest.mark.parametrize("dims", [
    (-1, 4), (1, -4), (-(2**63), 4), (2**31 - 1, 4), (2**31, 4), (2**29, 4), (2**31, 2**31), (2**61, 4), (2**62, 4),
    (2**63 - 1, 4), (2**32, 2**32), (2**16, 2**16, 2**16, 2**16), (0, 2**63 - 1), (2**63 - 1, 0), (1,) * 300, (),
    (4,), (1, 4, 1), (1, 5),
])
@pytest.mark.parametrize("content", [False, True])
def test_shapes_that_cannot_be(shared, dims, content):
    request = sized(*dims)
    if content:
        request.inputs["x"].ClearField("float_val")
        request.inputs["x"].tensor_content = X.tobytes()
    code, text = ask(shared.channel.unary_unary("/tensorflow.serving.PredictionService/Predict"), request.SerializeToString())
    assert code in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED") and text


def test_a_shape_of_unknown_rank_and_types_that_are_none(shared):
    call = shared.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    unknown = sized(1, 4)
    unknown.inputs["x"].tensor_shape.unknown_rank = True
    assert ask(call, unknown.SerializeToString())[0] == "INVALID_ARGUMENT"
    for number in [0, 2, 7, 20, 21, 24, 100, 101, 120, 2**31 - 1, -1]:
        wrong = sized(1, 4)
        wrong.inputs["x"].dtype = number
        code, text = ask(call, wrong.SerializeToString())
        assert code in ("INVALID_ARGUMENT", "UNIMPLEMENTED") and text, (number, code, text)
