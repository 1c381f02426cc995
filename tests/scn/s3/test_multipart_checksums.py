# SPDX-License-Identifier: Apache-2.0
"""The checksum of an object of parts: of the parts' checksums, or of all bytes."""
import base64
import hashlib
import os
import zlib

import pytest
from awscrt import checksums
from botocore.exceptions import ClientError

pytestmark = pytest.mark.parametrize("gateway", ["plain", "secure"], indirect=True)  # http and https
MIN = 5 << 20
SUMS = {"CRC32": lambda d: zlib.crc32(d).to_bytes(4, "big"), "CRC32C": lambda d: checksums.crc32c(d).to_bytes(4, "big"),
        "CRC64NVME": lambda d: checksums.crc64nvme(d).to_bytes(8, "big"), "SHA1": lambda d: hashlib.sha1(d).digest(),
        "SHA256": lambda d: hashlib.sha256(d).digest()}
CONTENT = [os.urandom(MIN + 1), os.urandom(MIN), b"the last part"]


def text(raw):
    return base64.b64encode(raw).decode()


def expected(algorithm, kind):
    if kind == "FULL_OBJECT":
        return text(SUMS[algorithm](b"".join(CONTENT)))
    return text(SUMS[algorithm](b"".join(SUMS[algorithm](c) for c in CONTENT))) + f"-{len(CONTENT)}"


def begin(s3, bucket, algorithm, kind):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm=algorithm, ChecksumType=kind)
    assert (upload["ChecksumAlgorithm"], upload["ChecksumType"]) == (algorithm, kind)
    place = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    parts = []
    for number, data in enumerate(CONTENT, 1):
        part = s3.upload_part(**place, PartNumber=number, Body=data, ChecksumAlgorithm=algorithm)
        assert part["Checksum" + algorithm] == text(SUMS[algorithm](data))
        parts.append({"PartNumber": number, "ETag": part["ETag"], "Checksum" + algorithm: part["Checksum" + algorithm]})
    return place, parts


def code(call, **kw):
    with pytest.raises(ClientError) as e:
        call(**kw)
    return e.value.response["Error"]["Code"]


@pytest.mark.parametrize("algorithm, kind", [("CRC32", "COMPOSITE"), ("CRC32", "FULL_OBJECT"), ("CRC32C", "COMPOSITE"),
                                             ("CRC32C", "FULL_OBJECT"), ("CRC64NVME", "FULL_OBJECT"), ("SHA1", "COMPOSITE"),
                                             ("SHA256", "COMPOSITE")])
def test_it_is_made_checked_kept_and_returned(s3, bucket, algorithm, kind):
    name, right = "Checksum" + algorithm, expected(algorithm, kind)
    place, parts = begin(s3, bucket, algorithm, kind)
    size = sum(map(len, CONTENT))
    wrong = text(bytes(len(SUMS[algorithm](b""))))
    complete = lambda **kw: s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}, **kw)  # noqa: E731
    assert code(complete, **{name: wrong}) == "BadDigest"
    assert code(complete, MpuObjectSize=size + 1) == "InvalidRequest"
    assert code(complete, ChecksumType="COMPOSITE" if kind == "FULL_OBJECT" else "FULL_OBJECT") == "InvalidRequest"
    spoiled = [*parts[:-1], {**parts[-1], name: wrong}]
    assert code(s3.complete_multipart_upload, **place, MultipartUpload={"Parts": spoiled}) == "InvalidPart"
    done = complete(**{name: right}, ChecksumType=kind, MpuObjectSize=size)
    assert (done[name], done["ChecksumType"]) == (right, kind)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"], head["ContentLength"]) == (right, kind, size)
    known = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["Checksum", "ObjectParts", "ObjectSize"])
    assert known["Checksum"] == {name: right, "ChecksumType": kind}
    assert (known["ObjectParts"]["TotalPartsCount"], known["ObjectSize"]) == (3, size)
    assert s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["Body"].read() == b"".join(CONTENT)
    s3.delete_object(Bucket=bucket, Key="k")


def test_what_no_algorithm_can_do_is_refused(s3, bucket):
    begin = lambda **kw: s3.create_multipart_upload(Bucket=bucket, Key="k", **kw)  # noqa: E731
    for algorithm, kind in (("SHA1", "FULL_OBJECT"), ("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")):
        assert code(begin, ChecksumAlgorithm=algorithm, ChecksumType=kind) == "InvalidRequest"


def test_a_copied_part_has_the_checksum_of_its_upload(s3, bucket):
    s3.put_object(Bucket=bucket, Key="source", Body=CONTENT[0])
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    place = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    first = s3.upload_part_copy(**place, PartNumber=1, CopySource=f"{bucket}/source")["CopyPartResult"]
    assert first["ChecksumCRC32"] == text(SUMS["CRC32"](CONTENT[0]))
    second = s3.upload_part(**place, PartNumber=2, Body=CONTENT[2], ChecksumAlgorithm="CRC32")
    done = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": [
        {"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 2, "ETag": second["ETag"]}]})
    assert done["ChecksumCRC32"] == text(SUMS["CRC32"](CONTENT[0] + CONTENT[2]))


def test_the_managed_upload_of_boto3_has_one(s3, bucket, tmp_path):
    (tmp_path / "f").write_bytes(b"".join(CONTENT))
    s3.upload_file(str(tmp_path / "f"), bucket, "k", ExtraArgs={"ChecksumAlgorithm": "CRC32"})
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumType"] in ("COMPOSITE", "FULL_OBJECT") and head["ChecksumCRC32"]
