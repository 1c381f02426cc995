# SPDX-License-Identifier: Apache-2.0
"""TLS on the ports: real clients, clients without the right certificate, clients that do not speak it."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import time

import grpc
import numpy as np
import pytest

import onnx_models
from certificates import CLIENT, SERVER, Authority, ssl_config
from serving_client import PROGRAM, TIMEOUT, Server, http_at, prediction_service_pb2_grpc

X = np.float32([[1, 2, 3, 4]])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return onnx_models.multiply(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


@pytest.fixture(scope="module")
def identity(authority):
    return authority.sign("server", SERVER)


@pytest.fixture(scope="module")
def client(authority):
    return authority.sign("client", CLIENT)


@pytest.fixture(scope="module")
def config(identity, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "ssl.pbtxt"
    path.write_text(ssl_config(*identity))
    return path


@pytest.fixture(scope="module")
def server(model, config):
    with Server(model, flags=[f"--ssl_config_file={config}"]) as s:
        yield s


@pytest.fixture(scope="module")
def strict(model, identity, authority):
    """A server that demands certificates, by our own flags."""
    key, cert = identity
    with Server(model, flags=[f"--tls_cert={cert}", f"--tls_key={key}", f"--tls_client_ca={authority.cert}"]) as s:
        yield s


def predict(target, server, authority, identity=None, options=()):
    """By gRPC, with a root certificate and perhaps a client's."""
    key, cert = (path.read_bytes() for path in identity) if identity else (None, None)
    credentials = grpc.ssl_channel_credentials(authority.cert.read_bytes(), key, cert)
    with grpc.secure_channel(target, credentials, options) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        return list(stub.Predict(server.request({"x": X}), timeout=TIMEOUT).outputs["y"].float_val)


def context(authority, identity=None, alpn=()):
    c = ssl.create_default_context(cafile=str(authority.cert))
    if identity:
        c.load_cert_chain(identity[1], identity[0])
    if alpn:
        c.set_alpn_protocols(alpn)
    return c


def connect(server, authority, **how):
    return context(authority, **how).wrap_socket(server.socket(), server_hostname="localhost")


def curl(server, authority, *flags, path="/v1/models/m"):
    done = subprocess.run(["curl", "-sS", "--max-time", str(TIMEOUT), "--cacert", authority.cert, *map(str, flags),
                           "-w", "\n%{http_code} %{http_version}", f"https://localhost:{server.port}{path}"],
                          capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def answers(server, authority, **how):
    return predict(f"localhost:{server.port}", server, authority, **how) == [2, 4, 6, 8]


def read_all(s):
    reply = b""
    try:
        while part := s.recv(65536):
            reply += part
    except OSError:
        pass
    return reply


def test_grpc_clients_with_the_root_certificate_are_answered(server, authority):
    assert answers(server, authority)


def test_a_client_that_trusts_another_root_does_not_come_in(server, stranger):
    with pytest.raises(grpc.RpcError) as failure:
        predict(f"localhost:{server.port}", server, stranger)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE


def test_large_messages_pass_both_ways(server, authority):
    rows = np.arange(4_000_000, dtype=np.float32).reshape(-1, 4)
    credentials = grpc.ssl_channel_credentials(authority.cert.read_bytes())
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.secure_channel(f"localhost:{server.port}", credentials, options) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        calls = [stub.Predict.future(server.request({"x": rows}, content=True), timeout=TIMEOUT) for _ in range(3)]
        for call in calls:
            reply = np.array(call.result().outputs["y"].float_val, np.float32)
            assert np.array_equal(reply, rows.reshape(-1) * 2)


def test_rest_by_curl_over_http_1(server, authority):
    code, text, error = curl(server, authority, "--http1.1", "-d", json.dumps({"instances": X.tolist()}),
                             path="/v1/models/m:predict")
    assert code == 0, error
    body, status = text.rsplit("\n", 1)
    assert status == "200 1.1" and json.loads(body) == {"predictions": [[2, 4, 6, 8]]}


def test_curl_that_offers_both_protocols_gets_rest(server, authority):
    code, text, error = curl(server, authority, "--http2")
    assert code == 0, error
    assert text.endswith("\n200 1.1") and '"AVAILABLE"' in text


def test_grpc_by_curl_over_http_2(server, authority, tmp_path):
    message = server.request({"x": X}).SerializeToString()
    (tmp_path / "body").write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    c = context(authority, alpn=["h2"])
    with c.wrap_socket(server.socket(), server_hostname="localhost") as s:
        assert s.selected_alpn_protocol() == "h2" and s.version() == "TLSv1.3"
    if "HTTP2" not in subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout:
        pytest.skip("this curl has no HTTP/2")
    # curl offers HTTP/1.1 besides, which would be chosen; with prior knowledge it says HTTP/2 whatever was chosen.
    code, text, error = curl(server, authority, "--http2-prior-knowledge", "--no-alpn", "-H",
                             "Content-Type: application/grpc", "-H", "TE: trailers", "--data-binary",
                             f"@{tmp_path / 'body'}", "-D", tmp_path / "headers", "-o", tmp_path / "reply",
                             path="/tensorflow.serving.PredictionService/Predict")
    assert code == 0, error
    assert text.strip() == "200 2"
    assert "grpc-status: 0" in (tmp_path / "headers").read_text()


def test_a_client_without_alpn_is_understood(server, authority):
    with connect(server, authority) as s:
        s.sendall(b"GET /v1/models/m HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_all(s).startswith(b"HTTP/1.1 200")


def test_a_client_of_another_protocol_is_refused_by_alpn(server, authority):
    with pytest.raises(ssl.SSLError, match="(?i)alert.*application.protocol|application_protocol"):
        connect(server, authority, alpn=["ftp"])


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version, works", [
    (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)])
def test_versions(server, authority, version, works):
    c = context(authority)
    c.set_ciphers("DEFAULT:@SECLEVEL=0")
    c.minimum_version = c.maximum_version = version
    if not works:
        with pytest.raises((ssl.SSLError, OSError)):
            c.wrap_socket(server.socket(), server_hostname="localhost")
        return
    with c.wrap_socket(server.socket(), server_hostname="localhost") as s:
        assert "GCM" in s.cipher()[0] or "CHACHA20" in s.cipher()[0]


def test_ciphers_without_forward_secrecy_or_authentication_are_refused(server, authority):
    for ciphers in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"):
        c = context(authority)
        c.maximum_version = ssl.TLSVersion.TLSv1_2
        c.set_ciphers(ciphers + ":@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, OSError)):
            c.wrap_socket(server.socket(), server_hostname="localhost")


def test_plain_http_is_told_to_use_tls(server):
    status, body = http_at(server.port, "GET", "/v1/models/m")
    assert status == 400 and "speaks TLS" in body["error"]


def test_plain_grpc_is_told_to_use_tls(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as failure:
            stub.Predict(server.request({"x": X}), timeout=TIMEOUT)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE, failure.value
    with server.socket() as s:
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert b"this port speaks TLS" in read_all(s)


def test_demanded_certificates(strict, authority, stranger, client, identity):
    assert answers(strict, authority, identity=client)
    code, text, error = curl(strict, authority, "--key", client[0], "--cert", client[1])
    assert code == 0 and '"AVAILABLE"' in text, error
    wrong = {
        "none": None,
        "of a stranger": stranger.sign("client", CLIENT),
        "of a server": identity,
        "from yesterday": authority.sign("late", CLIENT, days=-1) if openssl_takes_past_days() else None,
    }
    for kind, shown in wrong.items():
        with pytest.raises(grpc.RpcError) as failure:
            predict(f"localhost:{strict.port}", strict, authority, shown)
        assert failure.value.code() == grpc.StatusCode.UNAVAILABLE, kind
        code, text, error = curl(strict, authority, *(["--key", shown[0], "--cert", shown[1]] if shown else []))
        assert code != 0 and "AVAILABLE" not in text, kind
        assert "alert" in error or "reset" in error.lower(), (kind, error)
    assert answers(strict, authority, identity=client)


def openssl_takes_past_days():
    return " 3." in subprocess.run(["openssl", "version"], capture_output=True, text=True).stdout


def test_the_config_file_can_demand_certificates(model, identity, authority, client, tmp_path):
    path = tmp_path / "ssl.pbtxt"
    path.write_text(ssl_config(*identity, client_ca=authority.cert))
    with Server(model, flags=["--ssl_config_file", str(path)]) as s:
        assert answers(s, authority, identity=client)
        with pytest.raises(grpc.RpcError):
            answers(s, authority)


def test_every_listener_speaks_tls_and_the_rest_port_can_do_without(model, config, authority, tmp_path):
    for plain in (False, True):
        with socket.create_server(("127.0.0.1", 0)) as free:
            other = free.getsockname()[1]
        path = tmp_path / "socket"
        flags = [f"--ssl_config_file={config}", f"--rest_api_port={other}", f"--grpc_socket_path={path}"]
        with Server(model, flags=flags + ["--plain_rest_api"] * plain) as s:
            assert answers(s, authority)
            name = [("grpc.ssl_target_name_override", "localhost")]
            assert predict(f"unix:{path}", s, authority, options=name) == [2, 4, 6, 8]
            status, _ = http_at(other, "GET", "/v1/models/m")
            assert status == (200 if plain else 400)
            if not plain:
                assert predict(f"localhost:{other}", s, authority) == [2, 4, 6, 8]


def serial(server, authority):
    with connect(server, authority) as s:
        return s.getpeercert()["serialNumber"]


def wait_for(condition):
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end


def test_files_that_change_count_for_new_connections(model, authority, identity, tmp_path):
    key, cert = tmp_path / "key", tmp_path / "cert"
    shutil.copy(identity[0], key)
    shutil.copy(identity[1], cert)
    other_key, other_cert = authority.sign("other", SERVER)
    with Server(model, flags=[f"--tls_cert={cert}", f"--tls_key={key}"]) as s:
        before = serial(s, authority)
        with connect(s, authority) as old:
            shutil.copy(other_cert, tmp_path / "new")
            os.rename(tmp_path / "new", cert)  # certificate and key do not belong together now
            assert serial(s, authority) == before
            shutil.copy(other_key, tmp_path / "new")
            os.rename(tmp_path / "new", key)
            assert serial(s, authority) != before
            cert.write_text("nothing of use")
            assert serial(s, authority) != before
            old.sendall(b"GET /v1/models/m HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert read_all(old).startswith(b"HTTP/1.1 200")
        log = s.stop()[1]
    assert log.count("tls.reloaded") == 1 and "tls.kept" in log


@pytest.mark.parametrize("text, why", [
    ("server_key: 'x'", "'server_cert' is missing"),
    ("server_key: 'x' server_cert: 'y'", "certificate and key cannot be used"),
    ("server_key: 'x' server_cert: 'y' client_verify: true", "needs 'custom_ca'"),
    ("server_keys: 'x'", "'server_keys' is unknown"),
    ("server_key: 7", "must be a string"),
    ("server_key {", "server_key"),
])
def test_mistakes_in_the_config_file_are_explained(model, tmp_path, text, why):
    path = tmp_path / "ssl.pbtxt"
    path.write_text(text)
    done = subprocess.run([PROGRAM, f"--ssl_config_file={path}", "--port=0", f"--model_base_path={model}"],
                          capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode != 0 and why in done.stderr and str(path) in done.stderr, done.stderr


@pytest.mark.parametrize("flags, why", [
    (["--tls_cert=x"], "needs both --tls_cert and --tls_key"),
    (["--tls_client_ca=x"], "needs both --tls_cert and --tls_key"),
    (["--ssl_config_file=x", "--tls_cert=y"], "leave out --tls_cert"),
    (["--tls_cert=/nowhere", "--tls_key=/nowhere"], "/nowhere"),
    (["--plain_rest_api"], "--plain_rest_api needs TLS"),
])
def test_flags_that_do_not_go_together_are_explained(model, flags, why):
    done = subprocess.run([PROGRAM, *flags, "--port=0", f"--model_base_path={model}"], capture_output=True, text=True,
                          timeout=TIMEOUT)
    assert done.returncode != 0 and why in done.stderr, done.stderr


GARBAGE = {
    "a record of nothing": b"\x16\x03\x01\x00\x00",
    "a record of noise": b"\x16\x03\x01\x02\x00" + bytes(range(256)) * 2,
    "a record too long": b"\x16\x03\x01\xff\xff" + b"\1" * 65535,
    "a hello of 16 MiB": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + b"\0" * 16380,
    "an endless hello": (b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + b"\0" * 16380) + b"\x16\x03\x01\x40\x00" * 1 + b"\0" * 16384 * 20,
    "the first byte only": b"\x16",
    "an alert": b"\x16\x03\x01\x00\x02\x02\x28",
    "old SSL": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_ends_its_connection_only(server, authority, name):
    with server.socket() as s:
        try:
            s.sendall(GARBAGE[name])
            s.shutdown(socket.SHUT_WR)
            reply = read_all(s)
            assert b" 200 " not in reply
        except OSError:  # the server has closed it already
            pass
    assert answers(server, authority)


def test_garbage_behind_the_handshake_ends_its_connection_only(server, authority):
    for data in (b"\x17\x03\x03\x00\x20" + b"\7" * 32, b"\x16\x03\x03\x00\x04\0\0\0\0", b"\x15\x03\x03\x00\x02\x02\x28"):
        raw = server.socket()
        with context(authority).wrap_socket(raw, server_hostname="localhost") as s:
            with socket.socket(fileno=os.dup(s.fileno())) as below:
                below.sendall(data)
                below.settimeout(TIMEOUT)
                read_all(below)
    assert answers(server, authority)


def status_of(server, key):
    """a line of the server's /proc status in KiB"""
    with open(f"/proc/{server.process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key + ":"))


def test_half_open_handshakes_end_and_cost_little(model, config, authority):
    with Server(model, flags=[f"--ssl_config_file={config}", "--header_timeout=2s", "--max_connections=300"]) as server:
        assert answers(server, authority)
        before = status_of(server, "VmRSS")
        hello = ssl.MemoryBIO(), ssl.MemoryBIO()
        half = context(authority).wrap_bio(*hello, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            half.do_handshake()
        data = hello[1].read()
        sockets = [server.socket() for _ in range(200)]
        for i, s in enumerate(sockets):
            s.sendall(data if i % 2 else data[:len(data) // 2])
        assert answers(server, authority)
        assert status_of(server, "VmRSS") - before < 100 * 1024
        for s in sockets:
            read_all(s)  # each ends
            s.close()
        assert answers(server, authority)


def test_connections_end_with_a_farewell_and_after_the_answer(server, authority):
    with connect(server, authority) as s:
        s.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        reply = b""
        while part := s.recv(100):  # an end without a farewell would raise
            reply += part
        assert reply.startswith(b"HTTP/1.1 400")


def test_a_server_that_ends_finishes_what_clients_read_slowly(model, config, authority):
    rows = np.zeros((200_000, 4), np.float32)
    body = json.dumps({"instances": rows.tolist()}).encode()
    with Server(model, flags=[f"--ssl_config_file={config}"]) as server:
        raw = server.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        with context(authority).wrap_socket(raw, server_hostname="localhost") as s:
            s.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            reply = s.recv(1000)
            assert reply.startswith(b"HTTP/1.1 200")
            server.process.terminate()
            while part := s.recv(65536):
                reply += part
        assert len(json.loads(reply.split(b"\r\n\r\n", 1)[1])["predictions"]) == len(rows)


def test_idle_connections_give_way_to_new_ones(model, config, authority):
    with Server(model, flags=[f"--ssl_config_file={config}", "--max_connections=20"]) as server:
        idle = []
        for _ in range(60):
            s = connect(server, authority)
            s.sendall(b"GET /v1/models/m HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(1000).startswith(b"HTTP/1.1 200")
            idle.append(s)
        assert answers(server, authority)
        for s in idle:
            s.close()
