#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real TensorBoard beside a job that writes: points come while it runs, over the platform's address."""

import json
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

# Writes a point now and then, to the folder of its outputs; the second half when it finds a word in the store.
PROGRAM = """
import boto3, os, time
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

writer = EventFileWriter(os.environ["CLOUDML_OUTPUT_DIR"] + "/run")
s3 = boto3.client("s3")


def write(steps):
    for step in steps:
        value = Summary.Value(tag="loss", simple_value=1.0 / (step + 1))
        writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=[value])))
    writer.flush()


def wait(word):
    while "Contents" not in s3.list_objects_v2(Bucket=os.environ["ORG"], Prefix=word):
        time.sleep(0.2)


write(range(5))
print("first points are written", flush=True)
wait("words/go-on")
write(range(5, 9))
print("all points are written", flush=True)
wait("words/end")
"""


class TensorBoard(platform.Case):
    def page(self, path, token=None, headers=None, data=None):
        headers = dict(headers or {})
        if token is not False:
            headers["Authorization"] = "Bearer " + (token or self.p.token)
        request = urllib.request.Request(self.p.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.headers, answer.read()

    def status(self, path, **how):
        try:
            return self.page(path, **how)[0]
        except urllib.error.HTTPError as e:
            return e.code

    def steps(self):
        try:
            query = urllib.parse.urlencode({"run": "output/run", "tag": "loss"})
            return [int(point[1]) for point in json.loads(self.page(f"/tensorboard/board/data/plugin/scalars/scalars?{query}")[2])]
        except urllib.error.HTTPError as e:  # nothing is there yet, or it begins again
            self.assertIn(e.code, (400, 404, 500, 502, 503))
            return []

    def put(self, word):
        self.p.api("PUT", f"/store/default/words/{word}", raw=b"1")

    def test_points_appear_while_the_job_writes(self):
        folder = self.p.folder({"train.py": PROGRAM})
        job = self.p.cli("run", "--detach", "--framework", "tensorboard", "--env", "ORG=default", "--", "python",
                         "train.py", cwd=folder).ok().out.split()[-1]
        self.p.wait_log(job, "first points are written")
        made = self.p.cli("tensorboard", "create", job, "--name", "board", "--json", timeout=900).json()
        self.assertEqual((made["state"], made["path"]), ("ready", "/tensorboard/board/"))
        platform.until("the first points", lambda: self.steps() == list(range(5)))
        self.put("go-on")
        self.p.wait_log(job, "all points are written")
        platform.until("further points", lambda: self.steps() == list(range(9)))
        self.assertEqual(self.p.job(job)["state"], "running")
        self.look_at_pages()
        self.look_from_outside()
        self.p.kill()
        self.p.start()
        platform.until("the board after a restart of the server", lambda: self.steps() == list(range(9)))
        self.put("end")
        self.p.wait_job(job, "completed")
        self.assertEqual(self.p.cli("tensorboard", "open", "board").ok().out.strip(), self.p.url + "/tensorboard/board/")
        self.p.cli("tensorboard", "delete", "board").ok()
        platform.until("its end", lambda: self.status("/api/v1/tensorboards/board") == 404)
        self.assertEqual(self.status("/tensorboard/board/"), 404)
        self.p.cli("tensorboard", "describe", "board").fails("there is no tensorboard 'board'")

    def look_at_pages(self):
        status, headers, body = self.page("/tensorboard/board/")
        self.assertEqual((status, headers.get_content_type()), (200, "text/html"))
        self.assertTrue(b"<tb-webapp" in body, body[:400])
        self.assertIn("frame-ancestors 'self'", headers["Content-Security-Policy"])
        self.assertGreater(len(self.page("/tensorboard/board/index.js")[2]), 1 << 20)
        self.assertEqual(json.loads(self.page("/tensorboard/board/data/runs")[2]), ["output/run"])
        self.assertEqual(self.p.cli("models", "list", "--json").json()["data"], [])

    def look_from_outside(self):
        """Without a login, and with another organisation's."""
        self.assertEqual(self.status("/tensorboard/board/", token=False), 401)
        self.p.api("POST", "/orgs", {"name": "other"})
        self.p.api("POST", "/orgs/other/users", {"name": "eve", "role": "admin"})
        eve = self.p.api("POST", "/orgs/other/keys", {"user": "eve"})[1]["token"]
        for path in ("/tensorboard/board/", "/tensorboard/nothing/", "/api/v1/tensorboards/board"):
            self.assertEqual((path, self.status(path, token=eve)), (path, 404))


if __name__ == "__main__":
    platform.need_containers()
    platform.need_network()
    platform.main()
