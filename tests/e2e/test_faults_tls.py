# SPDX-License-Identifier: Apache-2.0
"""What the sidecar does when the server cannot be trusted, or speaks no TLS."""
import concurrent.futures
import os
import time

import pytest

from certificates import Authority
from conftest import wait_until
from fault_proxy import answer, when
from faults import READ, assert_readable, kv, once, rig, role, wait_for


# ---- TLS ----


class Trust:
    """An https proxy before the server, and the bundle that the sidecar believes."""

    def __init__(self, rig, folder, *names):
        self.authorities = {name: Authority(folder, name) for name in names}
        self.bundle = os.path.join(str(folder), "bundle.pem")
        self.proxy = rig.proxy(tls=self.authorities[names[0]].server())

    def believe(self, *names):
        with open(self.bundle + ".new", "w") as file:
            for name in names:
                file.write(open(self.authorities[name].file).read())
        os.rename(self.bundle + ".new", self.bundle)

    def show(self, name, **options):
        self.proxy.tls = self.authorities[name].server(**options)
        self.proxy.drop()


@pytest.fixture
def trust(rig, tmp_path):
    trust = Trust(rig, tmp_path, "first-ca", "second-ca")
    trust.believe("first-ca")
    return trust


def with_tls(rig, trust, secrets, **tls):
    folder, config = rig.config(secrets, trust.proxy)
    config["backends"]["vault"]["tls"] = {"ca_file": trust.bundle, **tls}
    return folder, {name: value for name, value in config["backends"]["vault"]["tls"].items() if value} and config


def test_a_rotated_ca_is_picked_up_and_the_data_is_kept_meanwhile(bao, rig, trust):
    bao.put("ca", value="one")
    sidecar = rig.prepare(*with_tls(rig, trust, {"a": kv("ca")})).start().wait_ready()

    trust.show("second-ca")
    wait_for(sidecar, "a", "stale")
    assert_readable(sidecar, "a", "one")
    assert "tls.ca_file" in sidecar.secret("a")["error"]["text"]
    seen = len(trust.proxy.requests)
    time.sleep(2)
    assert len(trust.proxy.requests) == seen, "a request went to a server that is not trusted"

    bao.put("ca", value="two")
    trust.believe("second-ca")
    sidecar.wait_file("a/value", "two", 10)

    # With old and new in the bundle, a change of certificates is not seen at all.
    trust.believe("first-ca", "second-ca")
    time.sleep(0.5)
    mark = sidecar.read_log().count("not fetched")
    trust.show("first-ca")
    bao.put("ca", value="three")
    sidecar.wait_file("a/value", "three", 10)
    assert sidecar.read_log().count("not trusted") == 1, sidecar.read_log()
    assert sidecar.read_log().count("not fetched") - mark <= 1, "a dropped connection costs one try at most"
    assert len(trust.proxy.paths("login")) == 1, "a new bundle is no new session"


def test_a_bundle_that_cannot_be_read_keeps_the_one_before(bao, rig, trust):
    bao.put("bundle", value="one")
    sidecar = rig.prepare(*with_tls(rig, trust, {"a": kv("bundle")})).start().wait_ready()
    with open(trust.bundle, "w") as file:
        file.write("-----BEGIN CERTIFICATE-----\nnonsense\n")
    wait_until(lambda: trust.bundle in sidecar.read_log(), 10, "the broken bundle in the log")
    bao.put("bundle", value="two")
    sidecar.wait_file("a/value", "two", 5)
    trust.believe("second-ca")
    trust.show("second-ca")
    bao.put("bundle", value="three")
    sidecar.wait_file("a/value", "three", 20)


def test_a_server_that_cannot_prove_its_name_gets_nothing(bao, rig, trust, run):
    bao.put("name", value="one")
    environment = {"SSL_CERT_FILE": trust.authorities["second-ca"].file, "CURL_CA_BUNDLE": trust.authorities["second-ca"].file,
                   "SSL_CERT_DIR": rig.folder}  # fmt: skip
    cases = [
        ("wrong name", "first-ca", {"alternatives": "DNS:other.internal"}, {}, ["tls.server_name"]),
        ("expired", "first-ca", {"days": -1}, {}, ["expired"]),
        ("another CA", "second-ca", {}, {}, ["tls.ca_file"]),
        ("the environment's CA", "second-ca", {}, {}, ["tls.ca_file"]),
        ("public roots only", "first-ca", {}, {"ca_file": None}, ["tls.ca_file"]),
    ]
    proxies, sidecars = [], []
    for name, authority, certificate, tls, words in cases:
        proxies.append(rig.proxy(tls=trust.authorities[authority].server(**certificate)))
        folder, config = rig.config({"a": kv("name")}, proxies[-1])
        config["backends"]["vault"]["tls"] = {"ca_file": trust.bundle, **tls}
        if tls.get("ca_file", "") is None:
            del config["backends"]["vault"]["tls"]
        sidecars.append(rig.prepare(folder, config))
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
        ends = pool.map(
            lambda case, sidecar: once(run, sidecar, env=environment if "environment" in case[0] else None), cases, sidecars
        )
    for (name, _, _, _, words), done, proxy in zip(cases, ends, proxies):
        assert done.returncode == 69, (name, done.stderr)
        for word in [*words, proxy.address]:
            assert word in done.stderr, (name, done.stderr)
        assert proxy.requests == [], f"{name}: a request went to a server that is not trusted"

    trust.show("first-ca", alternatives="DNS:other.internal")
    done = once(run, rig.prepare(*with_tls(rig, trust, {"a": kv("name")}, server_name="other.internal")))
    assert done.returncode == 0, done.stderr


def test_a_307_to_a_stranger_is_followed_where_our_own_ca_vouches_for_it(bao, rig, trust):
    bao.put("guest", value="one")
    # The same port, as the nodes of a cluster have it: others are closed to the sidecar.
    def node(host, authority):
        context = trust.authorities[authority].server(host, alternatives=f"IP:{host}")
        return rig.proxy(tls=context, host=host, port=trust.proxy.port)

    other, liar = node("127.0.0.2", "first-ca"), node("127.0.0.3", "second-ca")
    trust.proxy.script(None, None, answer(307, Location=f"{liar.address}/v1/{READ}guest"),
                       answer(307, Location=f"{other.address}/v1/{READ}guest"))  # fmt: skip
    sidecar = rig.prepare(*with_tls(rig, trust, {"a": kv("guest", refresh="1h")})).start()
    sidecar.wait_ready(20)
    assert (liar.connections, len(liar.requests)) == (1, 0), sidecar.read_log()
    assert len(other.requests) == 1, sidecar.read_log()


def test_a_307_to_a_port_that_the_sandbox_closes_says_so(bao, rig, trust, run):
    bao.put("port", value="one")
    context = trust.authorities["first-ca"].server("127.0.0.2", alternatives="IP:127.0.0.2")
    other = rig.proxy(tls=context, host="127.0.0.2")
    assert other.port != trust.proxy.port
    trust.proxy.fault = when(READ, answer(307, Location=f"{other.address}/v1/{READ}port"))
    done = once(run, rig.prepare(*with_tls(rig, trust, {"a": kv("port")})))
    assert done.returncode == 69, done.stderr
    for word in (other.address, "the sandbox", "`address`"):
        assert word in done.stderr, (word, done.stderr)
    assert other.connections == 0


def test_a_handshake_that_stalls_or_is_noise_is_given_up_within_ten_seconds(bao, rig, trust, tmp_path):
    bao.put("stall", value="one")
    kinds = {}
    for kind in ("hold", "garbage", "refuse"):
        (tmp_path / kind).mkdir()
        kinds[kind] = Trust(rig, tmp_path / kind, "ca")
        kinds[kind].believe("ca")
    sidecars = {kind: rig.prepare(*with_tls(rig, trust, {"a": kv("stall")})).start() for kind, trust in kinds.items()}
    for sidecar in sidecars.values():
        sidecar.wait_ready()
    for kind, trust in kinds.items():
        trust.proxy.connection = kind
        trust.proxy.drop()
    begin = time.monotonic()
    for kind, sidecar in sidecars.items():
        wait_for(sidecar, "a", "stale", seconds=12)
        assert_readable(sidecar, "a", "one")
    assert time.monotonic() - begin < 12
    for kind, trust in kinds.items():
        assert trust.proxy.connections <= 8, kind
        trust.proxy.clear()
    for sidecar in sidecars.values():
        wait_for(sidecar, "a", "fresh", seconds=35)
