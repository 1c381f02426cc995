#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Model services with replicas, in real containers: clients that never pause while replicas are killed, hang, are
replaced by another version, and weights change. Needs root and a package index (scikit-learn's environment)."""

import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import urllib.parse

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from lib import platform  # noqa: E402

PATIENCE = 900  # with the environment
# Answers which version it is, and takes a moment for it.
PREDICT = """
import time
import numpy as np
signature = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
             "outputs": [{"name": "version", "datatype": "INT64", "shape": [-1]}]}
def load(path):
    print("version %(version)d is here", flush=True)
    %(load)s
def predict(inputs):
    time.sleep(0.002)
    return {"version": np.full(len(inputs["x"]), %(version)d, np.int64)}
"""
BODY = json.dumps({"instances": [[1.0, 2.0]]})
MODEL = ("--cpu", "250m", "--memory", "1G", "--health-interval", "300ms", "--health-failures", "3")


class Client(threading.Thread):
    """Asks without a pause; counts what went wrong and which versions answered."""

    def __init__(self, model, keep):
        super().__init__(daemon=True)
        self.url = urllib.parse.urlsplit(model["http_url"])
        self.keep, self.stopped = keep, threading.Event()
        self.asked, self.failed, self.versions = 0, [], {}
        self.start()

    def run(self):
        link = None
        while not self.stopped.is_set():
            self.asked += 1
            try:
                link = link or http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=60)
                link.request("POST", self.url.path + ":predict", BODY, {"Content-Type": "application/json"})
                answer = link.getresponse()
                content = answer.read()
                if answer.status != 200:
                    raise OSError(f"{answer.status} {content[:200]}")
                version = json.loads(content)["predictions"][0]
                self.versions[version] = self.versions.get(version, 0) + 1
                if self.keep and not answer.will_close:
                    continue
            except (OSError, http.client.HTTPException) as e:
                self.failed.append(repr(e))
            if link:
                link.close()
            link = None

    def end(self):
        self.stopped.set()
        self.join()


# Predict on one channel of the real gRPC library, without a pause; the request is written by hand: no stubs are needed.
GRPC_CLIENT = """
import json, sys, threading, grpc
def field(number, data):
    return bytes([number << 3 | 2, len(data)]) + data
def take(data):
    return data
tensor = b"\\x08\\x01" + field(2, field(2, b"\\x08\\x01") + field(2, b"\\x08\\x02")) + field(5, b"\\0\\0\\x80\\x3f" * 2)
request = field(1, field(1, sys.argv[2].encode())) + field(2, field(1, b"x") + field(2, tensor))
channel = grpc.insecure_channel(sys.argv[1])
call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict", take, take)
stop, asked, failed = threading.Event(), 0, []
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
while not stop.is_set():
    asked += 1
    try:
        if not call(request, timeout=60):
            failed.append("an empty answer")
    except grpc.RpcError as e:
        failed.append(str(e.code()) + " " + str(e.details()))
print(json.dumps({"asked": asked, "failed": failed}))
"""


def grpc_python():
    made = subprocess.run([platform.ROOT / "tests/py_env", platform.ROOT / "tests/scn/serving/requirements.txt"],
                          capture_output=True, text=True, timeout=PATIENCE)
    if made.returncode:
        raise AssertionError(f"no environment with gRPC: {made.stderr}")
    return os.path.join(made.stdout.strip(), "bin/python")


class GrpcClient:
    def __init__(self, python, model):
        self.versions = {}
        self.process = subprocess.Popen([python, "-c", GRPC_CLIENT, model["address"], model["name"]],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end(self):
        out, _ = self.process.communicate(timeout=120)
        told = json.loads(out)
        self.asked, self.failed = told["asked"], told["failed"]


class Clients:
    """Two on connections that they keep, two with a new one for every request, two over gRPC."""

    def __init__(self, model, python):
        self.http = [Client(model, keep) for keep in (True, True, False, False)]
        self.all = self.http + [GrpcClient(python, model) for _ in range(2)]

    def __enter__(self):
        return self

    def __exit__(self, *how):
        for client in self.all:
            client.end()

    def asked(self):
        return sum(client.asked for client in self.all)

    def failed(self):
        return [failure for client in self.all for failure in client.failed]

    def versions(self):
        sums = {}
        for client in self.all:
            for version, count in client.versions.items():
                sums[version] = sums.get(version, 0) + count
        return sums

    def ask_more(self, count=200):
        goal = self.asked_http() + count
        platform.until(f"{count} more answers", lambda: self.asked_http() >= goal)

    def asked_http(self):
        return sum(client.asked for client in self.http)


def server_of(task):
    """The process of a replica's model server, by its control group."""
    for pid in platform.processes_with("/.cloudml/cloudml-serving"):
        try:
            groups = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            continue
        if task in groups:
            return pid
    raise AssertionError(f"no model server runs in {task}")


class Replicas(platform.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.python = grpc_python()
        for version in (1, 2, 3):
            cls.upload(f"digits/{version}", version)
        cls.upload("broken/9", 9, "raise RuntimeError('no weights in this file')")
        cls.p.cli("models", "create", "m", "--uri", "fds://default/digits/", "--weights", "1=900,2=100", "--replicas", "2",
                  *MODEL, timeout=PATIENCE).ok()
        cls.settled()

    @classmethod
    def upload(cls, where, version, load="pass"):
        folder = cls.p.folder({"predict.py": PREDICT % {"version": version, "load": load}})
        cls.p.cli("store", "cp", folder + "/predict.py", f"fds://default/{where}/predict.py").ok()

    @classmethod
    def model(cls):
        return cls.p.get("/models/m")

    @classmethod
    def settled(cls, ready=2):
        def look():
            m = cls.model()
            good = m["replicas_ready"] == ready == len(m["replicas"]) and m["update"]["state"] != "rolling"
            return m if good else None
        return platform.until(f"{ready} replicas to be ready", look)

    @staticmethod
    def task(model, replica):
        return "%s-%d-serving-%d" % (model["id"], replica["attempt"], replica["replica"])

    def events(self):
        return [e["reason"] for e in self.p.get("/models/m/events")["data"]]

    def test_a_killed_replica_costs_only_what_was_in_flight_on_it(self):
        m = self.settled()
        with Clients(m, self.python) as clients:
            clients.ask_more()
            os.kill(server_of(self.task(m, m["replicas"][0])), signal.SIGKILL)
            clients.ask_more()
            again = self.settled()
            clients.ask_more()
        self.assertEqual(again["address"], m["address"])
        self.assertEqual(again["restarts"], m["restarts"] + 1)
        print(f"killed: {len(clients.failed())} of {clients.asked()} requests failed", file=sys.stderr)
        self.assertLessEqual(len(clients.failed()), 6, clients.failed())  # as many as are in flight at a time
        self.assertIn("restarting", self.events())

    def test_a_hanging_replica_is_replaced(self):
        m = self.settled()
        pid = server_of(self.task(m, m["replicas"][1]))
        os.kill(pid, signal.SIGSTOP)
        platform.until("the hanging replica to be replaced", lambda: self.model()["restarts"] > m["restarts"])
        again = self.settled()
        self.assertEqual(again["address"], m["address"])
        self.assertFalse(platform.is_alive(pid))
        messages = [e["message"] for e in self.p.get("/models/m/events")["data"]]
        self.assertTrue(any("health checks in a row failed" in text for text in messages), messages)

    def test_updates_and_weights_lose_no_request(self):
        m = self.settled()
        with Clients(m, self.python) as clients:
            clients.ask_more()
            for weights in ("1=500,2=500", "1=0,2=1000", "1=1000,2=0"):
                self.p.cli("models", "update", "m", "--weights", weights).ok()
                clients.ask_more()
            same = self.settled()
            self.assertEqual([r["attempt"] for r in same["replicas"]], [r["attempt"] for r in m["replicas"]])
            before = clients.versions()
            self.p.cli("models", "update", "m", "--weights", "3=1000").ok()
            clients.ask_more()
            rolled = self.settled()
            told = self.p.cli("models", "update", "m", "--uri", "fds://default/broken/", "--weights", "9=1000")
            told.fails("no weights in this file")
            clients.ask_more()
            kept = self.settled()
            metrics = self.p.json("models", "metrics", "m")
            self.p.cli("models", "update", "m", "--weights", "1=900,2=100").ok()
            clients.ask_more()
        print(f"updates: {len(clients.failed())} of {clients.asked()} requests failed", file=sys.stderr)
        self.assertEqual(clients.failed(), [])
        self.assertEqual({r["address"] for r in (m, same, rolled, kept)}, {m["address"]})
        self.assertGreater(before[2], 0)
        self.assertGreater(clients.versions()[3], 0)
        self.assertNotIn(9, clients.versions())
        self.assertEqual((kept["update"]["state"], kept["spec"]["weights"]), ("failed", "3=1000"))
        self.assertEqual(len(metrics["replicas"]), 2)
        self.assertGreater(metrics["requests"], 0)
        self.assertGreater(metrics["p50_ms"], 0)

    def test_weights_survive_a_replica_and_the_server(self):
        self.p.cli("models", "update", "m", "--weights", "1=0,2=1000").ok()
        m = self.settled()
        for end in (self.p.stop, self.p.kill):
            end()
            os.kill(server_of(self.task(m, m["replicas"][0])), signal.SIGKILL)
            self.p.start()
            platform.until("another attempt", lambda: self.model()["restarts"] > m["restarts"])
            m = self.settled()
            with Clients(m, self.python) as clients:
                clients.ask_more(40)
            self.assertEqual((list(clients.versions()), clients.failed()), ([2], []))
        self.p.cli("models", "update", "m", "--weights", "1=900,2=100").ok()

    def test_a_server_that_dies_in_an_update_goes_on_with_it(self):
        m = self.settled()
        with Clients(m, self.python) as clients:
            revision = int(self.p.cli("models", "update", "m", "--weights", "2=1000", "--detach").ok().out)
            self.p.kill()
            clients.ask_more()
            self.p.start()
            platform.until("the update's end", lambda: self.model()["update"]["state"] == "done")
            after = self.settled()
        self.assertEqual((after["revision"], after["release"]), (revision, revision))
        self.assertEqual(clients.failed(), [])
        self.p.cli("models", "update", "m", "--weights", "1=900,2=100").ok()

    def test_replicas_share_a_port_also_when_the_server_dies_while_they_begin(self):
        self.upload("early", 5)
        self.p.cli("models", "create", "early", "--uri", "fds://default/early/", "--replicas", "2", "--detach", *MODEL).ok()
        self.p.kill()
        self.p.start()
        m = platform.until("two replicas", lambda: self.p.get("/models/early") if
                           self.p.get("/models/early")["replicas_ready"] == 2 else None)
        ports = {json.loads(pathlib.Path(self.p.data, "tasks", self.task(m, r), "status.json").read_text())["port"]
                 for r in m["replicas"]}
        self.assertEqual({m["address"].rsplit(":", 1)[1]}, {str(port) for port in ports})
        self.p.cli("models", "delete", "early").ok()

    def test_every_form_of_a_request_is_understood(self):
        forms = {"rows": [[1, 2]], "instances": {"instances": [[1, 2]]}, "inputs": {"inputs": {"x": [[1, 2]]}},
                 "original": {"x": [[1, 2]], "x_dtype": "float32"}}
        for name, form in forms.items():
            for protocol in ((), ("--grpc",)):
                with self.subTest(name, protocol=protocol):
                    answer = self.p.cli("--json", "models", "predict", "m", "-f", "-", *protocol, text=json.dumps(form)).json()
                    self.assertTrue(answer.get("predictions") or answer.get("outputs"), answer)
        wrong = self.p.cli("models", "predict", "m", "--grpc", "-f", "-", text=json.dumps({"x": [[1]], "x_dtype": "int8"}))
        wrong.fails("x_dtype", "DT_FLOAT")

    def test_logs_are_there_for_each_replica(self):
        m = self.settled()
        whole = self.p.cli("models", "logs", "m").ok().out
        for r in m["replicas"]:
            self.assertIn("is here", self.p.cli("models", "logs", "m", "--replica", r["replica"]).ok().out)
            self.assertIn("==> replica %d," % r["replica"], whole)
        self.p.cli("models", "logs", "m", "--replica", "31").fails("no replica 31")

    def test_what_cannot_be_is_said_at_once(self):
        for args, words in (
                (("--weights", "1=500,7=500"), ("no version 7",)), (("--weights", "1=500"), ("1000",)),
                (("--uri", "fds://default/none/"), ("nothing at",)), ((), ("nothing to change",)),
                (("--replicas", "0"), ("replicas",)), (("--cpu", "900"), ("cpu",))):
            with self.subTest(args=args):
                self.p.cli("models", "update", "m", *args).fails(*words)

    def test_a_delete_can_be_repeated(self):
        self.upload("alone", 4)
        self.p.cli("models", "create", "alone", "--uri", "fds://default/alone/", *MODEL, timeout=PATIENCE).ok()
        key = {"Idempotency-Key": "delete-alone"}
        self.assertEqual(self.p.api("DELETE", "/models/alone", headers=key)[0], 202)
        platform.until("its end", lambda: self.p.api("GET", "/models/alone")[0] == 404)
        self.assertEqual(self.p.api("DELETE", "/models/alone", headers=key)[1]["state"], "deleted")
        self.assertEqual(self.p.api("DELETE", "/models/m", headers=key)[0], 409)


if __name__ == "__main__":
    platform.need_containers()
    platform.need_network()
    platform.main()
