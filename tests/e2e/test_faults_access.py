# SPDX-License-Identifier: Apache-2.0
"""What the sidecar does when the server takes something away, and when it is ended itself."""
import os
import signal
import threading
import time

import pytest

import influxdb
from conftest import wait_until
from fault_proxy import answer, cut, reset, silence, when
from faults import READ, all_states, assert_readable, kv, revoke_tokens, rig, role, wait_for
from sidecar import READ_POLICY


# ---- what the server takes away ----


def test_revoked_tokens_cost_a_login_each_and_at_most_one_in_five_seconds(bao, rig, tmp_path):
    secrets = {}
    for number in range(20):
        bao.put(f"taken/s{number}", value="one")
        secrets[f"s{number}"] = kv(f"taken/s{number}")
    proxy = rig.proxy()
    audited = len(bao.requests())
    begin = time.monotonic()
    sidecar = rig.serve(secrets, proxy, role=bao.approle("taken", READ_POLICY, str(tmp_path))).wait_ready()
    while time.monotonic() - begin < 12:
        revoke_tokens(bao, "taken")
        time.sleep(0.7)
    passed = time.monotonic() - begin
    logins = [request.at for request in proxy.requests if "login" in request.path]
    lookups = [request.at for request in proxy.requests if "lookup-self" in request.path]
    assert 2 <= len(logins) <= 1 + passed // 5, logins
    assert sum("auth/approle/login" in request["path"] for request in bao.requests()[audited:]) == len(logins)
    assert all(later - sooner >= 4.9 for sooner, later in zip(logins, logins[1:])), logins
    assert len(lookups) <= 3, lookups
    for number in range(20):
        assert sidecar.read(f"s{number}/value") == "one"
    bao.put("taken/s7", value="two")
    sidecar.wait_file("s7/value", "two", 15)
    wait_until(lambda: all_states(sidecar) == {"fresh"}, 15, "all of them to be fresh")


def test_one_path_of_a_hundred_denied_costs_the_others_no_request(bao, rig, tmp_path):
    secrets = {}
    for number in range(100):
        bao.put(f"hundred/s{number}", value="one")
        secrets[f"s{number}"] = kv(f"hundred/s{number}", refresh="1s" if number == 42 else "1h")
    denied = READ_POLICY + 'path "secret/data/hundred/s42" { capabilities = ["deny"] }\n'
    early, late = rig.proxy(), rig.proxy()
    role = bao.approle("hundred", READ_POLICY, str(tmp_path))
    sidecar = rig.serve(secrets, late, role=role).wait_ready()
    assert len(late.paths(READ)) >= 100 and len(late.paths("login")) == 1 and len(late.paths("mounts")) == 1

    before = len(late.requests)
    audited = len(bao.requests())
    bao.call("PUT", "sys/policies/acl/hundred", {"policy": denied})
    wait_for(sidecar, "s42", "denied")
    assert_readable(sidecar, "s42", "one", stale=sidecar.secret("s42")["state"] != "fresh")
    at_start = rig.serve(secrets, early, role=role)
    wait_for(at_start, "s42", "denied")
    for number in range(100):
        if number != 42:
            at_start.wait_file(f"s{number}/value", "one")
    # The denied path is not asked for again within 30 s; whatever asks too often shows sooner.
    time.sleep(6)

    asked = late.paths(READ, before)
    assert set(asked) == {f"/v1/{READ}hundred/s42"}, "others were asked for"
    assert 1 <= len(late.paths("lookup-self", before)) <= 1
    assert not late.paths("login", before) and not late.paths("mounts", before)
    asked = early.paths(READ)
    assert sorted(path for path in asked if not path.endswith("s42")) == sorted(
        f"/v1/{READ}hundred/s{number}" for number in range(100) if number != 42
    )
    assert len(asked) - 99 <= 2 and len(early.paths("login")) == 1 and len(early.paths("lookup-self")) == 1
    # The server's own count says the same.
    assert sum("secret/data/hundred/" in request["path"] for request in bao.requests()[audited:]) == len(asked) + len(
        late.paths(READ, before)
    )
    assert at_start.get("/v1/ready")[0] == 503 and sidecar.get("/v1/ready")[0] == 200

    # A reload asks for what was denied, and for nothing else that stands.
    bao.call("PUT", "sys/policies/acl/hundred", {"policy": READ_POLICY})
    bao.put("hundred/s42", value="two")
    before, earlier = len(late.requests), len(early.requests)
    for one in (sidecar, at_start):
        one.process.send_signal(signal.SIGHUP)
        one.wait_file("s42/value", "two", 10)
        wait_until(lambda one=one: all_states(one) == {"fresh"}, 5, "all of them to be fresh")
        one.wait_ready(2)
    assert set(late.paths(READ, before)) == set(early.paths(READ, earlier)) == {f"/v1/{READ}hundred/s42"}
    assert not late.paths("login", before) and not early.paths("login", earlier)


# ---- dynamic credentials ----


@pytest.fixture(scope="module")
def influx(bao):
    influx = influxdb.Influx()
    influxdb.mount(bao, influx, "short", ttl="4s")
    yield influx
    influx.close()


@pytest.fixture(scope="module")
def dynamic(bao, influx, tmp_path_factory):
    policy = READ_POLICY + 'path "database/creds/*" { capabilities = ["read"] }\n'
    return bao.approle("dynamic", policy, str(tmp_path_factory.mktemp("dynamic")))


CREDS = {"backend": "vault", "path": "database/creds/short"}


def test_a_revoked_lease_is_replaced_and_nothing_else_is_asked_for(bao, rig, influx, dynamic):
    bao.put("lease", value="one")
    proxy = rig.proxy()
    secrets = {"creds": CREDS, "a": kv("lease", refresh="1h")}
    sidecar = rig.serve(secrets, proxy, role=dynamic).wait_ready()
    user = sidecar.read("creds/username")
    wait_until(lambda: proxy.paths("sys/leases/renew"), 6, "a renewal")
    assert sidecar.read("creds/username") == user, "a renewed lease is the same credential"
    before = len(proxy.requests)
    bao.call("PUT", "sys/leases/revoke-prefix/database/creds/short")
    wait_until(lambda: sidecar.read("creds/username") != user, 10, "a new credential")
    assert sidecar.read("creds/username") in influx.users
    assert not proxy.paths("login", before) and not proxy.paths(READ, before)
    assert len(proxy.paths("/v1/database/creds", before)) == 1
    assert sidecar.secret("creds")["state"] == "fresh"


def test_a_lost_answer_makes_no_second_credential_unless_it_is_said(bao, rig, influx, dynamic):
    """Between request and answer nobody knows whether a credential was made; it may be one too many, but then said."""
    cases = {"lost": cut(0), "half": cut(100), "reset": reset(), "refused": answer(503)}
    for name, fault in cases.items():
        proxies = [rig.proxy(), rig.proxy()]
        made = len(influx.made)
        for proxy in proxies:
            proxy.fault = when("/v1/database/creds", fault)
        sidecar = rig.serve({"creds": CREDS}, *proxies, role=dynamic)
        wait_for(sidecar, "creds", "failed")
        for proxy in proxies:
            proxy.clear()
        sidecar.wait_ready(20)
        said = sidecar.read_log().count("a credential may have been made")
        counted = next(line for line in sidecar.get("/metrics")[1].decode().splitlines() if line.startswith("agent_orphans_total"))
        assert counted == f"agent_orphans_total {said}"
        made = len(influx.made) - made
        assert made <= 1 + 2 * said, f"{name}: {made} made, {said} said"
        assert said == 0 if name == "refused" else said >= 1, f"{name}: {sidecar.read_log()}"
        sidecar.stop()


def test_a_lease_outlives_a_server_that_is_away_and_is_replaced_after(bao, rig, influx, dynamic):
    proxy = rig.proxy()
    sidecar = rig.serve({"creds": CREDS}, proxy, role=dynamic).wait_ready()
    user = sidecar.read("creds/username")
    proxy.connection = "refuse"
    proxy.drop()
    sidecar.wait_state("creds", "stale", 20)
    assert sidecar.read("creds/username") == user, "the last good went with its lease"
    proxy.clear()
    wait_until(lambda: sidecar.read("creds/username") != user, 20, "a new credential")
    assert sidecar.secret("creds")["state"] == "fresh"


# ---- a reload, and the end ----


def test_reloads_while_requests_hang_lose_nothing_and_keep_to_one_login_in_five_seconds(bao, rig, influx, dynamic):
    """Five of them in a second, wherever the requests are."""
    bao.put("reloads", value="one")
    where = {"login": "login", "mount": "mounts", "read": READ, "creds": "/v1/database/creds", "refused": "login"}
    sidecars = {}
    for name, path in where.items():
        proxy = rig.proxy()
        proxy.fault = when(path, answer(403) if name == "refused" else silence())
        sidecars[name] = (rig.serve({"a": kv("reloads"), "creds": CREDS}, proxy, role=dynamic), proxy)
    for name, (sidecar, proxy) in sidecars.items():
        wait_until(lambda p=proxy, n=name: p.paths(where[n]), 10, f"a {name} that hangs")
    for number in range(5):
        for sidecar, _ in sidecars.values():
            sidecar.process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
    for name, (sidecar, proxy) in sidecars.items():
        wait_until(lambda s=sidecar: "reloaded" in s.read_log(), 5, f"{name}: a reload")
        logins = [request.at for request in proxy.requests if "login" in request.path]
        assert all(later - sooner >= 4.9 for sooner, later in zip(logins, logins[1:])), (name, logins)
        proxy.clear()
    for name, (sidecar, proxy) in sidecars.items():
        sidecar.wait_ready(40)
        wait_until(lambda s=sidecar: all_states(s) == {"fresh"}, 5, f"{name}: fresh")
        assert sidecar.read("a/value") == "one"
    # What was asked for and not heard of is said.
    creds, proxy = sidecars["creds"]
    cut_off = len(proxy.paths("/v1/database/creds")) - 1
    assert creds.read_log().count("a credential may have been made") >= 1 and cut_off >= 1


def test_term_ends_within_five_seconds_whatever_hangs(bao, rig):
    bao.put("hang", value="one")
    where = {"login": "login", "mount": "mounts", "read": READ, "refresh": READ, "revoke": "revoke-self"}
    sidecars = {}
    for name, path in where.items():
        proxy = rig.proxy()
        if name != "refresh":
            proxy.fault = when(path, silence())
        sidecars[name] = (rig.serve({"a": kv("hang")}, proxy, revoke_on_exit=True), proxy, path)
    for name in ("refresh", "revoke"):
        sidecars[name][0].wait_ready()
    held = sidecars["refresh"][1]
    held.fault = when(READ, silence())
    seen = len(held.paths(READ))
    wait_until(lambda: len(held.paths(READ)) > seen, 5, "a refresh that hangs")
    for name in ("login", "mount", "read"):
        wait_until(lambda n=name: sidecars[n][1].paths(sidecars[n][2]), 10, f"a {name} that hangs")

    ends = {}

    def end(name, sidecar):
        begin = time.monotonic()
        ends[name] = (sidecar.stop(seconds=10), time.monotonic() - begin)

    threads = [threading.Thread(target=end, args=(name, entry[0])) for name, entry in sidecars.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, (status, seconds) in ends.items():
        assert status == 0 and seconds < 5, (name, ends[name], sidecars[name][0].read_log())
    for name in ("refresh", "revoke"):
        assert sidecars[name][0].read("a/value") == "one"
    for sidecar, _, _ in sidecars.values():
        directory = sidecar.files
        left = os.listdir(directory) if os.path.isdir(directory) else []
        assert "..data_tmp" not in left, "something half-written stays"
