#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may do what: every route of the table, refused by default; sessions of the console; hosts and origins."""

import errno
import hmac
import http.client
import json
import pathlib
import re
import socket
import sys
import unittest

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402

RANKS = {"viewer": 0, "member": 1, "admin": 2, "platform": 3}
new_server = parse_args()
server = None
tokens = {}


def setUpModule():
    global server
    server = new_server()
    server.start()
    server.stop()
    tokens["platform"] = server.token
    for role in ("viewer", "member", "admin"):
        tokens[role] = server.make_token(role)
    tokens["expired"] = server.make_token("admin", user="late", expires_ms=2)
    tokens["stranger"] = server.make_token("admin", user="eve", org="other")
    server.start()


def tearDownModule():
    status = server.close()
    assert status == 0, f"the server ended with {status}"


def routes():
    """(method, path, role) of every operation, path parameters filled in."""
    for path, operations in server.get("/api/v1/openapi.json").json["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), re.sub(r"\{[a-z]+\}", "jnotthere1", path), operation["x-role"]


class DenyByDefault(unittest.TestCase):
    def test_every_route_refuses_who_may_not(self):
        seen = 0
        for method, path, role in routes():
            if role == "open":
                continue
            seen += 1
            wrong = {"none": None, "empty": " ", "bad": "cml_kabcdefghi_" + "0" * 40, "garbage": "x" * 300,
                     "expired": tokens["expired"], "wrong secret": tokens["admin"][:-1] + "!"}
            for name, token in wrong.items():
                answer = server.call(method, path, token=token)
                self.assertEqual((method, path, name, answer.status), (method, path, name, 401))
                self.assertEqual(answer.code, "unauthenticated")
            for other in RANKS:
                answer = server.call(method, path, token=tokens[other], body=b"{}" if method in ("POST", "PATCH") else None) \
                    if "/watch" not in path else None
                if answer is None:
                    continue
                if RANKS[other] < RANKS[role]:
                    self.assertEqual((method, path, other, answer.status), (method, path, other, 403))
                else:
                    self.assertNotIn((method, path, other, answer.status),
                                     [(method, path, other, 401), (method, path, other, 403)])
        self.assertGreater(seen, 25)

    def test_the_page_of_the_api_has_every_route_and_parameter_and_no_other(self):
        """docs/api.md against the route tables, which are what openapi.json is made of."""
        page = (pathlib.Path(__file__).parents[3] / "docs/api.md").read_text()
        told = set()
        for line in re.findall(r"^\| ((?:GET|POST|PUT|PATCH|DELETE) /[^|`]*?) (?:`[^|]*)?\|", page, re.M):
            method, _, rest = line.partition(" ")
            path, _, query = rest.partition("?")
            told.add((method, path, tuple(sorted(part.partition("=")[0] for part in query.split("&") if part))))
        real = set()
        for path, operations in server.get("/api/v1/openapi.json").json["paths"].items():
            for method, operation in operations.items():
                query = sorted(p["name"] for p in operation.get("parameters", []) if p["in"] == "query")
                real.add((method.upper(), path.removeprefix("/api/v1").replace("{key}", "{key…}"), tuple(query)))
        self.assertEqual(told, real)

    def test_only_what_must_be_is_open(self):
        self.assertEqual({(m, p) for m, p, role in routes() if role == "open"},
                         {("GET", "/healthz"), ("GET", "/api/v1/healthz"), ("POST", "/api/v1/session")})

    def test_unknown_paths_and_methods_are_refused(self):
        self.assertEqual(server.get("/api/v1/nothing").status, 404)
        self.assertEqual(server.get("/api/v1/nothing", token=None).status, 404)
        self.assertEqual(server.get("/api").status, 404)
        answer = server.call("PATCH", "/api/v1/jobs")
        self.assertEqual((answer.status, answer.code), (405, "method_not_allowed"))
        self.assertEqual(answer.headers["Allow"], "POST, GET, HEAD")

    def test_another_organisation_sees_nothing(self):
        job = server.call("POST", "/api/v1/jobs", {"command": ["true"]}).json
        server.call("PUT", "/api/v1/store/default/secret", b"canary")
        eve = tokens["stranger"]
        for method, path in [("GET", f"/api/v1/jobs/{job['id']}"), ("POST", f"/api/v1/jobs/{job['id']}/cancel"),
                             ("DELETE", f"/api/v1/jobs/{job['id']}"), ("GET", f"/api/v1/jobs/{job['id']}/events"),
                             ("GET", f"/api/v1/jobs/{job['id']}/logs"), ("GET", f"/api/v1/jobs/{job['id']}/metrics"),
                             ("GET", "/api/v1/store/default/secret"), ("GET", "/api/v1/store/default"),
                             ("PUT", "/api/v1/store/default/secret")]:
            answer = server.call(method, path, token=eve)
            self.assertEqual((method, path, answer.status), (method, path, 404))
            self.assertNotIn(b"canary", answer.body)
        self.assertEqual(server.call("PUT", "/api/v1/store/bucket-of-eve", token=eve).status, 201)
        for path, source in [("bucket-of-eve/taken", "default"), ("default/secret", "bucket-of-eve")]:
            answer = server.call("POST", f"/api/v1/store-copies/{path}", {"bucket": source, "key": "secret", "move": True}, token=eve)
            self.assertEqual((path, answer.status), (path, 404))
        self.assertEqual(server.get("/api/v1/jobs", token=eve).json["data"], [])
        self.assertEqual(server.get("/api/v1/status", token=eve).json["jobs"]["submitted"], 0)
        self.assertEqual(server.get("/api/v1/store/default/secret").body, b"canary")


class Sessions(unittest.TestCase):
    def login(self, token=None):
        answer = server.call("POST", "/api/v1/session", {"token": token or server.token}, token=None)
        self.assertEqual(answer.status, 200)
        cookie = answer.headers["Set-Cookie"]
        for word in ("HttpOnly", "SameSite=Strict", "Path=/"):
            self.assertIn(word, cookie)
        return cookie.split(";")[0], answer.json

    def test_a_session_reads_by_its_cookie_and_changes_by_its_csrf_token(self):
        cookie, who = self.login()
        self.assertEqual((who["org"], who["user"], who["role"]), ("default", "root", "admin"))
        as_page = {"Cookie": cookie}
        self.assertEqual(server.get("/api/v1/jobs", token=None, headers=as_page).status, 200)
        self.assertEqual(server.get("/api/v1/session", token=None, headers=as_page).json, who)
        spec = {"command": ["true"]}
        answer = server.call("POST", "/api/v1/jobs", spec, token=None, headers=as_page)
        self.assertEqual((answer.status, answer.code), (403, "denied"))
        wrong = dict(as_page, **{"X-CSRF-Token": "x" * len(who["csrf"])})
        self.assertEqual(server.call("POST", "/api/v1/jobs", spec, token=None, headers=wrong).status, 403)
        right = dict(as_page, **{"X-CSRF-Token": who["csrf"]})
        self.assertEqual(server.call("POST", "/api/v1/jobs", spec, token=None, headers=right).status, 201)
        elsewhere = dict(right, Origin="http://evil.example")
        self.assertEqual(server.call("POST", "/api/v1/jobs", spec, token=None, headers=elsewhere).status, 403)
        here = dict(right, Origin=f"http://127.0.0.1:{server.port}")
        self.assertEqual(server.call("POST", "/api/v1/jobs", spec, token=None, headers=here).status, 201)
        self.assertEqual(server.call("DELETE", "/api/v1/session", token=None, headers=right).status, 204)
        self.assertEqual(server.get("/api/v1/session", token=None, headers=as_page).status, 401)

    def test_a_viewers_session_stays_a_viewers(self):
        cookie, who = self.login(tokens["viewer"])
        headers = {"Cookie": cookie, "X-CSRF-Token": who["csrf"]}
        answer = server.call("POST", "/api/v1/jobs", {"command": ["true"]}, token=None, headers=headers)
        self.assertEqual((answer.status, answer.code), (403, "denied"))

    def test_a_session_outlives_a_restart(self):
        cookie, who = self.login()
        headers = {"Cookie": cookie, "X-CSRF-Token": who["csrf"]}
        server.stop()
        mode = (server.data / "session-secret").stat().st_mode & 0o777
        self.assertEqual(mode, 0o600)
        server.start()
        self.assertEqual(server.get("/api/v1/session", token=None, headers=headers).json, who)
        answer = server.call("POST", "/api/v1/jobs", {"command": ["true"]}, token=None, headers=headers)
        self.assertEqual(answer.status, 201)

    def sign(self, purpose, claim):
        secret = (server.data / "session-secret").read_bytes()
        return hmac.new(secret, f"{purpose}:{claim}".encode(), "sha256").hexdigest()

    def test_a_cookie_that_was_made_or_changed_elsewhere_is_refused(self):
        cookie, who = self.login(tokens["viewer"])
        claim, mac = cookie.split("=")[1].rsplit(".", 1)
        key, expires, nonce = claim.split(".")
        self.assertEqual(mac, self.sign("session", claim))
        admin = tokens["admin"].split("_")[1]
        past = f"{key}.{1000}.{nonce}"
        unknown = f"knowhere.{expires}.{nonce}"
        late = f"{tokens['expired'].split('_')[1]}.{expires}.{nonce}"
        forged = {"nothing": "", "no mac": claim, "other key": f"{admin}.{expires}.{nonce}.{mac}",
                  "longer": f"{key}.{int(expires) + 1}.{nonce}.{mac}", "short mac": f"{claim}.{mac[:-1]}",
                  "another mac": f"{claim}.{'0' * 64}", "csrf as mac": f"{claim}.{who['csrf']}",
                  "huge": "a" * 5000, "expired": f"{past}.{self.sign('session', past)}",
                  "unknown key": f"{unknown}.{self.sign('session', unknown)}",
                  "key expired": f"{late}.{self.sign('session', late)}",
                  "no parts": "x." + self.sign("session", "x"), "empty claim": "." + self.sign("session", "")}
        for name, value in forged.items():
            answer = server.get("/api/v1/jobs", token=None, headers={"Cookie": "cloudml_session=" + value})
            self.assertEqual((name, answer.status), (name, 401))
        self.assertEqual(server.get("/api/v1/jobs", token=None, headers={"Cookie": cookie}).status, 200)

    def test_the_csrf_token_of_one_session_is_not_anothers(self):
        cookie, _ = self.login()
        _, other = self.login()
        headers = {"Cookie": cookie, "X-CSRF-Token": other["csrf"]}
        answer = server.call("POST", "/api/v1/jobs", {"command": ["true"]}, token=None, headers=headers)
        self.assertEqual((answer.status, answer.code), (403, "denied"))

    def test_a_wrong_login_is_refused(self):
        for body, status in [({"token": "cml_kx_y"}, 401), ({"token": ""}, 401), ({}, 400), ({"tokn": "x"}, 400),
                             ({"token": 1}, 400), ([], 400)]:
            answer = server.call("POST", "/api/v1/session", body, token=None)
            self.assertEqual((body, answer.status), (body, status))
            self.assertIsNone(answer.headers["Set-Cookie"])
        answer = server.call("POST", "/api/v1/session", {"token": server.token}, token=None,
                             headers={"Origin": "http://evil.example"})
        self.assertEqual(answer.status, 403)


class Door(unittest.TestCase):
    def test_a_strange_host_gets_nothing(self):
        for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example"):
            answer = server.get("/healthz", headers={"Host": host})
            self.assertEqual((host, answer.status), (host, 403))
        self.assertEqual(server.get("/healthz", token=None, headers={"Host": "localhost"}).json, {"status": "ok"})

    def raw(self, data):
        """What the server answers; it may cut the connection while we still send. It must live on in any case."""
        received = b""
        with socket.create_connection(("127.0.0.1", server.port), 60) as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while part := s.recv(65536):
                    received += part
            except OSError as e:
                self.assertIn(e.errno, (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN))
        self.assertEqual(server.get("/healthz", token=None).json, {"status": "ok"})
        return received

    def test_what_could_be_read_in_two_ways_is_refused(self):
        head = b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\n"
        for headers in (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
                        b"Transfer-Encoding: identity\r\n\r\n{}", b"Content-Length: -1\r\n\r\n{}",
                        b"Content-Length: 2, 2\r\n\r\n{}", b"Host: other\r\nContent-Length: 2\r\n\r\n{}"):
            text = self.raw(head + headers)
            statuses = re.findall(rb"HTTP/1\.1 (\d\d\d)", text)
            self.assertEqual(set(statuses) - {b"400"}, set(), (headers, text))

    def test_unclean_paths_are_refused(self):
        for path in ("/api/v1/jobs/..", "/api/v1/store/default/../../x", "/api/v1/store/default/a%2fb",
                     "/api/v1/store/default/%2e%2e/x", "/api/v1/store/default//a", "/api/v1/store/default/a%00",
                     "/api/v1/store/default/%252e%252e", "/api/v1/store/default/a%5cb", "/api/v1/jobs/%ff"):
            answer = server.get(path)
            self.assertEqual((path, answer.status), (path, 400))

    def test_headers_without_end_are_cut(self):
        text = self.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200000 + b"\r\n\r\n")
        self.assertRegex(text, rb"^(HTTP/1\.1 4(31|13|14|00)|$)")

    def test_answers_carry_the_security_headers(self):
        for path in ("/", "/api/v1/jobs", "/api/v1/nothing"):
            headers = server.get(path).headers
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(headers["Referrer-Policy"], "no-referrer")
            self.assertIn("frame-ancestors 'none'", headers["Content-Security-Policy"])

    def test_the_console_is_served_and_its_pages_fall_back_to_it(self):
        page = server.get("/", token=None)
        self.assertEqual((page.status, page.headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertEqual(server.get("/jobs/j123", token=None).body, page.body)
        self.assertEqual(server.get("/assets/nothing.js", token=None).status, 404)
        self.assertEqual(server.call("POST", "/", b"", token=None).status, 405)
        again = server.get("/", token=None, headers={"If-None-Match": page.headers["ETag"]})
        self.assertEqual((again.status, again.body), (304, b""))

    def test_one_connection_serves_many_calls(self):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for i in range(20):
            path, status = [("/healthz", 200), ("/api/v1/jobs", 401), ("/api/v1/nothing", 404)][i % 3]
            connection.request("GET", path)
            response = connection.getresponse()
            json.loads(response.read())
            self.assertEqual(response.status, status)
        connection.close()


if __name__ == "__main__":
    unittest.main()
