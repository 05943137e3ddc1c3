# SPDX-License-Identifier: Apache-2.0
"""What the sidecar does when the server or the way to it fails: a real OpenBao behind a proxy that spoils things.

For every fault the same is asked: what was good stays readable in files and socket, the state is said, the number of
requests is bounded, nothing else is touched, and the next good answer mends it.
"""
import concurrent.futures
import json
import os
import re
import shutil
import signal
import sys
import threading
import time

import pytest

from conftest import real, wait_until
from sidecar import MOUNT_POLICY, READ_POLICY, Sidecar, approle_config
from standing_bao import StandingBao

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))
import influxdb  # noqa: E402
from certificates import Authority  # noqa: E402
from fault_proxy import (  # noqa: E402
    FaultProxy, answer, corrupt, cut, delay, drip, reset, rewrite, say, silence, when,
)  # fmt: skip

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


# ---- the server is there and does not serve ----


def test_a_sealed_server_at_start_is_waited_for_without_haste(bao, rig):
    bao.put("sealed/start", value="one")
    proxy = rig.proxy()
    seal(bao)
    try:
        sidecar = rig.serve({"a": kv("sealed/start")}, proxy)
        wait_for(sidecar, "a", "failed")
        time.sleep(6)
        assert 2 <= len(proxy.requests) <= 6, proxy.paths()
        reply = sidecar.get("/v1/secrets/a")
        assert reply[0] == 503 and int(reply[2]["Retry-After"]) >= 1
        assert sidecar.get("/v1/ready")[0] == 503 and sidecar.get("/v1/live")[0] == 200
        status = sidecar.status()
        assert "sealed" in status["backends"][0]["error"]["text"], status["backends"]
        assert not os.path.exists(os.path.join(sidecar.files, "..data", "a")), "an empty set was published"
    finally:
        unseal(bao)
    sidecar.wait_ready(40)
    assert_readable(sidecar, "a", "one", stale=False)


def test_a_server_sealed_while_we_run_leaves_everything_readable(bao, rig):
    bao.put("sealed/run", value="one")
    proxy = rig.proxy()
    sidecar = rig.serve({"a": kv("sealed/run")}, proxy).wait_ready()
    seal(bao)
    try:
        wait_for(sidecar, "a", "stale")
        before = len(proxy.requests)
        time.sleep(5)
        assert len(proxy.requests) - before <= 6, proxy.paths(since=before)
        assert_readable(sidecar, "a", "one")
        assert "sealed" in sidecar.secret("a")["error"]["text"]
        assert sidecar.get("/v1/ready")[0] == 200, "what is published is ready"
    finally:
        unseal(bao)
    before = len(proxy.requests)
    bao.put("sealed/run", value="two")
    sidecar.wait_file("a/value", "two", 40)
    assert not proxy.paths("login", before), "the session outlives a seal"


def test_a_server_stopped_and_started_again_costs_no_sign_in(agent, standing, tmp_path):
    standing.put("restart", value="one")
    rig = Rig(agent, standing, tmp_path, standing.approle("restart", READ_POLICY, str(tmp_path)))
    try:
        proxy = rig.proxy()
        sidecar = rig.serve({"a": kv("restart")}, proxy).wait_ready()
        standing.halt()
        wait_for(sidecar, "a", "stale")
        assert_readable(sidecar, "a", "one")
        before = len(proxy.requests)
        time.sleep(3)
        assert len(proxy.requests) - before <= 4
        standing.restart()
        standing.put("restart", value="two")
        sidecar.wait_file("a/value", "two", 20)
        assert len(proxy.paths("login")) == 1
    finally:
        rig.close()


# ---- several addresses ----


def test_a_dead_first_address_is_left_for_the_second_and_the_other_way_round(bao, rig):
    bao.put("over", value="one")
    dead, live = rig.proxy(), rig.proxy()
    dead.connection = "refuse"
    begin = time.monotonic()
    sidecar = rig.serve({"a": kv("over")}, dead, live).wait_ready()
    assert time.monotonic() - begin < 3
    tried = dead.connections
    assert tried == 1, "every request tries the dead address first"
    time.sleep(2)
    assert dead.connections == tried, "what is dead is asked again although another serves"

    dead.clear()
    live.connection = "refuse"
    live.drop()
    bao.put("over", value="two")
    sidecar.wait_file("a/value", "two", 5)
    assert sidecar.secret("a")["state"] == "fresh"
    assert len(live.paths("login") + dead.paths("login")) == 1


@pytest.mark.parametrize(
    "fault", [answer(503), answer(472), answer(473), answer(500), cut(0), cut(40), reset()],
    ids=["503", "472", "473", "500", "lost", "cut", "reset"],
)  # fmt: skip
def test_a_read_that_one_address_fails_another_answers_at_once(bao, rig, fault):
    bao.put("over/read", value="one")
    bad, good = rig.proxy(), rig.proxy()
    bad.fault = when(READ, fault)
    sidecar = rig.serve({"a": kv("over/read", refresh="1h")}, bad, good).wait_ready(5)
    # libcurl itself tries once more where a connection that served before ends without a byte.
    assert 1 <= len(bad.paths(READ)) <= 2 and len(good.paths(READ)) == 1
    assert_readable(sidecar, "a", "one", stale=False)


def test_a_server_that_has_not_caught_up_is_asked_three_times_more(bao, rig):
    bao.put("caught/up", value="one")
    soon, never = rig.proxy(), rig.proxy()
    soon.fault = when(READ, answer(412))
    soon.script(None, None, answer(412), answer(412), answer(412), None)  # after login and mount
    never.fault = when(READ, answer(412))
    first = rig.serve({"a": kv("caught/up", refresh="1h")}, soon)
    second = rig.serve({"a": kv("caught/up", refresh="1h")}, never)
    first.wait_ready(5)
    assert len(soon.paths(READ)) == 4
    wait_for(second, "a", "failed")
    assert len(never.paths(READ)) == 4


# ---- the way to it ----

LONG = b'{"data":{"data":{"value":"' + b"x" * (1 << 20) + b'"},"metadata":{"version":9}}}'
DEEP = b'{"data":' * 200 + b"1" + b"}" * 200


def body(text):
    return rewrite(lambda _: text)


SPOILED = {
    "dripped": drip(8),
    "silent": silence(),
    "lost": cut(0),
    "reset": reset(),
    "reset in the middle": reset(60),
    "noise": say(bytes(range(1, 256)) * 4),
    "another protocol": say(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "endless head": say(b"HTTP/1.1 200 OK\r\n" + b"X-More: yes\r\n" * 20000),
    "two lengths": say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 40\r\n\r\n{}"),
    "empty": body(b""),
    "a page": body(b"<html><body>Welcome to the hotel's network</body></html>"),
    "half": rewrite(lambda text: text[: len(text) // 2]),
    "more behind it": rewrite(lambda text: text + b"{}"),
    "twice the same key": rewrite(lambda text: text.replace(b'"value":', b'"value":"evil","value":')),
    "not UTF-8": rewrite(lambda text: text.replace(b'"one"', b'"\xff\xfe"')),
    "a NUL": rewrite(lambda text: text.replace(b'"one"', b'"o\x00ne"')),
    "too deep": body(DEEP),
    "too long": body(LONG),
    "no data": rewrite(lambda _: b'{"data":null}'),
    "no fields": rewrite(lambda _: b'{"data":{"data":null,"metadata":{"version":3}}}'),
    "a list": body(b"[]"),
    "errors with 200": rewrite(lambda text: text[:-1].rstrip(b"}\n") + b'}},"errors":["no"]}'),
    "no content": answer(204),
    "a teapot": answer(418),
    "too many": answer(429),
    "moved": answer(301, Location="http://127.0.0.1:1/"),
}


def test_whatever_comes_instead_of_an_answer_leaves_the_last_good_and_goes_by(bao, rig):
    """All kinds at once, each with a sidecar of its own, since each takes its time."""
    bao.put("spoiled/a", value="one")
    bao.put("spoiled/b", value="other")
    proxies = {name: rig.proxy(seed=number) for number, name in enumerate(SPOILED)}
    sidecars = {name: rig.serve({"a": kv("spoiled/a"), "b": kv("spoiled/b")}, proxies[name]) for name in SPOILED}
    for sidecar in sidecars.values():
        sidecar.wait_ready(30)
    for name, proxy in proxies.items():
        proxy.fault = when("spoiled/a", SPOILED[name])
    begin = {name: len(proxy.requests) for name, proxy in proxies.items()}
    start = time.monotonic()
    for name, sidecar in sidecars.items():
        wait_until(lambda s=sidecar: state(s, "a") == "stale", 25, f"{name}: stale; the log:\n{sidecar.read_log()}")
    passed = time.monotonic() - start
    assert passed < 20, "a silent server is given up too late"
    time.sleep(3)
    passed = time.monotonic() - start
    for name, sidecar in sidecars.items():
        assert_readable(sidecar, "a", "one")
        assert sidecar.secret("b")["state"] == "fresh", f"{name}: another secret suffers"
        assert sidecar.secret("a")["error"]["text"], name
        asked = len(proxies[name].paths("spoiled/a", begin[name]))
        # Half of each doubling wait is fixed: 0.5 + 1 + 2 + 4 + 8 s and so on. Where a connection that served before
        # ends without a byte, libcurl repeats the request once.
        tries = 2 + int(passed / 0.5).bit_length()
        assert asked <= tries * (2 if name in ("lost", "reset") else 1), (name, asked, passed)
        assert not proxies[name].paths("login", begin[name]), f"{name}: signed in again"
        proxies[name].clear()
    bao.put("spoiled/a", value="two")
    for name, sidecar in sidecars.items():
        wait_until(
            lambda s=sidecar: s.read("a/value") == "two" and state(s, "a") == "fresh",
            40,
            f"{name}: mended; the log:\n{sidecar.read_log()}",
        )


def test_a_reply_cut_at_any_byte_is_no_reply(bao, rig):
    """A secret for each place, so that all are cut at once: at start, when nothing is there, and later."""
    places = 120
    for number in range(places):
        bao.put(f"cut/s{number}", value=f"v{number}")
    proxy, probe = rig.proxy(), rig.proxy()
    rig.serve({"a": kv("cut/s0", refresh="1h")}, probe).wait_ready()
    length = probe.lengths[f"/v1/{READ}cut/s0"]
    at = {f"cut/s{number}": number * (length - 2) // (places - 1) for number in range(places)}
    kinds = (cut, reset)

    def chosen(request):
        name = request.path.partition(READ)[2]
        return kinds[at[name] % 2](at[name]) if name in at else None

    proxy.fault = chosen
    secrets = {f"s{number}": kv(f"cut/s{number}") for number in range(places)}
    sidecar = rig.serve(secrets, proxy)
    wait_until(lambda: all_states(sidecar) == {"failed"}, 20, "all of them to fail")
    assert not os.path.exists(os.path.join(sidecar.files, "..data", "s0"))
    proxy.fault = None
    sidecar.wait_ready(20)

    proxy.fault = chosen
    begin = len(proxy.requests)
    wait_until(lambda: all_states(sidecar) == {"stale"}, 20, "all of them to be stale")
    for number in range(places):
        assert sidecar.read(f"s{number}/value") == f"v{number}"
    assert len(proxy.paths(READ, begin)) <= 6 * places
    proxy.fault = None
    wait_until(lambda: all_states(sidecar) == {"fresh"}, 30, "all of them to be fresh")
    assert len(proxy.paths("login")) == 1


def all_states(sidecar):
    assert sidecar.process.poll() is None, sidecar.read_log()
    try:
        return {entry["state"] for entry in sidecar.status()["secrets"]}
    except OSError:
        return set()


def test_bits_that_turn_over_never_end_the_program_or_mix_what_it_publishes(bao, rig):
    """No checksum can tell a turned bit of a value; but the rest of the answer must not carry it further."""
    for number in range(60):
        bao.put(f"bits/s{number}", value="v")
    proxy = rig.proxy(seed=7)
    sidecar = rig.serve({f"s{number}": kv(f"bits/s{number}") for number in range(60)}, proxy).wait_ready()
    proxy.fault = when(READ, corrupt(3, head=True))
    wait_until(lambda: len(proxy.paths(READ)) > 300, 30, "some hundred spoiled answers")
    assert sidecar.process.poll() is None, sidecar.read_log()
    proxy.clear()
    wait_until(lambda: all_states(sidecar) == {"fresh"}, 70, "all of them to be fresh")
    wait_until(lambda: all(sidecar.read(f"s{number}/value") == "v" for number in range(60)), 10, "the values")


def test_a_slow_answer_is_an_answer(bao, rig):
    bao.put("slow", value="one")
    proxy = rig.proxy()
    proxy.fault = delay(2)
    sidecar = rig.serve({"a": kv("slow", refresh="1h")}, proxy).wait_ready()
    assert len(proxy.requests) == 3
    assert_readable(sidecar, "a", "one", stale=False)


# ---- 429, 307 ----


def test_retry_after_is_honoured_and_what_is_absurd_is_clamped(bao, rig):
    bao.put("after", value="one")
    cases = {"4": (4, 7), "-5": (0.25, 4), "soon": (0.25, 4), "99999999": (8, None), "0": (0.25, 4)}
    proxies = {}
    for value in cases:
        proxies[value] = rig.proxy()
        proxies[value].script(None, None, answer(429, Retry_After=value))
        rig.serve({"a": kv("after")}, proxies[value])
    begin = time.monotonic()

    def reads(value):
        return [request.at for request in proxies[value].requests if READ in request.path]

    wait_until(lambda: all(reads(value) for value in cases), 10, "the first requests")
    time.sleep(max(0.0, 9 - (time.monotonic() - begin)))
    for value, (least, most) in cases.items():
        at = reads(value)
        if most is None:
            assert len(at) == 1, value
        else:
            assert least <= at[1] - at[0] <= most, (value, at[1] - at[0])


def test_one_307_is_followed_and_only_to_whom_we_know(bao, rig):
    bao.put("moved", value="one")
    target = f"/v1/{READ}moved"
    stranger = rig.proxy()

    def case(location, *more, others=0):
        proxies = [rig.proxy() for _ in range(1 + others)]
        proxies[0].script(None, None, answer(307, Location=location(proxies)), *more)
        return rig.serve({"a": kv("moved", refresh="1h")}, *proxies), proxies

    relative, relative_proxies = case(lambda _: target)
    known, known_proxies = case(lambda proxies: proxies[1].address + target, others=1)
    unknown, unknown_proxies = case(lambda _: stranger.address + target)
    again, again_proxies = case(lambda _: target, answer(307, Location=target))
    nowhere, nowhere_proxies = case(lambda _: "")

    relative.wait_ready()
    assert len(relative_proxies[0].paths(READ)) == 2
    known.wait_ready()
    assert [len(proxy.paths(READ)) for proxy in known_proxies] == [1, 1]
    for sidecar, words in (
        (unknown, [stranger.address, "`address`"]),
        (again, ["one 307"]),
        (nowhere, ["without saying where to"]),
    ):
        wait_until(lambda s=sidecar: "not fetched" in s.read_log(), 10, "the refusal")
        for word in words:
            assert word in sidecar.read_log(), sidecar.read_log()
    assert stranger.connections == 0, "a stranger saw our token"
    for sidecar in (unknown, again, nowhere):
        sidecar.wait_ready(20)  # the script is over


def test_nothing_of_what_a_server_says_is_quoted(bao, rig, run):
    """A plugin's message with its password, or a server that sends back what it knows: not into log, status, metrics."""
    bao.put("said", value="one")
    canary = "Canary-7f3a91"
    texts = [
        (400, {"errors": [f"dial postgres://root:{canary}@db: refused"]}),
        (403, {"errors": [f"permission denied: {canary}", canary]}),
        (404, {"errors": [], "warnings": [canary]}),
        (500, {"errors": [canary]}),
        (503, {"errors": [f"Vault is sealed {canary}"]}),
        (418, {canary: canary}),
        (200, {"errors": [canary]}),
        (200, {"data": canary}),
        (200, {"auth": {"client_token": canary + " "}}),
    ]
    cases = []
    for where in ("login", "mounts", READ):
        for status, body in texts:
            proxy = rig.proxy()
            proxy.fault = when(where, answer(status, json.dumps(body).encode()))
            cases.append((where, status, rig.prepare(*rig.config({"a": kv("said")}, proxy, log={"level": "trace"}))))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ends = pool.map(lambda case: run("serve", "-c", case[2].file, "--once", "--timeout", "1s", timeout=30), cases)
    for (where, status, _), done in zip(cases, ends):
        assert done.returncode in (65, 69, 77, 78), (where, status, done.returncode, done.stderr)
        assert canary not in done.stderr, (where, status, done.stderr)
        assert f"({status}" in done.stderr or status == 200 or where == "mounts", (where, status, done.stderr)

    # The same in what a running agent says of itself.
    proxy = rig.proxy()
    proxy.fault = when(READ, answer(403, json.dumps(texts[1][1]).encode()))
    sidecar = rig.serve({"a": kv("said")}, proxy, log={"level": "trace"})
    wait_for(sidecar, "a", "denied")
    assert "(403: permission denied)" in sidecar.secret("a")["error"]["text"]
    assert canary.encode() not in sidecar.get("/v1/status")[1] + sidecar.get("/metrics")[1] + sidecar.read_log().encode()


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


def once(run, sidecar, *arguments, **options):
    return run("serve", "-c", sidecar.file, "--once", "--timeout", "3s", *arguments, **options)


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
    for name, authority, certificate, tls, words in cases:
        trust.show(authority, **certificate)
        folder, config = with_tls(rig, trust, {"a": kv("name")})
        config["backends"]["vault"]["tls"].update(tls)
        if tls.get("ca_file", "") is None:
            del config["backends"]["vault"]["tls"]
        done = once(run, rig.prepare(folder, config), env=environment if "environment" in name else None)
        assert done.returncode == 69, (name, done.stderr)
        for word in [*words, trust.proxy.address]:
            assert word in done.stderr, (name, done.stderr)
    assert trust.proxy.requests == [], "a request went to a server that is not trusted"

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


# ---- what the server takes away ----


def test_revoked_tokens_cost_a_login_each_and_at_most_one_in_five_seconds(bao, rig, tmp_path):
    secrets = {}
    for number in range(20):
        bao.put(f"taken/s{number}", value="one")
        secrets[f"s{number}"] = kv(f"taken/s{number}")
    proxy = rig.proxy()
    sidecar = rig.serve(secrets, proxy, role=bao.approle("taken", READ_POLICY, str(tmp_path))).wait_ready()
    time.sleep(5)  # the first login is old enough for the next
    begin = time.monotonic()
    before = len(proxy.requests)
    while time.monotonic() - begin < 9:
        revoke_tokens(bao, "taken")
        time.sleep(0.7)
    logins = [request.at for request in proxy.requests[before:] if "login" in request.path]
    lookups = [request.at for request in proxy.requests[before:] if "lookup-self" in request.path]
    assert 1 <= len(logins) <= 3, logins
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
    time.sleep(10)

    asked = late.paths(READ, before)
    assert set(asked) == {f"/v1/{READ}hundred/s42"}, "others were asked for"
    assert 1 <= len(late.paths("lookup-self", before)) <= 1
    assert not late.paths("login", before) and not late.paths("mounts", before)
    asked = early.paths(READ)
    assert sorted(path for path in asked if not path.endswith("s42")) == sorted(
        f"/v1/{READ}hundred/s{number}" for number in range(100) if number != 42
    )
    assert len(asked) - 99 <= 4 and len(early.paths("login")) == 1 and len(early.paths("lookup-self")) == 1
    # The server's own count says the same.
    assert sum("secret/data/hundred/" in request["path"] for request in bao.requests()[audited:]) == len(asked) + len(
        late.paths(READ, before)
    )
    assert at_start.get("/v1/ready")[0] == 503 and sidecar.get("/v1/ready")[0] == 200

    bao.call("PUT", "sys/policies/acl/hundred", {"policy": READ_POLICY})
    sidecar.process.send_signal(signal.SIGHUP)


# ---- dynamic credentials ----


@pytest.fixture(scope="module")
def influx(bao):
    influx = influxdb.Influx()
    influxdb.mount(bao, influx, "short")
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


# ---- the end ----


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
