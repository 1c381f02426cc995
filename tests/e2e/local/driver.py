# SPDX-License-Identifier: Apache-2.0
"""Drives local_driver: launches tasks, waits for what the backend observes."""
import json
import os
import queue
import signal
import subprocess
import threading
import time

TIMEOUT = 40  # only so that a broken test ends


class Driver:
    def __init__(self, program, data, frameworks, env=None):
        self.args = [program, data, *frameworks]
        self.data = data
        self.env = dict(os.environ, **(env or {}))
        self.status = {}  # last status of each task
        self.history = {}  # phases of each task in order
        self.removed = set()
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self.env)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, args=(self.process.stdout, self.lines), daemon=True)
        self.reader.start()
        self.wait(lambda m: "attached" in m)

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.put(json.loads(line))
        lines.put(None)

    def wait(self, matches):
        """The first message that matches; every status on the way is noted."""
        end = time.monotonic() + TIMEOUT
        while True:
            message = self.lines.get(timeout=max(0.1, end - time.monotonic()))
            if message is None:
                raise EOFError("the driver has ended with %s" % self.process.wait())
            if "fatal" in message:
                raise RuntimeError(message["message"])
            if "changed" in message:
                s = message["changed"]
                self.status[s["name"]] = s
                phases = self.history.setdefault(s["name"], [])
                if not phases or phases[-1] != s["phase"]:
                    phases.append(s["phase"])
            if "removed" in message:
                self.removed.add(message["removed"])
            if matches(message):
                return message

    def send(self, op, **fields):
        self.process.stdin.write((json.dumps({"op": op, **fields}) + "\n").encode())
        self.process.stdin.flush()

    def call(self, op, want=None, **fields):
        """Sends a command and waits for its answer; 'want' is the key of the result."""
        self.send(op, **fields)
        result = []

        def matches(m):
            if want in m:
                result.append(m[want])
            return "answer" in m

        answer = self.wait(matches)
        if answer["error"]:
            raise LookupError("%s: %s" % (answer["error"], answer["message"]))
        return result[0] if result else None

    def launch(self, name, **fields):
        spec = {
            "name": name, "org": "acme", "owner": name.split("-")[0], "attempt": 1, "kind": "job",
            "framework": "python", "framework_version": "3.11", "cpu_milli": 1000, "memory_bytes": 512 << 20,
            "gpu": 0, "max_processes": 256, "network": "none",
        }
        spec.update(fields)
        self.call("launch", spec=spec)

    def wait_phase(self, name, *phases):
        wanted = (*phases, "exited", "lost")
        status = self.status.get(name, {})
        if status.get("phase") not in wanted:
            status = self.wait(lambda m: m.get("changed", {}).get("name") == name
                               and m["changed"]["phase"] in wanted)["changed"]
        if status["phase"] not in phases:
            raise AssertionError("%s instead of %s: %s" % (status["phase"], phases, status.get("message")))
        return status

    def run(self, name, **fields):
        self.launch(name, **fields)
        return self.wait_phase(name, "exited", "lost")

    def remove(self, name):
        self.call("remove", task=name)
        if name not in self.removed:
            self.wait(lambda m: m.get("removed") == name)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.close()

    def quit(self):
        if self.process.poll() is None:
            self.send("quit")
            self.close()

    def close(self):
        self.process.wait(timeout=TIMEOUT)
        self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()

    def folder(self, name):
        return os.path.join(self.data, "tasks", name)

    def shim_pid(self, name):
        with open(os.path.join(self.folder(name), "lock")) as f:
            return int(f.read())
