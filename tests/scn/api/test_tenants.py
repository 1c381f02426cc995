#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A generator of requests of one organisation about another: no read, no write, no hint that something exists.

Every field of every noun of the other organisation holds a canary. Each request names its things, in path, query, body
or header; a twin names things that are not there. No canary may be in an answer unless the request itself had it, and
both answers must be the same but for the names. In the end the other organisation is as it was. TENANT_REQUESTS=N pairs,
TEST_SEED=S replays.
"""

import http.client
import json
import os
import random
import re
import statistics
import sys
import time
import unittest

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402
from world import World, fill_machine, routes  # noqa: E402

PAIRS = int(os.environ.get("TENANT_REQUESTS", "1000"))
SEED = int(os.environ.get("TEST_SEED", "0")) or random.randrange(1, 1 << 30)
new_server = parse_args()
server = None


def setUpModule():
    global server
    server = new_server()
    server.start()
    fill_machine(server)


def tearDownModule():
    status = server.close()
    assert status == 0, f"the server ended with {status}"


class Generator:
    """Pairs of requests: about what is there, and about what is not. Names of both have the same length."""

    def __init__(self, world, own, rng):
        self.world, self.own, self.rng = world, own, rng
        # Names of buckets are one space for all, as S3's: that one is taken is told, and which one is taken changes.
        self.table = [r for r in routes(server) if r["role"] != "open" and not r["stream"] and
                      (r["method"], r["path"]) != ("PUT", "/api/v1/store/{bucket}")]
        names = {"org": world.org, "job": world.job, "job_name": world.job_name, "model": world.model, "cron": world.cron, "bucket": world.bucket,
                 "object": world.object, **{"user " + r: u for r, u in world.users.items()},
                 **{"key " + r: k for r, k in world.keys.items()}}
        self.real = names
        self.fake = {k: v[0] + "".join(rng.choice("bcdfghkmnpq") for _ in v[1:-1]) + v[-1] for k, v in names.items()}

    def pick(self, *kinds):
        """A placeholder for one of the kinds of names; '<kind>' becomes the real one or the one that is not there."""
        those = [k for k in self.real if k.split(" ")[0] in kinds]
        return "<" + self.rng.choice(those or list(self.real)) + ">"  # a noun that is new here: any name

    def parameter(self, name, reads):
        rng = self.rng
        if name == "org":
            return rng.choice(["<org>", "<org>", "-"])
        # One's own things too: what is said about them may name others'.
        if reads and name in ("job", "model", "cron") and rng.random() < 0.25:
            return getattr(self.own, name)
        if name == "job":
            return self.pick("job", "job_name")
        if name == "key":
            return rng.choice(["<object>/a.onnx", "<object>", "code.tar.gz", f"jobs/<job>/logs/{rng.randrange(3)}.log"])
        if name == "id":
            return self.pick("key")
        if name == "bucket":
            return self.pick("bucket", "org")
        return self.pick(name)

    def query(self, names):
        rng, values = self.rng, {}
        for name in names:
            if rng.random() < 0.4:
                values[name] = {"job": self.pick("job", "job_name"), "model": "<model>", "name": self.pick("job_name", "model"),
                                "user": self.pick("user"), "after": rng.choice(["<object>", "<user admin>", "0", ""]),
                                "prefix": "<object>", "state": rng.choice(["queued", "running", "ready", "starting"]),
                                "since": "2020-01-01", "by": rng.choice(["day", "user", "job"]), "delimiter": "/",
                                }.get(name, str(rng.choice([0, 1, 2, 50, 999999])))
        values.pop("follow", None)
        return "&".join(f"{k}={v}" for k, v in values.items())

    def body(self, path):
        rng = self.rng
        uri = rng.choice(["fds://<org>/code.tar.gz", "fds://<bucket>/<object>/a.onnx", "fds://<org>/<object>/a.onnx",
                          "fds://<org>/jobs/<job>/output/"])
        bodies = {
            "/api/v1/jobs": [{"command": ["true"], "package": uri}, {"command": ["true"], "after": [self.pick("job", "job_name")]},
                             {"command": ["true"], "name": "<job_name>", "memory": "1000G"}],
            "/api/v1/jobs:batch": [{"jobs": [{"command": ["true"], "package": uri}]}, {}],
            "/api/v1/models": [{"name": "<model>", "job": "<job>"}, {"name": "m1", "uri": uri}, {"name": "m1", "job": "<job_name>"}],
            "/api/v1/crons": [{"name": "c1", "schedule": "0 0 29 2 *", "job": {"command": ["true"], "package": uri}},
                              {"name": "<cron>", "schedule": "never", "job": {"command": ["true"]}}],
            "/api/v1/orgs": [{"name": "<org>"}],
            "/api/v1/orgs/{org}": [{"description": "mine now"}, {}],
            "/api/v1/orgs/{org}/users": [{"name": "<user admin>", "role": "owner"}, {"role": "admin"}],
            "/api/v1/orgs/{org}/users/{user}": [{"role": "admin"}, {"platform": True}],
            "/api/v1/orgs/{org}/keys": [{"user": self.pick("user")}, {"user": self.pick("user"), "role": "admin"}],
            "/api/v1/orgs/{org}/quota": [{"training": {"cpu": 0}}],
            "/api/v1/models/{model}/predict": [{"instances": [1]}],
        }
        return json.dumps(rng.choice(bodies.get(path, [{}])))

    def request(self):
        rng = self.rng
        route = rng.choice(self.table)
        path = re.sub(r"\{([a-z]+)\}", lambda m: self.parameter(m[1], route["method"] == "GET"), route["path"])
        query = self.query(route["query"])
        headers = {}
        if rng.random() < 0.2:
            headers["Idempotency-Key"] = f"k{rng.randrange(1 << 60)}"
        body = self.body(route["path"]) if route["json"] else "bytes of another" if route["bytes"] and route["method"] == "PUT" else \
            '{"instances": [1]}' if "predict" in path else None
        return route, path + ("?" + query if query else ""), body, headers

    def name(self, text, names):
        return re.sub(r"<([a-z _]+)>", lambda m: names[m[1]], text) if text else text

    def unname(self, body, names):
        for value in sorted(names.values(), key=len, reverse=True):
            body = body.replace(value.encode(), b"<>")
        return body


class Connection:
    def __init__(self, token):
        self.headers = {"Authorization": "Bearer " + token}
        self.http = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)

    def ask(self, method, path, body, headers):
        began = time.perf_counter()
        self.http.request(method, path, body, dict(self.headers, **headers))
        response = self.http.getresponse()
        data = response.read()
        kept = {k: v for k, v in response.getheaders() if k not in ("Date", "Content-Length")}
        return response.status, data, kept, time.perf_counter() - began


def own_state(data):
    """What differs by time or count between two calls of one's own things."""
    return re.sub(rb'"(uptime_ms|created_ms|time_ms|queued_ms|modified_ms|seq|id|token|pid|used|next|version|expires_ms|cpu_hours|'
                  rb'memory_gib_hours)":("[^"]*"|\{[^}]*\}|[-0-9.e]+|null)', b"", data)


class Tenants(unittest.TestCase):
    def test_no_request_reads_writes_or_learns_of_another_organisation(self):
        rng = random.Random(SEED)
        print(f"TEST_SEED={SEED} TENANT_REQUESTS={PAIRS}")
        victim, attacker = World(server, "victim"), World(server, "attack")
        generator = Generator(victim, attacker, rng)
        everything = b"".join(body for _, body in victim.snapshot().values())
        hidden = [w for w, c in victim.canaries.items() if c.encode() not in everything and c.upper().replace("-", "_").encode() not in everything]
        self.assertEqual(hidden, ["onnx", "package", "idempotency"])  # its own people see the rest: there is something to leak
        connections = [Connection(attacker.tokens[role]) for role in ("viewer", "member", "admin")]
        before, statuses, times = victim.snapshot(), {}, {}
        for number in range(PAIRS):
            route, path, body, headers = generator.request()
            connection = rng.choice(connections)
            answers = []
            order = [generator.real, generator.fake]
            if rng.random() < 0.5:
                order.reverse()
            for names in order:
                named = [generator.name(text, names) for text in (path, body)]
                key = {k: v + ("r" if names is generator.real else "f") for k, v in headers.items()}
                status, data, kept, took = connection.ask(route["method"], named[0], named[1], key)
                told = f"{number}: {route['method']} {named[0]} {named[1]} → {status} {data[:400]}"
                sent = " ".join(filter(None, named))
                for what, canary in victim.canaries.items():
                    if canary.encode() in data or canary in str(kept):
                        self.assertIn(canary, sent, f"tells {what}: {told}")
                answers.append((status, own_state(generator.unname(data, names)), kept))
                statuses[status] = statuses.get(status, 0) + 1
                if status == 404:
                    times.setdefault(names is generator.real, []).append(took)
            self.assertEqual(answers[0][0], answers[1][0], f"{told} against {answers}")
            if answers[0][0] >= 300:
                self.assertEqual(answers[0], answers[1], told)
        for connection in connections:
            connection.http.close()
        self.assertEqual(victim.snapshot(), before)
        medians = {("theirs" if k else "nobody's"): round(statistics.median(v) * 1e6) for k, v in times.items() if v}
        print(f"{2 * PAIRS} requests: 0 reads, 0 writes, 0 hints of existence; "
              f"statuses {dict(sorted(statuses.items()))}; median µs of 404 {medians}")
        self.assertGreater(statuses.get(404, 0), PAIRS // 5)
        self.assertGreater(statuses.get(403, 0), 0)
        self.assertGreater(statuses.get(200, 0), 0)


if __name__ == "__main__":
    unittest.main()
