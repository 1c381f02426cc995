#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What strangers, members of another organisation and web pages try against a real server."""

import resource
import socket
import sys
import unittest

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402

FEW_DESCRIPTORS = 256
new_server = parse_args()
server = None
tokens = {}


def limit_descriptors(soft):
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard), hard))
    return before


def setUpModule():
    global server
    server = new_server()
    server.start()
    server.stop()
    tokens["viewer"] = server.make_token("viewer")
    tokens["member"] = server.make_token("member")
    tokens["stranger"] = server.make_token("admin", user="eve", org="other")
    tokens["third"] = server.make_token("admin", user="bob", org="third")
    before = limit_descriptors(FEW_DESCRIPTORS)  # as a shell or a service manager starts it
    server.start()
    limit_descriptors(max(before, 4096))


def tearDownModule():
    status = server.close()
    assert status == 0, f"the server ended with {status}"


class Connection:
    """A client that sends what it likes and need not listen."""

    def __init__(self, data=b""):
        self.socket = socket.create_connection(("127.0.0.1", server.port), 60)
        self.socket.sendall(data)

    def read(self, until=b"\r\n\r\n"):
        received = b""
        while until not in received:
            part = self.socket.recv(65536)
            if not part:
                break
            received += part
        return received

    def close(self):
        self.socket.close()


def request(line, *headers):
    return "\r\n".join([line + " HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


class Floods(unittest.TestCase):
    def flood(self, data, count=1100):
        connections = []
        try:
            for _ in range(count):
                connections.append(Connection(data))
            for _ in range(3):
                self.assertEqual(server.get("/api/v1/jobs").status, 200)
        finally:
            for c in connections:
                c.close()

    def test_idle_connections_keep_nobody_out(self):
        self.flood(request("GET /healthz"))

    def test_half_requests_keep_nobody_out(self):
        self.flood(b"GET /healthz HTTP/1.1\r\nHost: loc")

    def test_slow_bodies_keep_nobody_out(self):
        self.flood(request("POST /api/v1/session", "Content-Length: 100"))

    def test_one_user_cannot_take_all_streams(self):
        follow = request("GET /api/v1/watch", "Authorization: Bearer " + tokens["viewer"])
        connections = []
        try:
            for _ in range(128):
                connections.append(Connection(follow))
                self.assertIn(b" 200 ", connections[-1].read())
            extra = Connection(follow)
            answer = extra.read()
            extra.close()
            self.assertIn(b" 429 ", answer)
            for token in (tokens["member"], tokens["stranger"]):
                other = Connection(request("GET /api/v1/watch", "Authorization: Bearer " + token))
                self.assertIn(b" 200 ", other.read())
                other.close()
        finally:
            for c in connections:
                c.close()

    def test_large_jobs_do_not_break_watching(self):
        spec = {"command": ["true"], "env": {f"V{i}": "x" * 4000 for i in range(60)}, "name": "watched", "cpu": "10m"}
        made = {server.call("POST", "/api/v1/jobs", spec).json["id"] for _ in range(20)}
        seen = set()
        for event, data in server.events("/api/v1/watch"):
            if event == "job":
                seen.add(data["id"])
            if event == "sync":
                break
        else:
            self.fail("the stream ended before the snapshot was whole")
        ended = {j["id"] for j in server.get("/api/v1/jobs?name=watched").json["data"] if j["ended_ms"]}
        self.assertEqual(made - seen - ended, set())

    def test_a_page_of_large_jobs_is_small(self):
        spec = {"command": ["true"], "env": {f"V{i}": "x" * 4000 for i in range(60)}, "name": "large"}
        for _ in range(20):
            self.assertEqual(server.call("POST", "/api/v1/jobs", spec).status, 201)
        seen, before = set(), ""
        while True:
            page = server.get("/api/v1/jobs?name=large&limit=1000" + before)
            self.assertLess(len(page.body), 4 << 20)
            seen |= {job["id"] for job in page.json["data"]}
            if page.json["next"] is None:
                break
            before = f"&before={page.json['next']}"
        self.assertEqual(len(seen), 20)


class Tenants(unittest.TestCase):
    def test_the_bucket_of_an_organisation_cannot_be_taken(self):
        answer = server.call("PUT", "/api/v1/store/third", token=tokens["stranger"])
        self.assertEqual((answer.status, answer.code), (409, "already_exists"))
        self.assertEqual(server.call("PUT", "/api/v1/store/third/a", b"mine", token=tokens["third"]).status, 201)
        self.assertEqual(server.get("/api/v1/store/third/a", token=tokens["stranger"]).status, 404)

    def test_addresses_of_anothers_bucket_are_as_those_of_nothing(self):
        server.call("PUT", "/api/v1/store/default/code.tar.gz", b"x")
        server.call("PUT", "/api/v1/store/default/m/1/saved_model.pb", b"x")
        for bucket in ("default", "nobody"):
            job = server.call("POST", "/api/v1/jobs", {"command": ["true"], "package": f"fds://{bucket}/code.tar.gz"},
                              token=tokens["stranger"])
            model = server.call("POST", "/api/v1/models", {"name": "m", "uri": f"fds://{bucket}/m"},
                                token=tokens["stranger"])
            for answer in (job, model):
                self.assertEqual(answer.status, 400)
                self.assertNotIn(b"default" if bucket == "nobody" else b"exists", answer.body)

    def test_a_job_of_another_organisation_makes_no_model(self):
        job = server.call("POST", "/api/v1/jobs", {"command": ["true"]}).json
        there = server.call("POST", "/api/v1/models", {"name": "m", "job": job["id"]}, token=tokens["stranger"])
        nowhere = server.call("POST", "/api/v1/models", {"name": "m", "job": "jzzzzzzzzz"}, token=tokens["stranger"])
        self.assertEqual((there.status, nowhere.status), (404, 404))
        self.assertEqual(there.message.replace(job["id"], "X"), nowhere.message.replace("jzzzzzzzzz", "X"))

    def test_an_idempotency_key_belongs_to_its_organisation(self):
        spec, key = {"command": ["true"], "name": "mine"}, {"Idempotency-Key": "the-same"}
        mine = server.call("POST", "/api/v1/jobs", spec, headers=key)
        theirs = server.call("POST", "/api/v1/jobs", spec, headers=key, token=tokens["stranger"])
        self.assertEqual((mine.status, theirs.status), (201, 201))
        self.assertNotEqual(mine.json["id"], theirs.json["id"])
        self.assertIsNone(theirs.headers["Idempotent-Replay"])
        # Nor does the key of a job show a model.
        cross = server.call("POST", "/api/v1/models", {"name": "m", "job": mine.json["id"]}, headers=key)
        self.assertGreaterEqual(cross.status, 400)


class Browsers(unittest.TestCase):
    def test_a_stored_page_is_no_page_of_ours(self):
        server.call("PUT", "/api/v1/store/default/evil.html", b"<script src=evil.js></script>",
                    headers={"Content-Type": "text/html"})
        answer = server.get("/api/v1/store/default/evil.html")
        self.assertEqual(answer.headers["Content-Disposition"], "attachment")
        self.assertIn("sandbox", answer.headers["Content-Security-Policy"])
        self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(answer.headers["Cross-Origin-Resource-Policy"], "same-origin")

    def test_the_console_itself_may_run(self):
        policy = server.get("/", token=None).headers["Content-Security-Policy"]
        self.assertIn("default-src 'self'", policy)
        self.assertNotIn("unsafe", policy)
        self.assertNotIn("sandbox", policy)

    def test_no_other_origin_is_ever_let_in(self):
        for method in ("GET", "OPTIONS", "POST"):
            answer = server.call(method, "/api/v1/jobs", b"{}" if method == "POST" else None,
                                 headers={"Origin": "http://evil.example"})
            self.assertIsNone(answer.headers["Access-Control-Allow-Origin"])


class Numbers(unittest.TestCase):
    def test_quantities_out_of_range_are_refused(self):
        for key, values in {"cpu": [-1, 0, 1e300, "-1", "99999999999999999999", 9223372036854775807],
                            "memory": [-1, 0, "-1G", "9999999999T", 9223372036854775807, 1e19],
                            "gpu": [-1, 65, 9223372036854775807], "max_retries": [-1, 101],
                            "max_duration": [-1, "-5s", "99999999999999h", 9223372036854775807],
                            "priority": [-1, 101], "max_processes": [0, -1, 65537]}.items():
            for value in values:
                answer = server.call("POST", "/api/v1/jobs", {"command": ["true"], key: value})
                self.assertIn((key, value, answer.status), [(key, value, 400), (key, value, 422)])

    def test_keys_and_names_out_of_range_are_refused(self):
        for path, status in [("/api/v1/store/default/" + "a" * 1025, 400), ("/api/v1/store/default/" + "a" * 300, 400),
                             ("/api/v1/store/default/" + "/".join(["a"] * 300), 413), ("/api/v1/store/A", 400),
                             ("/api/v1/store/..", 400), ("/api/v1/store/default/a/", 404),
                             ("/api/v1/store/default/%c0%ae", 400), ("/api/v1/store/default/%0a", 400)]:
            answer = server.call("PUT", path, b"x")
            self.assertIn((path[:60], answer.status), [(path[:60], status), (path[:60], 400)])


class Options(unittest.TestCase):
    def test_requirements_cannot_carry_options_or_paths(self):
        for line in ("-e .", "--index-url http://evil.example", "a --index-url=http://e", "a\n-e .", "a\r--pre", "./a",
                     "/etc", "a @ file:///etc", "a@FILE:/x", "a \\", "", "\ta", "-r/etc/passwd", "a\u0000b"):
            answer = server.call("POST", "/api/v1/jobs", {"command": ["true"], "requirements": [line]})
            self.assertEqual((line, answer.status), (line, 400))

    def test_variables_cannot_steer_the_platform(self):
        for name in ("LD_PRELOAD", "CLOUDML_JOB_ID", "A B", "A\nB", "", "1A", "A-B", "é"):
            answer = server.call("POST", "/api/v1/jobs", {"command": ["true"], "env": {name: "x"}})
            self.assertEqual((name, answer.status), (name, 400))

    def test_modules_are_names(self):
        for module in ("-c", "a;b", "a b", "a/../b", "os.", ".os", "a..b", "$(id)", "a\n"):
            answer = server.call("POST", "/api/v1/jobs", {"module": module})
            self.assertEqual((module, answer.status), (module, 400))


class Files(unittest.TestCase):
    def test_other_users_of_the_machine_read_nothing(self):
        server.login = server.call("POST", "/api/v1/session", {"token": server.token}, token=None)
        self.assertEqual(server.data.stat().st_mode & 0o777, 0o700)
        for name in ("root-token", "session-secret"):
            self.assertEqual((name, (server.data / name).stat().st_mode & 0o777), (name, 0o600))

    def test_tokens_are_in_no_argument_and_no_log(self):
        for process in (f"/proc/{server.process.pid}/cmdline", server.folder / "server.log"):
            with open(process, "rb") as f:
                self.assertNotIn(server.token.encode(), f.read())


if __name__ == "__main__":
    unittest.main()
