#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cloudml store: files and folders go into the store and come back as they were. Needs root, no network."""

import hashlib
import json
import os
import pathlib
import pty
import subprocess
import sys
import urllib.error
import urllib.request

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

    def test_versions_are_kept_listed_read_and_removed(self):
        uri = "fds://kept/a/file"
        self.p.cli("store", "mb", "kept").ok()
        self.p.cli("store", "versioning", "kept", "on").ok()
        files = self.p.folder({"1": "first", "2": "second"})
        self.p.cli("store", "cp", files + "/1", uri).ok()
        self.p.cli("store", "cp", files + "/2", uri).ok()
        self.p.cli("store", "rm", uri).ok()
        self.p.cli("store", "cat", uri).fails(status=4)
        newest, second, first = self.p.json("store", "ls", "--versions", "fds://kept/a/")
        self.assertEqual([newest["is_delete_marker"], second["is_delete_marker"], newest["is_latest"]], [True, False, True])
        self.assertEqual(self.p.cli("store", "cat", uri, "--version", first["version"]).ok().out, "first")
        self.assertIn(second["version"], self.p.cli("store", "ls", "--versions", "fds://kept/").ok().out)
        self.p.cli("store", "rm", uri, "--version", newest["version"]).ok()
        self.assertEqual(self.p.cli("store", "cat", uri).ok().out, "second")
        self.assertEqual(self.p.json("store", "stat", uri)["version"], second["version"])
        self.p.cli("store", "rm", "-R", "-y", "--versions", "fds://kept/").ok()
        self.assertEqual(self.p.json("store", "ls", "--versions", "fds://kept/"), [])
        self.p.cli("store", "versioning", "kept", "suspended").ok()
        self.assertEqual(self.p.json("store", "stat", "fds://kept/")["versioning"], "suspended")
        self.p.cli("store", "versioning", "kept", "off").fails("'off'", status=2)

    def test_rules_of_a_bucket_are_set_shown_and_removed(self):
        self.p.cli("store", "mb", "ruled").ok()
        self.p.cli("store", "lifecycle", "set", "ruled", "--prefix", "logs/", "--expire", "30d").ok()
        self.p.cli("store", "lifecycle", "set", "ruled", "--prefix", "ckpt/", "--keep-last", "5").ok()
        self.p.cli("store", "lifecycle", "set", "ruled", "--prefix", "ckpt/", "--keep-last", "3").ok()
        self.p.cli("store", "versioning", "ruled", "on").ok()
        self.assertEqual(self.p.json("store", "lifecycle", "get", "ruled"),
                         [{"prefix": "logs/", "expire": 30 * 86400}, {"prefix": "ckpt/", "keep_last": 3}])
        self.assertRegex(self.p.cli("store", "lifecycle", "get", "ruled").ok().out, r"ckpt/ +- +- +- +3")
        self.p.cli("store", "lifecycle", "rm", "ruled", "--prefix", "logs/").ok()
        self.p.cli("store", "lifecycle", "rm", "ruled", "--prefix", "logs/").fails("'logs/'", status=4)
        self.p.cli("store", "lifecycle", "set", "ruled", "--prefix", "x").fails("removes nothing", status=2)
        self.p.cli("store", "lifecycle", "stop", "ruled").fails("'stop'", status=2)
        self.assertEqual(len(self.p.json("store", "lifecycle", "get", "ruled")), 1)
        self.assertEqual(self.p.json("store", "stat", "fds://ruled/")["versioning"], "on")

    def test_thousands_of_objects_are_counted_and_removed(self):
        uri = self.uri("many/")
        self.p.cli("store", "cp", "-R", self.p.folder({f"{i % 3}/{i}": "x" * (i % 3) for i in range(1203)} | {"own": "12345"}), uri).ok()
        used = self.p.json("store", "du", uri)
        self.assertEqual({s["uri"].removeprefix(uri): (s["objects"], s["bytes"]) for s in used["data"]},
                         {"": (1, 5), "0/": (401, 0), "1/": (401, 401), "2/": (401, 802)})
        self.assertEqual((used["objects"], used["bytes"]), (1204, 1208))
        self.assertIn("401", self.p.cli("store", "du", uri).ok().out)
        self.assertIn("fds://default/", self.p.cli("store", "du").ok().out)
        gone = self.p.json("store", "rm", "-R", "-y", uri)["data"]
        self.assertEqual((len(gone), self.keys(uri)), (1204, []))

    def test_unfinished_uploads_are_counted(self):
        self.p.cli("store", "mb", "parts").ok()
        self.p.cli("store", "cp", self.p.folder({"f": "content"}) + "/f", "fds://parts/a/f").ok()
        for key, size in (("a/x", 5), ("a/y", 7), ("b", 0)):
            upload = self.p.api("POST", f"/store-uploads/parts/{key}")[1]["upload"]
            if size:
                self.p.api("PUT", f"/store-parts/parts/{key}?upload={upload}&part=1", raw=b"x" * size)
        used = self.p.json("store", "du", "fds://parts/")
        sums = {s["uri"].removeprefix("fds://parts/"): (s["objects"], s["bytes"], s["uploads"], s["upload_bytes"])
                for s in used["data"]}
        self.assertEqual(sums, {"a/": (1, 7, 2, 12), "": (0, 0, 1, 0)})
        self.assertEqual((used["objects"], used["uploads"], used["upload_bytes"]), (1, 3, 12))
        self.assertRegex(self.p.cli("store", "du", "fds://parts/a/").ok().out, r"1 +7 B +2 +12 B +fds://parts/a/")
        buckets = {s["uri"]: s for s in self.p.json("store", "du")["data"]}
        self.assertEqual((buckets["fds://parts/"]["uploads"], buckets["fds://parts/"]["upload_bytes"]), (3, 12))
        self.assertRegex(self.p.cli("store", "du").ok().out, r"1 +19 B +3 +12 B +fds://parts/")

    def test_the_time_for_unfinished_uploads_is_checked(self):
        for wrong in ("1s", "soon", "200000d", "-1"):
            self.p.cli("server", f"--abort-uploads={wrong}").fails("--abort-uploads", status=2)
        self.assertIn("--abort-uploads TIME", self.p.cli("server", "--help").ok().out)

    def test_stat_tells_what_is_known(self):
        self.p.cli("store", "cp", self.p.folder({"f": "content"}) + "/f", self.uri("s")).ok()
        digest = hashlib.sha256(b"content").hexdigest()
        state = self.p.json("store", "stat", self.uri("s"))
        self.assertEqual((state["size"], state["sha256"], state["is_latest"]), (7, digest, True))
        self.assertIn(digest, self.p.cli("store", "stat", self.uri("s")).ok().out)
        self.p.cli("store", "stat", self.uri("nothing")).fails(status=4)
        self.assertEqual(self.p.json("store", "stat", "fds://default")["versioning"], "off")

    def test_an_address_works_without_a_key_for_one_object_and_one_verb(self):
        uri = self.uri("sp ace/ü&100%+.txt")
        self.p.cli("store", "cp", self.p.folder({"f": "for all"}) + "/f", uri).ok()
        url = self.p.cli("store", "presign", uri).ok().out.strip()
        with urllib.request.urlopen(url, timeout=60) as answer:
            self.assertEqual(answer.read(), b"for all")
        for wrong in (url.replace(".txt", ".tx"), url.replace("3600", "3601")):
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(wrong, timeout=60)
            self.assertEqual(refused.exception.code, 403)
        to_write = self.p.json("store", "presign", "--put", "--expires", "5m", uri)["url"]
        put = urllib.request.Request(to_write, data=b"written", method="PUT")
        urllib.request.urlopen(put, timeout=60).close()
        self.assertEqual(self.p.cli("store", "cat", uri).ok().out, "written")
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(to_write, timeout=60)
        self.p.cli("store", "presign", uri, "--expires", "8d").fails("'8d'", status=2)

    def large(self, name, mebibytes=48):
        path = os.path.join(self.p.scratch, name)
        with open(path, "wb") as f:
            for i in range(mebibytes):
                f.write(hashlib.shake_128(name.encode() + bytes([i])).digest(1 << 20))
        return path

    def assert_same_content(self, uri, path):
        back = os.path.join(self.p.scratch, "same.back")
        self.p.cli("store", "cp", uri, back).ok()
        self.assertEqual(pathlib.Path(back).read_bytes(), pathlib.Path(path).read_bytes())

    def uploads(self, key):
        return self.p.get(f"/store-uploads/default?prefix={key}")["data"]

    def test_an_interrupted_upload_goes_on_where_it_was(self):
        path, key = self.large("resumed"), f"{self._testMethodName}/f"
        upload = self.p.api("POST", f"/store-uploads/default/{key}")[1]["upload"]
        content = pathlib.Path(path).read_bytes()
        piece = 16 << 20
        where = f"/store-parts/default/{key}?upload={upload}&part="
        self.p.api("PUT", where + "1", raw=content[:piece])
        self.p.api("PUT", where + "3", raw=b"not what is there".ljust(piece))
        self.p.cli("store", "cp", path, self.uri("f")).ok()
        self.assertEqual(self.uploads(key), [], "the upload that was there is the one that was ended")
        self.assert_same_content(self.uri("f"), path)

    def test_an_upload_of_another_file_or_client_is_left_alone(self):
        path, key = self.large("other"), f"{self._testMethodName}/f"
        upload = self.p.api("POST", f"/store-uploads/default/{key}")[1]["upload"]
        self.p.api("PUT", f"/store-parts/default/{key}?upload={upload}&part=4", raw=b"of a longer file")
        self.p.cli("store", "cp", path, self.uri("f")).ok()
        self.assertEqual([u["upload"] for u in self.uploads(key)], [upload])
        self.assert_same_content(self.uri("f"), path)
        self.p.api("DELETE", f"/store-uploads/default/{key}?upload={upload}")
        self.assertEqual(self.uploads(key), [])

    def test_a_copy_that_was_killed_is_repeated(self):
        path, key = self.large("half-sent", 160), f"{self._testMethodName}/f"
        copy = self.p.begin("store", "cp", path, self.uri("f"))

        def has_parts():
            listed = self.uploads(key)
            return copy.over() or (listed and self.p.get(f"/store-uploads/default/{key}?upload={listed[0]['upload']}")["data"])

        platform.until("parts of the upload", has_parts)
        copy.end()
        self.p.cli("store", "cp", path, self.uri("f")).ok()
        self.assertEqual(self.uploads(key), [])
        self.assert_same_content(self.uri("f"), path)

    def test_a_terminal_shows_how_far_a_copy_is(self):
        path = self.large("shown")
        terminal, other = pty.openpty()
        copy = subprocess.Popen([platform.CLOUDML, "store", "cp", path, self.uri("f")], env=self.p.env,
                                cwd=self.p.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=other)
        os.close(other)
        shown = b""
        while True:
            try:
                part = os.read(terminal, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
        os.close(terminal)
        self.assertEqual(copy.wait(60), 0, shown)
        self.assertIn(b"of 48 MiB", shown)
        self.assertIn(b"/s", shown)

    def test_a_failed_copy_leaves_no_file_and_no_object(self):
        target = os.path.join(self.p.scratch, "absent")
        self.p.cli("store", "cp", self.uri("nothing"), target).fails(status=4)
        self.p.cli("store", "cp", "-R", self.uri("nothing/"), target).fails(status=4)
        self.assertFalse([n for n in os.listdir(self.p.scratch) if n.startswith("absent")])
        self.p.cli("store", "cp", os.path.join(self.p.scratch, "no such file"), self.uri("x")).fails("no such file", status=4)
        self.p.cli("store", "cp", self.p.home, self.uri("x")).fails("--recursive", status=2)
        self.assertEqual(self.keys(self.uri()), [])

    def test_sync_copies_only_what_changed_and_removes_what_went(self):
        folder, uri = self.p.folder({"same": "1", "changed": "1", "gone/too": "1"}), self.uri("s")
        root = pathlib.Path(folder)
        self.assertEqual(len(self.p.json("store", "sync", folder, uri)["data"]), 3)
        self.assertEqual(self.p.json("store", "sync", folder, uri)["data"], [])
        (root / "changed").write_text("other")
        (root / "gone/too").unlink()
        planned = self.p.cli("store", "sync", "--dry-run", "--delete", folder, uri).ok().err
        self.assertIn("would copy", planned)
        self.assertIn("would remove", planned)
        self.assertEqual(self.p.cli("store", "cat", uri + "/changed").ok().out, "1")
        self.p.cli("store", "sync", folder, uri).ok()
        self.assertEqual(self.p.cli("store", "cat", uri + "/changed").ok().out, "other")
        self.assertEqual(self.keys(uri + "/"), ["changed", "gone/too", "same"])
        self.p.cli("store", "sync", "--delete", folder, uri).ok()
        self.assertEqual(self.keys(uri + "/"), ["changed", "same"])
        back = os.path.join(self.p.scratch, "synced")
        self.p.cli("store", "sync", uri, back).ok()
        self.assertEqual(read_tree(back), {"changed": b"other", "same": b"1"})
        self.assertEqual(self.p.json("store", "sync", uri, back)["data"], [])
        self.assertEqual(self.p.json("store", "sync", back, uri)["data"], [])
        pathlib.Path(back, "mine").write_text("2")
        self.p.cli("store", "sync", self.uri("nothing"), back, "--delete").fails(status=4)
        self.assertEqual(len(read_tree(back)), 3, "nothing is removed for an address that has nothing")
        self.p.cli("store", "sync", "--delete", uri, back).ok()
        self.assertEqual(read_tree(back), {"changed": b"other", "same": b"1"})

    def content(self, uri):
        below = [(o["key"], self.p.cli("store", "cat", "fds://default/" + o["key"]).ok().out)
                 for o in self.p.json("store", "ls", "-R", uri)]
        prefix = uri.removeprefix("fds://default/")
        return {key.removeprefix(prefix): text for key, text in below}

    def test_a_folder_is_copied_inside_the_store(self):
        tree = {"one": "1", "sp ace & ü 100%.txt": "strange", "deep/er/two": "22", "none": ""}
        self.p.cli("store", "cp", "-R", self.p.folder(tree), self.uri("a")).ok()
        copied = self.p.json("store", "cp", "-R", self.uri("a"), self.uri("b"))["data"]
        self.assertEqual({(o["from"], o["to"]) for o in copied}, {(self.uri("a/") + n, self.uri("b/") + n) for n in tree})
        self.assertEqual(self.content(self.uri("b/")), tree)
        self.assertEqual(self.content(self.uri("a/")), tree)
        self.p.cli("store", "mb", "copies").ok()
        self.p.cli("store", "cp", self.uri("a/deep/er/two"), "fds://copies/to/").ok()
        self.p.cli("store", "cp", self.uri("a/deep/er/two"), "fds://copies").ok()
        self.assertEqual([o["key"] for o in self.p.json("store", "ls", "-R", "fds://copies/")], ["to/two", "two"])
        self.p.cli("store", "cp", "-R", self.uri("nothing/"), self.uri("c")).fails("nothing is below", status=4)
        self.p.cli("store", "cp", self.uri("nothing"), self.uri("c")).fails("nothing", status=4)
        self.p.cli("store", "cp", "-R", self.uri("a"), "fds://no-such-bucket/").fails("no-such-bucket", status=4)
        self.p.cli("store", "cp", self.uri("a/"), self.uri("c")).fails("--recursive", status=2)

    def test_a_large_object_is_copied_with_its_parts_type_and_hash(self):
        path, key = self.large("copied"), f"{self._testMethodName}/f"
        self.p.cli("store", "cp", path, self.uri("f")).ok()
        self.p.cli("store", "cp", self.uri("f"), self.uri("g")).ok()
        first, second = (self.p.json("store", "stat", self.uri(n)) for n in "fg")
        same = ("size", "etag", "parts", "part_sizes", "content_type")
        self.assertEqual([second[k] for k in same], [first[k] for k in same])
        self.assertEqual(first["parts"], 3)
        self.p.cli("store", "rm", self.uri("f")).ok()
        self.assert_same_content(self.uri("g"), path)
        self.p.api("PUT", f"/store/default/{key}", raw=b"small", headers={"Content-Type": "text/x-own"})
        self.p.cli("store", "cp", self.uri("f"), self.uri("h")).ok()
        self.assertEqual(self.p.json("store", "stat", self.uri("h"))["content_type"], "text/x-own")

    def test_nothing_is_copied_onto_or_into_itself(self):
        self.p.cli("store", "cp", "-R", self.p.folder({"x/1": "1", "x/x/1": "2"}), self.uri("a")).ok()
        self.p.cli("store", "cp", self.uri("a/x/1"), self.uri("a/x/1")).fails("onto itself", status=2)
        self.p.cli("store", "cp", self.uri("a/x/1"), self.uri("a/x/")).fails("onto itself", status=2)
        self.p.cli("store", "mv", self.uri("a/x/1"), self.uri("a/x/1")).fails("onto itself", status=2)
        status, answer = self.p.api("POST", f"/store-copies/default/{self._testMethodName}/a/x/1",
                                    {"bucket": "default", "key": f"{self._testMethodName}/a/x/1"})
        self.assertEqual((status, answer["error"]["code"]), (400, "invalid"))
        for target in ("a", "a/", "a/x", "a/deeper/"):
            self.p.cli("store", "cp", "-R", self.uri("a"), self.uri(target)).fails("is or lies in", status=2)
            self.p.cli("store", "sync", self.uri("a"), self.uri(target)).fails("is or lies in", status=2)
        self.p.cli("store", "sync", "--delete", self.uri("a/x"), self.uri("a")).fails("--delete would remove", status=2)
        self.p.cli("store", "cp", "-R", self.uri("a/x/"), self.uri("a/")).fails("would replace", status=2)
        self.assertEqual(self.content(self.uri("a/x/")), {"1": "1", "x/1": "2"})

    def test_one_object_that_cannot_be_copied_leaves_the_others_alone(self):
        name = "n" * 200
        deep = "/".join([name] * 4)
        self.p.cli("store", "cp", "-R", self.p.folder({"1": "1", "2": "2", deep + "/3": "3"}), self.uri("a")).ok()
        target = self.uri("/".join(["t" * 200] * 2))
        refused = self.p.cli("store", "cp", "-R", self.uri("a"), target).fails("longer than", status=2)
        self.assertIn("n/3': key of", refused.err)
        self.p.cli("store", "rm", "-R", "-y", target + "/").ok()
        result = self.p.cli("store", "cp", "-R", "--json", self.uri("a"), target)
        self.assertEqual(result.status, 2, result)
        listed = json.loads(result.out)["data"]
        failed = [o for o in listed if "error" in o]
        self.assertEqual([(o["from"], o["error"]["code"]) for o in failed], [(self.uri("a/") + deep + "/3", "invalid")])
        self.assertEqual(len(listed), 3)
        self.assertEqual(self.content(target + "/"), {"1": "1", "2": "2"})
        self.p.cli("store", "mv", "-R", self.uri("a"), target).fails("longer than", status=2)
        self.assertEqual(self.content(self.uri("a/")), {deep + "/3": "3"}, "what could not be moved stays")

    def test_sync_inside_the_store_copies_what_changed_and_removes_what_went(self):
        a, b = self.uri("a"), self.uri("b")
        self.p.cli("store", "cp", "-R", self.p.folder({"same": "1", "changed": "1", "gone/too": "1"}), a).ok()
        self.assertEqual(len(self.p.json("store", "sync", a, b)["data"]), 3)
        self.assertEqual(self.p.json("store", "sync", a, b)["data"], [])
        self.p.cli("store", "cp", self.p.folder({"f": "other"}) + "/f", a + "/changed").ok()
        self.p.cli("store", "rm", a + "/gone/too").ok()
        planned = self.p.cli("store", "sync", "--dry-run", "--delete", a, b).ok().err
        self.assertIn(f"would copy {a}/changed", planned)
        self.assertIn(f"would remove {b}/gone/too", planned)
        self.assertEqual(self.content(b + "/"), {"same": "1", "changed": "1", "gone/too": "1"})
        self.p.cli("store", "sync", "--delete", a, b).ok()
        self.assertEqual(self.content(b + "/"), {"same": "1", "changed": "other"})
        self.p.cli("store", "sync", "--delete", self.uri("nothing"), b).fails(status=4)
        self.assertEqual(len(self.content(b + "/")), 2)

    def test_an_older_version_is_copied_and_brought_back(self):
        uri, back = "fds://older/file", os.path.join(self.p.scratch, "older")
        self.p.cli("store", "mb", "older").ok()
        self.p.cli("store", "versioning", "older", "on").ok()
        files = self.p.folder({"1": "first", "2": "second"})
        for name in "12":
            self.p.cli("store", "cp", f"{files}/{name}", uri).ok()
        _, first = self.p.json("store", "ls", "--versions", uri)
        self.p.cli("store", "cp", "--version", first["version"], uri, back).ok()
        self.assertEqual(pathlib.Path(back).read_text(), "first")
        self.p.cli("store", "cp", "--version", first["version"], uri, "fds://older/other").ok()
        self.assertEqual(self.p.cli("store", "cat", "fds://older/other").ok().out, "first")
        again = self.p.json("store", "cp", "--version", first["version"], uri, uri)["data"][0]
        self.assertEqual(self.p.cli("store", "cat", uri).ok().out, "first")
        self.assertNotEqual(again["version"], first["version"])
        self.assertEqual(len(self.p.json("store", "ls", "--versions", uri)), 3)
        self.p.cli("store", "cp", "--version", "0123456789abcdef", uri, "fds://older/x").fails(status=4)
        self.p.cli("store", "cp", "--version", first["version"], files + "/1", uri).fails("--version", status=2)
        self.p.cli("store", "cp", "-R", "--version", first["version"], "fds://older/", self.uri()).fails("--version", status=2)

    def test_objects_are_renamed_one_by_one_and_by_folder(self):
        tree = {"1": "one", "sub/2": "two"}
        self.p.cli("store", "cp", "-R", self.p.folder(tree), self.uri("a")).ok()
        self.p.cli("store", "mv", self.uri("a/1"), self.uri("a/first")).ok()
        self.assertEqual(self.content(self.uri("a/")), {"first": "one", "sub/2": "two"})
        moved = self.p.json("store", "mv", "-R", self.uri("a"), self.uri("b"))["data"]
        self.assertEqual(len(moved), 2)
        self.assertEqual(self.content(self.uri("b/")), {"first": "one", "sub/2": "two"})
        self.assertEqual(self.keys(self.uri("a/")), [])
        self.p.cli("store", "mv", self.uri("b/first"), self.p.scratch).fails("fds://", status=2)
        status, answer = self.p.api("POST", f"/store-copies/default/{self._testMethodName}/c",
                                    {"bucket": "default", "key": f"{self._testMethodName}/b/first", "version": "null", "move": True})
        self.assertEqual((status, answer["error"]["code"]), (400, "invalid"))
        self.assertEqual(self.p.cli("store", "cat", self.uri("b/first")).ok().out, "one")


class Check(platform.Case):
    def test_a_check_reads_everything_and_names_what_is_damaged(self):
        names = {"one": "whole words", "two": "needle in the log", "three": b"needle" + bytes(300000)}
        self.p.cli("store", "cp", "-R", self.p.folder(names), "fds://default/c").ok()
        whole = self.p.json("store", "fsck")
        self.assertEqual((whole["state"], whole["damaged"], whole["faults"], whole["found"]), ("done", 0, 0, []))
        self.assertGreaterEqual(whole["objects"], 3)
        self.assertGreaterEqual(whole["bytes"], 300000)
        damaged = 0
        for path in pathlib.Path(self.p.data, "objects").glob("**/*"):
            if path.parent.name != "segments" and path.parent.parent.name != "files":
                continue
            with open(path, "r+b") as f:
                at = f.read().find(b"needle")
                if at >= 0:
                    f.seek(at)
                    f.write(b"N")
                    damaged += 1
        self.assertEqual(damaged, 2)
        result = self.p.cli("store", "fsck")
        self.assertEqual(result.status, 1, result)
        self.assertIn("'c/two'", result.out)
        self.assertIn("'c/three'", result.out)
        self.assertNotIn("'c/one'", result.out)
        self.p.cli("store", "fsck", "--stop").ok()
        self.assertEqual(self.p.cli("store", "cat", "fds://default/c/one").ok().out, "whole words")


if __name__ == "__main__":
    platform.need_containers()
    platform.main()
