#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The kill storm: eight clients submit while the server is killed again and again, at random times and at failpoints.
KILLS=N (default 60) and SEED=N by the environment; 'make storm KILLS=10000' is the long one. Needs root."""

import os
import pathlib
import random
import re
import sys
import time
import unittest

sys.dont_write_bytecode = True
import storm  # noqa: E402
from lib import platform  # noqa: E402

KILLS = int(os.environ.get("KILLS", "60"))
SEED = os.environ.get("SEED") or str(random.SystemRandom().randrange(1 << 32))
CLIENTS = 8
JOBS_A_KILL = float(os.environ.get("JOBS_A_KILL", "2"))


def failpoints():
    """Those of the server itself, as the source names them."""
    names = set()
    for room in ("ctl", "store", "local"):
        for file in (platform.ROOT / "src" / room).glob("*.c"):
            names |= set(re.findall(r'\bFP\("((?:ctl|store|local)\.[a-z.]+)"\)', file.read_text()))
    return sorted(names)


class Storm(unittest.TestCase):
    def test_nothing_is_lost_doubled_or_orphaned(self):
        rng, points, server = random.Random(SEED), failpoints(), storm.Server()
        limit = max(4, int(KILLS * JOBS_A_KILL / CLIENTS))
        clients = [storm.Client(server, n, limit, SEED) for n in range(CLIENTS)]
        self.assertTrue(server.start())
        for c in clients:
            c.start()
        at_points = 0
        while server.deaths < KILLS:
            end = time.monotonic() + rng.expovariate(1 / 0.3)
            while time.monotonic() < end and not server.is_dead:
                time.sleep(0.005)
            at_points += server.is_dead
            server.wait() if server.is_dead else server.kill()
            point = rng.choice(points) if rng.random() < 0.5 else None
            if not server.start(point, rng.randrange(1, 6)):
                server.wait()  # died at a failpoint before it was ready
                at_points += 1
                self.assertTrue(server.start() or server.deaths >= KILLS, server.platform.log()[-2000:])
        if server.is_dead:
            server.wait()
            self.assertTrue(server.start(), server.platform.log()[-2000:])
        server.kill()
        self.assertTrue(server.start(), server.platform.log()[-2000:])
        for c in clients:
            c.stop.set()
        for c in clients:
            c.join(storm.SETTLE_S)
            self.assertFalse(c.is_alive())
        jobs = storm.settle(server)
        acknowledged = {name: job for c in clients for name, job in c.acknowledged.items()}
        cancelled = {job for c in clients for job in c.cancelled}
        verdict = storm.Verdict(acknowledged, cancelled, jobs, server.data)
        unknown = set(jobs) - set(acknowledged.values())
        orphans = server.close()
        print(f"{server.deaths} kills ({at_points} at failpoints), {len(acknowledged)} jobs acknowledged to {CLIENTS} clients: "
              f"{len(verdict.lost)} lost, {len(verdict.doubled)} doubled, {len(orphans)} orphaned (seed {SEED})", flush=True)
        self.assertEqual([c.refused for c in clients if c.refused], [])
        self.assertEqual(str(verdict), "")
        self.assertEqual(unknown, set(), "jobs that nobody was told of")
        self.assertEqual(orphans, [])
        self.assertGreater(len(acknowledged), CLIENTS)


if __name__ == "__main__":
    platform.need_containers()
    platform.need_network()
    platform.main()
