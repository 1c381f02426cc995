# SPDX-License-Identifier: Apache-2.0
"""Start, end, limits and hostile connections."""

import os
import signal
import socket
import subprocess
import sys
import time

import grpc
import numpy as np
import pytest

import onnx_models
from serving_client import PROGRAM, TIMEOUT, Server

X = np.float32([[1, 2, 3, 4]])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return onnx_models.multiply(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    return onnx_models.slow(tmp_path_factory.mktemp("slow") / "slow.onnx")


def run(*flags):
    return subprocess.run([PROGRAM, *flags], capture_output=True, text=True, timeout=TIMEOUT)


def test_help_names_every_flag_and_mistakes_are_explained():
    text = run("--help").stdout
    for flag in ("port", "model_name", "model_base_path", "model_version", "runtime_path", "listen_fd", "ready_fd", "threads"):
        assert f"--{flag} " in text
    assert run("--version").stdout.startswith("cloudml-serving ")
    for flags, why in ((("--port", "x"), "--port is 'x'"), (("stray",), "'stray' is no flag"), ((), "--model_base_path is missing"),
                       (("--nope",), "--help"), (("--model_base_path", "/", "--address", "localhost"), "numeric")):
        done = run(*flags)
        assert done.returncode == 2 and why in done.stderr, done.stderr


def test_a_model_that_cannot_load_is_reported_and_ends_the_server(tmp_path):
    broken = tmp_path / "1" / "model.onnx"
    broken.parent.mkdir()
    broken.write_bytes(b"no model")
    for base, why in ((tmp_path, "loading ONNX model"), (tmp_path / "absent", "cannot read model folder")):
        server = Server(base)
        code, log = server.stop()
        assert why in server.ready["error"] and why in log and code not in (0, None)


def test_a_missing_runtime_is_named(model, tmp_path):
    server = Server(model, runtime=str(tmp_path))
    code, _ = server.stop()
    assert code != 0 and "no package 'onnxruntime'" in server.ready["error"]


def test_listen_fds_of_socket_activation(model):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ready, ready_end = os.pipe()
        process = subprocess.Popen(
            [PROGRAM, "--model_base_path", str(model), "--ready_fd", str(ready_end), "--runtime_path", sys.prefix],
            env={**os.environ, "LISTEN_FDS": "1"}, pass_fds=(3, ready_end), stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.dup2(listener.fileno(), 3))
        os.close(ready_end)
        assert b'"ready":true' in os.read(ready, 1000)
        os.close(ready)
        with socket.create_connection(listener.getsockname(), timeout=TIMEOUT) as c:
            c.sendall(b"GET /v1/models/default HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert c.recv(100).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0


def test_a_request_in_flight_is_answered_before_the_end(slow):
    with Server(slow) as server:
        server.predict({"x": np.float32(1)})
        call = server.prediction.Predict.future(server.request({"x": np.float32(2)}), timeout=TIMEOUT)
        server.status()  # on the same connection: the request above has arrived
        server.process.send_signal(signal.SIGTERM)
        assert np.isfinite(call.result().outputs["y"].float_val[0])
        assert server.process.wait(TIMEOUT) == 0


def test_a_killed_server_fails_the_call_and_its_socket_serves_again(slow, model):
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(slow, listener=listener)
    server.predict({"x": np.float32(1)})
    call = server.prediction.Predict.future(server.request({"x": np.float32(2)}), timeout=TIMEOUT)
    server.status()
    server.process.kill()
    with pytest.raises(grpc.RpcError) as failure:
        call.result()
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
    assert server.process.wait(TIMEOUT) == -signal.SIGKILL
    server.process.stderr.close()
    server.channel.close()
    with Server(model, listener=listener) as again:
        assert again.predict({"x": X})[0]["y"].tolist() == [[2, 4, 6, 8]]


def test_a_passed_deadline_is_told(slow):
    with Server(slow, flags=["--workers", "1"]) as server:
        server.predict({"x": np.float32(1)})
        first = server.prediction.Predict.future(server.request({"x": np.float32(2)}), timeout=TIMEOUT)
        server.status()
        with pytest.raises(grpc.RpcError) as failure:
            server.predict({"x": np.float32(3)}, timeout=0.001)
        assert failure.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        first.result()


def test_small_requests_pass_while_a_model_computes(slow):
    with Server(slow) as server:
        call = server.prediction.Predict.future(server.request({"x": np.float32(2)}), timeout=TIMEOUT)
        server.status()
        assert not call.done()
        assert server.http("GET", "/v1/models/m")[0] == 200
        call.result()


def test_limits_on_sizes(model):
    with Server(model, flags=["--max_message_size", "64K", "--max_json_size", "64K"]) as server:
        big = np.ones((10_000, 4), np.float32)
        with pytest.raises(grpc.RpcError) as failure:
            server.predict({"x": big})
        assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than max" in failure.value.details()
        with pytest.raises(grpc.RpcError) as failure:
            server.predict({"x": np.ones((100_000, 4), np.float32)}, compression=grpc.Compression.Gzip)
        assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert server.predict({"x": X})[0]["y"].shape == (1, 4)
        code, reply = server.rest({"instances": big.tolist()})
        assert code == 413 and "larger" in reply["error"]
        # Two thousand million floats from one value.
        request = server.request({"x": X})
        request.inputs["x"].tensor_shape.dim[0].size = 500_000_000
        with pytest.raises(grpc.RpcError) as failure:
            server.prediction.Predict(request, timeout=TIMEOUT)
        assert failure.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT)


def test_silent_and_slow_connections_are_closed_and_block_nobody(model):
    with Server(model, flags=["--header_timeout", "500ms", "--body_timeout", "500ms"]) as server:
        starts = [b"", b"G", b"PRI * HT", b"GET / HTTP/1.1\r\nHo", PREFACE[:20],
                  b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"]
        sockets = []
        for _ in range(20):
            for start in starts:
                s = server.socket()
                s.sendall(start)
                sockets.append(s)
        assert server.predict({"x": X})[0]["y"].tolist() == [[2, 4, 6, 8]]
        assert server.rest({"instances": X.tolist()})[0] == 200
        for s in sockets:
            try:
                while s.recv(1000):
                    pass
            except ConnectionResetError:
                pass
            s.close()
        assert server.predict({"x": X})[0]["y"].tolist() == [[2, 4, 6, 8]]


@pytest.mark.parametrize("start", [PREFACE + b"\0\0\0\x04\0\0\0\0\0", b"GET /v1/models/m HTTP/1.1\r\nHost: x\r\n\r\n"],
                         ids=["h2", "http1"])
def test_idle_connections_keep_nobody_out(model, start):
    with Server(model, flags=["--max_connections", "20"]) as server:
        idle = []
        for _ in range(40):
            s = server.socket()
            s.sendall(start)
            assert s.recv(1000)
            idle.append(s)
        assert server.predict({"x": X})[0]["y"].tolist() == [[2, 4, 6, 8]]
        assert server.rest({"instances": X.tolist()})[0] == 200
        for s in idle:
            s.close()


@pytest.mark.parametrize("data", [
    PREFACE + b"\xff" * 100,
    PREFACE + b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\1\x01\5\0\0\0\1\xff",
    PREFACE + b"\0\0\0\x04\0\0\0\0\0" + b"\0\x40\x00\x09\0\0\0\0\1" + b"x" * 0x4000,
    b"\0" * 100,
    b"GET\r\n\r\n",
    b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
    b"GET /" + b"a" * 100_000,
], ids=["h2-garbage", "h2-bad-header-block", "h2-stray-continuation", "zeros", "short", "two-lengths", "lengths-differ", "long-line"])
def test_malformed_bytes_end_their_connection_only(model, data):
    with Server(model) as server:
        with server.socket() as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                reply = b""
                while part := s.recv(10000):
                    reply += part
                assert b" 200 " not in reply
            except OSError:  # the server has closed it already
                pass
        assert server.predict({"x": X})[0]["y"].tolist() == [[2, 4, 6, 8]]


def test_a_flood_of_resets_ends_the_connection_only(model):
    headers = bytes.fromhex("83864107") + b"1.2.3.4" + bytes.fromhex("84")
    frame = lambda kind, flags, stream, body: (  # noqa: E731
        len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body)
    with Server(model) as server:
        with server.socket() as s:
            s.sendall(PREFACE + frame(4, 0, 0, b""))
            try:
                for i in range(20_000):
                    s.sendall(frame(1, 4, 2 * i + 1, headers) + frame(3, 0, 2 * i + 1, b"\0\0\0\x08"))
                while s.recv(100_000):
                    pass
            except OSError:  # the server has closed it already
                pass
        assert server.predict({"x": X})[0]["y"].tolist() == [[2, 4, 6, 8]]


def test_clients_that_stop_half_way_leave_nothing_behind(model):
    request = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n{\"instances\":[[1,2,3"
    with Server(model, flags=["--header_timeout=1h", "--body_timeout=1h"]) as server:
        for length in (1, 10, 40, 66, 75, len(request)):
            with server.socket() as s:
                s.sendall(request[:length])
        for name in ("open_connections", "request_memory_bytes"):
            expected = {"open_connections": 1, "request_memory_bytes": 0}[name]
            end = time.monotonic() + TIMEOUT
            while f"\ncloudml_serving_{name} {expected}\n" not in server.raw("GET", "/metrics"):
                assert time.monotonic() < end
        with server.socket() as s:  # one that only closes its own direction gets its answer
            body = b'{"instances": [[1, 2, 3, 4]]}'
            s.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            s.shutdown(socket.SHUT_WR)
            reply = b""
            while part := s.recv(10000):
                reply += part
            assert b" 200 OK" in reply or b" 499 " in reply


def test_a_device_that_the_library_cannot_use_is_named_with_what_it_can(model):
    """The environment's onnxruntime is the one for processors; its own list of providers is what it must say."""
    import onnxruntime
    assert "CUDAExecutionProvider" not in onnxruntime.get_available_providers()
    server = Server(model, flags=["--onnx_cuda", "--onnx_cuda_device=1"])
    code, _ = server.stop()
    assert code != 0 and "has no CUDAExecutionProvider" in server.ready["error"]
    assert ", ".join(onnxruntime.get_available_providers()) in server.ready["error"]
