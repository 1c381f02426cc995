#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starting, stopping and looking at a platform: up, down, status, doctor, console. Needs root, no network."""

import json
import os
import pathlib
import signal
import sys
import urllib.error
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402


ELSEWHERE = {"CLOUDML_ENDPOINT": "http://127.0.0.1:1", "CLOUDML_TOKEN": "cml_another_server"}


class Started(platform.Case):
    def test_status_names_the_address_the_folder_and_the_machine(self):
        text = self.p.cli("status").ok().out
        for word in (self.p.url, self.p.data, str(self.p.pid), "cores", "none"):
            self.assertIn(word, text)
        status = self.p.json("status")
        self.assertEqual((status["pid"], status["data_folder"]), (self.p.pid, self.p.data))
        self.assertGreater(status["capacity"]["cpu"], 0)

    def test_doctor_checks_this_machine_and_its_status_says_so(self):
        checks = self.p.cli("--json", "doctor")
        found = {c["check"]: c["ok"] for c in json.loads(checks.out)}
        self.assertEqual(checks.status, 0 if all(found.values()) else 1)
        for check in ("kernel", "runtime", "cgroup", "disk", "memory"):
            self.assertTrue(found[check], check)

    def test_the_console_link_opens_the_console_and_its_token_a_session(self):
        link = self.p.cli("console").ok().out.strip().splitlines()[-1].strip()
        address, token = link.split("#token=")
        self.assertTrue(address.startswith(self.p.url), link)
        with urllib.request.urlopen(address, timeout=60) as page:
            self.assertIn(b"<html", page.read().lower())
        status, session = self.p.api("POST", "/session", {"token": token})
        self.assertEqual((status, session["org"], session["role"]), (200, "default", "admin"))

    def test_the_token_and_the_folder_are_for_their_owner_alone(self):
        for path in (self.p.data, os.path.join(self.p.data, "root-token")):
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)

    def test_a_wrong_token_and_none_at_all_are_refused(self):
        for headers in ({}, {"Authorization": "Bearer cml_wrong_token"}):
            request = urllib.request.Request(self.p.url + "/api/v1/jobs", headers=headers)
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=60)
            with refused.exception as answer:
                self.assertEqual(answer.code, 401)
                self.assertEqual(json.load(answer)["error"]["code"], "unauthenticated")
        self.p.cli("jobs", "list", env={"CLOUDML_ENDPOINT": self.p.url, "CLOUDML_TOKEN": "cml_wrong_token"}).fails(status=3)

    def test_another_site_s_name_is_refused(self):
        request = urllib.request.Request(self.p.url + "/api/v1/status", headers={
            "Authorization": f"Bearer {self.p.token}", "Host": "evil.example"})
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=60)
        with refused.exception as answer:
            self.assertIn(answer.code, (400, 403, 421))

    def test_a_second_server_on_the_folder_is_refused_and_the_first_goes_on(self):
        for command in (("up", "--port", platform.free_port()),
                        ("server", "--data", self.p.data, "--listen", "127.0.0.1:0")):
            self.p.cli(*command).fails("already uses", self.p.data, str(self.p.pid), "cloudml down", status=5)
        self.assertIn("already running", self.p.cli("up", "--detach").ok().err)
        self.assertEqual(self.p.json("status")["pid"], self.p.pid)

    def test_up_means_the_server_of_the_folder_whatever_the_environment_says(self):
        told = self.p.cli("--json", "up", "--detach", env=ELSEWHERE).ok().json()
        self.assertEqual((told["endpoint"], told["started"]), (self.p.url, False))
        self.assertIn(self.p.token, told["console"])

    def test_a_port_that_is_taken_is_named(self):
        other = os.path.join(self.p.scratch, "other")
        self.p.cli("--data", other, "up", "--detach", "--port", self.p.port).fails(str(self.p.port), "another program")
        self.assertFalse(os.path.exists(os.path.join(other, "run/server.json")))


class Restarts(platform.Case):
    def wish(self, name):
        status, job = self.p.api("POST", "/jobs", {"name": name, "framework": "scikit-learn", "command": ["true"],
                                                    "requirements": ["none-of-this-name==1"]})
        self.assertEqual(status, 201, job)
        return job["id"]

    def test_stopped_and_started_again_it_knows_its_jobs_and_tokens(self):
        token, job = self.p.token, self.wish("kept")
        self.p.cli("jobs", "cancel", job).ok()
        self.p.wait_job(job, "cancelled")
        before = self.p.job(job)
        self.p.stop()
        self.p.cli("status").fails("cloudml up", status=69)
        self.assertIn("not running", self.p.cli("down").ok().err)
        self.p.start()
        self.assertEqual(self.p.token, token)
        self.assertEqual(self.p.job(job), before)

    def test_down_with_jobs_means_the_server_of_the_folder_whatever_the_environment_says(self):
        job = self.wish("ended")
        self.p.cli("down", "--jobs", env=ELSEWHERE).ok()
        self.p.start()
        self.assertIn(self.p.job(job)["state"], ("cancelled", "failed"))

    def test_killed_and_started_again_it_knows_what_it_had_confirmed(self):
        jobs = [self.wish(f"confirmed-{i}") for i in range(20)]
        for job in jobs:
            self.p.api("POST", f"/jobs/{job}/cancel")
        self.p.kill()
        self.p.cli("jobs", "list").fails("cloudml up", status=69)
        self.p.start()
        for job in jobs:
            self.assertEqual(self.p.wait_job(job, "cancelled")["attempt"] <= 1, True)

    def test_a_termination_signal_ends_it_in_good_order(self):
        pid = self.p.pid
        os.kill(pid, signal.SIGTERM)
        platform.until("the server's end", lambda: not platform.is_alive(pid))
        self.assertFalse(os.path.exists(os.path.join(self.p.data, "run/server.json")))
        self.p.start()
        self.assertNotEqual(self.p.pid, pid)


class Foreground(platform.Case):
    @classmethod
    def setUpClass(cls):
        cls.p = platform.Platform()
        cls.addClassCleanup(cls.finish)

    def test_ctrl_c_ends_a_platform_in_the_foreground(self):
        up = self.p.begin("up", "--port", self.p.port)
        up.wait_text("is running at")
        self.p.pid = json.loads(pathlib.Path(self.p.data, "run/server.json").read_text())["pid"]
        # a terminal sends it to both
        os.kill(self.p.pid, signal.SIGINT)
        up.interrupt()
        self.assertEqual(up.wait().status, 0)
        self.p.cli("status").fails("cloudml up")


if __name__ == "__main__":
    platform.need_containers()
    platform.main()
