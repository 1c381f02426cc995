# SPDX-License-Identifier: Apache-2.0
"""Requests that schemathesis makes up from OpenAPI documents: the server's own with every check, and the data plane as
MLServer publishes it. CONTRACT_EXAMPLES=200 tries harder."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

EXAMPLES = os.environ.get("CONTRACT_EXAMPLES", "5")
PUBLISHED = "mlserver==1.7.1"  # only its document is taken, none of what it needs to run
# What a model that wants 4 whole numbers takes: each such request must be answered with 200.
FITTING = {
    "type": "object", "required": ["inputs"], "properties": {
        "id": {"type": "string"}, "outputs": {"type": "array", "maxItems": 1, "items": {
            "type": "object", "required": ["name"], "properties": {"name": {"const": "y"}}}},
        "inputs": {"type": "array", "minItems": 1, "maxItems": 1, "items": {
            "type": "object", "required": ["name", "shape", "datatype", "data"], "properties": {
                "name": {"const": "x"}, "shape": {"const": [1, 4]}, "datatype": {"const": "INT32"},
                "data": {"enum": [[1, 2, 3, 4], [[0, 7, -2**31, 2**31 - 1]]]}}}}}}
# A shape that asks for more than the server allows is no client's fault that 400 names.
SETTINGS = """
[checks.negative_data_rejection]
expected-statuses = [400, 404, 405, 413, 415, 429, 501]
"""


def schemathesis(document, server, tmp_path, *flags):
    path = tmp_path / "document.json"
    path.write_text(json.dumps(document))
    (tmp_path / "schemathesis.toml").write_text(SETTINGS)
    done = subprocess.run(
        [pathlib.Path(sys.executable).with_name("schemathesis"), "--config-file", tmp_path / "schemathesis.toml", "run", path,
         "--url", f"http://127.0.0.1:{server.port}", "--seed", "1", "--max-examples", EXAMPLES, "--no-shrink", "--no-color",
         "--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--suppress-health-check", "all",
         "--generation-database", "none", *flags], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert server.http("GET", "/v2/health/ready")[0] == 200


def own(server):
    status, document = server.http("GET", "/openapi.json")
    assert status == 200
    return document


def fixed(document, **values):
    """Path parameters with the values that exist."""
    for name, value in values.items():
        document["components"]["parameters"][name]["schema"] = {"const": value}
    return document


def test_what_the_server_says_of_itself_holds(server, tmp_path):
    # Valid requests may still not fit the model at hand.
    schemathesis(own(server), server, tmp_path, "--checks", "all", "--exclude-checks", "positive_data_acceptance",
                 "--exclude-path-regex", "load$")


def test_models_that_exist_answer_every_question(server, tmp_path):
    schemathesis(fixed(own(server), Name="m", Version="12"), server, tmp_path, "--checks", "all", "--exclude-path-regex",
                 "infer$|load$")


def test_every_request_that_fits_is_answered(server, tmp_path):
    document = fixed(own(server), Name="whole", Version="3")
    document["components"]["schemas"]["InferRequest"] = FITTING
    schemathesis(document, server, tmp_path, "--checks", "all", "--include-path-regex", "infer$")


def test_models_are_loaded_and_unloaded_as_described(server, tmp_path):
    schemathesis(fixed(own(server), Name="m"), server, tmp_path, "--checks", "all", "--include-path-regex", "/load$")


def test_the_published_description_holds(server, tmp_path):
    target = tmp_path / "published"
    uv = shutil.which("uv") or pathlib.Path(__file__).resolve().parents[3] / ".cache" / "bin" / "uv"
    done = subprocess.run([uv, "pip", "install", "-q", "--no-deps", "--python", sys.executable, "--target", target, PUBLISHED],
                          capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"{PUBLISHED} cannot be installed: {done.stderr[-300:]}")
    document = json.loads((target / "mlserver" / "rest" / "openapi" / "dataplane.json").read_text())
    document["components"]["schemas"]["TensorData"] = {"type": "array"}  # it names a type "bytes" that JSON has not
    # Parts that are MLServer's own, and requests that fit its schema but not the model.
    schemathesis(document, server, tmp_path, "--checks", "not_a_server_error,content_type_conformance,response_schema_conformance",
                 "--exclude-path-regex", "infer_stream|generate")
