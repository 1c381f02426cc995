#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Jobs of several tasks in real containers: they find each other, end together, start again together, and outlive their
server. Needs root and a package index; the last story needs the TensorFlow environment."""

import json
import os
import pathlib
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

PATIENCE = 1500  # with the TensorFlow environment
# Every task sends its number to every other over TCP, in rounds, and adds up what it got.
RING = """
import json, os, socket, sys, time, urllib.error, urllib.request
config = json.loads(os.environ["TF_CONFIG"])
workers, me = config["cluster"]["worker"], config["task"]["index"]
assert config["task"]["type"] == os.environ["CLOUDML_ROLE"] == "worker", config
assert me == int(os.environ["CLOUDML_TASK_INDEX"]) == int(os.environ["RANK"])
assert len(workers) == int(os.environ["CLOUDML_TASK_COUNT"]) == int(os.environ["WORLD_SIZE"])
store = os.environ["AWS_ENDPOINT_URL"]  # each has its own way out of the network that they share
assert store == "http://127.0.0.1:%d" % (8333 + me)
try:
    urllib.request.urlopen(store)
    sys.exit("the store knows no strangers")
except urllib.error.HTTPError as e:
    assert e.code == 403, e.code
rounds, fails = int(sys.argv[1]), sys.argv[2:3]
host, port = workers[me].split(":")
server = socket.create_server((host, int(port)))
def dial(address):
    host, port = address.split(":")
    while True:
        try:
            return socket.create_connection((host, int(port)))
        except ConnectionRefusedError:
            time.sleep(0.05)
out = [dial(w) for w in workers]
into = [server.accept()[0].makefile("rb") for _ in workers]
if fails and os.environ["CLOUDML_ATTEMPT"] == "1" and me == 1:
    sys.exit("task 1 gives up")
total = 0
for i in range(rounds):
    try:
        for peer in out:
            peer.sendall(b"%d\\n" % (me + 1))
        lines = [peer.readline() for peer in into]
    except OSError:
        lines = [b""]
    if not all(lines):
        time.sleep(3600)  # a peer has gone: wait for the end
    total += sum(map(int, lines))
    print("round", i, flush=True)
    print("cloudml: metric sum%d=%d step=%d" % (me, total, i), flush=True)
    if rounds > 10:
        time.sleep(0.1)
print("total", total, "of task", me, flush=True)
with open(os.path.join(os.environ["CLOUDML_OUTPUT_DIR"], "total"), "w") as f:
    f.write("%d of %d" % (total, me))
"""
# The sum of what all replicas hold, by TensorFlow's own collective operations.
MIRRORED = """
import os
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Input((4,)), tf.keras.layers.Dense(1)])
mine = tf.constant(float(os.environ["RANK"]) + 1)
total = strategy.reduce("SUM", strategy.run(lambda: mine), axis=None)
print("replicas", strategy.num_replicas_in_sync, "sum", float(total), flush=True)
"""


class Gangs(platform.Case):
    def submit(self, rounds, *args, flags=()):
        folder = self.p.folder({"ring.py": RING})
        return self.p.cli("jobs", "submit", ".", "-d", "-q", "-F", "python", "--tasks", "2", "--cpu", "500m", "--memory", "256M",
                          *flags, "--", "python", "ring.py", str(rounds), *args, cwd=folder).ok().out.strip()

    def output(self, job, name):
        return self.p.cli("store", "cat", f"{self.p.job(job)['output_uri']}{name}").ok().out

    def task_log(self, job, task):
        return self.p.cli("jobs", "logs", job, "--task", str(task)).ok().out

    def both_have_the_sum(self, job, rounds):
        for task, name in ((0, "total"), (1, "task-1/total")):
            self.assertEqual(self.output(job, name), f"{3 * rounds} of {task}")
            self.assertIn(f"total {3 * rounds} of task {task}", self.task_log(job, task))
            points = self.p.cli("jobs", "metrics", job, "--task", str(task), "--name", f"sum{task}", "--json").json()
            self.assertEqual(points[-1][1:], [rounds - 1, 3 * rounds])
        self.p.cli("jobs", "logs", job, "--task", "2").fails("there is no task 2, the job has 2")

    def test_two_tasks_talk_and_what_they_hold_is_counted_twice(self):
        for network in ("egress", "none"):
            job = self.submit(5, flags=("--network", network))
            found = self.p.wait_job(job, "completed")
            self.assertEqual((found["attempt"], found["spec"]["tasks"]), (1, 2))
            self.both_have_the_sum(job, 5)
            usage = self.p.get(f"/orgs/default/usage?job={job}")["data"]
            ms = found["ended_ms"] - found["started_ms"]
            self.assertAlmostEqual(sum(u["cpu_hours"] for u in usage), 2 * 0.5 * ms / 3600000, places=4)
            platform.until("the network to go", lambda: not platform.networks_of({job}))

    def test_more_than_the_machine_has_is_refused(self):
        self.p.cli("jobs", "submit", "-d", "--tasks", "64", "--cpu", "1024", "--", "true").fails("cpu 1024 is more", status=2)
        cores = str(os.cpu_count())
        self.p.cli("jobs", "submit", "-d", "--tasks", "2", "--cpu", cores, "--", "true").fails(
            "2 tasks of this size are more", "ask for 1 at most", status=2)
        self.p.cli("jobs", "submit", "-d", "--tasks", "65", "--", "true").fails("tasks", status=2)

    def test_a_server_that_is_killed_finds_both_again(self):
        job = self.submit(100)
        for part in ("round 5\n", "round 20\n"):
            self.p.wait_log(job, part)
            self.p.kill()
            self.p.start()
        self.assertEqual(self.p.wait_job(job, "completed")["attempt"], 1)
        self.both_have_the_sum(job, 100)

    def test_one_that_fails_ends_the_other_and_both_start_again(self):
        job = self.submit(5, "fails", flags=("--retries", "1"))
        found = self.p.wait_job(job, "completed")
        self.assertEqual(found["attempt"], 2)
        events = [e["message"] for e in self.p.get(f"/jobs/{job}/events")["data"] if e["reason"] == "retry"]
        self.assertEqual(len(events), 1)
        self.assertIn("task 1: ", events[0])
        self.assertIn("task 1 gives up", events[0])
        self.both_have_the_sum(job, 5)

    def test_one_whose_supervisor_is_killed_is_not_left_alone(self):
        job = self.submit(100, flags=("--retries", "1"))
        self.p.wait_log(job, "round 3\n")
        with open(os.path.join(self.p.data, "tasks", f"{job}-1-worker-1", "lock")) as f:
            os.kill(int(f.read()), signal.SIGKILL)
        self.assertEqual(self.p.wait_job(job, "completed")["attempt"], 2)
        self.both_have_the_sum(job, 100)

    def test_a_cancel_ends_both(self):
        job = self.submit(100000)
        self.p.wait_log(job, "round 3\n")
        self.p.cli("jobs", "cancel", job).ok()
        self.assertEqual(self.p.wait_job(job, "cancelled")["exit"]["class"], "cancelled")
        platform.until("the tasks to go", lambda: not [n for n in os.listdir(os.path.join(self.p.data, "tasks")) if job in n])

    def test_tensorflow_s_multi_worker_strategy_runs_as_it_is(self):
        folder = self.p.folder({"mirrored.py": MIRRORED})
        job = self.p.cli("jobs", "submit", ".", "-d", "-q", "-F", "tensorflow", "--tasks", "2", "--cpu", "1", "--memory", "2G",
                         "--", "python", "mirrored.py", cwd=folder).ok().out.strip()
        self.p.wait_job(job, "completed", timeout=PATIENCE)
        for task in (0, 1):
            self.assertIn("replicas 2 sum 3.0", self.task_log(job, task))


if __name__ == "__main__":
    platform.need_containers()
    platform.need_network()
    platform.main()
