# SPDX-License-Identifier: Apache-2.0
"""`agent serve` as a test's own sidecar."""
import http.client
import json
import os
import signal
import socket
import subprocess

import yaml

from conftest import wait_until

MOUNT_POLICY = 'path "sys/internal/ui/mounts/*" { capabilities = ["read"] }\n'
READ_POLICY = MOUNT_POLICY + 'path "secret/data/*" { capabilities = ["read"] }\n'


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Sidecar:
    def __init__(self, agent, folder, config, environment=None):
        self.agent = agent
        self.folder = str(folder)
        self.file = os.path.join(self.folder, "agent.yaml")
        self.socket = os.path.join(self.folder, "agent.sock")
        self.files = os.path.join(self.folder, "secrets")
        self.log = os.path.join(self.folder, "agent.log")
        self.environment = environment or {}
        self.process = None
        self.write(config)

    def write(self, config):
        with open(self.file + ".new", "w") as file:
            yaml.safe_dump(config, file)
        os.rename(self.file + ".new", self.file)

    def start(self, *arguments):
        self.process = subprocess.Popen(
            [self.agent, "serve", "-c", self.file, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=open(self.log, "ab"),
            env={"PATH": os.environ["PATH"], "HOME": self.folder, **self.environment},
        )
        return self

    def stop(self, number=signal.SIGTERM, seconds=10):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def get(self, target, **headers):
        connection = UnixConnection(self.socket)
        try:
            connection.request("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})
            reply = connection.getresponse()
            return reply.status, reply.read(), dict(reply.getheaders())
        finally:
            connection.close()

    def status(self):
        return json.loads(self.get("/v1/status")[1])

    def secret(self, name):
        return next(entry for entry in self.status()["secrets"] if entry["name"] == name)

    def is_ready(self):
        assert self.process.poll() is None, self.read_log()
        try:
            return self.get("/v1/ready")[0] == 200
        except OSError:
            return False

    def wait_ready(self, seconds=15):
        wait_until(self.is_ready, seconds, f"ready; its log:\n{self.read_log()}")
        return self

    def wait_state(self, name, state, seconds=15):
        wait_until(lambda: self.secret(name)["state"] == state, seconds, f"{name} {state}")

    def read(self, path):
        with open(os.path.join(self.files, path)) as file:
            return file.read()

    def wait_file(self, path, content, seconds=15):
        def stands():
            try:
                return self.read(path) == content
            except OSError:
                return False

        wait_until(stands, seconds, f"{path} to hold {content!r}; the log:\n{self.read_log()}")

    def read_log(self):
        try:
            return open(self.log).read()
        except OSError:
            return ""


def approle_config(bao, folder, role, secrets, **more):
    """A configuration with one vault backend that signs in by AppRole, files and a socket."""
    role_id, secret_id = role
    return {
        "backends": {
            "vault": {
                "address": bao.address,
                "auth": {"method": "approle", "role_id_file": role_id, "secret_id_file": secret_id},
            }
        },
        "secrets": secrets,
        "sinks": {
            "files": {"directory": os.path.join(str(folder), "secrets")},
            "socket": {"path": os.path.join(str(folder), "agent.sock")},
        },
        **more,
    }
