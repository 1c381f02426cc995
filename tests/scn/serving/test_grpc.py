# SPDX-License-Identifier: Apache-2.0
"""Corners of gRPC that clients rely on: metadata, compression, statuses without a message, sizes on both sides."""

import gzip

import grpc
import numpy as np
import pytest

import onnx_models
from serving_client import TIMEOUT, Server, prediction_service_pb2_grpc
from test_transport import DATA, HEADERS, PREDICT, Attack, call, frame, message

X = np.float32([[1, 2, 3, 4]])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(onnx_models.multiply(tmp_path_factory.mktemp("model") / "model.onnx")) as s:
        yield s


def test_metadata_of_any_kind_is_taken(server):
    metadata = [("key-bin", bytes(range(256))), ("key", "a"), ("key", "b"), ("authorization", "Bearer x")]
    reply, status = server.prediction.Predict.with_call(server.request({"x": X}), timeout=TIMEOUT, metadata=metadata)
    assert list(reply.outputs["y"].float_val) == [2, 4, 6, 8] and status.code() == grpc.StatusCode.OK


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate, grpc.Compression.NoCompression])
def test_compressed_messages(server, compression):
    assert server.predict({"x": np.zeros((1000, 4), np.float32)}, compression=compression)[0]["y"].shape == (1000, 4)


@pytest.mark.parametrize("more, body", [
    ([(b"grpc-encoding", b"snappy")], b"\0"),
    ([], b"\1"),  # compressed, and no word of how
    ([(b"grpc-encoding", b"gzip")], b"\2"),  # a flag that there is not
    ([(b"grpc-timeout", b"12345")], b"\0"),
])
def test_what_cannot_be_decoded_has_a_status_and_no_message(server, more, body):
    a = Attack(server)
    data = gzip.compress(server.request({"x": X}).SerializeToString())
    a.send(frame(HEADERS, 4, 1, call(PREDICT, *more)) + frame(DATA, 1, 1, body + message(data)[1:]))
    a.wait_for(HEADERS)
    a.send(frame(DATA, 0, 0))
    a.end()
    assert [(kind, flags) for kind, flags, *_ in a.frames() if kind in (HEADERS, DATA)] == [(HEADERS, 5)]


def test_a_client_with_a_small_limit_refuses_the_answer_itself(server):
    rows = np.zeros((10_000, 4), np.float32)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", options=[("grpc.max_receive_message_length", 1000)]) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as failure:
            stub.Predict(server.request({"x": rows}), timeout=TIMEOUT)
        assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert list(stub.Predict(server.request({"x": X}), timeout=TIMEOUT).outputs["y"].float_val) == [2, 4, 6, 8]
