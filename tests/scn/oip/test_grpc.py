# SPDX-License-Identifier: Apache-2.0
"""inference.GRPCInferenceService with tritonclient and with bare messages."""

import asyncio
import queue
import threading

import grpc
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.grpc.aio
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

import onnx_models
from oip_samples import DATATYPES, SAMPLES, X, make_inputs, sample
from serving_client import TIMEOUT, Server

FIELDS = {"BOOL": "bool", "INT8": "int", "INT16": "int", "INT32": "int", "INT64": "int64", "UINT8": "uint", "UINT16": "uint",
          "UINT32": "uint", "UINT64": "uint64", "FP32": "fp32", "FP64": "fp64", "BYTES": "bytes"}


@pytest.fixture
def stub(multiply):
    with grpc.insecure_channel(f"127.0.0.1:{multiply.port}") as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def request_of(**how):
    request = service_pb2.ModelInferRequest(model_name="m", **how)
    request.inputs.add(name="x", datatype="FP32", shape=[2, 4])
    return request


def typed():
    request = request_of(id="7")
    request.inputs[0].contents.fp32_contents.extend(X.reshape(-1).tolist())
    return request


def expect(code, text, method, request):
    with pytest.raises(grpc.RpcError) as failure:
        method(request, timeout=TIMEOUT)
    assert failure.value.code() == code, failure.value.details()
    assert text in failure.value.details()


def test_health_metadata_and_configuration(multiply, grpc_client):
    c = grpc_client(multiply)
    assert c.is_server_live() and c.is_server_ready() and c.is_model_ready("m") and c.is_model_ready("m", "12")
    assert not c.is_model_ready("other") and not c.is_model_ready("m", "3")
    assert c.get_server_metadata().name == "cloudml-serving"
    meta = c.get_model_metadata("m")
    assert (meta.name, list(meta.versions), meta.platform) == ("m", ["12"], "onnxruntime_onnx")
    assert [(t.name, t.datatype, list(t.shape)) for t in meta.inputs] == [("x", "FP32", [-1, 4])]
    config = c.get_model_config("m").config
    assert config.backend == "onnxruntime" and config.max_batch_size == 0
    assert [(t.name, t.data_type, list(t.dims)) for t in config.input] == [("x", 11, [-1, 4])]
    assert [(t.name, t.data_type, list(t.dims)) for t in config.output] == [("y", 11, [-1, 4])]
    with pytest.raises(InferenceServerException, match="model 'other' is not found"):
        c.get_model_metadata("other")


def test_index_and_statistics(multiply, grpc_client):
    c = grpc_client(multiply)
    assert [(m.name, m.version, m.state) for m in c.get_model_repository_index().models] == [("m", "12", "READY")]
    before = c.get_inference_statistics("m").model_stats[0]
    c.infer("m", make_inputs(tritonclient.grpc, {"x": X}))
    after = c.get_inference_statistics().model_stats[0]
    assert after.inference_count - before.inference_count == 2 and after.execution_count - before.execution_count == 1
    assert after.inference_stats.success.count - before.inference_stats.success.count == 1


def test_every_element_type_survives_raw(identities, grpc_client):
    inputs = make_inputs(tritonclient.grpc, {f"{n}_in": sample(n) for n in SAMPLES})
    reply = grpc_client(identities).infer("m", inputs, request_id="the id")
    assert reply.get_response().id == "the id" and len(reply.get_response().raw_output_contents) == len(SAMPLES)
    for name in SAMPLES:
        assert reply.as_numpy(name).tolist() == sample(name).tolist(), name
        assert reply.get_output(name).datatype == DATATYPES[name]


def test_every_element_type_survives_typed(tmp_path):
    names = [n for n in SAMPLES if n != "float16"]
    nodes = [onnx_models.helper.make_node("Identity", [n + "_in"], [n]) for n in names]
    path = onnx_models.save(tmp_path / "typed.onnx", nodes, [(n + "_in", n, ["A", "B"]) for n in names],
                            [(n, n, ["A", "B"]) for n in names])
    request = service_pb2.ModelInferRequest(model_name="m")
    for name in names:
        tensor = request.inputs.add(name=name + "_in", datatype=DATATYPES[name], shape=[1, 2])
        getattr(tensor.contents, FIELDS[DATATYPES[name]] + "_contents").extend(sample(name).reshape(-1).tolist())
    with Server(path) as server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        reply = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=TIMEOUT)
    assert not reply.raw_output_contents
    for output in reply.outputs:
        values = getattr(output.contents, FIELDS[output.datatype] + "_contents")
        assert np.array(values, output.name).tolist() == sample(output.name).reshape(-1).tolist(), output.name


def test_typed_in_gives_typed_out_and_unpacked_numbers_are_read(stub):
    reply = stub.ModelInfer(typed(), timeout=TIMEOUT)
    assert reply.id == "7" and reply.model_version == "12" and not reply.raw_output_contents
    np.testing.assert_array_equal(np.float32(reply.outputs[0].contents.fp32_contents), X.reshape(-1) * np.float32(2))
    # shape and values one by one, as encoders of old write them
    tensor = b"\x0a\x01x\x12\x04FP32\x18\x01\x18\x04\x2a\x14" + b"\x35\0\0\x80\x3f" * 4
    message = b"\x0a\x01m\x2a" + bytes([len(tensor)]) + tensor
    bare = stub.ModelInfer  # the same method with bytes that no encoder of today makes
    assert bare(service_pb2.ModelInferRequest.FromString(message), timeout=TIMEOUT).outputs[0].shape == [1, 4]


def test_bytes_of_old_encoders(multiply):
    tensor = b"\x0a\x01x\x12\x04FP32\x18\x01\x18\x04\x2a\x14" + b"\x35\0\0\x80\x3f" * 4
    call = multiply.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    reply = service_pb2.ModelInferResponse.FromString(call(b"\x0a\x01m\x2a" + bytes([len(tensor)]) + tensor, timeout=TIMEOUT))
    assert list(reply.outputs[0].contents.fp32_contents) == [2.0] * 4


@pytest.mark.parametrize("raw", [False, True])
def test_a_contiguous_tensor_is_copied_once_in_and_never_out(tmp_path, raw):
    x = np.arange(24_000, dtype=np.float32).reshape(-1, 4)
    request = service_pb2.ModelInferRequest(model_name="m", raw_input_contents=[x.tobytes()] if raw else [])
    tensor = request.inputs.add(name="x", datatype="FP32", shape=x.shape)
    if not raw:
        tensor.contents.fp32_contents.extend(x.reshape(-1).tolist())
    with Server(onnx_models.multiply(tmp_path / "model.onnx")) as server:
        before = server.copied()
        reply = service_pb2_grpc.GRPCInferenceServiceStub(server.channel).ModelInfer(request, timeout=TIMEOUT)
        after = server.copied()
    values = np.frombuffer(reply.raw_output_contents[0], np.float32) if raw else reply.outputs[0].contents.fp32_contents
    np.testing.assert_array_equal(np.float32(values).reshape(-1, 4), x * 2)
    assert after[0] - before[0] == request.ByteSize()
    assert after[1] - before[1] < 200  # what stands around the elements


def test_large_tensors_with_compression(multiply, grpc_client):
    x = np.random.default_rng(1).random((300_000, 4), np.float32)
    for coding in (None, "gzip", "deflate"):
        reply = grpc_client(multiply).infer("m", make_inputs(tritonclient.grpc, {"x": x}), compression_algorithm=coding)
        np.testing.assert_array_equal(reply.as_numpy("y"), x * 2)


def test_chosen_outputs_and_signature(pair, grpc_client):
    inputs = make_inputs(tritonclient.grpc, {"a": np.float32([1]), "b": np.float32([2])})
    total = [tritonclient.grpc.InferRequestedOutput("total")]
    reply = grpc_client(pair).infer("m", inputs, outputs=total, parameters={"signature_name": "serving_default", "other": 3})
    assert [o.name for o in reply.get_response().outputs] == ["total"] and reply.as_numpy("total") == [3]
    for how, why in (({"outputs": total * 2}, "duplicate"), ({"outputs": [tritonclient.grpc.InferRequestedOutput("nope")]}, "nope"),
                     ({"parameters": {"signature_name": "none"}}, "no signature 'none'"), ({"model_version": "x"}, "no number"),
                     ({"outputs": [tritonclient.grpc.InferRequestedOutput("total", class_count=2)]}, "classification")):
        with pytest.raises(InferenceServerException, match=why):
            grpc_client(pair).infer("m", inputs, **how)


def test_mistakes_are_explained(stub):
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    expect(grpc.StatusCode.NOT_FOUND, "model 'x' is not found", stub.ModelInfer, service_pb2.ModelInferRequest(model_name="x"))
    expect(invalid, "model_name is empty", stub.ModelInfer, service_pb2.ModelInferRequest())
    both = typed()
    both.raw_input_contents.append(X.tobytes())
    expect(invalid, "must not be mixed", stub.ModelInfer, both)
    few = request_of(raw_input_contents=[X.tobytes()[:-1]])
    expect(invalid, "31 bytes of data, datatype and shape need 32", stub.ModelInfer, few)
    expect(invalid, "2 raw_input_contents for 1 inputs", stub.ModelInfer, request_of(raw_input_contents=[b"", b""]))
    wrong = request_of()
    wrong.inputs[0].contents.int_contents.extend([1] * 8)
    expect(invalid, "wrong field", stub.ModelInfer, wrong)
    short = typed()
    del short.inputs[0].contents.fp32_contents[3:]
    expect(invalid, "its shape needs 8", stub.ModelInfer, short)
    half = typed()
    half.inputs[0].datatype = "FP16"
    expect(invalid, "raw_input_contents", stub.ModelInfer, half)
    small = request_of()
    small.inputs[0].datatype = "INT8"
    small.inputs[0].contents.int_contents.extend([200] * 8)
    expect(invalid, "does not fit", stub.ModelInfer, small)
    shared = typed()
    shared.inputs[0].parameters["shared_memory_region"].string_param = "a"
    expect(grpc.StatusCode.UNIMPLEMENTED, "shared memory", stub.ModelInfer, shared)
    expect(grpc.StatusCode.UNIMPLEMENTED, "unknown method", stub.SystemSharedMemoryStatus,
           service_pb2.SystemSharedMemoryStatusRequest())
    expect(grpc.StatusCode.UNIMPLEMENTED, "unknown method", stub.LogSettings, service_pb2.LogSettingsRequest())


def test_a_stream_answers_in_order_and_survives_errors(multiply, grpc_client):
    answers = queue.Queue()
    c = grpc_client(multiply)
    c.start_stream(callback=lambda result, error: answers.put((result, error)))
    for i in range(200):
        c.async_stream_infer("m" if i != 100 else "other", make_inputs(tritonclient.grpc, {"x": X + i}), request_id=str(i))
    for i in range(200):
        result, error = answers.get(timeout=TIMEOUT)
        if i == 100:
            assert "model 'other' is not found" in str(error) and result is None
            continue
        assert error is None and result.get_response().id == str(i)
        assert result.get_response().parameters["triton_final_response"].bool_param
        np.testing.assert_array_equal(result.as_numpy("y"), (X + i) * np.float32(2))
    c.stop_stream()
    assert answers.empty()


def test_a_stream_of_large_messages_is_read_as_fast_as_it_is_answered(multiply, grpc_client):
    answers = queue.Queue()
    c = grpc_client(multiply)
    x = np.ones((100_000, 4), np.float32)
    c.start_stream(callback=lambda result, error: answers.put((result, error)), compression_algorithm="gzip")
    for i in range(30):
        c.async_stream_infer("m", make_inputs(tritonclient.grpc, {"x": x * i}), request_id=str(i))
    for i in range(30):
        result, error = answers.get(timeout=TIMEOUT)
        assert error is None and result.get_response().id == str(i) and result.as_numpy("y")[7, 3] == 2 * i
    c.stop_stream()


def test_a_cancelled_stream_leaves_the_server_well(multiply, grpc_client):
    c = grpc_client(multiply)
    for _ in range(10):
        c.start_stream(callback=lambda result, error: None)
        for i in range(50):
            c.async_stream_infer("m", make_inputs(tritonclient.grpc, {"x": X}))
        c.stop_stream(cancel_requests=True)
    np.testing.assert_array_equal(c.infer("m", make_inputs(tritonclient.grpc, {"x": X})).as_numpy("y"), X * np.float32(2))


def test_streams_and_calls_over_asyncio(multiply):
    async def requests():
        for i in range(50):
            yield {"model_name": "m", "inputs": make_inputs(tritonclient.grpc, {"x": X + i}), "request_id": str(i)}

    async def run():
        async with tritonclient.grpc.aio.InferenceServerClient(f"127.0.0.1:{multiply.port}") as c:
            assert await c.is_model_ready("m")
            calls = await asyncio.gather(*[c.infer("m", make_inputs(tritonclient.grpc, {"x": X + i})) for i in range(20)])
            assert all((r.as_numpy("y") == (X + i) * np.float32(2)).all() for i, r in enumerate(calls))
            return [(r.get_response().id, e) async for r, e in c.stream_infer(requests())]

    assert asyncio.run(run()) == [(str(i), None) for i in range(50)]


def test_a_stream_in_flight_is_answered_before_the_end(tmp_path):
    sent, never = threading.Event(), threading.Event()

    def requests():
        request = service_pb2.ModelInferRequest(model_name="m", raw_input_contents=[np.float32(1).tobytes()])
        request.inputs.add(name="x", datatype="FP32")
        yield request
        sent.set()  # the next one is asked for when the first has been written
        never.wait()

    with Server(onnx_models.slow(tmp_path / "slow.onnx")) as server, grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        replies = stub.ModelStreamInfer(requests(), timeout=TIMEOUT)
        assert sent.wait(TIMEOUT)
        stub.ServerLive(service_pb2.ServerLiveRequest(), timeout=TIMEOUT)  # same connection: the message above has arrived
        server.process.terminate()
        assert len(next(replies).infer_response.raw_output_contents[0]) == 4
        with pytest.raises(grpc.RpcError) as end:
            next(replies)
        assert end.value.code() == grpc.StatusCode.UNAVAILABLE and "shuts down" in end.value.details()
        never.set()
        assert server.process.wait(TIMEOUT) == 0
