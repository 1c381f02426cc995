#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The backend of this machine from end to end: real containers, a real store, kills at bad moments. Needs root.

usage: test_local.py DRIVER FRAMEWORKS_FOLDER [TEST...]
"""
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import urllib.request
import zipfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from driver import Driver  # noqa: E402

PROGRAM = FRAMEWORKS = ""
CGROUPS = "/sys/fs/cgroup"


def containers(name):
    """Control groups of a container that still have processes."""
    found = []
    for folder, _, files in os.walk(CGROUPS):
        if name in os.path.basename(folder) and "cgroup.procs" in files:
            try:
                with open(os.path.join(folder, "cgroup.procs")) as f:
                    if f.read().strip():
                        found.append(folder)
            except OSError:
                pass
    return found


def tar(path, files):
    with tarfile.open(path, "w:gz") as t:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            t.addfile(info, io.BytesIO(content.encode()))


SETUP = "from setuptools import setup\nsetup(name='trainer', version='1.0', packages=['trainer'])\n"
TASK = "import os, sys\nprint('trained', sys.argv[1:])\nopen(os.environ['CLOUDML_OUTPUT_DIR'] + '/model.txt', 'w').write('m')\n"


def varint(n):
    out = b""
    while True:
        out += bytes([(n & 127) | (128 if n > 127 else 0)])
        n >>= 7
        if not n:
            return out


def field(number, value):
    """One field of protobuf's wire format."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def identity_model():
    """The smallest ONNX model: y = x."""
    def tensor(name):
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, field(1, field(2, "N")))))
    graph = field(1, field(1, "x") + field(2, "y") + field(4, "Identity")) + field(2, "g")
    graph += field(11, tensor("x")) + field(12, tensor("y"))
    return field(1, 8) + field(8, field(1, "") + field(2, 13)) + field(7, graph)


def write(path, content):
    with open(path, "wb") as f:
        f.write(content)


class LocalTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data = tempfile.mkdtemp(prefix="cloudml-e2e-")
        files = [os.path.join(FRAMEWORKS, name) for name in ("python.json", "onnx.json")]
        cls.driver = Driver(PROGRAM, cls.data, files)
        with open(files[1]) as f:
            cls.onnx = json.load(f)["versions"][0]["version"]
        cls.number = 0
        cls.run_id = os.urandom(3).hex()

    @classmethod
    def tearDownClass(cls):
        cls.driver.quit()
        shutil.rmtree(cls.data, ignore_errors=True)

    def setUp(self):
        LocalTest.number += 1
        self.owner = "j%d%s" % (LocalTest.number, self.run_id)  # containers are named after it, on the whole machine
        self.name = self.owner + "-1-main-0"
        self.d = self.driver

    def log(self):
        return self.d.call("log", "log", task=self.name)

    def object(self, key):
        return self.d.call("get", "object", org="acme", key="jobs/%s/%s" % (self.owner, key))

    def put(self, build, name):
        path = os.path.join(self.data, name)
        build(path)
        key = "packages/%s/%s" % (self.owner, name)
        self.d.call("put", org="acme", key=key, file=path)
        return "fds://acme/" + key

    def model(self, content):
        return dict(kind="model", framework="onnx", framework_version=self.onnx, model_name="ident", model_version=0,
                    model_uri=self.put(lambda p: write(p, content), "m.onnx"))

    # ---- models ----

    def test_a_model_answers_on_its_port_until_it_is_stopped_also_after_a_restart(self):
        self.d.launch(self.name, **self.model(identity_model()))
        port = self.d.wait_phase(self.name, "ready")["port"]

        def predict():
            ask = urllib.request.Request("http://127.0.0.1:%d/v1/models/ident:predict" % port,
                                         json.dumps({"instances": [1.5, 2]}).encode(),
                                         {"Content-Type": "application/json"})
            with urllib.request.urlopen(ask) as answer:
                return json.load(answer)["predictions"]

        self.assertEqual(predict(), [1.5, 2.0])
        self.d.kill()
        self.d.status.pop(self.name)
        self.assertEqual(predict(), [1.5, 2.0])
        self.d.start()
        self.assertEqual(self.d.wait_phase(self.name, "ready")["port"], port)
        self.d.call("stop", task=self.name, why="cancelled", grace_ms=5000)
        s = self.d.wait_phase(self.name, "exited")
        self.assertEqual((s["fail"], s["port"]), ("cancelled", 0), s)
        self.d.remove(self.name)

    def test_a_model_that_cannot_be_loaded_is_explained(self):
        s = self.d.run(self.name, **self.model(b"no model" * 20))
        self.assertEqual(s["fail"], "environment", s)
        self.assertIn("the model cannot be served: ", s["message"])

    # ---- life ----

    def test_a_job_runs_and_its_output_log_and_series_are_in_the_store(self):
        s = self.d.run(self.name, command=["python", "-c", "import os\nprint('hello')\n"
                                           "print('cloudml: metric loss=0.5 step=1')\n"
                                           "os.makedirs('/output/a/b')\nopen('/output/a/b/c', 'w').write('out')\n"
                                           "os.symlink('/etc/passwd', '/output/link')"])
        self.assertEqual((s["phase"], s["exit_code"], s["fail"]), ("exited", 0, "none"), s)
        self.assertEqual(self.d.history[self.name], ["preparing", "running", "exited"])
        self.assertIn("hello\n", self.log())
        self.assertEqual(self.object("output/a/b/c"), "out")
        self.assertIn("hello\n", self.object("logs/1.log"))
        self.assertIn("link", self.object("logs/1.log"))
        self.assertIn('"loss"', self.object("metrics/1.json"))
        with self.assertRaises(LookupError):
            self.object("output/link")
        self.d.remove(self.name)
        self.assertFalse(os.path.exists(self.d.folder(self.name)))
        with self.assertRaises(LookupError):
            self.log()

    def test_a_launch_of_a_name_that_exists_changes_nothing(self):
        self.d.run(self.name, command=["sh", "-c", "echo once"])
        self.d.launch(self.name, command=["sh", "-c", "echo twice"])
        self.assertEqual(self.log().count("once"), 1)
        self.assertNotIn("twice", self.log())

    def test_a_failing_job_says_why(self):
        s = self.d.run(self.name, command=["python", "-c", "raise ValueError('no data')"])
        self.assertEqual((s["exit_code"], s["fail"]), (1, "user_error"))
        self.assertIn("exited with status 1; the last line was 'ValueError: no data'", s["message"])

    def test_a_program_that_is_not_there_is_named(self):
        s = self.d.run(self.name, command=["trainn"])
        self.assertEqual(s["fail"], "user_error", s)
        self.assertIn("trainn", s["message"])

    def test_prepare_and_finish_run_around_the_main_command(self):
        s = self.d.run(self.name, command=["sh", "-c", "echo main; exit 3"], prepare_command="echo before",
                       finish_command="echo after")
        self.assertEqual(s["exit_code"], 3)
        self.assertLess(self.log().index("before"), self.log().index("main"))
        self.assertLess(self.log().index("main"), self.log().index("after"))

    def test_memory_beyond_the_limit_is_out_of_memory(self):
        s = self.d.run(self.name, command=["python", "-c", "x = bytearray(400 << 20)"], memory_bytes=128 << 20)
        self.assertEqual(s["fail"], "out_of_memory", s)
        self.assertIn("--memory 256M", s["message"])

    def test_a_cancelled_job_ends_and_says_so(self):
        self.d.launch(self.name, command=["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"])
        self.d.wait_phase(self.name, "running")
        self.d.call("stop", task=self.name, why="cancelled", grace_ms=300)
        s = self.d.wait_phase(self.name, "exited", "lost")
        self.assertEqual((s["phase"], s["fail"]), ("exited", "cancelled"), s)
        self.assertEqual(containers(self.name), [])

    def test_a_job_past_its_time_is_stopped(self):
        s = self.d.run(self.name, command=["sleep", "1000"], max_duration_ms=300)
        self.assertEqual(s["fail"], "timeout", s)

    def test_two_tasks_run_at_once(self):
        other = self.owner + "x-1-main-0"
        for name in (self.name, other):
            self.d.launch(name, command=["sh", "-c", "echo up; while [ ! -e /output/go ]; do sleep 0.05; done"])
        for name in (self.name, other):
            self.d.wait_phase(name, "running")
        for name in (self.name, other):
            open(os.path.join(self.d.folder(name), "output", "go"), "w").close()
        for name in (self.name, other):
            self.assertEqual(self.d.wait_phase(name, "exited")["exit_code"], 0)

    # ---- kills ----

    def test_a_job_outlives_the_server(self):
        self.d.launch(self.name, command=["sh", "-c", "echo first; while [ ! -e /output/go ]; do sleep 0.05; done; "
                                          "echo last"])
        self.d.wait_phase(self.name, "running")
        self.d.kill()
        self.d.status.pop(self.name)
        self.d.start()
        open(os.path.join(self.d.folder(self.name), "output", "go"), "w").close()
        s = self.d.wait_phase(self.name, "exited", "lost")
        self.assertEqual((s["phase"], s["exit_code"]), ("exited", 0), s)
        self.assertEqual(self.object("logs/1.log").split("\n")[-3:], ["first", "last", ""])

    def test_a_job_that_ended_while_the_server_was_dead_is_collected(self):
        self.d.launch(self.name, command=["sh", "-c", "while [ ! -e /output/go ]; do sleep 0.05; done; echo late"])
        self.d.wait_phase(self.name, "running")
        shim = os.pidfd_open(self.d.shim_pid(self.name)) if hasattr(os, "pidfd_open") else None
        self.d.kill()
        self.d.status.pop(self.name)
        open(os.path.join(self.d.folder(self.name), "output", "go"), "w").close()
        if shim is not None:
            import select
            select.select([shim], [], [])
        self.d.start()
        self.assertEqual(self.d.wait_phase(self.name, "exited", "lost")["exit_code"], 0)
        self.assertIn("late", self.object("logs/1.log"))

    def test_a_killed_shim_is_a_lost_task_and_no_container_is_left(self):
        self.d.launch(self.name, command=["sh", "-c", "echo kept > /output/part; echo up; sleep 1000"])
        self.d.wait_phase(self.name, "running")
        part = os.path.join(self.d.folder(self.name), "output", "part")
        while not os.path.exists(part) or not os.path.getsize(part):
            time.sleep(0.05)
        self.assertNotEqual(containers(self.name), [])
        os.kill(self.d.shim_pid(self.name), signal.SIGKILL)
        s = self.d.wait_phase(self.name, "exited", "lost")
        self.assertEqual((s["phase"], s["fail"]), ("lost", "lost"), s)
        self.assertEqual(containers(self.name), [])
        self.assertEqual(self.object("output/part"), "kept\n")

    def test_a_shim_killed_while_the_server_is_dead_is_lost_too(self):
        self.d.launch(self.name, command=["sleep", "1000"])
        self.d.wait_phase(self.name, "running")
        self.d.kill()
        os.kill(self.d.shim_pid(self.name), signal.SIGKILL)
        self.d.status.pop(self.name)
        self.d.start()
        self.assertEqual(self.d.wait_phase(self.name, "exited", "lost")["phase"], "lost")
        self.assertEqual(containers(self.name), [])

    def test_launches_in_a_storm_of_kills_run_once_and_are_all_reported(self):
        self.d.run(self.owner + "z-1-main-0", command=["true"])  # the environment is there
        names = ["%s%s-1-main-0" % (self.owner, c) for c in "abcdefghijkl"]
        for i, name in enumerate(names):
            self.d.launch(name, command=["sh", "-c", "echo start >> /output/%s; echo done" % name])
            if i % 3 == 2:
                self.d.kill()
                self.d.status.clear()
                self.d.start()
        # A launch that was not durable when the server died was promised to nobody: the controller launches again.
        for name in names:
            self.d.launch(name, command=["sh", "-c", "echo start >> /output/%s; echo done" % name])
        for name in names:
            s = self.d.wait_phase(name, "exited")
            self.assertEqual(s["exit_code"], 0, s)
            key = "jobs/%s/output/%s" % (name.split("-")[0], name)
            self.assertEqual(self.d.call("get", "object", org="acme", key=key), "start\n")
            self.assertEqual(containers(name), [])

    def wait_for_builder(self):
        return self.d.wait(lambda m: m.get("changed", {}).get("name") == self.name
                           and "packages" in (m["changed"]["progress"]["text"] or ""))

    def test_a_shim_killed_while_it_builds_leaves_no_builder_and_the_next_one_begins_again(self):
        self.d.launch(self.name, command=["true"], requirements=["attrs==23.2.0"])
        self.wait_for_builder()
        os.kill(self.d.shim_pid(self.name), signal.SIGKILL)
        self.assertEqual(self.d.wait_phase(self.name, "exited", "lost")["phase"], "lost")
        # Builders are named after the data folder too; other folders on this machine may build the same.
        ours = hashlib.sha256(self.data.encode()).hexdigest()[:8]
        self.assertFalse([f for f in os.listdir(os.path.join(self.data, "envs")) if containers(
            "env-%s-%s" % (f.split(".")[0], ours))])
        again = self.owner + "-2-main-0"
        self.assertEqual(self.d.run(again, command=["python", "-c", "import attr"], attempt=2,
                                    requirements=["attrs==23.2.0"])["exit_code"], 0)

    def test_a_task_whose_folder_was_removed_ends_with_its_shim(self):
        self.d.launch(self.name, command=["sleep", "1000"])
        self.d.wait_phase(self.name, "running")
        shim = self.d.shim_pid(self.name)
        shutil.rmtree(os.path.join(self.data, "tasks", self.name), ignore_errors=True)
        end = time.monotonic() + 60
        while os.path.exists("/proc/%d" % shim) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertFalse(os.path.exists("/proc/%d" % shim))
        self.assertEqual(containers(self.name), [])

    def test_a_job_is_cancelled_while_its_environment_is_built(self):
        self.d.launch(self.name, command=["true"], requirements=["attrs==23.1.0"])
        self.wait_for_builder()
        self.d.call("stop", task=self.name, why="cancelled", grace_ms=1000)
        self.assertEqual(self.d.wait_phase(self.name, "exited")["fail"], "cancelled")

    # ---- environments and packages ----

    def test_a_requirement_is_installed_into_an_environment_of_its_own(self):
        s = self.d.run(self.name, command=["python", "-c", "import six; print('six', six.__version__)"],
                       requirements=["six==1.16.0"])
        self.assertEqual(s["exit_code"], 0, s)
        self.assertIn("six 1.16.0", self.log())
        self.assertIn("once", self.log())

    def test_a_requirement_that_does_not_exist_is_explained(self):
        s = self.d.run(self.name, command=["true"], requirements=["six==99.99"])
        self.assertEqual(s["fail"], "environment", s)
        self.assertIn("six==99.99", s["message"])

    def test_an_environment_is_not_writable(self):
        s = self.d.run(self.name, command=["sh", "-c", "touch /env/x"])
        self.assertEqual(s["exit_code"], 1)
        self.assertIn("Read-only", self.log())

    def test_a_folder_is_unpacked_into_the_work_folder(self):
        uri = self.put(lambda p: tar(p, {"train.py": "print('from', __file__)\n", "lib/x.txt": "x"}), "code.tar.gz")
        s = self.d.run(self.name, package=uri, package_kind="folder", command=["python", "train.py"])
        self.assertEqual(s["exit_code"], 0, s)
        self.assertIn("from /work/train.py", self.log())

    def test_a_source_package_is_installed_and_its_module_runs(self):
        uri = self.put(lambda p: tar(p, {"trainer-1.0/setup.py": SETUP, "trainer-1.0/trainer/__init__.py": "",
                                         "trainer-1.0/trainer/task.py": TASK}), "trainer-1.0.tar.gz")
        s = self.d.run(self.name, package=uri, package_kind="python", module="trainer.task", args=["--epochs", "3"])
        self.assertEqual(s["exit_code"], 0, (s, self.log()))
        self.assertIn("trained ['--epochs', '3']", self.log())
        self.assertEqual(self.object("output/model.txt"), "m")

    def test_a_plain_folder_may_be_given_as_a_package(self):
        uri = self.put(lambda p: tar(p, {"trainer/__init__.py": "", "trainer/task.py": TASK}), "t.tar.gz")
        s = self.d.run(self.name, package=uri, package_kind="python", module="trainer.task")
        self.assertEqual(s["exit_code"], 0, (s, self.log()))

    def test_a_wheel_is_installed(self):
        def build(path):
            with zipfile.ZipFile(path, "w") as z:
                z.writestr("trainer/__init__.py", "")
                z.writestr("trainer/task.py", TASK)
                z.writestr("trainer-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: trainer\nVersion: 1.0\n")
                z.writestr("trainer-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\n"
                           "Root-Is-Purelib: true\nTag: py3-none-any\n")
                z.writestr("trainer-1.0.dist-info/RECORD", "trainer/__init__.py,,\ntrainer/task.py,,\n"
                           "trainer-1.0.dist-info/METADATA,,\ntrainer-1.0.dist-info/WHEEL,,\n"
                           "trainer-1.0.dist-info/RECORD,,\n")
        uri = self.put(build, "trainer-1.0-py3-none-any.whl")
        s = self.d.run(self.name, package=uri, package_kind="python", module="trainer.task")
        self.assertEqual(s["exit_code"], 0, (s, self.log()))

    def test_a_missing_module_is_explained(self):
        uri = self.put(lambda p: tar(p, {"setup.py": SETUP, "trainer/__init__.py": "", "trainer/task.py": TASK}),
                       "trainer.tar.gz")
        s = self.d.run(self.name, package=uri, package_kind="python", module="trainer.tsk")
        self.assertEqual(s["fail"], "environment", s)
        self.assertIn("the package has no module 'trainer.tsk'; it has: trainer, trainer.task", s["message"])

    def test_a_broken_archive_is_explained(self):
        def build(path):
            with open(path, "wb") as f:
                f.write(b"\x1f\x8b" + b"no archive at all" * 40)
        uri = self.put(build, "broken.tar.gz")
        s = self.d.run(self.name, package=uri, package_kind="folder", command=["true"])
        self.assertEqual(s["fail"], "environment", s)
        self.assertIn("cannot unpack the package: the archive is damaged", s["message"])

    def test_a_package_that_is_not_in_the_store_is_named(self):
        s = self.d.run(self.name, package="fds://acme/packages/none.tar.gz", package_kind="folder", command=["true"])
        self.assertEqual(s["fail"], "environment", s)
        self.assertIn("fds://acme/packages/none.tar.gz", s["message"])

    def test_another_organisation_cannot_use_the_package(self):
        uri = self.put(lambda p: tar(p, {"train.py": ""}), "secret.tar.gz")
        s = self.d.run(self.name, org="rival", package=uri, package_kind="folder", command=["true"])
        self.assertEqual(s["fail"], "environment", s)


def main():
    global PROGRAM, FRAMEWORKS
    PROGRAM, FRAMEWORKS = sys.argv[1:3]
    if os.geteuid() != 0:
        print("skipped: containers need root")
        return 77
    probe = tempfile.mkdtemp(prefix="cloudml-e2e-")
    try:
        Driver(PROGRAM, probe, [os.path.join(FRAMEWORKS, "python.json")]).quit()
    except RuntimeError as e:
        print("skipped: %s" % e)
        return 77
    finally:
        shutil.rmtree(probe, ignore_errors=True)
    program = unittest.main(argv=["test_local.py", *sys.argv[3:]], exit=False, verbosity=2)
    return 0 if program.result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
