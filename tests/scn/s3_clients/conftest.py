# SPDX-License-Identifier: Apache-2.0
"""The server of tests/scn/s3, with https, for clients whose requirements are at odds with the newest boto3."""
import importlib.util
import pathlib

import pytest

spec = importlib.util.spec_from_file_location("s3_gateway", pathlib.Path(__file__).parents[1] / "s3" / "conftest.py")
s3_gateway = importlib.util.module_from_spec(spec)
spec.loader.exec_module(s3_gateway)


@pytest.fixture(scope="session")
def secure(tmp_path_factory):
    g = s3_gateway.secure_gateway(tmp_path_factory.mktemp("tls"), "--s3-domain", "store.localhost")
    yield g
    g.close()
