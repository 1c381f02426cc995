# SPDX-License-Identifier: Apache-2.0
"""Over https clients send bodies in another form: unsigned chunks with a trailer, in chunks of HTTP's own."""
import base64
import io
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.request
import zlib

import boto3
import pytest
import s3fs
import urllib3.util.connection as connection
from botocore.config import Config


def seen_headers(s3):
    seen = []
    s3.meta.events.register("before-send.s3.*", lambda request, **kw: seen.append(dict(request.headers.items())) or None)
    return seen


def test_boto3_sends_a_trailer_in_chunks(secure):
    s3 = secure.client(verify=secure.certificate)
    seen = seen_headers(s3)
    s3.create_bucket(Bucket="secure")
    body = os.urandom(300001)
    s3.put_object(Bucket="secure", Key="k", Body=io.BytesIO(body))
    sent = {k.lower(): v if isinstance(v, str) else v.decode() for k, v in seen[-1].items()}
    assert sent["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER" and "content-length" not in sent
    got = s3.get_object(Bucket="secure", Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert base64.b64decode(got["ChecksumCRC32"]) == zlib.crc32(body).to_bytes(4, "big")
    assert got.get("ContentEncoding") in (None, "")
    big = os.urandom((17 << 20) + 3)
    s3.upload_fileobj(io.BytesIO(big), "secure", "big")
    back = io.BytesIO()
    s3.download_fileobj("secure", "big", back)
    assert back.getvalue() == big
    assert s3.get_object(Bucket="secure", Key="big", Range="bytes=1000-2000")["Body"].read() == big[1000:2001]


def test_the_bucket_is_in_the_host_name(secure):
    """As curl --resolve would: the name is under our domain, the address is the gateway's."""
    port = secure.endpoint.rsplit(":", 1)[1]
    real = socket.getaddrinfo
    connection.socket.getaddrinfo = lambda host, *a, **kw: real(
        "127.0.0.1" if isinstance(host, str) and host.endswith("store.localhost") else host, *a, **kw)
    try:
        s3 = boto3.client("s3", endpoint_url=f"https://store.localhost:{port}", region_name="us-east-1",
                          aws_access_key_id=secure.credentials["access_key_id"],
                          aws_secret_access_key=secure.credentials["secret_access_key"], verify=secure.certificate,
                          config=Config(s3={"addressing_style": "virtual"}, retries={"max_attempts": 0}))
        s3.create_bucket(Bucket="by-host")
        s3.put_object(Bucket="by-host", Key="a/b c", Body=b"1")
        assert s3.get_object(Bucket="by-host", Key="a/b c")["Body"].read() == b"1"
        assert [o["Key"] for o in s3.list_objects_v2(Bucket="by-host")["Contents"]] == ["a/b c"]
        s3.delete_object(Bucket="by-host", Key="a/b c")
        s3.delete_bucket(Bucket="by-host")
    finally:
        connection.socket.getaddrinfo = real


def aws(secure, *args):
    env = {"PATH": os.environ["PATH"], "HOME": secure.folder, "AWS_ACCESS_KEY_ID": secure.credentials["access_key_id"],
           "AWS_SECRET_ACCESS_KEY": secure.credentials["secret_access_key"], "AWS_DEFAULT_REGION": "us-east-1",
           "AWS_CA_BUNDLE": secure.certificate, "AWS_MAX_ATTEMPTS": "1", "PYTHONWARNINGS": "ignore"}
    r = subprocess.run([sys.executable, str(pathlib.Path(sys.executable).parent / "aws"), "--endpoint-url", secure.endpoint,
                        *args], env=env, capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, (args, r.stderr)
    return r.stdout


def test_awscli(secure, tmp_path):
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "a").write_bytes(b"a" * 1000)
    (tree / "sub" / "b").write_bytes(os.urandom(9 << 20))
    aws(secure, "s3", "mb", "s3://cli")
    aws(secure, "s3", "sync", str(tree), "s3://cli/tree")
    assert "sub/" in aws(secure, "s3", "ls", "s3://cli/tree/")
    aws(secure, "s3", "cp", "s3://cli/tree/sub/b", str(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == (tree / "sub" / "b").read_bytes()
    aws(secure, "s3", "sync", "s3://cli/tree", str(tmp_path / "back"))
    assert (tmp_path / "back" / "a").read_bytes() == b"a" * 1000
    address = aws(secure, "s3", "presign", "s3://cli/tree/a").strip()
    context = ssl.create_default_context(cafile=secure.certificate)
    assert urllib.request.urlopen(address, context=context).read() == b"a" * 1000
    aws(secure, "s3", "rm", "--recursive", "s3://cli/tree")
    assert aws(secure, "s3", "ls", "s3://cli/") == ""
    aws(secure, "s3", "rb", "s3://cli")


def test_s3fs(secure, tmp_path):
    fs = s3fs.S3FileSystem(key=secure.credentials["access_key_id"], secret=secure.credentials["secret_access_key"],
                           endpoint_url=secure.endpoint, client_kwargs={"verify": secure.certificate, "region_name": "us-east-1"})
    fs.mkdir("fsspec")
    with fs.open("fsspec/dir/x", "wb") as f:
        f.write(b"0123456789" * 700000)
    assert fs.info("fsspec/dir/x")["size"] == 7000000
    with fs.open("fsspec/dir/x", "rb") as f:
        f.seek(6999995)
        assert f.read() == b"56789"
    fs.mv("fsspec/dir/x", "fsspec/dir/y")
    assert fs.ls("fsspec/dir") == ["fsspec/dir/y"]
    fs.rm("fsspec", recursive=True)
    assert not fs.exists("fsspec")


def test_rclone(secure, tmp_path):
    rclone = shutil.which("rclone")
    if not rclone:
        pytest.skip("rclone is not installed")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a").write_bytes(b"1" * 100)
    (tmp_path / "t" / "b").write_bytes(os.urandom(6 << 20))
    remote = (f":s3,provider=Other,access_key_id={secure.credentials['access_key_id']},"
              f"secret_access_key={secure.credentials['secret_access_key']},endpoint='{secure.endpoint}',region=us-east-1:rclone")
    def run(*args):
        r = subprocess.run([rclone, "--ca-cert", secure.certificate, "--retries", "1", *args], timeout=60,
                           capture_output=True, text=True, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
        assert r.returncode == 0, (args, r.stderr)

    run("mkdir", remote)
    run("copy", str(tmp_path / "t"), remote)
    run("check", str(tmp_path / "t"), remote)
    run("purge", remote)
