# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server for a test: its own cluster in a folder, on a unix socket there, run by 'nobody' when we are root."""

import glob
import os
import shutil
import subprocess
import tempfile

NOBODY = 65534


class Postgres:
    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        self.programs = found[-1] if found else None
        self.process = None

    def is_installed(self):
        return self.programs is not None

    def start(self):
        self.folder = tempfile.mkdtemp(prefix="cloudml-pg-")
        who = {}
        if os.geteuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
            who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        self.who = who
        self.run("initdb", "-D", "data", "-U", "cloudml", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        self.process = subprocess.Popen(
            [f"{self.programs}/postgres", "-D", "data", "-c", "listen_addresses=", "-c", "unix_socket_directories=..",
             "-c", "shared_buffers=16MB"], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **who)
        for line in self.process.stderr:
            if b"ready to accept connections" in line:
                break
        else:
            raise RuntimeError("PostgreSQL did not start")
        # Whoever fills the pipe must not wait for a reader.
        self.drain = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=subprocess.DEVNULL)
        return self

    @property
    def url(self):
        return f"postgresql://cloudml@/postgres?host={self.folder}"

    def run(self, program, *args):
        return subprocess.run([f"{self.programs}/{program}", *args], cwd=self.folder, check=True, capture_output=True,
                              text=True, **self.who).stdout

    def sql(self, text):
        return self.run("psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", text).strip()

    def stop(self):
        if self.process:
            self.process.send_signal(3)  # SIGQUIT: at once
            self.process.wait(60)
            self.drain.wait(60)
            self.process.stderr.close()
            self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)
