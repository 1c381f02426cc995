# SPDX-License-Identifier: Apache-2.0
"""The server of tests/scn/s3, with https, for clients whose requirements are at odds with the newest boto3."""
import importlib.util
import pathlib
import subprocess

import pytest

spec = importlib.util.spec_from_file_location("s3_gateway", pathlib.Path(__file__).parents[1] / "s3" / "conftest.py")
s3_gateway = importlib.util.module_from_spec(spec)
spec.loader.exec_module(s3_gateway)


@pytest.fixture(scope="session")
def secure(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    names = "subjectAltName=IP:127.0.0.1,DNS:store.localhost,DNS:*.store.localhost"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", "/CN=store.localhost", "-addext",
                    names], check=True, capture_output=True)
    g = s3_gateway.Gateway("--s3-tls-cert", str(folder / "cert.pem"), "--s3-tls-key", str(folder / "key.pem"),
                           "--s3-domain", "store.localhost")
    g.certificate = str(folder / "cert.pem")
    yield g
    g.close()
