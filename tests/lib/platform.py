# SPDX-License-Identifier: Apache-2.0
"""A whole platform for a test: the real programs, a data folder of its own, a free port on the loopback address.

    class StoryTest(platform.Case):
        def test_a_folder_runs(self):
            self.p.cli("run", "--", "python", "train.py", cwd=folder).ok()

Case.p is one Platform per class. At the end of the class everything is cancelled and stopped, and nothing may be left:
no task folder, process, mount or control group. Programs come from the environment: CLOUDML (the built program),
CLOUDML_TEST_CACHE (a folder that keeps environments from one test program to the next).
"""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLOUDML = os.environ.get("CLOUDML", str(ROOT / "build/src/main/cloudml"))
CACHE = os.environ.get("CLOUDML_TEST_CACHE", str(ROOT / ".cache/tests"))
CGROUPS = "/sys/fs/cgroup"
JOB_ENDS = ("completed", "failed", "cancelled")
PAUSE = 0.05  # between two looks at what has no event
PATIENCE = 240  # seconds; a small machine under load is slow, a hanging one must not hold up the others


def free_port():
    """Below those that the kernel gives to outgoing connections, so that it is still free after a restart."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def until(what, look, timeout=PATIENCE):
    """The first true value of look(); fails with the text 'what' after the timeout."""
    end = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(PAUSE)


class Result:
    """What one command of the command line did."""

    def __init__(self, args, status, out, err):
        self.args, self.status, self.out, self.err = args, status, out, err

    def __str__(self):
        return f"{' '.join(map(str, self.args))}\nstatus {self.status}\n{self.out}{self.err}"

    def ok(self):
        if self.status != 0:
            raise AssertionError(f"this should have worked: {self}")
        return self

    def fails(self, *words, status=None):
        """It failed, its message is one clear line that has all 'words', it does not crash."""
        if self.status <= 0 or (status is not None and self.status != status):
            raise AssertionError(f"this should have failed with status {status or 'above 0'}: {self}")
        lines = [line for line in self.err.splitlines() if line.startswith("cloudml: ")]
        for word in words:
            if word.lower() not in self.err.lower():
                raise AssertionError(f"the message should speak of {word!r}: {self}")
        if not lines or "AddressSanitizer" in self.err:
            raise AssertionError(f"there should be a message: {self}")
        return self

    def json(self):
        return json.loads(self.ok().out)


class Running:
    """A command that goes on; its output is in files."""

    def __init__(self, args, env, cwd, folder):
        self.args = args
        self.out_path = tempfile.mkstemp(dir=folder, prefix="out-")[1]
        self.err_path = tempfile.mkstemp(dir=folder, prefix="err-")[1]
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(args, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def text(self):
        return pathlib.Path(self.out_path).read_bytes().decode(errors="replace")

    def notes(self):
        return pathlib.Path(self.err_path).read_bytes().decode(errors="replace")

    def wait_text(self, part, timeout=PATIENCE):
        until(f"'{part}' in the output of {' '.join(self.args)}", lambda: part in self.text() or self.over(), timeout)
        if part not in self.text():
            raise AssertionError(f"'{part}' was never printed: {self.wait()}")

    def over(self):
        return self.process.poll() is not None

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def wait(self, timeout=PATIENCE):
        self.process.wait(timeout)
        return Result(self.args, self.process.returncode, self.text(), self.notes())

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Platform:
    def __init__(self, share_environments=True, folder=None, port=None):
        self.scratch = tempfile.mkdtemp(prefix="cloudml-test-")
        self.home = os.path.join(self.scratch, "home")  # where commands run when it does not matter
        os.mkdir(self.home)
        pathlib.Path(self.home, "note.txt").write_text("of no importance\n")  # a folder without files is refused
        self.data = folder or os.path.join(self.scratch, "data")
        self.port = port or free_port()
        self.running = []
        self.owners = set()  # ids of all jobs and models there have been: containers and groups are named after them
        self.pid = None
        self.env = {k: v for k, v in os.environ.items() if k not in ("CLOUDML_ENDPOINT", "CLOUDML_TOKEN")}
        self.env.update(CLOUDML_DATA=self.data, NO_COLOR="1", LC_ALL="C.UTF-8")
        os.makedirs(self.data, mode=0o700, exist_ok=True)
        if share_environments:
            os.makedirs(os.path.join(CACHE, "envs"), exist_ok=True)
            os.symlink(os.path.join(CACHE, "envs"), os.path.join(self.data, "envs"))

    # ---- the command line ----

    def cli(self, *args, cwd=None, text=None, env=None, timeout=PATIENCE):
        command = [CLOUDML, *map(str, args)]
        r = subprocess.run(command, env={**self.env, **(env or {})}, cwd=cwd or self.home, timeout=timeout,
                           input=(text or "").encode(), capture_output=True)
        return Result(["cloudml", *command[1:]], r.returncode, r.stdout.decode(errors="replace"),
                      r.stderr.decode(errors="replace"))

    def json(self, *args, **how):
        return self.cli("--json", *args, **how).json()

    def begin(self, *args, cwd=None, env=None):
        running = Running([CLOUDML, *map(str, args)], {**self.env, **(env or {})}, cwd or self.home, self.scratch)
        self.running.append(running)
        return running

    def folder(self, files):
        """A new folder with these files: {"train.py": "…"}."""
        path = tempfile.mkdtemp(dir=self.scratch, prefix="code-")
        for name, content in files.items():
            target = pathlib.Path(path, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    # ---- the server ----

    def start(self, *flags):
        result = self.cli("up", "--detach", "--port", self.port, *flags).ok()
        self.pid = json.loads(pathlib.Path(self.data, "run/server.json").read_text())["pid"]
        return result

    def stop(self):
        self.note_owners()
        self.cli("down").ok()
        until("the server's end", lambda: not is_alive(self.pid), 60)
        self.pid = None

    def kill(self):
        self.note_owners()
        os.kill(self.pid, signal.SIGKILL)
        until("the killed server's end", lambda: not is_alive(self.pid), 60)
        self.pid = None

    def log(self):
        path = pathlib.Path(self.data, "server.log")
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self):
        return pathlib.Path(self.data, "root-token").read_text().strip()

    def api(self, method, path, body=None, headers=None, raw=None, timeout=60):
        """(status, what the answer's JSON says or its bytes)."""
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, method=method, headers={
            "Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                status, content, kind = answer.status, answer.read(), answer.headers.get("Content-Type", "")
        except urllib.error.HTTPError as e:
            status, content, kind = e.code, e.read(), e.headers.get("Content-Type", "")
        return status, json.loads(content) if content and "json" in kind else content

    def get(self, path):
        status, answer = self.api("GET", path)
        if status != 200:
            raise AssertionError(f"GET {path}: {status} {answer}")
        return answer

    # ---- jobs and models ----

    def job(self, job):
        return self.get(f"/jobs/{urllib.parse.quote(job)}")

    def wait_job(self, job, *states, timeout=PATIENCE):
        """The job, once it is in one of the states (any end when none is given)."""
        states = states or JOB_ENDS

        def look():
            found = self.job(job)
            if found["state"] in JOB_ENDS and found["state"] not in states:
                raise AssertionError(f"job {job} should be {states}: {json.dumps(found, indent=1)}\n{self.logs(job)}")
            return found if found["state"] in states else None

        return until(f"job {job} to be {' or '.join(states)}", look, timeout)

    def wait_log(self, job, part, timeout=PATIENCE):
        def look():
            if part in self.logs(job):
                return True
            if self.job(job)["state"] in JOB_ENDS and part not in self.logs(job):
                raise AssertionError(f"job {job} ended without printing {part!r}: {self.job(job)}\n{self.logs(job)}")
            return False

        until(f"{part!r} in the log of job {job}", look, timeout)

    def logs(self, job):
        status, answer = self.api("GET", f"/jobs/{job}/logs")
        return answer.decode(errors="replace") if status == 200 and isinstance(answer, bytes) else ""

    def wait_model(self, model, *states, timeout=PATIENCE):
        states = states or ("ready",)

        def look():
            found = self.get(f"/models/{model}")
            if found["state"] == "failed" and "failed" not in states:
                raise AssertionError(f"model {model} has failed: {json.dumps(found, indent=1)}")
            return found if found["state"] in states else None

        return until(f"model {model} to be {' or '.join(states)}", look, timeout)

    def note_owners(self):
        try:
            self.owners |= {j["id"] for j in self.get("/jobs?limit=1000")["data"]}
            self.owners |= {s["id"] for kind in ("models", "tensorboards") for s in self.get(f"/{kind}")["data"]}
        except (AssertionError, OSError):
            pass  # the server is away; the task folders still name the owners
        tasks = pathlib.Path(self.data, "tasks")
        if tasks.exists():
            self.owners |= {name.split("-")[0] for name in os.listdir(tasks) if not name.startswith(".")}

    # ---- the end ----

    def close(self, keep_folder=False):
        """Ends everything; the text says what is left over, '' when nothing is."""
        for running in self.running:
            running.end()
        problems = []
        try:
            if self.pid is None or not is_alive(self.pid):
                if pathlib.Path(self.data, "meta.db").exists():
                    self.start()
            if self.pid:
                self.empty()
                self.stop()
        except (AssertionError, OSError, subprocess.TimeoutExpired) as e:
            problems.append(f"ending: {e}")
        log = self.log()
        if "AddressSanitizer" in log or "LeakSanitizer" in log or "runtime error:" in log or "assertion" in log.lower():
            problems.append(f"the server complained: {log[-4000:]}")
        problems += self.leftovers()
        if problems:
            print(f"log of the server:\n{log[-4000:]}", file=sys.stderr)
        if not keep_folder and not os.environ.get("TEST_KEEP"):
            shutil.rmtree(self.scratch, ignore_errors=True)
        return "\n".join(problems)

    def end_without_server(self):
        """For who has stopped the server in another way."""
        for running in self.running:
            running.end()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def empty(self):
        for kind in ("models", "tensorboards"):
            for service in self.get(f"/{kind}")["data"]:
                self.api("DELETE", f"/{kind}/{service['name']}")
        for job in self.get("/jobs?limit=1000")["data"]:
            if job["state"] not in JOB_ENDS:
                self.api("POST", f"/jobs/{job['id']}/cancel")
        self.note_owners()

        def idle():
            jobs = self.get("/jobs?limit=1000")["data"]
            services = self.get("/models")["data"] + self.get("/tensorboards")["data"]
            return all(j["state"] in JOB_ENDS for j in jobs) and not services

        until("all jobs and models to end", idle, 120)
        tasks = pathlib.Path(self.data, "tasks")
        until("the task folders to go", lambda: not tasks.exists() or not list(tasks.iterdir()), 120)

    def leftovers(self):
        """What must not be there once the server has ended."""
        found = []

        def look():
            found[:] = processes_of(self.data) + mounts_of(self.data) + groups_of(self.owners)
            found.extend(f"network {name}" for name in networks_of(self.owners))
            return not found

        try:
            until("nothing to be left", look, 20)
        except AssertionError:
            pass
        return [f"left over: {item}" for item in found]


def is_alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, TypeError):
        return False
    return state != "Z"


def processes_of(folder):
    """Processes that work in the folder, name it or hold a file of it open; not this one."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        proc = pathlib.Path("/proc", entry)
        try:
            links = [proc / "cwd", proc / "root", *(proc / "fd").iterdir()]
            command = (proc / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        names = [link_target(link) for link in links] + command
        if any(name == folder or name.startswith(folder + "/") for name in names):
            found.append(f"process {entry}: {' '.join(command)}")
    return found


def processes_with(*words):
    """Process numbers whose command line has all the words, one argument each."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                command = pathlib.Path("/proc", entry, "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if set(words) <= set(command):
                found.append(int(entry))
    return found


def link_target(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def mounts_of(folder):
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    return [f"mount {line.split()[4]}" for line in lines if line.split()[4].startswith(folder + "/")]


def networks_of(owners):
    """Networks that the tasks of a job share."""
    folder = "/run/cloudml/net"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return [name for name in names if name.split("-")[0] in owners]


def groups_of(owners):
    found = []
    for path, _, _ in os.walk(CGROUPS):
        name = os.path.basename(path)
        if any(f"{owner}-" in name for owner in owners):
            found.append(f"control group {path}")
    for state in ("/run/cloudml/state",):
        if os.path.isdir(state):
            found += [f"container {n}" for n in os.listdir(state) if n.split("-")[0] in owners]
    return found


class Case(unittest.TestCase):
    """One platform for the class; it is closed also when the class could not begin."""

    longMessage = True

    @classmethod
    def setUpClass(cls):
        cls.p = Platform()
        cls.addClassCleanup(cls.finish)
        cls.p.start()

    @classmethod
    def finish(cls, **how):
        problems = cls.p.close(**how)
        if problems:
            raise AssertionError(problems)


# ---- what a test program needs ----

def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def need_containers():
    if os.geteuid() != 0:
        skip("containers need root")
    p = Platform(share_environments=False)
    started = p.cli("up", "--detach", "--port", p.port)
    if started.status == 0:
        p.pid = json.loads(pathlib.Path(p.data, "run/server.json").read_text())["pid"]
    problems = p.close()
    if "cannot run here" in started.err:
        skip(started.err.strip().splitlines()[-1])
    started.ok()
    if problems:
        raise AssertionError(problems)


def need_network():
    """Environments come from the package index that uv asks."""
    uv = next((u for u in (str(ROOT / ".cache/bin/uv"), shutil.which("uv")) if u and os.path.exists(u)), None)
    if not uv:
        skip("environments need uv; run 'make setup'")
    with tempfile.TemporaryDirectory() as target:
        r = subprocess.run([uv, "pip", "install", "--dry-run", "--no-cache", "--target", target, "six==1.17.0"],
                           capture_output=True, text=True, timeout=300)
    if r.returncode:
        skip("the package index cannot be reached: " + (r.stderr.strip().splitlines() or ["?"])[-1])


class TextResult(unittest.TextTestResult):
    def getDescription(self, test):
        name = getattr(test, "_testMethodName", None)  # a class that could not begin has none
        return name.removeprefix("test_").replace("_", " ") if name else str(test)


def main():
    """unittest's main, with test names as sentences; arguments choose tests by any part of their name."""
    parts = sys.argv[1:]
    loaded = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    suite = unittest.TestSuite()
    for group in loaded:
        chosen = [t for t in group if not parts or any(part in t.id() for part in parts)]
        suite.addTests([unittest.TestSuite(chosen)] if chosen else [])
    result = unittest.TextTestRunner(verbosity=2, resultclass=TextResult).run(suite)
    sys.exit(not result.wasSuccessful() or not result.testsRun)
