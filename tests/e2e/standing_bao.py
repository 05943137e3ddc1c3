# SPDX-License-Identifier: Apache-2.0
"""A server that keeps its data when it is stopped: raft on disk, unsealed by a key of its own, TLS where asked."""
import json
import os
import signal
import subprocess
import urllib.request

from conftest import Bao, wait_until


class StandingBao(Bao):
    """`tls` is a certificate and its key, for a second listener at `tls_port`; clients may show certificates there."""

    def __init__(self, program, folder, tls=None, tls_port=None):
        super().__init__(program, folder)
        self.file = os.path.join(folder, "server.hcl")
        self.log = os.path.join(folder, "server.log")
        self.tls_port = tls_port
        os.mkdir(os.path.join(folder, "data"))
        with open(os.path.join(folder, "seal.key"), "wb") as key:
            key.write(os.urandom(32))
        with open(self.file, "w") as file:
            file.write(self.configuration(folder, tls))

    def configuration(self, folder, tls):
        text = f"""
storage "raft" {{
  path = "{folder}/data"
  node_id = "one"
  performance_multiplier = "1"
}}
listener "tcp" {{
  address = "127.0.0.1:{self.port}"
  tls_disable = true
}}
seal "static" {{
  current_key_id = "one"
  current_key = "file://{folder}/seal.key"
}}
audit "file" "file" {{ options {{ file_path = "{self.audit}" }} }}
api_addr = "{self.address}"
cluster_addr = "https://127.0.0.1:{self.port + 1}"
"""
        if tls is not None:
            text += f"""
listener "tcp" {{
  address = "127.0.0.1:{self.tls_port}"
  cluster_address = "127.0.0.1:{self.tls_port + 1}"
  tls_cert_file = "{tls[0]}"
  tls_key_file = "{tls[1]}"
}}
"""
        return text

    def spawn(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "server", f"-config={self.file}"],
                stdout=log,
                stderr=log,
                env={**os.environ, "HOME": self.folder, "BAO_CLI_NO_COLOR": "1"},
            )

    def start(self):
        """The first start, with a new root token and a KV v2 mount at `secret/`; later ones are `restart`."""
        self.spawn()
        wait_until(self.answers, 30, "OpenBao to answer")
        self.token = self.call("PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1})["root_token"]
        wait_until(self.healthy, 30, "OpenBao to be active")
        self.call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        wait_until(self.upgraded, 10, "the KV mount to be ready")
        return self

    def answers(self):
        assert self.process.poll() is None, open(self.log).read()
        try:
            with urllib.request.urlopen(self.address + "/v1/sys/init", timeout=2) as reply:
                return json.loads(reply.read()) is not None
        except OSError:
            return False

    def upgraded(self):
        """A fresh KV v2 mount answers 400 for a moment."""
        try:
            return self.put("standing/probe", ready="yes")
        except AssertionError:
            return False

    def halt(self):
        """Stops it as an operator does."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def restart(self):
        self.spawn()
        wait_until(self.healthy, 30, "OpenBao to be active again")
