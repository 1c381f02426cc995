#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Arrays over the API and the command line: elements as they come up, lists, quotas, cancel, delete, keys, bad input.

The elements may not start before 2099, so that they stay where the tests look at them."""

import json
import os
import signal
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402

new_server = parse_args()
SPEC = {"command": ["true"], "name": "many", "start_after": "2099-01-01T00:00:00Z"}


class Arrays(unittest.TestCase):
    def setUp(self):
        self.server = new_server().start()
        self.addCleanup(self.server.close)

    def submit(self, count, most=None, status=201, headers=None, **more):
        array = {"count": count} | ({"max_running": most} if most is not None else {})
        answer = self.server.call("POST", "/api/v1/jobs", SPEC | {"array": array} | more, headers=headers)
        self.assertEqual(answer.status, status, answer.body)
        return answer.json

    def until(self, job, holds):
        """The first state of the job that holds, as the watch tells it."""
        for event, data in self.server.events(f"/api/v1/watch?job={job}"):
            if event == "job" and holds(data):
                return data
        self.fail("the watch has ended")

    def until_queued(self, job, count):
        return self.until(job, lambda j: j["elements"]["queued"] == count)

    def elements(self, job):
        return self.server.get(f"/api/v1/jobs?limit=1000&array={job}").json["data"]

    def cloudml(self, *args, status=0):
        env = dict(os.environ, CLOUDML_ENDPOINT=f"http://127.0.0.1:{self.server.port}", CLOUDML_TOKEN=self.server.token,
                   HOME=str(self.server.folder), NO_COLOR="1")
        done = subprocess.run([self.server.program, *args], capture_output=True, text=True, timeout=60, env=env)
        self.assertEqual(done.returncode, status, (args, done))
        return done.stdout + done.stderr

    def test_elements_are_made_up_to_the_most_and_survive_a_kill(self):
        array = self.submit(100, 8, headers={"Idempotency-Key": "a"})
        before = self.until_queued(array["id"], 8)
        self.assertEqual((before["state"], before["elements"]["pending"]), ("starting", 92))
        elements = self.elements(array["id"])
        self.assertEqual([e["name"] for e in elements], [f"many-{i}" for i in reversed(range(8))])
        self.assertEqual([e["array_index"] for e in elements], list(reversed(range(8))))
        self.assertEqual({e["array_id"] for e in elements}, {array["id"]})
        self.assertEqual([j["id"] for j in self.server.get("/api/v1/jobs").json["data"]], [array["id"]])
        self.server.stop(signal.SIGKILL)
        self.server.start()
        self.assertEqual(self.submit(100, 8, headers={"Idempotency-Key": "a"})["id"], array["id"])
        # The end of one makes room for the next, and only for that.
        self.assertEqual(self.server.call("POST", f"/api/v1/jobs/{elements[0]['id']}/cancel").status, 202)
        after = self.until(array["id"], lambda j: j["elements"]["cancelled"] == 1 and j["elements"]["queued"] == 8)
        self.assertEqual(after["elements"]["pending"], 91)
        self.assertEqual([e["id"] for e in self.elements(array["id"])][1:], [e["id"] for e in elements])

    def test_a_hundred_thousand_cost_nothing_until_they_run(self):
        array = self.submit(100000)
        self.until_queued(array["id"], 16)
        self.assertEqual(len(self.elements(array["id"])), 16)
        self.assertEqual(self.server.call("POST", f"/api/v1/jobs/{array['id']}/cancel").status, 202)
        ended = self.until(array["id"], lambda j: j["state"] == "cancelled")
        self.assertEqual((ended["elements"]["cancelled"], ended["elements"]["pending"]), (16, 99984))

    def test_a_quota_of_jobs_delays_elements_and_never_all_of_them(self):
        quota = self.server.get("/api/v1/orgs/default/quota").json
        answer = self.server.call("PATCH", "/api/v1/orgs/default/quota", {"user_queued": 4})
        self.assertEqual(answer.status, 200, (answer.body, quota))
        array = self.submit(10)
        self.until_queued(array["id"], 3)
        self.assertEqual(len(self.elements(array["id"])), 3)
        self.assertEqual(self.server.call("PATCH", "/api/v1/orgs/default/quota", {"user_queued": 1}).status, 200)
        for element in self.elements(array["id"]):
            self.server.call("POST", f"/api/v1/jobs/{element['id']}/cancel")
        after = self.until(array["id"], lambda j: j["elements"]["cancelled"] == 3 and j["elements"]["queued"] == 1)
        self.assertEqual(after["elements"]["pending"], 6)

    def test_a_job_starts_after_the_whole_array(self):
        array = self.submit(2)
        self.until_queued(array["id"], 2)
        later = self.server.call("POST", "/api/v1/jobs", SPEC | {"name": "later", "after": ["many:any"]}).json
        self.assertEqual(later["state"], "submitted")
        self.server.call("POST", f"/api/v1/jobs/{array['id']}/cancel")
        self.until(later["id"], lambda j: j["state"] == "queued")

    def test_a_batch_may_hold_an_array(self):
        answer = self.server.call("POST", "/api/v1/jobs:batch", {"jobs": [SPEC | {"array": {"count": 3}}, SPEC | {"name": "one"}]})
        self.assertEqual(answer.json["created"], 2, answer.body)
        self.until_queued(answer.json["data"][0]["id"], 3)

    def test_the_command_line_shows_one_line_and_takes_all_away(self):
        self.cloudml("jobs", "submit", "--detach", "--name", "sweep", "--array", "20%5", "--start-after", "2099-01-01T00:00:00Z",
                     "--", "true")
        array = json.loads(self.cloudml("jobs", "list", "--json"))["data"][0]
        self.assertEqual(array["spec"]["array"], {"count": 20, "max_running": 5})
        self.until_queued(array["id"], 5)
        lines = self.cloudml("jobs", "list", "--quiet").splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertIn("5 of 20: 5 queued", lines[0])
        self.assertEqual(len(self.cloudml("jobs", "list", "--quiet", "--array", "sweep").splitlines()), 5)
        self.cloudml("explain", "sweep-3")
        self.cloudml("explain", "sweep")
        self.cloudml("jobs", "describe", "sweep")
        self.cloudml("jobs", "cancel", "sweep")
        self.until(array["id"], lambda j: j["state"] == "cancelled")
        self.assertEqual(self.server.call("DELETE", f"/api/v1/jobs/{array['id']}").status, 409)
        self.cloudml("jobs", "delete", "sweep")
        self.assertEqual(self.server.get("/api/v1/jobs").json["data"], [])
        self.assertEqual(self.server.get("/api/v1/jobs/sweep-3").status, 404)

    def test_bad_input_is_refused_with_what_is_wrong(self):
        for count, most in ((0, None), (-1, None), (100001, None), (3, 4), (3, 0), ("3", None), (2.5, None), (None, 2)):
            with self.subTest(count=count, most=most):
                self.submit(count, most, status=400)
        for text in ("", "x", "5%", "%5", "5%x", "5-6", "-1", "5%6", "0", "99999999999999999999"):
            with self.subTest(text=text):
                self.assertIn("array", self.cloudml("jobs", "submit", "--array", text, "--", "true", status=2))
        self.assertEqual(self.server.get("/api/v1/jobs?array=nothing").status, 404)
        plain = self.server.call("POST", "/api/v1/jobs", SPEC).json["id"]
        self.assertEqual(self.server.get(f"/api/v1/jobs?array={plain}").status, 400)
        self.submit(3, headers={"Idempotency-Key": "b"})
        self.submit(4, headers={"Idempotency-Key": "b"}, status=409)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
