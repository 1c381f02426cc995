# SPDX-License-Identifier: Apache-2.0
"""Clients that mean harm to the transport: an error by the protocol, memory that stays bounded, and an honest client
that is answered all the same."""

import contextlib
import gzip
import http.client
import json
import socket
import threading

import grpc
import numpy as np
import pytest

import onnx_models
from serving_client import TIMEOUT, Server

X = np.float32([[1, 2, 3, 4]])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
ENHANCE_YOUR_CALM = 11
PREDICT = b"/tensorflow.serving.PredictionService/Predict"
GROWTH = 96 << 10  # KiB that an attack may cost; sanitizers keep what is freed for a while


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def block(*fields):
    """Headers as literals without indexing."""
    def text(s):
        return (bytes([len(s)]) if len(s) < 127 else b"\x7f" + varint(len(s) - 127)) + s
    return b"".join(b"\0" + text(name) + text(value) for name, value in fields)


def varint(n):
    out = b""
    while n >= 128:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def call(path=PREDICT, *more):
    return block((b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x"),
                 (b"content-type", b"application/grpc"), *more)


def message(data):
    return b"\0" + len(data).to_bytes(4, "big") + data


class Attack:
    """A connection that speaks HTTP/2 by hand; what the server says is read by a thread of its own."""

    def __init__(self, server, settings=b"", read=True):
        self.s = server.socket()
        self.said = b""
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings) + frame(SETTINGS, 1, 0))
        self.reader = threading.Thread(target=self.read_all) if read else None
        if read:
            self.reader.start()

    def send(self, data):
        """False when the server listens no more."""
        with contextlib.suppress(OSError):
            self.s.sendall(data)
            return True
        return False

    def read_all(self):
        with contextlib.suppress(OSError):
            while part := self.s.recv(1 << 16):
                self.said += part

    def frames(self):
        at = 0
        while at + 9 <= len(self.said):
            size = int.from_bytes(self.said[at:at + 3], "big")
            yield self.said[at + 3], self.said[at + 4], int.from_bytes(self.said[at + 5:at + 9], "big"), \
                self.said[at + 9:at + 9 + size]
            at += 9 + size

    def wait_for(self, kind):
        """Until a frame of this kind has come."""
        wait_until(lambda: any(k == kind for k, *_ in list(self.frames())) or not self.reader.is_alive())

    def end(self):
        """The codes of GOAWAY frames, when the connection has ended."""
        if self.reader:
            self.reader.join(TIMEOUT)
            assert not self.reader.is_alive()
        self.s.close()
        return [int.from_bytes(payload[4:8], "big") for kind, _, _, payload in self.frames() if kind == GOAWAY]


def memory_kib(server):
    with open(f"/proc/{server.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def honest(server):
    assert server.predict({"x": X})[0]["y"].tolist() == [[2, 4, 6, 8]]
    assert server.rest({"instances": X.tolist()})[0] == 200


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return onnx_models.multiply(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def shared(model):
    with Server(model, flags=["--header_timeout=60s"]) as s:
        honest(s)
        yield s


@pytest.fixture
def server(shared):
    """Whatever a test does, the memory stays and an honest client is answered."""
    before = memory_kib(shared)
    yield shared
    honest(shared)
    assert memory_kib(shared) - before < GROWTH


def ids():
    return range(1, 1 << 20, 2)


def test_resets_by_the_client(server):
    a = Attack(server)
    sent = sum(a.send(frame(HEADERS, 4, i, call()) + frame(RST, 0, i, b"\0\0\0\x08")) for i in list(ids())[:20_000])
    codes = a.end()
    assert sent < 20_000 or codes
    assert set(codes) <= {ENHANCE_YOUR_CALM, 2}


@pytest.mark.parametrize("mistake", [
    lambda i: frame(WINDOW, 0, i, b"\0\0\0\0"),
    lambda i: frame(WINDOW, 0, i, b"\x7f\xff\xff\xff") * 2,
    lambda i: frame(HEADERS, 5, i, call()),  # a second one that ends the stream, with pseudo-headers
], ids=["no increment", "too much window", "pseudo-headers behind the body"])
def test_resets_that_mistakes_of_the_client_cause(server, mistake):
    a = Attack(server)
    for i in list(ids())[:5000]:
        if not a.send(frame(HEADERS, 4, i, call()) + mistake(i)):
            break
    codes = a.end()
    resets = sum(kind == RST for kind, *_ in a.frames())
    assert resets <= 1000 and (not codes or codes[-1] in (ENHANCE_YOUR_CALM, 1))  # a farewell may be lost to a reset


@pytest.mark.parametrize("piece", [b"", b"\0\1a\1b", b"\0\x01a\x7f\x81\x7c" + b"v" * 16000], ids=["empty", "small", "large"])
def test_continuations_without_an_end(server, piece):
    a = Attack(server)
    a.send(frame(HEADERS, 0, 1, call()))
    for _ in range(20_000):
        if not a.send(frame(CONTINUATION, 0, 1, piece)):
            break
    else:
        pytest.fail("all were taken")
    a.end()


@pytest.mark.parametrize("flood", [frame(SETTINGS, 0, 0, b"\0\4\0\0\x10\0"), frame(PING, 0, 0, b"12345678")],
                         ids=["settings", "pings"])
def test_floods_whose_answers_nobody_reads(server, flood):
    a = Attack(server, read=False)
    a.s.settimeout(TIMEOUT)
    for _ in range(2000):
        if not a.send(flood * 500):
            break
    else:
        pytest.fail("all were taken")
    a.s.close()


def test_frames_that_do_nothing(server):
    a = Attack(server)
    for kind, stream, payload in ((PRIORITY, 1, b"\0\0\0\0\0"), (0xbe, 0, b"x" * 100), (WINDOW, 0, b"\0\0\0\1")):
        a.send(frame(kind, 0, stream, payload) * 20_000)
    a.send(frame(DATA, 0, 0, b""))
    assert a.end() == [1]


def test_empty_data_frames(server):
    a = Attack(server)
    a.send(frame(HEADERS, 4, 1, call()))
    a.send(frame(DATA, 0, 1) * 50_000 + frame(DATA, 1, 1, message(server.request({"x": X}).SerializeToString())))
    a.wait_for(DATA)
    a.send(frame(DATA, 0, 0))
    a.end()
    assert [kind for kind, *_ in a.frames() if kind in (HEADERS, DATA)] == [HEADERS, DATA, HEADERS]


def test_headers_that_grow_when_they_are_decoded(server):
    """One long value in the table, then thousands of references to it."""
    a = Attack(server)
    long = b"\x40\1a\x7f" + varint(3900 - 127) + b"v" * 3900
    for i in list(ids())[:20]:
        a.send(frame(HEADERS, 5, i, call() + (long if i == 1 else b"") + b"\xbe" * 12_000))
    a.wait_for(HEADERS)
    a.send(frame(DATA, 0, 0))
    a.end()
    answers = [payload for kind, flags, _, payload in a.frames() if kind == HEADERS]
    resets = [stream for kind, _, stream, _ in a.frames() if kind == RST]
    assert len(answers) + len(resets) >= 1


def test_headers_that_are_too_large_are_told(server):
    with pytest.raises(grpc.RpcError) as failure:
        server.prediction.Predict(server.request({"x": X}), timeout=TIMEOUT,
                                  metadata=[(f"key-{i}", "v" * 1000) for i in range(20)])
    assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    c.request("GET", "/v1/models/m", headers={f"key-{i}": "v" * 1000 for i in range(60)})
    assert c.getresponse().status in (413, 431)
    c.close()


def test_a_million_chunks(server):
    body = json.dumps({"instances": X.tolist()}).encode()
    body += b" " * (1_000_000 - len(body))
    with server.socket() as s:
        s.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(body), 10_000):
            s.sendall(b"".join(b"1\r\n%c\r\n" % b for b in body[at:at + 10_000]))
        s.sendall(b"0\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 200")


def test_chunks_with_endless_extensions_and_trailers(model):
    with Server(model, flags=["--body_timeout=1s"]) as server:
        before = memory_kib(server)
        send_chunks(server)
        honest(server)
        assert memory_kib(server) - before < GROWTH


def send_chunks(server):
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for data in (b"1;" + b"e" * 1_000_000, b"0\r\n" + b"a: b\r\n" * 100_000, b"f" * 100 + b"\r\n"):
        with server.socket() as s, contextlib.suppress(OSError):
            s.sendall(head + data)
            s.shutdown(socket.SHUT_WR)
            reply = b""
            while part := s.recv(10_000):
                reply += part
            assert b" 200 " not in reply.split(b"\r\n")[0]


def test_bombs(server):
    bomb = gzip.compress(b"\0" * (260 << 20), 1)
    code, reply = server.http("POST", "/v1/models/m:predict", bomb, {"Content-Encoding": "gzip"})
    assert code == 413, reply
    a = Attack(server)
    a.send(frame(HEADERS, 4, 1, call(PREDICT, (b"grpc-encoding", b"gzip"))))
    data = b"\1" + len(bomb).to_bytes(4, "big") + bomb
    for at in range(0, len(data), 16_000):
        a.send(frame(DATA, 0, 1, data[at:at + 16_000]))
    a.send(frame(DATA, 1, 1))
    a.wait_for(HEADERS)
    a.send(frame(DATA, 0, 0))
    a.end()
    (answer,) = [(flags, payload) for kind, flags, _, payload in a.frames() if kind == HEADERS]
    assert answer[0] == 5  # nothing but a status


def test_many_idle_and_half_open_connections_at_the_cap(model):
    with Server(model, flags=["--max_connections=200", "--header_timeout=2s"]) as server:
        honest(server)
        before = memory_kib(server)
        starts = [PREFACE + frame(SETTINGS, 0, 0), b"GET /v1/models/m HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI", b"GET / HT", b""]
        sockets = []
        for i in range(400):
            s = server.socket()
            with contextlib.suppress(OSError):
                s.sendall(starts[i % len(starts)])
            sockets.append(s)
        for s in sockets[2::5] + sockets[3::5] + sockets[4::5]:  # those that said nothing whole are ended
            with contextlib.suppress(OSError):
                while s.recv(1000):
                    pass
        honest(server)
        assert memory_kib(server) - before < GROWTH
        for s in sockets:
            s.close()


def big_request(server):
    rows = np.zeros((100_000, 4), np.float32)
    return rows, message(server.request({"x": rows}, content=True).SerializeToString())


def test_answers_that_nobody_takes_are_given_up(model):
    """By HTTP/2 with a window of nothing, by both without reading the socket."""
    # A sanitizer that keeps all that was freed would be what is measured.
    with Server(model, flags=["--body_timeout=2s", "--max_request_memory=64M"], asan="quarantine_size_mb=16") as server:
        honest(server)
        before = memory_kib(server)
        rows, data = big_request(server)
        attacks = []
        for settings in (b"\0\4\0\0\0\0", b"\0\4\x7f\xff\xff\xff"):
            a = Attack(server, settings, read=settings[-1] == 0)
            if not a.reader:
                a.send(frame(WINDOW, 0, 0, b"\x3f\xff\xff\xff"))
            for i in (1, 3, 5):
                a.send(frame(HEADERS, 4, i, call()))
                for at in range(0, len(data), 16_000):
                    a.send(frame(DATA, 0, i, data[at:at + 16_000]))
                a.send(frame(DATA, 1, i))
            attacks.append(a)
        body = json.dumps({"instances": np.zeros((400_000, 4)).tolist()}).encode()
        rest = server.socket()
        rest.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert ENHANCE_YOUR_CALM in attacks[0].end()
        wait_until(lambda: open_connections(server) <= 2)  # ours, and the one that asks
        honest(server)
        assert memory_kib(server) - before < 2 * GROWTH
        attacks[1].s.close()
        rest.close()


def open_connections(server):
    text = server.raw("GET", "/metrics")
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("cloudml_serving_open_connections "))


def wait_until(condition):
    end = threading.Event()
    timer = threading.Timer(TIMEOUT, end.set)
    timer.start()
    while not condition():
        assert not end.is_set()
    timer.cancel()
