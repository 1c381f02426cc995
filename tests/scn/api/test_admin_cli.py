#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands of administration against a real server, as a platform engineer types them."""

import csv
import io
import json
import os
import subprocess
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


def tearDownModule():
    status = server.close()
    assert status == 0, f"the server ended with {status}"


def cloudml(*args, token=None, status=0, stdin="", **environment):
    """What it printed; fails on another exit status."""
    env = dict(os.environ, CLOUDML_ENDPOINT=f"http://127.0.0.1:{server.port}", CLOUDML_TOKEN=token or server.token,
               HOME=str(server.folder), NO_COLOR="1")
    env.update(environment)
    env.pop("XDG_CONFIG_HOME", None)
    env = {k: v for k, v in env.items() if v is not None}
    done = subprocess.run([server.program, *args], input=stdin, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == status, (args, done)
    return done


class FirstSteps(unittest.TestCase):
    def test_an_organisation_gets_users_keys_and_a_quota_and_goes_again(self):
        made = cloudml("org", "create", "vision", "--description", "cameras and such")
        self.assertIn("cloudml user create NAME --org vision --role admin", made.stderr)
        cloudml("user", "create", "ada", "--org", "vision", "--role", "admin")
        key = cloudml("key", "create", "--org", "vision", "--user", "ada", "--note", "her laptop")
        ada = key.stdout.strip()
        self.assertRegex(ada, r"^cml_k[0-9a-z]+_[0-9a-z]{40}$")
        self.assertNotIn(ada, key.stderr)
        cloudml("user", "create", "bob", token=ada)
        self.assertRegex(cloudml("user", "list", token=ada).stdout, r"ada +admin +\d{4}-[^\n]*\nbob +member")
        keys = json.loads(cloudml("key", "list", "--json", token=ada).stdout)["data"]
        self.assertEqual([(k["user"], k["note"]) for k in keys], [("ada", "her laptop")])
        bob = json.loads(cloudml("key", "create", "--user", "bob", "--expires", "1d", "--json", token=ada).stdout)
        self.assertGreater(bob["expires_ms"], time.time() * 1000)
        rotated = cloudml("key", "rotate", bob["id"], token=ada).stdout.strip()
        cloudml("jobs", "list", token=bob["token"], status=3)
        cloudml("jobs", "list", token=rotated)
        cloudml("user", "update", "bob", "--role", "viewer", token=ada)
        cloudml("user", "create", "eve", token=rotated, status=3)
        cloudml("user", "delete", "bob", token=ada)
        cloudml("jobs", "list", token=rotated, status=3)

        cloudml("quota", "set", "--org", "vision", "--cpu", "4", "--memory", "8G", "--borrow", "no", token=ada, status=3)
        cloudml("quota", "set", "--org", "vision", "--cpu", "4", "--memory", "8G", "--borrow", "no", "--weight", "200")
        self.assertRegex(cloudml("quota", "get", token=ada).stdout, r"vision +training +0 / 4 +0 B / 8 GiB")
        self.assertIn("vision", cloudml("quota", "list").stdout)
        shown = cloudml("org", "describe", "vision").stdout
        self.assertIn("cameras and such", shown)
        self.assertIn("0 B / 8 GiB", shown)
        cloudml("org", "update", "vision", "--description", "less", token=ada)
        told = cloudml("events", "--org", "vision").stdout
        for word in ("org_updated", "key_rotated", "quota_set", "user_deleted", "default/root", "ada"):
            self.assertIn(word, told)
        self.assertEqual(len(json.loads(cloudml("events", "--limit", "3", "--json", token=ada).stdout)["data"]), 3)

        server.call("PUT", "/api/v1/store/vision/x", b"x", token=ada)
        cloudml("quota", "set", "--org", "vision", "--storage", "1K", "--objects", "2")
        self.assertRegex(cloudml("quota", "get", token=ada).stdout, r"store: 1 B / 1 KiB, objects 1 / 2")
        self.assertEqual(server.call("PUT", "/api/v1/store/vision/large", b"x" * 1024, token=ada).code, "quota")
        self.assertEqual(server.call("PUT", "/api/v1/store/vision/y", b"x" * 1023, token=ada).status, 201)
        self.assertEqual(server.call("PUT", "/api/v1/store/vision/z", b"", token=ada).code, "quota")
        told = cloudml("quota", "set", "--org", "vision", "--storage", "10")
        self.assertIn("the store holds more bytes", told.stderr)
        server.stop()
        server.start()
        self.assertEqual(server.call("PUT", "/api/v1/store/vision/z", b"z", token=ada).code, "quota")
        cloudml("quota", "set", "--org", "vision", "--storage", "-1", "--objects", "-1")
        self.assertEqual(server.call("PUT", "/api/v1/store/vision/z", b"z", token=ada).status, 201)
        self.assertIn("is not empty", cloudml("org", "delete", "vision", status=5).stderr)
        refused = cloudml("org", "delete", "vision", "--force", status=130)
        self.assertIn("--yes", refused.stderr)
        cloudml("org", "delete", "vision", "--force", "--yes")
        end = time.monotonic() + 60
        while "vision" in cloudml("org", "list").stdout and time.monotonic() < end:
            time.sleep(0.05)
        self.assertNotIn("vision", cloudml("org", "list").stdout)
        cloudml("jobs", "list", token=ada, status=3)

    def test_usage_is_told_as_a_table_json_and_csv(self):
        job = server.call("POST", "/api/v1/jobs", {"command": ["sleep", "1000"], "name": "held"}).json["id"]
        for event, data in server.events(f"/api/v1/watch?job={job}"):
            if event == "job" and data["state"] in ("starting", "running"):
                break
        self.assertRegex(cloudml("usage").stdout, r"ORGANISATION +CPU HOURS[^\n]*\ndefault +0\.\d{3}")
        rows = list(csv.DictReader(io.StringIO(cloudml("usage", "--by", "job", "--csv").stdout)))
        self.assertEqual([(r["org"], r["user"], r["id"], r["name"], r["running"]) for r in rows],
                         [("default", "root", job, "held", "1")])
        self.assertGreater(float(rows[0]["cpu_hours"]), 0)
        day = json.loads(cloudml("usage", "--by", "day", "--json").stdout)["data"][0]["day"]
        self.assertIn(day, cloudml("usage", "--by", "day", "--since", day, "--until", day).stdout)
        self.assertIn("default", cloudml("usage", "--all").stdout)
        self.assertIn("nothing was used", cloudml("usage", "--user", "nobody").stderr)
        cloudml("usage", "--since", "never", status=2)
        cloudml("usage", "--job", "nothing", status=4)
        server.call("POST", f"/api/v1/jobs/{job}/cancel")

    def test_a_login_is_kept_for_its_user_alone_and_forgotten_again(self):
        _, token = server.new_key("carol", "viewer")
        endpoint = f"http://127.0.0.1:{server.port}"
        quiet = {"CLOUDML_ENDPOINT": None, "CLOUDML_TOKEN": None, "CLOUDML_DATA": None}
        said = cloudml("login", endpoint, stdin=token + "\n", **quiet)
        self.assertIn("as carol of default (viewer)", said.stderr)
        self.assertNotIn(token, said.stdout + said.stderr)
        path = server.folder / ".config/cloudml/config.json"
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(json.loads(cloudml("user", "list", "--json", **quiet).stdout)["data"][0]["org"], "default")
        cloudml("login", endpoint, stdin="cml_kx_wrong\n", status=3, **quiet)
        self.assertIn(token, path.read_text())
        cloudml("login", endpoint, stdin="\n", status=2, **quiet)
        cloudml("logout", **quiet)
        self.assertFalse(path.exists())


if __name__ == "__main__":
    unittest.main()
