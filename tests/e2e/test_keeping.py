# SPDX-License-Identifier: Apache-2.0
"""How long a version is handed out when its backend no longer has it, and when a token is given back."""
import os
import signal
import time

import pytest

import influxdb
from conftest import wait_until
from fault_proxy import FaultProxy
from sidecar import READ_POLICY, Sidecar, approle_config


@pytest.fixture
def serve(agent, bao, tmp_path):
    started, policy = [], READ_POLICY + 'path "database/creds/*" { capabilities = ["read"] }\n'
    role = bao.approle("keeping", policy, str(tmp_path))

    def serve(name, secrets, proxy=None, **more):
        folder = tmp_path / name
        folder.mkdir()
        config = approle_config(bao, folder, role, secrets, **more)
        if proxy is not None:
            config["backends"]["vault"]["address"] = proxy.address
        started.append(Sidecar(agent, folder, config))
        return started[-1]

    yield serve
    for sidecar in started:
        if sidecar.process is not None and sidecar.process.poll() is None:
            sidecar.stop(signal.SIGKILL)


def kv(path, **more):
    return {"backend": "vault", "path": f"secret/{path}", "refresh": "1s", **more}


def has(sidecar, path):
    return os.path.exists(os.path.join(sidecar.files, path))


def test_what_is_deleted_or_denied_is_kept_or_removed_as_configured(serve, bao):
    for name in ("deleted", "denied", "other"):
        bao.put(f"keeping/{name}", value="one")
    secrets = {name: kv(f"keeping/{name}") for name in ("deleted", "denied", "other")}
    kept = serve("kept", secrets).start().wait_ready()
    removed = serve("removed", secrets, on_missing="remove").start().wait_ready()
    denied = 'path "secret/data/keeping/denied" { capabilities = ["deny"] }\n'
    bao.call("PUT", "sys/policies/acl/keeping", {"policy": READ_POLICY + denied})
    bao.call("DELETE", "secret/data/keeping/deleted")
    for sidecar in (kept, removed):
        sidecar.wait_state("deleted", "missing")
        sidecar.wait_state("denied", "denied")
    for name in ("deleted", "denied"):
        wait_until(lambda n=name: not has(removed, f"{n}/value"), 5, f"{name} removed")
        assert removed.get(f"/v1/secrets/{name}")[0] == 503
        assert kept.read(f"{name}/value") == "one"
        assert kept.get(f"/v1/secrets/{name}/value")[:2] == (200, b"one")
    assert not has(removed, "deleted") and removed.read("other/value") == kept.read("other/value") == "one"
    assert "deleted at" in kept.secret("deleted")["error"]["text"]
    assert removed.get("/v1/ready")[0] == 503 and kept.get("/v1/ready")[0] == 200

    bao.call("POST", "secret/undelete/keeping/deleted", {"versions": [1]})
    removed.process.send_signal(signal.SIGHUP)
    removed.wait_file("deleted/value", "one")


def test_the_last_good_goes_when_it_is_too_old_and_comes_back(serve, bao):
    bao.put("keeping/old", value="one")
    proxy = FaultProxy(("127.0.0.1", bao.port))
    try:
        sidecar = serve("old", {"a": kv("keeping/old")}, proxy, max_stale="3s").start().wait_ready()
        begin = time.monotonic()
        proxy.connection = "refuse"
        proxy.drop()
        sidecar.wait_state("a", "stale")
        while time.monotonic() - begin < 2:
            assert sidecar.read("a/value") == "one" and sidecar.get("/v1/secrets/a/value")[0] == 200
        wait_until(lambda: not has(sidecar, "a/value"), 5, "the old value to go")
        assert time.monotonic() - begin >= 2.5
        assert sidecar.secret("a")["state"] == "failed" and sidecar.get("/v1/secrets/a")[0] == 503
        proxy.clear()
        sidecar.wait_file("a/value", "one", 20)
    finally:
        proxy.close()


def test_a_token_is_given_back_only_when_asked_for_and_when_no_lease_dies_with_it(serve, bao, run):
    bao.put("keeping/token", value="one")
    influx = influxdb.Influx()
    try:
        influxdb.mount(bao, influx, "keeping")
        static = {"a": kv("keeping/token", refresh="1h")}
        leased = {**static, "creds": {"backend": "vault", "path": "database/creds/keeping"}}
        cases = [
            ("default", static, {}, 0),
            ("asked", static, {"revoke_on_exit": True}, 1),
            ("leased", leased, {"revoke_on_exit": True}, 0),
        ]
        for name, secrets, more, expected in cases:
            before = len(bao.requests("revoke-self"))
            sidecar = serve(name, secrets, **more).start().wait_ready()
            begin = time.monotonic()
            assert sidecar.stop() == 0 and time.monotonic() - begin < 2
            assert len(bao.requests("revoke-self")) - before == expected, name
            if name == "leased":
                assert sidecar.read("creds/username") in influx.users
        before = len(bao.requests("revoke"))
        for name, secrets in (("once-static", static), ("once-leased", leased)):
            sidecar = serve(name, secrets, revoke_on_exit=True)
            assert run("serve", "--once", "-c", sidecar.file).returncode == 0
        assert len(bao.requests("revoke")) == before, "what an init container fetched is for others"
    finally:
        influx.close()
