#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Why a job waits: what the command line and the API say of it. Needs root, no network: no job here ever starts."""

import datetime
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402


class Explain(platform.Case):
    """One platform; every job waits."""

    def submit(self, name, *flags):
        return self.p.json("jobs", "submit", "--json", "-d", "--name", name, *flags, "--", "true")["id"]

    def test_a_job_for_later_says_when_and_that_it_could_start_now(self):
        job = self.submit("later", "--start-after", "1h")
        e = self.p.json("explain", "later", "--json")
        self.assertEqual((e["job"], e["state"], e["reason"], e["position"]), (job, "queued", "start_after", None))
        self.assertEqual(e["expected_start_ms"] // 1000, self.starts_after(job) // 1000)
        self.assertEqual([c["field"] for c in e["changes"]], ["start_after"])
        text = self.p.cli("explain", "later").ok().out
        for part in ("starts no earlier than in 59m", "expected in", "leave start_after out"):
            self.assertIn(part, text)
        self.p.cli("jobs", "cancel", "later").ok()
        e = self.p.json("explain", "later", "--json")
        self.assertEqual((e["state"], e["position"], e["changes"]), ("cancelled", None, []))

    def starts_after(self, job):
        text = self.p.job(job)["spec"]["start_after"]
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000

    def test_a_job_that_its_quota_holds_back_says_so(self):
        first, second = (self.submit(name, "--start-after", "2s") for name in ("first", "second"))
        self.p.cli("quota", "set", "--count", "0", "--borrow", "no").ok()
        try:
            platform.until("the quota to be the reason",
                           lambda: self.p.job(second)["reason"] == "quota_count" == self.p.job(first)["reason"])
            e = self.p.json("explain", second, "--json")
            self.assertEqual(e["short"], {"resource": "count", "of": "quota", "wanted": 1, "available": 0, "limit": 0})
            self.assertEqual((e["position"], e["ahead_own"]), (2, 1))
            self.assertEqual(e["changes"], [])  # the first would take it
            e = self.p.json("explain", first, "--json")
            self.assertEqual([(c["field"], c["value"]) for c in e["changes"]], [("quota.training.count", 1)])
            text = self.p.cli("explain", second).ok().out
            for part in ("needs 1 task, the quota of 'default' for training has 0 left of 0", "2 in the queue, 1 of yours",
                         "count of the quota: 1 wanted, 0 left of 0"):
                self.assertIn(part, text)
            self.p.cli("jobs", "submit", "-d", "--", "true").fails("quota of 'default' for training", status=6)
        finally:
            for job in (first, second):
                self.p.cli("jobs", "cancel", job).ok()
            self.p.cli("quota", "set", "--count", "-1", "--borrow", "yes").ok()

    def test_one_user_cannot_fill_the_queue(self):
        self.p.cli("quota", "set", "--user-queued", "3").ok()
        jobs = [self.submit(f"one-{i}", "--start-after", "1h") for i in range(3)]
        status, answer = self.p.api("POST", "/jobs", {"name": "four", "command": ["true"]})
        self.assertEqual((status, answer["error"]["code"]), (429, "quota"))
        self.assertIn("has 3 unfinished jobs, and 3 are allowed", answer["error"]["message"])
        status, answer = self.p.api("POST", "/jobs:batch", {"jobs": [{"command": ["true"]}] * 3})
        self.assertEqual((status, answer["created"], answer["refused"]), (200, 0, 3))
        self.p.cli("jobs", "cancel", *jobs).ok()
        self.p.cli("quota", "set", "--user-queued", "50000").ok()

    def test_what_can_never_start_is_refused(self):
        for flags, words in ((("--node-label", "disk=tape"), ("node_labels", "no node has the label 'disk=tape'",
                                                                "nodes have no labels")),
                             (("--node-label", "tape"), ("node_labels", "'key=value'")),
                             (("--deadline", "1h", "--max-duration", "2h"), ("deadline", "could not end")),
                             (("--start-after", "2h", "--deadline", "1h"), ("deadline is not after start_after",)),
                             (("--start-after", "soon"), ("--start-after", "'soon' is not a time"))):
            self.p.cli("jobs", "submit", "-d", *flags, "--", "true").fails(*words, status=2)

    def test_labels_of_the_machine_are_what_jobs_may_ask_for(self):
        self.p.stop()
        self.p.cli("up", "--detach", "--label", "disk ssd").fails("--label: 'disk ssd' is not a label")
        self.p.start("--label", "disk=ssd", "--label=zone=a/1")
        try:
            self.assertEqual(self.p.json("status")["backend"]["labels"], ["disk=ssd", "zone=a/1"])
            self.p.cli("jobs", "submit", "-d", "--node-label", "disk=tape", "--", "true").fails(
                "no node has the label 'disk=tape'; nodes have disk=ssd, zone=a/1; leave it out", status=2)
            job = self.submit("labelled", "--node-label", "zone=a/1", "--node-label", "disk=ssd", "--start-after", "2s")
            self.p.cli("quota", "set", "--count", "0", "--borrow", "no").ok()
            self.p.stop()
            self.p.start()  # the machine has lost them: what was accepted waits
            platform.until("the labels to be the reason", lambda: self.p.job(job)["reason"] == "no_such_node")
            self.assertIn("'zone=a/1'", self.p.job(job)["message"])
            self.p.stop()
            self.p.start("--label", "zone=a/1", "--label", "disk=ssd")
            platform.until("the quota to be the reason", lambda: self.p.job(job)["reason"] == "quota_count")
        finally:
            self.p.cli("jobs", "cancel", "labelled")
            self.p.cli("quota", "set", "--count", "-1", "--borrow", "yes").ok()
            self.p.stop()
            self.p.start()

    def test_a_job_that_is_not_there(self):
        self.p.cli("explain", "nobody").fails("there is no job 'nobody'", status=4)


if __name__ == "__main__":
    platform.need_containers()
    platform.main()
