# SPDX-License-Identifier: Apache-2.0
"""Clients, a server that is killed, and the two witnesses that share no code with it.

The ledger holds what clients were told. The workload writes marks into its checkpoint folder, which the machine keeps
when a job fails; so every job ends by failing, with a status of its own. What the ledger and the marks say is compared
with what the server says at the end: lost, doubled, orphaned.
"""

import http.client
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

DONE = 7  # the status with which a workload says that it went through
WORK = f"""
cd "$CLOUDML_CHECKPOINT_DIR" || exit 1
exec 9>lock; flock -n 9 || echo overlap >>marks
echo "start $CLOUDML_ATTEMPT" >>marks
sleep "$1"
echo "stop $CLOUDML_ATTEMPT" >>marks
exit {DONE}
"""
# Only what the platform loses is repeated.
RETRY = {"limit": 100, "on": ["lost", "platform"], "backoff": {"initial": "50ms", "factor": 1}}
START_S = 60
SETTLE_S = 600


def spec(name, seconds=0.0):
    return {"name": name, "command": ["sh", "-c", WORK, "work", str(seconds)], "cpu": "100m", "memory": "64M", "retry": RETRY,
            "grace_period": "1s"}


class Server:
    """A server on a fixed port that may be killed at any time; its environment may name a failpoint."""

    def __init__(self):
        self.platform = platform.Platform()
        self.data, self.port = self.platform.data, self.platform.port
        self.process = None
        self.deaths = 0

    def start(self, failpoint=None, hit=1):
        """True when it got as far as READY."""
        env = dict(self.platform.env)
        if failpoint:
            token = pathlib.Path(self.platform.scratch, "token")
            token.touch()
            env["CLOUDML_FAILPOINT"] = f"{failpoint}:{hit}:{token}"
        with open(os.path.join(self.data, "server.log"), "ab") as log:
            self.process = subprocess.Popen([platform.CLOUDML, "server", "--data", self.data, "--listen",
                                             f"127.0.0.1:{self.port}", "--log", "warn"], env=env,
                                            stdout=subprocess.PIPE, stderr=log)
        self.ready = self.process.stdout.readline().startswith(b"READY")
        return self.ready

    @property
    def token_taken(self):
        return not pathlib.Path(self.platform.scratch, "token").exists()

    def kill(self):
        self.process.kill()
        return self.wait()

    def wait(self, timeout=None):
        status = self.process.wait(timeout)
        self.process.stdout.close()
        self.deaths += 1
        return status

    @property
    def is_dead(self):
        return self.process.poll() is not None

    def call(self, connection, method, path, body=None, key=None):
        headers = {"Authorization": f"Bearer {self.platform.token}"}
        if key:
            headers["Idempotency-Key"] = key
        connection.request(method, f"/api/v1{path}", json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def close(self):
        """What is left behind; '' when nothing is."""
        if self.process and not self.is_dead:
            self.process.send_signal(signal.SIGTERM)
            self.wait(60)
        self.platform.owners |= {name for name in os.listdir(os.path.join(self.data, "checkpoints"))} \
            if os.path.isdir(os.path.join(self.data, "checkpoints")) else set()
        left = self.platform.leftovers()
        log = self.platform.log()
        if "AddressSanitizer" in log or "assertion" in log.lower():
            left.append(log[-4000:])
        self.platform.end_without_server()
        return left


class Client(threading.Thread):
    """Submits until it is told to stop; a wish is repeated with its key until it is acknowledged."""

    def __init__(self, server, number, limit, seed):
        super().__init__(daemon=True)
        self.server, self.number, self.limit = server, number, limit
        self.rng = random.Random(f"{seed}/{number}")
        self.stop = threading.Event()
        self.acknowledged = {}  # name → id
        self.cancelled = set()  # ids whose cancel was acknowledged
        self.refused = []

    def until_answered(self, method, path, body, key):
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            try:
                status, answer = self.server.call(connection, method, path, body, key)
                if status < 500:
                    return status, answer
            except (OSError, http.client.HTTPException, ValueError):
                pass  # killed in the middle: not acknowledged
            finally:
                connection.close()
            time.sleep(0.02)

    def run(self):
        n = 0
        while not self.stop.is_set() and n < self.limit:
            names = [f"c{self.number}-{n + i}" for i in range(1 if self.rng.random() < 0.7 else 3)]
            n += len(names)
            wishes = [spec(name, round(self.rng.random() * 0.4, 2)) for name in names]
            if len(names) == 1:
                status, answer = self.until_answered("POST", "/jobs", wishes[0], names[0])
                made = [answer] if status == 201 else []
            else:
                status, answer = self.until_answered("POST", "/jobs:batch", {"jobs": wishes}, names[0])
                made = answer["data"] if status == 200 and not answer["refused"] else []
            if not made:
                self.refused.append((status, answer))
                continue
            self.acknowledged |= {name: job["id"] for name, job in zip(names, made)}
            if self.rng.random() < 0.1:
                job = made[0]["id"]
                status, answer = self.until_answered("POST", f"/jobs/{job}/cancel", None, f"cancel-{job}")
                if status == 202:
                    self.cancelled.add(job)


def settle(server):
    """Waits until every job has ended and no task folder is left; all jobs by id."""
    end, tasks = time.monotonic() + SETTLE_S, pathlib.Path(server.data, "tasks")
    while True:
        jobs, before = {}, ""
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
            status, page = server.call(connection, "GET", f"/jobs?limit=1000{before}")
            connection.close()
            assert status == 200, page
            jobs |= {j["id"]: j for j in page["data"]}
            if page["next"] is None:
                break
            before = f"&before={page['next']}"
        live = [j for j in jobs.values() if j["state"] not in platform.JOB_ENDS]
        if not live and not (tasks.exists() and list(tasks.iterdir())):
            return jobs
        if time.monotonic() > end:
            raise AssertionError(f"not settled after {SETTLE_S} s: {live[:3]} {list(tasks.iterdir())[:5]}")
        time.sleep(0.1)


class Verdict:
    """Compares the ledger, the workload's marks and what the server says."""

    def __init__(self, acknowledged, cancelled, jobs, data, supervisors_killed=False):
        self.lost, self.doubled, self.wrong = [], [], []
        names = {}
        for job in jobs.values():
            names.setdefault(job["name"], []).append(job["id"])
        for name, job in acknowledged.items():
            if job not in jobs:
                self.lost.append(f"{name}: job {job} is gone")
            elif names[name] != [job]:
                self.doubled.append(f"{name}: jobs {names[name]}")
            else:
                self.look(jobs[job], data, job in cancelled, supervisors_killed)

    def look(self, job, data, was_cancelled, supervisors_killed):
        try:
            marks = pathlib.Path(data, "checkpoints", job["id"], "marks").read_text().splitlines()
        except OSError:
            marks = []
        stops, starts = [m for m in marks if m.startswith("stop")], [m for m in marks if m.startswith("start")]
        what = f"{job['name']} {job['id']} {job['state']} {job['reason']} attempt {job['attempt']}: {marks} {job['message']}"
        if "overlap" in marks or len(set(starts)) != len(starts) or (len(stops) > 1 and not supervisors_killed):
            self.doubled.append(what)
        if job["state"] == "cancelled":
            if not was_cancelled:
                self.wrong.append(what)
        elif job["exit"]["code"] != DONE:
            (self.wrong if stops else self.lost).append(what)
        elif not stops:
            self.lost.append(what)

    def __str__(self):
        return "\n".join(f"{word}: {item}" for word in ("lost", "doubled", "wrong") for item in getattr(self, word)[:20])
