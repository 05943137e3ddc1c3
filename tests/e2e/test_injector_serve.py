# SPDX-License-Identifier: Apache-2.0
"""The webhook's port: who gets in, what it takes, how it changes and how it ends."""
import concurrent.futures
import json
import os
import re
import resource
import signal
import socket
import ssl
import time

import pytest

from conftest import wait_until
from injector import CONFIG, Authority, Injector, apply_patch, review_of
from kube import pod

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def injector(tmp_path):
    running = Injector(tmp_path).start()
    yield running
    running.stop(signal.SIGKILL)


def ask(injector, method, path, body=None, headers=None, timeout=10):
    connection = injector.connect(timeout)
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return reply.status, reply.read().decode(), reply.headers
    finally:
        connection.close()


def test_many_reviews_on_one_connection(injector):
    connection = injector.connect()
    for _ in range(50):
        assert injector.review(pod(), connection=connection)["allowed"]
    connection.close()
    assert injector.metric("injector_skipped_total", 'reason="not_annotated"') == 50
    assert injector.metric("injector_review_duration_seconds_count") == 50


def test_ipv4_and_ipv6(injector):
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, injector.port), 5).close()


def test_what_it_does_not_take(injector):
    body = '{"kind":"AdmissionReview"}'
    assert ask(injector, "POST", "/mutate", body, {"Content-Type": "text/plain"})[0] == 415
    assert ask(injector, "POST", "/mutate", body, {"Content-Type": "application/yaml"})[0] == 415
    assert ask(injector, "POST", "/mutate", "{}", JSON)[0] == 400
    assert ask(injector, "POST", "/mutate", "not json", JSON)[0] == 400
    assert ask(injector, "POST", "/elsewhere", body, JSON)[0] == 404
    status, _, headers = ask(injector, "GET", "/mutate")
    assert (status, headers["Allow"]) == (405, "POST")
    chunks = iter([b"{}", b"{}"])
    assert ask(injector, "POST", "/mutate", chunks, {**JSON, "Transfer-Encoding": "chunked"})[0] == 411
    assert injector.metric("injector_malformed_total") == 2


def test_a_body_of_8_mib_is_refused_and_costs_nothing(injector):
    before = memory(injector)
    for _ in range(4):
        status, text, _ = ask(injector, "POST", "/mutate", b"x" * (8 << 20), JSON)
        assert status == 413 and "4 MiB" in text
    assert memory(injector) - before < 1024


def memory(injector):
    """Resident KiB."""
    for line in open(f"/proc/{injector.process.pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


def test_plain_http_is_turned_away(injector):
    with socket.create_connection(("127.0.0.1", injector.port), 5) as plain:
        plain.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP/" not in plain.recv(4096)
    assert injector.get("/live")[0] == 200


def test_slow_clients_cost_the_others_nothing(injector):
    """64 that send a byte a time: each is told after two seconds, and reviews are answered meanwhile."""
    slow = [injector.connect(30) for _ in range(60)]
    head = b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    for connection in slow:
        connection.sock.sendall(head + b"{")
    began = time.monotonic()
    assert injector.review(pod())["allowed"]
    assert time.monotonic() - began < 1
    for connection in slow:
        assert connection.sock.recv(4096).startswith(b"HTTP/1.1 408 ")
    assert 1 < time.monotonic() - began < 4


def test_the_65th_request_at_once_is_told_to_come_again(injector):
    head = b"POST /mutate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    held = [injector.connect(30) for _ in range(64)]
    for connection in held:
        connection.sock.sendall(head + b"{")
    status = wait_until(lambda: ask(injector, "POST", "/mutate", "{}", JSON)[0] == 429 and 429, 1.5, "429")
    assert status == 429
    assert injector.get("/ready")[0] == 200


def test_a_thousand_idle_connections_lock_nobody_out(injector):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    api = injector.connect()
    assert injector.review(pod(), connection=api)["allowed"]
    idle = [socket.create_connection(("127.0.0.1", injector.port), 5) for _ in range(1000)]
    assert injector.review(pod(), connection=api)["allowed"]
    assert injector.review(pod())["allowed"]
    assert injector.metric("injector_connections") <= 256
    for connection in idle:
        connection.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_few_descriptors_are_enough(tmp_path):
    injector = Injector(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        injector.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    idle = [socket.create_connection(("127.0.0.1", injector.port), 5) for _ in range(200)]
    assert injector.review(pod())["allowed"]
    for connection in idle:
        connection.close()
    injector.stop(signal.SIGKILL)


def serial(injector):
    with socket.create_connection(("127.0.0.1", injector.port), 5) as plain:
        with injector.trust().wrap_socket(plain, server_hostname="127.0.0.1") as secure:
            return secure.getpeercert()["serialNumber"]


def test_a_new_certificate_is_shown_and_a_bad_one_is_not(injector):
    standing = injector.connect()
    first = serial(injector)
    injector.renew()
    wait_until(lambda: serial(injector) != first, 5, "the new certificate")
    second = serial(injector)
    with open(injector.cert, "w") as file:
        file.write("no certificate\n")
    wait_until(lambda: "certificate not reloaded, the old one stays" in injector.read_log(), 5, "the log")
    assert serial(injector) == second
    injector.renew()
    wait_until(lambda: serial(injector) != second, 5, "the third certificate")
    assert injector.review(pod(), connection=standing)["allowed"], "its connection outlived three certificates"


def test_a_certificate_that_has_ended_is_not_ready(injector):
    assert injector.get("/ready")[0] == 200
    injector.renew(days=-1)
    wait_until(lambda: "certificate reloaded" in injector.read_log(), 5, "the certificate")
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", injector.port), 5) as plain:
        with context.wrap_socket(plain) as secure:
            secure.sendall(b"GET /ready HTTP/1.1\r\n\r\n")
            assert secure.recv(4096).startswith(b"HTTP/1.1 503 ")


def test_a_new_configuration_is_used_and_a_bad_one_is_not(injector):
    injector.configure({**CONFIG, "unknown": 1})
    wait_until(lambda: "configuration not reloaded, the old one stays" in injector.read_log(), 5, "the log")
    assert injector.review(pod())["allowed"]
    assert injector.metric("injector_config_refused_total") >= 1
    injector.configure({**CONFIG, "strict": True})
    wait_until(lambda: "configuration reloaded" in injector.read_log(), 5, "the log")
    assert injector.review(pod())["allowed"]


def test_only_callers_with_a_certificate(tmp_path):
    callers = Authority(str(tmp_path), "callers")
    injector = Injector(tmp_path).start("--client-ca", callers.file)
    assert injector.get("/ready")[0] == 200, "the kubelet's probe has none"
    status, text, _ = ask(injector, "POST", "/mutate", "{}", JSON)
    assert (status, "certificate" in text) == (403, True)
    context = injector.trust()
    context.load_cert_chain(*callers.issue("api-server"))
    with socket.create_connection(("127.0.0.1", injector.port), 5) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
            secure.sendall(b"POST /mutate HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            assert secure.recv(4096).startswith(b"HTTP/1.1 400 ")
    injector.stop(signal.SIGKILL)


def test_sigterm_drains(tmp_path):
    """Not ready at once, serving meanwhile, what is in flight answered, and the end."""
    injector = Injector(tmp_path, drain="1s").start()
    standing = injector.connect()
    assert injector.review(pod(), connection=standing)["allowed"]
    slow = injector.connect(30)
    body = json.dumps(review_of(pod())).encode()
    injector.process.send_signal(signal.SIGTERM)
    wait_until(lambda: injector.get("/ready")[0] == 503, 1, "not ready")
    assert injector.review(pod())["allowed"], "still serving"
    standing.request("GET", "/live")
    reply = standing.getresponse()
    assert (reply.status, reply.headers["Connection"]) == (200, "close"), "its client goes elsewhere"
    time.sleep(0.6)
    slow.putrequest("POST", "/mutate")
    slow.putheader("Content-Type", "application/json")
    slow.putheader("Content-Length", str(len(body)))
    slow.endheaders(body[:10])
    time.sleep(0.6)
    slow.send(body[10:])
    assert slow.getresponse().status == 200, "what was in flight is answered"
    assert injector.process.wait(5) == 0
    assert "ending" in injector.read_log()


def test_a_second_sigterm_ends_at_once(tmp_path):
    injector = Injector(tmp_path, drain="60s").start()
    injector.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "draining" in injector.read_log(), 5, "draining")
    began = time.monotonic()
    assert injector.stop() == 0
    assert time.monotonic() - began < 3


def test_what_is_wrong_at_start_is_said(tmp_path):
    injector = Injector(tmp_path)
    os.remove(injector.key)
    with pytest.raises(AssertionError):
        injector.start()
    assert injector.process.wait(5) == 78
    assert injector.key in injector.read_log()


def test_it_has_given_up_what_it_does_not_need(injector):
    status = dict(line.split(":\t", 1) for line in open(f"/proc/{injector.process.pid}/status") if ":\t" in line)
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"
    assert os.stat(f"/proc/{injector.process.pid}/environ").st_uid == 0
    limits = open(f"/proc/{injector.process.pid}/limits").read()
    assert [line.split()[4] for line in limits.splitlines() if line.startswith("Max core")] == ["0"]


def test_reviews_from_many_connections_at_once(injector):
    def twenty(_):
        connection = injector.connect(30)
        allowed = [injector.review(pod(), connection=connection)["allowed"] for _ in range(20)]
        connection.close()
        return all(allowed)

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        assert all(pool.map(twenty, range(32)))
    assert injector.metric("injector_skipped_total", 'reason="not_annotated"') == 640
    assert injector.metric("injector_requests_busy_total") == 0


@pytest.mark.parametrize("variables, containers, allowed", [(98, 30, True), (99, 30, True), (100, 30, False), (1000, 100, False)])
def test_what_one_pod_may_cost_is_bounded(tmp_path, variables, containers, allowed):
    """At most 3000 variables and directories in all containers together; the reply to 3000 is a patch that applies."""
    injector = Injector(tmp_path).start("--server-version", "v1.36.0")
    asks = {"secrets-agent/inject": "true", "secrets-agent/role": "web", "secrets-agent/secret.db": "secret/db",
            "secrets-agent/env": ",".join(f"V{i}=db.f{i}" for i in range(variables))}  # fmt: skip
    made = pod(asks, containers=[{"name": f"c{i}", "image": "x"} for i in range(containers)])
    began = time.monotonic()
    answer = injector.review(made)
    assert answer["allowed"] is allowed
    assert time.monotonic() - began < 2, "an API server waits for 5 s, and everybody else behind it"
    if allowed:
        apply_patch(made, answer["patch"])
        assert all(len(container["env"]) == variables for container in made["spec"]["containers"])
    else:
        assert "more than 3000 variables and directories" in answer["status"]["message"]
    injector.stop(signal.SIGKILL)


@pytest.mark.parametrize("directories, allowed", [(99, True), (100, True), (101, False)])
def test_a_pod_has_at_most_a_hundred_directories_of_secrets(injector, directories, allowed):
    prefix = "vault.hashicorp.com/"
    asks = {f"{prefix}agent-inject": "true", f"{prefix}role": "web"}
    for i in range(directories - 1):  # beside /vault/secrets itself
        asks[f"{prefix}agent-inject-secret-s{i}"] = f"secret/{i}"
        asks[f"{prefix}secret-volume-path-s{i}"] = f"/secrets/{i}"
    answer = injector.review(pod(asks))
    assert answer["allowed"] is allowed
    assert allowed or "more than 100 directories" in answer["status"]["message"]


def test_every_metric_that_the_manual_names_is_there(injector):
    assert injector.review(pod())["allowed"]
    page = injector.get("/metrics")[1]
    with open(os.path.join(os.path.dirname(__file__), "..", "..", "docs", "injector.md")) as file:
        named = set(re.findall(r"\binjector_[a-z_]+", file.read()))
    own_authority = {name for name in named if re.match("injector_certificate_.*_total", name)}  # not with files
    assert len(named) > 8
    for name in named - own_authority:
        assert f"\n# TYPE {name} " in page, name
