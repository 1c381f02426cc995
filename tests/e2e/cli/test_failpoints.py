#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every place between an intent and its action (FP in the source), killed once each: the server, or a task's supervisor.
POINT=NAME chooses one. Needs root."""

import http.client
import os
import pathlib
import re
import sys
import time
import unittest

sys.dont_write_bytecode = True
import storm  # noqa: E402
from lib import platform  # noqa: E402

ROOMS = ("base", "loop", "core", "net", "store", "local", "ctl", "api", "main")


def failpoints():
    names = []
    for room in ROOMS:
        for file in sorted((platform.ROOT / "src" / room).glob("*.c")):
            names += re.findall(r'\bFP\("([^"]+)"\)', file.read_text())
    return names


class Day:
    """One of everything that a job can go through, repeated until it is acknowledged."""

    def __init__(self, server, number):
        self.server, self.number = server, number
        self.acknowledged, self.cancelled = {}, set()

    def ask(self, method, path, body, key):
        """None when the server died meanwhile."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            return self.server.call(connection, method, path, body, key)
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def insist(self, method, path, body, key, wanted):
        while True:
            answer = self.ask(method, path, body, key)
            if answer:
                assert answer[0] in wanted, answer
                return answer[1]
            if self.server.is_dead:
                self.server.wait()
                assert self.server.start(), self.server.platform.log()[-2000:]

    def wait_state(self, job, *states):
        while self.insist("GET", f"/jobs/{job}", None, None, {200})["state"] not in states:
            time.sleep(0.05)

    def play(self):
        def name(what):
            return f"p{self.number}-{what}"

        single = self.insist("POST", "/jobs", storm.spec(name("one"), 0.1), name("one"), {201})
        batch = self.insist("POST", "/jobs:batch", {"jobs": [storm.spec(name("two"), 0.1), storm.spec(name("long"), 1000)]},
                            name("two"), {200})["data"]
        self.acknowledged = {name("one"): single["id"], name("two"): batch[0]["id"], name("long"): batch[1]["id"]}
        cron = self.insist("POST", "/crons", {"name": name("cron"), "schedule": "0 0 1 1 *", "job": storm.spec(name("cron"))},
                           name("cron"), {201})
        self.insist("DELETE", f"/crons/{cron['name']}", None, name("uncron"), {204})
        array = self.insist("POST", "/jobs", storm.spec(name("many"), 0.1) | {"array": {"count": 3, "max_running": 2}}, name("many"), {201})
        self.wait_state(batch[1]["id"], "running")
        self.insist("POST", f"/jobs/{batch[1]['id']}/cancel", None, name("cancel"), {202})
        self.cancelled = {batch[1]["id"]}
        for job in (single["id"], batch[0]["id"], batch[1]["id"], array["id"]):
            self.wait_state(job, *platform.JOB_ENDS)
        for element in self.insist("GET", f"/jobs?array={array['id']}", None, None, {200})["data"]:
            self.acknowledged[element["name"]] = element["id"]


class Failpoints(unittest.TestCase):
    def setUp(self):
        self.server = storm.Server()

    def elements_of(self, array):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        self.addCleanup(connection.close)
        return self.server.call(connection, "GET", f"/jobs?array={array}")[1]["data"]

    def test_a_kill_at_each_of_them_loses_and_doubles_nothing(self):
        points, left = failpoints(), []
        self.assertGreater(len(points), 20)
        self.assertEqual(len(points), len(set(points)), "a name that is there twice")
        chosen = os.environ.get("POINT")
        acknowledged, cancelled = {}, set()
        for number, point in enumerate(p for p in points if chosen in (None, p)):
            with self.subTest(point=point):
                if self.server.start(point):
                    day = Day(self.server, number)
                    day.play()
                    acknowledged |= day.acknowledged
                    cancelled |= day.cancelled
                else:
                    self.server.wait()
                    self.assertTrue(self.server.start(), self.server.platform.log()[-2000:])
                jobs = storm.settle(self.server)
                for array in [j for j in jobs.values() if "elements" in j]:
                    del jobs[array["id"]]
                    elements = self.elements_of(array["id"])
                    self.assertEqual([e["array_index"] for e in elements], [2, 1, 0])
                    jobs |= {e["id"]: e for e in elements}
                if not self.server.token_taken:
                    left.append(point)
                self.server.kill()
                verdict = storm.Verdict(acknowledged, cancelled, jobs, self.server.data, supervisors_killed=True)
                self.assertEqual(str(verdict), "")
                self.assertEqual(set(jobs) - set(acknowledged.values()), set())
        self.assertEqual(left, [], "places that the day never came to")
        self.assertTrue(self.server.start())
        storm.settle(self.server)
        orphans = self.server.close()
        print(f"{number + 1} failpoints, one kill each, {len(acknowledged)} jobs: 0 lost, 0 doubled, {len(orphans)} orphaned", flush=True)
        self.assertEqual(orphans, [])


if __name__ == "__main__":
    platform.need_containers()
    platform.need_network()
    platform.main()
