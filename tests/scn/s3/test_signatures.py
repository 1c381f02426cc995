# SPDX-License-Identifier: Apache-2.0
"""
The matrix of bad signatures: form of payload x place of the signature x operation that writes x what is wrong.
Nothing is accepted and nothing changes. Each request is also sent as it should be, so that it is the spoiled
thing that is refused.
"""
import copy
import hashlib
import json
import random
import urllib.parse

import pytest
import signer
from botocore.config import Config

TAGS = b"<Tagging><TagSet><Tag><Key>evil</Key><Value>1</Value></Tag></TagSet></Tagging>"
CORS = (b"<CORSConfiguration><CORSRule><AllowedMethod>PUT</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"
        b"</CORSRule></CORSConfiguration>")
VERSIONING = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
DELETE = b"<Delete><Object><Key>k</Key></Object></Delete>"

# name, method, path, query, headers, body; {b} is the bucket, {u} the upload, {e} the ETag of its part
OPERATIONS = [
    ("CreateBucket", "PUT", "/{b}-new", [], {}, b""),
    ("DeleteBucket", "DELETE", "/{b}-empty", [], {}, b""),
    ("PutBucketVersioning", "PUT", "/{b}", [("versioning", "")], {}, VERSIONING),
    ("PutBucketAcl", "PUT", "/{b}", [("acl", "")], {"x-amz-acl": "private"}, b""),
    ("PutBucketCors", "PUT", "/{b}", [("cors", "")], {}, CORS),
    ("DeleteBucketCors", "DELETE", "/{b}", [("cors", "")], {}, b""),
    ("PutBucketTagging", "PUT", "/{b}", [("tagging", "")], {}, TAGS),
    ("DeleteBucketTagging", "DELETE", "/{b}", [("tagging", "")], {}, b""),
    ("DeleteObjects", "POST", "/{b}", [("delete", "")], {}, DELETE),
    ("PutObjectAcl", "PUT", "/{b}/k", [("acl", "")], {"x-amz-acl": "private"}, b""),
    ("PutObjectTagging", "PUT", "/{b}/k", [("tagging", "")], {}, TAGS),
    ("DeleteObjectTagging", "DELETE", "/{b}/k", [("tagging", "")], {}, b""),
    ("UploadPartCopy", "PUT", "/{b}/u", [("partNumber", "2"), ("uploadId", "{u}")],
     {"x-amz-copy-source": "/{b}/k"}, b""),
    ("UploadPart", "PUT", "/{b}/u", [("partNumber", "2"), ("uploadId", "{u}")], {}, b"part of an upload"),
    ("CompleteMultipartUpload", "POST", "/{b}/u", [("uploadId", "{u}")], {},
     b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{e}</ETag></Part></CompleteMultipartUpload>"),
    ("AbortMultipartUpload", "DELETE", "/{b}/u", [("uploadId", "{u}")], {}, b""),
    ("CreateMultipartUpload", "POST", "/{b}/new", [("uploads", "")], {}, b""),
    ("CopyObject", "PUT", "/{b}/new", [], {"x-amz-copy-source": "/{b}/k"}, b""),
    ("PutObject", "PUT", "/{b}/k", [], {}, b"what an intruder would have put"),
    ("DeleteObject", "DELETE", "/{b}/k", [], {}, b""),
]


def flip(text):
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def signature_bit(s):
    if s.place == "query":
        s.query[-1][1] = flip(s.query[-1][1])
    else:
        s.headers["Authorization"] = flip(s.headers["Authorization"])


def no_signature(s):
    if s.place == "query":
        s.query.pop()
    else:
        s.headers["Authorization"] = s.headers["Authorization"].rsplit(",", 1)[0]


def nobody(s):
    if s.place == "query":
        s.query = [q for q in s.query if not q[0].startswith("X-Amz")]
    else:
        del s.headers["Authorization"]


def both(s):
    if s.place == "query":
        s.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c"
    else:
        s.query.append(["X-Amz-Signature", "0" * 64])


def both_versions(s):
    s.query += [["AWSAccessKeyId", s.access_key], ["Signature", "x"], ["Expires", "9999999999"]]


def another_key(s):
    if s.place == "query":
        s.query = [[n, v.replace(s.access_key, flip(s.access_key))] for n, v in s.query]
    else:
        s.headers["Authorization"] = s.headers["Authorization"].replace(s.access_key, flip(s.access_key))


def header_added(s):
    s.headers["x-amz-meta-evil"] = "1"


def host_changed(s):
    s.headers["Host"] = "elsewhere:80"


def path_changed(s):
    s.path += "-2"


def query_added(s):
    s.query.append(["x", "1"])


def method_changed(s):
    s.method = "PUT" if s.method == "DELETE" else "DELETE"


def body_changed(s):
    if s.form == "unsigned":
        return False
    if s.form in signer.STREAMING and len(s.chunks) > 1:
        s.chunks[0][1] = b"X" + s.chunks[0][1][1:]
    elif s.form in signer.STREAMING:
        s.chunks.insert(0, [s.chunks[0][0], b"X"])
    else:
        s.body = b"X" + s.body[1:]


def chunk_signature(s):
    if not s.form.startswith("chunks"):
        return False
    s.chunks[-1][0] = flip(s.chunks[-1][0])


def chunk_dropped(s):
    if len(s.chunks) < 2:
        return False
    del s.chunks[0]


def chunks_swapped(s):
    if len(s.chunks) < 3:
        return False
    s.chunks[0], s.chunks[1] = s.chunks[1], s.chunks[0]


def last_chunk_dropped(s):
    if not s.chunks:
        return False
    del s.chunks[-1]


def trailer_changed(s):
    if not s.trailers:
        return False
    s.trailers[0][1] = "AAAAAQ=="


def trailer_signature(s):
    if len(s.trailers) < 2:
        return False
    s.trailers[1][1] = flip(s.trailers[1][1])


def trailer_dropped(s):
    if not s.trailers:
        return False
    del s.trailers[0]


def trailer_added(s):
    if s.form not in signer.STREAMING or s.form.endswith("unsigned-trailer"):
        return False
    s.trailers.insert(0, ["x-amz-meta-evil", "1"])


SPOILERS = [signature_bit, no_signature, nobody, both, both_versions, another_key, header_added, host_changed,
            path_changed, query_added, method_changed, body_changed, chunk_signature, chunk_dropped, chunks_swapped,
            last_chunk_dropped, trailer_changed, trailer_signature, trailer_dropped, trailer_added]


class Ground:
    """A bucket with something in it, and what the store looks like."""

    def __init__(self, gateway, name):
        self.s3, self.b = gateway.client(), name
        self.credentials = gateway.credentials
        host, port = gateway.endpoint.split("//")[1].split(":")
        self.address = (host, int(port))
        self.reset()

    def reset(self):
        s3, b = self.s3, self.b
        for name in (f"{b}-new", b, f"{b}-empty"):
            try:
                for v in s3.list_object_versions(Bucket=name).get("Versions", []) + s3.list_object_versions(
                        Bucket=name).get("DeleteMarkers", []):
                    s3.delete_object(Bucket=name, Key=v["Key"], VersionId=v["VersionId"])
                for u in s3.list_multipart_uploads(Bucket=name).get("Uploads", []):
                    s3.abort_multipart_upload(Bucket=name, Key=u["Key"], UploadId=u["UploadId"])
                s3.delete_bucket(Bucket=name)
            except s3.exceptions.ClientError as e:
                assert e.response["Error"]["Code"] == "NoSuchBucket", e
        s3.create_bucket(Bucket=b)
        s3.create_bucket(Bucket=f"{b}-empty")
        s3.put_object(Bucket=b, Key="k", Body=b"what belongs here", Tagging="good=1")
        s3.put_bucket_tagging(Bucket=b, Tagging={"TagSet": [{"Key": "good", "Value": "1"}]})
        s3.put_bucket_cors(Bucket=b, CORSConfiguration={
            "CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://good.example"]}]})
        self.upload = s3.create_multipart_upload(Bucket=b, Key="u")["UploadId"]
        self.etag = s3.upload_part(Bucket=b, Key="u", UploadId=self.upload, PartNumber=1, Body=b"1")["ETag"]

    def seen(self):
        s3, b = self.s3, self.b
        answers = [sorted(x["Name"] for x in s3.list_buckets()["Buckets"]), s3.list_object_versions(Bucket=b),
                   s3.get_object(Bucket=b, Key="k"), s3.get_object_tagging(Bucket=b, Key="k"), s3.get_bucket_cors(Bucket=b),
                   s3.get_bucket_tagging(Bucket=b), s3.get_bucket_versioning(Bucket=b),
                   s3.list_multipart_uploads(Bucket=b), s3.list_parts(Bucket=b, Key="u", UploadId=self.upload)]
        for a in answers[1:]:
            del a["ResponseMetadata"]
        answers[2]["Body"] = answers[2]["Body"].read()
        return json.dumps(answers, default=str, sort_keys=True)

    def request(self, operation, form, place, **kw):
        _, method, path, query, headers, body = operation
        fill = lambda t: t.replace("{b}", self.b).replace("{u}", self.upload).replace("{e}", self.etag)
        return signer.make(self.credentials, method, fill(path), [(n, fill(v)) for n, v in query],
                           {n: fill(v) for n, v in headers.items()}, fill(body.decode()).encode(), form, place, **kw)


def refused(answer, what):
    assert not 200 <= answer[0] < 300, (what, answer)


def spoiled_in_the_making(ground, operation, form, place):
    """Requests whose signature is right for what they say, but which say something that must not be."""
    wrong = dict(ground.credentials, secret_access_key="0" * 40)
    right, ground.credentials = ground.credentials, wrong
    yield "another secret", ground.request(operation, form, place), 0
    ground.credentials = right
    yield "from the future", ground.request(operation, form, place, date=signer.stamp(16 * 60)), 0
    yield "from the past", ground.request(operation, form, place, date=signer.stamp(-16 * 60)), 0
    yield "unknown form", ground.request(operation, "unknown", place), 0
    if operation[-1]:
        yield "cut off", ground.request(operation, form, place), 3
    if form in signer.STREAMING:
        yield "too long", ground.request(operation, form, place, length=len(operation[-1]) + 90), 0
        yield "too short", ground.request(operation, form, place, length=0 if operation[-1] else -1), 0


def test_no_bad_signature_is_accepted(gateway):
    ground, count = Ground(gateway, "matrix"), 0
    before = ground.seen()
    for operation in OPERATIONS:
        for form in signer.FORMS:
            for place in ("header", "query"):
                right = ground.request(operation, form, place)
                for spoil in SPOILERS:
                    s = copy.deepcopy(right)
                    if spoil(s) is not False:
                        refused(s.send(ground.address), (operation[0], form, place, spoil.__name__))
                        count += 1
                for what, s, cut in spoiled_in_the_making(ground, operation, form, place):
                    refused(s.send(ground.address, cut), (operation[0], form, place, what))
                    count += 1
    assert ground.seen() == before
    print(f"{count} bad requests, 0 accepted")
    assert count > 4000


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o[0])
def test_the_same_requests_unspoiled_are_accepted(gateway, operation):
    ground = Ground(gateway, "right")
    before, changed = ground.seen(), False
    for form, place in [(f, p) for f in signer.FORMS for p in ("header", "query")]:
        status, body = ground.request(operation, form, place).send(ground.address)
        assert 200 <= status < 300, (form, place, body)
        if (form, place) == ("hashed", "header"):
            try:
                changed = ground.seen() != before
            except ground.s3.exceptions.ClientError:  # what the snapshot looks at is gone
                changed = True
        ground.reset()
    assert changed != operation[0].endswith("Acl")


def test_random_changes_of_signed_requests_are_refused(gateway):
    """One character of a signed request's target or of a signed header becomes another."""
    ground, rng, count = Ground(gateway, "random"), random.Random(7), 0
    before = ground.seen()
    for _ in range(600):
        operation = rng.choice(OPERATIONS)
        s = ground.request(operation, rng.choice(signer.FORMS), rng.choice(["header", "query"]))
        where = rng.choice(["path", "query", "header"])
        letter = lambda text, i: text[:i] + rng.choice([c for c in "abc019-_" if c != text[i].lower()]) + text[i + 1:]
        if where == "path":
            s.path = letter(s.path, rng.randrange(1, len(s.path)))
        elif where == "query" and s.query:
            pair = rng.choice([q for q in s.query if q[1]] or [["x", "y"]])
            pair[1] = letter(pair[1], rng.randrange(len(pair[1])))
            if pair == ["x", "y"] or all(q is not pair for q in s.query):
                continue
        else:
            name = rng.choice([n for n in s.headers if n not in ("Authorization", "Content-Encoding") or
                               n == "Content-Encoding"])
            s.headers[name] = letter(s.headers[name], rng.randrange(len(s.headers[name])))
        refused(s.send(ground.address), (operation[0], s.form, s.place, where, s.path, s.query, s.headers))
        count += 1
    assert ground.seen() == before
    print(f"{count} changed requests, 0 accepted")


def test_a_v2_address_says_what_was_signed(gateway):
    s3 = gateway.client(config=Config(
        signature_version="s3", s3={"addressing_style": "path"}, retries={"max_attempts": 0}))
    ground = Ground(gateway, "by-address")
    before = ground.seen()
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "by-address", "Key": "k"})
    path, query = put.split(gateway.endpoint)[1].split("?")
    pairs = [q.split("=", 1) for q in query.split("&")]
    pairs = [[n, urllib.parse.unquote(v)] for n, v in pairs]
    host = gateway.endpoint.split("//")[1]
    right = signer.Signed("PUT", path, pairs, {"Host": host}, b"put by an address", "unsigned", "query", "", "", "")
    spoilers = {"path": lambda s: setattr(s, "path", "/by-address/other"),
                "method": lambda s: setattr(s, "method", "DELETE"),
                "acl": lambda s: s.query.append(["acl", ""]),
                "tagging": lambda s: s.query.append(["tagging", ""]),
                "upload": lambda s: s.query.extend([["uploadId", ground.upload], ["partNumber", "1"]]),
                "header": lambda s: s.headers.update({"x-amz-copy-source": "/by-address/k"}),
                "chunks": lambda s: s.headers.update({"x-amz-content-sha256": signer.STREAMING["chunks"]}),
                "type": lambda s: s.headers.update({"Content-Type": "text/evil"}),
                "md5": lambda s: s.headers.update({"Content-MD5": "x"}),
                "expires": lambda s: [q.__setitem__(1, q[1] + "0") for q in s.query if q[0] == "Expires"],
                "signature": lambda s: [q.__setitem__(1, "A" + q[1][1:] if q[1][0] != "A" else "B" + q[1][1:])
                                        for q in s.query if q[0] == "Signature"],
                "key": lambda s: [q.__setitem__(1, flip(q[1])) for q in s.query if q[0] == "AWSAccessKeyId"]}
    for what, spoil in spoilers.items():
        s = copy.deepcopy(right)
        spoil(s)
        refused(s.send(ground.address), what)
    assert ground.seen() == before
    assert right.send(ground.address)[0] == 200
    assert hashlib.md5(b"put by an address").hexdigest() in ground.s3.head_object(Bucket="by-address", Key="k")["ETag"]
