# SPDX-License-Identifier: Apache-2.0
"""What programs do with boto3."""
import base64
import io
import os
import urllib.error
import urllib.request
import zlib

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

KEYS = ["plain", "a/b c+ä.txt", "dir/", "a//b", "../up", "q?x=1&y=%41#z", "tilde~()!*'", "\u65e5\u672c"]


def code(call, **kw):
    with pytest.raises(ClientError) as e:
        call(**kw)
    return e.value.response["Error"]["Code"]


@pytest.mark.parametrize("key", KEYS)
def test_an_object_comes_back_as_it_was_put(s3, bucket, key):
    put = s3.put_object(Bucket=bucket, Key=key, Body=b"hello", ContentType="text/x", Metadata={"one": "1"},
                        CacheControl="no-cache")
    assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == b"hello"
    assert (got["ContentType"], got["Metadata"], got["CacheControl"]) == ("text/x", {"one": "1"}, "no-cache")
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert [o["Key"] for o in s3.list_objects(Bucket=bucket)["Contents"]] == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    assert code(s3.get_object, Bucket=bucket, Key=key) == "NoSuchKey"


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_checksums_are_checked_kept_and_returned(s3, bucket, algorithm):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"123456789", ChecksumAlgorithm=algorithm)
    known = {"CRC32": 0xCBF43926.to_bytes(4, "big"), "CRC32C": 0xE3069283.to_bytes(4, "big"),
             "CRC64NVME": 0xAE8B14860A799888.to_bytes(8, "big")}
    if algorithm in known:
        assert base64.b64decode(put["Checksum" + algorithm]) == known[algorithm]
    got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert got["Checksum" + algorithm] == put["Checksum" + algorithm]
    wrong = base64.b64encode(bytes(len(base64.b64decode(put["Checksum" + algorithm])))).decode()
    assert code(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **{"Checksum" + algorithm: wrong}) in (
        "XAmzContentChecksumMismatch", "BadDigest")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"123456789"


def test_large_files_go_and_come_in_parts(s3, bucket):
    content = os.urandom((20 << 20) + 17)
    s3.upload_fileobj(io.BytesIO(content), bucket, "big")
    back = io.BytesIO()
    s3.download_fileobj(bucket, "big", back)
    assert back.getvalue() == content
    head = s3.head_object(Bucket=bucket, Key="big")
    assert head["ContentLength"] == len(content) and head["ETag"].endswith('-3"')
    part = s3.get_object(Bucket=bucket, Key="big", PartNumber=2)
    assert part["Body"].read() == content[8 << 20:16 << 20]
    s3.copy({"Bucket": bucket, "Key": "big"}, bucket, "copy")
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == content
    for first, last in [(0, 0), (5 << 20, (9 << 20) + 3), (len(content) - 1, len(content) + 99)]:
        got = s3.get_object(Bucket=bucket, Key="big", Range=f"bytes={first}-{last}")
        assert got["Body"].read() == content[first:last + 1]
    assert code(s3.get_object, Bucket=bucket, Key="big", Range=f"bytes={len(content)}-") == "InvalidRange"
    assert s3.list_multipart_uploads(Bucket=bucket).get("Uploads") is None


def test_parts_by_hand(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ContentType="a/b", Metadata={"m": "v"})["UploadId"]
    assert code(s3.upload_part, Bucket=bucket, Key="k", UploadId="nonsense", PartNumber=1, Body=b"x") == "NoSuchUpload"
    s3.put_object(Bucket=bucket, Key="source", Body=b"0123456789")
    one = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=bytes(5 << 20))
    two = s3.upload_part_copy(Bucket=bucket, Key="k", UploadId=upload, PartNumber=2,
                              CopySource={"Bucket": bucket, "Key": "source"}, CopySourceRange="bytes=2-4")
    listed = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)["Parts"]
    assert [(p["PartNumber"], p["Size"]) for p in listed] == [(1, 5 << 20), (2, 3)]
    tags = [one["ETag"], two["CopyPartResult"]["ETag"]]
    finish = lambda *parts: {"Parts": [{"PartNumber": n, "ETag": tag} for n, tag in parts]}
    for parts, word in [(finish((2, tags[1]), (1, tags[0])), "InvalidPartOrder"), (finish((7, tags[0])), "InvalidPart"),
                        (finish((1, tags[1])), "InvalidPart")]:
        assert code(s3.complete_multipart_upload, Bucket=bucket, Key="k", UploadId=upload, MultipartUpload=parts) == word
    s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload,
                                 MultipartUpload=finish((1, tags[0]), (2, tags[1])))
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == bytes(5 << 20) + b"234"
    assert (got["ContentType"], got["Metadata"]) == ("a/b", {"m": "v"})


def test_pages_and_common_prefixes(s3, bucket):
    for i in range(25):
        s3.put_object(Bucket=bucket, Key=f"d{i % 5}/k{i:02}", Body=b"")
    seen = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 4}):
        seen += [o["Key"] for o in page["Contents"]]
    assert seen == sorted(f"d{i % 5}/k{i:02}" for i in range(25))
    got = s3.list_objects_v2(Bucket=bucket, Delimiter="/", MaxKeys=3)
    assert [p["Prefix"] for p in got["CommonPrefixes"]] == ["d0/", "d1/", "d2/"] and got["IsTruncated"]
    rest = s3.list_objects_v2(Bucket=bucket, Delimiter="/", ContinuationToken=got["NextContinuationToken"])
    assert [p["Prefix"] for p in rest["CommonPrefixes"]] == ["d3/", "d4/"]
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, StartAfter="d4/k14")["Contents"]] == ["d4/k19", "d4/k24"]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in seen]})
    assert len(answer["Deleted"]) == 25
    s3.delete_bucket(Bucket=bucket)
    assert code(s3.head_bucket, Bucket=bucket) == "404"


def test_any_text_may_part_names(s3, bucket):
    for key in ("a--b", "a--c", "a-b", "z--y--x"):
        s3.put_object(Bucket=bucket, Key=key)
    got = s3.list_objects_v2(Bucket=bucket, Delimiter="--")
    assert [p["Prefix"] for p in got["CommonPrefixes"]] == ["a--", "z--"] and [o["Key"] for o in got["Contents"]] == ["a-b"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="--", PaginationConfig={"PageSize": 1})
    assert [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])] == ["a--", "z--"]
    below = s3.list_objects_v2(Bucket=bucket, Prefix="z--", Delimiter="--")
    assert [p["Prefix"] for p in below["CommonPrefixes"]] == ["z--y--"]


def test_versions(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"0")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    one = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"] and code(s3.get_object, Bucket=bucket, Key="k") == "NoSuchKey"
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=one)["Body"].read() == b"1"
    assert s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read() == b"0"
    listed = s3.list_object_versions(Bucket=bucket)
    assert [v["VersionId"] for v in listed["Versions"]] == [one, "null"]
    assert [m["VersionId"] for m in listed["DeleteMarkers"]] == [marker["VersionId"]]
    s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    assert code(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"


def test_conditions(s3, bucket):
    tag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    assert code(s3.put_object, Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*") == "PreconditionFailed"
    assert code(s3.put_object, Bucket=bucket, Key="k", Body=b"2", IfMatch='"0"') == "PreconditionFailed"
    assert code(s3.get_object, Bucket=bucket, Key="k", IfMatch='"0"') == "PreconditionFailed"
    assert code(s3.get_object, Bucket=bucket, Key="k", IfNoneMatch=tag) == "304"
    s3.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=tag)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"3"


def test_tags_and_documents(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging="a=1&b=two")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "1"},
                                                                     {"Key": "b", "Value": "two"}]
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "c", "Value": "3"}]})
    assert s3.get_object(Bucket=bucket, Key="k")["TagCount"] == 1
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    assert code(s3.get_bucket_cors, Bucket=bucket) == "NoSuchCORSConfiguration"
    rules = [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules
    s3.delete_bucket_cors(Bucket=bucket)
    assert s3.get_bucket_acl(Bucket=bucket)["Grants"][0]["Permission"] == "FULL_CONTROL"
    assert code(s3.put_object_acl, Bucket=bucket, Key="k", ACL="public-read") == "NotImplemented"
    assert code(s3.get_bucket_encryption, Bucket=bucket) == "NotImplemented"


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_addresses(gateway, bucket, version):
    s3 = gateway.client(config=Config(signature_version=version, s3={"addressing_style": "path"}))
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a b"})
    urllib.request.urlopen(urllib.request.Request(put, data=b"by address", method="PUT", headers={"Content-Type": ""}))
    get = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b"})
    assert urllib.request.urlopen(get).read() == b"by address"
    bad_ones = [get[:-1] + ("0" if get[-1] != "0" else "1"), get.replace("a%20b", "a%20c")]
    if version == "s3":  # the other signer refuses to make one that is over
        bad_ones.append(s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a b"}, ExpiresIn=-5))
    for bad in bad_ones:
        with pytest.raises(urllib.error.HTTPError) as e:
            urllib.request.urlopen(bad)
        assert e.value.code == 403


def test_what_was_put_is_there_after_a_kill(gateway, bucket, s3):
    for i in range(50):
        s3.put_object(Bucket=bucket, Key=f"k{i}", Body=str(i).encode() * (i * 1000))
    gateway.process.kill()
    gateway.process.wait()
    gateway.process.stdout.close()
    gateway.start()
    again = gateway.client()
    for i in range(50):
        assert again.get_object(Bucket=bucket, Key=f"k{i}")["Body"].read() == str(i).encode() * (i * 1000)


def test_the_crc_of_a_streamed_body_is_in_its_trailer(s3, bucket):
    class Stream(io.RawIOBase):
        left = 300000

        def readable(self):
            return True

        def readinto(self, b):
            n = min(len(b), self.left)
            b[:n] = b"z" * n
            self.left -= n
            return n

    s3.upload_fileobj(Stream(), bucket, "stream")
    got = s3.get_object(Bucket=bucket, Key="stream", ChecksumMode="ENABLED")
    body = got["Body"].read()
    assert body == b"z" * 300000
    assert base64.b64decode(got["ChecksumCRC32"]) == zlib.crc32(body).to_bytes(4, "big")
