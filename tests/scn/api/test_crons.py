#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Crons over HTTP and by the command line: what is refused, what is kept. When they fire is told by tests/sim/test_crons.c."""

import json
import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402

JOB = {"command": ["true"]}
new_server = parse_args()
server = None
stranger = None


def setUpModule():
    global server, stranger
    server = new_server().start()
    server.stop()
    stranger = server.make_token("member", org="other")
    server.start()


def tearDownModule():
    status = server.close()
    assert status == 0, f"the server ended with {status}"


def make(name, /, **fields):
    return server.call("POST", "/api/v1/crons", {"schedule": "0 0 1 1 *", "job": JOB, "name": name, **fields})


def cli(*args):
    environment = dict(server.environment, CLOUDML_ENDPOINT=f"http://127.0.0.1:{server.port}", CLOUDML_TOKEN=server.token)
    return subprocess.run([server.program, *args], capture_output=True, text=True, timeout=120, env=environment)


class Crons(unittest.TestCase):
    def test_a_cron_is_kept_over_a_restart(self):
        made = make("kept", overlap="replace", missed="drop")
        self.assertEqual(made.status, 201, made.body)
        self.assertEqual(made.json["job"]["name"], "kept")
        self.assertGreater(made.json["next_ms"], 0)
        server.stop()
        server.start()
        found = server.get("/api/v1/crons/kept").json
        self.assertEqual(found, made.json)
        self.assertEqual(server.get(f"/api/v1/crons/{found['id']}").json["name"], "kept")
        self.assertIn("kept", [c["name"] for c in server.get("/api/v1/crons").json["data"]])
        self.assertEqual([(e["reason"], e["actor"]) for e in server.get("/api/v1/crons/kept/events").json["data"]], [("created", "root")])

    def test_what_cannot_be_is_refused(self):
        for fields, words in (({"schedule": "0 0 31 2 *"}, "never fires"), ({"schedule": "* * * *"}, "4 of the five fields"),
                              ({"schedule": "61 * * * *"}, "'61' is no minute"), ({"overlap": "both"}, "'skip'"),
                              ({"job": {"command": []}}, "job: job has neither"), ({"job": dict(JOB, gpu=64)}, "gpu 64"),
                              ({"job": None}, "needs a 'job'"), ({"zone": "CET"}, "zone"), ({"name": "A"}, "'A'")):
            answer = make("refused", **fields)
            self.assertEqual((answer.status, fields), (400, fields))
            self.assertIn(words, answer.message)
        self.assertEqual(server.get("/api/v1/crons/refused").status, 404)
        self.assertEqual(make("twice").status, 201)
        self.assertEqual((make("twice").status, make("twice").code), (409, "already_exists"))

    def test_another_organisation_sees_nothing(self):
        make("mine", job=dict(JOB, env={"CANARY": "canary"}))
        for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/pause"), ("POST", "/resume"), ("DELETE", "")):
            yours = server.call(method, f"/api/v1/crons/mine{path}", token=stranger)
            nobodys = server.call(method, f"/api/v1/crons/none{path}", token=stranger)
            self.assertEqual((method, path, yours.status), (method, path, 404))
            self.assertEqual(yours.body.replace(b"mine", b"none"), nobodys.body)
        self.assertEqual(server.get("/api/v1/crons", token=stranger).json["data"], [])
        self.assertEqual(server.get("/api/v1/crons/mine").json["state"], "active")

    def test_the_command_line(self):
        made = cli("cron", "create", "nightly", "--schedule", "0 3 * * mon-fri", "--memory", "64M", "--", "echo", "hello")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertIn("the next job at", made.stdout)
        self.assertIn("0 3 * * mon-fri", cli("cron", "list").stdout)
        self.assertEqual(cli("cron", "pause", "nightly").returncode, 0)
        described = cli("cron", "describe", "nightly").stdout
        self.assertIn('"state": "paused"', described)
        self.assertIn("paused by root", described)
        self.assertEqual(cli("cron", "resume", "nightly").returncode, 0)
        self.assertEqual(json.loads(cli("--json", "cron", "describe", "nightly").stdout)["job"]["command"], ["echo", "hello"])
        self.assertEqual(cli("cron", "delete", "nightly").returncode, 0)
        gone = cli("cron", "delete", "nightly")
        self.assertNotEqual(gone.returncode, 0)
        self.assertIn("no cron 'nightly'", gone.stderr)
        self.assertIn("never fires", cli("cron", "create", "x", "--schedule", "0 0 30 2 *", "--", "true").stderr)
        self.assertIn("--schedule", cli("cron", "create", "x", "--", "true").stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
