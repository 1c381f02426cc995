#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends each request of a file once. usage: fill.py REQUESTS PORT CONNECTIONS"""
import asyncio
import sys


def read_requests(path):
    with open(path, "rb") as f:
        while line := f.readline():
            yield f.read(int(line))


async def client(port, requests):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.split(b"\r\n")[0].decode())
    writer.close()


async def main(path, port, connections):
    requests = read_requests(path)
    await asyncio.gather(*(client(port, requests) for _ in range(connections)))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
