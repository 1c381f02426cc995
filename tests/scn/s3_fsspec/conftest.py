# SPDX-License-Identifier: Apache-2.0
"""The real server, and a file system of fsspec on its gateway."""
import json
import os
import shutil
import subprocess
import tempfile

import pytest
import s3fs

CLOUDML = os.environ["CLOUDML"]


@pytest.fixture(scope="session")
def options():
    """storage_options as pandas takes them."""
    folder = tempfile.mkdtemp(prefix="cloudml-scn-fsspec-")
    env = {k: v for k, v in os.environ.items() if not k.startswith("CLOUDML_") or k == "CLOUDML_LIBEXEC"}
    env["CLOUDML_DATA"] = folder
    with open(os.path.join(folder, "test.log"), "wb") as log:
        server = subprocess.Popen([CLOUDML, "server", "--data", folder, "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"],
                                  stdout=subprocess.PIPE, stderr=log, text=True)
    assert server.stdout.readline().startswith("READY "), open(os.path.join(folder, "test.log")).read()
    c = json.loads(subprocess.run([CLOUDML, "store", "credentials", "--json"], env=env, capture_output=True,
                                  check=True, timeout=60).stdout)
    yield {"key": c["access_key_id"], "secret": c["secret_access_key"], "endpoint_url": c["endpoint"],
           "client_kwargs": {"region_name": c["region"]}}
    server.terminate()
    assert server.wait(60) == 0, open(os.path.join(folder, "test.log")).read()
    server.stdout.close()
    shutil.rmtree(folder)


@pytest.fixture
def fs(options):
    s3fs.S3FileSystem.clear_instance_cache()
    return s3fs.S3FileSystem(**options, use_listings_cache=False)


@pytest.fixture
def root(fs, request):
    name = "b-" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:55].strip("-")
    fs.mkdir(name)
    return name
