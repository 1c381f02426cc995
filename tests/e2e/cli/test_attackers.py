#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a job's code, a package's author and another user of the machine try against a whole platform. Needs root."""

import io
import os
import pathlib
import subprocess
import sys
import tarfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

NOBODY = 65534

# Everything that an output folder can hold and a store must not take.
OUTPUT = r"""
import os, socket, stat
os.chdir(os.environ["CLOUDML_OUTPUT_DIR"])
def attempt(what, *args):
    try:
        what(*args)
    except OSError as e:
        print("refused", what.__name__, e.errno)
os.mkdir("model")
with open("model/good.txt", "w") as f:
    f.write("good")
attempt(os.symlink, "/etc/shadow", "shadow")
attempt(os.symlink, "/", "root")
attempt(os.symlink, "../../../../root-token", "token")
attempt(os.link, "/etc/passwd", "passwd")
attempt(os.mkfifo, "pipe")
attempt(os.mknod, "disk", 0o666 | stat.S_IFBLK, os.makedev(8, 0))
attempt(os.mknod, "memory", 0o666 | stat.S_IFCHR, os.makedev(1, 1))
s = socket.socket(socket.AF_UNIX)
s.bind("socket")
for name in (b"two\nlines", b"back\\slash", b"latin\xe9", b"escape\x1b[2J"):
    open(name, "w").close()
with open("holes", "w") as f:
    f.truncate(1 << 40)
with open("secret", "w") as f:
    f.write("unreadable")
os.chmod("secret", 0)
with open("setuid", "w") as f:
    f.write("#!/bin/sh\n")
os.chmod("setuid", 0o6777)
deep = "."
for _ in range(100):
    deep += "/d"
    os.mkdir(deep)
open(deep + "/bottom", "w").close()
print("done")
"""

# Whatever of the platform a program might write to make itself look different.
FORGE = r"""
import os
for path in ("/.cloudml/plan", "/.cloudml/init", "/env/x", "/usr/x", "/etc/passwd", "/proc/1/mem", "/proc/sysrq-trigger",
             "/proc/sys/kernel/core_pattern", "/work/../status.json", "/exit.json", "/run/init-exit"):
    try:
        with open(path, "a") as f:
            f.write("x")
        print("WROTE", path)
    except OSError as e:
        print("refused", path, e.errno)
try:
    print("PEEKED", os.listdir("/proc/1/fd"))
except OSError as e:
    print("refused /proc/1/fd", e.errno)
os.write(1, b'{"exit_code": 0}\nend run 0 0 0 0 0 0 0\n')
os.write(1, "cloudml: ".encode() + "\u20ac".encode() * 300 + b"\xff\xfe\n")
os._exit(9)
"""

# The control plane and the models of others are on the machine's own addresses.
REACH = r"""
import socket, sys
for host in sys.argv[2:] + ["127.0.0.1", "10.0.2.2", "10.0.2.3", "localhost", "169.254.169.254"]:
    s = socket.socket()
    s.settimeout(3)
    try:
        s.connect((host, int(sys.argv[1])))
        print("REACHED", host)
    except OSError as e:
        print("refused", host)
"""


def as_nobody(code):
    """Runs Python code as another user of the machine; its output."""
    def become():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    return subprocess.run(["/usr/bin/python3", "-I", "-c", code], preexec_fn=become, capture_output=True, text=True, cwd="/")


class Attackers(platform.Case):
    def run_code(self, code, *args, **limits):
        folder = self.p.folder({"main.py": code})
        words = [w for k, v in limits.items() for w in (f"--{k}", v)]
        r = self.p.cli("run", "-d", "-q", "-F", "python", *words, "--", "python", "main.py", *args, cwd=folder).ok()
        return r.out.strip()

    def keys(self, prefix):
        answer = self.p.get(f"/store/default?prefix={prefix}&limit=1000")
        self.assertFalse(answer["truncated"])
        return {e["key"].removeprefix(prefix) for e in answer["data"]}

    def test_only_files_of_an_output_folder_reach_the_store(self):
        job = self.run_code(OUTPUT)
        self.p.wait_job(job, "completed")
        self.assertEqual(self.keys(f"jobs/{job}/output/"), {"model/good.txt", "secret", "setuid"})
        log = self.p.logs(job)
        self.assertIn("are not kept", log)
        self.assertIn("refused mknod", log)
        self.assertIn("refused link", log)
        for line in log.splitlines():
            self.assertFalse(line.startswith("lines"), "a name began a line of the log")

    def test_a_program_cannot_forge_its_end_or_look_into_the_platform(self):
        job = self.run_code(FORGE)
        ended = self.p.wait_job(job, "failed")
        self.assertEqual((ended["exit"]["code"], ended["exit"]["class"]), (9, "user_error"))
        log = self.p.logs(job)
        self.assertNotIn("WROTE", log)
        self.assertNotIn("PEEKED", log)

    def test_the_machine_s_own_addresses_cannot_be_reached(self):
        own = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
        job = self.run_code(REACH, str(self.p.port), *[a for a in own if ":" not in a], network="egress")
        self.p.wait_job(job, "completed")
        log = self.p.logs(job)
        self.assertIn("refused 127.0.0.1", log)
        self.assertNotIn("REACHED", log)

    def test_a_job_whose_failure_cannot_be_quoted_still_ends(self):
        name = "\u20ac" * 80
        key = "/".join([name, name, name, name, ".hidden.tar.gz"])
        self.assertEqual(self.p.api("PUT", "/store/default/" + platform.urllib.parse.quote(key), raw=b"x")[0], 201)
        status, job = self.p.api("POST", "/jobs", {"command": ["true"], "package": f"fds://default/{key}"})
        self.assertEqual(status, 201)
        ended = self.p.wait_job(job["id"], "failed")
        self.assertIn("\u20ac", ended["message"])

    def test_an_archive_that_leads_out_is_refused(self):
        for name, kind, target in (("../../evil", tarfile.REGTYPE, ""), ("/etc/evil", tarfile.REGTYPE, ""),
                                   ("out", tarfile.SYMTYPE, "/etc"), ("hard", tarfile.LNKTYPE, "/etc/passwd"),
                                   ("up", tarfile.SYMTYPE, "../../.."), ("tty", tarfile.CHRTYPE, "")):
            data = io.BytesIO()
            with tarfile.open(fileobj=data, mode="w:gz") as t:
                info = tarfile.TarInfo(name)
                info.type, info.linkname = kind, target
                t.addfile(info)
            self.p.api("PUT", "/store/default/evil.tar.gz", raw=data.getvalue())
            _, job = self.p.api("POST", "/jobs", {"command": ["true"], "package": "fds://default/evil.tar.gz"})
            ended = self.p.wait_job(job["id"], "failed")
            self.assertEqual((name, ended["exit"]["class"]), (name, "environment"))

    def test_another_user_of_the_machine_reads_nothing(self):
        job = self.run_code("import os, time\nprint('ready', flush=True)\ntime.sleep(1000)\n")
        self.p.wait_log(job, "ready")
        os.chmod(self.p.scratch, 0o755)  # only the platform's own folder protects what is in it
        for path in (self.p.data, f"{self.p.data}/root-token", f"{self.p.data}/session-secret", f"{self.p.data}/server.log",
                     f"{self.p.data}/meta.db", f"{self.p.data}/tasks", f"{self.p.data}/objects", f"{self.p.data}/checkpoints"):
            r = as_nobody(f"import os\np = {path!r}\n(os.listdir if os.path.isdir(p) else open)(p)\n")
            self.assertNotEqual((path, r.returncode), (path, 0))
        # Of the supervisors it sees at most their arguments; no secret is in any.
        seen = as_nobody("import glob\nfor p in glob.glob('/proc/[0-9]*/cmdline'):\n"
                         "    try:\n        print(open(p, 'rb').read())\n    except OSError:\n        pass\n").stdout
        self.assertNotIn(self.p.token, seen)
        self.assertNotIn(self.p.token, self.p.log())
        for path in pathlib.Path(self.p.data, "tasks").rglob("*.json"):
            self.assertNotIn(self.p.token, path.read_text(errors="replace"))
        self.p.cli("jobs", "cancel", job).ok()


if __name__ == "__main__":
    platform.need_containers()
    platform.main()
