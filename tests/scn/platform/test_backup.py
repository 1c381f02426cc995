#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Backups of a platform at work, and what is made of them. Needs root, no network."""

import fcntl
import io
import json
import os
import pathlib
import select
import subprocess
import sys
import struct
import tarfile
import termios
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

CLIENTS = 4
JOBS_OF_CLIENT = 200  # they are cancelled one by one in the end
WRITERS = 3
ROUNDS_OF_WRITER = 1000
BACKUPS = 3
LARGE = 150000  # bytes: more than lies in the log, so that it has a data file


def new_job(p, name):
    """All cores, so that one starts at most, and what it does there does not matter."""
    return p.api("POST", "/jobs", {"name": name, "command": ["true"], "framework": "python", "cpu": os.cpu_count()})


class Storm:
    """Clients that submit until they are told to stop; what was acknowledged is noted by the name of the job."""

    def __init__(self, p):
        self.p, self.acked, self.end = p, [], threading.Event()
        self.threads = [threading.Thread(target=self.submit, args=(n,)) for n in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def submit(self, client):
        number = 0
        while not self.end.is_set() and number < JOBS_OF_CLIENT:
            name = f"storm-{client}-{number}"
            status, answer = new_job(self.p, name)
            if status != 201:
                raise AssertionError(answer)
            self.acked.append(name)
            number += 1

    def stop(self):
        self.end.set()
        for thread in self.threads:
            thread.join()


def put(p, key, content):
    status, answer = p.api("PUT", f"/store/default/{key}", raw=content, headers={"Content-Type": "application/octet-stream"})
    if status != 201:
        raise AssertionError(answer)


def remove(p, key):
    status, answer = p.api("DELETE", f"/store/default/{key}")
    if status not in (200, 204):
        raise AssertionError(answer)


def numbered(number):
    return f"{number} ".encode().ljust(LARGE, b".")


class Churn:
    """Writers, each of which writes its number to one object, then to another, and replaces a third one by the next."""

    def __init__(self, p):
        self.p, self.end, self.done, self.failures = p, threading.Event(), [0] * WRITERS, []
        self.threads = [threading.Thread(target=self.write, args=(n,)) for n in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def write(self, writer):
        try:
            for number in range(1, ROUNDS_OF_WRITER + 1):
                if self.end.is_set():
                    break
                for key in ("first", "second", f"third-{number}"):
                    put(self.p, f"churn/{writer}/{key}", numbered(number))
                if number > 1:
                    remove(self.p, f"churn/{writer}/third-{number - 1}")
                self.done[writer] = number
        except Exception as e:  # told by the test's thread
            self.failures.append(e)

    def stop(self):
        self.end.set()
        for thread in self.threads:
            thread.join()
        if self.failures:
            raise self.failures[0]


class SlowReader:
    """A pipe in the place of the file that a backup writes: the backup stands still until it is read."""

    def __init__(self, backup):
        path = backup + ".partial"
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def waiting_bytes(self):
        return struct.unpack("i", fcntl.ioctl(self.fd, termios.FIONREAD, b"\0" * 4))[0]

    def read_all(self, running, path):
        """Until the command ends."""
        with open(path, "wb") as out:
            while True:
                over = running.over()
                try:
                    out.write(os.read(self.fd, 1 << 16))
                except BlockingIOError:
                    if over:
                        break
                    select.select([self.fd], [], [], 0.05)
        os.close(self.fd)


def names_of(p):
    names, before = set(), ""
    while True:
        page = p.get(f"/jobs?limit=1000{before}")
        names |= {job["name"] for job in page["data"]}
        if not page["next"]:
            return names
        before = f"&before={page['next']}"


class Backup(platform.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.content = os.urandom(300000)
        for key in ("a/b.bin", "a", "deep/" * 40 + "leaf", "umlaut-ü", "weight=1.bin"):
            status, answer = cls.p.api("PUT", f"/store/default/{platform.urllib.parse.quote(key)}", raw=cls.content,
                                       headers={"Content-Type": "application/octet-stream"})
            if status != 201:
                raise AssertionError(answer)
        checkpoints = pathlib.Path(cls.p.data, "checkpoints/jx")
        checkpoints.mkdir(parents=True)
        (checkpoints / "step-1").write_bytes(b"weights")
        (checkpoints / "latest").symlink_to("step-1")
        os.chown(checkpoints / "step-1", 12345, 12345)

    def file(self, name):
        return os.path.join(self.p.scratch, name)

    def restored(self, backup, name):
        """A platform of the restored folder, started."""
        folder = self.file(name)
        self.p.cli("--data", folder, "restore", backup).ok()
        p = platform.Platform(share_environments=False, folder=folder)
        self.addCleanup(self.end, p)
        p.start()
        return p

    def end(self, p):
        self.assertEqual(p.close(), "")

    def test_a_backup_under_load_has_all_that_was_acknowledged_before(self):
        storm = Storm(self.p)
        platform.until("some jobs", lambda: len(storm.acked) >= 50)
        before = set(storm.acked)
        backup = self.file("loaded.tar")
        told = json.loads(self.p.cli("--json", "backup", backup).ok().out)
        storm.stop()
        self.assertEqual((told["format"], told["metadata"], told["file"]), (1, "sqlite", backup))
        self.assertGreaterEqual(told["jobs"], len(before))
        self.assertEqual(os.stat(backup).st_mode & 0o777, 0o600)
        self.assertEqual([n for n in os.listdir(os.path.join(self.p.data, "run")) if n.startswith("snapshot")], [])

        other = self.restored(backup, "restored-loaded")
        names = names_of(other)
        self.assertEqual(before - names, set())
        self.assertEqual(names - set(storm.acked), set())
        for key in ("a/b.bin", "a", "deep/" * 40 + "leaf", "umlaut-ü", "weight=1.bin"):
            status, content = other.api("GET", f"/store/default/{platform.urllib.parse.quote(key)}")
            self.assertEqual((key, status, content == self.content), (key, 200, True))
        checkpoint = pathlib.Path(other.data, "checkpoints/jx/step-1")
        self.assertEqual((checkpoint.read_bytes(), checkpoint.stat().st_uid), (b"weights", 12345))
        self.assertEqual(os.readlink(checkpoint.parent / "latest"), "step-1")
        self.assertEqual(os.stat(other.data).st_mode & 0o777, 0o700)

    def number_of(self, p, key):
        status, content = p.api("GET", f"/store/default/{key}")
        self.assertEqual((key, status, len(content)), (key, 200, LARGE))
        return int(content.split()[0])

    def check_store(self, p):
        found = p.json("store", "fsck")
        self.assertEqual((found["state"], found["damaged"], found["faults"], found["found"]), ("done", 0, 0, []))

    def data_files(self):
        return len(list(pathlib.Path(self.p.data, "objects/files").glob("*/*")))

    def test_backups_among_deletions_and_overwrites_are_the_store_of_one_moment(self):
        churn = Churn(self.p)
        taken = []
        try:
            for n in range(BACKUPS):
                platform.until("some changes", lambda: churn.failures or min(churn.done) > 3 * n)
                before = list(churn.done)
                self.p.cli("backup", self.file(f"churn-{n}.tar")).ok()
                taken.append((before, self.file(f"churn-{n}.tar")))
        finally:
            churn.stop()
        for n, (before, backup) in enumerate(taken):
            other = self.restored(backup, f"restored-churn-{n}")
            self.check_store(other)
            for writer in range(WRITERS):
                first, second = (self.number_of(other, f"churn/{writer}/{key}") for key in ("first", "second"))
                self.assertGreaterEqual(second, before[writer])
                self.assertIn(first - second, (0, 1))

    def test_a_slow_backup_has_what_is_deleted_while_it_is_written(self):
        keys = [f"slow/{n}" for n in range(12)]
        for key in keys:
            put(self.p, key, numbered(1))
        files = self.data_files()
        backup, drained = self.file("slow.tar"), self.file("drained.tar")
        reader = SlowReader(backup)
        running = self.p.begin("backup", backup)
        platform.until("the first bytes", lambda: reader.waiting_bytes() > 0 or running.over())
        for key in keys[::2]:
            remove(self.p, key)
        for key in keys[1::2]:
            put(self.p, key, numbered(2))
        put(self.p, "slow/new", numbered(2))
        self.assertGreaterEqual(self.data_files(), files + 1 + len(keys) // 2)
        reader.read_all(running, drained)
        self.assertIn("sync", running.wait().fails().err)  # a pipe; all was written before
        platform.until("what was held to go", lambda: self.data_files() == files + 1 - len(keys) // 2)

        other = self.restored(drained, "restored-slow")
        self.check_store(other)
        self.assertEqual([self.number_of(other, key) for key in keys], [1] * len(keys))
        self.assertEqual(other.api("GET", "/store/default/slow/new")[0], 404)

    def test_a_backup_whose_hold_was_lost_is_none(self):
        put(self.p, "lost", numbered(1))
        backup = self.file("lost.tar")
        reader = SlowReader(backup)
        running = self.p.begin("backup", backup)
        platform.until("the first bytes", lambda: reader.waiting_bytes() > 0 or running.over())
        self.p.stop()
        self.p.start()
        reader.read_all(running, self.file("lost-drained.tar"))
        running.wait().fails("deleted meanwhile")
        self.assertFalse(os.path.exists(backup))
        self.assertFalse(os.path.exists(backup + ".partial"))

    def test_holds_are_counted_and_end(self):
        self.p.stop()  # what other tests' holds left to be removed is gone then
        self.p.start()
        put(self.p, "held", numbered(1))
        files = self.data_files()
        held = [self.p.api("POST", "/store-holds") for _ in range(2)]
        self.assertEqual([status for status, _ in held], [201, 201])
        remove(self.p, "held")
        paths = [f"/store-holds/{hold['id']}" for _, hold in held]
        self.assertEqual(self.p.api("DELETE", paths[0])[0], 204)
        self.assertEqual(self.p.api("DELETE", paths[0])[0], 404)
        status, hold = self.p.api("POST", paths[1])
        self.assertEqual((status, hold["id"], self.data_files()), (200, held[1][1]["id"], files))
        self.assertGreater((hold["segment"], hold["end"]), (held[1][1]["segment"], held[1][1]["end"]))
        self.assertEqual(self.p.api("DELETE", paths[1])[0], 204)
        platform.until("the file to go", lambda: self.data_files() == files - 1)

    def test_without_a_server_the_files_can_be_copied_and_none_may_start(self):
        idle = platform.Platform(share_environments=False)
        self.addCleanup(self.end, idle)
        idle.start()
        put(idle, "one", numbered(1))
        idle.stop()
        backup = self.file("idle.tar")
        reader = SlowReader(backup)
        running = idle.begin("backup", "--without-metadata", backup)
        platform.until("the first bytes", lambda: reader.waiting_bytes() > 0 or running.over())
        idle.cli("up", "--detach", "--port", idle.port).fails("another server uses")
        reader.read_all(running, self.file("idle-drained.tar"))
        self.assertIn("sync", running.wait().fails().err)
        idle.start()
        self.assertEqual(self.number_of(idle, "one"), 1)

    def test_secrets_are_not_in_a_backup(self):
        backup = self.file("secrets.tar")
        self.p.cli("backup", backup).ok()
        content = pathlib.Path(backup).read_bytes()
        secrets = [self.p.token.encode(), pathlib.Path(self.p.data, "session-secret").read_bytes()]
        for secret in secrets:
            self.assertGreater(len(secret), 20)
            self.assertNotIn(secret, content)
        with tarfile.open(backup) as archive:
            names = archive.getnames()
        self.assertEqual((names[0], names[1], names[-1]), ("backup.json", "meta.db", "manifest"))
        self.assertFalse([n for n in names if n.startswith(("tasks", "envs", "run", "root-token", "objects/index", "objects/lock", "objects/clean"))])

    def test_what_is_there_is_never_overwritten(self):
        backup = self.file("kept.tar")
        self.p.cli("backup", backup).ok()
        content = pathlib.Path(backup).read_bytes()
        self.p.cli("backup", backup).fails("exists already", "another name", status=5)
        self.assertEqual(pathlib.Path(backup).read_bytes(), content)
        full = self.file("full")
        os.mkdir(full)
        pathlib.Path(full, "mine").write_text("mine")
        self.p.cli("--data", full, "restore", backup).fails("not empty", "--data", status=5)
        self.p.cli("--data", self.p.data, "restore", backup).fails("not empty", status=5)
        self.assertEqual(os.listdir(full), ["mine"])

    def test_a_damaged_backup_is_told_and_leaves_nothing(self):
        backup = self.file("good.tar")
        self.p.cli("backup", backup).ok()
        good = pathlib.Path(backup).read_bytes()
        at = good.index(self.content[:64])
        end = good.index(b"manifest\0")
        cases = {
            "a bit in an object": good[:at + 1000] + bytes([good[at + 1000] ^ 1]) + good[at + 1001:],
            "cut in the middle": good[:len(good) // 2],
            "cut before the manifest": good[:end] + bytes(10240),
            "nothing": b"",
            "something else": b"no tar at all\n" * 1000,
        }
        for what, content in cases.items():
            with self.subTest(what):
                path, folder = self.file("bad.tar"), self.file("from-bad")
                pathlib.Path(path).write_bytes(content)
                said = self.p.cli("--data", folder, "restore", path).fails("backup")
                if what == "a bit in an object":
                    self.assertIn("is damaged", said.err)
                    self.assertIn("objects/files/", said.err)
                self.assertFalse(os.path.exists(folder))
                self.assertFalse(os.path.exists(folder + ".restoring"))
        self.p.cli("--data", self.file("none"), "restore", self.file("no-such.tar")).fails("there is no file", status=4)

    def test_an_archive_that_leads_out_of_the_folder_is_refused(self):
        outside = self.file("outside")
        os.mkdir(outside)
        for what, make in (("..", lambda t: t.addfile(tarfile.TarInfo("../escaped"))),
                           ("absolute", lambda t: t.addfile(tarfile.TarInfo(outside + "/escaped"))),
                           ("link", self.through_a_link(outside)), ("device", self.device)):
            with self.subTest(what):
                path = self.file("evil.tar")
                with tarfile.open(path, "w") as archive:
                    head = json.dumps({"format": 1}).encode()
                    info = tarfile.TarInfo("backup.json")
                    info.size = len(head)
                    archive.addfile(info, io.BytesIO(head))
                    make(archive)
                self.p.cli("--data", self.file("from-evil"), "restore", path).fails()
                self.assertFalse(os.path.exists(self.file("from-evil")))
                self.assertEqual(os.listdir(outside), [])
                self.assertFalse(os.path.exists(self.file("escaped")))

    @staticmethod
    def through_a_link(outside):
        def make(archive):
            link = tarfile.TarInfo("objects")
            link.type, link.linkname = tarfile.SYMTYPE, outside
            archive.addfile(link)
            archive.addfile(tarfile.TarInfo("objects/escaped"))
        return make

    @staticmethod
    def device(archive):
        info = tarfile.TarInfo("objects")
        info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, 1, 3
        archive.addfile(info)

    def test_a_backup_that_is_newer_is_refused(self):
        path = self.file("newer.tar")
        with tarfile.open(path, "w") as archive:
            head = json.dumps({"format": 99}).encode()
            info = tarfile.TarInfo("backup.json")
            info.size = len(head)
            archive.addfile(info, io.BytesIO(head))
        self.p.cli("--data", self.file("from-newer"), "restore", path).fails("format 99", "newer cloudml", status=69)

    def test_only_the_platform_s_administrators_copy_metadata(self):
        status, answer = self.p.api("POST", "/snapshot", headers={"Authorization": "Bearer cml_wrong_token"})
        self.assertEqual(status, 401, answer)

    def test_without_a_server_it_is_said_what_to_do(self):
        env = {"CLOUDML_DATA": self.file("nobody")}
        self.p.cli("backup", self.file("none.tar"), env=env).fails("cloudml up", status=69)
        self.assertFalse(os.path.exists(self.file("none.tar")))

    def test_a_full_disk_leaves_no_half_backup(self):
        mount = self.file("small")
        os.mkdir(mount)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", mount], check=True)
        try:
            self.p.cli("backup", os.path.join(mount, "b.tar")).fails("no space", status=74)
            self.assertEqual(os.listdir(mount), [])
        finally:
            subprocess.run(["umount", mount], check=True)


if __name__ == "__main__":
    platform.main()
