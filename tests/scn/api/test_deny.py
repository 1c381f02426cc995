#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The deny matrix, made of the route table: every route and verb, as every role, with every credential that is worth
nothing, and from another organisation."""

import http.client
import re
import sys
import unittest

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402
from world import World, fill_machine, routes  # noqa: E402

RANKS = {"viewer": 0, "member": 1, "admin": 2, "platform": 3}
VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
new_server = parse_args()
server = world = other = None
worthless, seen = {}, {"answers": 0}


def setUpModule():
    global server, world, other
    server = new_server()
    server.start()
    fill_machine(server)
    world, other = World(server, "alpha"), World(server, "beta")
    good = world.tokens["admin"]
    _, expired = server.new_key("brief", "admin", org="alpha", expires_in="1ms")
    key, revoked = server.new_key("gone", "admin", org="alpha")
    assert server.call("DELETE", f"/api/v1/orgs/alpha/keys/{key}").status == 204
    _, orphan = server.new_key("nobody", "admin", org="alpha")
    assert server.call("DELETE", "/api/v1/orgs/alpha/users/nobody").status == 204
    _, homeless = server.new_key("ada", "admin", org="gamma")
    assert server.call("DELETE", "/api/v1/orgs/gamma?force=1").status == 202
    worthless.update({
        "none": None, "empty": " ", "garbage": "x" * 300, "no secret": "_".join(good.split("_")[:2]) + "_",
        "short": good[:-1], "long": good + "0", "another secret": good[:-1] + ("0" if good[-1] != "0" else "1"),
        "unknown key": "cml_kunknownkk_" + "0" * 40, "another key's secret": "_".join(good.split("_")[:2] + world.tokens["viewer"].split("_")[2:]),
        "upper case": good.upper(), "expired": expired, "revoked": revoked, "user deleted": orphan, "organisation deleted": homeless,
        "session cookie as token": "k.1.x." + "0" * 64})


def tearDownModule():
    status = server.close()
    assert status == 0, f"the server ended with {status}"


def ask(method, path, token, json_body=False, scheme="Bearer "):
    """(status, body); a stream's body is left unread."""
    seen["answers"] += 1
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {} if token is None else {"Authorization": scheme + token}
    connection.request(method, path, b"{}" if json_body else None, headers)
    response = connection.getresponse()
    stream = response.headers.get("Content-Type") == "text/event-stream"
    body = b"" if stream else response.read()
    connection.close()
    return response.status, body


def fill(route, **names):
    """The path with names for its parameters; what has none is not there."""
    return re.sub(r"\{([a-z]+)\}", lambda m: names.get(m[1], "jnotthere1"), route["path"])


def theirs(w):
    return {"org": w.org, "job": w.job, "model": w.model, "cron": w.cron, "bucket": w.bucket, "key": w.object + "/a.onnx",
            "user": w.users["viewer"], "id": w.keys["viewer"]}


class Matrix(unittest.TestCase):
    def test_a_credential_that_is_worth_nothing_opens_nothing(self):
        for route in routes(server):
            if route["role"] == "open":
                continue
            for method in {route["method"], "HEAD" if route["method"] == "GET" else route["method"]}:
                for name, token in worthless.items():
                    for path in (fill(route, **theirs(world)), fill(route, org="nowhere")):
                        status, body = ask(method, path, token, route["json"])
                        self.assertEqual((method, path, name, status), (method, path, name, 401))
                        self.assertTrue(method == "HEAD" or b'"unauthenticated"' in body)
        for scheme in ("Basic ", "bearer", "Token ", ""):
            self.assertEqual(ask("GET", "/api/v1/jobs", world.tokens["admin"], scheme=scheme)[0], 401)

    def test_a_role_opens_what_its_route_says_and_nothing_above(self):
        tokens = dict(world.tokens, platform=server.token)
        for route in routes(server):
            if route["role"] == "open":
                continue
            for role, token in tokens.items():
                # Names that are not there: what is allowed then says so, and changes nothing.
                path = fill(route, org="-")
                status, body = ask(route["method"], path, token, route["json"])
                row = (route["method"], path, role, status)
                if RANKS[role] < RANKS[route["role"]]:
                    self.assertEqual(row, (route["method"], path, role, 403))
                    self.assertIn(b'"denied"', body)
                else:
                    self.assertNotIn(status, (401, 403, 405, 500), row)

    def test_another_organisation_answers_as_one_that_is_not_there(self):
        """Same status, same body but for the name that was asked for, for everything that has a name."""
        for route in routes(server):
            if route["role"] == "open" or "{" not in route["path"]:
                continue
            if (route["method"], route["path"]) == ("PUT", "/api/v1/store/{bucket}"):
                continue  # names of buckets are one space for all, as S3's: a taken one is refused
            for role, token in other.tokens.items():
                real, none = theirs(world), {k: ("x" + v[1:])[:len(v)] for k, v in theirs(world).items()}
                there = ask(route["method"], fill(route, **real), token, route["json"])
                absent = ask(route["method"], fill(route, **none), token, route["json"])
                row = (route["method"], route["path"], role)
                for k in real:
                    there = there[0], there[1].replace(real[k].encode(), b"NAME")
                    absent = absent[0], absent[1].replace(none[k].encode(), b"NAME")
                self.assertEqual((row, there), (row, absent))
                if route["method"] != "DELETE" or "store" not in route["path"]:
                    expected = 403 if RANKS[role] < RANKS[route["role"]] else 404
                    self.assertIn((row, there[0]), [(row, expected), (row, 400)])

    def test_no_verb_beside_those_of_the_table_does_anything(self):
        table = {}
        for route in routes(server):
            table.setdefault(route["path"], set()).add(route["method"])
        before = world.snapshot()
        for path, methods in table.items():
            methods = methods | ({"HEAD"} if "GET" in methods else set())
            for verb in set(VERBS) - methods:
                for token in (None, world.tokens["viewer"], server.token):
                    status, _ = ask(verb, fill({"path": path}, **theirs(world)), token)
                    self.assertIn((verb, path, status), [(verb, path, 405), (verb, path, 404), (verb, path, 400), (verb, path, 501)])
        self.assertEqual(world.snapshot(), before)

    def test_only_what_must_be_is_open_and_every_route_has_a_rule(self):
        table = list(routes(server))
        self.assertEqual({(r["method"], r["path"]) for r in table if r["role"] == "open"},
                         {("GET", "/healthz"), ("GET", "/api/v1/healthz"), ("POST", "/api/v1/session")})
        for route in table:
            self.assertIn(route["role"], list(RANKS) + ["open"])
            self.assertEqual((route["path"], route["scope"]), (route["path"], "org" if "{org}" in route["path"] else "own"))
        self.assertGreater(len(table), 45)

    @classmethod
    def tearDownClass(cls):
        print(f"{seen['answers']} answers")


if __name__ == "__main__":
    unittest.main()
