# SPDX-License-Identifier: Apache-2.0
"""Starts cloudml-serving as the platform does (inherited socket, ready pipe) and talks to it."""

import http.client
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import time

import grpc
import numpy as np
from google.protobuf import text_format

from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (get_model_metadata_pb2, get_model_status_pb2, model_management_pb2,
                                     model_service_pb2_grpc, predict_pb2, prediction_service_pb2_grpc)

PROGRAM = os.environ["CLOUDML_SERVING"]
TIMEOUT = 120  # of one call: generous, machines that check are small and busy

# numpy type: (DataType, typed field, how its elements go into the field)
TYPES = {
    "float32": (1, "float_val", None), "float64": (2, "double_val", None), "int32": (3, "int_val", None),
    "uint8": (4, "int_val", None), "int16": (5, "int_val", None), "int8": (6, "int_val", None),
    "object": (7, "string_val", None), "complex64": (8, "scomplex_val", np.float32), "int64": (9, "int64_val", None),
    "bool": (10, "bool_val", None), "uint16": (17, "int_val", None), "complex128": (18, "dcomplex_val", np.float64),
    "float16": (19, "half_val", np.uint16), "uint32": (22, "uint32_val", None), "uint64": (23, "uint64_val", None),
}


def to_proto(array, content=False):
    array = np.asarray(array)
    number, field, view = TYPES[str(array.dtype)]
    proto = tensor_pb2.TensorProto(dtype=number)
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if content:
        proto.tensor_content = array.tobytes()
    else:
        flat = np.ascontiguousarray(array).reshape(-1)
        getattr(proto, field).extend((flat.view(view) if view else flat).tolist())
    return proto


def from_proto(proto):
    name = next(n for n, (number, _, _) in TYPES.items() if number == proto.dtype)
    _, field, view = TYPES[name]
    assert not proto.tensor_content
    values = np.array(list(getattr(proto, field)), dtype=view or name)
    return (values.view(name) if view else values).reshape([d.size for d in proto.tensor_shape.dim])


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    crc ^= 0xffffffff
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xa282ead8) & 0xffffffff)


def records(*logs):
    """a TFRecord file"""
    head = lambda data: struct.pack("<Q", len(data))  # noqa: E731
    return b"".join(head(d) + crc32c(head(d)) + d + crc32c(d) for d in logs)


def http_at(port, method, path, body=None, headers=None, connection=None):
    c = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    c.request(method, path, body, headers or {})
    reply = c.getresponse()
    text = reply.read()
    if not connection:
        c.close()
    return reply.status, json.loads(text)


class Server:
    """One server; 'with' stops it and checks that it ended well."""

    def __init__(self, base_path, name="m", flags=(), runtime=None, listener=None, asan=None):
        self.name = name
        self.listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        ready, ready_end = os.pipe()
        environment = dict(os.environ)
        # Foreign libraries keep what they allocated once; leaks of our own are still reported.
        suppressions = pathlib.Path(__file__).with_name("leaks.txt")
        environment["LSAN_OPTIONS"] = f"suppressions={suppressions}:print_suppressions=0"
        if asan:
            environment["ASAN_OPTIONS"] = ":".join(filter(None, (environment.get("ASAN_OPTIONS"), asan)))
        self.process = subprocess.Popen(
            [PROGRAM, "--listen_fd", str(self.listener.fileno()), "--ready_fd", str(ready_end), "--model_name", name,
             *(["--model_base_path", str(base_path)] if base_path else []), "--runtime_path", runtime or sys.prefix, *flags],
            pass_fds=(self.listener.fileno(), ready_end), env=environment, stderr=subprocess.PIPE, text=True)
        os.close(ready_end)
        with os.fdopen(ready) as pipe:
            line = pipe.read()
        self.ready = json.loads(line) if line else None
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[("grpc.max_receive_message_length", -1),
                                                                                ("grpc.max_send_message_length", -1)])
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        code, log = self.stop()
        if kind is None:
            assert code == 0, log

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.channel.close()
        self.listener.close()
        log = self.process.communicate(timeout=TIMEOUT)[1]
        return self.process.returncode, log

    def request(self, inputs, content=False, version=None, signature="", filter=(), name=None, label=None):
        request = predict_pb2.PredictRequest(output_filter=filter)
        request.model_spec.name = self.name if name is None else name
        request.model_spec.signature_name = signature
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        for key, value in inputs.items():
            request.inputs[key].CopyFrom(to_proto(value, content))
        return request

    def predict(self, inputs, timeout=TIMEOUT, compression=None, **how):
        reply = self.prediction.Predict(self.request(inputs, **how), timeout=timeout, compression=compression)
        return {key: from_proto(value) for key, value in reply.outputs.items()}, reply.model_spec

    def signatures(self):
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = self.name
        reply = self.prediction.GetModelMetadata(request, timeout=TIMEOUT)
        found = get_model_metadata_pb2.SignatureDefMap()
        assert reply.metadata["signature_def"].Unpack(found)
        return found.signature_def, reply.model_spec

    def status(self, version=None, name=None):
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self.name if name is None else name
        if version is not None:
            request.model_spec.version.value = version
        return self.models.GetModelStatus(request, timeout=TIMEOUT).model_version_status

    def states(self, name=None):
        """version -> state's name, of a model that is known"""
        return {s.version: get_model_status_pb2.ModelVersionStatus.State.Name(s.state) for s in self.status(name=name)}

    def wait_for_states(self, expected, name=None):
        """Asks until the states are these (a dict, or a test of one)."""
        end = time.monotonic() + TIMEOUT
        while True:
            states = self.states(name)
            if expected(states) if callable(expected) else states == expected:
                return states
            assert time.monotonic() < end, f"{states} instead of {expected}"

    def reload(self, text):
        """Sends a configuration, written as text."""
        request = model_management_pb2.ReloadConfigRequest()
        text_format.Parse(text, request.config)
        return self.models.HandleReloadConfigRequest(request, timeout=TIMEOUT)

    def check_health(self, service=""):
        return self.health.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT).status

    def http(self, method, path, body=None, headers=None, connection=None):
        return http_at(self.port, method, path, body, headers, connection)

    def raw(self, method, path, body=None, headers=None):
        """The text of an answer that is no JSON."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        c.request(method, path, body, headers or {})
        text = c.getresponse().read().decode()
        c.close()
        return text

    def copied(self):
        """bytes of messages and tensors that the server has moved inside its memory: in, out"""
        text = self.raw("GET", "/metrics")
        return [int(text.split(f'cloudml_serving_copied_bytes_total{{direction="{d}"}} ')[1].split()[0]) for d in ("in", "out")]

    def rest(self, body, suffix="", **how):
        return self.http("POST", f"/v1/models/{self.name}{suffix}:predict", body, **how)

    def socket(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT)
