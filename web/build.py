#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Build the console into a C file: exact dependencies once per lock file, vite, tools/embed. Called by meson."""

import argparse
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

WEB = pathlib.Path(__file__).resolve().parent
STAMP = WEB / "node_modules" / ".installed-for"
SKIPPED = {"node_modules", "dist", "tests", "e2e"}


def lock_digest() -> str:
    digest = hashlib.sha256()
    for name in ("package.json", "package-lock.json"):
        digest.update((WEB / name).read_bytes())
    return digest.hexdigest()


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=WEB, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        raise SystemExit(f"console: '{' '.join(command)}' in '{WEB}' ended with status {done.returncode}")


def install(npm: str) -> None:
    digest = lock_digest()
    if STAMP.is_file() and STAMP.read_text() == digest:
        return
    run(npm, "ci", "--prefer-offline", "--no-audit", "--no-fund")
    STAMP.write_text(digest)


def sources() -> list[pathlib.Path]:
    found = []
    for folder, folders, files in os.walk(WEB):
        folders[:] = sorted(f for f in folders if f not in SKIPPED)
        found += [pathlib.Path(folder) / f for f in sorted(files)]
    return [*found, WEB.parent / "tools" / "embed"]


def write_depfile(path: pathlib.Path, output: pathlib.Path) -> None:
    escaped = (str(s).replace(" ", "\\ ") for s in sources())
    path.write_text(f"{output}: " + " ".join(escaped) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--npm", required=True)
    parser.add_argument("--dist", required=True, type=pathlib.Path, help="folder for the built files, emptied first")
    parser.add_argument("--output", required=True, type=pathlib.Path, help="the C file")
    parser.add_argument("--depfile", required=True, type=pathlib.Path)
    args = parser.parse_args()
    dist = args.dist.resolve()
    with open(WEB / "package-lock.json", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two build folders of one tree share node_modules
        install(args.npm)
        shutil.rmtree(dist, ignore_errors=True)
        run(args.npm, "run", "--silent", "build", "--", "--outDir", str(dist), "--emptyOutDir", "--logLevel", "warn")
    subprocess.run([sys.executable, WEB.parent / "tools" / "embed", dist, args.output], check=True)
    write_depfile(args.depfile, args.output)


if __name__ == "__main__":
    main()
