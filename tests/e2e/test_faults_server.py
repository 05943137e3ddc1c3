# SPDX-License-Identifier: Apache-2.0
"""What the sidecar does when the server, or the way to it, fails."""
import concurrent.futures
import json
import os
import time

import pytest

from conftest import wait_until
from faults import (  # fixtures among them
    READ, Rig, all_states, assert_readable, kv, rig, role, seal, standing, state, unseal, wait_for,
)  # fmt: skip
from fault_proxy import answer, corrupt, cut, delay, drip, reset, rewrite, say, silence, when
from sidecar import READ_POLICY


# ---- the server is there and does not serve ----


def test_a_sealed_server_at_start_is_waited_for_without_haste(bao, rig):
    bao.put("sealed/start", value="one")
    proxy = rig.proxy()
    seal(bao)
    try:
        sidecar = rig.serve({"a": kv("sealed/start")}, proxy)
        wait_for(sidecar, "a", "failed")
        time.sleep(4)
        assert 2 <= len(proxy.requests) <= 5, proxy.paths()
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
        time.sleep(2)
        assert len(proxy.requests) - before <= 3, proxy.paths(since=before)
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
        time.sleep(2)
        assert len(proxy.requests) - before <= 3
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


def test_bits_that_turn_over_never_end_the_program_or_mix_what_it_publishes(bao, rig):
    """No checksum can tell a turned bit of a value; but the rest of the answer must not carry it further."""
    count = 150
    for number in range(count):
        bao.put(f"bits/s{number}", value="v")
    proxy = rig.proxy(seed=7)
    sidecar = rig.serve({f"s{number}": kv(f"bits/s{number}") for number in range(count)}, proxy).wait_ready()
    proxy.fault = when(READ, corrupt(3, head=True))
    wait_until(lambda: len(proxy.paths(READ)) > 300, 30, "some hundred spoiled answers")
    assert sidecar.process.poll() is None, sidecar.read_log()
    proxy.clear()
    wait_until(lambda: all_states(sidecar) == {"fresh"}, 70, "all of them to be fresh")
    wait_until(lambda: all(sidecar.read(f"s{number}/value") == "v" for number in range(count)), 10, "the values")


def test_a_slow_answer_is_an_answer(bao, rig):
    bao.put("slow", value="one")
    proxy = rig.proxy()
    proxy.fault = delay(1)
    sidecar = rig.serve({"a": kv("slow", refresh="1h")}, proxy).wait_ready()
    assert len(proxy.requests) == 3
    assert_readable(sidecar, "a", "one", stale=False)


# ---- 429, 307 ----


def test_retry_after_is_honoured_and_what_is_absurd_is_clamped(bao, rig):
    bao.put("after", value="one")
    cases = {"3": (3, 5), "-5": (0.25, 3), "soon": (0.25, 3), "99999999": (5, None), "0": (0.25, 3)}
    proxies = {}
    for value in cases:
        proxies[value] = rig.proxy()
        proxies[value].script(None, None, answer(429, Retry_After=value))
        rig.serve({"a": kv("after")}, proxies[value])
    begin = time.monotonic()

    def reads(value):
        return [request.at for request in proxies[value].requests if READ in request.path]

    wait_until(lambda: all(reads(value) for value in cases), 10, "the first requests")
    time.sleep(max(0.0, 5.5 - (time.monotonic() - begin)))
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
