#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many jobs at once: batches, and many requests with one key. KEY_ROUNDS=N rounds of 100 parallel submits with one key."""

import json
import os
import pathlib
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402

KEY_ROUNDS = int(os.environ.get("KEY_ROUNDS", "5"))
PARALLEL = 100
WAITS = {"command": ["true"], "name": "waits", "cpu": 1}
new_server = parse_args()
server = None


def setUpModule():
    """Nothing of it may start: a first job holds all cores."""
    global server
    server = new_server().start()
    WAITS["cpu"] = server.get("/api/v1/status").json["capacity"]["cpu"]
    assert server.call("POST", "/api/v1/jobs", dict(WAITS, name="holder", command=["sleep", "100000"])).status == 201


def tearDownModule():
    server.call("POST", "/api/v1/jobs/holder/cancel")
    status = server.close()
    assert status == 0, f"the server ended with {status}"


def batch(jobs, **headers):
    return server.call("POST", "/api/v1/jobs:batch", {"jobs": jobs}, headers=headers)


def listed(name):
    return [j["id"] for j in server.get(f"/api/v1/jobs?limit=1000&name={name}").json["data"]]


class Batch(unittest.TestCase):
    def test_each_job_is_made_or_refused_by_itself(self):
        answer = batch([dict(WAITS, name="one"), {"command": ["x"], "farmework": "python"}, dict(WAITS, name="two"),
                        dict(WAITS, gpu=64), dict(WAITS, package="fds://default/none.tar.gz")]).json
        self.assertEqual((answer["created"], answer["refused"]), (2, 3))
        one, typo, two, large, package = answer["data"]
        self.assertEqual((one["name"], one["state"], two["name"]), ("one", "queued", "two"))
        self.assertIn("did you mean 'framework'", typo["error"]["message"])
        self.assertIn("gpu 64", large["error"]["message"])
        self.assertIn("not in the store", package["error"]["message"])
        self.assertEqual(listed("one"), [one["id"]])
        events = server.get(f"/api/v1/jobs/{two['id']}/events").json["data"]
        self.assertEqual([(e["reason"], e["actor"]) for e in events], [("submitted", "root"), ("queued", "controller")])

    def test_a_repeated_batch_finds_its_jobs_also_after_a_restart(self):
        jobs = [dict(WAITS, name="again"), {"command": []}, dict(WAITS, name="again")]
        first = batch(jobs, **{"Idempotency-Key": "again"})
        self.assertIsNone(first.headers["Idempotent-Replay"])
        for restart in (False, True):
            if restart:
                self.assertEqual(server.stop(), 0)
                server.start()
            second = batch(jobs, **{"Idempotency-Key": "again"})
            self.assertEqual(second.headers["Idempotent-Replay"], "true")
            self.assertEqual(second.json, first.json)
        self.assertEqual(sorted(listed("again")), sorted(j["id"] for j in first.json["data"] if "id" in j))
        other = batch(jobs[:1], **{"Idempotency-Key": "again"})
        self.assertEqual((other.status, other.code), (409, "conflict"))

    def test_the_shape_and_size_of_a_batch(self):
        for body in ({"jobs": []}, {"jobs": {}}, {}, {"jobs": [WAITS], "more": 1}, {"jobs": [WAITS] * 1001}):
            answer = server.call("POST", "/api/v1/jobs:batch", body)
            self.assertEqual((answer.status, answer.code), (400, "invalid"))
        self.assertEqual(batch([dict(WAITS, name="full")] * 1000).json["created"], 1000)
        self.assertEqual(batch([3, None, "x", []]).json["refused"], 4)

    def test_jobs_of_a_batch_may_start_after_each_other(self):
        answer = batch([dict(WAITS, name="evaluate", after=["train", "holder:any"]), dict(WAITS, name="train", after=["prepare:ok"]),
                        dict(WAITS, name="prepare")]).json["data"]
        self.assertEqual([j.get("state") for j in answer], ["submitted", "submitted", "queued"], answer)
        evaluate = server.get(f"/api/v1/jobs/{answer[0]['id']}").json
        self.assertEqual(evaluate["spec"]["after"][0], answer[1]["id"] + ":ok")
        self.assertEqual(evaluate["reason"], "dependency")
        server.call("POST", f"/api/v1/jobs/{answer[2]['id']}/cancel")
        for job in answer[:2]:
            for event, data in server.events(f"/api/v1/watch?job={job['id']}"):
                if event == "job" and data["state"] == "failed":
                    break
            self.assertEqual((data["reason"], data["exit"]["class"]), ("dependency", "dependency"))

    def test_dependencies_that_cannot_be_are_refused(self):
        answer = batch([dict(WAITS, name="a", after=["b"]), dict(WAITS, name="b", after=["c"]), dict(WAITS, name="c", after=["a"]),
                        dict(WAITS, name="self", after=["self"]), dict(WAITS, name="waits-for-a", after=["a:any"]),
                        dict(WAITS, name="unknown", after=["nobody"]), dict(WAITS, name="after-unknown", after=["unknown"]),
                        dict(WAITS, name="twin"), dict(WAITS, name="twin"), dict(WAITS, name="one-of", after=["twin"]),
                        dict(WAITS, name="word", after=["twin:later"]), dict(WAITS, name="fine", after=["holder"])]).json
        messages = [j.get("error", {}).get("message", "") for j in answer["data"]]
        self.assertIn("a → b → c → a is a cycle", messages[2])
        self.assertIn("self → self is a cycle", messages[3])
        for n, words in ((0, "'b' of this batch was refused"), (1, "'c' of this batch was refused"), (4, "'a' of this batch"),
                         (5, "there is no job 'nobody'"), (6, "there is no job"), (9, "several jobs of this batch"),
                         (10, "unknown condition")):
            self.assertIn(words, messages[n], n)
        self.assertEqual((answer["created"], [messages[n] for n in (7, 8, 11)]), (3, ["", "", ""]))
        single = server.call("POST", "/api/v1/jobs", dict(WAITS, after=["nobody"]))
        self.assertEqual((single.status, single.code), (400, "invalid"))

    def cli(self, *args, text=""):
        environment = dict(server.environment, CLOUDML_ENDPOINT=f"http://127.0.0.1:{server.port}", CLOUDML_TOKEN=server.token)
        return subprocess.run([server.program, *args], input=text, capture_output=True, text=True, timeout=120, env=environment)

    def test_the_command_line_sends_a_file_in_few_requests(self):
        lines = [json.dumps(dict(WAITS, name="lines")) for _ in range(1005)]
        file = server.folder / "lines.jsonl"
        file.write_text("\n".join(lines) + "\n")
        done = self.cli("jobs", "submit", "--batch", str(file), "--idempotency-key", "lines")
        self.assertEqual(done.returncode, 0, done.stderr)
        ids = done.stdout.split()
        self.assertEqual(len(set(ids)), 1005)
        self.assertEqual(self.cli("jobs", "submit", "--batch", str(file), "--idempotency-key", "lines").stdout.split(), ids)
        mixed = self.cli("jobs", "submit", "--batch", "-", text=f"{lines[0]}\n\n{{\"command\": []}}\n{lines[0]}\n")
        self.assertNotEqual(mixed.returncode, 0)
        self.assertEqual(len(mixed.stdout.split()), 2)
        self.assertIn("line 3: job has neither", mixed.stderr)
        self.assertIn("1 of 3 jobs were refused", mixed.stderr)
        broken = self.cli("jobs", "submit", "--batch", "-", text="{\n")
        self.assertIn("line 1 is not JSON", broken.stderr)


class OneKey(unittest.TestCase):
    def test_a_hundred_parallel_submits_with_one_key_are_one_job(self):
        doubled = 0
        for n in range(KEY_ROUNDS):
            answers, start = [], threading.Barrier(PARALLEL)

            def submit():
                start.wait()
                answers.append(server.call("POST", "/api/v1/jobs", dict(WAITS, name=f"key-{n}"),
                                           headers={"Idempotency-Key": f"key-{n}"}))

            clients = [threading.Thread(target=submit) for _ in range(PARALLEL)]
            for c in clients:
                c.start()
            for c in clients:
                c.join()
            self.assertEqual({a.status for a in answers}, {201})
            self.assertEqual(len(answers), PARALLEL)
            ids = {a.json["id"] for a in answers}
            self.assertEqual(sum(a.headers["Idempotent-Replay"] is None for a in answers), 1)
            doubled += len(ids) != 1 or listed(f"key-{n}") != list(ids)
        print(f"{KEY_ROUNDS} rounds of {PARALLEL} submits with one key: {doubled} with more than one job")
        self.assertEqual(doubled, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
