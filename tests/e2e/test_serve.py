# SPDX-License-Identifier: Apache-2.0
"""The sidecar against a real OpenBao: what is asked of the server is counted in the server's audit log."""
import json
import os
import signal
import threading
import time

import pytest

from conftest import wait_until
from relay import Relay
from sidecar import MOUNT_POLICY, READ_POLICY, Sidecar, approle_config


@pytest.fixture
def serve(agent, tmp_path):
    started = []

    def serve(config, *arguments, **options):
        started.append(Sidecar(agent, tmp_path, config, **options).start(*arguments))
        return started[-1]

    yield serve
    for sidecar in started:
        if sidecar.process.poll() is None:
            sidecar.stop(signal.SIGKILL)


def kv(path, **more):
    return {"backend": "vault", "path": f"secret/{path}", "refresh": "1s", **more}


def test_files_socket_and_get_hold_what_the_server_has(bao, serve, run, tmp_path):
    bao.put("first/db", password="correct horse", port=5432, tls={"on": True})
    role = bao.approle("first", READ_POLICY, str(tmp_path))
    sidecar = serve(approle_config(bao, tmp_path, role, {"db": kv("first/db")})).wait_ready()

    assert sidecar.read("db/password") == "correct horse"
    assert sidecar.read("db/port") == "5432"
    assert json.loads(sidecar.read("db/tls")) == {"on": True}
    assert sidecar.get("/v1/secrets/db/password")[:2] == (200, b"correct horse")
    whole = json.loads(sidecar.get("/v1/secrets/db")[1])
    assert whole["fields"] == {"password": "correct horse", "port": 5432, "tls": {"on": True}}
    assert whole["version"] == "1" and whole["stale"] is False
    assert run("get", "db.password", "--socket", sidecar.socket).stdout == "correct horse"
    assert sidecar.stop() == 0


def test_costs_one_login_one_preflight_and_one_read_per_secret(bao, serve, tmp_path):
    for number in range(20):
        bao.put(f"count/s{number}", value=f"v{number}")
    role = bao.approle("count", READ_POLICY, str(tmp_path))
    secrets = {f"s{number}": kv(f"count/s{number}", refresh="1h") for number in range(20)}
    before = len(bao.requests())
    sidecar = serve(approle_config(bao, tmp_path, role, secrets)).wait_ready()

    asked = [request["path"] for request in bao.requests()[before:]]
    assert sum("approle/login" in path for path in asked) == 1
    assert sum("internal/ui/mounts" in path for path in asked) == 1
    assert sum(path.startswith("secret/data/count/") for path in asked) == 20
    assert len(asked) == 22, asked
    assert sidecar.stop() == 0


def test_secrets_that_keep_arriving_make_one_generation_and_one_that_hangs_holds_none_back(bao, serve, tmp_path):
    for number in range(80):
        bao.put(f"slow/s{number}", value=f"v{number}")
    role = bao.approle("slow", READ_POLICY, str(tmp_path))
    config = approle_config(bao, tmp_path, role, {f"s{number}": kv(f"slow/s{number}", refresh="1h") for number in range(80)})
    before, let_go = Relay(bao.port), threading.Event()

    def slowly(path, status, body):
        time.sleep(0.2)
        if path.endswith("/s7"):
            let_go.wait(10)
        return status, body

    before.change = slowly
    config["backends"]["vault"]["address"] = before.address
    sidecar = serve(config)
    data = os.path.join(sidecar.files, "..data")
    wait_until(lambda: os.path.islink(data), what="the first generation")
    assert sorted(os.listdir(data)) == sorted(f"s{number}" for number in range(80) if number != 7)
    let_go.set()
    sidecar.wait_file("s7/value", "v7")
    assert os.readlink(data) == "..gen-000002"
    assert sidecar.stop() == 0
    before.close()


def test_a_changed_secret_arrives_and_an_unchanged_one_is_left_alone(bao, serve, tmp_path):
    bao.put("change/a", value="one")
    bao.put("change/b", value="same")
    role = bao.approle("change", READ_POLICY, str(tmp_path))
    sidecar = serve(approle_config(bao, tmp_path, role, {"a": kv("change/a"), "b": kv("change/b")})).wait_ready()
    generation = os.readlink(os.path.join(sidecar.files, "..data"))
    time.sleep(2.5)
    assert os.readlink(os.path.join(sidecar.files, "..data")) == generation, "published without a change"

    bao.put("change/a", value="two")
    sidecar.wait_file("a/value", "two")
    assert sidecar.read("b/value") == "same"


def test_one_denied_path_costs_the_others_nothing(bao, serve, tmp_path):
    for number in range(10):
        bao.put(f"deny/s{number}", value="v")
    policy = MOUNT_POLICY + 'path "secret/data/deny/*" { capabilities = ["read"] }\npath "secret/data/deny/s3" { capabilities = ["deny"] }\n'
    role = bao.approle("deny", policy, str(tmp_path))
    secrets = {f"s{number}": kv(f"deny/s{number}", refresh="1h") for number in range(10)}
    sidecar = serve(approle_config(bao, tmp_path, role, secrets))
    wait_until(lambda: os.path.exists(sidecar.socket) and sidecar.secret("s3")["state"] == "denied", what="s3 denied")
    for number in range(10):
        if number != 3:
            sidecar.wait_file(f"s{number}/value", "v")
    assert sidecar.get("/v1/ready")[0] == 503
    assert sidecar.get("/v1/secrets/s3")[0] == 503
    time.sleep(10)
    asked = [request["path"] for request in bao.requests("deny/")]
    assert asked.count("secret/data/deny/s3") <= 4, "a denied path is not asked for again and again"
    assert all(asked.count(f"secret/data/deny/s{number}") == 1 for number in range(10) if number != 3), asked


def test_a_revoked_token_costs_one_login_and_no_needless_read(bao, serve, tmp_path):
    for number in range(5):
        bao.put(f"revoke/s{number}", value="one")
    role = bao.approle("revoke", READ_POLICY, str(tmp_path))
    secrets = {f"s{number}": kv(f"revoke/s{number}", refresh="1s" if number == 0 else "1h") for number in range(5)}
    sidecar = serve(approle_config(bao, tmp_path, role, secrets)).wait_ready()
    time.sleep(6)  # the first login is 5 s old: another one may follow at once
    accessor = [r for r in bao.requests("secret/data/revoke/s0")][-1]["client_token_accessor"]
    bao.call("POST", "auth/token/revoke-accessor", {"accessor": accessor}) if not accessor.startswith("hmac") else None
    if accessor.startswith("hmac"):
        for listed in bao.call("LIST", "auth/token/accessors")["data"]["keys"]:
            about = bao.call("POST", "auth/token/lookup-accessor", {"accessor": listed})["data"]
            if "revoke" in about["policies"]:
                bao.call("POST", "auth/token/revoke-accessor", {"accessor": listed})
    before = len(bao.requests())
    bao.put("revoke/s0", value="two")
    sidecar.wait_file("s0/value", "two", 8)
    asked = [request["path"] for request in bao.requests()[before:]]
    assert sum("approle/login" in path for path in asked) == 1, asked
    assert not [path for path in asked if path.startswith("secret/data/revoke/s") and not path.endswith("s0")], asked


def test_last_good_stays_while_the_server_is_gone(bao, serve, tmp_path):
    bao.put("gone/a", value="one")
    role = bao.approle("gone", READ_POLICY, str(tmp_path))
    sidecar = serve(approle_config(bao, tmp_path, role, {"a": kv("gone/a")})).wait_ready()
    bao.process.send_signal(signal.SIGSTOP)
    try:
        sidecar.wait_state("a", "stale", 30)
        assert sidecar.read("a/value") == "one"
        status, body, _ = sidecar.get("/v1/secrets/a")
        assert status == 200 and json.loads(body)["stale"] is True
        begin = time.monotonic()
        assert sidecar.get("/v1/secrets/a/value")[1] == b"one"
        assert time.monotonic() - begin < 1, "the socket never waits for a backend"
    finally:
        bao.process.send_signal(signal.SIGCONT)
    bao.put("gone/a", value="two")
    sidecar.wait_file("a/value", "two", 60)
    sidecar.wait_state("a", "fresh")


def test_a_restart_adopts_the_standing_set(bao, serve, tmp_path):
    bao.put("adopt/a", value="one")
    role = bao.approle("adopt", READ_POLICY, str(tmp_path))
    config = approle_config(bao, tmp_path, role, {"a": kv("adopt/a")})
    sidecar = serve(config).wait_ready()
    generation = os.readlink(os.path.join(sidecar.files, "..data"))
    sidecar.stop(signal.SIGKILL)
    again = serve(config).wait_ready()
    assert os.readlink(os.path.join(again.files, "..data")) == generation


def test_reload_is_applied_whole_or_not_at_all(bao, serve, tmp_path):
    bao.put("reload/a", value="a")
    bao.put("reload/b", value="b")
    role = bao.approle("reload", READ_POLICY, str(tmp_path))
    config = approle_config(bao, tmp_path, role, {"a": kv("reload/a", refresh="1h")})
    sidecar = serve(config).wait_ready()
    before = len(bao.requests())

    sidecar.write({**config, "secrets": {"a": {"backend": "nowhere", "path": "x"}}})
    sidecar.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "not reloaded" in sidecar.read_log(), what="the refusal in the log")
    assert sidecar.read("a/value") == "a"

    config["secrets"]["b"] = kv("reload/b", refresh="1h")
    sidecar.write(config)
    sidecar.wait_file("b/value", "b")
    asked = [request["path"] for request in bao.requests()[before:]]
    assert not any("login" in path for path in asked), "an unchanged backend keeps its session"
    assert "secret/data/reload/a" not in asked, "an unchanged secret keeps its version"


def test_dynamic_leases_are_renewed_and_survive_the_end(bao, serve, tmp_path):
    """PKI and a short-lived token stand for dynamic secrets: nothing but the server is needed for them."""
    bao.call("POST", "sys/mounts/pki", {"type": "pki"})
    bao.call("POST", "pki/root/generate/internal", {"common_name": "test", "ttl": "24h"})
    bao.call("POST", "pki/roles/web", {"allow_any_name": True, "max_ttl": "1h", "key_type": "ec", "key_bits": 256})
    policy = MOUNT_POLICY + 'path "pki/issue/web" { capabilities = ["update"] }\n'
    role = bao.approle("pki", policy, str(tmp_path))
    config = approle_config(
        bao,
        tmp_path,
        role,
        {"cert": {"backend": "vault", "path": "pki/issue/web", "write": {"common_name": "web.example", "ttl": "10s"}}},
    )
    config["sinks"]["files"]["entries"] = {"web.pem": {"secret": "cert", "format": "pem"}}
    sidecar = serve(config).wait_ready()
    first = sidecar.read("web.pem")
    assert first.count("BEGIN CERTIFICATE") >= 1 and "PRIVATE KEY" in first
    wait_until(lambda: sidecar.read("web.pem") != first, 15, "a new certificate before the old one ends")


def test_once_publishes_and_exits(bao, agent, run, tmp_path):
    bao.put("once/a", value="one")
    role = bao.approle("once", READ_POLICY, str(tmp_path))
    config = approle_config(bao, tmp_path, role, {"a": kv("once/a")})
    sidecar = Sidecar(agent, tmp_path, config)
    done = run("serve", "-c", sidecar.file, "--once", "--timeout", "20s")
    assert done.returncode == 0, done.stderr
    assert sidecar.read("a/value") == "one"


@pytest.mark.parametrize(
    "change, status, words",
    [
        (lambda c: c["secrets"]["a"].update(path="secret/missing"), 65, ["secret 'a'", "missing"]),
        (lambda c: c["secrets"]["a"].update(path="denied/a"), 77, ["secret 'a'"]),
        (lambda c: c["backends"]["vault"].update(address="http://127.0.0.1:1"), 69, ["127.0.0.1:1"]),
        (lambda c: c["backends"]["vault"]["auth"].update(secret_id_file="/nowhere/id"), 78, ["/nowhere/id"]),
    ],
    ids=["missing", "denied", "refused", "no credential"],
)
def test_once_says_what_is_wrong_with_the_exit_status_for_it(bao, agent, run, tmp_path, change, status, words):
    bao.put("wrong/a", value="one")
    role = bao.approle("wrong", READ_POLICY, str(tmp_path))
    config = approle_config(bao, tmp_path, role, {"a": kv("wrong/a")})
    change(config)
    sidecar = Sidecar(agent, tmp_path, config)
    done = run("serve", "-c", sidecar.file, "--once", "--timeout", "3s")
    assert done.returncode == status, done.stderr
    for word in words:
        assert word in done.stderr


def test_term_ends_within_two_seconds_and_removes_nothing(bao, serve, tmp_path):
    bao.put("term/a", value="one")
    role = bao.approle("term", READ_POLICY, str(tmp_path))
    sidecar = serve(approle_config(bao, tmp_path, role, {"a": kv("term/a")})).wait_ready()
    begin = time.monotonic()
    assert sidecar.stop() == 0
    assert time.monotonic() - begin < 2
    assert sidecar.read("a/value") == "one"


def test_the_process_is_closed_to_debuggers_and_neighbours(bao, serve, tmp_path):
    bao.put("closed/a", value="one")
    role = bao.approle("closed", READ_POLICY, str(tmp_path))
    sidecar = serve(approle_config(bao, tmp_path, role, {"a": kv("closed/a")})).wait_ready()
    lines = open(f"/proc/{sidecar.process.pid}/status").read()
    assert "NoNewPrivs:\t1" in lines and "Seccomp:\t2" in lines
    hardening = sidecar.status()["hardening"]
    assert hardening["seccomp"] == "on" and hardening["dumpable"] == "no" and hardening["landlock"].startswith("abi")
    assert os.stat(f"/proc/{sidecar.process.pid}/environ").st_uid == 0


def test_check_online_says_for_each_path_whether_it_may_be_read(bao, agent, run, tmp_path):
    bao.put("survey/a", value="one")
    role = bao.approle("survey", READ_POLICY, str(tmp_path))
    secrets = {"a": kv("survey/a"), "cert": {"backend": "vault", "path": "pki/issue/web", "write": {"common_name": "x"}}}
    sidecar = Sidecar(agent, tmp_path, approle_config(bao, tmp_path, role, secrets))
    before = len(bao.requests())
    done = run("check", "--online", "--policy", "-c", sidecar.file)
    assert done.returncode == 77
    assert "a\tvault:secret/survey/a\tmay be read" in done.stderr
    assert "cert\tvault:pki/issue/web\tdenied" in done.stderr
    assert 'path "secret/data/survey/a" {\n  capabilities = ["read"]\n}' in done.stdout
    assert "survey/a\"" not in done.stdout.replace("secret/data/survey/a\"", ""), "the mount's version is known by now"
    asked = [request["path"] for request in bao.requests()[before:]]
    assert "secret/data/survey/a" not in asked, "nothing is read"
    assert asked[-1] == "auth/token/revoke-self"
