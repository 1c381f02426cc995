# SPDX-License-Identifier: Apache-2.0
"""tritonclient over TLS, by HTTP and by gRPC."""

import ssl

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

import onnx_models
from certificates import CLIENT, SERVER, Authority
from serving_client import Server

X = np.float32([[1, 2, 3, 4]])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    authority = Authority(tmp_path_factory.mktemp("authority"))
    return authority, authority.sign("server", SERVER), authority.sign("client", CLIENT)


@pytest.fixture(scope="module")
def server(files, tmp_path_factory):
    authority, (key, cert), _ = files
    model = onnx_models.multiply(tmp_path_factory.mktemp("model") / "model.onnx")
    with Server(model, flags=[f"--tls_cert={cert}", f"--tls_key={key}", f"--tls_client_ca={authority.cert}"]) as s:
        yield s


def infer(module, client):
    given = module.InferInput("x", X.shape, "FP32")
    given.set_data_from_numpy(X)
    assert client.is_server_live()
    return client.infer("m", [given]).as_numpy("y").tolist()


def test_http(server, files):
    authority, _, (key, cert) = files
    options = {"keyfile": str(key), "certfile": str(cert), "ca_certs": str(authority.cert)}
    with tritonclient.http.InferenceServerClient(f"localhost:{server.port}", ssl=True, ssl_options=options) as client:
        assert infer(tritonclient.http, client) == [[2, 4, 6, 8]]
    with tritonclient.http.InferenceServerClient(f"localhost:{server.port}", ssl=True, ssl_options={
            "ca_certs": str(authority.cert)}) as client:
        with pytest.raises((InferenceServerException, ssl.SSLError, OSError)):
            infer(tritonclient.http, client)


def test_grpc(server, files):
    authority, _, (key, cert) = files
    with tritonclient.grpc.InferenceServerClient(f"localhost:{server.port}", ssl=True, root_certificates=str(authority.cert),
                                                 private_key=str(key), certificate_chain=str(cert)) as client:
        assert infer(tritonclient.grpc, client) == [[2, 4, 6, 8]]
    with tritonclient.grpc.InferenceServerClient(f"localhost:{server.port}", ssl=True,
                                                 root_certificates=str(authority.cert)) as client:
        with pytest.raises(InferenceServerException):
            infer(tritonclient.grpc, client)
