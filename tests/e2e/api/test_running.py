#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Jobs that really run, seen through the API: logs byte for byte over every switch, metrics, outputs, restarts. Needs what
containers need, and a package index for the first environment.

usage: test_running.py PROGRAM FRAMEWORKS SCN_FOLDER [TEST...]
"""

import signal
import sys
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv.pop(3))
from server import parse_args  # noqa: E402

new_server = parse_args()
server = None
ENDED = ("completed", "failed", "cancelled")


def setUpModule():
    global server
    server = new_server().start()
    job = wait_for(submit("true"), *ENDED)
    if job["state"] != "completed":
        print(f"no job can run here: {job['message']}")
        server.close()
        sys.exit(77)


def tearDownModule():
    server.close()


def submit(script, **more):
    answer = server.call("POST", "/api/v1/jobs", {"command": ["sh", "-c", script], "cpu": "100m", "memory": "128M", **more})
    assert answer.status == 201, answer.body
    return answer.json["id"]


def wait_for(job, *states):
    for event, data in server.events(f"/api/v1/watch?job={job}"):
        if event == "job" and data["state"] in states:
            return data
    raise AssertionError("the watch ended before the job")


def log(job, query=""):
    answer = server.get(f"/api/v1/jobs/{job}/logs{query}")
    assert answer.status == 200, answer.body
    return answer.body


class Arrays(unittest.TestCase):
    def test_every_element_runs_once_and_knows_its_number(self):
        array = submit('echo "$CLOUDML_ARRAY_INDEX of $CLOUDML_ARRAY_COUNT in $CLOUDML_ARRAY_JOB"; exit "$CLOUDML_ARRAY_INDEX"',
                       name="numbered", array={"count": 3, "max_running": 2})
        self.assertEqual(log(array, "?follow=1"), b"")  # it has none of its own, and ends with its elements
        ended = wait_for(array, *ENDED)
        self.assertEqual((ended["state"], ended["exit"]["class"]), ("failed", "elements"))
        elements = server.get(f"/api/v1/jobs?array={array}").json["data"]
        self.assertEqual([e["exit"]["code"] for e in elements], [2, 1, 0])
        for number in range(3):
            self.assertEqual(log(f"numbered-{number}").decode(), f"{number} of 3 in {array}\n")


class Logs(unittest.TestCase):
    def test_a_follower_gets_every_byte_over_the_end_of_the_task(self):
        job = submit("i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done; sleep 1; printf 'last \\377 bytes'")
        followed = log(job, "?follow=1")  # begins before the task, ends after it was collected
        self.assertEqual(server.get(f"/api/v1/jobs/{job}").json["state"], "completed")
        expected = b"".join(b"line %d\n" % i for i in range(2000)) + b"last \xff bytes"
        self.assertEqual(followed, expected)
        self.assertEqual(log(job), expected)
        self.assertEqual(log(job, "?offset=100"), expected[100:])
        self.assertEqual(log(job, f"?offset={len(expected)}"), b"")
        tail = server.get(f"/api/v1/jobs/{job}/logs?tail=50")
        self.assertEqual((tail.body, tail.headers["X-Log-Offset"]), (expected[-50:], str(len(expected) - 50)))
        self.assertEqual(log(job, "?tail=1000000"), expected)
        self.assertEqual(log(job, "?tail=0"), b"")

    def test_a_follower_goes_on_with_the_next_attempt(self):
        job = submit("echo attempt; exit 3", max_retries=2)
        self.assertEqual(log(job, "?follow=1"), b"attempt\n" * 3)
        ended = server.get(f"/api/v1/jobs/{job}").json
        self.assertEqual((ended["state"], ended["attempt"], ended["exit"]["code"]), ("failed", 3, 3))
        for attempt in (1, 2, 3):
            self.assertEqual(log(job, f"?attempt={attempt}"), b"attempt\n")
        self.assertEqual(log(job, "?follow=1&attempt=2"), b"attempt\n" * 2)

    def test_many_followers_read_the_same(self):
        job = submit("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done")
        texts = []
        threads = [threading.Thread(target=lambda: texts.append(log(job, "?follow=1"))) for _ in range(10)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(texts, [b"1\n2\n3\n4\n5\n6\n7\n8\n"] * 10)

    def test_the_log_of_a_cancelled_job_stays(self):
        job = submit("echo begun; sleep 1000")
        connection = server.connect()
        connection.request("GET", f"/api/v1/jobs/{job}/logs?follow=1", headers={"Authorization": "Bearer " + server.token})
        response = connection.getresponse()
        self.assertEqual(response.read(6), b"begun\n")
        server.call("POST", f"/api/v1/jobs/{job}/cancel")
        rest = response.read()  # ends with the job; the last word is the platform's
        connection.close()
        self.assertEqual(server.get(f"/api/v1/jobs/{job}").json["state"], "cancelled")
        self.assertEqual(log(job), b"begun\n" + rest)


class Results(unittest.TestCase):
    def test_outputs_metrics_and_history_are_there_when_the_job_has_completed(self):
        job = submit("for i in 1 2 3; do echo step $i/3 loss=0.$i; sleep 0.3; done; echo kept > $CLOUDML_OUTPUT_DIR/kept.txt")
        ended = wait_for(job, *ENDED)
        self.assertEqual(ended["state"], "completed", ended)
        bucket, prefix = ended["output_uri"].removeprefix("fds://").split("/", 1)
        self.assertEqual(server.get(f"/api/v1/store/{bucket}/{prefix}kept.txt").body, b"kept\n")
        series = server.get(f"/api/v1/jobs/{job}/metrics").json["data"]
        self.assertEqual([point[2] for point in series["loss"]], [0.1, 0.2, 0.3])
        reasons = [e["reason"] for e in server.get(f"/api/v1/jobs/{job}/events").json["data"]]
        self.assertEqual(reasons[0], "submitted")
        self.assertEqual(reasons[-1], "completed")

    def test_an_output_without_a_model_says_what_is_there_instead(self):
        job = submit("echo x > $CLOUDML_OUTPUT_DIR/weights.txt")
        wait_for(job, "completed")
        answer = server.call("POST", "/api/v1/models", {"name": "nomodel", "job": job})
        self.assertEqual((answer.status, answer.code), (400, "invalid"))
        self.assertIn("weights.txt", answer.message)


class Restarts(unittest.TestCase):
    def test_a_running_job_outlives_the_server(self):
        for how in (signal.SIGTERM, signal.SIGKILL):
            marker = f"gate-{how.name.lower()}"
            job = submit("echo begun; sleep 4; echo ended", name=marker)
            wait_for(job, "running")
            server.stop(how)
            server.start()
            ended = wait_for(job, *ENDED)
            self.assertEqual((ended["state"], ended["attempt"]), ("completed", 1), ended)
            self.assertEqual(log(job), b"begun\nended\n")

    def test_a_job_that_ends_while_no_server_runs_is_completed(self):
        job = submit("echo begun; sleep 1; echo ended")
        wait_for(job, "running")
        server.stop(signal.SIGKILL)
        task = next((server.data / "tasks").glob(f"{job}-1-*"))
        while not (task / "exit.json").exists():
            pass
        server.start()
        ended = wait_for(job, *ENDED)
        self.assertEqual((ended["state"], ended["attempt"]), ("completed", 1), ended)
        self.assertEqual(log(job, "?follow=1"), b"begun\nended\n")


if __name__ == "__main__":
    unittest.main()
