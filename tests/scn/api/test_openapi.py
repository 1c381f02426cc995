#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The description of the API is valid OpenAPI 3.1, as openapi-spec-validator (in an environment that is thrown away) sees it."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from server import parse_args  # noqa: E402

VALIDATOR = "openapi-spec-validator==0.7.1"


def main():
    if not shutil.which("uv"):
        print("skipped: uv is not installed")
        return 77
    server = parse_args()().start()
    try:
        document = server.get("/api/v1/openapi.json").json
    finally:
        server.close()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "openapi.json")
        path.write_text(json.dumps(document))
        made = subprocess.run(["uv", "tool", "run", "--from", VALIDATOR, "python", "-c", ""], capture_output=True, text=True)
        if made.returncode:
            print(f"skipped: {VALIDATOR} cannot be installed here")
            return 77
        ended = subprocess.run(["uv", "tool", "run", "--from", VALIDATOR, "openapi-spec-validator", str(path)],
                               capture_output=True, text=True)
    print(ended.stdout, ended.stderr)
    print(f"{int(not ended.returncode)} passed, {int(ended.returncode != 0)} failed, 0 skipped")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
