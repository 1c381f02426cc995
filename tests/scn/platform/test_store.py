#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cloudml store: files and folders go into the store and come back as they were. Needs root, no network."""

import hashlib
import os
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

TREE = {"a.txt": "first\n", "empty": "", "deep/er/b.bin": bytes(range(256)) * 300, "deep/sp ace & ü 100%.txt": "strange name\n"}


def read_tree(folder):
    root = pathlib.Path(folder)
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


class Store(platform.Case):
    def uri(self, key=""):
        return f"fds://default/{self._testMethodName}/{key}"

    def keys(self, uri):
        prefix = uri.removeprefix("fds://default/")
        return [o["key"].removeprefix(prefix) for o in self.p.get(f"/store/default?prefix={prefix}")["data"]]

    def test_a_folder_comes_back_as_it_was(self):
        folder, back = self.p.folder(TREE), os.path.join(self.p.scratch, "back")
        self.p.cli("store", "cp", "-R", folder, self.uri("tree")).ok()
        self.p.cli("store", "cp", "-R", self.uri("tree/"), back).ok()
        self.assertEqual(read_tree(back), read_tree(folder))

    def test_a_large_file_comes_back_as_it_was(self):
        big, back = os.path.join(self.p.scratch, "big"), os.path.join(self.p.scratch, "big.back")
        digest = hashlib.sha256()
        with open(big, "wb") as f:
            for i in range(64):
                block = hashlib.shake_128(bytes([i])).digest(1 << 20)
                digest.update(block)
                f.write(block)
        self.p.cli("store", "cp", big, self.uri("big")).ok()
        self.p.cli("store", "cp", self.uri("big"), back).ok()
        with open(back, "rb") as f:
            self.assertEqual(hashlib.file_digest(f, "sha256").hexdigest(), digest.hexdigest())
        listed = self.p.json("store", "ls", self.uri())
        self.assertEqual([o["size"] for o in listed], [64 << 20])

    def test_ls_shows_one_level_or_all(self):
        folder = self.p.folder({"one": "1", "sub/two": "22", "sub/three": "333"})
        self.p.cli("store", "cp", "-R", folder, self.uri("x")).ok()
        one = self.p.cli("store", "ls", self.uri("x/")).ok().out
        self.assertIn("sub/", one)
        self.assertNotIn("two", one)
        everything = self.p.cli("store", "ls", "-R", self.uri("x/")).ok().out
        for name in ("one", "sub/two", "sub/three"):
            self.assertIn(name, everything)
        self.assertIn("default", self.p.cli("store", "ls").ok().out)

    def test_cat_prints_several_objects_byte_by_byte(self):
        folder = self.p.folder({"1": "one\r\n", "2": "two"})
        self.p.cli("store", "cp", "-R", folder, self.uri("c")).ok()
        self.assertEqual(self.p.cli("store", "cat", self.uri("c/1"), self.uri("c/2")).ok().out, "one\r\ntwo")

    def test_rm_needs_to_be_told_about_folders(self):
        self.p.cli("store", "cp", "-R", self.p.folder({"1": "1", "2": "2"}), self.uri("r")).ok()
        self.p.cli("store", "rm", self.uri("r/1")).ok()
        self.assertEqual(self.keys(self.uri("r/")), ["2"])
        self.p.cli("store", "rm", "-R", "-y", self.uri("r/")).ok()
        self.assertEqual(self.keys(self.uri("r/")), [])

    def test_a_bucket_of_another_name_is_made_and_used(self):
        self.p.cli("store", "mb", "more-room").ok()
        self.p.cli("store", "cp", self.p.folder({"f": "x"}) + "/f", "fds://more-room/f").ok()
        self.assertEqual(self.p.cli("store", "cat", "fds://more-room/f").ok().out, "x")
        self.p.cli("store", "mb", "Not A Bucket").fails("'Not A Bucket'", status=2)

    def test_what_was_confirmed_is_there_after_a_kill(self):
        folder = self.p.folder({str(i): str(i) * 1000 for i in range(50)})
        self.p.cli("store", "cp", "-R", folder, self.uri("k")).ok()
        self.p.kill()
        self.p.start()
        back = os.path.join(self.p.scratch, "killed")
        self.p.cli("store", "cp", "-R", self.uri("k/"), back).ok()
        self.assertEqual(read_tree(back), read_tree(folder))


if __name__ == "__main__":
    platform.need_containers()
    platform.main()
