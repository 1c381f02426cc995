# SPDX-License-Identifier: Apache-2.0
"""The library itself: what it shows, how it is loaded, what it says, and what it survives."""

import os
import re
import shutil
import socket
import subprocess
import threading

from conftest import LIBRARY, PACKAGE, PART

READ = "import sys, tensorflow as tf; print(tf.io.gfile.GFile(sys.argv[1]).read())"


def test_it_exports_one_symbol_and_needs_the_c_library_alone():
    def lines(*command):
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    assert [x.split()[-1] for x in lines("nm", "-D", "--defined-only", LIBRARY)] == ["TF_InitPlugin"]
    assert re.findall(r"NEEDED.*\[(.*)\]", "\n".join(lines("readelf", "-d", LIBRARY))) == ["libc.so.6"]
    versions = re.findall(r"GLIBC_(\d+)\.(\d+)", "\n".join(lines("nm", "-D", LIBRARY)))
    assert max((int(a), int(b)) for a, b in versions) <= (2, 34)


def test_an_import_registers_before_and_after_tensorflow(tf, here, python):
    tf.io.write_file(here, "text")
    assert python("import tensorflow, cloudml_fds\n" + READ, here) == "text\n"
    assert python("import cloudml_fds, sys; print('tensorflow' in sys.modules)") == "False\n"


def test_an_environment_registers_without_a_change_of_code(tf, here, python, tmp_path):
    """As a .pth file in site-packages works: site.addsitedir reads a folder the same way."""
    tf.io.write_file(here, "text")
    shutil.copytree(PACKAGE / "cloudml_fds", tmp_path / "cloudml_fds")
    shutil.copy(PACKAGE / "cloudml_fds.pth", tmp_path)
    shutil.copy(LIBRARY, tmp_path / "cloudml_fds")
    add = f"import site; site.addsitedir({str(tmp_path)!r})\n"
    assert python(add + READ, here, path=(), CLOUDML_FDS_LIBRARY=None) == "text\n"
    assert python(add + "import json; print(json.dumps(1))", path=(), CLOUDML_FDS_LIBRARY=None) == "1\n"


TRY = """
import os, sys, cloudml_fds
import tensorflow as tf
secret, endpoint, path = os.environ["AWS_SECRET_ACCESS_KEY"], os.environ["CLOUDML_S3_ENDPOINT"], sys.argv[1]
# A configuration that is none is looked at again by the next call; the last one here is the first that is one.
for key, url, address in ((None, endpoint, path), (secret, None, path), (secret, "https://127.0.0.1:1", path),
                          (secret, endpoint, "fds://AKID:hidden@team/x"), (secret[1:], endpoint, path)):
    for name, value in (("AWS_SECRET_ACCESS_KEY", key), ("CLOUDML_S3_ENDPOINT", url)):
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    try:
        tf.io.gfile.GFile(address).read()
    except tf.errors.OpError as e:
        assert secret[1:] not in str(e) and "hidden" not in str(e), e
        print(type(e).__name__, e.message)
"""


def test_what_is_missing_is_named_and_secrets_are_not(python, bucket):
    said = python(TRY, bucket + "/x").splitlines()
    words = ("set AWS_SECRET_ACCESS_KEY", "set CLOUDML_S3_ENDPOINT", "has no TLS", "with credentials in it is refused",
             "SignatureDoesNotMatch")
    assert len(said) == len(words)
    for line, word in zip(said, words):
        assert word in line


def test_a_server_that_was_killed_is_waited_for(tf, here, server):
    data = os.urandom(PART + 100)
    with tf.io.gfile.GFile(here + "/a", "wb") as f:
        f.write(data)
    server.kill()
    # No thread starts it: TensorFlow may hold the interpreter's lock as long as it waits for the store.
    server.launch()
    with tf.io.gfile.GFile(here + "/b", "wb") as f:
        f.write(data)
    assert tf.io.gfile.GFile(here + "/a", "rb").read() == tf.io.gfile.GFile(here + "/b", "rb").read() == data
    server.wait()


class Breaking:
    """A way to the server on which every other connection breaks, somewhere in its first three megabytes."""

    def __init__(self, target):
        self.target, self.broken = target, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        number = 0
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            left = [(number * 7919 * 101) % (3 << 20) if number % 2 else 16 << 20]
            number += 1
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=(*pair, left), daemon=True).start()

    def pump(self, source, sink, left):
        try:
            while data := source.recv(65536):
                if len(data) > left[0]:
                    sink.sendall(data[:left[0]])
                    self.broken += 1
                    break
                left[0] -= len(data)
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


THROUGH = """
import hashlib, os, sys, cloudml_fds
import tensorflow as tf
g, base = tf.io.gfile, sys.argv[1]
data = os.urandom(1 << 20) * 24
for i in range(3):
    with g.GFile(f"{base}/{i}", "wb") as f:
        f.write(data[:12 << 20]); f.flush(); f.write(data[12 << 20:])
    assert g.GFile(f"{base}/{i}", "rb").read() == data
    g.copy(f"{base}/{i}", f"{base}/copy-{i}")
assert sorted(g.listdir(base)) == ["0", "1", "2", "copy-0", "copy-1", "copy-2"]
print(hashlib.sha256(data).hexdigest())
"""


def test_connections_that_break_lose_nothing(tf, here, python, server):
    import hashlib
    way = Breaking(("127.0.0.1", server.port))
    digest = python(THROUGH, here, CLOUDML_S3_ENDPOINT=way.endpoint).strip()
    way.close()
    assert way.broken >= 3
    for name in ("0", "1", "2", "copy-0", "copy-1", "copy-2"):
        assert hashlib.sha256(tf.io.gfile.GFile(f"{here}/{name}", "rb").read()).hexdigest() == digest


FORK = """
import os, sys, cloudml_fds
import tensorflow as tf
path = sys.argv[1]
assert tf.io.gfile.GFile(path).read() == "text" * 1000
children = []
for i in range(4):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if all(tf.io.gfile.GFile(path).read() == "text" * 1000 for _ in range(20)) else 1)
    children.append(pid)
assert all(tf.io.gfile.GFile(path).read() == "text" * 1000 for _ in range(20))
print([os.waitpid(pid, 0)[1] for pid in children])
"""


def test_forked_processes_have_connections_of_their_own(tf, here, python):
    tf.io.write_file(here, "text" * 1000)
    assert python(FORK, here) == "[0, 0, 0, 0]\n"
