# SPDX-License-Identifier: Apache-2.0
"""Signed requests made by hand, in every form of payload, so that a test can spoil one thing at a time."""
import base64
import binascii
import dataclasses
import datetime
import hashlib
import hmac
import http.client
from urllib.parse import quote

EMPTY = hashlib.sha256(b"").hexdigest()
STREAMING = {"chunks": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
             "chunks-trailer": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
             "unsigned-trailer": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
WORDS = {**STREAMING, "unsigned": "UNSIGNED-PAYLOAD", "unknown": "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"}
FORMS = ["hashed", "unsigned", "chunks", "chunks-trailer", "unsigned-trailer"]
CHUNK = 8


def _hmac(key, text):
    return hmac.new(key, text.encode(), "sha256").digest()


@dataclasses.dataclass
class Signed:
    """A request that is right. Change a field, then send()."""
    method: str
    path: str
    query: list
    headers: dict
    body: bytes
    form: str
    place: str
    access_key: str
    secret: str
    date: str
    chunks: list = dataclasses.field(default_factory=list)  # [signature or None, bytes]
    trailers: list = dataclasses.field(default_factory=list)  # [name, value]

    @property
    def scope(self):
        return f"{self.date[:8]}/us-east-1/s3/aws4_request"

    def _key(self):
        key = ("AWS4" + self.secret).encode()
        for part in self.scope.split("/"):
            key = _hmac(key, part)
        return key

    def _seed(self):
        names = ";".join(sorted(n.lower() for n in self.headers))
        if self.place == "query":
            self.query += [["X-Amz-Algorithm", "AWS4-HMAC-SHA256"],
                           ["X-Amz-Credential", f"{self.access_key}/{self.scope}"], ["X-Amz-Date", self.date],
                           ["X-Amz-Expires", "300"], ["X-Amz-SignedHeaders", names]]
        pairs = sorted((quote(n, safe="-._~"), quote(v, safe="-._~")) for n, v in self.query)
        lower = {n.lower(): v for n, v in self.headers.items()}
        canonical = "\n".join([self.method, quote(self.path, safe="/-._~"), "&".join(f"{n}={v}" for n, v in pairs),
                               "".join(f"{n}:{lower[n]}\n" for n in sorted(lower)), names,
                               lower["x-amz-content-sha256"]])
        text = "\n".join(["AWS4-HMAC-SHA256", self.date, self.scope, hashlib.sha256(canonical.encode()).hexdigest()])
        signature = _hmac(self._key(), text).hex()
        if self.place == "query":
            self.query.append(["X-Amz-Signature", signature])
        else:
            self.headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.access_key}/{self.scope}, "
                                             f"SignedHeaders={names}, Signature={signature}")
        return signature

    def _next(self, kind, previous, data):
        empty = [EMPTY] if kind == "PAYLOAD" else []
        text = "\n".join([f"AWS4-HMAC-SHA256-{kind}", self.date, self.scope, previous, *empty,
                          hashlib.sha256(data).hexdigest()])
        return _hmac(self._key(), text).hex()

    def sign(self):
        previous = self._seed()
        if self.form not in STREAMING:
            return self
        pieces = [self.body[i:i + CHUNK] for i in range(0, len(self.body), CHUNK)] + [b""]
        signed = self.form.startswith("chunks")
        for piece in pieces:
            if signed:
                previous = self._next("PAYLOAD", previous, piece)
            self.chunks.append([previous if signed else None, piece])
        if self.form.endswith("trailer"):
            crc = base64.b64encode(binascii.crc32(self.body).to_bytes(4, "big")).decode()
            self.trailers.append(["x-amz-checksum-crc32", crc])
            if signed:
                text = f"x-amz-checksum-crc32:{crc}\n".encode()
                self.trailers.append(["x-amz-trailer-signature", self._next("TRAILER", previous, text)])
        return self

    def content(self):
        if self.form not in STREAMING:
            return self.body
        out = b""
        for signature, data in self.chunks:
            mark = f";chunk-signature={signature}" if signature else ""
            out += f"{len(data):x}{mark}\r\n".encode() + data + (b"\r\n" if data else b"")
        return out + "".join(f"{n}:{v}\r\n" for n, v in self.trailers).encode() + b"\r\n"

    def send(self, address, cut=0):
        """(status, body); status 0 when the server broke the connection off, or when we do, 'cut' bytes before the end."""
        content = self.content()
        target = quote(self.path, safe="/-._~")
        if self.query:
            target += "?" + "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in self.query)
        c = http.client.HTTPConnection(*address, timeout=20)
        try:
            c.putrequest(self.method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                c.putheader(name, value)
            c.putheader("Content-Length", str(len(content)))
            c.endheaders()
            c.send(content[:len(content) - cut])
            if cut:
                return 0, b""
            answer = c.getresponse()
            return answer.status, answer.read()
        except (http.client.HTTPException, ConnectionError):
            return 0, b""
        finally:
            c.close()


def stamp(seconds=0):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y%m%dT%H%M%SZ")


def make(credentials, method, path, query=(), headers=None, body=b"", form="hashed", place="header", date=None,
         length=None):
    """A request that is right, but for a date or a decoded length that are given."""
    date = date or stamp()
    host = credentials["endpoint"].split("//")[1]
    h = {"Host": host, **(headers or {})}
    h["x-amz-content-sha256"] = WORDS.get(form) or hashlib.sha256(body).hexdigest()
    if place == "header":
        h["x-amz-date"] = date
    if form in STREAMING:
        h["x-amz-decoded-content-length"] = str(len(body) if length is None else length)
        h["Content-Encoding"] = "aws-chunked"
    if form.endswith("trailer"):
        h["x-amz-trailer"] = "x-amz-checksum-crc32"
    return Signed(method, path, [list(q) for q in query], h, body, form, place, credentials["access_key_id"],
                  credentials["secret_access_key"], date).sign()
