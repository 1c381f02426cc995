# SPDX-License-Identifier: Apache-2.0
"""Names that look like paths, against a dictionary: whatever a key looks like, it is that key and nothing else."""
import http.client
import os
import random

import pytest
import signer

PIECES = ["..", ".", "/", "//", "a", "b", "%2F", "%2e%2e", "%", "%00", "+", " ", "?", "#", "&", "=", "\\", "~", "ü", "e\u0301", "日本",
          "\U0001f600", "etc/passwd", "segments", "index", "'", '"', "<", ";", ":", "*", "x" * 50, "\t", "\x7f"]
STEPS = 250


def random_key(rng):
    if rng.randrange(20) == 0:
        return "".join(rng.choices("abc/ü", k=2000)).encode()[:1024].decode(errors="ignore")
    return "".join(rng.choices(PIECES, k=rng.randint(1, 7)))


def encode(rng, key):
    """One of the many ways to write a key in a request line."""
    plain = b"abcdefghijklmnopqrstuvwxyz0123456789-._~/"
    return "".join(chr(c) if c in plain and rng.randrange(10) else ("%%%02x" if rng.randrange(2) else "%%%02X") % c
                   for c in key.encode())


def call(gateway, rng, method, bucket, key, body=b""):
    request = signer.make(gateway.credentials, method, f"/{bucket}/{key}", body=body)
    host, port = gateway.endpoint.split("//")[1].split(":")
    c = http.client.HTTPConnection(host, int(port), timeout=20)
    c.putrequest(method, f"/{bucket}/{encode(rng, key)}", skip_host=True, skip_accept_encoding=True)
    for name, value in request.headers.items():
        c.putheader(name, value)
    c.putheader("Content-Length", str(len(body)))
    c.endheaders(body)
    answer = c.getresponse()
    data = answer.read()
    c.close()
    return answer.status, data


def names(folder):
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_key_is_a_key(gateway, s3, bucket, seed):
    rng, model = random.Random(seed), {}
    before = names(gateway.folder), names(os.path.join(gateway.folder, "objects"))
    keys = [random_key(rng) for _ in range(60)]
    for step in range(STEPS):
        key, method = rng.choice(keys), rng.choice(["PUT", "PUT", "GET", "DELETE", "HEAD"])
        body = f"{seed} {step}".encode() if method == "PUT" else b""
        status, data = call(gateway, rng, method, bucket, key, body)
        where = (seed, step, method, key)
        if method == "PUT":
            assert status == 200, where
            model[key] = body
        elif method == "DELETE":
            assert status == 204, where
            model.pop(key, None)
        elif key in model:
            assert status == 200 and (method == "HEAD" or data == model[key]), where
        else:
            assert status == 404, where
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 7})
    listed = [o["Key"] for page in pages for o in page.get("Contents", [])]
    assert listed == sorted(model, key=str.encode) and len(model) > 10
    for key, body in model.items():
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body, (seed, key)
    assert (names(gateway.folder), names(os.path.join(gateway.folder, "objects"))) == before
