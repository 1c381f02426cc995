# SPDX-License-Identifier: Apache-2.0
"""Real SavedModels through gRPC and REST, compared with what TensorFlow computes itself."""

import base64
import http.client
import signal
import threading

import grpc
import numpy as np
import pytest

from serving_client import TIMEOUT, Server


@pytest.fixture(scope="module")
def digits(models):
    with Server(models / "digits", "digits") as server:
        server.data = np.load(models / "digits.npz")
        signature = server.signatures()[0]["serving_default"]
        (server.input,) = signature.inputs
        (server.output,) = signature.outputs
        yield server


@pytest.fixture(scope="module")
def mixed(models):
    with Server(models / "mixed", "mixed") as server:
        yield server


@pytest.mark.parametrize("content", [False, True])
def test_grpc_predictions_equal_those_of_keras(digits, content):
    assert digits.ready == {"ready": True, "version": 5, "signature": "serving_default"}
    outputs, spec = digits.predict({digits.input: digits.data["x"]}, content=content)
    np.testing.assert_allclose(outputs[digits.output], digits.data["predicted"], atol=1e-6)
    assert (outputs[digits.output].argmax(1) == digits.data["labels"]).mean() > 0.85
    assert (spec.name, spec.version.value, spec.signature_name) == ("digits", 5, "serving_default")


def test_rest_predictions_equal_those_of_keras(digits):
    x, predicted = digits.data["x"][:50], digits.data["predicted"][:50]
    for body, key in (({"instances": x.tolist()}, "predictions"), ({"inputs": x.tolist()}, "outputs"),
                      ({"signature_name": "serve", "instances": [{digits.input: row} for row in x.tolist()]}, "predictions")):
        status, reply = digits.rest(body)
        if body.get("signature_name") and status != 200:
            # Each exported signature has names of its own.
            own = digits.signatures()[0]["serve"].inputs
            status, reply = digits.rest({"signature_name": "serve", "instances": [{next(iter(own)): r} for r in x.tolist()]})
        assert status == 200, reply
        np.testing.assert_allclose(np.array(reply[key]), predicted, atol=1e-6)


def test_status_and_metadata(digits):
    assert [(s.version, s.state) for s in digits.status()] == [(5, 30)]
    signatures, _ = digits.signatures()
    assert {"serve", "serving_default"} <= set(signatures)
    status, reply = digits.http("GET", "/v1/models/digits/metadata")
    shown = reply["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"][digits.input]
    assert status == 200 and shown["dtype"] == "DT_FLOAT" and shown["name"] == signatures["serving_default"].inputs[digits.input].name


def test_strings(models):
    with Server(models / "texts", "texts") as server:
        first = np.array([b"a", b"\0" + b"long" * 20, "ä".encode()], object)
        outputs, _ = server.predict({"first": first, "second": np.array([b"1", b"2", b"3"], object)})
        assert outputs["joined"].tolist() == [f + b"-" + s for f, s in zip(first, [b"1", b"2", b"3"])]
        assert outputs["length"].tolist() == [1, 81, 2]
        rows = [{"first": "ä", "second": "x"}, {"first": {"b64": base64.b64encode(b"\xff").decode()}, "second": ""}]
        status, reply = server.rest({"instances": rows})
        assert status == 200, reply
        assert reply["predictions"] == [
            {"joined": "ä-x", "length": 2, "raw_bytes": {"b64": base64.b64encode("ä".encode()).decode()}},
            {"joined": {"b64": base64.b64encode(b"\xff-").decode()}, "length": 1, "raw_bytes": {"b64": "/w=="}}]


COMBINED = {"a": np.float32([[1, 2], [3, 4]]), "b": np.float32([[10, 20], [30, 40]]), "times": np.int64(3),
            "mask": np.array([True, False])}


def test_several_inputs_and_types(mixed):
    request = mixed.request(COMBINED, filter=["total", "half", "complex", "count", "not_mask"])
    assert mixed.prediction.Predict(request, timeout=TIMEOUT).model_spec.version.value == 7
    outputs, _ = mixed.predict(COMBINED, filter=["total", "half", "complex", "count", "not_mask"])
    np.testing.assert_array_equal(outputs["total"], [[33, 66], [0, 0]])
    np.testing.assert_array_equal(outputs["half"], np.float16([[33, 66], [99, 132]]))
    np.testing.assert_array_equal(outputs["complex"], [[1 + 10j, 2 + 20j], [3 + 30j, 4 + 40j]])
    assert outputs["count"] == 2 and outputs["not_mask"].tolist() == [False, True]
    brain = mixed.prediction.Predict(mixed.request(COMBINED, filter=["brain"]), timeout=TIMEOUT).outputs["brain"]
    assert brain.dtype == 14 and list(brain.half_val) == [0x4204, 0x4284, 0x42C6, 0x4304]
    status, reply = mixed.rest({"inputs": {k: v.tolist() for k, v in COMBINED.items()}})
    assert status == 501 and "complex" in reply["error"]


def test_state_outlives_the_request_that_set_it(mixed):
    rng = np.random.default_rng(0)
    for _ in range(20):
        value = rng.integers(0, 100, (64, 64)).astype(np.float32)
        mixed.predict({"value": value}, signature="keep", content=True)
        mixed.predict({"x": np.zeros(5000, np.float32)}, signature="echo", content=True)
        outputs, _ = mixed.predict({}, signature="kept_sum")
        np.testing.assert_array_equal(outputs["kept"], value)
        assert outputs["sum"] == value.sum()


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000, 1_000_003])
def test_an_output_that_is_the_input_arrives_whole(mixed, size):
    x = np.random.default_rng(size).random(size).astype(np.float32)
    for content in (False, True):
        np.testing.assert_array_equal(mixed.predict({"x": x}, signature="echo", content=content)[0]["x"], x)


def test_a_model_that_fails_says_why(mixed):
    with pytest.raises(grpc.RpcError) as failure:
        mixed.predict({"x": np.int32([1, -1])}, signature="fail")
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT and "must be positive" in failure.value.details()
    status, reply = mixed.rest({"signature_name": "fail", "inputs": [-1]})
    assert status == 400 and "must be positive" in reply["error"]
    assert mixed.predict({"x": np.int32([1, 2])}, signature="fail")[0]["x"].tolist() == [1, 2]


def test_eight_clients_at_once(digits):
    failures = []

    def work(number):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", digits.port, timeout=TIMEOUT)
            for i in range(50):
                at = (number * 37 + i) % 250
                x, expected = digits.data["x"][at:at + 3], digits.data["predicted"][at:at + 3]
                if i % 2:
                    y = digits.predict({digits.input: x})[0][digits.output]
                else:
                    y = digits.rest({"instances": x.tolist()}, connection=connection)[1]["predictions"]
                np.testing.assert_allclose(np.array(y), expected, atol=1e-6)
            connection.close()
        except BaseException as failure:  # noqa: BLE001  (reported below)
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_term_answers_what_is_in_flight_and_kill_does_not(models):
    for number, code in ((signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)):
        server = Server(models / "mixed", "mixed")
        server.predict({"steps": np.int32(1)}, signature="slow")
        call = server.prediction.Predict.future(server.request({"steps": np.int32(200)}, signature="slow"), timeout=TIMEOUT)
        server.status()  # on the same connection: the request above has arrived
        server.process.send_signal(number)
        if number == signal.SIGTERM:
            assert call.result().outputs["sum"].float_val
        else:
            assert call.exception().code() == grpc.StatusCode.UNAVAILABLE
        assert server.process.wait(TIMEOUT) == code
        server.stop()


def test_a_savedmodel_at_the_base_path_itself(models):
    with Server(models / "texts" / "1", "t", flags=["--model_version", "42"]) as server:
        assert server.ready["version"] == 42
    with Server(models / "texts" / "1", "t") as server:
        assert server.ready["version"] == 1


def test_a_damaged_savedmodel_is_reported(models, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"damaged")
    server = Server(tmp_path)
    code, _ = server.stop()
    assert code != 0 and "loading SavedModel" in server.ready["error"]


@pytest.mark.parametrize("content", [False, True])
def test_a_contiguous_tensor_is_copied_once_in_and_never_out(mixed, content):
    x = np.arange(25_000, dtype=np.float32)
    request = mixed.request({"x": x}, content=content, signature="echo")
    before = mixed.copied()
    reply = mixed.prediction.Predict(request, timeout=TIMEOUT).outputs["x"]
    after = mixed.copied()
    np.testing.assert_array_equal(np.float32(reply.float_val), x)
    assert after[0] - before[0] == request.ByteSize()
    assert after[1] - before[1] < 200
