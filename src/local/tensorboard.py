# SPDX-License-Identifier: Apache-2.0
"""Runs TensorBoard inside of a task: NAME ADDRESS. It reads the store, takes connections from descriptor 4 and says on
descriptor 3 that it is ready."""

import json
import os
import socket
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from tensorboard import default, program
from tensorboard.compat.tensorflow_stub import compat, errors
from tensorboard.compat.tensorflow_stub.io import gfile
from tensorboard.util import io_util
from werkzeug import serving

READY_FD, CONTROL_FD = 3, 4
RELOAD_SECONDS = 5
HEALTH_PATH = "/v2/health/ready"


class Store:
    """What TensorBoard wants of a file system, for addresses fds://BUCKET/KEY. Objects are replaced by longer ones
    while a job writes: a read goes on at its offset in whatever is there then."""

    def __init__(self, client):
        self.client = client

    @staticmethod
    def split(address):
        bucket, _, key = compat.as_str_any(address).partition("://")[2].partition("/")
        return bucket, key

    def join(self, path, *paths):
        return "/".join((path.rstrip("/"), *paths))

    def pages(self, address, **more):
        bucket, key = self.split(address)
        prefix = key and key.rstrip("/") + "/"
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **more):
            yield prefix, page

    def listdir(self, address):
        found = []
        for prefix, page in self.pages(address, Delimiter="/"):
            found += [p["Prefix"][len(prefix):-1] for p in page.get("CommonPrefixes", [])]
            found += [o["Key"][len(prefix):] for o in page.get("Contents", []) if o["Key"] != prefix]
        return found

    def isdir(self, address):
        bucket, key = self.split(address)
        answer = self.client.list_objects_v2(Bucket=bucket, Prefix=key and key.rstrip("/") + "/", MaxKeys=1)
        return bool(answer.get("KeyCount"))

    def exists(self, address):
        try:
            return self.stat(address) is not None
        except errors.NotFoundError:
            return self.isdir(address)

    def glob(self, pattern):
        """Everything below a folder is all that TensorBoard asks of stores like this one."""
        if not pattern.endswith("/*") or "*" in pattern[:-1]:
            return []
        address = pattern[:-2]
        return [f"{address}/{o['Key'][len(prefix):]}" for prefix, page in self.pages(address)
                for o in page.get("Contents", []) if not o["Key"].endswith("/")]

    def stat(self, address):
        bucket, key = self.split(address)
        try:
            return gfile.StatData(self.client.head_object(Bucket=bucket, Key=key)["ContentLength"])
        except ClientError as e:
            raise errors.NotFoundError(None, None, f"there is no '{address}'") from e

    def read(self, address, binary_mode=False, size=None, continue_from=None):
        bucket, key = self.split(address)
        begin = (continue_from or {}).get("offset", 0)
        data = b""
        if size != 0:
            end = "" if size is None else begin + size - 1
            try:
                data = self.client.get_object(Bucket=bucket, Key=key, Range=f"bytes={begin}-{end}")["Body"].read()
            except ClientError as e:
                code = e.response["Error"]["Code"]
                if code in ("NoSuchKey", "404"):
                    raise errors.NotFoundError(None, None, f"there is no '{address}'") from e
                if code not in ("InvalidRange", "416"):  # nothing new at its end
                    raise
        return (data if binary_mode else data.decode("utf-8", "replace")), {"offset": begin + len(data)}


class Handler(serving.WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "-"

    def log_request(self, *args):
        pass


class Server(serving.ThreadedWSGIServer, program.TensorBoardServer):
    """Takes connections from the socket that came with the task."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, app, flags):
        super().__init__("unix://task", 0, self.with_health(app), Handler, fd=CONTROL_FD)

    @staticmethod
    def with_health(app):
        def answer(environ, start_response):
            if environ["PATH_INFO"] != HEALTH_PATH:
                return app(environ, start_response)
            start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
            return [b"ok\n"]
        return answer

    def get_url(self):
        return "http://localhost:80/"  # wanted with a port, by what registers a TensorBoard for notebooks

    def print_serving_message(self):
        print("ready", flush=True)

    def serve_forever(self, *args, **kwargs):
        os.write(READY_FD, json.dumps({"ready": True}).encode() + b"\n")
        os.close(READY_FD)
        super().serve_forever(*args, **kwargs)


def main(name, address):
    client = boto3.client("s3", config=Config(retries={"max_attempts": 5, "mode": "standard"},
                                              request_checksum_calculation="when_required",
                                              response_checksum_validation="when_required",
                                              s3={"addressing_style": "path"}))
    gfile.register_filesystem("fds", Store(client))
    io_util.IsCloudPath = lambda path: "://" in path
    board = program.TensorBoard(default.get_plugins(), server_class=Server)
    board.configure(logdir=address, port=0, path_prefix=f"/tensorboard/{name}", load_fast="false", reload_multifile=True,
                    reload_interval=RELOAD_SECONDS, window_title=f"{name} - TensorBoard")
    return board.main()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
