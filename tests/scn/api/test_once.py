#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Idempotency keys: every route that changes something takes one, and a repeated request changes nothing more."""

import sys
import unittest

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402

BY_NATURE = {"store", "session"}  # bytes and sessions are the same after one request as after two
QUESTIONS = {("POST", "/api/v1/models/{model}/predict"), ("POST", "/tensorboard/{tensorboard}")}
new_server = parse_args()
server = None
cores = 1


def setUpModule():
    """A first job holds all cores: what comes later waits."""
    global server, cores
    server = new_server().start()
    cores = server.get("/api/v1/status").json["capacity"]["cpu"]
    assert submit("holder", command=["sleep", "100000"]).status == 201


def tearDownModule():
    server.call("POST", "/api/v1/jobs/holder/cancel")
    status = server.close()
    assert status == 0, f"the server ended with {status}"


def submit(name, **spec):
    return server.call("POST", "/api/v1/jobs", {"name": name, "command": ["true"], "cpu": cores, **spec})


def ended(name):
    job = submit(name).json["id"]
    server.call("POST", f"/api/v1/jobs/{job}/cancel")
    return job


def cron(name):
    return {"name": name, "schedule": "0 0 1 1 *", "job": {"command": ["true"]}}


def made(name):
    assert server.call("POST", "/api/v1/crons", cron(name)).status == 201
    return name


# How each is asked: (path, body) for a name that is new. Everything here is asked twice with one key.
HOW = {
    ("POST", "/api/v1/jobs"): lambda n: ("/api/v1/jobs", {"name": n, "command": ["true"], "cpu": cores}),
    ("POST", "/api/v1/jobs:batch"): lambda n: ("/api/v1/jobs:batch", {"jobs": [{"name": n, "command": ["true"], "cpu": cores}]}),
    ("POST", "/api/v1/jobs/{job}/cancel"): lambda n: (f"/api/v1/jobs/{submit(n).json['name']}/cancel", None),
    ("POST", "/api/v1/crons"): lambda n: ("/api/v1/crons", cron(n)),
    ("POST", "/api/v1/crons/{cron}/pause"): lambda n: (f"/api/v1/crons/{made(n)}/pause", None),
    ("POST", "/api/v1/crons/{cron}/resume"): lambda n: (f"/api/v1/crons/{made(n)}/resume", None),
    ("DELETE", "/api/v1/crons/{cron}"): lambda n: (f"/api/v1/crons/{made(n)}", None),
    ("DELETE", "/api/v1/jobs/{job}"): lambda n: (f"/api/v1/jobs/{ended(n)}", None),
}


def changes():
    for path, operations in server.get("/api/v1/openapi.json").json["paths"].items():
        for method, operation in operations.items():
            if method in ("post", "delete", "patch") and not BY_NATURE & set(operation["tags"]):
                yield method.upper(), path, operation


class Once(unittest.TestCase):
    def test_every_route_that_changes_something_takes_a_key(self):
        without = [(m, p) for m, p, o in changes() if "Idempotency-Key" not in [q["name"] for q in o["parameters"]]]
        self.assertEqual(set(without), QUESTIONS)
        self.assertLessEqual(set(HOW), {(m, p) for m, p, _ in changes()}, "a route that is no more")

    def test_a_repeated_request_changes_nothing_more(self):
        for n, ((method, route), how) in enumerate(HOW.items()):
            with self.subTest(method=method, route=route):
                path, body = how(f"once-{n}")
                first = server.call(method, path, body, headers={"Idempotency-Key": f"once-{n}"})
                self.assertLess(first.status, 300, first.body)
                before = [j["version"] for j in server.get("/api/v1/jobs?limit=1000").json["data"]]
                second = server.call(method, path, body, headers={"Idempotency-Key": f"once-{n}"})
                self.assertEqual((second.status, second.headers["Idempotent-Replay"]), (first.status, "true"), second.body)
                if first.body:
                    self.assertEqual(second.json.get("id"), first.json.get("id"))
                self.assertEqual([j["version"] for j in server.get("/api/v1/jobs?limit=1000").json["data"]], before)

    def test_a_key_means_the_job_it_meant_at_first(self):
        """A name may be another job's by the time the request is repeated."""
        first = submit("renewed").json["id"]
        key = {"Idempotency-Key": "cancel-renewed"}
        self.assertEqual(server.call("POST", "/api/v1/jobs/renewed/cancel", headers=key).json["id"], first)
        second = submit("renewed").json["id"]
        again = server.call("POST", "/api/v1/jobs/renewed/cancel", headers=key)
        self.assertEqual((again.status, again.json["id"]), (202, first))
        self.assertEqual(server.get(f"/api/v1/jobs/{second}").json["state"], "queued")

    def test_a_key_belongs_to_one_request(self):
        a, b = submit("one-a").json["id"], submit("one-b").json["id"]
        key = {"Idempotency-Key": "one"}
        output = f"/api/v1/store/default/jobs/{b}/output/kept"
        self.assertEqual(server.call("PUT", output, b"kept").status, 201)
        self.assertEqual(server.call("POST", f"/api/v1/jobs/{a}/cancel", headers=key).status, 202)
        for method, path, body in (("POST", f"/api/v1/jobs/{b}/cancel", None), ("DELETE", f"/api/v1/jobs/{b}", None),
                                   ("POST", "/api/v1/jobs", {"command": ["true"], "cpu": cores})):
            if method == "DELETE":
                server.call("POST", f"/api/v1/jobs/{b}/cancel")
            answer = server.call(method, path, body, headers=key)
            self.assertEqual((answer.status, answer.code), (409, "conflict"), (method, path))
        self.assertEqual(server.get(f"/api/v1/jobs/{b}").status, 200)
        self.assertEqual(server.get(output).body, b"kept")

    def test_deleting_what_is_not_there_is_no_success(self):
        self.assertEqual(server.call("DELETE", "/api/v1/jobs/nobody", headers={"Idempotency-Key": "nobody"}).status, 404)


if __name__ == "__main__":
    unittest.main(verbosity=2)
