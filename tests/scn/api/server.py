# SPDX-License-Identifier: Apache-2.0
"""A real server on a loopback port of its own, with a data folder that goes away with it."""

import hashlib
import http.client
import json
import os
import pathlib
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

START_S = 60
CALL_S = 120


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error"]["code"]

    @property
    def message(self):
        return self.json["error"]["message"]


class Server:
    def __init__(self, program, frameworks):
        self.program = program
        self.environment = dict(os.environ, CLOUDML_FRAMEWORKS=frameworks)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cloudml-scn-"))
        self.data = self.folder / "data"
        self.process = None
        self.token = None
        self.options = []

    def command(self, *args):
        return [self.program, "server", "--data", str(self.data), "--listen", "127.0.0.1:0", *self.options, *args]

    def start(self):
        self.log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=self.log, env=self.environment)
        line = self.process.stdout.readline().decode()
        if not line.startswith("READY "):
            status = self.process.wait(START_S)
            text = (self.folder / "server.log").read_text(errors="replace")
            if "this machine cannot run tasks" in text:
                print(text.strip().splitlines()[-1])
                sys.exit(77)
            raise RuntimeError(f"the server ended with {status}:\n{text}")
        self.port = int(line.rsplit(":", 1)[1])
        self.token = (self.data / "root-token").read_text().strip()
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process:
            self.process.send_signal(how)
            status = self.process.wait(CALL_S)
            self.process.stdout.close()
            self.log.close()
            self.process = None
            return status
        return None

    def end_tasks(self):
        """Tasks outlive their server: their supervisors are asked to end, and waited for."""
        supervisors = []
        for lock in (self.data / "tasks").glob("*/lock"):
            try:
                supervisors.append(int(lock.read_text()))
                os.kill(supervisors[-1], signal.SIGTERM)
            except (OSError, ValueError):
                pass
        end = time.monotonic() + CALL_S
        while any(os.path.exists(f"/proc/{pid}") for pid in supervisors) and time.monotonic() < end:
            time.sleep(0.02)

    def close(self):
        status = self.stop()
        self.end_tasks()
        shutil.rmtree(self.folder, ignore_errors=True)
        return status

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_S)

    def call(self, method, path, body=None, token="", headers=None):
        """token "" = the administrator's, None = none. A dict becomes JSON."""
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = "Bearer " + (token or self.token)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def make_token(self, role, user=None, org="default", expires_ms=0):
        """Writes a key beside the root's; the server must not run."""
        key, secret, user = "k" + secrets.token_hex(4), secrets.token_hex(20), user or role
        with sqlite3.connect(self.data / "meta.db") as db:
            db.execute("INSERT OR IGNORE INTO orgs(name, created_ms) VALUES (?, 1)", (org,))
            db.execute("INSERT OR IGNORE INTO users(org, name, created_ms) VALUES (?, ?, 1)", (org, user))
            db.execute("INSERT INTO keys(id, org, user, role, secret_sha256, created_ms, expires_ms) VALUES (?,?,?,?,?,1,?)",
                       (key, org, user, role, hashlib.sha256(secret.encode()).hexdigest(), expires_ms))
        db.close()
        return f"cml_{key}_{secret}"

    def new_key(self, user, role=None, org="default", by="", **more):
        """Makes a key over the API, and its organisation and user when they are not there. Returns (id, token)."""
        if org != "default":
            assert self.call("POST", "/api/v1/orgs", {"name": org}, token=by).status in (201, 409)
        made = self.call("POST", f"/api/v1/orgs/{org}/users", {"name": user, "role": role or "member"}, token=by)
        assert made.status in (201, 409), made.body
        body = dict(more, user=user, **({"role": role} if role else {}))
        answer = self.call("POST", f"/api/v1/orgs/{org}/keys", body, token=by)
        assert answer.status == 201, answer.body
        return answer.json["id"], answer.json["token"]

    def events(self, path, token=""):
        """Server-Sent Events of a watch: (event, data) pairs as they come."""
        connection = self.connect()
        connection.request("GET", path, headers={"Authorization": "Bearer " + (token or self.token)})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        assert response.headers["Content-Type"] == "text/event-stream"
        event = None
        try:
            while line := response.readline():
                field, _, value = line.decode().rstrip("\n").partition(": ")
                if field == "event":
                    event = value
                elif field == "data":
                    yield event, json.loads(value)
        finally:
            connection.close()


def parse_args():
    """PROGRAM FRAMEWORKS [unittest arguments]; returns a function that makes servers."""
    program, frameworks = sys.argv[1:3]
    del sys.argv[1:3]
    return lambda: Server(program, frameworks)
