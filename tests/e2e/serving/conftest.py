# SPDX-License-Identifier: Apache-2.0
"""Real TensorFlow models, made once by a process of its own: its protobuf types and our stubs share names."""

import pathlib
import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, pathlib.Path(__file__).with_name("make_models.py"), folder], check=True)
    return folder
