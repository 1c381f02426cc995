# SPDX-License-Identifier: Apache-2.0
"""A real server with its store, and a real TensorFlow with the file system in this process."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "plugins/tensorflow"
CLOUDML = os.environ["CLOUDML"]
LIBRARY = os.environ["CLOUDML_FDS_LIBRARY"]
PART = 5 << 20  # the smallest part there is, so that little data makes uploads of several


class Server:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="cloudml-e2e-fds-")
        self.port = 0
        self.start()
        self.port = int(self.endpoint.rsplit(":", 1)[1])

    def start(self):
        self.launch()
        self.wait()

    def launch(self):
        """On the same port when it has run before."""
        self.log = open(pathlib.Path(self.folder, "test.log"), "ab")
        self.process = subprocess.Popen(
            [CLOUDML, "server", "--data", self.folder, "--listen", "127.0.0.1:0", "--s3-listen", f"127.0.0.1:{self.port}"],
            stdout=subprocess.PIPE, stderr=self.log, text=True)

    def wait(self):
        line = self.process.stdout.readline()
        assert line.startswith("READY "), pathlib.Path(self.folder, "test.log").read_text()
        self.credentials = json.loads(self.cli("store", "credentials", "--json"))
        self.endpoint = self.credentials["endpoint"]

    def cli(self, *args):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CLOUDML_") or k == "CLOUDML_LIBEXEC"}
        r = subprocess.run([CLOUDML, *args], env={**env, "CLOUDML_DATA": self.folder}, capture_output=True, timeout=120)
        assert r.returncode == 0, r.stderr.decode()
        return r.stdout

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(120) == 0, pathlib.Path(self.folder, "test.log").read_text()
        self.process.stdout.close()
        self.log.close()
        shutil.rmtree(self.folder)

    def environment(self):
        return {"CLOUDML_S3_ENDPOINT": self.endpoint, "AWS_ACCESS_KEY_ID": self.credentials["access_key_id"],
                "AWS_SECRET_ACCESS_KEY": self.credentials["secret_access_key"], "CLOUDML_S3_PART_BYTES": str(PART),
                "CLOUDML_S3_ATTEMPTS": "30", "TF_CPP_MIN_LOG_LEVEL": "1"}


@pytest.fixture(scope="session")
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def tf(server):
    os.environ.update(server.environment())
    sys.path.insert(0, str(PACKAGE))
    import cloudml_fds  # noqa: F401  before TensorFlow: the import hook registers
    import tensorflow
    return tensorflow


@pytest.fixture(scope="session")
def bucket(server):
    server.cli("store", "mb", "team")
    return "fds://team"


@pytest.fixture
def here(bucket, request):
    """A folder of the test's own, which is not there yet."""
    return f"{bucket}/{request.node.name.replace('[', '-').replace(']', '')}"


@pytest.fixture
def python(server):
    """Runs a program in a process of its own, with the store's environment and changes of it; its output."""

    def run(code, *args, path=(PACKAGE,), fails=False, **changes):
        env = {**os.environ, **server.environment(), "PYTHONPATH": os.pathsep.join(map(str, path)), **changes}
        env = {k: v for k, v in env.items() if v is not None}
        r = subprocess.run([sys.executable, "-c", code, *map(str, args)], env=env, capture_output=True, text=True, timeout=600)
        assert (r.returncode != 0) == fails, r.stdout + r.stderr
        return r.stdout + (r.stderr if fails else "")

    return run
