# SPDX-License-Identifier: Apache-2.0
"""The page for people: what it shows, its form, and that nothing foreign gets into it."""

import html.parser
import http.client
import json
import shutil
import subprocess
import urllib.parse

import numpy as np
import pytest

import onnx_models
from serving_client import TIMEOUT, Server

NAME = "<b>a&\"b'"
X = np.float32([[1, 2, 3, 4]])
VOID = {"meta", "link", "input"}


class Page(html.parser.HTMLParser):
    """Text, forms and tags of a page; every tag must be closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.tags, self.forms, self.area = [], "", set(), [], False
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        attributes = dict(attributes)
        assert not any(a.startswith("on") or a == "style" for a in attributes), attributes
        if tag not in VOID:
            self.open.append(tag)
        if tag == "form":
            self.forms.append((attributes["action"], {}))
        if tag == "input":
            self.forms[-1][1][attributes["name"]] = attributes["value"]
        if tag == "textarea":
            self.forms[-1][1][attributes["name"]] = ""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] == "textarea":
            self.forms[-1][1]["body"] += data


def fetch(server, path="/", form=None, headers=None, method=None):
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)
    body = urllib.parse.urlencode(form) if form is not None else None
    c.request(method or ("POST" if form is not None else "GET"), path, body, headers or {})
    reply = c.getresponse()
    text = reply.read().decode()
    c.close()
    if reply.headers["Content-Type"].startswith("text/html"):
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "form-action 'self'" in policy and "unsafe" not in policy
        assert "script" not in Page(text).tags
    return reply.status, text


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("page")
    onnx_models.multiply(base / "7" / "model.onnx")
    with Server(base, NAME) as server:
        yield server


def test_the_page_shows_models_versions_signatures_and_requests(server):
    status, text = fetch(server)
    page = Page(text)
    assert status == 200 and "b" not in page.tags and NAME in page.text
    for shown in ("Ready.", "7", "AVAILABLE", "serving_default", "[-1,4]", "float", "No requests yet."):
        assert shown in page.text, shown
    server.predict({"x": X})
    with pytest.raises(Exception, match="expects elements of type float"):
        server.predict({"x": X.astype(np.float64)})
    page = Page(fetch(server)[1])
    for shown in ("Predict, gRPC", "in the model", "Median", "Failed: 1 INVALID_ARGUMENT"):
        assert shown in page.text, shown


def test_the_form_of_a_signature_works_as_it_is_offered(server):
    ((action, fields),) = Page(fetch(server)[1]).forms
    assert json.loads(fields["body"]) == {"signature_name": "serving_default", "inputs": {"x": [[0.0] * 4]}}
    status, text = fetch(server, action, fields)
    assert status == 200 and '{"outputs":[[0.0,0.0,0.0,0.0]]}' in Page(text).text
    fields["body"] = '{"instances": [[1, 2, 3, 4]]}\r\n'
    assert '{"predictions":[[2.0,4.0,6.0,8.0]]}' in Page(fetch(server, action, fields)[1]).text


@pytest.mark.parametrize("change, status, shown", [
    ({"body": "</pre><script>alert(1)</script>"}, 400, "</pre><script>alert(1)</script>"),
    ({"body": "{}"}, 400, "Missing 'inputs' or 'instances' key"),
    ({"body": '{"instances": [[1]]}'}, 400, "shape"),
    ({"model": "<i>none"}, 404, "Servable not found for request: Specific(<i>none, 7)"),
    ({"version": "8"}, 404, "Specific("),
    ({"version": "x"}, 400, "The form lacks"),
    ({"verb": "explain"}, 400, "The form lacks"),
    ({"verb": "classify", "body": '{"examples": [{"x": 1.0}]}'}, 400, "method_name"),
])
def test_mistakes_are_explained_and_escaped(server, change, status, shown):
    ((action, fields),) = Page(fetch(server)[1]).forms
    code, text = fetch(server, action, {**fields, **change})
    page = Page(text)
    assert code == status and shown in page.text and not {"script", "i"} & page.tags, text


def test_what_is_not_asked_for_by_the_page_itself_is_refused(server):
    ((action, fields),) = Page(fetch(server)[1]).forms
    assert fetch(server, action, fields, {"Sec-Fetch-Site": "same-origin"})[0] == 200
    assert fetch(server, action, fields, {"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert fetch(server, action, {})[0] == 400
    assert fetch(server, action)[0] == 405
    assert fetch(server, "/", {})[0] == 405
    assert fetch(server, "/page/other")[0] == 404
    status, text = fetch(server, "/page/style.css")
    assert status == 200 and "prefers-color-scheme: dark" in text


def test_a_long_answer_is_cut(tmp_path):
    onnx_models.multiply(tmp_path / "1" / "model.onnx")
    with Server(tmp_path) as server:
        form = {"model": "m", "verb": "predict", "body": json.dumps({"instances": [[1.5] * 4] * 20000})}
        status, text = fetch(server, "/page/try", form)
        assert status == 200 and "more bytes are not shown" in text and len(text) < 300_000


def test_a_browser_shows_it_without_scripts_or_complaints(server, tmp_path):
    browser = shutil.which("chromium")
    if not browser:
        pytest.skip("chromium is not installed")
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
                           "--enable-logging=stderr", "--dump-dom", f"http://127.0.0.1:{server.port}/"],
                          capture_output=True, text=True, timeout=TIMEOUT)
    assert "<h1>Models</h1>" in done.stdout, done.stderr[-2000:]
    assert "Content Security Policy" not in done.stderr and "CONSOLE" not in done.stderr, done.stderr[-2000:]
