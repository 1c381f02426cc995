# SPDX-License-Identifier: Apache-2.0
"""Several servers on one listening socket: who loads takes nothing from it, who ends lets its clients leave first."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys

import grpc
import pytest

from serving_client import PROGRAM, TIMEOUT

PREDICT = """
import numpy as np
signature = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
             "outputs": [{"name": "y", "datatype": "INT64", "shape": [-1]}]}
def load(path):
    open(%r).read()
def predict(inputs):
    return {"y": np.full(len(inputs["x"]), %d, np.int64)}
"""


class Shared:
    """A server of model m, which answers with its number; it loads until go() is called."""

    def __init__(self, folder, listener, number):
        self.gate = folder / f"gate-{number}"
        os.mkfifo(self.gate)
        code = folder / f"model-{number}" / "1" / "predict.py"
        code.parent.mkdir(parents=True)
        code.write_text(PREDICT % (str(self.gate), number))
        self.path = str(folder / f"control-{number}")
        control = socket.socket(socket.AF_UNIX)
        control.bind(self.path)
        control.listen()
        self.ready, ready_end = os.pipe()
        self.process = subprocess.Popen(
            [PROGRAM, "--model_name", "m", "--model_base_path", str(code.parent.parent), "--listen_fd", str(listener.fileno()),
             "--control_fd", str(control.fileno()), "--ready_fd", str(ready_end), "--drain_idle", "100s",
             "--python_processes", "1", "--runtime_path", sys.prefix],
            pass_fds=(listener.fileno(), control.fileno(), ready_end))
        os.close(ready_end)
        control.close()

    def go(self):
        self.gate.write_text("go\n")
        assert b'"ready":true' in os.read(self.ready, 1000)

    def health(self):
        link = http.client.HTTPConnection("model", timeout=TIMEOUT)
        link.sock = socket.socket(socket.AF_UNIX)
        link.sock.connect(self.path)
        link.request("GET", "/v2/health/ready")
        status = link.getresponse().status
        link.close()
        return status

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(TIMEOUT)
        os.close(self.ready)


@pytest.fixture
def pair(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        servers = [Shared(tmp_path, listener, number) for number in (1, 2)]
        try:
            yield listener.getsockname(), servers
        finally:
            for server in servers:
                server.end()


def ask(link):
    link.request("POST", "/v1/models/m:predict", json.dumps({"instances": [1.0]}))
    answer = link.getresponse()
    content = answer.read()
    assert answer.status == 200, content
    return json.loads(content)["predictions"][0], answer.getheader("Connection")


def test_who_loads_takes_no_connection_and_says_on_its_own_socket_that_it_is_not_ready(pair):
    address, (first, second) = pair
    first.go()
    assert (first.health(), second.health()) == (200, 503)
    for _ in range(50):
        link = http.client.HTTPConnection(*address, timeout=TIMEOUT)
        assert ask(link)[0] == 1
        link.close()
    second.go()
    assert second.health() == 200
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(TIMEOUT) == 0
    assert ask(http.client.HTTPConnection(*address, timeout=TIMEOUT))[0] == 2


def test_connections_wait_for_the_first_that_is_ready(pair):
    address, (first, second) = pair
    link = http.client.HTTPConnection(*address, timeout=TIMEOUT)
    link.request("POST", "/v1/models/m:predict", json.dumps({"instances": [1.0]}))
    assert (first.health(), second.health()) == (503, 503)
    second.go()
    assert json.load(link.getresponse())["predictions"] == [2]


def test_clients_of_one_that_ends_are_told_to_leave_and_lose_nothing(pair):
    address, (first, second) = pair
    first.go()
    kept = http.client.HTTPConnection(*address, timeout=TIMEOUT)
    assert ask(kept) == (1, None)
    with grpc.insecure_channel("%s:%d" % address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", lambda data: data, lambda data: data)
        assert check(b"", timeout=TIMEOUT) == b"\x08\x01"
        second.go()
        first.process.send_signal(signal.SIGTERM)
        until_told = [ask(kept)]
        while until_told[-1][1] is None and len(until_told) < 10000:
            until_told.append(ask(kept))
        assert until_told[-1] == (1, "close")
        assert check(b"", timeout=TIMEOUT) in (b"\x08\x01", b"\x08\x02")  # the second's answer, or still the first's
        # Idle connections would stay for 100 s: it ends because nobody has one any more.
        assert first.process.wait(TIMEOUT) == 0
    assert ask(http.client.HTTPConnection(*address, timeout=TIMEOUT))[0] == 2
