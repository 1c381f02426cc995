# SPDX-License-Identifier: Apache-2.0
"""Models that are a file predict.py: types, errors, processes that end or hang."""

import base64
import concurrent.futures
import json
import os
import select
import signal
import time

import grpc
import numpy as np
import pytest

from serving_client import TYPES, Server

X = np.float32([[1, 2, 3], [4, 5, 6.5]])

SUMS = '''
import numpy as np

def load(path):
    global factor
    with open(path + "/factor.txt") as file:
        factor = float(file.read())

def predict(inputs):
    x = inputs["x"]
    return {"sum": x.sum(axis=1) * np.float32(factor), "turned": x[:, ::-1]}
'''

# Answers by the first letter of what it is told.
MOODS = '''
import os, signal, sys
import numpy as np

signature = {"inputs": [{"name": "mood", "datatype": "BYTES", "shape": [1]}],
             "outputs": [{"name": "pid", "datatype": "INT64", "shape": [1]}]}

def pause(path):
    with open(path, "w") as fifo:
        fifo.write(str(os.getpid()))
    while True:
        signal.pause()

def predict(inputs):
    mood, _, rest = inputs["mood"][0].decode().partition(" ")
    if mood == "refuse":
        raise ValueError("no such mood: " + rest)
    if mood == "break":
        return {"pid": [1 // 0]}
    if mood == "wait":
        print("waiting for", rest)
        pause(rest)
    if mood == "exit":
        print("no more", file=sys.stderr)
        os._exit(3)
    if mood == "other":
        return {"else": 1}
    if mood == "text":
        return {"pid": ["a"]}
    if mood == "big":
        return {"pid": np.zeros(100000, np.int64)}
    return {"pid": np.array([os.getpid()])}
'''


def write(folder, source, **files):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "predict.py").write_text(source)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text if isinstance(text, str) else json.dumps(text))
    return folder


def moods(server, text, **how):
    return int(server.predict({"mood": np.array([text.encode()], object)}, **how)[0]["pid"][0])


def moods_again(server):
    """After an end: a new worker may take longer than a request waits."""
    while True:
        try:
            return moods(server, "hello")
        except grpc.RpcError as failure:
            assert failure.code() == grpc.StatusCode.UNAVAILABLE, failure.details()


def fails(server, text, code, *parts):
    with pytest.raises(grpc.RpcError) as failure:
        moods(server, text)
    assert failure.value.code() == code, failure.value.details()
    for part in parts:
        assert part in failure.value.details()


@pytest.fixture(scope="module")
def sums(tmp_path_factory):
    base = tmp_path_factory.mktemp("sums")
    write(base / "3", SUMS, factor__txt="2", signature__json={"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]})
    with Server(base) as server:
        yield server


@pytest.fixture
def mood(tmp_path):
    with Server(write(tmp_path / "moods", MOODS), flags=["--python_processes", "1", "--python_ring_bytes", "64K"]) as server:
        yield server


def test_outputs_are_known_from_the_first_answer(sums):
    assert sums.ready == {"ready": True, "version": 3, "signature": "serving_default"}
    signature = sums.signatures()[0]["serving_default"]
    assert {k: (v.dtype, [d.size for d in v.tensor_shape.dim]) for k, v in signature.inputs.items()} == {"x": (1, [-1, 3])}
    assert {k: (v.dtype, [d.size for d in v.tensor_shape.dim]) for k, v in signature.outputs.items()} == {
        "sum": (1, [-1]), "turned": (1, [-1, 3])}


@pytest.mark.parametrize("content", [False, True])
def test_arrays_go_and_come_over_grpc(sums, content):
    outputs, _ = sums.predict({"x": X}, content=content)
    np.testing.assert_array_equal(outputs["sum"], X.sum(axis=1) * 2)
    np.testing.assert_array_equal(outputs["turned"], X[:, ::-1])
    outputs, _ = sums.predict({"x": X}, filter=["turned"])
    assert list(outputs) == ["turned"]
    outputs, _ = sums.predict({"x": np.empty((0, 3), np.float32)})
    assert outputs["sum"].shape == (0,) and outputs["turned"].shape == (0, 3)


def test_arrays_go_and_come_over_rest(sums):
    status, reply = sums.rest({"instances": X.tolist()})
    assert status == 200 and [row["sum"] for row in reply["predictions"]] == [12.0, 31.0]
    status, reply = sums.rest({"instances": [[1, 2]]})
    assert status == 400 and "shape" in reply["error"]


def test_all_types_and_texts_survive(tmp_path):
    words = {"float32": "FP32", "float64": "FP64", "int32": "INT32", "uint8": "UINT8", "int16": "INT16", "int8": "INT8",
             "object": "BYTES", "int64": "INT64", "bool": "BOOL", "uint16": "UINT16", "float16": "FP16", "uint32": "UINT32",
             "uint64": "UINT64"}
    both = [{"name": name, "datatype": word} for name, word in words.items()]
    write(tmp_path / "m", "def predict(inputs):\n    return inputs\n", signature__json={"inputs": both, "outputs": both})
    inputs = {name: np.array([[0, 1], [2, 100]]).astype(name) for name in words if name != "object"}
    inputs["object"] = np.array([[b"", "ä".encode()], [b"\0\xff", b"x" * 5000]], object)
    assert set(words) <= set(TYPES)
    with Server(tmp_path / "m") as server:
        outputs, _ = server.predict(inputs)
        for name, value in inputs.items():
            np.testing.assert_array_equal(outputs[name], value)
        status, reply = server.rest({"inputs": {name: (value.tolist() if name != "object" else
                                                       [[{"b64": base64.b64encode(v).decode()} for v in row] for row in value])
                                                for name, value in inputs.items()}})
        assert status == 200 and reply["outputs"]["int64"] == [[0, 1], [2, 100]]
        assert reply["outputs"]["object"][0] == ["", "ä"]


def test_what_predict_raises_reaches_the_client(mood):
    fails(mood, "refuse blue", grpc.StatusCode.INVALID_ARGUMENT, "ValueError: no such mood: blue")
    fails(mood, "break", grpc.StatusCode.INTERNAL, "ZeroDivisionError")
    fails(mood, "other", grpc.StatusCode.INTERNAL, "lacks output 'pid'")
    fails(mood, "text", grpc.StatusCode.INTERNAL, "output 'pid' has elements of type")
    fails(mood, "big", grpc.StatusCode.INTERNAL, "raise --python_ring_bytes")
    fails(mood, "x" * 70000, grpc.StatusCode.RESOURCE_EXHAUSTED, "raise --python_ring_bytes")
    status, reply = mood.rest({"inputs": ["refuse green"]})
    assert status == 400 and "no such mood: green" in reply["error"]
    assert moods(mood, "hello") == moods(mood, "hello")


def wait_for_end(process):
    assert select.select([process], [], [], 120)[0]  # a pidfd is readable when its process has ended
    os.close(process)


def wait_for_worker(server, fifo):
    os.mkfifo(fifo)
    call = server.prediction.Predict.future(server.request({"mood": np.array([f"wait {fifo}".encode()], object)}), timeout=120)
    return call, int(fifo.read_text())


def test_a_worker_killed_in_the_middle_is_told_and_replaced(mood, tmp_path):
    before = moods(mood, "hello")
    call, pid = wait_for_worker(mood, tmp_path / "fifo")
    assert pid == before
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(grpc.RpcError) as failure:
        call.result()
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "killed by signal 9" in failure.value.details() and f"waiting for {tmp_path}" in failure.value.details()
    assert moods(mood, "hello") != before


def test_a_worker_that_ends_by_itself_is_told_and_replaced(mood):
    before = moods(mood, "hello")
    fails(mood, "exit", grpc.StatusCode.UNAVAILABLE, "exit status 3", "no more")
    assert moods(mood, "hello") != before


def test_an_idle_worker_that_is_killed_costs_no_request(mood):
    before = moods(mood, "hello")
    process = os.pidfd_open(before)
    os.kill(before, signal.SIGKILL)
    wait_for_end(process)
    assert moods(mood, "hello") != before


def test_a_worker_that_hangs_is_replaced(tmp_path):
    with Server(write(tmp_path / "m", MOODS), flags=["--python_processes", "1", "--python_timeout", "3s"]) as server:
        before = moods_again(server)
        call, pid = wait_for_worker(server, tmp_path / "fifo")
        with pytest.raises(grpc.RpcError) as failure:
            call.result()
        assert failure.value.code() == grpc.StatusCode.INTERNAL
        assert "no answer within 3000 ms" in failure.value.details() and "waiting for" in failure.value.details()
        assert pid == before
        with pytest.raises(ProcessLookupError):
            os.kill(before, 0)
        assert moods_again(server) != before


def test_workers_end_with_the_server(tmp_path):
    server = Server(write(tmp_path / "m", MOODS), flags=["--python_processes", "3", "--workers", "3"])
    pid = moods(server, "hello")
    code, log = server.stop()
    assert code == 0, log
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_workers_end_with_a_server_that_is_killed(tmp_path):
    server = Server(write(tmp_path / "m", MOODS), flags=["--python_processes", "1"])
    call, pid = wait_for_worker(server, tmp_path / "fifo")
    worker = os.pidfd_open(pid)
    server.process.kill()
    with pytest.raises(grpc.RpcError):
        call.result()
    wait_for_end(worker)
    server.stop()


@pytest.mark.parametrize("source, signature, why", [
    ("import nowhere_to_be_found\n", {}, "No module named 'nowhere_to_be_found'"),
    ("def predict(inputs):\n    return {\n", {}, "SyntaxError"),
    ("x = 1\n", {}, "no function 'predict(inputs)'"),
    ("def predict(inputs):\n    return {}\n", {}, "write signature.json"),
    ("def predict(inputs):\n    return 5\n", {"inputs": [{"name": "x", "datatype": "FP32", "shape": []}]}, "must return a dict"),
    ("def predict(inputs):\n    return {}\n", {"inputs": [{"name": "x", "datatype": "FP33"}]}, "'FP33'"),
    ("import os, sys\nprint('goodbye', file=sys.stderr)\nos._exit(7)\n", {}, "exit status 7, its last line: goodbye"),
])
def test_a_model_that_cannot_load_says_why(tmp_path, source, signature, why):
    server = Server(write(tmp_path / "m", source, signature__json=signature))
    code, log = server.stop()
    assert code not in (0, None) and why in server.ready["error"], (server.ready, log)


def test_a_missing_environment_is_named(tmp_path):
    server = Server(write(tmp_path / "m", MOODS), runtime=str(tmp_path))
    server.stop()
    assert f"{tmp_path}/bin/python" in server.ready["error"]


def test_eight_clients_at_once_get_their_own_answers(tmp_path):
    write(tmp_path / "m", "def predict(inputs):\n    return {'y': inputs['x'] + 1}\n",
          signature__json={"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, -1]}]})
    with Server(tmp_path / "m", flags=["--python_processes", "2", "--workers", "4", "--python_ring_bytes", "4M"]) as server:
        def client(number):
            rng = np.random.default_rng(number)
            for _ in range(40):
                x = rng.random((int(rng.integers(1, 60)), int(rng.integers(1, 400))))
                np.testing.assert_array_equal(server.predict({"x": x}, content=True)[0]["y"], x + 1)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(client, range(8)))


def test_calls_that_wait_for_a_model_keep_their_deadline(tmp_path):
    """The load blocks until the test opens the other end of a pipe."""
    gate, folder = tmp_path / "gate", tmp_path / "m" / "1"
    os.mkfifo(gate)
    folder.mkdir(parents=True)
    (folder / "predict.py").write_text(f"""
import numpy as np
signature = {{"inputs": [{{"name": "x", "datatype": "FP32", "shape": [-1]}}],
             "outputs": [{{"name": "y", "datatype": "FP32", "shape": [-1]}}]}}

def load(path):
    with open({str(gate)!r}) as file:
        file.read()

def predict(inputs):
    return {{"y": inputs["x"] * 2}}
""")
    with Server(tmp_path / "m", flags=["--lazy_load", "--python_processes=1"]) as server:
        patient = server.prediction.Predict.future(server.request({"x": np.float32([4])}), timeout=120)
        with pytest.raises(grpc.RpcError) as late:
            server.predict({"x": np.float32([1])}, timeout=0.2)
        assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        code, reply = server.http("POST", "/v1/models/m:predict", {"instances": [1]}, {"Request-Timeout": "0.2"})
        assert code == 504 and "before the model was loaded" in reply["error"]
        code, reply = server.http("POST", "/v2/models/m/infer", {"inputs": [
            {"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}, {"Request-Timeout": "0.2"})
        assert code == 504 and "before the model was loaded" in reply["error"]
        with server.socket() as gone:  # leaves while it is held
            gone.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n{\"instances\":[1]}")
            wait_for(server, "cloudml_serving_requests_in_flight", 3)
        wait_for(server, "cloudml_serving_requests_in_flight", 2)
        assert not patient.done() and server.states() == {1: "LOADING"}
        gate.write_text("go")
        assert patient.result().outputs["y"].float_val[0] == 8
        assert ":tensorflow:serving:request_count{model_name=\"m\",status=\"OK\"} 1" in server.raw("GET", "/metrics")


def wait_for(server, series, value):
    end = time.monotonic() + 120
    while f"\n{series} {value}\n" not in server.raw("GET", "/metrics"):
        assert time.monotonic() < end
