#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server's own life: what a restart and a kill keep, one server for one folder, a token that was lost."""

import http.client
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402

new_server = parse_args()


class Lives(unittest.TestCase):
    def setUp(self):
        self.server = new_server().start()
        self.addCleanup(self.server.close)

    def submit(self, **headers):
        return self.server.call("POST", "/api/v1/jobs", {"command": ["sleep", "1000"]}, headers=headers)

    def cancel_all(self):
        for job in self.server.get("/api/v1/jobs?limit=1000").json["data"]:
            self.server.call("POST", f"/api/v1/jobs/{job['id']}/cancel")
        wanted = {j["id"] for j in self.server.get("/api/v1/jobs?limit=1000").json["data"]}
        for job in wanted:
            for event, data in self.server.events(f"/api/v1/watch?job={job}"):
                if event == "job" and data["state"] in ("completed", "failed", "cancelled"):
                    break

    def test_a_restart_keeps_jobs_objects_and_tokens(self):
        job = self.submit(**{"Idempotency-Key": "a"}).json["id"]
        self.server.call("PUT", "/api/v1/store/default/kept", b"kept")
        token = self.server.token
        self.assertEqual(self.server.stop(), 0)
        self.assertFalse((self.server.data / "run/server.json").exists())
        self.server.start()
        self.assertEqual(self.server.token, token)
        self.assertEqual(self.server.get(f"/api/v1/jobs/{job}").json["id"], job)
        self.assertEqual(self.submit(**{"Idempotency-Key": "a"}).json["id"], job)
        self.assertEqual(self.server.get("/api/v1/store/default/kept").body, b"kept")
        self.cancel_all()

    def test_a_second_server_is_refused_and_says_who_has_the_folder(self):
        second = subprocess.run(self.server.command(), capture_output=True, text=True, timeout=120,
                                env=self.server.environment)
        self.assertEqual(second.returncode, 5, second.stderr)
        self.assertIn(f"(pid {self.server.process.pid})", second.stderr)
        self.assertIn("cloudml down", second.stderr)
        self.assertEqual(self.server.get("/healthz").status, 200)

    def test_what_was_acknowledged_before_a_kill_is_there_after_it(self):
        acknowledged, stop = {}, threading.Event()

        def storm(client):
            n = 0
            while not stop.is_set():
                key, n = f"{client}-{n}", n + 1
                try:
                    answer = self.submit(**{"Idempotency-Key": key})
                    if answer.status == 201:
                        acknowledged[key] = answer.json["id"]
                except (OSError, http.client.HTTPException):
                    return  # killed in the middle: not acknowledged

        for _ in range(3):
            stop.clear()
            clients = [threading.Thread(target=storm, args=(f"{os.urandom(4).hex()}",)) for _ in range(4)]
            for c in clients:
                c.start()
            before = len(acknowledged)
            while len(acknowledged) < before + 20:
                self.assertTrue(any(c.is_alive() for c in clients))
            self.server.stop(signal.SIGKILL)
            stop.set()
            for c in clients:
                c.join()
            self.server.start()
            listed, before_seq = set(), ""
            while True:
                page = self.server.get(f"/api/v1/jobs?limit=1000{before_seq}").json
                listed |= {j["id"] for j in page["data"]}
                if page["next"] is None:
                    break
                before_seq = f"&before={page['next']}"
            self.assertEqual(set(acknowledged.values()) - listed, set())
            self.assertEqual(len(set(acknowledged.values())), len(acknowledged))
        self.cancel_all()

    def test_the_folder_and_what_is_secret_in_it_are_private(self):
        self.assertEqual(stat.S_IMODE(self.server.data.stat().st_mode), 0o700)
        self.assertEqual(stat.S_IMODE((self.server.data / "root-token").stat().st_mode), 0o600)
        told = json.loads((self.server.data / "run/server.json").read_text())
        self.assertEqual(told["pid"], self.server.process.pid)
        self.assertEqual(told["endpoint"], f"http://127.0.0.1:{self.server.port}")

    def test_a_lost_token_is_replaced(self):
        old = self.server.token
        self.server.stop()
        (self.server.data / "root-token").unlink()
        self.server.start()
        self.assertNotEqual(self.server.token, old)
        self.assertEqual(self.server.get("/api/v1/session").json["role"], "admin")

    def test_options_are_checked(self):
        program = self.server.program
        for args, part in [(["--listen", "nonsense:1"], "IP address"), (["--listen", "127.0.0.1:x"], "ADDRESS:PORT"),
                           (["--what", "x"], "--what"), (["--log", "loud"], "loud"), (["--data"], "--data")]:
            command = [program, "server", *args]
            if "--data" not in args:
                command += ["--data", str(self.server.folder / "other")]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=120, env=self.server.environment)
            self.assertNotEqual(ended.returncode, 0)
            self.assertIn(part, ended.stderr)
        taken = subprocess.run([program, "server", "--data", str(self.server.folder / "other"), "--listen",
                                f"127.0.0.1:{self.server.port}"], capture_output=True, text=True, timeout=120,
                               env=self.server.environment)
        self.assertEqual(taken.returncode, 5)
        self.assertIn(f"port {self.server.port}", taken.stderr)


if __name__ == "__main__":
    unittest.main()
