#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole path with real TensorFlow: handwritten digits are trained, watched, served and predicted. The first run
builds the TensorFlow environment, which takes minutes. Needs root and a package index."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

EPOCHS = 12
PATIENCE = 1500  # with the environment
ENOUGH = 0.95  # of the held-out digits
SAME = 1e-5  # two protocols write the same 32-bit number with different digits


def rows_of(answer):
    rows = answer.get("predictions", answer.get("outputs"))
    if isinstance(rows, dict):
        rows = next(iter(rows.values()))
    return [next(iter(row.values())) if isinstance(row, dict) else row for row in rows]


def right(rows, labels):
    return sum(max(range(10), key=row.__getitem__) == label for row, label in zip(rows, labels)) / len(labels)


class Digits(platform.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.train()

    @classmethod
    def train(cls):
        """As examples/demo.sh does; what the job said of itself on its way is kept for the tests."""
        cls.watching = cls.p.begin(
            "jobs", "submit", "examples/digits", "--name", "digits", "--module", "digits.train", "--framework", "tensorflow",
            "--cpu", "2", "--memory", "4G", "--", "--model", "cnn", "--epochs", str(EPOCHS), cwd=str(platform.ROOT))
        cls.seen = []

        def look():
            status, job = cls.p.api("GET", "/jobs/digits")
            if status == 200 and (not cls.seen or (job["state"], job["progress"]) != cls.seen[-1]):
                cls.seen.append((job["state"], job["progress"]))
            return cls.watching.over()

        platform.until("the end of the training", look, PATIENCE)
        cls.trained = cls.watching.wait().ok()
        cls.job = cls.p.job("digits")
        cls.p.cli("serve", cls.job["id"], "--name", "digits", timeout=PATIENCE).ok()
        cls.model = cls.p.wait_model("digits")
        cls.holdout = json.loads(cls.output("holdout.json"))
        cls.request = pathlib.Path(cls.p.scratch, "request.json")
        cls.request.write_text(json.dumps({"instances": cls.holdout["instances"]}))

    @classmethod
    def output(cls, name):
        return cls.p.cli("store", "cat", cls.job["output_uri"] + name).ok().out

    def rest(self, path, body=None):
        with urllib.request.urlopen(self.model["http_url"] + path, body, timeout=120) as answer:
            return json.load(answer)

    def test_the_training_completes_at_its_first_attempt_and_is_good(self):
        self.assertEqual((self.job["state"], self.job["attempt"], self.job["exit"]["code"]), ("completed", 1, 0))
        metrics = json.loads(self.output("metrics.json"))
        self.assertEqual((metrics["epochs"], metrics["held_out"]), (EPOCHS, len(self.holdout["labels"])))
        self.assertGreaterEqual(metrics["accuracy"], ENOUGH)
        self.assertIn("held-out accuracy: %.4f" % metrics["accuracy"], self.trained.out)

    def test_its_progress_was_live(self):
        running = [progress["percent"] for state, progress in self.seen if state == "running"]
        between = [p for p in running if isinstance(p, (int, float)) and 0 < p < 100]
        self.assertGreaterEqual(len(set(between)), 3, self.seen)
        self.assertEqual(between, sorted(between))

    def test_its_log_is_whole_and_the_watcher_saw_every_line_of_it_as_it_ended(self):
        log = self.p.cli("jobs", "logs", "digits").ok().out
        self.assertEqual(log, self.p.logs("digits"))
        self.assertGreater(log.count("\r"), EPOCHS)  # bars that are drawn over and over
        settled = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in log.split("\n")]
        self.assertEqual(self.trained.out.split("\n"), settled)
        found = [line for line in settled if line.startswith("Epoch ")]
        self.assertEqual(found, [f"Epoch {i}/{EPOCHS}" for i in range(1, EPOCHS + 1)])

    def test_its_metrics_fall_and_rise_as_they_should(self):
        data = self.p.json("jobs", "metrics", "digits")["data"]
        loss, accuracy = [p[2] for p in data["loss"]], [p[2] for p in data["accuracy"]]
        self.assertGreaterEqual(len(loss), EPOCHS)
        self.assertLess(loss[-1], loss[0] / 4)
        self.assertGreater(accuracy[-1], ENOUGH)
        self.assertTrue(data["memory_bytes"] and data["cpu_percent"])

    def test_grpc_and_rest_answer_alike_and_know_the_digits(self):
        grpc = rows_of(self.p.json("models", "predict", "digits", "--grpc", "-f", self.request))
        rest = rows_of(self.rest(":predict", self.request.read_bytes()))
        api = rows_of(self.p.json("models", "predict", "digits", "-f", self.request))
        self.assertEqual(len(grpc), len(self.holdout["labels"]))
        for one, two, three in zip(grpc, rest, api):
            for a, b, c in zip(one, two, three):
                self.assertLess(abs(a - b), SAME)
                self.assertLess(abs(a - c), SAME)
        self.assertGreaterEqual(right(grpc, self.holdout["labels"]), ENOUGH)
        self.assertGreaterEqual(right(rest, self.holdout["labels"]), ENOUGH)

    def test_the_service_tells_its_state_and_signature(self):
        status = self.rest("")["model_version_status"][0]
        self.assertEqual((status["version"], status["state"], status["status"]["error_code"]), ("1", "AVAILABLE", "OK"))
        signatures = self.rest("/metadata")["metadata"]["signature_def"]["signature_def"]
        image = next(iter(signatures["serving_default"]["inputs"].values()))
        self.assertEqual([d["size"] for d in image["tensor_shape"]["dim"]], ["-1", "8", "8", "1"])
        self.assertEqual(self.p.get("/models/digits/metadata")["metadata"]["signature_def"]["signature_def"], signatures)
        described = self.p.cli("models", "describe", "digits").ok().out
        self.assertIn(self.model["address"], described)
        self.assertIn("[?, 8, 8, 1]", described)

    def test_an_example_is_made_from_the_signature(self):
        self.assertEqual(len(rows_of(self.p.json("models", "predict", "digits"))[0]), 10)
        self.assertEqual(len(rows_of(self.p.json("models", "predict", "digits", "--grpc"))[0]), 10)

    def test_what_does_not_fit_the_signature_is_explained(self):
        wrong = pathlib.Path(self.p.scratch, "wrong.json")
        for body, word in (('{"instances": [[1, 2]]}', "shape"), ('{"instances": "no"}', "instances"), ("{", "JSON"),
                           ('{"signature_name": "nope", "instances": [1]}', "nope")):
            wrong.write_text(body)
            for flags in ((), ("--grpc",)):
                with self.subTest(body=body, flags=flags):
                    self.p.cli("models", "predict", "digits", *flags, "-f", wrong).fails()
            if body != "{":
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    self.rest(":predict", body.encode())
                with refused.exception as answer:
                    self.assertEqual(answer.code, 400)
                    self.assertIn("error", json.load(answer))

    def browse(self, program, **env):
        browser = os.environ.get("CHROMIUM") or shutil.which("chromium")
        if not (browser and shutil.which("node") and (platform.ROOT / "web/node_modules/playwright-core").exists()):
            self.skipTest("needs chromium, node and the packages of web/")
        r = subprocess.run(["node", "--test", f"e2e/{program}"], cwd=platform.ROOT / "web", capture_output=True, text=True,
                           timeout=600, env={**os.environ, "CHROMIUM": browser, **env})
        self.assertEqual(r.returncode, 0, r.stdout[-6000:] + r.stderr[-2000:])

    def test_the_console_works_in_a_browser(self):
        self.browse("console.test.mjs", CLOUDML_URL=self.p.url, CLOUDML_TOKEN=self.p.token, CLOUDML_JOB="digits",
                    CLOUDML_MODEL="digits")

    def browse_standin(self, program):
        built = list(pathlib.Path(platform.CLOUDML).resolve().parents[2].glob("web/*/dist"))
        self.assertEqual(len(built), 1)
        self.browse(program, CLOUDML_DIST=str(built[0]))

    def test_the_console_survives_a_server_that_goes_away(self):
        self.browse_standin("reconnect.test.mjs")

    def test_the_console_links_to_tensorboards(self):
        self.browse_standin("boards.test.mjs")


class Demo(unittest.TestCase):
    """examples/demo.sh"""

    @classmethod
    def setUpClass(cls):
        cls.p = platform.Platform()  # its data folder is the demo's
        cls.demo = os.path.join(cls.p.scratch, "demo")
        os.mkdir(cls.demo)
        os.rename(cls.p.data, os.path.join(cls.demo, "data"))
        cls.p.data = cls.p.env["CLOUDML_DATA"] = os.path.join(cls.demo, "data")
        cls.p.env.update(DEMO_FOLDER=cls.demo, DEMO_PORT=str(cls.p.port), CLOUDML=platform.CLOUDML)

    @classmethod
    def tearDownClass(cls):
        if os.path.exists(os.path.join(cls.p.data, "run/server.json")):  # a test has failed on its way
            cls.script("clean")
        cls.p.end_without_server()

    @classmethod
    def script(cls, word):
        r = subprocess.run([platform.ROOT / "examples/demo.sh", word], env=cls.p.env, capture_output=True, text=True,
                           timeout=PATIENCE)
        if r.returncode:
            raise AssertionError(f"demo.sh {word}: status {r.returncode}\n{r.stdout}\n{r.stderr}")
        return r.stdout

    def test_it_may_be_repeated_and_cleans_up(self):
        first = self.script("up")
        self.assertIn("agree on all", first)
        started = platform.time.monotonic()
        second = self.script("up")
        print(f"(the second took {platform.time.monotonic() - started:.1f} s) ", end="", file=sys.stderr, flush=True)
        for words in ("has trained this code already", "already", "agree on all"):
            self.assertIn(words, second)
        self.p.pid = json.loads(pathlib.Path(self.p.data, "run/server.json").read_text())["pid"]
        self.p.note_owners()
        self.assertEqual(len([o for o in self.p.owners if o.startswith("j")]), 1)
        self.script("clean")
        self.assertFalse(os.path.exists(self.demo))
        self.assertEqual(self.p.leftovers(), [])


if __name__ == "__main__":
    platform.need_containers()
    platform.need_network()
    platform.main()
