#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Administration: organisations, users and keys; who may give what to whom; that rights end at once."""

import http.client
import sys
import time
import unittest

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402

new_server = parse_args()
server = None
numbers = iter(range(1, 1000))


def setUpModule():
    global server
    server = new_server()
    server.start()


def tearDownModule():
    status = server.close()
    assert status == 0, f"the server ended with {status}"


def new_org():
    """(name, token of its administrator ada)"""
    name = f"org{next(numbers)}"
    return name, server.new_key("ada", "admin", org=name)[1]


class Organisations(unittest.TestCase):
    def test_only_the_platform_makes_lists_and_deletes_them(self):
        name, ada = new_org()
        other, eve = new_org()
        self.assertEqual(server.call("POST", "/api/v1/orgs", {"name": "mine"}, token=ada).status, 403)
        self.assertEqual(server.call("DELETE", f"/api/v1/orgs/{other}", token=ada).status, 403)
        self.assertEqual([o["name"] for o in server.get("/api/v1/orgs", token=ada).json["data"]], [name])
        everyone = {o["name"] for o in server.get("/api/v1/orgs?limit=1000").json["data"]}
        self.assertLessEqual({"default", name, other}, everyone)
        self.assertEqual(server.get("/api/v1/orgs/-", token=ada).json["name"], name)
        self.assertEqual(server.call("PATCH", f"/api/v1/orgs/{name}", {"description": "vision"}, token=ada).status, 200)
        self.assertEqual(server.get(f"/api/v1/orgs/{name}").json["description"], "vision")
        self.assertEqual(server.call("POST", "/api/v1/orgs", {"name": name}).code, "already_exists")

    def test_pages_of_organisations_follow_each_other(self):
        for _ in range(3):
            new_org()
        seen, after = [], ""
        while after is not None:
            page = server.get(f"/api/v1/orgs?limit=2&after={after}").json
            seen += [o["name"] for o in page["data"]]
            after = page["next"]
        self.assertEqual(seen, sorted(set(seen)))
        self.assertEqual(seen, [o["name"] for o in server.get("/api/v1/orgs?limit=1000").json["data"]])

    def test_bad_names_and_fields_are_refused(self):
        for body in ({}, {"name": ""}, {"name": "Big"}, {"name": "a" * 64}, {"name": "-"}, {"name": "a", "x": 1},
                     {"name": "a", "description": "x" * 201}, {"name": "a", "description": "a\u0007"}, {"name": 1}):
            self.assertEqual((body, server.call("POST", "/api/v1/orgs", body).status), (body, 400))

    def test_one_that_is_not_empty_goes_only_by_force_and_takes_all_along(self):
        name, ada = new_org()
        job = server.call("POST", "/api/v1/jobs", {"command": ["sleep", "1000"]}, token=ada).json
        self.assertEqual(server.call("PUT", f"/api/v1/store/{name}/secret", b"x", token=ada).status, 201)
        self.assertEqual(server.call("PUT", f"/api/v1/store/{name}-more", token=ada).status, 201)
        cron = {"name": "nightly", "schedule": "0 3 * * *", "job": {"command": ["true"]}}
        self.assertEqual(server.call("POST", "/api/v1/crons", cron, token=ada).status, 201)
        refused = server.call("DELETE", f"/api/v1/orgs/{name}")
        self.assertEqual(refused.status, 409)
        self.assertRegex(refused.message, "1 jobs \\(1 of them live\\), 1 crons, 0 models and objects in the store")
        self.assertEqual(server.get(f"/api/v1/jobs/{job['id']}", token=ada).status, 200)
        gone = server.call("DELETE", f"/api/v1/orgs/{name}?force=1", headers={"Idempotency-Key": name})
        self.assertEqual((gone.status, gone.json["state"]), (202, "deleting"))
        self.assertEqual(server.get("/api/v1/jobs", token=ada).status, 401)
        end = time.monotonic() + 60
        while server.get(f"/api/v1/orgs/{name}").status != 404 and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(server.get(f"/api/v1/orgs/{name}").status, 404)
        again = server.call("DELETE", f"/api/v1/orgs/{name}?force=1", headers={"Idempotency-Key": name})
        self.assertEqual((again.status, again.headers["Idempotent-Replay"]), (202, "true"))
        # A new one of that name finds nothing of the old.
        _, bob = server.new_key("bob", "admin", org=name)
        self.assertEqual(server.get("/api/v1/jobs", token=bob).json["data"], [])
        self.assertEqual(server.get(f"/api/v1/store/{name}/secret", token=bob).status, 404)
        self.assertEqual(server.get("/api/v1/crons", token=bob).json["data"], [])
        self.assertEqual(server.get("/api/v1/crons/nightly", token=bob).status, 404)
        self.assertEqual([b["name"] for b in server.get("/api/v1/store", token=bob).json["data"]], [name])
        self.assertEqual([u["name"] for u in server.get("/api/v1/orgs/-/users", token=bob).json["data"]], ["bob"])
        self.assertEqual(server.get("/api/v1/jobs", token=ada).status, 401)

    def test_ones_own_and_a_taken_bucket_name_are_refused(self):
        self.assertEqual(server.call("DELETE", "/api/v1/orgs/default?force=1").status, 409)
        _, ada = new_org()
        self.assertEqual(server.call("PUT", "/api/v1/store/shadow", token=ada).status, 201)
        answer = server.call("POST", "/api/v1/orgs", {"name": "shadow"})
        self.assertEqual(answer.status, 409)
        self.assertIn("bucket", answer.message)


class Rights(unittest.TestCase):
    def test_nobody_gives_more_than_they_have(self):
        name, ada = new_org()
        _, bob = server.new_key("bob", "member", org=name)
        users, keys = f"/api/v1/orgs/{name}/users", f"/api/v1/orgs/{name}/keys"
        self.assertEqual(server.call("POST", users, {"name": "x"}, token=bob).status, 403)
        self.assertEqual(server.call("POST", users, {"name": "x", "role": "admin", "platform": True}, token=ada).status, 403)
        self.assertEqual(server.call("POST", keys, {"role": "admin"}, token=bob).status, 403)
        self.assertEqual(server.call("POST", keys, {"user": "ada"}, token=bob).status, 403)
        self.assertEqual(server.call("POST", keys, {"user": "bob", "role": "admin"}, token=ada).status, 400)
        mine = server.call("POST", keys, {"role": "viewer", "note": "dashboards"}, token=bob)
        self.assertEqual((mine.status, mine.json["user"], mine.json["role"]), (201, "bob", "viewer"))
        self.assertEqual(server.call("POST", "/api/v1/jobs", {"command": ["true"]}, token=mine.json["token"]).status, 403)
        # A key with less cannot get its user's greater key by rotating that.
        greater = server.call("POST", keys, {"role": "member"}, token=bob).json["id"]
        answer = server.call("POST", f"{keys}/{greater}/rotate", token=mine.json["token"])
        self.assertEqual(answer.status, 403)
        self.assertEqual({k["user"] for k in server.get(keys, token=bob).json["data"]}, {"bob"})
        self.assertEqual({k["user"] for k in server.get(keys, token=ada).json["data"]}, {"ada", "bob"})
        self.assertEqual(server.get(keys + "?user=ada", token=bob).status, 403)

    def test_an_administrator_of_the_first_organisation_is_none_of_the_platform(self):
        _, chief = server.new_key("chief", "admin")
        self.assertEqual(server.call("POST", "/api/v1/orgs", {"name": "x1"}, token=chief).status, 403)
        self.assertEqual(server.call("POST", "/api/v1/orgs/-/keys", {"user": "root"}, token=chief).status, 403)
        self.assertEqual(server.call("PATCH", "/api/v1/orgs/-/users/root", {"role": "viewer"}, token=chief).status, 403)
        self.assertEqual(server.call("DELETE", "/api/v1/orgs/-/users/root", token=chief).status, 403)
        root_key = server.token.split("_")[1]
        self.assertEqual(server.call("DELETE", f"/api/v1/orgs/-/keys/{root_key}", token=chief).status, 403)
        self.assertEqual(server.call("POST", f"/api/v1/orgs/-/keys/{root_key}/rotate", token=chief).status, 403)
        # Made one, chief is one at once; with the flag taken away, none at once.
        self.assertEqual(server.call("PATCH", "/api/v1/orgs/-/users/chief", {"platform": True}).status, 200)
        self.assertTrue(server.get("/api/v1/session", token=chief).json["platform"])
        self.assertEqual(server.get("/api/v1/orgs/nowhere", token=chief).status, 404)
        self.assertEqual(server.call("PATCH", "/api/v1/orgs/-/users/chief", {"platform": False}).status, 200)
        self.assertEqual(server.call("POST", "/api/v1/orgs", {"name": "x1"}, token=chief).status, 403)

    def test_a_lesser_key_of_a_platform_administrator_has_less(self):
        key = server.call("POST", "/api/v1/orgs/-/keys", {"role": "member"}).json["token"]
        self.assertFalse(server.get("/api/v1/session", token=key).json["platform"])
        self.assertEqual(server.call("POST", "/api/v1/orgs", {"name": "x1"}, token=key).status, 403)

    def test_nobody_changes_or_deletes_themselves(self):
        _, ada = new_org()
        self.assertEqual(server.call("PATCH", "/api/v1/orgs/-/users/ada", {"role": "viewer"}, token=ada).status, 409)
        self.assertEqual(server.call("DELETE", "/api/v1/orgs/-/users/ada", token=ada).status, 409)

    def test_a_role_that_is_taken_away_is_gone_from_every_key(self):
        name, ada = new_org()
        _, bob = server.new_key("bob", "admin", org=name)
        self.assertEqual(server.call("POST", "/api/v1/orgs/-/users", {"name": "x"}, token=bob).status, 201)
        self.assertEqual(server.call("PATCH", "/api/v1/orgs/-/users/bob", {"role": "viewer"}, token=ada).status, 200)
        self.assertEqual(server.call("POST", "/api/v1/orgs/-/users", {"name": "y"}, token=bob).status, 403)
        self.assertEqual(server.call("POST", "/api/v1/jobs", {"command": ["true"]}, token=bob).status, 403)
        self.assertEqual(server.get("/api/v1/jobs", token=bob).status, 200)
        self.assertEqual(server.call("DELETE", "/api/v1/orgs/-/users/bob", token=ada).status, 204)
        self.assertEqual(server.get("/api/v1/jobs", token=bob).status, 401)


class Keys(unittest.TestCase):
    def revocations(self):
        """(name, what ends the key of bob, given its id)"""
        yield "revoked", lambda ada, key: server.call("DELETE", f"/api/v1/orgs/-/keys/{key}", token=ada)
        yield "rotated", lambda ada, key: server.call("POST", f"/api/v1/orgs/-/keys/{key}/rotate", token=ada)
        yield "user deleted", lambda ada, key: server.call("DELETE", "/api/v1/orgs/-/users/bob", token=ada)

    def test_a_key_that_ends_ends_sessions_and_open_streams_at_once(self):
        for name, end in self.revocations():
            org, ada = new_org()
            key, bob = server.new_key("bob", "member", org=org)
            job = server.call("POST", "/api/v1/jobs", {"command": ["sleep", "1000"]}, token=bob).json["id"]
            login = server.call("POST", "/api/v1/session", {"token": bob}, token=None)
            cookie = {"Cookie": login.headers["Set-Cookie"].split(";")[0]}
            self.assertEqual(server.get("/api/v1/jobs", token=None, headers=cookie).status, 200)
            watch, log = server.events("/api/v1/watch", token=bob), server.connect()
            while next(watch)[0] != "sync":
                pass
            log.request("GET", f"/api/v1/jobs/{job}/logs?follow=1", headers={"Authorization": "Bearer " + bob})
            follower = log.getresponse()
            self.assertEqual(follower.status, 200)
            self.assertIn(end(ada, key).status, (201, 204))
            with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
                for _ in watch:
                    pass
                raise ConnectionError  # the stream may also just end
            with self.assertRaises((http.client.IncompleteRead, ConnectionError)):
                follower.read()
            self.assertEqual((name, server.get("/api/v1/jobs", token=bob).status), (name, 401))
            self.assertEqual((name, server.get("/api/v1/jobs", token=None, headers=cookie).status), (name, 401))
            log.close()
            server.call("POST", f"/api/v1/jobs/{job}/cancel", token=ada)

    def test_a_key_works_until_it_expires_and_what_it_holds_open_ends_then(self):
        org, ada = new_org()
        _, brief = server.new_key("bob", "member", org=org, expires_in="1500ms")
        login = server.call("POST", "/api/v1/session", {"token": brief}, token=None)
        self.assertEqual(login.status, 200)
        watch = server.events("/api/v1/watch", token=brief)
        began = time.monotonic()
        try:
            for _ in watch:
                pass
        except (http.client.IncompleteRead, ConnectionError):
            pass
        self.assertLess(time.monotonic() - began, 60)
        self.assertEqual(server.get("/api/v1/jobs", token=brief).status, 401)
        cookie = {"Cookie": login.headers["Set-Cookie"].split(";")[0]}
        self.assertEqual(server.get("/api/v1/jobs", token=None, headers=cookie).status, 401)

    def test_a_key_that_expires_makes_none_that_lives_longer(self):
        org, ada = new_org()
        key, brief = server.new_key("bob", "member", org=org, expires_in="1h")
        for body in ({}, {"expires_in": "2d"}, {"expires_ms": 0}):
            made = server.call("POST", "/api/v1/orgs/-/keys", body, token=brief).json
            first = [k for k in server.get("/api/v1/orgs/-/keys", token=ada).json["data"] if k["id"] == key]
            self.assertEqual(made["expires_ms"], first[0]["expires_ms"])
        for body in ({"expires_ms": 5}, {"expires_in": "0s"}, {"expires_in": "1h", "expires_ms": 0}, {"expires_in": "x"}):
            self.assertEqual((body, server.call("POST", "/api/v1/orgs/-/keys", body, token=ada).status), (body, 400))

    def test_the_same_request_again_makes_no_second_key_and_tells_no_secret(self):
        org, ada = new_org()
        once = {"Idempotency-Key": "once"}
        first = server.call("POST", "/api/v1/orgs/-/keys", {"note": "a"}, token=ada, headers=once)
        again = server.call("POST", "/api/v1/orgs/-/keys", {"note": "a"}, token=ada, headers=once)
        self.assertEqual((first.status, again.status), (201, 201))
        self.assertIn("token", first.json)
        self.assertNotIn("token", again.json)
        self.assertEqual(again.headers["Idempotent-Replay"], "true")
        self.assertEqual(first.json["id"], again.json["id"])
        other = server.call("POST", "/api/v1/orgs/-/keys", {"note": "b"}, token=ada, headers=once)
        self.assertEqual(other.status, 409)
        self.assertEqual(len(server.get("/api/v1/orgs/-/keys", token=ada).json["data"]), 2)

    def test_all_of_it_is_there_after_a_kill(self):
        org, ada = new_org()
        key, bob = server.new_key("bob", "viewer", org=org)
        gone, late = server.new_key("bob", "viewer", org=org)
        self.assertEqual(server.call("DELETE", f"/api/v1/orgs/-/keys/{gone}", token=ada).status, 204)
        server.stop(9)
        server.start()
        self.assertEqual(server.get("/api/v1/session", token=bob).json["role"], "viewer")
        self.assertEqual(server.get("/api/v1/session", token=late).status, 401)
        self.assertEqual(server.get("/api/v1/session", token=ada).json["org"], org)

    def test_no_secret_is_in_any_file_log_or_answer(self):
        org, ada = new_org()
        secrets = {ada.split("_")[2]}
        for role in ("viewer", "member", "admin"):
            secrets.add(server.new_key(role, role, org=org)[1].split("_")[2])
        login = server.call("POST", "/api/v1/session", {"token": ada}, token=None)
        self.assertEqual(login.status, 200)
        answers = b"".join(server.get(path, token=ada).body for path in
                           ("/api/v1/orgs/-/keys", "/api/v1/orgs/-/users", "/api/v1/orgs/-/events", "/api/v1/session"))
        files = [p for p in server.folder.rglob("*") if p.is_file() and not p.is_symlink() and p.name != "root-token"]
        self.assertTrue(any(p.name == "meta.db" for p in files) and any(p.name == "server.log" for p in files))
        for text in [answers, login.body] + [p.read_bytes() for p in files]:
            for secret in secrets:
                self.assertNotIn(secret.encode(), text)


def wait_state(job, token, *states):
    for event, data in server.events(f"/api/v1/watch?job={job}", token=token):
        if event == "job" and data["state"] in states:
            return data


class Quotas(unittest.TestCase):
    def test_only_the_platform_sets_them_and_what_is_left_out_stays(self):
        name, ada = new_org()
        path = f"/api/v1/orgs/{name}/quota"
        self.assertEqual(server.call("PATCH", path, {"training": {"cpu": 4}}, token=ada).status, 403)
        self.assertEqual(server.call("PATCH", path, {"training": {"cpu": 4, "memory": "8G"}}).status, 200)
        self.assertEqual(server.call("PATCH", path, {"training": {"cpu": 2}, "borrow": False}).status, 200)
        quota = server.get("/api/v1/orgs/-/quota", token=ada).json["quota"]
        self.assertEqual(quota["training"], {"cpu": 2, "memory": 8 << 30, "gpu": -1, "count": -1})
        self.assertFalse(quota["borrow"])
        self.assertEqual([q["org"] for q in server.get("/api/v1/quotas", token=ada).json["data"]], [name])
        for bad in ({"training": {"cpus": 1}}, {"trainings": {}}, {"training": {"cpu": -2}}, {"weight": 0}, {"training": 1}):
            self.assertEqual((bad, server.call("PATCH", path, bad).status), (bad, 400))
        self.assertEqual(server.get("/api/v1/orgs/-/events", token=ada).json["data"][0]["reason"], "quota_set")
        server.stop(9)
        server.start()
        self.assertEqual(server.get("/api/v1/orgs/-/quota", token=ada).json["quota"], quota)

    def test_one_below_what_is_held_is_taken_with_a_warning_and_stops_nothing(self):
        name, ada = new_org()
        job = server.call("POST", "/api/v1/jobs", {"command": ["sleep", "1000"]}, token=ada).json["id"]
        wait_state(job, ada, "starting", "running")
        answer = server.call("PATCH", f"/api/v1/orgs/{name}/quota", {"training": {"cpu": "500m"}}).json
        self.assertIn("training holds 1 cores, its quota is 0.5; nothing is stopped", answer["warning"])
        self.assertEqual(answer["used"]["training"]["cpu"], 1)
        self.assertIn(server.get(f"/api/v1/jobs/{job}", token=ada).json["state"], ("starting", "running"))
        server.call("POST", f"/api/v1/jobs/{job}/cancel", token=ada)


    def test_what_is_beyond_one_waits_until_it_is_raised(self):
        name, ada = new_org()
        server.call("PATCH", f"/api/v1/orgs/{name}/quota", {"training": {"count": 1}, "borrow": False})
        first = server.call("POST", "/api/v1/jobs", {"command": ["sleep", "1000"], "cpu": "100m"}, token=ada).json["id"]
        wait_state(first, ada, "starting", "running")
        job = server.call("POST", "/api/v1/jobs", {"command": ["sleep", "1000"], "cpu": "100m"}, token=ada).json["id"]
        for event, data in server.events(f"/api/v1/watch?job={job}", token=ada):
            if event == "job" and "quota" in data["reason"]:
                break
            self.assertIn((event, data.get("state")), [("job", "submitted"), ("job", "queued"), ("sync", None)])
        server.call("PATCH", f"/api/v1/orgs/{name}/quota", {"training": {"count": 2}})
        self.assertIn(wait_state(job, ada, "starting", "running")["state"], ("starting", "running"))
        for running in (first, job):
            server.call("POST", f"/api/v1/jobs/{running}/cancel", token=ada)


class Usage(unittest.TestCase):
    def test_what_a_job_held_is_its_time_by_its_resources_and_outlives_a_kill_and_the_job(self):
        name, ada = new_org()
        job = server.call("POST", "/api/v1/jobs", {"command": ["sleep", "1000"], "cpu": "500m", "memory": "1G"}, token=ada).json["id"]
        wait_state(job, ada, "starting", "running")
        running = server.get("/api/v1/orgs/-/usage", token=ada).json["data"][0]
        self.assertEqual((running["attempts"], running["running"]), (0, 1))
        server.stop(9)
        server.start()
        server.call("POST", f"/api/v1/jobs/{job}/cancel", token=ada)
        ended = wait_state(job, ada, "cancelled")
        hours = (ended["ended_ms"] - ended["started_ms"]) / 3600e3
        for query in ("", f"?job={job}", "?by=user", "?by=day", "?by=job", "?user=ada"):
            rows = server.get("/api/v1/orgs/-/usage" + query, token=ada).json["data"]
            self.assertAlmostEqual(sum(r["cpu_hours"] for r in rows), hours * 0.5, places=9, msg=query)
            self.assertAlmostEqual(sum(r["memory_gib_hours"] for r in rows), hours, places=9, msg=query)
            self.assertEqual((sum(r["attempts"] for r in rows), sum(r["running"] for r in rows)), (1, 0))
        self.assertEqual(server.call("DELETE", f"/api/v1/jobs/{job}", token=ada).status, 204)
        self.assertAlmostEqual(server.get("/api/v1/orgs/-/usage", token=ada).json["data"][0]["cpu_hours"], hours * 0.5, places=9)
        self.assertEqual(server.get(f"/api/v1/orgs/-/usage?job={job}", token=ada).status, 404)
        self.assertIn(name, [r["org"] for r in server.get("/api/v1/usage").json["data"]])
        self.assertEqual(server.get("/api/v1/usage", token=ada).status, 403)

    def test_bad_questions_are_refused(self):
        for query in ("since=yesterday", "until=2026-02-30", "by=moon", "since=2026-02-01&until=2026-01-01",
                      "since=2000-01-01&until=2026-01-01", "unknown=1"):
            self.assertEqual((query, server.get("/api/v1/orgs/-/usage?" + query).status), (query, 400))
        self.assertEqual(server.get("/api/v1/orgs/-/usage?job=nothing").status, 404)


class Audit(unittest.TestCase):
    def test_every_change_is_told_with_its_actor_there_and_at_home(self):
        org, ada = new_org()
        key, bob = server.new_key("bob", "member", org=org)
        server.call("PATCH", "/api/v1/orgs/-/users/bob", {"role": "viewer"}, token=ada)
        server.call("DELETE", f"/api/v1/orgs/-/keys/{key}", token=ada)
        server.call("PATCH", "/api/v1/orgs/-", {"description": "x"}, token=ada)
        told = [(e["reason"], e["subject"], e["actor"]) for e in server.get("/api/v1/orgs/-/events", token=ada).json["data"]]
        self.assertEqual(told[:5], [("org_updated", f"org/{org}", "ada"), ("key_revoked", f"key/{key}", "ada"),
                                    ("user_updated", "user/bob", "ada"), ("key_created", f"key/{key}", "default/root"),
                                    ("user_created", "user/bob", "default/root")])
        home = server.get("/api/v1/orgs/-/events?limit=1000").json["data"]
        self.assertIn(("user_created", "user/bob", f"in {org}: user bob created with the role member"),
                      [(e["reason"], e["subject"], e["message"]) for e in home])
        self.assertEqual(server.get("/api/v1/orgs/-/events", token=bob).status, 401)
        page = server.get("/api/v1/orgs/-/events?limit=2", token=ada).json
        rest = server.get(f"/api/v1/orgs/-/events?limit=2&before={page['next']}", token=ada).json
        self.assertEqual([e["reason"] for e in page["data"] + rest["data"]], [t[0] for t in told[:4]])


if __name__ == "__main__":
    unittest.main()
