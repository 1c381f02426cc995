#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Jobs, models, the store, the watch: what each call answers, and what it says when it refuses."""

import hashlib
import json
import os
import socket
import sys
import threading
import unittest

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402

BIG = 100 * 1000 * 1000
new_server = parse_args()
server = None


def setUpModule():
    global server
    server = new_server().start()


def tearDownModule():
    status = server.close()
    assert status == 0, f"the server ended with {status}"


def submit(spec=None, **headers):
    return server.call("POST", "/api/v1/jobs", spec or {"command": ["true"]}, headers=headers)


def wait_for_end(job):
    for event, data in server.events(f"/api/v1/watch?job={job}"):
        if event == "job" and data["state"] in ("completed", "failed", "cancelled"):
            return data
    raise AssertionError("the watch ended before the job")


class Jobs(unittest.TestCase):
    def test_a_job_is_found_by_id_and_by_name(self):
        job = submit({"name": "findme", "command": ["true"]}).json
        self.assertRegex(job["id"], "^j[0-9a-z]{9}$")
        self.assertEqual(server.get(f"/api/v1/jobs/{job['id']}").json["id"], job["id"])
        self.assertEqual(server.get("/api/v1/jobs/findme").json["id"], job["id"])
        newer = submit({"name": "findme", "command": ["true"]}).json
        self.assertEqual(server.get("/api/v1/jobs/findme").json["id"], newer["id"])
        listed = server.get("/api/v1/jobs?name=findme").json
        self.assertEqual([j["id"] for j in listed["data"]], [newer["id"], job["id"]])

    def test_lists_are_paged_from_the_newest(self):
        ids = [submit({"name": "paged", "command": ["true"]}).json["id"] for _ in range(5)]
        seen, before = [], ""
        while True:
            page = server.get(f"/api/v1/jobs?name=paged&limit=2{before}").json
            seen += [j["id"] for j in page["data"]]
            if page["next"] is None:
                break
            before = f"&before={page['next']}"
        self.assertEqual(seen, ids[::-1])

    def test_bad_submissions_say_what_is_wrong(self):
        for body, part in [({}, "command"), ({"command": ["x"], "module": "y"}, "command"),
                           ({"comand": ["x"]}, "command"), ({"command": "x"}, "command"),
                           ({"command": ["x"], "memory": "much"}, "much"),
                           ({"command": ["x"], "framework": "nonesuch"}, "nonesuch"),
                           ({"command": ["x"], "env": {"LD_PRELOAD": "y"}}, "LD_PRELOAD"),
                           ({"command": ["x"], "package": "fds://default/packages/none.tar.gz"}, "not in the store"),
                           ({"command": ["x"], "package": "fds://../x"}, ""), ("{", "JSON"), ("[]", "object"),
                           ('{"command":["x"],"command":["y"]}', "")]:
            answer = server.call("POST", "/api/v1/jobs", body)
            self.assertIn(answer.status, (400, 404), (body, answer.body))
            self.assertIn(part, answer.message)
        answer = server.call("POST", "/api/v1/jobs", {"command": ["x" * 300000]})
        self.assertEqual((answer.status, answer.code), (413, "too_large"))
        answer = server.get("/api/v1/jobs?limit=0")
        self.assertEqual(answer.status, 400)
        self.assertEqual(server.get("/api/v1/jobs?state=odd").status, 400)
        self.assertEqual(server.get("/api/v1/jobs?unknown=1").status, 400)
        for path in ("", "/events", "/logs", "/metrics"):
            self.assertEqual(server.get("/api/v1/jobs/jnotthere1" + path).code, "not_found")

    def test_one_key_is_one_job(self):
        first = submit(**{"Idempotency-Key": "k-1"})
        self.assertEqual((first.status, first.headers["Idempotent-Replay"]), (201, None))
        again = submit(**{"Idempotency-Key": "k-1"})
        self.assertEqual((again.status, again.json["id"]), (201, first.json["id"]))
        self.assertEqual(again.headers["Idempotent-Replay"], "true")
        other = submit({"command": ["false"]}, **{"Idempotency-Key": "k-1"})
        self.assertEqual((other.status, other.code), (409, "conflict"))
        self.assertEqual(submit(**{"Idempotency-Key": "k" * 129}).status // 100, 4)

    def test_one_key_from_many_clients_is_one_job(self):
        ids = []
        threads = [threading.Thread(target=lambda: ids.append(submit(**{"Idempotency-Key": "race"}).json["id"]))
                   for _ in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual((len(ids), len(set(ids))), (16, 1))

    def test_a_cancelled_job_ends_and_can_be_removed(self):
        job = submit({"command": ["sleep", "1000"]}).json
        answer = server.call("DELETE", f"/api/v1/jobs/{job['id']}")
        self.assertEqual((answer.status, answer.code), (409, "failed_precondition"))
        answer = server.call("POST", f"/api/v1/jobs/{job['id']}/cancel")
        self.assertEqual(answer.status, 202)
        self.assertTrue(answer.json["cancel_requested"] or answer.json["state"] == "cancelled")
        self.assertEqual(wait_for_end(job["id"])["state"], "cancelled")
        events = server.get(f"/api/v1/jobs/{job['id']}/events").json["data"]
        self.assertIn("cancelled", [e["reason"] for e in events])
        self.assertEqual([e["seq"] for e in events], sorted(e["seq"] for e in events))
        later = server.get(f"/api/v1/jobs/{job['id']}/events?after={events[0]['seq']}").json["data"]
        self.assertEqual(later, events[1:])
        log = server.get(f"/api/v1/jobs/{job['id']}/logs?follow=1")
        self.assertEqual((log.status, log.headers["X-Log-Offset"]), (200, "0"))
        self.assertEqual(server.get(f"/api/v1/jobs/{job['id']}/metrics").status, 200)
        key = f"/api/v1/store/default/jobs/{job['id']}/output/x"
        self.assertEqual(server.call("PUT", key, b"x").status, 201)
        self.assertEqual(server.call("DELETE", f"/api/v1/jobs/{job['id']}").status, 204)
        self.assertEqual(server.get(f"/api/v1/jobs/{job['id']}").status, 404)
        self.assertEqual(server.get(key).status, 404)

    def test_log_queries_are_checked(self):
        job = submit().json["id"]
        for query in ("offset=-1", "follow=2", "attempt=99", "tail=x", "other=1"):
            self.assertIn(server.get(f"/api/v1/jobs/{job}/logs?{query}").status, (400, 404), query)


class Models(unittest.TestCase):
    def test_bad_models_say_what_is_wrong(self):
        server.call("PUT", "/api/v1/store/default/two/a/saved_model.pb", b"x")
        server.call("PUT", "/api/v1/store/default/two/b/saved_model.pb", b"x")
        server.call("PUT", "/api/v1/store/default/none/readme.txt", b"x")
        for body, status, part in [
                ({}, 400, "name"), ({"name": "m"}, 400, "uri"), ({"name": "M!", "uri": "fds://default/x/"}, 400, "M!"),
                ({"name": "m", "uri": "fds://default/nothing/"}, 400, "nothing at"),
                ({"name": "m", "uri": "fds://default/nothing.onnx"}, 400, "nothing at"),
                ({"name": "m", "uri": "fds://default/two/"}, 400, "not one model"),
                ({"name": "m", "uri": "fds://default/none/"}, 400, "not one model"),
                ({"name": "m", "uri": "http://x/y"}, 400, ""),
                ({"name": "m", "uri": "fds://default/two/", "job": "j123456789"}, 400, "one of them"),
                ({"name": "m", "job": "j000000000"}, 404, "j000000000")]:
            answer = server.call("POST", "/api/v1/models", body)
            self.assertEqual((body, answer.status), (body, status), answer.body)
            self.assertIn(part, answer.message)

    def test_models_that_python_computes_are_found_and_get_their_framework(self):
        for files, framework in [(["3/predict.py", "3/model.json"], "xgboost"), (["model.joblib", "predict.py"], "scikit-learn"),
                                 (["1/model.pt", "2/model.pt"], "pytorch"), (["predict.py"], "scikit-learn")]:
            folder = f"python-{framework}-{len(files)}"
            for name in files:
                server.call("PUT", f"/api/v1/store/default/{folder}/{name}", b"x")
            answer = server.call("POST", "/api/v1/models", {"name": folder, "uri": f"fds://default/{folder}"})
            self.assertEqual((files, answer.status), (files, 201), answer.body)
            self.assertEqual(answer.json["spec"]["uri"], f"fds://default/{folder}/")
            self.assertEqual(answer.json["spec"]["framework"], framework)
            self.assertEqual(server.call("DELETE", f"/api/v1/models/{folder}").status, 202)
        for name in ("a/model.pkl", "b/predict.py"):
            server.call("PUT", f"/api/v1/store/default/python-two/{name}", b"x")
        answer = server.call("POST", "/api/v1/models", {"name": "m", "uri": "fds://default/python-two/"})
        self.assertEqual(answer.status, 400)
        self.assertIn("not one model", answer.message)

    def test_a_job_that_did_not_end_well_makes_no_model(self):
        job = submit({"command": ["sleep", "1000"]}).json["id"]
        answer = server.call("POST", "/api/v1/models", {"name": "early", "job": job})
        self.assertEqual((answer.status, answer.code), (409, "failed_precondition"))
        server.call("POST", f"/api/v1/jobs/{job}/cancel")

    def test_unknown_models_are_not_found(self):
        for method, path in [("GET", ""), ("DELETE", ""), ("GET", "/logs"), ("GET", "/metadata"), ("POST", "/predict")]:
            answer = server.call(method, "/api/v1/models/nothing" + path, b"{}" if method == "POST" else None)
            self.assertEqual((method, path, answer.status), (method, path, 404))

    def test_a_model_that_is_not_ready_says_so(self):
        server.call("PUT", "/api/v1/store/default/broken/1/saved_model.pb", b"not a model")
        answer = server.call("POST", "/api/v1/models", {"name": "broken", "uri": "fds://default/broken/"})
        self.assertEqual(answer.status, 201, answer.body)
        self.assertEqual(answer.json["spec"]["uri"], "fds://default/broken/")
        predict = server.call("POST", "/api/v1/models/broken/predict", {"instances": [1]})
        self.assertEqual((predict.status, predict.code), (503, "unavailable"))
        self.assertIn("model 'broken' is ", predict.message)
        self.assertIn("broken", [m["name"] for m in server.get("/api/v1/models").json["data"]])
        self.assertTrue(server.get("/api/v1/models/broken/events").json["data"])
        self.assertEqual(server.call("DELETE", "/api/v1/models/broken").status, 202)


class Store(unittest.TestCase):
    def test_a_large_object_comes_back_byte_for_byte(self):
        content = os.urandom(1 << 20) * 95 + os.urandom(BIG - 95 * (1 << 20))
        digest = hashlib.sha256(content).hexdigest()
        answer = server.call("PUT", "/api/v1/store/default/big/one.bin", content,
                             headers={"X-Content-SHA256": digest, "Content-Type": "application/x-test"})
        self.assertEqual(answer.status, 201, answer.body)
        self.assertEqual((answer.json["size"], answer.json["etag"]), (BIG, digest))
        back = server.get("/api/v1/store/default/big/one.bin")
        self.assertEqual((len(back.body), hashlib.sha256(back.body).hexdigest()), (BIG, digest))
        self.assertEqual((back.headers["ETag"], back.headers["Content-Type"]), (f'"{digest}"', "application/x-test"))
        part = server.get("/api/v1/store/default/big/one.bin", headers={"Range": "bytes=1000000-1999999"})
        self.assertEqual((part.status, part.body), (206, content[1000000:2000000]))
        self.assertEqual(part.headers["Content-Range"], f"bytes 1000000-1999999/{BIG}")
        known = server.get("/api/v1/store/default/big/one.bin", headers={"If-None-Match": f'"{digest}"'})
        self.assertEqual((known.status, known.body), (304, b""))
        head = server.call("HEAD", "/api/v1/store/default/big/one.bin")
        self.assertEqual((head.status, head.headers["Content-Length"], head.body), (200, str(BIG), b""))
        past = server.get("/api/v1/store/default/big/one.bin", headers={"Range": f"bytes={BIG}-"})
        self.assertEqual(past.status, 416)

    def test_a_chunked_upload_is_stored(self):
        answer = server.call("PUT", "/api/v1/store/default/chunked", iter([b"one,", b"two,", b"three"]))
        self.assertEqual((answer.status, answer.json["size"]), (201, 13))
        self.assertEqual(server.get("/api/v1/store/default/chunked").body, b"one,two,three")

    def test_a_wrong_digest_leaves_nothing(self):
        answer = server.call("PUT", "/api/v1/store/default/wrong", b"abc", headers={"X-Content-SHA256": "0" * 64})
        self.assertEqual((answer.status, answer.code), (400, "invalid"))
        self.assertEqual(server.call("PUT", "/api/v1/store/default/wrong", b"a", headers={"X-Content-SHA256": "x"}).status, 400)
        self.assertEqual(server.get("/api/v1/store/default/wrong").status, 404)

    def test_a_broken_off_upload_leaves_nothing(self):
        head = ("PUT /api/v1/store/default/halfway HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
                f"Authorization: Bearer {server.token}\r\n\r\n")
        with socket.create_connection(("127.0.0.1", server.port), 60) as s:
            s.sendall(head.encode() + b"x" * 500000)
        self.assertEqual(server.get("/api/v1/store/default/halfway").status, 404)
        self.assertEqual(server.call("PUT", "/api/v1/store/default/halfway", b"whole").status, 201)
        self.assertEqual(server.get("/api/v1/store/default/halfway").body, b"whole")

    def test_a_broken_off_download_harms_nobody(self):
        server.call("PUT", "/api/v1/store/default/cut", b"x" * 5000000)
        request = ("GET /api/v1/store/default/cut HTTP/1.1\r\nHost: localhost\r\n"
                   f"Authorization: Bearer {server.token}\r\n\r\n")
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", server.port), 60) as s:
                s.sendall(request.encode())
                self.assertTrue(s.recv(1000).startswith(b"HTTP/1.1 200"))
        self.assertEqual(len(server.get("/api/v1/store/default/cut").body), 5000000)

    def test_lists_go_by_prefix_and_folder(self):
        for key in ("list/a.txt", "list/b/1.txt", "list/b/2.txt", "list/c.txt"):
            self.assertEqual(server.call("PUT", f"/api/v1/store/default/{key}", key.encode()).status, 201)
        flat = server.get("/api/v1/store/default?prefix=list/").json
        self.assertEqual([e["key"] for e in flat["data"]], ["list/a.txt", "list/b/1.txt", "list/b/2.txt", "list/c.txt"])
        rolled = server.get("/api/v1/store/default?prefix=list/&delimiter=/").json["data"]
        self.assertEqual([e.get("key") or e["prefix"] for e in rolled], ["list/a.txt", "list/b/", "list/c.txt"])
        page = server.get("/api/v1/store/default?prefix=list/&limit=2").json
        self.assertTrue(page["truncated"])
        rest = server.get(f"/api/v1/store/default?prefix=list/&after={page['data'][-1]['key']}").json
        self.assertEqual([e["key"] for e in rest["data"]], ["list/b/2.txt", "list/c.txt"])
        self.assertEqual(server.call("DELETE", "/api/v1/store/default/list/a.txt").status, 204)
        self.assertEqual(server.call("DELETE", "/api/v1/store/default/list/a.txt").status, 204)
        self.assertEqual(server.get("/api/v1/store/default/list/a.txt").status, 404)
        self.assertEqual(server.get("/api/v1/store/default?limit=1001").status, 400)
        self.assertEqual(server.get("/api/v1/store/default?delimiter=x").status, 400)

    def test_buckets_are_made_and_listed(self):
        self.assertEqual(server.call("PUT", "/api/v1/store/my-bucket").status, 201)
        self.assertEqual(server.call("PUT", "/api/v1/store/my-bucket").status, 201)
        names = [b["name"] for b in server.get("/api/v1/store").json["data"]]
        self.assertIn("my-bucket", names)
        self.assertIn("default", names)
        self.assertEqual(server.call("PUT", "/api/v1/store/No_Bucket").status, 400)
        self.assertEqual(server.call("PUT", "/api/v1/store/nothere/x", b"x").status, 404)

    def test_keys_may_hold_any_text(self):
        answer = server.call("PUT", "/api/v1/store/default/%C3%A9t%C3%A9%20100%25/%E2%82%AC.txt", b"x")
        self.assertEqual((answer.status, answer.json["key"]), (201, "été 100%/€.txt"))
        self.assertEqual(server.get("/api/v1/store/default/%C3%A9t%C3%A9%20100%25/%E2%82%AC.txt").body, b"x")


class Watch(unittest.TestCase):
    def test_a_watch_begins_with_what_lives_and_goes_on_with_changes(self):
        old = submit({"name": "watched", "command": ["sleep", "1000"]}).json["id"]
        events = server.events("/api/v1/watch")
        snapshot = []
        for event, data in events:
            if event == "sync":
                break
            snapshot.append(data["id"])
        self.assertIn(old, snapshot)
        new = submit({"name": "watched", "command": ["sleep", "1000"]}).json["id"]
        for event, data in events:
            if event == "job" and data["id"] == new:
                break
        for job in (old, new):
            server.call("POST", f"/api/v1/jobs/{job}/cancel")
        versions = {}
        ended = set()
        for event, data in events:
            self.assertGreaterEqual(data["version"], versions.get(data["id"], 0))
            versions[data["id"]] = data["version"]
            if data["state"] == "cancelled":
                ended.add(data["id"])
            if {old, new} <= ended:
                break
        events.close()

    def test_a_narrow_watch_hears_of_one_job_only(self):
        one, two = (submit({"command": ["sleep", "1000"]}).json["id"] for _ in range(2))
        events = server.events(f"/api/v1/watch?job={one}")
        server.call("POST", f"/api/v1/jobs/{two}/cancel")
        server.call("POST", f"/api/v1/jobs/{one}/cancel")
        for event, data in events:
            if event == "job":
                self.assertEqual(data["id"], one)
                if data["state"] == "cancelled":
                    break
        events.close()
        self.assertEqual(server.get("/api/v1/watch?job=a&model=b").status, 400)


class System(unittest.TestCase):
    def test_the_server_says_what_it_is(self):
        self.assertEqual(server.get("/api/v1/healthz", token=None).json, {"status": "ok"})
        self.assertEqual(set(server.get("/api/v1/version").json), {"version", "api"})
        status = server.get("/api/v1/status").json
        self.assertEqual(status["data_folder"], str(server.data))
        self.assertEqual(status["pid"], server.process.pid)
        self.assertGreater(status["capacity"]["cpu"], 0)
        names = [f["name"] for f in server.get("/api/v1/frameworks").json["data"]]
        self.assertIn("python", names)

    def test_the_description_names_every_schema_it_uses(self):
        text = server.get("/api/v1/openapi.json").body.decode()
        document = json.loads(text)
        self.assertEqual(document["openapi"], "3.1.0")
        used = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
        self.assertEqual(used - set(document["components"]["schemas"]), set())
        ids = [o["operationId"] for p in document["paths"].values() for o in p.values()]
        self.assertEqual(len(ids), len(set(ids)))


if __name__ == "__main__":
    unittest.main()
