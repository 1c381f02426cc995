#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that does not keep what it was given: the server says so, ends, and begins again with what was acknowledged.
Needs root, no network."""

import os
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402


class BrokenDisk(platform.Case):
    def job(self, name):
        """Submits a job that stays in the queue, so that no move of its own meets the broken disk first."""
        return self.p.api("POST", "/jobs", {"name": name, "command": ["true"], "framework": "python",
                                            "start_after": "2100-01-01T00:00:00Z"})

    def test_a_failed_sync_is_told_ends_the_server_and_loses_nothing_acknowledged(self):
        mark = os.path.join(self.p.scratch, "fail")
        self.p.stop()
        usual = dict(self.p.env)
        self.p.env.update(LD_PRELOAD=os.environ["FAIL_SYNC_LIBRARY"], FAIL_SYNC=mark,
                          ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")
        try:
            self.p.start()
        finally:
            self.p.env = usual
        status, before = self.job("before")
        self.assertEqual(status, 201, before)
        status, health = self.p.api("GET", "/healthz")
        self.assertEqual((status, health), (200, {"status": "ok"}))

        pathlib.Path(mark).touch()
        status, answer = self.job("lost")
        self.assertEqual((status, answer["error"]["code"]), (500, "io"), answer)
        status, health = self.p.api("GET", "/healthz")
        self.assertEqual((status, health["error"]["code"]), (503, "unavailable"), health)
        for word in ("stopped after a failed write", "check the disk, then restart"):
            self.assertIn(word, health["error"]["message"])
        status, answer = self.job("later")
        self.assertEqual((status, answer["error"]["code"]), (503, "unavailable"), answer)
        platform.until("the server's end", lambda: not platform.is_alive(self.p.pid))
        self.assertIn("server.store_failed", self.p.log())
        self.assertIn("cloudml: the metadata store stopped after a failed write", self.p.log())

        os.unlink(mark)
        self.p.start()
        names = [j["name"] for j in self.p.get("/jobs")["data"]]
        self.assertIn("before", names)
        self.assertNotIn("later", names)
        self.assertEqual(self.p.api("GET", "/healthz")[0], 200)


if __name__ == "__main__":
    platform.main()
