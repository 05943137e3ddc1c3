# SPDX-License-Identifier: Apache-2.0
"""Throw-away certificate authorities for the tests, by the `openssl` program."""
import os
import ssl
import subprocess


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, **options).stdout


class Authority:
    """A CA in a folder of its own; `file` is its certificate."""

    def __init__(self, folder, name):
        self.folder = str(folder)
        self.name = name
        self.key, self.file = self._paths(name)
        self._request(self.key, "-x509", "-days", "2", "-subj", f"/CN={name}", "-out", self.file)

    def _paths(self, name):
        return os.path.join(self.folder, f"{name}.key"), os.path.join(self.folder, f"{name}.pem")

    def _request(self, key, *arguments):
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", *curve, "-keyout", key, *arguments)

    def issue(self, name, alternatives="IP:127.0.0.1", days=1):
        """The files of a new certificate and its key; with days below 0 it has ended."""
        key, certificate = self._paths(f"{self.name}-{name}")
        self._request(key, "-subj", f"/CN={name}", "-out", certificate + ".csr")
        with open(certificate + ".ext", "w") as file:
            file.write(f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n")
        openssl("x509", "-req", "-in", certificate + ".csr", "-CA", self.file, "-CAkey", self.key, "-days", str(days),
                "-set_serial", str(int.from_bytes(os.urandom(8), "big")), "-extfile", certificate + ".ext",
                "-out", certificate)  # fmt: skip
        return certificate, key

    def server(self, name="server", **options):
        """A context for a server with a new certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, **options))
        return context
