# SPDX-License-Identifier: Apache-2.0
"""Servers and clients that the tests of the Open Inference Protocol share."""

import pytest
import tritonclient.grpc
import tritonclient.http

import onnx_models
from serving_client import TIMEOUT, Server


@pytest.fixture(scope="session")
def multiply(tmp_path_factory):
    base = tmp_path_factory.mktemp("multiply")
    onnx_models.multiply(base / "12" / "model.onnx", 2)
    with Server(base) as server:
        yield server


@pytest.fixture(scope="session")
def identities(tmp_path_factory):
    with Server(onnx_models.identities(tmp_path_factory.mktemp("identities") / "all.onnx")) as server:
        yield server


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    with Server(onnx_models.pair(tmp_path_factory.mktemp("pair") / "pair.onnx")) as server:
        yield server


@pytest.fixture
def http_client():
    """connect(server) -> tritonclient.http client"""
    made = []

    def connect(server):
        made.append(tritonclient.http.InferenceServerClient(f"127.0.0.1:{server.port}", network_timeout=TIMEOUT))
        return made[-1]

    yield connect
    for client in made:
        client.close()


@pytest.fixture
def grpc_client():
    """connect(server) -> tritonclient.grpc client"""
    made = []

    def connect(server):
        made.append(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.port}"))
        return made[-1]

    yield connect
    for client in made:
        client.close()
