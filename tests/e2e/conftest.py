# SPDX-License-Identifier: Apache-2.0
"""Real servers and the built program, for the end-to-end tests.

Every server listens on a loopback port of its own, keeps its state in a folder of its own and is stopped by its
process id. A missing server is a failure under CI=true and a counted skip elsewhere.
"""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))
AGENT = os.environ.get("AGENT_BIN", os.path.abspath("build/agent/agent"))


def real(variable, name):
    """The path of a real program, from its variable or the search path."""
    path = os.environ.get(variable) or shutil.which(name)
    if path and os.access(path, os.X_OK):
        return path
    message = f"{name} is not there: run `make servers`, or set {variable}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
    return None


def free_port():
    """Of a range that no other lane of tests/tools/run takes from, below those that the kernel gives to connections."""
    lane = os.environ.get("TEST_LANE")
    while True:
        port = 0 if lane is None else 12000 + 5000 * int(lane) % 20000 + random.randrange(5000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]


def wait_until(condition, seconds=15, what="condition"):
    """Polls until the condition gives something true, and returns it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


class Bao:
    """A development server of OpenBao with a file audit log."""

    def __init__(self, program, folder):
        self.program = program
        self.folder = folder
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.token = "root"
        self.process = None
        self.options = ["-dev"]
        self.audit = os.path.join(folder, "audit.json")

    def start(self):
        configuration = os.path.join(self.folder, "audit.hcl")
        with open(configuration, "w") as file:
            file.write('audit "file" "file" { options { file_path = "%s" } }\n' % self.audit)
        log = open(os.path.join(self.folder, "server.log"), "ab")
        self.process = subprocess.Popen(
            [
                self.program,
                "server",
                *self.options,
                f"-dev-root-token-id={self.token}",
                f"-dev-listen-address=127.0.0.1:{self.port}",
                "-dev-no-store-token",
                f"-config={configuration}",
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": self.folder, "BAO_CLI_NO_COLOR": "1"},
        )
        wait_until(self.healthy, 30, "OpenBao to answer")
        wait_until(self.has_mounted, 30, "secret/ to be mounted")
        return self

    def has_mounted(self):
        """A busy machine sees `secret/` before it is of version 2, which is told with status 400."""
        try:
            return self.call("GET", "secret/config")
        except AssertionError:
            return False

    def healthy(self):
        if self.process.poll() is not None:
            raise AssertionError(open(os.path.join(self.folder, "server.log")).read())
        try:
            with urllib.request.urlopen(self.address + "/v1/sys/health", timeout=2, context=self.trust()) as reply:
                return reply.status == 200
        except OSError:
            return False

    def trust(self):
        """The TLS context to speak to it with, where it speaks TLS."""
        return None

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def call(self, method, path, body=None, token=None):
        request = urllib.request.Request(
            f"{self.address}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": token or self.token},
        )
        try:
            with urllib.request.urlopen(request, timeout=10, context=self.trust()) as reply:
                text = reply.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        return json.loads(text) if text else {}

    def put(self, path, **fields):
        """Writes a secret of the KV v2 mount `secret/`."""
        return self.call("POST", f"secret/data/{path}", {"data": fields})

    def requests(self, contains=""):
        """The audit log's requests whose path has this in it, in order; the root token's own left out."""
        found = []
        for line in open(self.audit):
            entry = json.loads(line)
            if entry["type"] != "request" or contains not in entry["request"].get("path", ""):
                continue
            if "root" in entry.get("auth", {}).get("policies", []):
                continue
            found.append(entry["request"])
        return found

    def approle(self, name, policy, folder, **options):
        """An AppRole with this policy; returns the files with its role id and its secret id."""
        self.call("PUT", f"sys/policies/acl/{name}", {"policy": policy})
        if "approle/" not in self.call("GET", "sys/auth").get("data", {}):
            self.call("POST", "sys/auth/approle", {"type": "approle"})
        self.call("POST", f"auth/approle/role/{name}", {"token_policies": [name], **options})
        role = self.call("GET", f"auth/approle/role/{name}/role-id")["data"]["role_id"]
        secret = self.call("POST", f"auth/approle/role/{name}/secret-id")["data"]["secret_id"]
        paths = []
        for kind, value in (("role", role), ("secret", secret)):
            path = os.path.join(folder, f"{name}-{kind}-id")
            with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
                file.write(value + "\n")
            paths.append(path)
        return paths


@pytest.fixture(scope="session")
def agent():
    if not os.access(AGENT, os.X_OK):
        pytest.fail(f"{AGENT} is not built: run `make`")
    return AGENT


@pytest.fixture(scope="session")
def sops():
    return real("SOPS_BIN", "sops")


@pytest.fixture(scope="module")
def bao(tmp_path_factory):
    server = Bao(real("BAO_BIN", "bao"), str(tmp_path_factory.mktemp("bao"))).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kube(tmp_path_factory):
    """An API server that all tests share; each keeps to namespaces of its own."""
    from kube import start_kube

    server = start_kube(tmp_path_factory.mktemp("kube"))
    yield server
    server.stop()


@pytest.fixture
def run(agent, tmp_path):
    """Runs the program to its end in an empty folder with an environment that has nothing of ours."""

    def run(*arguments, env=None, input=None, timeout=60, cwd=None):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", **(env or {})}
        return subprocess.run(
            [agent, *arguments],
            env=environment,
            input=input,
            capture_output=True,
            timeout=timeout,
            cwd=cwd or tmp_path,
            text=not isinstance(input, bytes),
        )

    return run
