#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What people do at the command line, from the first folder to the last delete. Needs root and a package index."""

import io
import os
import pathlib
import sys
import tarfile
import zipfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

TRAIN = """
import os, sys, six
print("six", six.__version__, "arguments", sys.argv[1:])
print("cloudml: metric loss=0.5 step=1")
print("cloudml: metric loss=0.25 step=2")
with open(os.path.join(os.environ["CLOUDML_OUTPUT_DIR"], "result.txt"), "w") as f:
    f.write("trained\\n")
"""
# Counts up until a file is there that never comes; every line is printed at once.
ENDLESS = """
import itertools, time
for i in itertools.count():
    print("turn", i, flush=True)
    time.sleep(0.1)
"""
# Fails once: the second attempt finds what the first one left.
ONCE = """
import os, sys
marker = os.path.join(os.environ["CLOUDML_CHECKPOINT_DIR"], "tried")
if os.path.exists(marker):
    print("second attempt")
    sys.exit(0)
open(marker, "w").close()
print("first attempt")
sys.exit(3)
"""
SETUP = "from setuptools import setup\nsetup(name='trainer', version='1.0', packages=['trainer'])\n"
TASK = "import sys\nprint('the package says', sys.argv[1:])\n"
METADATA = "Metadata-Version: 2.1\nName: trainer\nVersion: 1.0\n"


def sdist(path):
    with tarfile.open(path, "w:gz") as t:
        for name, content in {"setup.py": SETUP, "PKG-INFO": METADATA, "trainer/__init__.py": "",
                              "trainer/task.py": TASK}.items():
            info = tarfile.TarInfo(f"trainer-1.0/{name}")
            info.size = len(content)
            t.addfile(info, io.BytesIO(content.encode()))
    return path


def wheel(path):
    files = {"trainer/__init__.py": "", "trainer/task.py": TASK, "trainer-1.0.dist-info/METADATA": METADATA,
             "trainer-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    record = "".join(f"{name},,\n" for name in files) + "trainer-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as z:
        for name, content in {**files, "trainer-1.0.dist-info/RECORD": record}.items():
            z.writestr(name, content)
    return path


class Running(platform.Case):
    """cloudml run"""

    def test_a_folder_runs_with_its_requirements_and_what_git_ignores_stays_at_home(self):
        folder = self.p.folder({"train.py": TRAIN, "requirements.txt": "six==1.17.0\n", ".gitignore": "big/\n",
                                "big/data": "x" * 100000})
        done = self.p.cli("run", "--", "python", "train.py", "--epochs", "3", cwd=folder).ok()
        self.assertIn("six 1.17.0 arguments ['--epochs', '3']", done.out)
        job = self.p.json("jobs", "list", "--name", "train")["data"][0]
        self.assertEqual((job["state"], job["attempt"], job["exit"]["code"]), ("completed", 1, 0))
        self.assertEqual(job["spec"]["framework"], "python")
        self.assertEqual(self.p.cli("store", "cat", job["output_uri"] + "result.txt").ok().out, "trained\n")
        metrics = self.p.json("jobs", "metrics", job["id"])["data"]["loss"]
        self.assertEqual([point[1:] for point in metrics], [[1, 0.5], [2, 0.25]])
        with tarfile.open(fileobj=io.BytesIO(self.package(job))) as t:
            self.assertNotIn("big/data", [m.name.removeprefix("./") for m in t.getmembers()])

    def package(self, job):
        status, content = self.p.api("GET", "/store/" + job["spec"]["package"].removeprefix("fds://"))
        self.assertEqual(status, 200)
        return content

    def test_the_exit_status_is_the_program_s(self):
        failed = self.p.cli("run", "-F", "python", "--name", "seven", "--", "python", "-c", "import sys; sys.exit(7)")
        self.assertEqual(failed.status, 7, failed)
        job = self.p.job("seven")
        self.assertEqual((job["state"], job["exit"]["code"], job["exit"]["class"]), ("failed", 7, "user_error"))
        self.assertIn("status 7", job["message"])

    def test_ctrl_c_detaches_and_the_job_goes_on(self):
        folder = self.p.folder({"endless.py": ENDLESS})
        watching = self.p.begin("run", "-F", "python", "--name", "endless", "--", "python", "endless.py", cwd=folder)
        watching.wait_text("turn 3")
        watching.interrupt()
        left = watching.wait()
        self.assertIn("cloudml jobs attach", left.err + left.out)
        job = self.p.job("endless")
        self.assertEqual((job["state"], job["cancel_requested"]), ("running", False))
        last = int(self.p.logs(job["id"]).split("turn ")[-1].split()[0])
        self.p.wait_log(job["id"], f"turn {last + 3}\n")
        # somebody else may watch it again, from its beginning, and see it being cancelled
        again = self.p.begin("jobs", "attach", "endless")
        again.wait_text("turn 0")
        self.p.cli("jobs", "cancel", "endless").ok()
        self.assertNotEqual(again.wait().status, 0)
        job = self.p.wait_job(job["id"], "cancelled")
        self.assertEqual(job["exit"]["class"], "cancelled")

    def test_a_last_line_without_its_end_is_shown(self):
        done = self.p.cli("run", "-F", "python", "--", "python", "-c", "print('whole'); print('no end', end='')").ok()
        self.assertTrue(done.out.rstrip("\n").endswith("whole\nno end"), done)

    def test_detached_it_prints_the_id_alone(self):
        told = self.p.cli("run", "-d", "-q", "-F", "python", "--", "python", "-c", "print('quiet')").ok()
        self.assertEqual(len(told.out.split()), 1, told)
        job = self.p.wait_job(told.out.strip(), "completed")
        self.assertIn("quiet\n", self.p.logs(job["id"]))

    def test_prepare_and_finish_run_around_the_program_however_it_ends(self):
        done = self.p.cli("run", "-F", "python", "--name", "around", "--prepare", "echo before > note", "--finish",
                          "echo after the end", "--", "python", "-c", "print(open('note').read()); raise SystemExit(4)")
        self.assertEqual(done.status, 4, done)
        log = self.p.logs("around")
        self.assertLess(log.index("before\n"), log.index("after the end\n"))

    def test_a_failing_preparation_fails_the_job_and_is_named(self):
        done = self.p.cli("run", "-F", "python", "--name", "unprepared", "--prepare", "exit 9", "--", "echo", "never")
        self.assertNotEqual(done.status, 0)
        job = self.p.job("unprepared")
        self.assertEqual(job["state"], "failed")
        self.assertIn("prepare", job["message"])
        self.assertNotIn("never\n", self.p.logs("unprepared"))

    def test_a_job_that_fails_once_is_tried_again_with_its_checkpoints(self):
        folder = self.p.folder({"once.py": ONCE})
        done = self.p.cli("run", "-F", "python", "--retries", "2", "--", "python", "once.py", cwd=folder).ok()
        self.assertIn("second attempt", done.out)
        job = self.p.job("once")
        self.assertEqual((job["state"], job["attempt"]), ("completed", 2))
        self.assertIn("first attempt", self.p.cli("jobs", "logs", "once", "--attempt", "1").ok().out)
        self.assertNotIn("second attempt", self.p.cli("jobs", "logs", "once", "--attempt", "1").ok().out)

    def test_a_job_does_not_outlive_its_longest_duration(self):
        folder = self.p.folder({"endless.py": ENDLESS})
        done = self.p.cli("run", "-F", "python", "--name", "late", "--max-duration", "2s", "--", "python", "endless.py",
                          cwd=folder)
        self.assertNotEqual(done.status, 0)
        job = self.p.job("late")
        self.assertEqual((job["state"], job["exit"]["class"]), ("failed", "timeout"))
        self.assertIn("2s", job["message"])

    def test_without_network_a_job_reaches_nothing(self):
        code = ("import socket\ntry:\n socket.create_connection(('127.0.0.1', %d), 5)\n print('reached')\n"
                "except OSError as e:\n print('refused')" % self.p.port)
        for mode in ("none", "egress"):
            done = self.p.cli("run", "-F", "python", "--network", mode, "--", "python", "-c", code).ok()
            self.assertIn("refused\n", done.out, mode)

    def test_variables_reach_the_program_and_secrets_of_ours_do_not(self):
        done = self.p.cli("run", "-F", "python", "-e", "COLOR=red", "-e", "TAKEN", "--", "python", "-c",
                          "import os; print(sorted(os.environ))\nprint(os.environ['COLOR'], os.environ['TAKEN'])",
                          env={"TAKEN": "along", "CLOUDML_TOKEN_OF_OURS": "secret"}).ok()
        self.assertIn("red along\n", done.out)
        self.assertNotIn("CLOUDML_TOKEN_OF_OURS", done.out)


class Packages(platform.Case):
    """cloudml jobs submit"""

    def attach(self, *args):
        return self.p.cli("jobs", "submit", *args, "-F", "python", "-M", "trainer.task", "--", "--lr", "0.1").ok()

    def test_an_sdist_a_wheel_and_a_folder_of_a_package_run_the_module(self):
        for number, package in enumerate((
                sdist(os.path.join(self.p.scratch, "trainer-1.0.tar.gz")),
                wheel(os.path.join(self.p.scratch, "trainer-1.0-py3-none-any.whl")),
                self.p.folder({"setup.py": SETUP, "trainer/__init__.py": "", "trainer/task.py": TASK}))):
            with self.subTest(package=package):
                done = self.attach(package, "--name", f"package-{number}")
                self.assertIn("the package says ['--lr', '0.1']", done.out)

    def test_a_package_in_the_store_is_used_from_there(self):
        local = wheel(os.path.join(self.p.scratch, "trainer-1.0-py3-none-any.whl"))
        self.p.cli("store", "cp", local, "fds://default/mine/trainer-1.0-py3-none-any.whl").ok()
        done = self.attach("fds://default/mine/trainer-1.0-py3-none-any.whl")
        self.assertIn("the package says ['--lr', '0.1']", done.out)

    def test_a_job_file_says_it_all_and_flags_win(self):
        folder = self.p.folder({"job.yaml": "name: filed\nframework: python\nmemory: 1G\nenv:\n  WHO: file\n"
                                "command: [python, -c, \"import os; print('said by', os.environ['WHO'])\"]\n"})
        done = self.p.cli("jobs", "submit", "-f", "job.yaml", "-e", "WHO=flag", "--memory", "512M", cwd=folder).ok()
        self.assertIn("said by flag", done.out)
        spec = self.p.job("filed")["spec"]
        self.assertEqual(self.p.json("jobs", "describe", "filed")["spec"], spec)
        self.assertIn(spec["memory"], (512 << 20, "512M", "512.0 MiB"))

    def test_a_missing_module_a_broken_archive_and_a_lost_package_fail_the_job_with_the_reason(self):
        local = wheel(os.path.join(self.p.scratch, "trainer-1.0-py3-none-any.whl"))
        broken = os.path.join(self.p.scratch, "broken-1.0.tar.gz")
        pathlib.Path(broken).write_bytes(b"\x1f\x8bno archive at all" * 40)
        for args, words in (((local, "-M", "trainer.tsk"), ("trainer.tsk", "trainer.task")),
                            ((broken, "-M", "trainer.task"), ("archive", "damaged"))):
            with self.subTest(words=words):
                done = self.p.cli("jobs", "submit", *args, "-F", "python", "--name", "wrong")
                self.assertNotEqual(done.status, 0, done)
                job = self.p.job("wrong")
                self.assertEqual((job["state"], job["exit"]["class"]), ("failed", "environment"))
                for word in words:
                    self.assertIn(word, job["message"])
                    self.assertIn(word, done.err + done.out)


class Looking(platform.Case):
    """jobs list, describe, logs, events, metrics, cancel, delete"""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        folder = cls.p.folder({"endless.py": ENDLESS})
        cls.live = cls.p.cli("run", "-d", "-q", "-F", "python", "--name", "live", "--cpu", "500m", "--memory", "256M", "--",
                             "python", "endless.py", cwd=folder).ok().out.strip()
        cls.done = cls.p.cli("run", "-d", "-q", "-F", "python", "--name", "done", "--cpu", "500m", "--memory", "256M", "--",
                             "python", "-c", "for i in range(5): print('cloudml: metric loss=%s step=%d' % (1 / (i + 1), i))"
                             ).ok().out.strip()
        cls.p.wait_job(cls.live, "running")
        cls.p.wait_job(cls.done, "completed")

    def test_the_list_has_both_newest_first_and_filters(self):
        rows = [line.split()[:3] for line in self.p.cli("jobs", "list", "-q").ok().out.splitlines()]
        self.assertEqual([row for row in rows if row[1] in ("done", "live")], [[self.done, "done", "completed"], [self.live, "live", "running"]])
        self.assertEqual(self.p.cli("jobs", "list", "--ids", "-s", "running").ok().out.split(), [self.live])
        self.assertEqual(self.p.cli("jobs", "list", "--ids", "-n", "done").ok().out.split(), [self.done])
        self.assertEqual(self.p.cli("jobs", "list", "--ids", "-l", "1").ok().out.split(), [rows[0][0]])

    def test_describe_speaks_of_names_and_ids_alike(self):
        self.assertEqual(self.p.json("jobs", "describe", "done"), self.p.json("jobs", "describe", self.done))
        text = self.p.cli("jobs", "describe", "done").ok().out
        for word in (self.done, "completed", "fds://default/jobs/"):
            self.assertIn(word, text)

    def test_following_a_log_ends_with_the_job(self):
        job = self.p.cli("run", "-d", "-q", "-F", "python", "--cpu", "250m", "--memory", "128M", "--", "sh", "-c",
                         "for i in 1 2 3; do echo line $i; sleep 0.2; done").ok().out.strip()
        followed = self.p.cli("jobs", "logs", "-f", job).ok()
        self.assertEqual([line for line in followed.out.splitlines() if line.startswith("line")], ["line 1", "line 2", "line 3"])
        self.assertEqual(self.p.cli("jobs", "logs", "--tail", "7", job).ok().out, "line 3\n")

    def test_events_tell_the_life_of_a_job_in_order(self):
        events = self.p.json("jobs", "events", "done")["data"]
        self.assertEqual([e["seq"] for e in events], sorted(e["seq"] for e in events))
        told = [e["type"] + " " + e["reason"] for e in events]
        for earlier, later in (("submitted", "queued"), ("queued", "starting"), ("starting", "running"), ("running", "completed")):
            self.assertLess(min(i for i, t in enumerate(told) if earlier in t), max(i for i, t in enumerate(told) if later in t))
        self.assertIn("completed", self.p.cli("jobs", "events", "done").ok().out)

    def test_metrics_show_what_was_printed_and_what_was_used(self):
        data = self.p.json("jobs", "metrics", "done")["data"]
        self.assertEqual([p[2] for p in data["loss"]], [1, 0.5, 1 / 3, 0.25, 0.2])
        lines = self.p.cli("jobs", "metrics", "done", "-n", "loss").ok().out.splitlines()
        self.assertEqual([line.split()[1] for line in lines], ["0", "1", "2", "3", "4"])
        platform.until("use of memory of the live job",
                       lambda: self.p.json("jobs", "metrics", "live")["data"].get("memory_bytes"))

    def test_cancel_and_delete_leave_no_record_log_or_output(self):
        job = self.p.cli("run", "-d", "-q", "-F", "python", "--name", "short", "--cpu", "250m", "--memory", "128M", "--", "sh",
                         "-c", "echo x > $CLOUDML_OUTPUT_DIR/x; echo ready; exec sleep 1000").ok().out.strip()
        self.p.wait_log(job, "ready\n")
        self.p.cli("jobs", "delete", job).fails("cancel")
        self.p.cli("jobs", "cancel", job).ok()
        self.p.wait_job(job, "cancelled")
        platform.until("output in the store", lambda: self.p.cli("store", "ls", "-R", f"fds://default/jobs/{job}/").out)
        self.p.cli("jobs", "delete", job).ok()
        self.p.cli("jobs", "describe", job).fails("no job", status=4)
        platform.until("an empty store", lambda: not self.p.cli("store", "ls", "-R", f"fds://default/jobs/{job}/").out.strip())


if __name__ == "__main__":
    platform.need_containers()
    platform.need_network()
    platform.main()
