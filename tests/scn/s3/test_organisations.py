# SPDX-License-Identifier: Apache-2.0
"""
Two organisations with canaries in everything that has a content, and in names of which the other knows nothing.
Each asks for those of the other's things whose names it knows, in random requests over all operations and in both
dialects: no canary is seen, nothing changes, and what is another's answers as what is not there.
"""
import json
import random
import re

import signer
import test_fds

COUNT = 1500


def organisation(gateway, name):
    gateway.cli("org", "create", name)
    gateway.cli("user", "create", "ada", "--org", name, "--role", "admin")
    token = gateway.cli("key", "create", "--org", name, "--user", "ada", "--quiet").strip().splitlines()[-1]
    return json.loads(gateway.cli("store", "credentials", "--json", token=token))


class Side:
    """What an organisation has; every name and text has its canary in it."""

    def __init__(self, gateway, name):
        self.canary, self.secret = f"known{name}", f"canary{name}"
        self.credentials = organisation(gateway, name)
        self.s3 = s3 = gateway.client(self.credentials)
        self.bucket, self.key = f"{self.canary}-bucket", f"dir/{self.canary}-key"
        self.scratch = f"scratch-{name}"  # where the other's things would be copied to
        s3.create_bucket(Bucket=self.scratch)
        s3.create_bucket(Bucket=self.bucket)
        s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})
        self.version = s3.put_object(Bucket=self.bucket, Key=self.key, Body=self.secret.encode(), ContentType=f"text/{self.secret}",
                                     Metadata={"m": self.secret}, Tagging=f"t={self.secret}")["VersionId"]
        s3.put_object(Bucket=self.bucket, Key="plain", Body=self.secret.encode())
        s3.put_object(Bucket=self.bucket, Key=f"dir/{self.secret}", Body=b"")
        s3.create_bucket(Bucket=f"{self.secret}-bucket")
        s3.put_bucket_tagging(Bucket=self.bucket, Tagging={"TagSet": [{"Key": "t", "Value": self.secret}]})
        s3.put_bucket_cors(Bucket=self.bucket, CORSConfiguration={
            "CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": [f"https://{self.secret}"]}]})
        self.upload = s3.create_multipart_upload(Bucket=self.bucket, Key=f"{self.canary}-upload")["UploadId"]
        self.etag = s3.upload_part(Bucket=self.bucket, Key=f"{self.canary}-upload", UploadId=self.upload, PartNumber=1,
                                   Body=self.secret.encode())["ETag"].strip('"')

    def seen(self):
        s3 = self.s3
        answers = [s3.list_buckets()["Buckets"], s3.list_object_versions(Bucket=self.bucket),
                   s3.get_bucket_cors(Bucket=self.bucket), s3.get_bucket_tagging(Bucket=self.bucket),
                   s3.get_object_tagging(Bucket=self.bucket, Key=self.key), s3.get_bucket_versioning(Bucket=self.bucket),
                   s3.list_multipart_uploads(Bucket=self.bucket),
                   s3.list_parts(Bucket=self.bucket, Key=f"{self.canary}-upload", UploadId=self.upload)]
        for a in answers[1:]:
            del a["ResponseMetadata"]
        return json.dumps(answers, default=str, sort_keys=True)


SUBRESOURCES = ["acl", "cors", "tagging", "versioning", "versions", "uploads", "location", "lifecycle", "policy",
                "attributes", "delete", "list-type", "uploadId", "partNumber", "versionId", "prefix", "marker",
                "key-marker", "continuation-token", "start-after", "deleteObjects", "cp", "renameTo", "metadata"]


def body_of(rng, other):
    return rng.choice([
        b"", b"bytes", f"<Delete><Object><Key>{other.key}</Key></Object></Delete>".encode(),
        (f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{other.etag}</ETag></Part>"
         f"</CompleteMultipartUpload>").encode(),
        b"<Tagging><TagSet><Tag><Key>evil</Key><Value>1</Value></Tag></TagSet></Tagging>",
        b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>", b'["plain"]',
        json.dumps({"srcBucketName": other.bucket, "srcObjectName": other.key}).encode(),
        json.dumps({"uploadPartResultList": [{"partNumber": 1, "etag": other.etag}]}).encode()])


def request(rng, mine, other):
    method = rng.choice(["GET", "HEAD", "PUT", "POST", "DELETE"])
    bucket = rng.choice([other.bucket, other.bucket, mine.scratch]) if method != "DELETE" else other.bucket
    key = rng.choice(["", "/" + other.key, "/plain", f"/{other.canary}-upload", "/x"])
    values = {"uploadId": other.upload, "partNumber": "1", "versionId": other.version, "prefix": "dir/", "list-type": "2",
              "renameTo": other.key, "marker": "a", "key-marker": "a", "start-after": "a"}
    query = [(n, values.get(n, "")) for n in rng.sample(SUBRESOURCES, rng.randrange(3))]
    headers = {}
    if method == "PUT" and rng.random() < 0.4:
        headers["x-amz-copy-source"] = rng.choice([f"/{other.bucket}/{other.key}", f"{other.bucket}/plain",
                                                   f"/{other.bucket}/{other.key}?versionId={other.version}"])
    if method == "GET" and rng.random() < 0.3:
        headers["x-amz-object-attributes"] = "ETag,ObjectSize"
    return method, f"/{bucket}{key}", query, headers, body_of(rng, other)


def test_no_request_sees_or_changes_what_is_anothers(gateway):
    rng = random.Random(11)
    sides = [Side(gateway, "orgone"), Side(gateway, "orgtwo")]
    before = [s.seen() for s in sides]
    host, port = gateway.endpoint.split("//")[1].split(":")
    leaks = writes = 0
    for i in range(COUNT):
        mine, other = sides if i % 2 else sides[::-1]
        method, path, query, headers, body = request(rng, mine, other)
        if rng.random() < 0.3:
            status, answer = test_fds.Call(mine.credentials, method, path, query, body).send(gateway.endpoint)
        else:
            s = signer.make(mine.credentials, method, path, query, headers, body, rng.choice(signer.FORMS),
                            rng.choice(["header", "query"]))
            status, answer = s.send((host, int(port)))
        leaks += other.secret.encode() in answer
        writes += method != "GET" and 200 <= status < 300 and path.startswith(f"/{other.bucket}")
        if path.startswith(f"/{other.bucket}"):  # the same as of a bucket that never was
            assert status >= 400, (method, path, query, headers, status, answer)
    assert [s.seen() for s in sides] == before
    for mine, other in (sides, sides[::-1]):
        for o in mine.s3.list_objects_v2(Bucket=mine.scratch).get("Contents", []):
            assert other.secret.encode() not in mine.s3.get_object(Bucket=mine.scratch, Key=o["Key"])["Body"].read()
    print(f"{COUNT} requests, {leaks} canaries seen, {writes} writes")
    assert (leaks, writes) == (0, 0)


def test_what_is_anothers_answers_as_what_is_not_there(gateway):
    one, two = Side(gateway, "orgthree"), Side(gateway, "orgfour")
    host, port = gateway.endpoint.split("//")[1].split(":")
    for method, rest, query in [("GET", "", []), ("HEAD", "", []), ("GET", "/plain", []), ("HEAD", "/plain", []),
                                ("GET", "", [("cors", "")]), ("GET", "", [("versions", "")]), ("GET", "", [("uploads", "")]),
                                ("GET", "/plain", [("tagging", "")]), ("DELETE", "", []), ("DELETE", "/plain", []),
                                ("PUT", "/plain", []), ("POST", "/plain", [("uploads", "")])]:
        answers = []
        for bucket in (two.bucket, "knownorgfive-bucket"):
            status, body = signer.make(one.credentials, method, f"/{bucket}{rest}", query).send((host, int(port)))
            text = re.sub(rb"<RequestId>.*?</RequestId>", b"", body).replace(bucket.encode(), b"BUCKET")
            answers.append((status, text))
        assert answers[0] == answers[1] and answers[0][0] == 404, (method, rest, query, answers)
