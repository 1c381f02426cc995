#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cloudml store mount: what the store has is seen as files, over restarts and kills. Needs root, /dev/fuse, fuse3."""

import errno
import os
import pathlib
import random
import shutil
import subprocess
import sys
import threading
import urllib.parse

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "s3"))
import signer  # noqa: E402
from lib import platform  # noqa: E402

TREE = {"a.txt": "first\n", "empty": "", "deep/er/b.bin": bytes(range(256)) * 300, "deep/sp ace & ü 100%.txt": "strange\n",
        "deeper": "no folder\n"}
LARGE = 20 << 20



class MountRead(platform.Case):
    def setUp(self):
        self.at = os.path.join(self.p.scratch, "data mnt " + self._testMethodName)
        os.mkdir(self.at)
        self.bucket = self._testMethodName.removeprefix("test_").replace("_", "-")[:40]
        self.p.cli("store", "mb", self.bucket).ok()

    def tearDown(self):
        if self.mounts():
            self.p.cli("store", "unmount", self.at)

    def mounts(self):
        return [m for m in platform.mounts_of(self.p.scratch) if m.endswith(self._testMethodName)]

    def put(self, key, content):
        content = content if isinstance(content, bytes) else content.encode()
        status, answer = self.p.api("PUT", f"/store/{self.bucket}/{urllib.parse.quote(key)}", raw=content)
        self.assertEqual(status, 201, answer)

    def mount(self, prefix=""):
        self.p.cli("store", "mount", f"fds://{self.bucket}/{prefix}", self.at).ok()

    def refuses(self, number, call, *args):
        with self.assertRaises(OSError) as caught:
            call(*args)
        self.assertEqual(caught.exception.errno, number, caught.exception)

    def test_a_tree_is_seen_as_it_is(self):
        for name, content in TREE.items():
            self.put("top/" + name, content)
        # A marker, as S3's clients and TensorFlow's plugin make them: a folder without files.
        credentials = self.p.get("/store-credentials")
        status, answer = signer.make(credentials, "PUT", f"/{self.bucket}/top/hollow/").send(
            tuple(credentials["endpoint"].split("//")[1].rsplit(":", 1)))
        self.assertEqual(status, 200, answer)
        self.put("other", "not below the prefix")
        self.mount("top")
        root = pathlib.Path(self.at)
        seen = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        self.assertEqual(seen, {k: v if isinstance(v, bytes) else v.encode() for k, v in TREE.items()})
        self.assertEqual(sorted(os.listdir(root)), ["a.txt", "deep", "deeper", "empty", "hollow"])
        self.assertEqual(os.listdir(root / "hollow"), [])
        self.assertTrue((root / "hollow").is_dir())
        listed = self.p.get(f"/store/{self.bucket}?prefix=top/a.txt")["data"][0]
        self.assertEqual(os.stat(root / "a.txt").st_mtime_ns // 10**6, listed["modified_ms"])
        self.refuses(errno.ENOENT, os.stat, root / "dee")
        self.refuses(errno.ENOENT, os.stat, root / "a.txt2")
        self.refuses(errno.ENOTDIR, os.listdir, root / "a.txt")
        self.refuses(errno.EROFS, open, root / "new", "w")
        self.refuses(errno.EROFS, os.unlink, root / "a.txt")
        self.assertEqual(len(self.mounts()), 1)

    def test_a_file_and_a_folder_of_one_name(self):
        self.put("x", "the file")
        self.put("x-y", "between")
        self.put("x/z", "hidden")
        self.mount()
        self.assertEqual(sorted(os.listdir(self.at)), ["x", "x-y"])
        self.assertEqual(pathlib.Path(self.at, "x").read_text(), "the file")

    def test_lists_have_pages(self):
        names = [f"n{i:04}" for i in range(1203)]
        for name in names:
            self.put("many/" + name, name)
        self.mount()
        self.assertEqual(sorted(os.listdir(self.at + "/many")), names)

    def test_reads_at_random_places_by_several_threads(self):
        content = random.Random(7).randbytes(LARGE)
        self.put("large", content)
        self.mount()
        wrong = []

        def read(seed):
            rng = random.Random(seed)
            with open(self.at + "/large", "rb", buffering=0) as f:
                for _ in range(60):
                    at, size = rng.randrange(LARGE + 1000), rng.choice([1, 4096, 100_000, 1 << 20])
                    if os.pread(f.fileno(), size, at) != content[at:at + size]:
                        wrong.append((seed, at, size))

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])
        shutil.copyfile(self.at + "/large", self.p.scratch + "/copy")
        self.assertEqual(pathlib.Path(self.p.scratch, "copy").read_bytes(), content)

    def test_what_was_replaced_is_never_mixed(self):
        old, new = b"o" * (4 << 20), b"n" * (4 << 20)
        self.put("f", old)
        self.mount()
        with open(self.at + "/f", "rb", buffering=0) as f:
            self.assertEqual(os.pread(f.fileno(), 10, 0), old[:10])
            self.put("f", new)
            self.refuses(errno.ESTALE, os.pread, f.fileno(), 10, 3 << 20)
        self.assertEqual(pathlib.Path(self.at, "f").read_bytes(), new)
        self.p.cli("store", "versioning", self.bucket, "on").ok()
        self.put("g", old)
        with open(self.at + "/g", "rb", buffering=0) as f:
            self.put("g", new[:100])
            self.assertEqual(os.pread(f.fileno(), 10, 3 << 20), old[:10])
            self.assertEqual(os.pread(f.fileno(), 10, 0), old[:10])
        self.assertEqual(pathlib.Path(self.at, "g").read_bytes(), new[:100])

    def test_reads_go_on_when_the_server_was_killed(self):
        content = random.Random(8).randbytes(LARGE)
        self.put("large", content)
        self.mount()
        got = bytearray()
        with open(self.at + "/large", "rb", buffering=0) as f:
            got += f.read(1 << 20)
            self.p.kill()
            reader = threading.Thread(target=lambda: got.extend(rest(f)))
            reader.start()
            self.p.start()
            reader.join()
        self.assertEqual(bytes(got), content)

    def test_a_killed_mount_is_mounted_over(self):
        self.put("f", "still there")
        self.mount()
        pids = self.pids()
        self.assertEqual(len(pids), 1)
        os.kill(pids[0], 9)
        platform.until("the mount to be dead", lambda: not self.pids() and dead(self.at))
        self.mount()
        self.assertEqual(pathlib.Path(self.at, "f").read_text(), "still there")
        os.kill(self.pids()[0], 15)
        platform.until("the mount to end", lambda: not self.mounts() and not self.pids())

    def test_in_the_foreground_it_ends_cleanly(self):
        """Sanitizers speak up here: in the background there is nobody to listen."""
        for i in range(20):
            self.put(f"d/f{i}", "x" * i * 1000)
        running = self.p.begin("store", "mount", f"fds://{self.bucket}/", self.at, "--foreground")
        platform.until("the mount", lambda: self.mounts() or running.over())
        for i in range(20):
            self.assertEqual(pathlib.Path(self.at, "d", f"f{i}").read_text(), "x" * i * 1000)
        self.assertEqual(len(os.listdir(self.at + "/d")), 20)
        self.assertEqual(os.statvfs(self.at).f_files, 20)
        self.refuses(errno.ENAMETOOLONG, os.stat, self.at + "/" + "n" * 1100)
        self.refuses(errno.ENOENT, os.stat, self.at + "/none")
        running.process.terminate()
        ended = running.wait()
        self.assertEqual((ended.status, ended.err), (0, ""), ended)
        self.assertEqual(self.mounts(), [])

    def pids(self):
        return [pid for pid in platform.processes_with("cloudml-mount", self.bucket) if platform.is_alive(pid)]

    def test_mount_and_unmount_refuse_what_is_wrong(self):
        self.p.cli("store", "unmount", self.at).fails("is not a folder that")
        self.p.cli("store", "mount", "fds://no-such-bucket/", self.at).fails("no-such-bucket")
        self.p.cli("store", "mount", f"fds://{self.bucket}/", self.at + "/none").fails("cannot find the folder")
        self.p.cli("store", "mount", self.bucket, self.at).fails("is not an address")
        self.mount()
        self.p.cli("store", "mount", f"fds://{self.bucket}/", self.at).fails("is mounted already")
        held = os.open(self.at, os.O_RDONLY)
        self.p.cli("store", "unmount", self.at).fails("cannot unmount")
        os.close(held)
        self.p.cli("store", "unmount", self.at).ok()
        self.assertEqual(self.mounts(), [])


def rest(f):
    return b"".join(iter(lambda: f.read(1 << 20), b""))


def dead(folder):
    try:
        os.stat(folder)
    except OSError as e:
        return e.errno == errno.ENOTCONN
    return False


def can_mount():
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse") or not shutil.which("fusermount3"):
        return False
    # a container may show the device and refuse to open it, or to mount
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError:
        return False
    return probe.returncode == 0


if __name__ == "__main__":
    if not can_mount():
        platform.skip("needs root, /dev/fuse, mounts and fusermount3")
    platform.main()
