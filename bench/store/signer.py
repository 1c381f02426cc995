# SPDX-License-Identifier: Apache-2.0
"""Requests signed with AWS Signature Version 4, as the bytes that go over the wire."""
import datetime
import hashlib
import hmac
from urllib.parse import quote

SCOPE_END = "us-east-1/s3/aws4_request"


def chain(key, *texts):
    for text in texts:
        key = hmac.new(key, text.encode(), "sha256").digest()
    return key


def request(method, path, host, credentials, query=(), body=b"", unsigned=False):
    """The whole request. unsigned: the body's hash is not part of the signature."""
    access_key, secret = credentials
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/{SCOPE_END}"
    payload = "UNSIGNED-PAYLOAD" if unsigned else hashlib.sha256(body).hexdigest()
    pairs = "&".join(f"{quote(n, safe='-._~')}={quote(v, safe='-._~')}" for n, v in sorted(query))
    headers = {"host": host, "x-amz-content-sha256": payload, "x-amz-date": now}
    names = ";".join(headers)
    canonical = "\n".join([method, quote(path, safe="/-._~"), pairs, "".join(f"{n}:{v}\n" for n, v in headers.items()),
                           names, payload])
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = chain(("AWS4" + secret).encode(), now[:8], *SCOPE_END.split("/"))
    headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, "
                                f"Signature={chain(key, text).hex()}")
    if body or method == "PUT":
        headers["Content-Length"] = str(len(body))
    target = quote(path, safe="/-._~") + (f"?{pairs}" if pairs else "")
    head = "".join(f"{n}: {v}\r\n" for n, v in headers.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body
