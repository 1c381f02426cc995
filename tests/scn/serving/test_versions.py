# SPDX-License-Identifier: Apache-2.0
"""Models and versions that come and go while they are asked."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading

import grpc
import numpy as np
import pytest

import onnx_models
from serving_client import PROGRAM, TIMEOUT, Server, records
from tensorflow_serving.apis import prediction_log_pb2

X = np.float32([[1, 2, 3, 4]])
POLL = "--file_system_poll_wait_seconds=1"
SOON = "--load_retry_interval_micros=1000"


def put(base, version, by=None):
    """A version that multiplies by its number, there as a whole at once."""
    onnx_models.multiply(base / "tmp" / "model.onnx", float(by or version))
    (base / "tmp").rename(base / str(version))
    return base


def put_broken(base, version):
    (base / "tmp").mkdir(parents=True)
    (base / "tmp" / "model.onnx").write_bytes(b"no model")
    (base / "tmp").rename(base / str(version))


def config(*models):
    return "model_config_list { %s }" % " ".join("config { name: '%s' base_path: '%s' %s }" % m for m in models)


def specific(*versions):
    return "model_version_policy { specific { versions: %s } }" % list(versions)


ALL = "model_version_policy { all {} }"


def factor(server, **how):
    outputs, spec = server.predict({"x": X}, **how)
    assert how.get("version") in (None, spec.version.value)
    return outputs["y"][0][0]


def expect(code, text, call, *args, **how):
    with pytest.raises(grpc.RpcError) as failure:
        call(*args, **how)
    assert failure.value.code() == code and text in failure.value.details(), failure.value


def test_a_new_version_replaces_the_old_one_and_a_removed_one_brings_it_back(tmp_path):
    with Server(put(tmp_path, 1), flags=[POLL]) as server:
        assert factor(server) == 1
        put(tmp_path, 2)
        server.wait_for_states({1: "END", 2: "AVAILABLE"})
        assert factor(server) == 2
        (tmp_path / "2").rename(tmp_path / "kept")
        server.wait_for_states({1: "AVAILABLE", 2: "END"})
        assert factor(server) == 1
        expect(grpc.StatusCode.NOT_FOUND, "Specific(m, 2)", factor, server, version=2)
        (tmp_path / "1").rename(tmp_path / "gone")
        put(tmp_path, 3)
        server.wait_for_states(lambda s: s.get(3) == "AVAILABLE")
        assert factor(server) == 3


def test_a_broken_version_keeps_the_old_one_and_says_why(tmp_path):
    with Server(put(tmp_path, 1), flags=[POLL, SOON, "--max_num_load_retries=3"]) as server:
        put_broken(tmp_path, 2)
        server.wait_for_states({1: "AVAILABLE", 2: "END"})
        status = server.status(version=2)[0].status
        assert status.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0] and "loading ONNX model" in status.error_message
        code, reply = server.http("GET", "/v1/models/m/versions/2")
        assert reply["model_version_status"][0]["status"]["error_code"] == "INVALID_ARGUMENT"
        assert factor(server) == 1 and server.check_health() == 1
        # Repaired where it lies, it is tried again.
        onnx_models.multiply(tmp_path / "tmp" / "repaired.onnx", 2.0).rename(tmp_path / "2" / "model.onnx")
        server.wait_for_states({1: "END", 2: "AVAILABLE"})
        assert factor(server) == 2
        code, log = server.stop()
        assert log.count("model.load_failed model=m version=2") == 4, log


def test_a_folder_that_fills_slowly_becomes_a_version_when_it_is_whole(tmp_path):
    with Server(put(tmp_path, 1), flags=[POLL, SOON]) as server:
        (tmp_path / "2").mkdir()
        whole = onnx_models.multiply(tmp_path / "tmp" / "whole.onnx", 2.0).read_bytes()
        with open(tmp_path / "2" / "model.onnx", "wb") as file:
            file.write(whole[:len(whole) // 2])
            file.flush()
            server.wait_for_states(lambda s: s.get(2) in ("LOADING", "END"))
            assert factor(server) == 1
            file.write(whole[len(whole) // 2:])
        server.wait_for_states(lambda s: s.get(2) == "AVAILABLE")
        assert factor(server) == 2


def test_a_hundred_swaps_under_load_lose_no_request(tmp_path):
    put(put(tmp_path, 1), 2)
    failures, counts, stop = [], [0] * 8, threading.Event()

    def work(server, number):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
            while not stop.is_set():
                x = np.full((1, 4), number + 1, np.float32)
                if number % 2:
                    outputs, spec = server.predict({"x": x})
                    assert (outputs["y"] == x * spec.version.value).all() and spec.version.value in (1, 2)
                else:
                    code, reply = server.rest({"instances": x.tolist()}, connection=connection)
                    assert code == 200 and reply["predictions"][0][0] in (number + 1, 2 * (number + 1)), reply
                counts[number] += 1
            connection.close()
        except BaseException as failure:  # noqa: BLE001  (reported below)
            failures.append(failure)

    with Server(tmp_path, flags=["--file_system_poll_wait_seconds=0"]) as server:
        threads = [threading.Thread(target=work, args=(server, n)) for n in range(8)]
        for t in threads:
            t.start()
        for i in range(100):
            wanted = 1 + i % 2
            assert server.reload(config(("m", tmp_path, specific(wanted)))).status.error_code == 0
            assert server.states()[wanted] == "AVAILABLE"
        stop.set()
        for t in threads:
            t.join()
        assert not failures, failures
        assert min(counts) > 0
        server.wait_for_states({1: "END", 2: "AVAILABLE"})


def test_an_old_version_stays_until_its_last_request_is_answered(tmp_path):
    onnx_models.slow(tmp_path / "1" / "slow.onnx")
    onnx_models.slow(tmp_path / "2" / "slow.onnx", steps=1)
    with Server(tmp_path, flags=["--model_version=1"]) as server:
        server.predict({"x": np.float32(1)})
        call = server.prediction.Predict.future(server.request({"x": np.float32(2)}), timeout=TIMEOUT)
        server.status()  # on the same connection: the request above has arrived
        server.reload(config(("m", tmp_path, specific(2))))
        seen = server.states()
        assert seen[2] == "AVAILABLE" and (call.done() or seen[1] == "UNLOADING")
        assert call.result().model_spec.version.value == 1
        server.wait_for_states({1: "END", 2: "AVAILABLE"})


def test_many_models_with_policies_labels_and_weights_from_a_file(tmp_path):
    for version in (1, 2, 3):
        put(tmp_path / "a", version)
        put(tmp_path / "b", version, by=10 * version)
    file = tmp_path / "models"
    a = ALL + "version_labels { key: 'stable' value: 1 } version_labels { key: 'canary' value: 3 }"
    file.write_text("# two models\n" + config(("a", tmp_path / "a", a), ("b", tmp_path / "b", "model_version_policy: <latest<num_versions:2>>")))
    with Server(None, flags=[f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1", POLL]) as server:
        assert server.ready == {"ready": True, "models": 2}
        assert server.states("a") == {1: "AVAILABLE", 2: "AVAILABLE", 3: "AVAILABLE"}
        assert server.states("b") == {2: "AVAILABLE", 3: "AVAILABLE"}
        assert (factor(server, name="a"), factor(server, name="b")) == (3, 30)
        assert (factor(server, name="a", label="stable"), factor(server, name="a", label="canary")) == (1, 3)
        expect(grpc.StatusCode.INVALID_ARGUMENT, "Unrecognized servable version label: x", factor, server, name="a", label="x")
        code, reply = server.http("POST", "/v1/models/a/labels/stable:predict", {"instances": X.tolist()})
        assert reply["predictions"][0][0] == 1
        assert len(server.http("GET", "/v1/models/a/labels/canary")[1]["model_version_status"]) == 1

        # Read again by itself; what is wrong changes nothing.
        file.write_text("improper")
        put(tmp_path / "b", 4)
        server.wait_for_states({2: "END", 3: "AVAILABLE", 4: "AVAILABLE"}, "b")
        assert factor(server, name="a") == 3
        file.write_text(config(("b", tmp_path / "b", "version_weights { key: 4 value: 1000 }")))
        server.wait_for_states({2: "END", 3: "END", 4: "AVAILABLE"}, "b")
        server.wait_for_states({1: "END", 2: "END", 3: "END"}, "a")
        expect(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(a)", factor, server, name="a")

        # Read again when told to.
        file.write_text(config(("a", tmp_path / "a", specific(2))))
        assert server.http("POST", "/cloudml/v1/reload", "")[0] == 200
        assert factor(server, name="a") == 2
        expect(grpc.StatusCode.NOT_FOUND, "Servable", factor, server, name="b")
        assert server.http("GET", "/cloudml/v1/reload")[0] == 405


def test_a_bad_configuration_file_ends_the_start(tmp_path):
    file = tmp_path / "models"
    for text, why in (("improper", "line 1"), (config(("a", tmp_path / "absent", "")), "model 'a': cannot read model folder"),
                      (config(("a", put(tmp_path / "a", 1), "version_labels { key: 'x' value: 9 }")), "version 9")):
        file.write_text(text)
        server = Server(None, flags=[f"--model_config_file={file}"])
        code, log = server.stop()
        assert code not in (0, None) and why in server.ready["error"] and why in log


def test_labels_wait_for_versions_only_when_allowed(tmp_path):
    put(put(tmp_path, 1), 2)
    label = "version_labels { key: '%s' value: %d }"
    with Server(tmp_path, flags=["--model_version=1"]) as server:
        expect(grpc.StatusCode.FAILED_PRECONDITION, "Request to assign label to version 2 of model m",
               server.reload, config(("m", tmp_path, specific(1) + label % ("a", 2))))
        server.reload(config(("m", tmp_path, specific(1, 2) + label % ("a", 2))))  # loads 2, then labels it
        assert factor(server, label="a") == 2
    with Server(tmp_path, flags=["--model_version=1", "--allow_version_labels_for_unavailable_models"]) as server:
        server.reload(config(("m", tmp_path, specific(1) + label % ("a", 2))))
        expect(grpc.StatusCode.NOT_FOUND, "Specific(m, 2)", factor, server, label="a")
        expect(grpc.StatusCode.FAILED_PRECONDITION, "version 3", server.reload,
               config(("m", tmp_path, specific(1) + label % ("a", 3))))


def test_a_reload_waits_and_tells_what_failed(tmp_path):
    put(tmp_path / "a", 1)
    put_broken(tmp_path / "b", 1)
    with Server(tmp_path / "a", flags=[SOON, "--max_num_load_retries=2"]) as server:
        expect(grpc.StatusCode.INVALID_ARGUMENT, "model 'b': loading ONNX model", server.reload,
               config(("a", tmp_path / "a", ""), ("b", tmp_path / "b", "")))
        assert factor(server, name="a") == 1
        assert server.states("b") == {1: "END"} and server.states("m") == {1: "END"}
        expect(grpc.StatusCode.NOT_FOUND, "cannot read model folder", server.reload, config(("c", tmp_path / "c", "")))
        expect(grpc.StatusCode.INVALID_ARGUMENT, "two models are named 'a'", server.reload,
               config(("a", tmp_path / "a", ""), ("a", tmp_path / "a", "")))
        call = server.channel.unary_unary("/tensorflow.serving.ModelService/HandleReloadConfigRequest")
        expect(grpc.StatusCode.INVALID_ARGUMENT, "no config", call, b"", timeout=TIMEOUT)
        expect(grpc.StatusCode.INVALID_ARGUMENT, "malformed", call, b"\x0a\x02\x0a\xff", timeout=TIMEOUT)
        server.reload(config(("a", tmp_path / "a", "")))
        assert factor(server, name="a") == 1


def test_weights_split_a_thousand_requests_exactly(tmp_path):
    put(put(tmp_path, 1), 2)
    with Server(tmp_path, flags=["--file_system_poll_wait_seconds=0"]) as server:
        server.reload(config(("m", tmp_path, ALL + "version_weights { key: 1 value: 990 } version_weights { key: 2 value: 10 }")))
        path = "/cloudml/v1/models/m/weights"
        assert server.http("GET", path) == (200, {"weights": {"1": 990, "2": 10}})

        def split():
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
            answers = [server.rest({"instances": X.tolist()}, connection=connection)[1]["predictions"][0][0] for _ in range(1000)]
            connection.close()
            return answers.count(1), answers.count(2)

        assert split() == (990, 10)
        assert server.http("POST", path, {"weights": {"1": 667, "2": 333}})[0] == 200
        assert split() == (667, 333)
        for body, status, why in (({"weights": {"1": 1}}, 400, "sum up to 1"), ({"weights": {"9": 1000}}, 409, "version 9"),
                                  ({"weights": {"x": 1000}}, 400, "no version"), ({"weights": {"1": 1.5}}, 400, "whole"),
                                  ({"weight": {}}, 400, "did you mean 'weights'"), ("[", 400, "")):
            code, reply = server.http("POST", path, body)
            assert code == status and why in reply["error"], reply
        assert server.http("POST", "/cloudml/v1/models/other/weights", {})[0] == 404
        assert split() == (667, 333)
        assert server.http("POST", path, {}) == (200, {"weights": {}})
        assert split() == (0, 1000)


def test_lazy_models_load_with_their_first_request(tmp_path):
    put(tmp_path / "a", 1)
    put_broken(tmp_path / "b", 1)
    file = tmp_path / "models"
    file.write_text(config(("a", tmp_path / "a", ""), ("b", tmp_path / "b", "")))
    with Server(None, flags=[f"--model_config_file={file}", "--lazy_load", POLL]) as server:
        assert server.states("a") == {1: "START"} and server.check_health() == 1
        calls = [server.prediction.Predict.future(server.request({"x": X}, name="a"), timeout=TIMEOUT) for _ in range(5)]
        assert server.http("POST", "/v1/models/a:predict", {"instances": X.tolist()})[1]["predictions"][0][0] == 1
        assert [c.result().outputs["y"].float_val[0] for c in calls] == [1] * 5
        assert server.states("a") == {1: "AVAILABLE"}
        put(tmp_path / "a", 2)  # it is in use: the next version comes by itself
        server.wait_for_states({1: "END", 2: "AVAILABLE"}, "a")
        for _ in range(2):
            expect(grpc.StatusCode.UNAVAILABLE, "loading ONNX model", factor, server, name="b")
        assert "loading ONNX model" in server.status(name="b")[0].status.error_message


def test_a_memory_budget_drops_the_model_unused_for_longest(tmp_path):
    for name in "abc":
        put(tmp_path / name, 1, by=ord(name))
    size = (tmp_path / "a" / "1" / "model.onnx").stat().st_size
    file = tmp_path / "models"
    file.write_text(config(*((name, tmp_path / name, "") for name in "abc")))
    flags = [f"--model_config_file={file}", "--file_system_poll_wait_seconds=0"]
    # Filled up, so that two of three fit into a budget that may be given.
    for name in "abc":
        (tmp_path / name / "1" / "padding").write_bytes(b"x" * 1024)
    budget = 2 * (size + 1024)
    with Server(None, flags=[*flags, f"--model_memory_budget={budget}"]) as server:
        loaded = lambda: sorted(n for n in "abc" if server.states(n)[1] == "AVAILABLE")  # noqa: E731
        assert loaded() == ["a", "b"] and server.states("c") == {1: "START"}
        assert factor(server, name="a") == ord("a")
        assert factor(server, name="c") == ord("c")  # b was unused for longest
        assert loaded() == ["a", "c"] and server.states("b") == {1: "START"}
        for _ in range(3):
            for name in "abc":
                assert factor(server, name=name) == ord(name)
        assert loaded() == ["b", "c"]
    with Server(None, flags=[*flags, f"--model_memory_budget={size + 1024}", "--lazy_load"]) as server:
        failures = []

        def work(name):
            try:
                for _ in range(20):
                    assert factor(server, name=name) == ord(name)
            except BaseException as failure:  # noqa: BLE001  (reported below)
                failures.append(failure)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcabc"]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not failures, failures


def test_warm_up_records_run_before_the_version_serves(tmp_path):
    put(tmp_path, 1)
    good = prediction_log_pb2.PredictionLog()
    with Server(tmp_path) as server:
        good.predict_log.request.CopyFrom(server.request({"x": X}))
    bad = prediction_log_pb2.PredictionLog()
    bad.predict_log.request.CopyFrom(good.predict_log.request)
    bad.predict_log.request.model_spec.signature_name = "other"
    empty, classify, multi = (prediction_log_pb2.PredictionLog() for _ in range(3))
    empty.classify_log.request.model_spec.name = "m"
    classify.classify_log.request.input.example_list.examples.add()
    multi.multi_inference_log.request.tasks.add().method_name = "other"
    good, bad, empty, classify, multi = (log.SerializeToString() for log in (good, bad, empty, classify, multi))
    file = tmp_path / "1" / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir()
    file.write_bytes(records(good, good))
    with Server(tmp_path) as server:
        assert factor(server) == 1
        code, log = server.stop()
        assert "records=2" in log
    flipped = bytearray(records(good))
    flipped[20] ^= 1
    for content, why in ((records(good, bad), "warm-up record 2: Serving signature key"), (bytes(flipped), "checksum"),
                         (records(*[good] * 1001), "exceeded the maximum"), (records(b"\x2a\x00"), "a kind that is not served"),
                         (records(empty), "Input is empty"), (records(classify), "is of method 'tensorflow/serving/predict', not"),
                         (records(multi), "unknown method 'other'"),
                         (records(good)[:-1], "truncated"), (records(b""), "no request")):
        file.write_bytes(content)
        server = Server(tmp_path)
        code, log = server.stop()
        assert why in server.ready["error"] and code not in (0, None), server.ready
        with Server(tmp_path, flags=["--noenable_model_warmup"]) as server:
            assert factor(server) == 1


def test_requests_that_come_while_the_first_models_load_wait_for_them(tmp_path):
    onnx_models.slow(tmp_path / "1" / "slow.onnx", steps=30)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen([PROGRAM, "--listen_fd", str(listener.fileno()), "--model_base_path", str(tmp_path),
                                    "--runtime_path", sys.prefix], pass_fds=(listener.fileno(),), stderr=subprocess.DEVNULL)
        c = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=TIMEOUT)
        c.request("POST", "/v1/models/default:predict", json.dumps({"inputs": 1}))
        reply = c.getresponse()
        assert reply.status == 200 and "outputs" in json.loads(reply.read())
        c.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
