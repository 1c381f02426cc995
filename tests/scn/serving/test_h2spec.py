# SPDX-License-Identifier: Apache-2.0
"""h2spec: every case of its three groups (generic, http2, hpack), strict ones included, plain and over TLS."""

import pathlib
import subprocess
import xml.etree.ElementTree as xml

import pytest

import onnx_models
from certificates import SERVER, Authority
from go_tool import go_tool
from serving_client import TIMEOUT, Server

# What does not hold here: (section, beginning of the case's title) -> reason.
DEVIATIONS = {
    ("3.5", "Sends invalid connection preface"):
        "the port speaks HTTP/1 too, which answers with 400 before it closes",
}
CASES = 146


@pytest.fixture(scope="module")
def program():
    return go_tool("h2spec", ["build", "-o", "{out}", "github.com/summerwind/h2spec/cmd/h2spec"],
                   pathlib.Path(__file__).with_name("h2spec"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return onnx_models.multiply(tmp_path_factory.mktemp("model") / "model.onnx")


@pytest.mark.parametrize("secure", [False, True])
def test_h2spec(program, model, secure, tmp_path):
    flags = []
    if secure:
        key, cert = Authority(tmp_path).sign("server", SERVER)
        flags = [f"--tls_key={key}", f"--tls_cert={cert}"]
    report = tmp_path / "report.xml"
    with Server(model, flags=flags) as server:
        done = subprocess.run([program, "-h", "127.0.0.1", "-p", str(server.port), "-S", "-o", "5", "-j", report,
                               *(["-t", "-k"] if secure else [])], capture_output=True, text=True, timeout=10 * TIMEOUT)
    assert report.exists(), done.stdout + done.stderr
    failed, seen = [], 0
    for suite in xml.parse(report).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            seen += 1
            if case.find("skipped") is not None or case.find("failure") is not None or case.find("error") is not None:
                failed.append((suite.get("id"), case.get("classname")))
    unexpected = [(section, title) for section, title in failed
                  if not any(section == s and title.startswith(t) for s, t in DEVIATIONS)]
    assert not unexpected, done.stdout
    assert seen == CASES
