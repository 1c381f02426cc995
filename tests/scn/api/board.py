# SPDX-License-Identifier: Apache-2.0
"""A TensorBoard that is ready and whose program is the test's own: no container, no environment.

The server is ended (a failpoint) between a task's whole folder and the start of its supervisor; the test then holds the
folder as a supervisor does (docs/formats/task-folder.md) and listens on its control socket.
"""

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

READY_S = 60


class Upstream:
    """Answers each connection by the last part of the asked path; 'seen' holds the requests as they came."""

    def __init__(self, path, answers):
        self.answers, self.seen = answers, []
        self.held = []  # connections that get no answer
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def read(self, connection):
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536)
        head, _, body = request.partition(b"\r\n\r\n")
        lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        while len(body) < sum(lengths):
            body += connection.recv(65536)
        return head, body

    def serve(self):
        while True:
            connection = self.listener.accept()[0]
            if b"/resets " in connection.recv(65536, socket.MSG_PEEK):
                connection.close()  # what was not read makes it a reset
                continue
            head, body = self.read(connection)
            target = head.split(b" ")[1].decode()
            if target == "/end":
                break
            self.seen.append((head, body))
            answer = self.answers[target.partition("?")[0].rsplit("/", 1)[1]]
            if answer is None:
                self.held.append(connection)
                continue
            try:
                for part in answer(head, body) if callable(answer) else [answer]:
                    connection.sendall(part)
            except OSError:
                pass  # the server had enough
            connection.close()
        for held in [connection, *self.held]:
            held.close()

    def close(self):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.listener.getsockname())
            connection.sendall(b"GET /end HTTP/1.1\r\n\r\n")
            self.thread.join()
        self.listener.close()


class Board:
    def __init__(self, server, name, answers):
        """Of a server that runs; it is started again."""
        self.server, self.name = server, name
        spec = {"name": name, "uri": "fds://default/points"}
        folder = self.launch_and_die(spec)
        self.hold(folder)
        self.upstream = Upstream(folder / "control.sock", answers)
        server.start()
        end = time.monotonic() + READY_S
        while (state := server.get(f"/api/v1/tensorboards/{name}").json)["state"] != "ready":
            assert time.monotonic() < end, state
            time.sleep(0.02)

    def launch_and_die(self, spec):
        server, token = self.server, self.server.folder / "failpoint"
        server.stop()
        token.touch()
        server.environment["CLOUDML_FAILPOINT"] = f"local.spawn.before:1:{token}"
        server.start()
        try:
            server.call("POST", "/api/v1/tensorboards", spec)
        except (OSError, http.client.HTTPException):
            pass  # it was durable, and the server ended before it could say so
        status = server.process.wait(READY_S)
        assert status == -signal.SIGKILL, status
        server.stop()
        del server.environment["CLOUDML_FAILPOINT"]
        folder, = (server.data / "tasks").glob("t*")
        return folder

    def hold(self, folder):
        """What a supervisor leaves there, which a process of ours stands for."""
        spec = json.loads((folder / "spec.json").read_text())
        self.lock = folder / "lock"
        with open(self.lock, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            program = "import sys; sys.stdin.read()"
            self.supervisor = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, pass_fds=[lock.fileno()])
            lock.write(f"{self.supervisor.pid}\n")
        (folder / "started").touch()
        status = {"name": spec["name"], "owner": spec["owner"], "kind": "tensorboard", "attempt": spec["attempt"], "phase": "ready"}
        temporary = folder / ".status"
        temporary.write_text(json.dumps(status))
        os.rename(temporary, folder / "status.json")

    def close(self):
        """After the server's end: nobody is left to be asked to end."""
        self.supervisor.stdin.close()
        self.supervisor.wait(READY_S)
        self.lock.unlink()
        self.upstream.close()
