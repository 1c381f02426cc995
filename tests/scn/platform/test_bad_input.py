#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Wrong input: each is refused with a message that says what to do, and leaves nothing behind. Needs root, no network."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

# Flags of a run, words of the message, exit status.
BAD_FLAGS = (
    (("--memory", "plenty"), ("memory", "'plenty'", "4G"), 2),
    (("--memory", "-1"), ("memory", "'-1'"), 2),
    (("--memory", "1K"), ("memory", "too small"), 2),
    (("--memory", "900G"), ("memory", "this machine"), 2),
    (("--memory", "999999999T"), ("memory",), 2),
    (("--cpu", "0"), ("cpu", "too small"), 2),
    (("--cpu", "-2"), ("cpu",), 2),
    (("--cpu", "500"), ("cpu 500", "this machine"), 2),
    (("--gpu", "two"), ("--gpu", "'two'"), 2),
    (("--gpu", "-1"), ("gpu",), 2),
    (("--gpu", "64"), ("gpu 64", "this machine"), 2),
    (("--retries", "100000"), ("max_retries", "100"), 2),
    (("--priority", "101"), ("priority", "100"), 2),
    (("--max-duration", "3 weeks"), ("max_duration", "'3 weeks'", "1h30m"), 2),
    (("--network", "all"), ("network", "'all'", "egress"), 2),
    (("--name", "Bad Name!"), ("name", "'Bad Name!'"), 2),
    (("--name", "../up"), ("name", "'../up'"), 2),
    (("--name", "a" * 64), ("name",), 2),
    (("--env", "=x"), ("env",), 2),
    (("--env", "LD_PRELOAD=x"), ("LD_PRELOAD", "reserved"), 2),
    (("--env", "CLOUDML_OUTPUT_DIR=/"), ("CLOUDML_OUTPUT_DIR", "reserved"), 2),
    (("--env", "NOT_SET_ANYWHERE"), ("NOT_SET_ANYWHERE",), 2),
    (("--requirement", "--index-url=http://evil.example"), ("requirement", "--index-url"), 2),
    (("--requirement", "-r/etc/passwd"), ("requirement",), 2),
    (("--framework", "tensorflw"), ("'tensorflw'", "did you mean 'tensorflow'"), 4),
    (("--framework", "python:2.7"), ("'2.7'", "3.11"), 4),
    (("--framework", "nothing-like-it"), ("'nothing-like-it'", "tensorflow"), 4),
)
# Job files: content, words of the message.
BAD_FILES = (
    ("command: [python]\nfarmework: python\n", ("farmework", "did you mean 'framework'")),
    ("command: [python]\ntyped-by-mistake: 1\n", ("typed-by-mistake",)),
    ("command: python train.py\n", ("command",)),
    ("command: [python]\nmodule: a.b\n", ("module", "command")),
    ("command: [python]\nmemory: [4G]\n", ("memory",)),
    ("command: [python]\nenv: [A, B]\n", ("env",)),
    ("command: [python]\ncpu: .nan\n", ("cpu",)),
    ("command: [python\n", ("line",)),
    ("command: &a [python]\nargs: *a\n", ("line",)),
    ("name: twice\nname: again\n", ("name", "twice")),
    ("- a\n- list\n", ("job",)),
    ("", ("empty",)),
    ("command: [python, \"\\0\"]\n", ("line 1", "NUL")),
)
BAD_ADDRESSES = ("fds://default/../other/x", "fds://other/x", "fds://default/a/../../x", "fds://", "fds://default", "s3://default/x",
                 "http://default/x", "fds://default//x", "fds://default/./x", "fds://DEFAULT/x", "/etc/passwd\n")


class BadInput(platform.Case):
    def setUp(self):
        self.before = self.inventory()

    def tearDown(self):
        self.assertEqual(self.inventory(), self.before, "something was left behind")

    def inventory(self):
        """Everything that a refused wish could have made."""
        tasks = os.path.join(self.p.data, "tasks")
        return ([j["id"] for j in self.p.get("/jobs?limit=1000")["data"]], [m["id"] for m in self.p.get("/models")["data"]],
                [b["name"] for b in self.p.get("/store")["data"]], sorted(os.listdir(tasks)) if os.path.isdir(tasks) else [])

    def test_impossible_sizes_names_and_frameworks(self):
        for flags, words, status in BAD_FLAGS:
            with self.subTest(flags=flags):
                self.p.cli("run", "-F", "python", *flags, "--", "true").fails(*words, status=status)

    def test_job_files_with_slips(self):
        for content, words in BAD_FILES:
            with self.subTest(content=content):
                folder = self.p.folder({"job.yaml": content})
                self.p.cli("jobs", "submit", "-f", "job.yaml", cwd=folder).fails("job.yaml" if not words else words[0], *words,
                                                                                  status=2)

    def test_the_api_names_the_unknown_field_too(self):
        status, answer = self.p.api("POST", "/jobs", {"command": ["true"], "memroy": "1G"})
        self.assertEqual(status, 400, answer)
        self.assertIn("did you mean 'memory'", answer["error"]["message"])

    def test_bodies_that_are_no_job(self):
        for body in (b"", b"{", b"[]", b"null", b"{\"command\": [\"\\u0000\"]}", b"\xff\xfe", b"[" * 100000,
                     b"{\"name\": \"a\", \"name\": \"b\", \"command\": [\"true\"]}"):
            with self.subTest(body=body[:40]):
                status, answer = self.p.api("POST", "/jobs", raw=body)
                self.assertEqual(status, 400, answer)
                self.assertEqual(answer["error"]["code"], "invalid")

    def test_a_body_without_measure_is_refused_before_it_is_sent(self):
        with socket.create_connection(("127.0.0.1", self.p.port), 60) as s:
            s.sendall(f"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.p.token}\r\n"
                      f"Content-Type: application/json\r\nContent-Length: {64 << 30}\r\n\r\n".encode())
            self.assertIn(b" 413 ", s.makefile("rb").readline())

    def test_packages_outside_of_the_organisation_and_other_strange_addresses(self):
        for address in BAD_ADDRESSES:
            with self.subTest(address=address):
                status, answer = self.p.api("POST", "/jobs", {"module": "a.b", "package": address})
                self.assertIn(status, (400, 403, 404), answer)
                self.assertIn("package", answer["error"]["message"])
                status, answer = self.p.api("POST", "/models", {"name": "m", "uri": address})
                self.assertIn(status, (400, 403, 404), answer)

    def test_paths_of_the_store_that_leave_the_bucket(self):
        for path in ("/store/default/../../meta.db", "/store/default/%2e%2e/%2e%2e/meta.db", "/store/default/..%2f..%2fmeta.db",
                     "/store/..%2fdata", "/store/default/a%00b", "/store/default/" + "k" * 2000):
            with self.subTest(path=path):
                for method in ("GET", "PUT", "DELETE"):
                    status, answer = self.p.api(method, path, raw=b"x" if method == "PUT" else None)
                    self.assertIn(status, (400, 404), answer)
        self.p.cli("store", "cat", "fds://default/../other/x").fails("'..'")
        self.p.cli("store", "cp", "fds://default/../../meta.db", "here").fails("'..'")
        self.assertFalse(os.path.exists(os.path.join(self.p.home, "here")))

    def test_what_is_not_there_is_named_with_the_next_step(self):
        for command, words in ((("jobs", "describe", "nobody"), ("'nobody'", "jobs list")),
                               (("jobs", "logs", "nobody"), ("'nobody'",)),
                               (("jobs", "cancel", "nobody"), ("'nobody'",)),
                               (("models", "describe", "nobody"), ("'nobody'", "models list")),
                               (("models", "predict", "nobody"), ("'nobody'",)),
                               (("serve", "nobody"), ("'nobody'",)),
                               (("store", "cat", "fds://default/none"), ("'none'", "'default'")),
                               (("store", "ls", "fds://no-bucket/"), ("'no-bucket'",)),
                               (("jobs", "submit", "/nonexistent", "-M", "a.b"), ("'/nonexistent'",)),
                               (("jobs", "submit", "fds://default/none.tar.gz", "-M", "a.b"), ("none.tar.gz", "not in the store")),
                               (("serve", "fds://default/none/"), ("none",))):
            with self.subTest(command=command):
                self.assertIn(self.p.cli(*command).fails(*words).status, (2, 4))

    def test_a_job_needs_something_to_run_and_a_folder_with_files(self):
        self.p.cli("run").fails("--", status=2)
        self.p.cli("run", "-F", "python", "--", "true", cwd=self.p.folder({})).fails("no files", status=2)
        self.p.cli("jobs", "submit", ".").fails("module", status=2)
        self.p.cli("jobs", "submit", "note.txt", "-M", "a.b").fails("'note.txt'", ".tar.gz", status=2)

    def test_links_that_leave_the_folder_are_not_packed(self):
        folder = self.p.folder({"train.py": "print('hi')\n"})
        os.symlink("/etc/passwd", os.path.join(folder, "link"))
        self.p.cli("run", "-F", "python", "--", "python", "train.py", cwd=folder).fails("link", status=2)


class Idempotency(platform.Case):
    def test_a_key_makes_one_job_and_refuses_another_wish(self):
        wish = {"name": "once", "command": ["true"], "framework": "python", "requirements": ["none-of-this-name==1"]}
        key = {"Idempotency-Key": "the-key"}
        answers = [self.p.api("POST", "/jobs", wish, key) for _ in range(3)]
        self.assertEqual({a[0] for a in answers}, {201}, answers)
        self.assertEqual(len({a[1]["id"] for a in answers}), 1)
        status, answer = self.p.api("POST", "/jobs", {**wish, "name": "other"}, key)
        self.assertEqual((status, answer["error"]["code"]), (409, "conflict"))
        self.assertIn("the-key", answer["error"]["message"])
        self.p.kill()
        self.p.start()
        status, answer = self.p.api("POST", "/jobs", wish, key)
        self.assertEqual((status, answer["id"]), (201, answers[0][1]["id"]))
        self.assertEqual(len(self.p.get("/jobs")["data"]), 1)

    def test_keys_without_measure_are_refused(self):
        for key in ("k" * 129, "white space\there"):
            status, _ = self.p.api("POST", "/jobs", {"command": ["true"]}, {"Idempotency-Key": key})
            self.assertEqual(status, 400)


class FullDisk(platform.Case):
    """A data folder that is a file system of 48 MiB."""

    @classmethod
    def setUpClass(cls):
        cls.p = platform.Platform(share_environments=False)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=0700", "tmpfs", cls.p.data], check=True)
        cls.addClassCleanup(shutil.rmtree, cls.p.scratch)  # after the next one
        cls.addClassCleanup(subprocess.run, ["umount", cls.p.data], check=True)
        cls.addClassCleanup(cls.finish, keep_folder=True)
        cls.p.start()

    def test_a_full_store_says_so_and_works_again_when_there_is_room(self):
        big = os.path.join(self.p.scratch, "big")
        with open(big, "wb") as f:
            f.truncate(40 << 20)
        small = os.path.join(self.p.scratch, "small")
        pathlib.Path(small).write_text("small\n")
        self.p.cli("store", "cp", big, "fds://default/one").ok()
        self.p.cli("store", "cp", big, "fds://default/two").fails("space", status=74)
        self.assertEqual(self.keys(), ["one"])
        self.assertEqual(self.p.json("status")["pid"], self.p.pid)
        self.p.cli("store", "rm", "fds://default/one").ok()
        self.p.cli("store", "cp", small, "fds://default/three").ok()
        self.assertEqual(self.p.cli("store", "cat", "fds://default/three").ok().out, "small\n")
        self.assertEqual(self.keys(), ["three"])

    def keys(self):
        return [item["key"] for item in self.p.get("/store/default?limit=100")["data"]]

    def test_without_any_room_a_job_is_refused_and_nothing_that_was_confirmed_is_lost(self):
        filler = os.path.join(self.p.data, "filler")
        made = []
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 65536)
            except OSError:
                pass
        refused, wide = None, {f"V{i}": "x" * 4000 for i in range(10)}
        for i in range(200):  # the database has a few pages to spare
            status, answer = self.p.api("POST", "/jobs", {"name": f"n{i}", "command": ["true"], "env": wide})
            if status != 201:
                refused = (status, answer)
                break
            made.append(answer["id"])
        self.assertIsNotNone(refused)
        self.assertEqual((refused[0], refused[1]["error"]["code"]), (507, "disk_full"), refused)
        os.unlink(filler)
        self.assertEqual(platform.until("an answer", lambda: self.p.api("POST", "/jobs", {
            "name": "again", "command": ["true"]})[0] == 201), True)
        self.p.kill()
        self.p.start()
        self.assertTrue({j["id"] for j in self.p.get("/jobs?limit=1000")["data"]} >= set(made))


if __name__ == "__main__":
    platform.need_containers()
    platform.main()
