# SPDX-License-Identifier: Apache-2.0
"""Tools that only Go's module proxy has, built once and kept beside the test environments."""

import os
import pathlib
import shutil
import subprocess

import pytest

CACHE = pathlib.Path(__file__).resolve().parents[3] / ".cache" / "bin"


def go_tool(name, command, folder=None):
    """Path of the program; 'command' is what 'go' is to do when there is none yet, {out} its file.
    A machine without Go or a way to its modules skips."""
    program = CACHE / name
    if shutil.which(name) or program.exists():
        return shutil.which(name) or program
    if not shutil.which("go"):
        pytest.skip(f"neither {name} nor go is installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["go", *(part.format(out=program) for part in command)], cwd=folder,
                          env={**os.environ, "GOBIN": str(CACHE)}, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"{name} cannot be built: " + done.stderr[-500:])
    return program
