# SPDX-License-Identifier: Apache-2.0
"""A real-time clock that is stepped under the running sidecar (tests/tools/skew.c), against a server that keeps its own."""
import mmap
import os
import shutil
import signal
import struct
import subprocess
import time

import pytest

import influxdb
from conftest import wait_until
from fault_proxy import FaultProxy
from faults import all_states
from sidecar import READ_POLICY, Sidecar, approle_config

HOUR = 3600
YEAR = 365 * 24 * HOUR


class Clock:
    def __init__(self, folder):
        self.library = str(folder / "skew.so")
        self.file = str(folder / "skew")
        source = os.path.join(os.path.dirname(__file__), "../tools/skew.c")
        compiler = shutil.which("gcc") or shutil.which("cc")
        subprocess.run([compiler, "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-o", self.library, source], check=True)
        with open(self.file, "wb") as file:
            file.write(bytes(mmap.PAGESIZE))
        with open(self.file, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def step(self, seconds):
        self.memory[:8] = struct.pack("=q", struct.unpack("=q", self.memory[:8])[0] + seconds)


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path)


@pytest.fixture(scope="module")
def influx(bao):
    influx = influxdb.Influx()
    influxdb.mount(bao, influx, "clock", ttl="10m")
    yield influx
    influx.close()


@pytest.fixture
def serve(agent, bao, influx, tmp_path, clock):
    """A leased credential, a certificate's worth of time in the token, and something that is read each second."""
    proxy = FaultProxy(("127.0.0.1", bao.port))
    policy = READ_POLICY + 'path "database/creds/*" { capabilities = ["read"] }\n'
    role = bao.approle("clock", policy, str(tmp_path), token_ttl="20m")
    bao.put("clock", value="one")
    config = approle_config(
        bao,
        tmp_path,
        role,
        {
            "creds": {"backend": "vault", "path": "database/creds/clock"},
            "a": {"backend": "vault", "path": "secret/clock", "refresh": "1s"},
        },
    )
    config["backends"]["vault"]["address"] = proxy.address
    started = []

    def serve():
        environment = {"LD_PRELOAD": clock.library, "SKEW_FILE": clock.file}
        started.append(Sidecar(agent, tmp_path, config, environment=environment).start().wait_ready())
        return started[-1], proxy

    yield serve
    for sidecar in started:
        sidecar.stop(signal.SIGKILL)
    proxy.close()


def test_a_step_past_the_lease_replaces_it_once(serve, clock):
    """As after a pause of the machine: nobody but the clock says that the lease has ended."""
    sidecar, proxy = serve()
    user = sidecar.read("creds/username")
    time.sleep(5)  # the login is old enough for another
    before = len(proxy.requests)
    clock.step(2 * HOUR)
    wait_until(lambda: sidecar.read("creds/username") != user, 10, "a new credential")
    wait_until(lambda: proxy.paths("login", before), 10, "a new session")
    time.sleep(3)
    assert len(proxy.paths("/v1/database/creds", before)) == 1 and len(proxy.paths("login", before)) == 1
    assert all_states(sidecar) == {"fresh"}


def test_steps_back_and_forth_cost_nothing_that_was_not_due(serve, clock):
    sidecar, proxy = serve()
    user = sidecar.read("creds/username")
    age = sidecar.secret("creds")["age_seconds"]
    before = len(proxy.requests)
    for seconds in (-HOUR, -10 * YEAR, 10 * YEAR, HOUR, 30, -30):
        clock.step(seconds)
        time.sleep(0.6)
    assert sidecar.read("creds/username") == user
    assert not proxy.paths("login", before) and not proxy.paths("/v1/database", before) and not proxy.paths("renew", before)
    assert 2 <= len(proxy.paths("secret/data", before)) <= 8, "what is read each second goes on at its pace"
    assert 3 <= sidecar.secret("creds")["age_seconds"] - age <= 8, "an age is counted in time that passed"
    assert all_states(sidecar) == {"fresh"}


def test_a_clock_that_is_an_hour_off_from_the_start_is_no_matter(serve, clock):
    clock.step(-HOUR)
    sidecar, proxy = serve()
    time.sleep(2)
    assert all_states(sidecar) == {"fresh"}
    assert len(proxy.paths("login")) == 1 and len(proxy.paths("/v1/database/creds")) == 1
