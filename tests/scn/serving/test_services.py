# SPDX-License-Identifier: Apache-2.0
"""What tools ask a server: reflection, health for as long as one watches, metrics; and pages of other sites."""

import http.client
import queue
import shutil
import signal
import subprocess

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2

import onnx_models
import prometheus_text
from grpc_reflection.v1 import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc as alpha_grpc
from grpc_reflection.v1alpha import reflection_pb2 as alpha_pb2
from serving_client import TIMEOUT, Server

X = np.float32([[1, 2, 3, 4]])
SERVICES = {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return onnx_models.multiply(tmp_path_factory.mktemp("services") / "3" / "model.onnx").parent.parent


@pytest.fixture(scope="module")
def server(model):
    with Server(model) as server:
        yield server


def reflect(server, *requests):
    stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
    replies = list(stub.ServerReflectionInfo(iter(requests), timeout=TIMEOUT))
    assert [r.original_request for r in replies] == list(requests)
    return replies


def ask(**what):
    return reflection_pb2.ServerReflectionRequest(**what)


def test_reflection_lists_services_and_describes_every_method(server):
    (reply,) = reflect(server, ask(list_services="*"))
    names = {s.name for s in reply.list_services_response.service}
    assert SERVICES <= names
    files = {}
    for reply in reflect(server, *(ask(file_containing_symbol=n) for n in sorted(names))):
        for data in reply.file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            files[file.name] = file
    pool = descriptor_pool.DescriptorPool()

    def add(name):
        for dependency in files[name].dependency:
            add(dependency)
        pool.Add(files[name])

    for name in files:
        add(name)
    methods = {m.name for m in pool.FindServiceByName("tensorflow.serving.PredictionService").methods}
    assert methods == {"Classify", "Regress", "Predict", "MultiInference", "GetModelMetadata"}
    for name in names:
        for method in pool.FindServiceByName(name).methods:
            assert method.input_type and method.output_type


def test_reflection_finds_symbols_of_every_kind_and_says_what_it_does_not_find(server):
    found = ["tensorflow.serving.PredictionService.Predict", "tensorflow.TensorProto", "tensorflow.DataType",
             "tensorflow.serving.ModelVersionStatus.State", "google.protobuf.Any", "tensorflow.TensorShapeProto.Dim",
             "tensorflow.serving.ModelSpec.name", "grpc.health.v1.HealthCheckResponse.ServingStatus"]
    for reply in reflect(server, *(ask(file_containing_symbol=s) for s in found)):
        assert reply.WhichOneof("message_response") == "file_descriptor_response", reply
    missing = [ask(file_containing_symbol="tensorflow.serving.Prediction"), ask(file_containing_symbol=""),
               ask(file_containing_symbol="tensorflow"), ask(file_by_filename="nothing.proto"),
               ask(file_containing_extension={"containing_type": "tensorflow.TensorProto", "extension_number": 9})]
    for reply in reflect(server, *missing):
        assert reply.error_response.error_code == 5, reply
    name = "tensorflow_serving/apis/model.proto"
    files, numbers = reflect(server, ask(file_by_filename=name), ask(all_extension_numbers_of_type="tensorflow.TensorProto"))
    first = descriptor_pb2.FileDescriptorProto.FromString(files.file_descriptor_response.file_descriptor_proto[0])
    assert first.name == name and not numbers.all_extension_numbers_response.extension_number


def test_reflection_answers_before_the_client_is_done(server):
    stub = alpha_grpc.ServerReflectionStub(server.channel)
    questions = queue.SimpleQueue()
    call = stub.ServerReflectionInfo(iter(questions.get, None), timeout=TIMEOUT)
    for i in range(3):
        questions.put(alpha_pb2.ServerReflectionRequest(list_services=str(i)))
        assert next(call).original_request.list_services == str(i)
    questions.put(None)
    assert list(call) == [] and call.code() == grpc.StatusCode.OK
    many = (alpha_pb2.ServerReflectionRequest(list_services=str(i)) for i in range(2000))
    assert [r.original_request.list_services for r in stub.ServerReflectionInfo(many, timeout=TIMEOUT)] == [
        str(i) for i in range(2000)]


def test_a_malformed_message_ends_a_stream_with_a_reason(server):
    call = server.channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    for message in (b"\xff\xff", b""):
        with pytest.raises(grpc.RpcError) as failure:
            list(call(iter([message]), timeout=TIMEOUT))
        assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    watch = server.channel.stream_stream("/grpc.health.v1.Health/Watch")
    with pytest.raises(grpc.RpcError) as failure:
        list(watch(iter([]), timeout=TIMEOUT))
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_requests_whose_answers_are_not_read_do_not_fill_the_server(server):
    """A client that sends and never grants a byte: the server stops reading instead of queueing answers."""
    with server.socket() as c:
        c.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"\0\4\0\0\0\0"))  # window 0 for answers
        path = b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        headers = b"".join(bytes([0, len(n)]) + n + bytes([len(v)]) + v for n, v in (
            (b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x"),
            (b"content-type", b"application/grpc")))
        c.sendall(frame(1, 4, 1, headers))
        name = b"tensorflow_serving/apis/prediction_service.proto"
        message = bytes([0x1A, len(name)]) + name
        message = b"\0" + len(message).to_bytes(4, "big") + message
        body = frame(0, 0, 1, message * 250)
        for _ in range(60):  # within the first window
            c.sendall(body)
        assert server.http("GET", "/v1/models/m")[0] == 200
        assert metric(server, "cloudml_serving_request_memory_bytes") < 2 << 20
        assert metric(server, "process_resident_memory_bytes") < 1 << 30


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def metric(server, name):
    return prometheus_text.parse(metrics_text(server))[name].samples[name, frozenset()]


def metrics_text(server, path="/metrics"):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    c.request("GET", path)
    reply = c.getresponse()
    text = reply.read().decode()
    c.close()
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/plain; version=0.0.4"), text
    return text


def test_watching_health_tells_changes_and_the_end(model):
    server = Server(model)
    watch = server.health.Watch(health_pb2.HealthCheckRequest(service="PredictionService"), timeout=TIMEOUT)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    other = server.health.Watch(health_pb2.HealthCheckRequest(service="nobody"), timeout=TIMEOUT)
    assert next(other).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    other.cancel()
    server.process.send_signal(signal.SIGTERM)
    assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
    with pytest.raises(grpc.RpcError) as failure:
        next(watch)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
    code, log = server.stop()
    assert code == 0, log


def test_metrics_count_requests_under_the_original_names(model):
    with Server(model) as server:
        for _ in range(5):
            server.predict({"x": X})
        for _ in range(3):
            assert server.rest({"instances": X.tolist()})[0] == 200
        assert server.rest({"instances": [[1]]})[0] == 400
        with pytest.raises(grpc.RpcError):
            server.predict({"x": X}, name="made\"up\n")
        text = metrics_text(server)
        families = prometheus_text.parse(text)
        assert prometheus_text.parse(metrics_text(server, "/monitoring/prometheus/metrics")).keys() == families.keys()
        count = families[":tensorflow:serving:request_count"]
        assert count.type == "counter"
        assert {k[1]: v for k, v in count.samples.items()} == {
            frozenset({("model_name", "m"), ("status", "OK")}): 8,
            frozenset({("model_name", "m"), ("status", "INVALID_ARGUMENT")}): 1,
            frozenset({("model_name", ""), ("status", "NOT_FOUND")}): 1}
        latency = families[":tensorflow:serving:request_latency"]
        for entry, api, expected in (("GRPC", "Predict", 5), ("REST", "predict", 3)):
            labels = {"model_name": "m", "API": api, "entrypoint": entry}
            buckets = latency.buckets(labels)
            assert len(buckets) == 34 and buckets["+Inf"] == expected and {"10", "18", "32.4"} <= set(buckets)
            assert latency.samples[latency.name + "_sum", frozenset(labels.items())] > 0
        runs = families[":tensorflow:serving:runtime_latency"]
        assert runs.buckets({"model_name": "m", "API": "Predict", "runtime": "ONNX"})["+Inf"] == 8
        for name in ("process_resident_memory_bytes", "process_open_fds", "cloudml_serving_open_connections"):
            assert metric(server, name) > 0
        state = families["cloudml_serving_model_version_state"].samples
        assert [dict(labels) for _, labels in state] == [{"model_name": "m", "version": "3", "state": "AVAILABLE"}]
        check_with_promtool(text)


def check_with_promtool(text):
    """Its own findings (exit 3) are about the original's names; text that cannot be parsed is exit 1."""
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        assert done.returncode in (0, 3) and "error while" not in done.stderr, done.stderr


def test_the_monitoring_file_moves_metrics_or_switches_them_off(model, tmp_path):
    config = tmp_path / "monitoring.txt"
    config.write_text('prometheus_config { enable: true path: "/deep/numbers" }')
    with Server(model, flags=["--monitoring_config_file", str(config)]) as server:
        assert "request_count" in metrics_text(server, "/deep/numbers") and metrics_text(server)
        assert server.http("GET", "/monitoring/prometheus/metrics")[0] == 404
    config.write_text("prometheus_config { enable: false }")
    with Server(model, flags=["--monitoring_config_file", str(config)]) as server:
        assert server.http("GET", "/metrics")[0] == 404
    for text, why in (("prometheus_config { path: 'x' enable: true }", "does not begin with '/'"),
                      ("prometheus { }", "'prometheus_config' is understood"), ("prometheus_config {", "line 1")):
        config.write_text(text)
        server = Server(model, flags=["--monitoring_config_file", str(config)])
        code, log = server.stop()
        assert code != 0 and why in log, log


def options(server, path, headers):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    c.request("OPTIONS", path, headers=headers)
    reply = c.getresponse()
    body = reply.read()
    c.close()
    return reply, body


def test_pages_of_other_sites_may_call_only_when_allowed(server, model):
    reply, body = options(server, "/v1/models/m:predict", {"Origin": "https://example.org"})
    assert (reply.status, body) == (200, b"") and reply.headers["Access-Control-Allow-Origin"] is None
    for headers in ({}, {"Origin": "null"}, {"Origin": "ftp://example.org"}):
        reply, body = options(server, "/v1/models/m:predict", headers)
        assert reply.status == 400 and b"Origin" in body
    with Server(model, flags=["--rest_api_enable_cors_support"]) as open_server:
        reply, _ = options(open_server, "/v1/models/m:predict", {"Origin": "https://example.org"})
        assert reply.status == 200 and reply.headers["Access-Control-Allow-Origin"] == "*"
        assert "POST" in reply.headers["Access-Control-Allow-Methods"]
        assert reply.headers["Access-Control-Allow-Headers"] == "Content-Type, Content-Encoding"
