# SPDX-License-Identifier: Apache-2.0
"""The FDS dialect: the real SDK, and requests by hand with something wrong."""
import base64
import email.utils
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import subprocess
import sys
import time
from urllib.parse import quote

import pytest

HERE = pathlib.Path(__file__).parent
SIGNED = ["acl", "quota", "uploads", "partNumber", "uploadId", "storageAccessToken", "metadata"]


def test_the_unmodified_sdk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root, for a network namespace in which the SDK's host is the gateway")
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost cnbj1.fds.api.xiaomi.com\n")
    script = f"mount --make-rprivate / && mount --bind {hosts} /etc/hosts && ip link set lo up && exec {sys.executable} fds_session.py"
    r = subprocess.run(["unshare", "--net", "--mount", "sh", "-c", script], cwd=HERE, capture_output=True, text=True,
                       timeout=200)
    assert r.returncode == 0 and "the session is over" in r.stdout, r.stdout + r.stderr


def sign(secret, method, path, query, headers, when):
    extra = "".join(f"{n}:{v}\n" for n, v in sorted(headers.items()) if n.startswith("x-xiaomi-"))
    pairs = sorted(f"{n}={v}" for n, v in query if n in SIGNED)
    text = (f"{method}\n{headers.get('content-md5', '')}\n{headers.get('content-type', '')}\n{when}\n{extra}{path}"
            + ("?" + "&".join(pairs) if pairs else ""))
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), "sha1").digest()).decode()


class Call:
    """A request that is right: change a field, then send()."""

    def __init__(self, credentials, method, path, query=(), body=b"", place="header", skew=0):
        self.method, self.path, self.query, self.body, self.place = method, path, [list(q) for q in query], body, place
        key, secret = credentials["access_key_id"], credentials["secret_access_key"]
        self.headers = {"content-type": "a/b", "content-md5": hashlib.md5(body).hexdigest(), "x-xiaomi-meta-a": "1"}
        if place == "header":
            self.headers["date"] = email.utils.formatdate(time.time() + skew, usegmt=True)
            signature = sign(secret, method, path, query, self.headers, self.headers["date"])
            self.headers["authorization"] = f"Galaxy-V2 {key}:{signature}"
        else:
            when = str(int((time.time() + 100 + skew) * 1000))
            self.query += [["GalaxyAccessKeyId", key], ["Expires", when],
                           ["Signature", sign(secret, method, path, query, self.headers, when)]]

    def send(self, endpoint):
        c = http.client.HTTPConnection(endpoint.split("//")[1], timeout=20)
        query = "&".join(f"{n}={v}" for n, v in self.query)
        c.request(self.method, quote(self.path) + ("?" + query if query else ""), self.body, self.headers)
        answer = c.getresponse()
        status, body = answer.status, answer.read()
        c.close()
        return status, body


def respell(c, old, new):
    """In the signature's place."""
    if c.place == "header":
        c.headers["authorization"] = c.headers["authorization"].replace(old, new)
    else:
        for q in c.query:
            q[1] = q[1].replace(old, new) if q[0] in ("Signature", "GalaxyAccessKeyId") else q[1]


def signature_of(c):
    return c.headers["authorization"].split(":")[1] if c.place == "header" else c.query[-1][1]


SPOILERS = {
    "signature": lambda c: respell(c, signature_of(c), ("B" if signature_of(c)[0] == "A" else "A") + signature_of(c)[1:]),
    "no signature": lambda c: respell(c, signature_of(c), ""),
    "half a signature": lambda c: respell(c, signature_of(c), signature_of(c)[:14]),
    "another key": lambda c: respell(c, "k", "q"),
    "header added": lambda c: c.headers.update({"x-xiaomi-meta-b": "1"}),
    "header changed": lambda c: c.headers.update({"x-xiaomi-meta-a": "2"}),
    "header dropped": lambda c: c.headers.pop("x-xiaomi-meta-a"),
    "path": lambda c: setattr(c, "path", c.path + "-2"),
    "method": lambda c: setattr(c, "method", "DELETE" if c.method == "PUT" else "PUT"),
    "type": lambda c: c.headers.update({"content-type": "a/c"}),
    "md5": lambda c: c.headers.update({"content-md5": "0" * 32}),
    "md5 dropped": lambda c: c.headers.pop("content-md5"),
    "parameter added": lambda c: c.query.append(["acl", ""]),
    "parameter of S3": lambda c: c.query.append(["X-Amz-Signature", "0"]),
    "parameter of version 2": lambda c: c.query.append(["AWSAccessKeyId", "x"]),
    "date": lambda c: c.headers.update({"date": email.utils.formatdate(time.time() + 60, usegmt=True)})
    if c.place == "header" else c.query.__setitem__(-2, ["Expires", c.query[-2][1] + "0"]),
    "x-xiaomi-date": lambda c: c.headers.update({"x-xiaomi-date": email.utils.formatdate(usegmt=True)}),
}
# Only in an address: a header's signature says nothing of these by design, and it is good for 15 minutes.
ADDRESS_SPOILERS = {n: (lambda n: lambda c: c.query.append([n, "x"]))(n)
                    for n in ("renameTo", "cp", "deleteObjects", "versionId", "prefix", "%72enameTo", "response-content-type")}

OPERATIONS = [
    ("PUT", "/fds-new", [], b""), ("DELETE", "/fds", [], b""), ("PUT", "/fds", [("deleteObjects", "true")], b'["k"]'),
    ("PUT", "/fds/k", [], b"what an intruder would have put"), ("DELETE", "/fds/k", [], b""),
    ("PUT", "/fds/n", [("cp", "cpparam")], b'{"srcBucketName": "fds", "srcObjectName": "k"}'),
    ("PUT", "/fds/k", [("renameTo", "m")], b""), ("PUT", "/fds/u", [("uploads", "true")], b""),
    ("PUT", "/fds/u", [("uploadId", "{u}"), ("partNumber", "2")], b"a part"),
    ("PUT", "/fds/u", [("uploadId", "{u}")], b'{"uploadPartResultList": [{"partNumber": 1, "etag": "{e}"}]}'),
    ("DELETE", "/fds/u", [("uploadId", "{u}")], b""),
]


def seen(s3, upload):
    answers = [sorted(b["Name"] for b in s3.list_buckets()["Buckets"]), s3.list_object_versions(Bucket="fds"),
               s3.head_object(Bucket="fds", Key="k"), s3.list_multipart_uploads(Bucket="fds"),
               s3.list_parts(Bucket="fds", Key="u", UploadId=upload)]
    for a in answers[1:]:
        del a["ResponseMetadata"]
    return json.dumps(answers, default=str, sort_keys=True)


def test_no_bad_signature_is_accepted(gateway):
    s3, count = gateway.client(), 0
    s3.create_bucket(Bucket="fds")
    s3.put_object(Bucket="fds", Key="k", Body=b"what belongs here")
    upload = s3.create_multipart_upload(Bucket="fds", Key="u")["UploadId"]
    etag = s3.upload_part(Bucket="fds", Key="u", UploadId=upload, PartNumber=1, Body=b"1")["ETag"].strip('"')
    before = seen(s3, upload)

    def make(operation, place, credentials=gateway.credentials, **kw):
        method, path, query, body = operation
        return Call(credentials, method, path, [(n, v.replace("{u}", upload)) for n, v in query],
                    body.replace(b"{e}", etag.encode()), place, **kw)

    wrong = dict(gateway.credentials, secret_access_key="0" * 40)
    for operation in OPERATIONS:
        for place in ("header", "query"):
            calls = {"another secret": make(operation, place, wrong), "late": make(operation, place, skew=-16 * 60)}
            if place == "header":
                calls["early"] = make(operation, place, skew=16 * 60)
            for what, spoil in {**SPOILERS, **(ADDRESS_SPOILERS if place == "query" else {})}.items():
                if what.startswith("x-xiaomi-date") and place == "query":
                    continue
                calls[what] = make(operation, place)
                spoil(calls[what])
            for what, call in calls.items():
                status, body = call.send(gateway.endpoint)
                assert 400 <= status < 500, (operation, place, what, status, body)
                count += 1
    assert seen(s3, upload) == before
    print(f"{count} bad requests, 0 accepted")
    # Unspoiled they are what they say; parameters that are not signed are refused in an address.
    for operation in OPERATIONS[3], OPERATIONS[7], OPERATIONS[8], OPERATIONS[9], OPERATIONS[5], OPERATIONS[6]:
        for place in ("header", "query"):
            unsigned = operation[2] and operation[2][0][0] not in SIGNED
            again = operation in (OPERATIONS[9],) and place == "query"  # the upload is over by then
            status, body = make(operation, place).send(gateway.endpoint)
            assert status == (403 if unsigned and place == "query" else 404 if again else 200), (operation, place, body)


def test_what_fds_does_not_sign_means_nothing(gateway):
    s3 = gateway.client()
    s3.create_bucket(Bucket="fds-more")
    s3.put_object(Bucket="fds-more", Key="secret", Body=b"not for the holder of an address")
    call = Call(gateway.credentials, "PUT", "/fds-more/k", body=b"mine", place="query")
    call.headers.update({"x-amz-copy-source": "/fds-more/secret", "x-amz-meta-evil": "1"})
    assert call.send(gateway.endpoint)[0] == 200
    got = s3.get_object(Bucket="fds-more", Key="k")
    assert (got["Body"].read(), got["Metadata"]) == (b"mine", {"a": "1"})
    status, body = Call(gateway.credentials, "GET", "/fds-more/nothing").send(gateway.endpoint)
    assert status == 404 and json.loads(body)["code"] == "NoSuchKey"
    status, body = Call(gateway.credentials, "PUT", "/fds-more", [("lifecycle", "true")]).send(gateway.endpoint)
    assert status == 501
    # A part without an upload.
    status, body = Call(gateway.credentials, "PUT", "/fds-more/k", [("partNumber", "1")]).send(gateway.endpoint)
    assert status == 400, body
