#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the program of a job reaches the store: with boto3 unmodified, by its own key, in real containers."""

import base64
import hashlib
import hmac
import pathlib
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

BOTO3 = ["boto3==1.44.8"]

# Every way to change something outside of what the job may write; each must be refused.
PROGRAM = """
import boto3, io, os, socket, sys
from botocore.config import Config
from botocore.exceptions import ClientError

s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
org, job, read, write = os.environ["ORG"], os.environ["CLOUDML_JOB_ID"], "team", "shared"
own = f"jobs/{job}/output"
assert os.environ["CLOUDML_OUTPUT_URI"] == f"fds://{org}/{own}/", os.environ["CLOUDML_OUTPUT_URI"]
assert os.environ["CLOUDML_CHECKPOINT_URI"] == f"fds://{org}/jobs/{job}/checkpoints/"
assert os.environ["AWS_ACCESS_KEY_ID"] == f"job.{job}.{os.environ['CLOUDML_ATTEMPT']}"
assert os.environ["CLOUDML_S3_ENDPOINT"] == os.environ["AWS_ENDPOINT_URL"]

# It reads what the organisation has, not what others have.
assert sorted(b["Name"] for b in s3.list_buckets()["Buckets"]) == sorted([org, read, write])
assert s3.get_object(Bucket=read, Key="data/a.txt")["Body"].read() == b"some data"
assert [o["Key"] for o in s3.list_objects_v2(Bucket=read)["Contents"]] == ["data/a.txt", "data/b.txt"]

# It writes its own places and those that the specification names: plain, large, copied, removed.
big = os.urandom(20 << 20)
s3.put_object(Bucket=org, Key=f"{own}/small", Body=b"x", ContentType="text/plain")
s3.upload_fileobj(io.BytesIO(big), org, f"{own}/big")
assert s3.get_object(Bucket=org, Key=f"{own}/big")["Body"].read() == big
s3.copy_object(Bucket=org, Key=f"{own}/copy", CopySource={"Bucket": read, "Key": "data/a.txt"})
s3.put_object(Bucket=org, Key=f"jobs/{job}/checkpoints/1", Body=b"c")
s3.put_object(Bucket=org, Key=f"jobs/{job}/tensorboard/events", Body=b"e")
s3.put_object(Bucket=write, Key="models/m/1", Body=b"m")
s3.put_object(Bucket=org, Key=f"{own}/gone", Body=b"")
s3.delete_object(Bucket=org, Key=f"{own}/gone")


def code(call, **how):
    try:
        call(**how)
    except ClientError as e:
        return e.response["Error"].get("Code")
    return "done"


upload = s3.create_multipart_upload(Bucket=org, Key=f"{own}/parts")["UploadId"]
tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
refused = []
for bucket, key in ((read, "data/a.txt"), (org, "x"), (org, f"jobs/{job}/logs/1.log"), (org, f"jobs/{job}/outputs/a"),
                    (org, "jobs/j000000000/output/a"), (write, "modelsx/a"), (write, "other")):
    at = {"Bucket": bucket, "Key": key}
    refused += [
        code(s3.put_object, Body=b"no", **at),
        code(s3.copy_object, CopySource={"Bucket": read, "Key": "data/b.txt"}, **at),
        code(s3.delete_object, **at),
        code(s3.delete_object, VersionId="null", **at),
        code(s3.create_multipart_upload, **at),
        code(s3.upload_part, UploadId=upload, PartNumber=1, Body=b"no", **at),
        code(s3.upload_part_copy, UploadId=upload, PartNumber=1, CopySource={"Bucket": read, "Key": "data/b.txt"}, **at),
        code(s3.complete_multipart_upload, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": "x"}]}, **at),
        code(s3.abort_multipart_upload, UploadId=upload, **at),
        code(s3.put_object_tagging, Tagging=tags, **at),
        code(s3.delete_object_tagging, **at),
        code(s3.put_object_acl, ACL="private", **at),
    ]
for bucket in (org, read, write):
    refused += [
        code(s3.create_bucket, Bucket=bucket),
        code(s3.delete_bucket, Bucket=bucket),
        code(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}),
        code(s3.put_bucket_tagging, Bucket=bucket, Tagging=tags),
        code(s3.delete_bucket_tagging, Bucket=bucket),
        code(s3.delete_bucket_cors, Bucket=bucket),
        code(s3.put_bucket_acl, Bucket=bucket, ACL="private"),
    ]
refused.append(code(s3.create_bucket, Bucket="brand-new"))
assert set(refused) == {"AccessDenied"}, refused

# A list of removals is judged key by key.
answer = s3.delete_objects(Bucket=org, Delete={"Objects": [{"Key": "x"}, {"Key": f"{own}/copy"}, {"Key": "keep"}]})
assert [d["Key"] for d in answer["Deleted"]] == [f"{own}/copy"], answer
assert sorted((e["Key"], e["Code"]) for e in answer["Errors"]) == [("keep", "AccessDenied"), ("x", "AccessDenied")], answer

# What belongs to another organisation is not there.
assert code(s3.get_object, Bucket="theirs", Key="canary") == "NoSuchBucket"
assert code(s3.list_objects_v2, Bucket="theirs") == "NoSuchBucket"
assert code(s3.put_object, Bucket="theirs", Key="x", Body=b"") in ("AccessDenied", "NoSuchBucket")
assert code(s3.copy_object, Bucket=org, Key=f"{own}/stolen", CopySource={"Bucket": "theirs", "Key": "canary"}) != "done"

# No other port of the machine can be reached.
open_ports = []
for port in map(int, os.environ["CLOSED_PORTS"].split(",")):
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
        open_ports.append(port)
    except OSError:
        pass
assert not open_ports, open_ports
print("all is as it should be", flush=True)
"""


class JobStore(platform.Case):
    def submit(self, name, program, **spec):
        packed = base64.b64encode(zlib.compress(program.encode())).decode()  # a command's words are limited
        line = f"import base64, zlib; exec(zlib.decompress(base64.b64decode('{packed}')))"
        status, job = self.p.api("POST", "/jobs", {"name": name, "command": ["python", "-c", line], **spec})
        self.assertEqual(status, 201, job)
        return job["id"]

    def secret_of(self, job, attempt=1):
        secret = pathlib.Path(self.p.data, "store-secret").read_bytes()
        return hmac.new(secret, f"s3 job.{job}.{attempt}".encode(), hashlib.sha256).hexdigest()[:40]

    def put(self, path, content, token=None):
        headers = {"Content-Type": "application/octet-stream"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        status, answer = self.p.api("PUT", f"/store/{path}", raw=content.encode(), headers=headers)
        self.assertIn(status, (200, 201), answer)

    def endpoint(self):
        return self.p.cli("--json", "store", "credentials").json()["endpoint"]

    def status_of(self, key, secret, path):
        """What the gateway answers to a presigned GET (version 2 of the signature)."""
        expires = int(time.time()) + 600
        text = f"GET\n\n\n{expires}\n/{path}"
        signature = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()
        query = urllib.parse.urlencode({"AWSAccessKeyId": key, "Expires": expires, "Signature": signature})
        try:
            with urllib.request.urlopen(f"{self.endpoint()}/{path}?{query}", timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as e:
            return e.code

    def files_with(self, text):
        found = []
        for path in pathlib.Path(self.p.data).rglob("*"):
            try:
                if path.is_file() and text.encode() in path.read_bytes():
                    found.append(str(path.relative_to(self.p.data)))
            except OSError:
                pass  # gone meanwhile
        return found

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for bucket in ("team", "shared"):
            cls.p.api("PUT", f"/store/{bucket}")

    def test_boto3_in_a_job_reads_all_and_writes_only_its_own(self):
        for path, content in (("team/data/a.txt", "some data"), ("team/data/b.txt", "more"), ("default/x", "stays"),
                              ("default/keep", "stays"), ("shared/modelsx/a", "stays")):
            self.put(path, content)
        for path, body in (("/orgs", {"name": "theirs"}), ("/orgs/theirs/users", {"name": "eve", "role": "admin"})):
            status, answer = self.p.api("POST", path, body)
            self.assertEqual(status, 201, answer)
        status, key = self.p.api("POST", "/orgs/theirs/keys", {"user": "eve"})
        self.assertEqual(status, 201, key)
        self.put("theirs/canary", "a canary", key["token"])
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        ports = {self.p.port, listener.getsockname()[1], int(self.endpoint().rsplit(":", 1)[1])} - {8333}
        for network in ("egress", "none"):
            job = self.submit(f"writes-{network}", PROGRAM, requirements=BOTO3, network=network,
                              env={"ORG": "default", "CLOSED_PORTS": ",".join(map(str, ports))},
                              store={"write": ["fds://shared/models"]})
            end = self.p.wait_job(job)
            self.assertEqual(end["state"], "completed", f"{end['message']}\n{self.p.logs(job)}")
            self.assertIn("all is as it should be", self.p.logs(job))
            self.assertEqual(self.p.cli("store", "cat", f"{end['output_uri']}small").ok().out, "x")
        self.assertEqual(self.p.cli("store", "cat", "fds://default/x").ok().out, "stays")
        self.assertEqual(self.p.cli("store", "cat", "fds://shared/modelsx/a").ok().out, "stays")

    def test_the_secret_is_nowhere_and_ends_with_the_attempt(self):
        self.put("team/seen", "seen")
        job = self.submit("canary", "import os, time; print(len(os.environ['AWS_SECRET_ACCESS_KEY']), flush=True); time.sleep(1000)")
        self.p.wait_log(job, "40")
        key, secret = f"job.{job}.1", self.secret_of(job)
        self.assertEqual(self.status_of(key, secret, "team/seen"), 200)
        self.assertEqual(self.status_of(key, secret[:-1] + "x", "team/seen"), 403)
        self.assertEqual(self.status_of(f"job.{job}.2", self.secret_of(job, 2), "team/seen"), 403)
        self.assertEqual(self.files_with(secret), [f"tasks/{job}-1-main-0/bundle/config.json"])
        told = [self.p.api("GET", path)[1] for path in
                (f"/jobs/{job}", "/jobs", f"/jobs/{job}/events", f"/jobs/{job}/logs", f"/jobs/{job}/explanation", "/status")]
        self.assertNotIn(secret, repr(told))
        self.p.api("POST", f"/jobs/{job}/cancel")
        self.p.wait_job(job, "cancelled")
        self.assertEqual(self.status_of(key, secret, "team/seen"), 403)
        self.assertEqual(self.files_with(secret), [])

    def test_a_job_that_brings_its_own_credentials_keeps_them(self):
        job = self.submit("own", """import os
for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "CLOUDML_S3_ENDPOINT"):
    print(name, os.environ.get(name))""", env={"AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "hidden"})
        self.assertEqual(self.p.wait_job(job)["state"], "completed")
        self.assertIn("AWS_ACCESS_KEY_ID mine\nAWS_SECRET_ACCESS_KEY hidden\nAWS_ENDPOINT_URL None\nCLOUDML_S3_ENDPOINT None",
                      self.p.logs(job).replace("\r", ""))

    def test_the_way_to_the_store_outlives_the_server(self):
        job = self.submit("stays", """import boto3, os
from botocore.config import Config
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
n = 0
while "Contents" not in s3.list_objects_v2(Bucket="team", Prefix="stop"):
    n += 1
    s3.put_object(Bucket="default", Key=f"jobs/{os.environ['CLOUDML_JOB_ID']}/output/{n}", Body=str(n).encode())
    if n == 3: print("begins", flush=True)
print("wrote", n, flush=True)""", requirements=BOTO3)
        self.p.wait_log(job, "begins")
        self.p.kill()
        self.p.start()
        self.put("team/stop", "")
        end = self.p.wait_job(job)
        self.assertEqual(end["state"], "completed", f"{end['message']}\n{self.p.logs(job)}")

    def test_outputs_are_saved_while_the_job_runs_and_whole_at_its_end(self):
        job = self.submit("saves", """import boto3, os, pathlib, time
from botocore.config import Config
from botocore.exceptions import ClientError
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
out = pathlib.Path(os.environ["CLOUDML_OUTPUT_DIR"])
(out / "deep").mkdir()
for name in ("early", "deep/changes", "temporary"):
    (out / name).write_text("first")
def saved(name):
    try:
        return s3.get_object(Bucket="default", Key=f"jobs/{os.environ['CLOUDML_JOB_ID']}/output/{name}")["Body"].read()
    except ClientError as e:
        assert e.response["Error"]["Code"] == "NoSuchKey", e
for name in ("early", "deep/changes", "temporary"):
    while saved(name) != b"first":
        time.sleep(0.2)
(out / "temporary").unlink()
(out / "deep/changes").write_text("second")
(out / "late").write_text("last")""", requirements=BOTO3, max_duration="3m")
        end = self.p.wait_job(job)
        self.assertEqual(end["state"], "completed", f"{end['message']}\n{self.p.logs(job)}")
        for name, content in (("early", "first"), ("deep/changes", "second"), ("late", "last")):
            self.assertEqual(self.p.cli("store", "cat", f"{end['output_uri']}{name}").ok().out, content)
        self.assertNotEqual(self.p.cli("store", "cat", f"{end['output_uri']}temporary").status, 0)


if __name__ == "__main__":
    platform.need_containers()
    platform.need_network()
    platform.main()
