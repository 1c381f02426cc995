#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Limits by time: what one user and one organisation may ask, and how often a login may fail."""

import sys
import time
import unittest

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402

new_server = parse_args()
server = None


def setUpModule():
    global server
    server = new_server()
    server.start()
    # Room for one and for two answers about accounting at once (100 units each); they come back slowly.
    server.options = ["--user-rate", "50", "--org-rate", "100"]


def tearDownModule():
    status = server.close()
    assert status == 0, f"the server ended with {status}"


class Rates(unittest.TestCase):
    def setUp(self):
        server.stop()
        server.options = []
        server.start()  # without limits, to make what the test needs
        self.tokens = {user: server.new_key(user, "member", org=org)[1]
                       for user, org in (("ada", "one"), ("bob", "one"), ("carol", "one"), ("dan", "two"))}
        server.stop()
        server.options = ["--user-rate", "50", "--org-rate", "100"]
        server.start()

    def usage(self, user):
        return server.get("/api/v1/orgs/-/usage", token=self.tokens[user])

    def test_a_user_then_an_organisation_is_told_when_to_come_again_and_others_are_not(self):
        self.assertEqual(self.usage("ada").status, 200)
        again = self.usage("ada")
        self.assertEqual((again.status, again.code), (429, "too_many_requests"))
        self.assertIn("you ask too much", again.message)
        self.assertIn(int(again.headers["Retry-After"]), (1, 2))
        self.assertEqual(self.usage("bob").status, 200)
        third = self.usage("carol")
        self.assertEqual(third.status, 429)
        self.assertIn("your organisation", third.message)
        self.assertEqual(self.usage("dan").status, 200)
        # What costs nothing is not counted.
        for _ in range(50):
            self.assertEqual(server.get("/api/v1/jobs", token=self.tokens["ada"]).status, 200)
        end = time.monotonic() + 60
        while (answer := self.usage("ada")).status == 429 and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(answer.status, 200)

    def test_submissions_cost_one_and_end_with_an_answer_too(self):
        statuses = [server.call("POST", "/api/v1/jobs", {"command": ["true"], "memory": "900G"}, token=self.tokens["dan"]).status
                    for _ in range(400)]
        self.assertIn(429, statuses)
        self.assertGreaterEqual(statuses.index(429), 100)
        self.assertEqual(set(statuses), {400, 429})

    def test_bad_rates_are_refused(self):
        server.stop()
        for rate in ("-1", "x", "", "1000001"):
            server.options = ["--user-rate", rate]
            with self.assertRaisesRegex(RuntimeError, "is no rate"):
                server.start()
            server.process.stdout.close()
            server.log.close()
            server.process = None
        server.options = ["--user-rate", "0", "--org-rate", "0"]
        server.start()
        for _ in range(5):
            self.assertEqual(server.get("/api/v1/orgs/-/usage").status, 200)


class Logins(unittest.TestCase):
    def login(self, token):
        return server.call("POST", "/api/v1/session", {"token": token}, token=None)

    def test_a_key_that_is_guessed_at_may_not_log_in_for_a_while_and_others_may(self):
        _, ada = server.new_key("ada", "viewer")
        _, bob = server.new_key("bob", "viewer")
        wrong = ada[:-1] + ("0" if ada[-1] != "0" else "1")
        statuses = [self.login(wrong).status for _ in range(10)]
        self.assertEqual(statuses, [401] * 10)
        refused = self.login(wrong)
        self.assertEqual((refused.status, refused.code), (429, "too_many_requests"))
        self.assertGreaterEqual(int(refused.headers["Retry-After"]), 1)
        self.assertEqual(self.login(ada).status, 429)
        self.assertEqual(self.login(bob).status, 200)
        self.assertEqual(server.get("/api/v1/jobs", token=ada).status, 200)
        text = (server.folder / "server.log").read_text()
        self.assertIn('auth.login_failed from="127.0.0.1 ' + ada.split("_")[1], text)
        self.assertNotIn(wrong.split("_")[2], text)

    def test_what_a_guess_is_made_of_stays_out_of_the_log(self):
        for _ in range(3):
            self.assertEqual(self.login('cml_a\n"evil=1_x').status, 401)
        self.assertNotIn("evil", (server.folder / "server.log").read_text())


if __name__ == "__main__":
    unittest.main()
