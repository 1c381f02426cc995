#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers that are killed, memory that runs out, machines whose helpers die: jobs and models go on, results are whole.
Needs root and a package index; the training needs the TensorFlow environment."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

PATIENCE = 1500  # with the TensorFlow environment
EPOCHS = 40
# Numbered lines; the marks tell how often it began and ended, whatever anybody else believes.
COUNTER = """
import os, time
marks = os.path.join(os.environ["CLOUDML_OUTPUT_DIR"], "marks")
def mark(word):
    with open(marks, "a") as f:
        f.write(word + "\\n")
mark("begin")
for i in range(%(lines)d):
    print("line", i, "x" * 200, flush=True)
    if i %% 50 == 0:
        print("cloudml: metric turn=%%d step=%%d" %% (i, i), flush=True)
        time.sleep(%(pause)s)
mark("end")
"""
EATER = """
blocks = []
for i in range(64):
    blocks.append(bytearray(b"x" * (16 << 20)))
    print("have", (i + 1) * 16, "MiB", flush=True)
print("too much was given")
"""


class Killed(platform.Case):
    """kill -9 of the server, then cloudml up"""

    def restart(self, times, job, line):
        """Kills the server 'times' times, each after the job has printed more; the job must not notice."""
        for _ in range(times):
            before = line(self.p.logs(job))
            platform.until("the job to go on", lambda: line(self.p.logs(job)) > before)
            self.p.kill()
            self.p.start()

    def counter(self, lines, pause, *flags):
        folder = self.p.folder({"counter.py": COUNTER % {"lines": lines, "pause": pause}})
        return self.p.begin("run", "-F", "python", "--cpu", "500m", "--memory", "256M", *flags, "--", "python", "counter.py",
                            cwd=folder)

    def output(self, job, name):
        return self.p.cli("store", "cat", f"{self.p.job(job)['output_uri']}{name}").ok().out

    def test_a_disk_that_does_not_sync_ends_the_server_and_no_job(self):
        mark = os.path.join(self.p.scratch, "fail-sync")
        self.p.stop()
        usual = dict(self.p.env)
        self.p.env.update(LD_PRELOAD=os.environ["FAIL_SYNC_LIBRARY"], FAIL_SYNC=mark)
        try:
            self.p.start()
        finally:
            self.p.env = usual
        watching = self.counter(1500, 0.1, "--name", "unsynced")
        watching.wait_text("line 50 ")
        job = self.p.job("unsynced")["id"]
        pathlib.Path(mark).touch()
        status, answer = self.p.api("POST", "/jobs", {"name": "lost", "command": ["true"], "framework": "python"})
        self.assertGreaterEqual(status, 500, answer)
        self.assertEqual(self.p.api("GET", "/healthz")[0], 503)
        platform.until("the server's end", lambda: not platform.is_alive(self.p.pid))
        os.unlink(mark)
        self.p.start()
        self.assertEqual(watching.wait().status, 0, watching.notes())
        found = self.p.wait_job(job, "completed")
        self.assertEqual((found["attempt"], found["exit"]["code"]), (1, 0))
        self.assertEqual(self.output(job, "marks"), "begin\nend\n")

    def test_a_watched_job_goes_on_and_the_watcher_misses_nothing(self):
        watching = self.counter(3000, 0.1, "--name", "watched")
        watching.wait_text("line 50 ")
        job = self.p.job("watched")["id"]
        self.restart(3, job, lambda log: log.count("line "))
        done = watching.wait()
        self.assertEqual(done.status, 0, done.err)
        expected = [f"line {i}" for i in range(3000)]
        for text in (done.out, self.p.logs(job)):
            self.assertEqual([" ".join(t.split()[:2]) for t in text.splitlines() if t.startswith("line ")], expected)
        found = self.p.wait_job(job, "completed")
        self.assertEqual((found["attempt"], found["exit"]["code"]), (1, 0))
        self.assertEqual(self.output(job, "marks"), "begin\nend\n")
        ends = [e for e in self.p.get(f"/jobs/{job}/events")["data"] if e["reason"] == "completed" or e["type"] == "completed"]
        self.assertEqual(len({e["seq"] for e in ends if "completed" in e["reason"]}), 1, ends)
        turns = [p[2] for p in self.p.get(f"/jobs/{job}/metrics")["data"]["turn"]]
        self.assertEqual(turns, [float(i) for i in range(0, 3000, 50)])

    def test_a_job_that_ends_while_the_server_is_away_is_found_ended(self):
        watching = self.counter(500, 0.1, "-d", "-q", "--name", "alone")
        job = watching.wait().ok().out.strip()
        self.p.wait_log(job, "line 50 ")
        folder = os.path.join(self.p.data, "tasks", next(n for n in os.listdir(os.path.join(self.p.data, "tasks"))
                                                         if n.startswith(job)))
        self.p.kill()
        platform.until("the exit record", lambda: os.path.exists(os.path.join(folder, "exit.json")))
        self.p.start()
        found = self.p.wait_job(job, "completed")
        self.assertEqual(found["attempt"], 1)
        self.assertEqual(self.output(job, "marks"), "begin\nend\n")
        self.assertEqual(self.p.logs(job).count("line "), 500)

    def test_a_wish_to_cancel_is_kept_over_a_kill(self):
        watching = self.counter(100000, 0.1, "-d", "-q", "--name", "unwanted")
        job = watching.wait().ok().out.strip()
        self.p.wait_log(job, "line 50 ")
        self.p.cli("jobs", "cancel", job).ok()
        self.p.kill()
        self.p.start()
        self.assertEqual(self.p.wait_job(job, "cancelled")["attempt"], 1)

    def test_a_queued_job_starts_after_the_restart_and_once(self):
        first = self.counter(100000, 0.1, "-d", "-q", "--name", "front", "--cpu", "2").wait().ok().out.strip()
        self.p.wait_job(first, "running")
        second = self.counter(100, 0.1, "-d", "-q", "--name", "behind", "--cpu", "2").wait().ok().out.strip()
        self.p.wait_job(second, "queued")
        self.assertRegex(self.p.job(second)["message"], "cpu|core")
        self.p.kill()
        self.p.start()
        self.p.cli("jobs", "cancel", first).ok()
        found = self.p.wait_job(second, "completed")
        self.assertEqual(found["attempt"], 1)
        self.assertEqual(self.output(second, "marks"), "begin\nend\n")

    def test_a_supervisor_that_is_killed_loses_its_job_which_is_tried_again(self):
        watching = self.counter(400, 0.1, "-d", "-q", "--name", "orphan", "--retries", "1")
        job = watching.wait().ok().out.strip()
        self.p.wait_log(job, "line 50 ")
        with open(os.path.join(self.p.data, "tasks", f"{job}-1-main-0", "lock")) as f:
            os.kill(int(f.read()), signal.SIGKILL)
        found = self.p.wait_job(job, "completed")
        self.assertEqual(found["attempt"], 2)
        self.assertEqual(self.p.logs(job).count("line "), 400)

    def test_training_with_tensorflow_goes_on_over_kills(self):
        watching = self.p.begin(
            "jobs", "submit", "examples/digits", "--name", "digits", "--module", "digits.train", "--framework", "tensorflow",
            "--cpu", "2", "--memory", "4G", "--prepare", "echo begin >> $CLOUDML_OUTPUT_DIR/marks",
            "--finish", "echo end >> $CLOUDML_OUTPUT_DIR/marks", "--", "--epochs", str(EPOCHS), cwd=str(platform.ROOT))
        watching.wait_text("Epoch 3/", PATIENCE)
        job = self.p.job("digits")["id"]
        self.restart(2, job, lambda log: log.count("Epoch "))
        done = watching.wait(PATIENCE)
        self.assertEqual(done.status, 0, done.err)
        self.assertEqual(self.p.wait_job(job, "completed")["attempt"], 1)
        expected = [f"Epoch {i}/{EPOCHS}" for i in range(1, EPOCHS + 1)]
        for text in (done.out, self.p.logs(job)):
            self.assertEqual(re.findall(r"^Epoch \d+/\d+", text, re.M), expected)
        self.assertEqual(self.output(job, "marks"), "begin\nend\n")
        self.assertGreater(json.loads(self.output(job, "metrics.json"))["accuracy"], 0.9)


class Memory(platform.Case):
    def test_a_job_beyond_its_memory_fails_and_its_neighbour_does_not(self):
        neighbour = self.p.folder({"counter.py": COUNTER % {"lines": 1500, "pause": 0.1}})
        calm = self.p.begin("run", "-F", "python", "--name", "calm", "--cpu", "500m", "--memory", "256M", "--", "python",
                            "counter.py", cwd=neighbour)
        calm.wait_text("line 50 ")
        eater = self.p.folder({"eater.py": EATER})
        eaten = self.p.cli("run", "-F", "python", "--name", "eater", "--cpu", "500m", "--memory", "256M", "--retries", "3", "--",
                           "python", "eater.py", cwd=eater)
        self.assertNotEqual(eaten.status, 0, eaten)
        job = self.p.job("eater")
        self.assertEqual((job["state"], job["exit"]["class"], job["attempt"]), ("failed", "out_of_memory", 1))
        for word in ("memory", "256"):
            self.assertIn(word, job["message"])
            self.assertIn(word, eaten.err)
        self.assertIn("have 128 MiB", eaten.out)
        self.assertNotIn("too much was given", eaten.out)
        self.assertEqual(self.p.job("calm")["state"], "running")
        done = calm.wait()
        self.assertEqual(done.status, 0, done)
        self.assertEqual(done.out.count("line "), 1500)


class Models(platform.Case):
    """An ONNX model of the store"""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.serve()

    @classmethod
    def serve(cls):
        made = subprocess.run([platform.ROOT / "tests/py_env", platform.ROOT / "tests/scn/serving/requirements.txt"],
                              capture_output=True, text=True, timeout=PATIENCE)
        if made.returncode:
            raise AssertionError(f"no environment with onnx: {made.stderr}")
        path = pathlib.Path(cls.p.scratch, "triple.onnx")
        code = "import pathlib, sys; import onnx_models as m; m.multiply(pathlib.Path(sys.argv[1]), 3.0)"
        subprocess.run([os.path.join(made.stdout.strip(), "bin/python"), "-c", code, path], check=True, timeout=PATIENCE,
                       env={**os.environ, "PYTHONPATH": str(platform.ROOT / "tests/scn/serving")})
        cls.p.cli("store", "cp", path, "fds://default/models/triple.onnx").ok()
        served = cls.p.cli("serve", "fds://default/models/triple.onnx", "--name", "triple", timeout=PATIENCE).ok()
        cls.model = cls.p.wait_model("triple")
        if cls.model["address"] not in served.out:
            raise AssertionError(f"the address should be printed: {served}")

    def rest(self):
        body = json.dumps({"instances": [[1, 2, 3, 4], [0, -1, 0.5, 10]]}).encode()
        with urllib.request.urlopen(self.model["http_url"] + ":predict", body, timeout=60) as answer:
            return json.load(answer)["predictions"]

    TRIPLE = [[3, 6, 9, 12], [0, -3, 1.5, 30]]

    def test_it_answers_over_rest_and_grpc(self):
        request = os.path.join(self.p.scratch, "triple.json")
        pathlib.Path(request).write_text(json.dumps({"instances": [[1, 2, 3, 4], [0, -1, 0.5, 10]]}))
        self.assertEqual(self.rest(), self.TRIPLE)
        for flags in ((), ("--grpc",)):
            answer = self.p.json("models", "predict", "triple", *flags, "-f", request)
            rows = answer.get("predictions", answer.get("outputs"))
            self.assertEqual(rows if isinstance(rows, list) else next(iter(rows.values())), self.TRIPLE, flags)

    def test_it_answers_while_the_server_is_away_and_keeps_its_address(self):
        failures, answered, stop = [], [0], threading.Event()
        restarts = self.p.get("/models/triple")["restarts"]

        def ask():
            while not stop.is_set():
                try:
                    if self.rest() != self.TRIPLE:
                        failures.append("a wrong answer")
                    answered[0] += 1
                except OSError as e:
                    failures.append(repr(e))

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for end in (self.p.stop, self.p.kill):
                end()
                before = answered[0]
                platform.until("answers without a server", lambda: answered[0] > before + 10 or failures)
                self.p.start()
                model = self.p.wait_model("triple")
                self.assertEqual((model["address"], model["id"], model["restarts"]),
                                 (self.model["address"], self.model["id"], restarts))
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])

    def test_a_service_that_dies_comes_back_at_its_address(self):
        restarts = self.p.get("/models/triple")["restarts"]
        group = [p for p in platform.processes_with("--model_name", "triple") if self.is_ours(p)]
        self.assertEqual(len(group), 1)
        os.kill(group[0], signal.SIGKILL)
        platform.until("its return", lambda: self.p.get("/models/triple")["restarts"] == restarts + 1)
        self.p.wait_model("triple")
        self.assertEqual(self.rest(), self.TRIPLE)
        self.assertEqual(self.p.get("/models/triple")["address"], self.model["address"])

    def is_ours(self, pid):
        text = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
        return self.model["id"] in text

    def test_a_model_that_is_none_fails_with_the_reason(self):
        broken = os.path.join(self.p.scratch, "broken.onnx")
        pathlib.Path(broken).write_bytes(b"no model at all" * 100)
        self.p.cli("store", "cp", broken, "fds://default/models/broken.onnx").ok()
        done = self.p.cli("serve", "fds://default/models/broken.onnx", "--name", "broken", timeout=PATIENCE).fails("broken")
        self.assertEqual(self.p.wait_model("broken", "failed")["state"], "failed", done)
        self.p.cli("models", "delete", "broken").ok()
        platform.until("its end", lambda: self.p.api("GET", "/models/broken")[0] == 404)


if __name__ == "__main__":
    platform.need_containers()
    platform.need_network()
    platform.main()
