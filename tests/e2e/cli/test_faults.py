#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Faults of jobs in real containers: retries by class, checkpoints that outlive attempts, grace, jobs that hang."""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

QUICK = {"limit": 5, "backoff": {"initial": "100ms", "factor": 1}}


class Faults(platform.Case):
    def submit(self, name, script, **spec):
        status, job = self.p.api("POST", "/jobs", {"name": name, "command": ["sh", "-c", script], **spec})
        self.assertEqual(status, 201, job)
        return job["id"]

    def test_a_checkpoint_survives_the_attempts_and_the_output_is_the_last_ones(self):
        job = self.submit("resumes", """
            cd "$CLOUDML_CHECKPOINT_DIR"; echo . >>steps; steps=$(wc -l <steps)
            echo "attempt $CLOUDML_ATTEMPT at step $steps"; [ "$steps" = "$CLOUDML_ATTEMPT" ] || exit 9
            echo "$steps" >"$CLOUDML_OUTPUT_DIR/steps"; [ "$steps" = 3 ] || exit 1""", retry=QUICK)
        end = self.p.wait_job(job)
        self.assertEqual((end["state"], end["attempt"]), ("completed", 3), end["message"])
        self.assertEqual(self.p.cli("store", "cat", f"{end['output_uri']}steps").ok().out, "3\n")
        reasons = [e["reason"] for e in self.p.get(f"/jobs/{job}/events")["data"]]
        self.assertEqual(reasons.count("retry"), 2, reasons)
        self.assertEqual([e["actor"] for e in self.p.get(f"/jobs/{job}/events")["data"]], ["root"] + ["controller"] * (len(reasons) - 1))

    def test_a_class_that_is_not_listed_ends_the_job(self):
        job = self.submit("listed", "exit 4", retry={**QUICK, "on": ["lost", "hung"]})
        end = self.p.wait_job(job)
        self.assertEqual((end["state"], end["attempt"], end["exit"]["class"]), ("failed", 1, "user_error"))

    def test_a_job_that_hangs_is_stopped_and_repeated(self):
        job = self.submit("hangs", """
            [ "$CLOUDML_ATTEMPT" = 2 ] && exit 0
            trap "" TERM; echo begins; while :; do sleep 1000; done""",
                          retry={**QUICK, "on": ["hung"]}, hang_timeout="1s", grace_period="200ms")
        end = self.p.wait_job(job)
        self.assertEqual((end["state"], end["attempt"]), ("completed", 2), end["message"])
        told = " ".join(e["message"] for e in self.p.get(f"/jobs/{job}/events")["data"])
        self.assertIn("hung: no output and no use of the processor for 1s", told)
        self.assertIn("was killed", told)

    def test_signs_of_life_keep_a_job_alive(self):
        for name, script in (("talks", "for i in 1 2 3 4 5 6; do echo $i; sleep 0.5; done"),
                             ("works", "end=$(($(date +%s) + 4)); while [ $(date +%s) -lt $end ]; do :; done")):
            end = self.p.wait_job(self.submit(name, script, hang_timeout="2s"))
            self.assertEqual(end["state"], "completed", end["message"])

    def test_a_cancelled_job_has_its_time_of_grace(self):
        job = self.submit("graceful", """
            trap 'echo saving; sleep 1; echo saved >"$CLOUDML_CHECKPOINT_DIR/x"; echo saved; exit 0' TERM
            echo ready; while :; do sleep 0.1; done""", grace_period="60s")
        self.p.wait_log(job, "ready")
        self.assertEqual(self.p.api("POST", f"/jobs/{job}/cancel")[0], 202)
        end = self.p.wait_job(job)
        self.assertEqual(end["state"], "cancelled")
        self.assertIn("saved", self.p.logs(job))


if __name__ == "__main__":
    platform.need_containers()
    platform.need_network()
    platform.main()
