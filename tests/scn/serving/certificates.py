# SPDX-License-Identifier: Apache-2.0
"""Authorities and certificates for tests, made with openssl on the spot."""

import subprocess

SERVER = "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth"
CLIENT = "extendedKeyUsage=clientAuth"


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Authority:
    def __init__(self, folder, name="authority"):
        self.folder = folder
        self.key, self.cert = folder / f"{name}.key", folder / f"{name}.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", self.key, "-out", self.cert)

    def sign(self, name, extensions, days=2, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        """(key file, certificate file)"""
        key, request, cert = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        more = self.folder / f"{name}.ext"
        more.write_text(extensions + "\n")
        openssl("req", "-newkey", *kind, "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-days", days, "-extfile", more,
                "-out", cert)
        return key, cert


def quoted(path):
    """A file's text as a string of the text form of protocol buffers."""
    return '"' + path.read_text().replace("\n", "\\n") + '"'


def ssl_config(key, cert, client_ca=None):
    text = f"server_key: {quoted(key)}\nserver_cert: {quoted(cert)}\n"
    return text + (f"custom_ca: {quoted(client_ca)}\nclient_verify: true\n" if client_ca else "")
