# SPDX-License-Identifier: Apache-2.0
"""Folders of models that are changed by others while they are read: what serves goes on, and the reason is told."""

import os
import pathlib
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx_models
from serving_client import TIMEOUT, Server

X = np.float32([[1, 2, 3, 4]])
FLAGS = ["--file_system_poll_wait_seconds=1", "--max_num_load_retries=0"]

# A model whose loading waits until it is told to go on, so that its files can be changed meanwhile.
GATE = """
import os, time
import numpy as np

signature = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
             "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}]}


def load(path):
    open(%r, "w").close()
    while not os.path.exists(%r):
        time.sleep(0.01)


def predict(inputs):
    return {"y": inputs["x"] * np.float32(%d)}
"""


def put(base, version, by):
    onnx_models.multiply(base / "tmp" / "model.onnx", float(by))
    (base / "tmp").rename(base / str(version))


def product(server, **how):
    return server.predict({"x": X}, **how)[0]["y"][0][0]


def wait_for(what):
    end = time.monotonic() + TIMEOUT
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def reason(server, version):
    """Why a version ended."""
    # A change of its files begins the load again: the reason stands until the next look only.
    said = []

    def ended():
        said[:] = [s.status.error_message for s in server.status() if s.version == version and s.status.error_code != 0]
        return said

    wait_for(ended)
    return said[0]


@pytest.fixture
def base(tmp_path):
    put(tmp_path / "models", 1, 1)
    return tmp_path / "models"


def gated(base, tmp_path, factor=2):
    """Version 2 is being loaded when this returns its folder, and the function that lets it go on."""
    begun, go = tmp_path / f"begun{factor}", tmp_path / f"go{factor}"
    (base / "tmp").mkdir()
    (base / "tmp" / "predict.py").write_text(GATE % (str(begun), str(go), factor))
    (base / "tmp" / "weights.bin").write_bytes(b"w" * 1000)
    (base / "tmp").rename(base / "2")
    wait_for(begun.exists)
    return base / "2", go.touch


def truncate(folder):
    os.truncate(folder / "weights.bin", 10)


def replace(folder):
    (folder / "new").write_bytes(b"v" * 1000)
    (folder / "new").rename(folder / "weights.bin")


def write_in_place(folder):
    with open(folder / "weights.bin", "r+b") as file:
        file.write(b"new")
    os.utime(folder / "weights.bin", ns=(1, 1))


@pytest.mark.parametrize("change", [
    truncate, replace, write_in_place, lambda folder: (folder / "weights.bin").unlink(),
    lambda folder: (folder / "more.bin").write_bytes(b"more"),
], ids=["cut", "replaced", "written in place", "removed", "added"])
def test_files_that_change_during_the_load(base, tmp_path, change):
    """The load fails, and because the files are others now it is tried again."""
    with Server(base, flags=FLAGS) as server:
        folder, go = gated(base, tmp_path)
        change(folder)
        assert product(server) == 1 and server.check_health() == 1
        go()
        server.wait_for_states({1: "END", 2: "AVAILABLE"})
        assert product(server) == 2
        code, log = server.stop()
        assert code == 0 and log.count("model.load_failed model=m version=2") == 1 and "changed while they were read" in log


def test_a_pipe_that_comes_during_the_load(base, tmp_path):
    with Server(base, flags=FLAGS) as server:
        folder, go = gated(base, tmp_path)
        os.mkfifo(folder / "pipe")
        go()
        assert "neither a file nor a folder" in reason(server, 2)
        assert product(server) == 1


@pytest.mark.parametrize("to", ["kept", "3"])
def test_a_folder_renamed_during_its_load(base, tmp_path, to):
    with Server(base, flags=FLAGS) as server:
        folder, go = gated(base, tmp_path)
        folder.rename(base / to)
        go()
        if to == "3":
            server.wait_for_states(lambda states: states.get(3) == "AVAILABLE")
            assert product(server) == 2
        else:
            server.wait_for_states(lambda states: states.get(2) == "END" and states.get(1) == "AVAILABLE")
            assert product(server) == 1


def test_folders_that_lead_nowhere_or_back(base, tmp_path):
    with Server(base, flags=FLAGS) as server:
        (base / "5").symlink_to(base / "5")
        (base / "6").symlink_to(tmp_path / "absent")
        (base / "7").write_text("no folder")
        loop = base / "tmp2"
        onnx_models.multiply(loop / "model.onnx", 3.0)
        (loop / "again").symlink_to(".")
        loop.rename(base / "3")
        assert "leads back" in reason(server, 3)
        assert product(server) == 1 and set(server.states()) == {1, 3}
        (base / "3" / "again").unlink()
        server.wait_for_states({1: "END", 3: "AVAILABLE"})
        (base / "4").mkdir()
        (base / "4" / "model.onnx").symlink_to("model.onnx")
        assert "loading ONNX model" in reason(server, 4)
        assert product(server) == 3


@pytest.mark.parametrize("name", ["model.onnx", "assets.extra/tf_serving_warmup_requests", "w.bin"])
def test_a_pipe_in_place_of_a_file_holds_nobody_up(base, name):
    with Server(base, flags=FLAGS) as server:
        folder = onnx_models.multiply(base / "tmp" / "model.onnx", 2.0).parent
        (folder / "assets.extra").mkdir()
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
        folder.rename(base / "2")
        if name != "model.onnx":
            assert "neither a file nor a folder" in reason(server, 2)
        put(base, 3, 3)
        server.wait_for_states(lambda states: states.get(3) == "AVAILABLE")
        assert product(server) == 3


def test_everything_is_taken_away_while_it_serves(base, tmp_path):
    with Server(base, flags=FLAGS) as server:
        base.rename(tmp_path / "away")
        base.write_text("a file in its place")
        put(tmp_path / "other", 9, 9)
        for _ in range(20):
            assert product(server) == 1
        base.unlink()
        (tmp_path / "other").rename(base)
        server.wait_for_states(lambda states: states.get(9) == "AVAILABLE")
        assert product(server) == 9


def gather(folder, factor, rows=1024, columns=256):
    """y = table[i], the table in a file beside the model; row i is i * factor."""
    folder.mkdir(parents=True)
    table = numpy_helper.from_array((np.arange(rows, dtype=np.float32)[:, None] * factor).repeat(columns, 1), "table")
    graph = helper.make_graph([helper.make_node("Gather", ["table", "i"], ["y"])], "g",
                              [helper.make_tensor_value_info("i", TensorProto.INT64, ["N"])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", columns])], [table])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, str(folder / "model.onnx"), save_as_external_data=True, location="weights.bin", size_threshold=0)


def test_weights_beside_a_model_are_its_own_once_it_serves(tmp_path):
    gather(tmp_path / "m" / "1", 2)
    weights = tmp_path / "m" / "1" / "weights.bin"
    with Server(tmp_path / "m", flags=["--file_system_poll_wait_seconds=0"]) as server:
        row = lambda i: server.predict({"i": np.int64([i])})[0]["y"][0][0]  # noqa: E731
        assert row(3) == 6
        with open(weights, "r+b") as file:
            file.write(b"\xff" * 1_000_000)
        assert row(100) == 200
        os.truncate(weights, 0)  # whoever had mapped it would be killed by the next look
        assert row(900) == 1800 and row(3) == 6
        weights.unlink()
        assert row(512) == 1024


@pytest.mark.parametrize("spoil, why", [
    (lambda folder: (folder / "weights.bin").unlink(), "weights.bin"),
    (lambda folder: os.truncate(folder / "weights.bin", 1000), "loading ONNX model"),
    (lambda folder: os.truncate(folder / "weights.bin", 0), "loading ONNX model"),
], ids=["gone", "cut", "empty"])
def test_weights_that_are_not_all_there(base, spoil, why):
    with Server(base, flags=FLAGS) as server:
        gather(base / "tmp", 2)
        spoil(base / "tmp")
        (base / "tmp").rename(base / "2")
        assert why in reason(server, 2)
        assert product(server) == 1


def test_weights_outside_of_the_folder_are_refused(base):
    gather(base / "tmp", 2)
    text = (base / "tmp" / "model.onnx").read_bytes().replace(b"weights.bin", b"../weig.bin")
    (base / "tmp" / "model.onnx").write_bytes(text)
    with Server(base, flags=FLAGS) as server:
        (base / "tmp").rename(base / "2")
        assert "not in the model's folder" in reason(server, 2)


def config(base, *names):
    return "model_config_list { %s }" % " ".join(f"config {{ name: '{n}' base_path: '{base}' }}" for n in names)


def test_a_configuration_that_is_half_written_changes_nothing(base, tmp_path):
    file = tmp_path / "models.txt"
    file.write_text(config(base, "a"))
    with Server(None, flags=[f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1"]) as server:
        whole = config(base, "a", "b")
        log = bytearray()
        os.set_blocking(server.process.stderr.fileno(), False)

        def refused():
            """The server says that it could not read the file."""
            try:
                log.extend(os.read(server.process.stderr.fileno(), 65536))
            except BlockingIOError:
                pass
            return b"models.txt" in log and b"error=" in log

        for part in (whole[:len(whole) // 2], whole[:-1], "", "\0" * 100):
            log.clear()
            file.write_text(part)
            if part:
                wait_for(refused)
            assert product(server, name="a") == 1
        file.unlink()
        assert product(server, name="a") == 1
        pathlib.Path(f"{file}.new").write_text(whole)
        pathlib.Path(f"{file}.new").rename(file)
        wait_for(lambda: server.http("GET", "/v1/models/b")[0] == 200)
        server.wait_for_states({1: "AVAILABLE"}, "b")
        assert product(server, name="b") == 1
        os.set_blocking(server.process.stderr.fileno(), True)
