# SPDX-License-Identifier: Apache-2.0
"""The real server with its S3 gateway, and clients of it."""
import http.client
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile

import boto3
import pytest
from botocore.config import Config

CLOUDML = os.environ["CLOUDML"]


class Gateway:
    certificate = None  # the file of a gateway with https

    def __init__(self, *options):
        self.folder = tempfile.mkdtemp(prefix="cloudml-scn-s3-")
        self.options = options
        self.start()

    def start(self):
        self.log = open(pathlib.Path(self.folder, "test.log"), "ab")
        self.process = subprocess.Popen(
            [CLOUDML, "server", "--data", self.folder, "--listen", "127.0.0.1:0", *self.options],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("READY "), pathlib.Path(self.folder, "test.log").read_text()
        self.credentials = json.loads(self.cli("store", "credentials", "--json"))
        self.endpoint = self.credentials["endpoint"]

    def cli(self, *args, token=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CLOUDML_") or k == "CLOUDML_LIBEXEC"}
        env["CLOUDML_DATA"] = self.folder
        if token:
            env["CLOUDML_TOKEN"] = token
        r = subprocess.run([CLOUDML, *args], env=env, capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
        return r.stdout

    def client(self, credentials=None, config=None, **kw):
        c = credentials or self.credentials
        kw.setdefault("verify", self.certificate)
        return boto3.client("s3", endpoint_url=self.endpoint, aws_access_key_id=c["access_key_id"],
                            aws_secret_access_key=c["secret_access_key"], region_name="us-east-1",
                            config=config or Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}), **kw)

    def connection(self):
        """For requests by hand."""
        host, port = self.endpoint.split("//")[1].split(":")
        if not self.certificate:
            return http.client.HTTPConnection(host, int(port), timeout=20)
        return http.client.HTTPSConnection(host, int(port), timeout=20, context=ssl.create_default_context(cafile=self.certificate))

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0, pathlib.Path(self.folder, "test.log").read_text()
        self.process.stdout.close()
        self.log.close()

    def close(self):
        self.stop()
        shutil.rmtree(self.folder)


def secure_gateway(folder, *options):
    """A gateway with https, whose certificate is made in the folder."""
    names = "subjectAltName=IP:127.0.0.1,DNS:store.localhost,DNS:*.store.localhost"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", "/CN=store.localhost", "-addext",
                    names], check=True, capture_output=True)
    g = Gateway("--s3-tls-cert", str(folder / "cert.pem"), "--s3-tls-key", str(folder / "key.pem"), *options)
    g.certificate = str(folder / "cert.pem")
    assert g.endpoint.startswith("https://")
    return g


@pytest.fixture(scope="session")
def plain():
    g = Gateway()
    yield g
    g.close()


@pytest.fixture(scope="session")
def secure(tmp_path_factory):
    g = secure_gateway(tmp_path_factory.mktemp("tls"))
    yield g
    g.close()


@pytest.fixture(scope="session")
def gateway(request):
    """The one with http; modules whose tests are for https too name both as parameters."""
    return request.getfixturevalue(getattr(request, "param", "plain"))


@pytest.fixture
def s3(gateway):
    return gateway.client()


@pytest.fixture
def bucket(s3, request):
    name = "b-" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:55].strip("-")
    s3.create_bucket(Bucket=name)
    return name
