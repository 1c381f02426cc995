# SPDX-License-Identifier: Apache-2.0
"""Servers that take turns on processor 0 with a load on processor 1, and what is printed of it."""

import itertools
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import time

TICK = os.sysconf("SC_CLK_TCK")
WARM_UP_S = 2
START_S = 120


class Absent(Exception):
    """A peer that cannot be had, and why."""


class Void(Exception):
    """A measurement with wrong answers."""


def last_line(text):
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return lines[-1][:160] if lines else "no message"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def family(mark, session):
    """All processes of a server: of its session, or, where they detached, with its mark in their environment (which
    some overwrite). (pid, processor ticks)"""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[3]) == session or mark in (entry / "environ").read_bytes():
                    found.append((int(entry.name), int(fields[11]) + int(fields[12])))
            except OSError:
                continue
    return found


class Server:
    """One server on processor 0, stopped while it is not its turn."""

    numbers = itertools.count()

    def __init__(self, work, name, command, env=None, port=None, cwd=None):
        self.name = name
        (work / f"{name}.log").unlink(missing_ok=True)
        self.log = open(work / f"{name}.log", "a+")  # the server writes at the end wherever we read
        self.mark = f"CLOUDML_BENCH_SERVER={os.getpid()}-{next(Server.numbers)}"
        self.process = subprocess.Popen(["taskset", "-c", "0", *map(str, command)], stdout=self.log, stderr=self.log,
                                        env={**os.environ, **(env or {}), **dict([self.mark.split("=")])}, start_new_session=True, cwd=cwd or work)
        self.port = port

    def text(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def wait(self, is_ready):
        end = time.monotonic() + START_S
        while not is_ready(self):
            if self.process.poll() is not None or time.monotonic() > end:
                why = last_line(self.text())
                self.end()
                raise Absent(f"does not start: {why}")
            time.sleep(0.1)
        return self

    def family(self):
        return family(self.mark.encode(), self.process.pid)

    def signal(self, number):
        for pid, _ in self.family():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def cpu_s(self):
        return sum(ticks for _, ticks in self.family()) / TICK

    def rss_mib(self):
        total = 0
        for pid, _ in self.family():
            try:
                lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
        return total / 1024

    def end(self):
        self.signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()


def drive(load, server, seconds):
    done = subprocess.run(["taskset", "-c", "1", *map(str, load.command(server.port, seconds))], capture_output=True,
                          text=True)
    if done.returncode != 0:
        raise Void(f"{server.name}: {last_line(done.stderr or done.stdout)}")
    result = load.read(done.stdout)
    if result["errors"] or not result["calls"]:
        raise Void(f"{server.name}: {result['errors']} errors, {result['calls']} answers")
    return result


def measure(load, server, seconds):
    server.signal(signal.SIGCONT)
    drive(load, server, WARM_UP_S)
    before = server.cpu_s()
    result = drive(load, server, seconds)
    return {"rate": result["calls"] / result["seconds"], "cpu_us": (server.cpu_s() - before) * 1e6 / result["calls"],
            "p50_us": result["p50_us"], "p99_us": result["p99_us"], "rss_mib": server.rss_mib()}


def compare(options, pairs):
    """[(load, server), (load, server)] in turns."""
    rounds = []
    for _, server in pairs:
        server.signal(signal.SIGSTOP)
    for _ in range(options.rounds):
        both = []
        for load, server in pairs:
            both.append(measure(load, server, options.seconds))
            server.signal(signal.SIGSTOP)
        rounds.append(both)
    return rounds


def span(values, form):
    return f"{form % statistics.median(values)} ({form % min(values)} to {form % max(values)})"


def report(title, names, rounds):
    middle = lambda i, key: statistics.median(r[i][key] for r in rounds)  # noqa: E731
    print(f"{title}: {names[0]} / {names[1]}")
    print(f"  rate ratio      {span([a['rate'] / b['rate'] for a, b in rounds], '%.2f')}")
    print(f"  cpu ratio       {span([a['cpu_us'] / b['cpu_us'] for a, b in rounds], '%.2f')}")
    for i, name in enumerate(names):
        print(f"  {name:<15} {middle(i, 'rate'):9.0f}/s  {middle(i, 'cpu_us'):8.1f} us cpu  p50 {middle(i, 'p50_us'):.0f} us  "
              f"p99 {middle(i, 'p99_us'):.0f} us  {middle(i, 'rss_mib'):.0f} MiB")
    sys.stdout.flush()
