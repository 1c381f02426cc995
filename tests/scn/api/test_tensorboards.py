#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The pages of a TensorBoard pass through the server: who may see them, what goes on, and what comes back when the
program behind them misbehaves. BOARD_SILENCE=1 waits for the end of the two minutes as well."""

import os
import socket
import sys
import unittest

sys.dont_write_bytecode = True
from board import Board  # noqa: E402
from server import Answer, parse_args  # noqa: E402

ANSWER_MAX = 64 << 20
QUESTION_MAX = 1 << 20
OK = b"HTTP/1.1 200 OK\r\n"


def echo(head, body):
    yield OK + b"Content-Type: text/plain\r\nSet-Cookie: theirs=1\r\nX-Theirs: 1\r\nContent-Security-Policy: none\r\n"
    yield b"Location: http://example.org/\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def endless(head, body):
    yield OK + b"\r\n"
    for _ in range(0, ANSWER_MAX + 1, 1 << 20):
        yield b"x" * (1 << 20)


# By the last part of the path.
ANSWERS = {
    "": OK + b"Content-Type: text/html\r\nContent-Length: 5\r\n\r\npages",
    "echo": echo,
    "missing": b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
    "empty": OK + b"Content-Length: 0\r\n\r\n",
    "dies-silently": b"",
    "dies-in-head": OK + b"Content-Len",
    "dies-in-body": OK + b"Content-Length: 100\r\n\r\nsome",
    "dies-in-chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nsome",
    "other-protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "zeros": b"HTTP/1.1 200 \0\0\0\r\n\r\n",
    "no-status": b"HTTP/1.1 abc What\r\n\r\n",
    "status-0": b"HTTP/1.1 000 Zero\r\nContent-Length: 0\r\n\r\n",
    "status-999": b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    "status-101": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "bad-length": OK + b"Content-Length: -1\r\n\r\n",
    "two-lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "bad-chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "long-head": OK + b"X: " + b"y" * (1 << 20),
    "says-too-much": OK + b"Content-Length: %d\r\n\r\n" % (ANSWER_MAX + 1),
    "endless": endless,
    "two-lines": OK + b"Content-Type: text/html\nSet-Cookie: theirs=1\r\nContent-Length: 2\r\n\r\nok",
    "silent": None,
}
ENDED = "the connection ended in the middle of the answer"
NOT_HTTP = "the answer is not HTTP"
BAD = {"dies-silently": ENDED, "dies-in-head": ENDED, "dies-in-body": ENDED, "dies-in-chunks": ENDED, "status-101": ENDED,
       "other-protocol": NOT_HTTP, "zeros": NOT_HTTP, "no-status": NOT_HTTP, "status-0": NOT_HTTP, "status-999": NOT_HTTP,
       "bad-length": NOT_HTTP, "two-lengths": NOT_HTTP, "bad-chunk": NOT_HTTP, "long-head": NOT_HTTP,
       "says-too-much": f"the answer has {ANSWER_MAX + 1} bytes, more than {ANSWER_MAX}",
       "endless": f"the answer is larger than {ANSWER_MAX} bytes"}
new_server = parse_args()
server = board = None


def setUpModule():
    global server, board
    server = new_server().start()
    board = Board(server, "board", ANSWERS)


def tearDownModule():
    """The server ends while an answer is awaited."""
    waiting = server.connect()
    waiting.request("GET", "/tensorboard/board/silent", headers={"Authorization": "Bearer " + server.token})
    while not any(b"/silent " in head for head, _ in board.upstream.seen):
        assert server.get("/tensorboard/board/").status == 200
    status = server.stop()
    waiting.close()
    board.close()
    server.close()
    assert status == 0, f"the server ended with {status}"


def page(path, method="GET", **more):
    return server.call(method, "/tensorboard/board/" + path, **more)


def ask_too_much(sent=b"", **headers):
    """Raw: where the length alone says it, nothing is sent."""
    connection = server.connect()
    try:
        connection.putrequest("POST", "/tensorboard/board/echo")
        for name, value in dict(headers, Authorization="Bearer " + server.token).items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        if sent:
            connection.send(sent)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def login():
    answer = server.call("POST", "/api/v1/session", {"token": server.token}, token=None)
    return answer.headers["Set-Cookie"].partition(";")[0]


class Who(unittest.TestCase):
    def answers(self, name, token):
        """To every kind of question, with the name taken out."""
        asked = (("GET", ""), ("GET", "/"), ("GET", "/data/runs?tag=a"), ("POST", "/echo"))
        return [(a.status, a.body.replace(f"'{name}'".encode(), b"'NAME'"), a.headers["Content-Type"], a.headers["Location"])
                for method, rest in asked for a in [server.call(method, f"/tensorboard/{name}{rest}", token=token)]]

    def test_another_organisation_gets_the_answer_of_a_name_that_is_not_there(self):
        eve = server.new_key("eve", "admin", org="other")[1]
        count = len(board.upstream.seen)
        answers = self.answers("board", eve)
        self.assertEqual({a[0] for a in answers}, {404})
        self.assertEqual(answers, self.answers("never", eve))
        self.assertEqual(answers, self.answers("never", server.token))
        self.assertEqual(len(board.upstream.seen), count)

    def test_without_a_login_nothing_is_said(self):
        count = len(board.upstream.seen)
        answers = self.answers("board", None)
        self.assertEqual({a[0] for a in answers}, {401})
        self.assertEqual(answers, self.answers("never", None))
        self.assertEqual(page("", token="cml_k_no").status, 401)
        self.assertEqual(page("", token=None, headers={"Cookie": "cloudml_session=root.9.00"}).status, 401)
        self.assertEqual(len(board.upstream.seen), count)

    def test_a_viewer_may_look_and_ask(self):
        viewer = server.new_key("vera", "viewer")[1]
        self.assertEqual(page("", token=viewer).body, b"pages")
        self.assertEqual(page("echo", "POST", body="q", token=viewer).body, b"q")

    def test_a_page_of_another_origin_may_not_ask(self):
        cookie, own = login(), f"http://127.0.0.1:{server.port}"
        count = len(board.upstream.seen)
        for origin in ("http://example.org", "null", own + "0", f"https://127.0.0.1:{server.port}.example.org"):
            answer = page("echo", "POST", body="q", token=None, headers={"Cookie": cookie, "Origin": origin})
            self.assertEqual((origin, answer.status, answer.code), (origin, 403, "denied"))
        self.assertEqual(len(board.upstream.seen), count)
        answer = page("echo", "POST", body="q", token=None, headers={"Cookie": cookie, "Origin": own})
        self.assertEqual((answer.status, answer.body), (200, b"q"))

    def test_other_methods_are_refused(self):
        for method in ("PUT", "DELETE", "PATCH"):
            self.assertEqual((method, page("echo", method).status), (method, 405))


class What(unittest.TestCase):
    def last(self):
        return board.upstream.seen[-1]

    def test_nothing_of_the_caller_goes_on(self):
        secret = {"Cookie": login() + "; theirs=canary", "X-CSRF-Token": "canary", "Referer": "http://canary/",
                  "User-Agent": "canary", "X-Forwarded-For": "canary", "Proxy-Authorization": "canary",
                  "Idempotency-Key": "canary", "Content-Type": "text/canary"}
        for method, token, body in (("GET", "", None), ("GET", None, None), ("POST", "", "body"), ("POST", None, "body")):
            self.assertEqual(page("echo?a=%0d%0aCookie:%20b", method, body=body, token=token, headers=secret).status, 200)
            head, got = self.last()
            lines = head.decode().split("\r\n")
            self.assertEqual(lines[0], f"{method} /tensorboard/board/echo?a=%0d%0aCookie:%20b HTTP/1.1")
            names = {line.partition(":")[0] for line in lines[1:]}
            self.assertEqual(names, {"Host", "Connection"} | ({"Content-Type", "Content-Length"} if body else set()))
            self.assertEqual(got, (body or "").encode())
            self.assertNotIn(server.token, head.decode())

    def test_nothing_but_status_type_and_body_comes_back(self):
        answer = page("echo", "POST", body="q")
        self.assertEqual((answer.status, answer.headers["Content-Type"], answer.body), (200, "text/plain", b"q"))
        for name in ("Set-Cookie", "X-Theirs", "Location"):
            self.assertIsNone(answer.headers[name], name)
        policies = answer.headers.get_all("Content-Security-Policy")
        self.assertEqual(len(policies), 1)
        self.assertIn("default-src 'self'", policies[0])
        self.assertEqual((page("missing").status, page("missing").body), (404, b"none"))
        self.assertEqual((page("empty").status, page("empty").body), (200, b""))

    def test_a_type_of_two_lines_is_not_a_header_more(self):
        answer = page("two-lines")
        self.assertIsNone(answer.headers["Set-Cookie"])
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "application/octet-stream"))

    def test_the_name_alone_leads_to_the_pages(self):
        answer = server.get("/tensorboard/board")
        self.assertEqual((answer.status, answer.headers["Location"]), (302, "/tensorboard/board/"))

    def test_a_question_has_a_limit(self):
        self.assertEqual(len(page("echo", "POST", body="x" * QUESTION_MAX).body), QUESTION_MAX)
        count = len(board.upstream.seen)
        answer = ask_too_much(Content_Length=str(QUESTION_MAX + 1))
        self.assertEqual((answer.status, answer.code), (413, "too_large"))
        self.assertIn(f"takes at most {QUESTION_MAX}", answer.message)
        answer = ask_too_much(b"%x\r\n%s\r\n0\r\n\r\n" % (QUESTION_MAX + 1, b"x" * (QUESTION_MAX + 1)), Transfer_Encoding="chunked")
        self.assertEqual((answer.status, answer.code), (413, "too_large"))
        self.assertEqual(len(board.upstream.seen), count)


class Misbehaved(unittest.TestCase):
    def test_a_bad_answer_is_a_bad_gateway_that_says_why(self):
        for name, why in BAD.items():
            for method in ("GET", "POST"):
                with self.subTest(answer=name, method=method):
                    answer = page(name, method)
                    self.assertEqual((answer.status, answer.code), (502, "backend"), answer.body[:200])
                    self.assertIn(f"asking TensorBoard 'board': {why}", answer.message)
        self.assertEqual(page("").body, b"pages")

    @unittest.skipUnless(os.environ.get("BOARD_SILENCE"), "takes two minutes; BOARD_SILENCE=1 runs it")
    def test_silence_ends_in_time(self):
        answer = page("silent", token=server.token)
        self.assertEqual((answer.status, answer.code), (504, "timeout"))
        self.assertIn("asking TensorBoard 'board'", answer.message)
        self.assertIn("did not answer in time", answer.message)


class Gone(unittest.TestCase):
    def test_a_reset_connection_is_unavailable(self):
        for method in ("GET", "POST"):
            answer = page("resets", method)
            self.assertEqual((answer.status, answer.code), (503, "unavailable"))
            self.assertIn("asking TensorBoard 'board': cannot reach 'tensorboard': Connection reset by peer", answer.message)

    def test_a_program_that_does_not_listen_is_unavailable(self):
        path = board.upstream.listener.getsockname()
        os.rename(path, path + ".aside")
        try:
            no_socket = page("")
            with socket.socket(socket.AF_UNIX) as deaf:
                deaf.bind(path)
                nobody_listens = page("")
            os.unlink(path)
        finally:
            os.rename(path + ".aside", path)
        for answer in (no_socket, nobody_listens):
            self.assertEqual((answer.status, answer.code), (503, "unavailable"))
            self.assertIn("TensorBoard 'board' does not answer", answer.message)
        self.assertEqual(page("").body, b"pages")


if __name__ == "__main__":
    unittest.main()
