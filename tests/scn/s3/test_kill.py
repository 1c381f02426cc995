# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load: what was acknowledged is there, what is there is whole. S3_KILLS=N for more rounds."""
import hashlib
import http.client
import os
import random
import threading

import conftest
import signer

KILLS = int(os.environ.get("S3_KILLS", "4"))
WRITERS = 6


def content(key):
    """Follows from the key, so that the ledger needs only keys; a few bytes to more than a segment's block."""
    seed = hashlib.sha256(key.encode()).digest()
    return seed * (1 + seed[0] % 64 * (seed[1] % 8) * (200 if seed[2] < 8 else 1))


class Writer(threading.Thread):
    def __init__(self, gateway, name, enough):
        super().__init__()
        self.credentials, self.name_, self.enough = dict(gateway.credentials), name, enough
        host, port = gateway.endpoint.split("//")[1].split(":")
        self.address = (host, int(port))
        self.put, self.removed, self.unknown = [], [], set()

    def call(self, method, key, body=b""):
        s = signer.make(self.credentials, method, f"/ledger/{key}", body=body)
        try:
            return s.send(self.address)[0]
        except (OSError, http.client.HTTPException):
            return 0

    def run(self):
        for i in range(100000):
            key = f"{self.name_}/{i}"
            self.unknown = {key}
            if self.call("PUT", key, content(key)) != 200:
                return
            self.put.append(key)
            self.enough.release()
            if i % 5 == 4:
                gone = self.put[-3]
                self.unknown = {gone}
                if self.call("DELETE", gone) != 204:
                    return
                self.put.remove(gone)
                self.removed.append(gone)
            self.unknown = set()


def test_nothing_acknowledged_is_lost():
    gateway, rng = conftest.Gateway(), random.Random(5)
    gateway.client().create_bucket(Bucket="ledger")
    put, removed, unknown = [], [], set()
    for kill in range(KILLS):
        enough = threading.Semaphore(0)
        writers = [Writer(gateway, f"{kill}-{n}", enough) for n in range(WRITERS)]
        for w in writers:
            w.start()
        for _ in range(rng.randrange(40, 160)):
            assert enough.acquire(timeout=60)
        gateway.process.kill()
        gateway.process.wait()
        for w in writers:
            w.join()
            put += w.put
            removed += w.removed
            unknown |= w.unknown
        gateway.process.stdout.close()
        gateway.log.close()
        gateway.start()
    s3 = gateway.client()
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="ledger")
    there = {o["Key"]: o["ETag"].strip('"') for page in pages for o in page.get("Contents", [])}
    lost = [k for k in put if k not in there and k not in unknown]
    back = [k for k in removed if k in there and k not in unknown]
    broken = [k for k, etag in there.items() if etag != hashlib.md5(content(k)).hexdigest()]
    print(f"{KILLS} kills, {len(put)} puts and {len(removed)} removals acknowledged: {len(lost)} lost, {len(back)} came back, "
          f"{len(broken)} broken, {len(set(there) - set(put))} without an answer")
    assert (lost, back, broken) == ([], [], [])
    assert set(there) - set(put) <= unknown
    for key in rng.sample(sorted(there), 50):
        assert s3.get_object(Bucket="ledger", Key=key)["Body"].read() == content(key)
    gateway.close()
