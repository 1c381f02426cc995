# SPDX-License-Identifier: Apache-2.0
"""grpcurl, which knows the services by reflection only; built once with Go."""

import json
import subprocess

from go_tool import go_tool
from serving_client import TIMEOUT

PACKAGE = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"


class Grpcurl:
    def __init__(self, server):
        self.program = go_tool("grpcurl", ["install", PACKAGE])
        self.address = f"127.0.0.1:{server.port}"

    def run(self, *arguments, body=None):
        """(exit status, standard output, standard error)"""
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        done = subprocess.run([self.program, "-plaintext", *(["-d", "@"] if text is not None else []), self.address, *arguments],
                              input=text, capture_output=True, text=True, timeout=TIMEOUT)
        return done.returncode, done.stdout, done.stderr

    def text(self, *arguments):
        code, out, err = self.run(*arguments)
        assert code == 0, err
        return out

    def call(self, method, body=None):
        code, out, err = self.run(method, body={} if body is None else body)
        assert code == 0, err
        return json.loads(out)

    def fail(self, method, body):
        """(name of the gRPC status, message)"""
        code, _, err = self.run(method, body=body)
        assert code != 0
        lines = [line.strip() for line in err.splitlines()]
        field = lambda key: next(line.split(": ", 1)[1] for line in lines if line.startswith(key))  # noqa: E731
        return field("Code"), field("Message")
