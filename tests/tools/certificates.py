# SPDX-License-Identifier: Apache-2.0
"""Throw-away certificate authorities for the tests, by the `openssl` program."""
import datetime
import os
import ssl
import subprocess

# What `openssl ca` needs to be told. `openssl x509 -days` would do, but from 3.4 on it refuses an end in the past.
CA_SETTINGS = """
[ca]
default_ca = throw_away
[throw_away]
database = {index}
new_certs_dir = {folder}
default_md = sha256
policy = any_name
rand_serial = yes
unique_subject = no
[any_name]
commonName = supplied
"""

# What RFC 5280 asks for besides, and Python from 3.13 on.
STRICT = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"


def openssl(*arguments, **options):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, **options).stdout


class Authority:
    """A CA in a folder of its own; `file` is its certificate."""

    def __init__(self, folder, name):
        self.folder = str(folder)
        self.name = name
        self.key, self.file = self._paths(name)
        self._request(self.key, "-x509", "-days", "2", "-subj", f"/CN={name}", "-out", self.file,
                      "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip

    def _paths(self, name):
        return os.path.join(self.folder, f"{name}.key"), os.path.join(self.folder, f"{name}.pem")

    def _request(self, key, *arguments):
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", *curve, "-keyout", key, *arguments)

    def _settings(self):
        settings, index = (os.path.join(self.folder, f"{self.name}.{end}") for end in ("cnf", "index"))
        if not os.path.exists(settings):
            open(index, "w").close()
            with open(settings, "w") as file:
                file.write(CA_SETTINGS.format(index=index, folder=self.folder))
        return settings

    def issue(self, name, alternatives="IP:127.0.0.1", days=1):
        """The files of a new certificate and its key; with days below 0 it has ended."""
        key, certificate = self._paths(f"{self.name}-{name}")
        self._request(key, "-subj", f"/CN={name}", "-out", certificate + ".csr")
        with open(certificate + ".ext", "w") as file:
            file.write(f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth,clientAuth\n{STRICT}")
        ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
        begins = ends - datetime.timedelta(days=abs(days) + 1)
        openssl("ca", "-batch", "-notext", "-config", self._settings(), "-cert", self.file, "-keyfile", self.key,
                "-startdate", f"{begins:%Y%m%d%H%M%SZ}", "-enddate", f"{ends:%Y%m%d%H%M%SZ}",
                "-in", certificate + ".csr", "-extfile", certificate + ".ext", "-out", certificate)  # fmt: skip
        return certificate, key

    def server(self, name="server", **options):
        """A context for a server with a new certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(name, **options))
        return context
