# SPDX-License-Identifier: Apache-2.0
"""What the tests of faults share: sidecars behind proxies that spoil things, before a real OpenBao.

For every fault the same is asked: what was good stays readable in files and socket, the state is said, the number of
requests is bounded, nothing else is touched, and the next good answer mends it.
"""
import json
import os
import re
import signal
import time

import pytest

from conftest import real, wait_until
from fault_proxy import FaultProxy
from sidecar import READ_POLICY, Sidecar, approle_config
from standing_bao import StandingBao

READ = "secret/data/"


class Rig:
    """Sidecars of one test, each with a proxy and a folder of its own before the same server."""

    def __init__(self, agent, bao, folder, role):
        self.agent = agent
        self.bao = bao
        self.folder = str(folder)
        self.role = role
        self.sidecars = []
        self.proxies = []

    def proxy(self, bao=None, **options):
        self.proxies.append(FaultProxy(("127.0.0.1", (bao or self.bao).port), **options))
        return self.proxies[-1]

    def config(self, secrets, *proxies, role=None, **more):
        """A configuration in a folder of its own, by which all of its requests go through these proxies."""
        folder = os.path.join(self.folder, f"sidecar-{len(self.sidecars)}-{len(self.proxies)}")
        os.mkdir(folder)
        config = approle_config(self.bao, folder, role or self.role, secrets, **more)
        config["backends"]["vault"]["address"] = [proxy.address for proxy in proxies]
        return folder, config

    def prepare(self, folder, config, **options):
        self.sidecars.append(Sidecar(self.agent, folder, config, **options))
        return self.sidecars[-1]

    def serve(self, secrets, *proxies, **more):
        return self.prepare(*self.config(secrets, *proxies, **more)).start()

    def close(self):
        for sidecar in self.sidecars:
            if sidecar.process is not None and sidecar.process.poll() is None:
                sidecar.stop(signal.SIGKILL)
        for proxy in self.proxies:
            proxy.close()


@pytest.fixture(scope="module")
def role(bao, tmp_path_factory):
    return bao.approle("faults", READ_POLICY, str(tmp_path_factory.mktemp("role")))


@pytest.fixture
def rig(agent, bao, tmp_path, role):
    rig = Rig(agent, bao, tmp_path, role)
    yield rig
    rig.close()


@pytest.fixture
def standing(agent, tmp_path):
    folder = tmp_path / "standing"
    folder.mkdir()
    server = StandingBao(real("BAO_BIN", "bao"), str(folder)).start()
    yield server
    server.stop()


def kv(path, **more):
    return {"backend": "vault", "path": f"secret/{path}", "refresh": "1s", **more}


def state(sidecar, name):
    """The state of a secret, or None while nobody answers."""
    assert sidecar.process.poll() is None, sidecar.read_log()
    try:
        return sidecar.secret(name)["state"]
    except OSError:
        return None


def wait_for(sidecar, name, *states, seconds=15):
    wait_until(lambda: state(sidecar, name) in states, seconds, f"{name} {states}; the log:\n{sidecar.read_log()}")


def assert_readable(sidecar, name, value, stale=True):
    """The file, and the socket without waiting."""
    assert sidecar.read(f"{name}/value") == value
    begin = time.monotonic()
    status, body, _ = sidecar.get(f"/v1/secrets/{name}")
    assert time.monotonic() - begin < 1, "the socket waits for a backend"
    body = json.loads(body)
    assert status == 200 and body["fields"] == {"value": value} and body["stale"] is stale, body


def seal(bao):
    bao.call("PUT", "sys/seal")


def unseal(bao):
    key = re.search(r"Unseal Key: (\S+)", open(os.path.join(bao.folder, "server.log")).read())[1]
    bao.call("PUT", "sys/unseal", {"key": key})
    wait_until(bao.healthy, 15, "OpenBao to be unsealed")


def revoke_tokens(bao, policy):
    """Every token that has this policy."""
    for accessor in bao.call("LIST", "auth/token/accessors")["data"]["keys"]:
        if policy in bao.call("POST", "auth/token/lookup-accessor", {"accessor": accessor})["data"]["policies"]:
            bao.call("POST", "auth/token/revoke-accessor", {"accessor": accessor})


def all_states(sidecar):
    assert sidecar.process.poll() is None, sidecar.read_log()
    try:
        return {entry["state"] for entry in sidecar.status()["secrets"]}
    except OSError:
        return set()


def once(run, sidecar, *arguments, timeout="3s", **options):
    return run("serve", "-c", sidecar.file, "--once", "--timeout", timeout, *arguments, **options)
