# SPDX-License-Identifier: Apache-2.0
"""Requests that wait at the same time run as one. While one long run keeps the only thread busy, others queue up."""

import http.client
import json
import threading
import time

import grpc
import numpy as np
import pytest

import onnx_models
import prometheus_text
from serving_client import TIMEOUT, Server

LONG = 20_000  # steps that last longer than the deadlines below


@pytest.fixture(scope="module")
def witness(tmp_path_factory):
    return onnx_models.batch_witness(tmp_path_factory.mktemp("witness") / "model.onnx")


class Batching(Server):
    def __init__(self, model, folder, parameters="", **how):
        path = folder / "batching.txt"
        path.write_text("num_batch_threads { value: 1 }\n" + parameters)
        super().__init__(model, flags=["--enable_batching", "--batching_parameters_file", str(path), "--threads", "1"], **how)
        self.run_alone()

    def inputs(self, values, work=1, pick=0, length=1):
        values = np.float32(values).reshape(-1, 1)
        rows = len(values)
        return {"x": np.repeat(values, length, axis=1), "work": np.full(rows, work, np.int64),
                "pick": np.full(rows, pick, np.int64)}

    def start(self, values, timeout=TIMEOUT, **how):
        return self.prediction.Predict.future(self.request(self.inputs(values, **how)), timeout=timeout)

    def run_alone(self):
        assert rows_of(self.start([1], work=2)) == 1

    def occupy(self, steps=2000):
        """The only thread computes from now on; whatever is sent next on this connection queues up."""
        call = self.start([0], work=steps)
        self.settle()
        return call

    def series(self):
        return prometheus_text.parse(self.raw("GET", "/metrics"))

    def in_flight(self, number):
        """Asks until so many are being answered; one over gRPC counts twice, as a call and as a prediction."""
        name, end = "cloudml_serving_requests_in_flight", time.monotonic() + TIMEOUT
        while self.series()[name].samples[name, frozenset()] != number:
            assert time.monotonic() < end

    def settle(self):
        self.status()  # on the same connection: what was sent before has arrived
        self.status()


def rows_of(call):
    rows = set(call.result().outputs["rows"].int64_val)
    assert len(rows) == 1
    return rows.pop()


def code_of(call):
    with pytest.raises(grpc.RpcError) as failure:
        call.result()
    return failure.value.code()


def test_a_request_alone_runs_alone_and_at_once(witness, tmp_path):
    with Batching(witness, tmp_path, "batch_timeout_micros { value: 50000000 }") as server:
        for i in range(3):  # each would time out if it waited
            reply = server.start([i, i + 1], timeout=40).result()
            assert list(reply.outputs["y"].float_val) == [2 * i, 2 * i + 2]
            assert list(reply.outputs["rows"].int64_val) == [2, 2]


def test_requests_that_wait_run_together_and_get_their_own_rows(witness, tmp_path):
    with Batching(witness, tmp_path) as server:
        first = server.occupy()
        calls = [server.start([10 * i, 10 * i + 1]) for i in range(5)]
        server.settle()
        assert not first.done()
        for i, call in enumerate(calls):
            assert list(call.result().outputs["y"].float_val) == [20 * i, 20 * i + 2]
            assert rows_of(call) == 10
        assert rows_of(first) == 1


def test_rest_and_grpc_share_a_batch(witness, tmp_path):
    with Batching(witness, tmp_path) as server:
        first = server.occupy()
        call = server.start([1])
        code, reply = server.rest({"inputs": {"x": [[5], [6]], "work": [1, 1], "pick": [1, 2]}})
        assert code == 200
        assert reply["outputs"]["rows"] == [3, 3] and reply["outputs"]["z"] == [11, 12]
        assert rows_of(call) == 3 and rows_of(first) == 1


def test_different_shapes_and_outputs_are_not_merged(witness, tmp_path):
    with Batching(witness, tmp_path) as server:
        server.occupy()
        short = [server.start([1]), server.start([2])]
        long = [server.start([3], length=5) for _ in range(3)]
        filtered = server.prediction.Predict.future(server.request(server.inputs([4]), filter=["rows"]), timeout=TIMEOUT)
        server.settle()
        assert [rows_of(c) for c in short] == [2, 2]
        assert [rows_of(c) for c in long] == [3, 3, 3]
        assert rows_of(filtered) == 1
        assert list(long[0].result().outputs["y"].float_val) == [6] * 5


def test_an_error_of_one_member_does_not_hurt_the_others(witness, tmp_path):
    with Batching(witness, tmp_path) as server:
        server.occupy()
        calls = [server.start([i], pick=99 if i == 2 else 1) for i in range(4)]
        server.settle()
        assert code_of(calls[2]) == grpc.StatusCode.INVALID_ARGUMENT
        for i in (0, 1, 3):
            assert list(calls[i].result().outputs["y"].float_val) == [2 * i]
            assert list(calls[i].result().outputs["z"].float_val) == [11]


def test_batches_are_filled_up_to_allowed_sizes(witness, tmp_path):
    sizes = "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8"

    class Filled(Batching):
        def run_alone(self):
            assert rows_of(self.start([1], work=2)) == 4

    with Filled(witness, tmp_path, sizes) as server:
        server.occupy()
        calls = [server.start([i, i]) for i in range(3)]
        server.settle()
        for i, call in enumerate(calls):
            assert rows_of(call) == 8
            assert list(call.result().outputs["y"].float_val) == [2 * i, 2 * i]


def test_shorter_inputs_are_padded_when_asked_for(witness, tmp_path):
    with Batching(witness, tmp_path, "pad_variable_length_inputs: true") as server:
        server.occupy()
        calls = [server.start([7], length=n) for n in (1, 3)]
        server.settle()
        for call in calls:
            assert rows_of(call) == 2
            assert list(call.result().outputs["y"].float_val) == [14, 14, 14]


def test_large_requests_are_refused_or_run_in_pieces(witness, tmp_path):
    with Batching(witness, tmp_path, "max_batch_size { value: 4 }") as server:
        assert server.start(range(4)).result()
        call = server.start(range(5))
        assert code_of(call) == grpc.StatusCode.INVALID_ARGUMENT and "larger than maximum" in call.details()
    with Batching(witness, tmp_path, "max_batch_size { value: 100 } enable_large_batch_splitting { value: true }\n"
                                     "max_execution_batch_size { value: 4 }") as server:
        reply = server.start(range(10)).result()
        assert list(reply.outputs["rows"].int64_val) == [4] * 8 + [2] * 2
        assert list(reply.outputs["y"].float_val) == [2 * i for i in range(10)]


def test_overload_is_told_at_once(witness, tmp_path):
    limits = "max_batch_size { value: 2 } max_enqueued_batches { value: 2 }"
    with Batching(witness, tmp_path, limits) as server:
        first = server.occupy()
        calls = [server.start([i]) for i in range(4)]
        server.settle()
        refused = server.start([9])
        assert code_of(refused) == grpc.StatusCode.UNAVAILABLE and "full" in refused.details()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
        connection.request("POST", "/v1/models/m:predict",
                           '{"inputs": {"x": [[5]], "work": [1], "pick": [1]}}')
        reply = connection.getresponse()
        assert reply.status == 429 and int(reply.headers["Retry-After"]) >= 1 and b"full" in reply.read()
        connection.close()
        assert not first.done()
        assert [rows_of(c) for c in calls] == [2] * 4


def test_deadlines_are_kept_while_a_request_waits(witness, tmp_path):
    with Batching(witness, tmp_path) as server:
        first = server.occupy(LONG)
        code, reply = server.http("POST", "/v1/models/m:predict", {"inputs": {"x": [[5]], "work": [1], "pick": [1]}},
                                  {"Request-Timeout": "0.05"})
        assert code == 504 and "deadline" in reply["error"]
        assert code_of(server.start([1], timeout=0.05)) == grpc.StatusCode.DEADLINE_EXCEEDED
        assert not first.done()
        code, reply = server.http("POST", "/v1/models/m:predict", {"inputs": {}}, {"Request-Timeout": "soon"})
        assert code == 400 and "Request-Timeout" in reply["error"]
        first.cancel()


def test_a_cancelled_request_leaves_the_queue(witness, tmp_path):
    with Batching(witness, tmp_path) as server:
        server.occupy()
        calls = [server.start([i]) for i in range(3)]
        server.settle()
        calls[1].cancel()
        server.settle()
        assert rows_of(calls[0]) == 2 and rows_of(calls[2]) == 2


def test_many_clients_at_once_get_their_own_answers(witness, tmp_path):
    failures = []

    def work(number, server):
        try:
            for i in range(60):
                values = np.float32([number * 1000 + i] * (1 + i % 3))
                reply = server.start(values, length=1 + i % 2).result()
                assert list(reply.outputs["y"].float_val) == list(np.repeat(values * 2, 1 + i % 2))
        except BaseException as failure:  # noqa: BLE001  (reported below)
            failures.append(failure)

    parameters = "max_batch_size { value: 16 } batch_timeout_micros { value: 1000 } max_enqueued_batches { value: 100 }"
    with Batching(witness, tmp_path, parameters) as server:
        threads = [threading.Thread(target=work, args=(n, server)) for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert not failures


def test_a_file_that_is_wrong_is_named(witness, tmp_path):
    (tmp_path / "b").write_text("max_batch_size: 3")
    server = Server(witness, flags=["--enable_batching", "--batching_parameters_file", str(tmp_path / "b")])
    server.process.wait(TIMEOUT)
    code, log = server.stop()
    assert code == 2 and "must be written as" in log and "max_batch_size" in server.ready["error"]


@pytest.mark.parametrize("path, body", [
    ("/v1/models/m:predict", {"inputs": {"x": [[5]], "work": [1], "pick": [1]}}),
    ("/v2/models/m/infer", {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [5]},
                                       {"name": "work", "shape": [1], "datatype": "INT64", "data": [1]},
                                       {"name": "pick", "shape": [1], "datatype": "INT64", "data": [1]}]})])
def test_a_closed_connection_takes_its_request_out_of_the_queue(witness, tmp_path, path, body):
    text = json.dumps(body).encode()
    with Batching(witness, tmp_path) as server:
        first = server.occupy(5000)
        gone = server.socket()
        gone.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n".encode() + text)
        server.in_flight(3)
        stays = server.start([1])
        server.in_flight(5)
        gone.close()
        server.in_flight(4)
        assert not first.done()
        assert rows_of(stays) == 1


def test_metrics_tell_what_ran_together(witness, tmp_path):
    sizes = "max_batch_size { value: 8 } allowed_batch_sizes: 1 allowed_batch_sizes: 8"
    with Batching(witness, tmp_path, sizes) as server:  # its start runs one request alone
        server.occupy()
        for call in [server.start([i, i]) for i in range(3)]:
            call.result()
        families = server.series()
        model = frozenset({("model_name", "m")})
        value = lambda name, labels=model, part="": families[name].samples[name + part, labels]  # noqa: E731
        batching, session = ":tensorflow:serving:batching:", ":tensorflow:serving:batching_session:"
        assert value(session + "wrapped_run_count", frozenset()) == 3
        assert value(session + "queuing_latency", frozenset({("thread_pool_name", "m")}), "_count") == 5
        assert families[batching + "input_batch_size_v2"].buckets({"model_name": "m"}) | {"1": 2, "2": 5} == \
            families[batching + "input_batch_size_v2"].buckets({"model_name": "m"})
        assert value(batching + "padding_size_v2", part="_sum") == 2
        assert value("cloudml_serving_batch_rows", part="_sum") == 10
