# SPDX-License-Identifier: Apache-2.0
"""What the sidecar does when names cannot be looked up: a real OpenBao behind a name that a name server of ours knows.

The program is the one under test ($AGENT_BIN) and, where $AGENT_STATIC_BIN names it (`make test-static`), the one of
the images: the first looks names up in libcurl's threads, the second with c-ares.
"""
import os
import signal
import socket
import sys
import time

import pytest

from conftest import AGENT, wait_until
from sidecar import READ_POLICY, Sidecar, approle_config

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))
from fault_proxy import FaultProxy, cut  # noqa: E402
from name_server import NameServer  # noqa: E402
from stall import longest_stall_ms  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a resolv.conf and binds port 53: needs root")

FAULTS = ("NXDOMAIN", "SERVFAIL", "REFUSED", "garbage", "silence")
PROGRAMS = [AGENT, *os.environ.get("AGENT_STATIC_BIN", "").split()]


@pytest.fixture
def names():
    server = NameServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def role(bao, tmp_path_factory):
    return bao.approle("dns", READ_POLICY, str(tmp_path_factory.mktemp("role")))


@pytest.fixture(params=PROGRAMS, ids=["built", "static"][: len(PROGRAMS)])
def sidecar(request, agent, bao, names, tmp_path, role):
    """Makes a sidecar that reads secret/<name> from the server under the name <name>.test."""
    made = []

    def make(name, port=bao.port):
        folder = tmp_path / name
        folder.mkdir()
        config = approle_config(
            bao, folder, role, {"app": {"backend": "vault", "path": f"secret/{name}", "refresh": "1s"}}, on_missing="remove"
        )
        config["backends"]["vault"].update(address=f"http://{name.lower()}.test:{port}", insecure_http=True)
        made.append(Sidecar(names.program(request.param, str(folder)), folder, config))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.stop(signal.SIGKILL)


def listens(sidecar):
    try:
        return sidecar.get("/v1/live")[0] == 200
    except OSError:
        return False


def error_of(entry):
    return entry["error"]["text"] if entry["error"] else ""


def backend(sidecar):
    return sidecar.status()["backends"][0]


def test_a_silent_name_server_holds_up_neither_readers_nor_the_end(names, sidecar):
    one = sidecar("silence").start()
    wait_until(lambda: listens(one), what="the socket")
    # Long enough for a look-up that times out (3 s), is dropped, and is tried again.
    stall, reads = longest_stall_ms(one.process.pid, one.socket, seconds=5)
    assert reads > 500
    assert stall < 250, "a look-up that is waited for blocks for seconds"
    assert "Resolving timed out" in error_of(backend(one))
    asked = len(names.asked)
    wait_until(lambda: len(names.asked) > asked, what="the next look-up")
    start = time.monotonic()
    assert one.stop() == 0
    assert time.monotonic() - start < 5, "the bound with a backend that hangs"


def test_a_name_that_cannot_be_looked_up_is_no_secret_that_is_gone(bao, names, sidecar):
    """With `on_missing: remove`, where being wrong about it deletes files; after a restart, which looks up anew."""
    sidecars = {}
    for fault in FAULTS:
        bao.put(fault, value="first")
        names.zone[f"{fault.lower()}.test"] = "127.0.0.1"
        sidecars[fault] = sidecar(fault).start()
    for fault, one in sidecars.items():
        one.wait_file("app/value", "first")
        one.stop()
    for fault, one in sidecars.items():
        bao.put(fault, value="second")
        names.zone[f"{fault.lower()}.test"] = None if fault == "silence" else fault
        one.start()
    for fault, one in sidecars.items():
        wait_until(lambda: listens(one) and error_of(backend(one)), what=f"{fault}: an error")
        assert backend(one)["error"]["code"] == "unavailable", fault
        assert f"{fault.lower()}.test" in error_of(backend(one)), fault
    time.sleep(3)  # for more than one look-up to have failed
    for fault, one in sidecars.items():
        assert one.secret("app")["state"] in ("pending", "failed"), fault
        assert one.read("app/value") == "first", fault
        status, _, headers = one.get("/v1/secrets/app/value")
        assert status == 503 and int(headers["Retry-After"]) > 0, fault
        names.zone[f"{fault.lower()}.test"] = "127.0.0.1"
    for fault, one in sidecars.items():
        one.wait_file("app/value", "second", 40)
        assert one.secret("app")["state"] == "fresh", fault


def test_a_name_that_stops_being_known_leaves_what_was_fetched_in_use(bao, names, sidecar):
    """While it runs: the connections are lost, and new ones need the name."""
    proxy = FaultProxy(("127.0.0.1", bao.port))
    bao.put("moving", value="first")
    names.zone["moving.test"] = "127.0.0.1"
    one = sidecar("moving", port=proxy.port).start()
    one.wait_file("app/value", "first")

    names.zone["moving.test"] = "NXDOMAIN"
    proxy.fault = cut(0)
    bao.put("moving", value="second")
    wait_until(lambda: "Could not resolve" in error_of(one.secret("app")), 30, "a look-up to fail")
    proxy.fault = None
    assert one.secret("app")["state"] == "stale"
    assert one.read("app/value") == "first"
    assert one.get("/v1/secrets/app/value")[:2] == (200, b"first")
    names.zone["moving.test"] = "127.0.0.1"
    one.wait_file("app/value", "second", 40)
    proxy.close()
