#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two servers on one PostgreSQL: one works, the other waits and passes requests on; it takes over when the first is
killed. Needs root and PostgreSQL, no network. FAILOVERS=N for more rounds."""

import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform, postgres  # noqa: E402

FAILOVERS = int(os.environ.get("FAILOVERS", "3"))
CLIENTS = 4
JOBS_OF_CLIENT = 60  # they are cancelled one by one in the end


class Server:
    def __init__(self, p, database):
        self.p, self.port = p, platform.free_port()
        self.log = os.path.join(p.scratch, f"server-{self.port}.log")
        self.env = {**p.env, "CLOUDML_DATABASE": database}
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [platform.CLOUDML, "server", "--data", self.p.data, "--listen", f"127.0.0.1:{self.port}"], env=self.env,
                cwd=self.p.home, stdout=subprocess.PIPE, stderr=log)
        line = self.process.stdout.readline().decode()
        if not line.startswith("READY "):
            raise AssertionError(f"the server did not start: {self.text()}")

    def text(self):
        return pathlib.Path(self.log).read_text(errors="replace")

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        status = self.process.wait(60)
        self.process.stdout.close()
        return status

    def call(self, method, path, body=None, headers=None):
        """(status, answer); status 0 when nobody answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/api/v1{path}", None if body is None else json.dumps(body).encode(), method=method,
            headers={"Authorization": f"Bearer {self.p.token}", "Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as e:
            return e.code, json.loads(e.read())
        except (OSError, ValueError):
            return 0, None


def names_of(server):
    names, before = collections.Counter(), ""
    while True:
        status, page = server.call("GET", f"/jobs?limit=1000{before}")
        if status != 200:
            raise AssertionError((status, page))
        names.update(job["name"] for job in page["data"])
        if not page["next"]:
            return names
        before = f"&before={page['next']}"


class TwoServers(unittest.TestCase):
    def setUp(self):
        self.pg = postgres.Postgres().start()
        self.addCleanup(self.pg.stop)
        self.p = platform.Platform(share_environments=False)
        self.servers = [Server(self.p, self.pg.url) for _ in range(2)]
        self.addCleanup(self.end_all)
        for server in self.servers:
            server.start()
        self.acked, self.wrong = [], []

    def end_all(self):
        holder = next((s for s in self.servers if self.is_holder(s)), None)
        for server in self.servers:
            if server is not holder and server.process.poll() is None:
                server.end()
        if holder:
            self.p.port, self.p.pid = holder.port, holder.process.pid
            self.p.note_owners()
            self.p.empty()
            self.assertEqual(holder.end(), 0)
            self.p.pid = None
        self.assertEqual(self.p.close(), "")

    def is_holder(self, server):
        if server.process.poll() is not None:
            return False
        status, answer = server.call("GET", "/status")
        return status == 200 and answer["pid"] == server.process.pid

    def submit(self, server, client, count):
        """Each job by one key until it is acknowledged, at a server that may be dead, waiting or working."""
        for number in range(count):
            name = f"job-{self.id().rsplit('.', 1)[1][-8:].replace('_', '-')}-{client}-{number}".strip("-")
            spec = {"name": name, "command": ["true"], "framework": "python", "cpu": os.cpu_count()}
            while True:
                status, answer = server.call("POST", "/jobs", spec, {"Idempotency-Key": f"key-{name}"})
                if status == 201:
                    break
                if status not in (0, 500, 503):
                    self.wrong.append((status, answer))
                    return
                time.sleep(0.02)
            self.acked.append(name)

    def storm(self, server):
        threads = [threading.Thread(target=self.submit, args=(server, n, JOBS_OF_CLIENT)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        return threads

    def test_the_second_server_passes_on_what_the_first_answers(self):
        first, second = self.servers
        self.assertIn("server.waits", second.text())
        for server in self.servers:
            status, answer = server.call("GET", "/status")
            self.assertEqual((status, answer["pid"]), (200, first.process.pid))
            self.assertEqual(server.call("GET", "/healthz")[0], 200)
        self.submit(second, 0, 3)
        self.assertEqual(sorted(names_of(first)), sorted(self.acked))
        self.assertEqual(second.call("GET", "/jobs", headers={"Authorization": "Bearer cml_wrong_token"})[0], 401)
        status, answer = second.call("POST", "/snapshot", {})
        self.assertEqual((status, answer["error"]["code"]), (501, "unsupported"), answer)
        self.assertIn("pg_dump", answer["error"]["message"])
        self.p.cli("backup", os.path.join(self.p.scratch, "b.tar")).fails("pg_dump", "--without-metadata", status=69)
        self.p.cli("backup", "--without-metadata", os.path.join(self.p.scratch, "b.tar")).ok()
        self.assertEqual(second.end(), 0)
        self.assertEqual(first.call("GET", "/healthz")[0], 200)
        second.start()

    def test_servers_that_are_killed_lose_no_job_and_double_none(self):
        holder, waiting = self.servers
        longest = 0
        for _ in range(FAILOVERS):
            before = len(self.acked)
            threads = self.storm(waiting)
            platform.until("jobs under way", lambda: len(self.acked) >= before + 20)
            began = time.monotonic()
            self.assertEqual(holder.end(signal.SIGKILL), -signal.SIGKILL)
            platform.until("the takeover", lambda: self.is_holder(waiting) or waiting.process.poll() is not None)
            self.assertIsNone(waiting.process.poll(), waiting.text()[-3000:])
            longest = max(longest, time.monotonic() - began)
            holder.start()  # and waits now
            for thread in threads:
                thread.join()
            holder, waiting = waiting, holder
            self.assertEqual(self.wrong, [])
            counts = names_of(holder)
            self.assertEqual([name for name in self.acked if counts[name] != 1], [])
            self.assertEqual([name for name, count in counts.items() if count != 1], [])
        self.assertIn("server.takes_over", holder.text())
        print(f"\n{FAILOVERS} kills, {len(self.acked)} jobs acknowledged: 0 lost, 0 doubled; longest takeover {longest:.1f} s")

    def test_a_password_is_nowhere_to_be_read(self):
        secret = "s3cret-canary"
        options = ("--data", os.path.join(self.p.scratch, "other"), "--listen", "127.0.0.1:0")
        url = f"postgresql://cloudml:{secret}@127.0.0.1:1/none"
        refused = self.p.cli("server", *options, "--database", url)
        refused.fails("password on the command line", "PGPASSWORD", status=2)
        unreachable = self.p.cli("server", *options, env={"CLOUDML_DATABASE": url})
        unreachable.fails("cannot connect to the database 'none' at 127.0.0.1:1", status=69)
        wrong = self.p.cli("server", *options, env={"CLOUDML_DATABASE": f"postgresql://u:{secret}@[::1/x"}).fails("not valid", status=2)
        other = self.p.cli("server", *options, "--database", "mysql://host/x").fails("postgresql://", status=2)
        for result in (refused, unreachable, wrong, other):
            self.assertNotIn(secret, result.out + result.err)
        environment = pathlib.Path(f"/proc/{self.servers[0].process.pid}/cmdline").read_bytes()
        self.assertNotIn(self.pg.folder.encode(), environment)


if __name__ == "__main__":
    if not postgres.Postgres().is_installed():
        platform.skip("PostgreSQL is not installed (package postgresql-15)")
    platform.main()
