# SPDX-License-Identifier: Apache-2.0
"""What programs do with the unmodified galaxy-fds-sdk. Runs where its host name leads to the gateway (test_fds.py)."""
import io
import os
import time
import urllib.error
import urllib.request

import conftest
from fds import FDSClientConfiguration, GalaxyFDSClient
from fds.galaxy_fds_client_exception import GalaxyFDSClientException
from fds.model.fds_object_metadata import FDSObjectMetadata

HOST = "cnbj1.fds.api.xiaomi.com"


def client_of(credentials):
    config = FDSClientConfiguration(enable_https=False, enable_cdn_for_download=False, enable_cdn_for_upload=False,
                                    endpoint=HOST, max_retries=0, threshold_size=6 << 20, part_size=5 << 20)
    return GalaxyFDSClient(credentials["access_key_id"], credentials["secret_access_key"], config)


def content(client, key):
    return b"".join(client.get_object("team", key).stream)


def session(gateway):
    client, s3 = client_of(gateway.credentials), gateway.client()

    assert not client.does_bucket_exist("team")
    client.create_bucket("team")
    assert client.does_bucket_exist("team")
    assert "team" in [b.bucket_name for b in client.list_buckets()]

    metadata = FDSObjectMetadata()
    metadata.add_user_metadata("x-xiaomi-meta-mode", "33188")
    metadata.add_header("content-type", "text/x")
    client._config.enable_md5_calculate = True
    put = client.put_object("team", "a/one two+%41.txt", b"hello", metadata)
    assert (put.bucket_name, put.object_name) == ("team", "a/one two+%41.txt")
    client._config.enable_md5_calculate = False
    assert content(client, "a/one two+%41.txt") == b"hello"
    assert b"".join(client.get_object("team", "a/one two+%41.txt", position=3).stream) == b"lo"
    got = client.get_object_metadata("team", "a/one two+%41.txt").metadata
    assert got["x-xiaomi-meta-mode"] == "33188" and got["content-type"] == "text/x", got
    other = s3.get_object(Bucket="team", Key="a/one two+%41.txt")
    assert other["Body"].read() == b"hello" and other["Metadata"] == {"mode": "33188"}

    big = os.urandom((11 << 20) + 5)
    client.put_object("team", "big", io.BytesIO(big))
    assert content(client, "big") == big
    assert s3.head_object(Bucket="team", Key="big")["ETag"].endswith('-3"')

    client.copy_object("team", "big", "team", "b/copy")
    assert content(client, "b/copy") == big
    client.rename_object("team", "b/copy", "b/renamed")
    assert not client.does_object_exists("team", "b/copy") and content(client, "b/renamed") == big

    for i in range(7):
        client.put_object("team", f"many/{i}", str(i))
    seen, page = [], client.list_objects("team", "many/", max_keys=3)
    while page:
        seen += [o.object_name for o in page.objects]
        page = client.list_next_batch_of_objects(page)
    assert seen == [f"many/{i}" for i in range(7)], seen
    assert client.list_objects("team").common_prefixes == ["a/", "b/", "many/"]
    assert client.list_objects("team").objects[0].size == len(big)

    later = (time.time() + 100) * 1000
    address = client.generate_presigned_uri(None, "team", "many/1", later)
    assert urllib.request.urlopen(address).read() == b"1"
    address = client.generate_presigned_uri(None, "team", "by/address", later, "PUT", "text/x")
    urllib.request.urlopen(urllib.request.Request(address, data=b"sent", method="PUT", headers={"Content-Type": "text/x"}))
    assert content(client, "by/address") == b"sent"
    for bad in (address + "&renameTo=x", address.replace("/address", "/other"), address.replace("Expires=", "Expires=9")):
        try:
            urllib.request.urlopen(urllib.request.Request(bad, data=b"bad", method="PUT", headers={"Content-Type": "text/x"}))
            raise AssertionError(bad)
        except urllib.error.HTTPError as e:
            assert e.code == 403

    assert client.get_object_acl("team", "big").get_grant_list()[0]["permission"].to_string() == "FULL_CONTROL"
    client.delete_object("team", "a/one two+%41.txt")
    assert client.delete_objects("team", seen + ["big", "b/renamed", "by/address"]) == []
    client.delete_bucket("team")
    assert not client.does_bucket_exist("team")
    stranger = client_of(dict(gateway.credentials, secret_access_key="0" * 40))
    try:
        stranger.create_bucket("evil")
        raise AssertionError("a wrong secret was accepted")
    except GalaxyFDSClientException as e:
        assert "SignatureDoesNotMatch" in str(e), e
    assert not client.does_bucket_exist("evil")


def main():
    gateway = conftest.Gateway("--s3-listen", "127.0.0.1:80")
    try:
        session(gateway)
    except BaseException:
        gateway.process.kill()
        raise
    gateway.close()
    print("the session is over")


if __name__ == "__main__":
    main()
