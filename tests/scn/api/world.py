# SPDX-License-Identifier: Apache-2.0
"""An organisation with something of everything, for the tests of who may see it; and the route table as the server tells it."""

import re


def routes(server):
    """Every operation: method, path, role, scope, query parameters, whether it takes a JSON body."""
    for path, operations in server.get("/api/v1/openapi.json").json["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {})
            yield {"method": method.upper(), "path": path, "role": operation["x-role"], "scope": operation["x-scope"],
                   "query": [p["name"] for p in operation["parameters"] if p["in"] == "query"],
                   "json": "application/json" in body, "bytes": "application/octet-stream" in body,
                   "stream": "text/event-stream" in str(operation["responses"])}


def fill_machine(server):
    """One job of the first organisation holds every core: what others make waits, and stays as it was made."""
    cores = server.get("/api/v1/status").json["capacity"]["cpu"]
    job = server.call("POST", "/api/v1/jobs", {"command": ["sleep", "100000"], "cpu": str(cores)}).json["id"]
    for event, data in server.events(f"/api/v1/watch?job={job}"):
        if event == "job" and data["state"] in ("starting", "running"):
            return


class World:
    """Everything in it has a word of its own that is nowhere else, a canary."""

    def __init__(self, server, org):
        self.server, self.org = server, org
        self.canaries = {}
        name = self.canary
        server.call("POST", "/api/v1/orgs", {"name": org, "description": name("description")})
        assert server.call("PATCH", f"/api/v1/orgs/{org}/quota", {"training": {"cpu": 3}, "weight": 7321}).status == 200
        self.tokens, self.keys, self.users = {}, {}, {}
        for role in ("viewer", "member", "admin"):
            self.users[role] = name("user" + role)
            self.keys[role], self.tokens[role] = server.new_key(self.users[role], role, org=org, note=name("note" + role))
        self.bucket, self.object = name("bucket"), name("object")
        self.must("PUT", f"/api/v1/store/{self.bucket}", None)
        self.must("PUT", f"/api/v1/store/{self.bucket}/{self.object}/a.onnx", name("content").encode())
        self.must("PUT", f"/api/v1/store/{org}/{self.object}/a.onnx", name("onnx").encode())
        self.must("PUT", f"/api/v1/store/{org}/code.tar.gz", name("package").encode())
        self.job_name = name("job")
        self.job = self.must("POST", "/api/v1/jobs", {
            "name": self.job_name, "command": ["echo", name("argument")], "env": {name("variable").upper().replace("-", "_"): name("value")},
            "requirements": [name("requirement")], "prepare_command": "echo " + name("prepare"),
            "finish_command": "echo " + name("finish"), "package": f"fds://{org}/code.tar.gz"},
            headers={"Idempotency-Key": name("idempotency")}).json["id"]
        self.canaries["job id"] = self.job
        self.model = name("model")
        self.canaries["model id"] = self.must("POST", "/api/v1/models", {
            "name": self.model, "uri": f"fds://{org}/{self.object}/a.onnx"}).json["id"]
        self.cron = name("cron")
        self.canaries["cron id"] = self.must("POST", "/api/v1/crons", {
            "name": self.cron, "schedule": "0 0 29 2 *", "job": {"command": ["echo", name("cronargument")]}}).json["id"]
        for role, key in self.keys.items():
            self.canaries["key " + role] = key

    def canary(self, what):
        """A label that is nowhere else."""
        self.canaries[what] = f"{self.org}x{len(self.canaries)}x{what}"
        return self.canaries[what]

    def must(self, method, path, body, **more):
        answer = self.server.call(method, path, body, token=self.tokens["admin"], **more)
        assert answer.status in (200, 201), (method, path, answer.status, answer.body)
        return answer

    def snapshot(self):
        """What its own administrator sees of all of it."""
        token = self.tokens["admin"]
        paths = ["/api/v1/jobs", "/api/v1/models", "/api/v1/crons", f"/api/v1/crons/{self.cron}/events", "/api/v1/store", f"/api/v1/store/{self.bucket}", f"/api/v1/store/{self.org}",
                 f"/api/v1/store/{self.bucket}/{self.object}/a.onnx", f"/api/v1/jobs/{self.job}/events",
                 f"/api/v1/models/{self.model}/events", "/api/v1/orgs", "/api/v1/orgs/-/users", "/api/v1/orgs/-/keys",
                 "/api/v1/orgs/-/quota", "/api/v1/orgs/-/events", "/api/v1/orgs/-/usage"]
        return {path: (a.status, re.sub(rb'"(message|reason|progress)":("[^"]*"|\{[^}]*\})', b"", a.body))
                for path in paths for a in [self.server.get(path, token=token)]}
