# SPDX-License-Identifier: Apache-2.0
"""What `agent status` and `agent ready` say of a running agent, in every state that there is."""
import copy
import datetime
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from conftest import free_port, wait_until
from sidecar import MOUNT_POLICY, Sidecar, approle_config

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))
from fault_proxy import FaultProxy, silence, when  # noqa: E402

STATES = ["fresh", "stale", "pending", "denied", "missing", "failed"]


class Agent(Sidecar):
    """One secret in each state, by its name."""

    def __init__(self, agent, folder, bao, proxies):
        role = bao.approle(
            "status",
            MOUNT_POLICY + 'path "secret/data/status/*" { capabilities = ["read"] }\n',
            str(folder),
        )
        bao.put("status/fresh", value="v")
        config = approle_config(bao, folder, role, {})
        vault = config["backends"].pop("vault")
        for name, address in {
            "good": bao.address,
            "leaves": proxies["leaves"].address,
            "hangs": proxies["hangs"].address,
            "gone": f"http://127.0.0.1:{free_port()}",
        }.items():
            config["backends"][name] = {**copy.deepcopy(vault), "type": "vault", "address": address}
        for name, backend, path in [
            ("fresh", "good", "status/fresh"),
            ("stale", "leaves", "status/fresh"),
            ("pending", "hangs", "status/fresh"),
            ("denied", "good", "other/denied"),
            ("missing", "good", "status/nothing"),
            ("failed", "gone", "status/fresh"),
        ]:
            config["secrets"][name] = {"backend": backend, "path": f"secret/{path}", "refresh": "1s", "required": name == "fresh"}
        super().__init__(agent, folder, config)


@pytest.fixture(scope="module")
def sidecar(agent, bao, tmp_path_factory):
    proxies = {name: FaultProxy(("127.0.0.1", bao.port)) for name in ("leaves", "hangs")}
    proxies["hangs"].fault = when("login", silence())
    sidecar = Agent(agent, tmp_path_factory.mktemp("status"), bao, proxies).start().wait_ready()
    sidecar.wait_state("stale", "fresh")
    proxies["leaves"].connection = "refuse"
    proxies["leaves"].drop()
    for name in ("stale", "denied", "missing", "failed"):
        sidecar.wait_state(name, name)
    yield sidecar
    sidecar.stop(signal.SIGKILL)
    for proxy in proxies.values():
        proxy.close()


def is_time(value):
    return datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").year >= 2024


def maybe(check):
    return lambda value: value is None or check(value)


def is_text(value):
    return isinstance(value, str) and value != ""


def is_error(value):
    return set(value) == {"code", "text"} and is_text(value["code"]) and is_text(value["text"])


def is_count(value):
    return isinstance(value, int) and value >= 0


def is_problem(value):
    return {"secret", "path", "error"} <= set(value) and is_text(value["secret"]) and is_text(value["path"])


SCHEMA = {
    "secrets": {
        "name": is_text,
        "state": STATES.__contains__,
        "version": maybe(is_text),
        "fetched_at": maybe(is_time),
        "age_seconds": maybe(is_count),
        "next_refresh_at": maybe(is_time),
        "expires_at": maybe(is_time),
        "error": maybe(is_error),
    },
    "backends": {
        "name": is_text,
        "state": ["none", "idle", "signing_in", "live", "failed"].__contains__,
        "session_expires_at": maybe(is_time),
        "error": maybe(is_error),
    },
    "sinks": {
        "name": is_text,
        "state": ["published", "waiting", "failed", "listening"].__contains__,
        "generation": is_count,
        "error": maybe(is_error),
        "problems": lambda value: all(is_problem(problem) for problem in value),
    },
}


def test_json_is_as_documented_and_has_every_state(sidecar, run):
    done = run("status", "--socket", sidecar.socket, "--json")
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert set(status) == {*SCHEMA, "hardening"}
    for part, members in SCHEMA.items():
        assert status[part], part
        for item in status[part]:
            assert set(item) == set(members), (part, item)
            for key, check in members.items():
                assert check(item[key]), (part, key, item)

    secrets = {secret["name"]: secret for secret in status["secrets"]}
    assert {name: secret["state"] for name, secret in secrets.items()} == {name: name for name in STATES}
    for name in ("fresh", "stale"):
        assert secrets[name]["version"] == "1" and secrets[name]["fetched_at"], secrets[name]
    for name in ("pending", "denied", "missing", "failed"):
        assert secrets[name]["version"] is None and secrets[name]["age_seconds"] is None, secrets[name]
    codes = {name: secret["error"] and secret["error"]["code"] for name, secret in secrets.items()}
    assert codes == {"fresh": None, "stale": "unavailable", "pending": None, "denied": "denied", "missing": "not_found",
                     "failed": "unavailable"}  # fmt: skip
    assert "agent check --policy" in secrets["denied"]["error"]["text"]
    backends = {backend["name"]: backend["state"] for backend in status["backends"]}
    assert backends == {"good": "live", "leaves": "live", "hangs": "signing_in", "gone": "failed"}
    assert {sink["name"].split(":")[0]: sink["state"] for sink in status["sinks"]} == {"files": "published", "socket": "listening"}
    assert status["hardening"]["seccomp"] == "on" and status["hardening"]["dumpable"] == "no"


def test_age_grows_and_the_next_refresh_lies_ahead(sidecar):
    first = sidecar.secret("stale")
    assert first["next_refresh_at"] > first["fetched_at"]
    wait_until(lambda: sidecar.secret("stale")["age_seconds"] > first["age_seconds"], 5, "age")
    assert sidecar.secret("stale")["fetched_at"] == first["fetched_at"]


def test_metrics_say_the_same(sidecar):
    text = sidecar.get("/metrics")[1].decode()
    for name in STATES:
        for state in STATES:
            assert f'agent_secret_state{{secret="{name}",state="{state}"}} {int(name == state)}' in text


def test_the_table_has_a_line_for_each_and_says_why(sidecar, run):
    for arguments, env in [
        (["--socket", sidecar.socket], {}),
        (["-c", sidecar.file], {}),
        ([], {"AGENT_SOCKET": sidecar.socket}),
        ([], {"AGENT_CONFIG": sidecar.file}),
    ]:
        done = run("status", *arguments, env=env)
        assert done.returncode == 0, (arguments, done.stderr)
        lines = [line.split() for line in done.stdout.splitlines()]
        for name in STATES:
            assert [line[1] for line in lines if line[:1] == [name]] == [name], done.stdout
        for word in ("SECRET", "BACKEND", "SINK", "HARDENING", "not_found:", "unavailable:"):
            assert word in done.stdout, (word, done.stdout)


def test_watch_says_it_again_and_ends_with_the_agent_or_by_a_signal(sidecar, agent, run, tmp_path):
    assert run("secrets", "init").returncode == 0
    assert run("secrets", "set", "app.key", input="k").returncode == 0
    watched = Sidecar(
        agent,
        tmp_path,
        {
            "backends": {"local": {"type": "sops", "file": "secrets.enc.yaml"}},
            "secrets": {"app": {"backend": "local", "path": "app"}},
            "sinks": {"socket": {"path": str(tmp_path / "agent.sock")}},
        },
    )
    watched.start().wait_ready()
    watches = [
        subprocess.Popen([agent, "status", "--watch", "--json", "--socket", socket], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for socket in (watched.socket, sidecar.socket)
    ]
    begin = time.monotonic()
    try:
        for watch in watches:
            for _ in range(2):
                line = watch.stdout.readline()
                assert json.loads(line if line.strip() else watch.stdout.readline())["secrets"]
        assert 1.5 < time.monotonic() - begin < 10, "every two seconds"
        watched.stop()
        watches[1].send_signal(signal.SIGINT)
        assert watches[0].wait(10) == 69 and b"agent.sock" in watches[0].stderr.read()
        assert watches[1].wait(10) == -signal.SIGINT
    finally:
        for watch in watches:
            watch.kill()


def test_where_nobody_is_asked_it_says_so(run, tmp_path):
    nobody = str(tmp_path / "nobody.sock")
    for command in ("status", "ready"):
        done = run(command, "--socket", nobody)
        assert done.returncode == 69 and nobody in done.stderr, done.stderr
        done = run(command)
        assert done.returncode == 78 and "--socket" in done.stderr, done.stderr
        assert run(command, "--nonsense").returncode == 64
        assert run(command, "-c", str(tmp_path / "none.yaml")).returncode == 78
    assert run("ready", "--wait", "soon", "--socket", nobody).returncode == 64


def test_ready_is_no_less_so_while_others_are_tried_again(sidecar, bao):
    """The required one is there; the others' failures, and a newer version of it, change nothing."""
    for number in range(3):
        bao.put("status/fresh", value=f"v{number}")
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            assert sidecar.get("/v1/ready")[0] == 200
    bao.put("status/fresh", value="v")


def test_ready_waits_and_ends_with_what_is_missing(sidecar, agent, bao, run, tmp_path):
    assert run("ready", "--socket", sidecar.socket).returncode == 0

    role = bao.approle("ready", MOUNT_POLICY + 'path "secret/data/ready/*" { capabilities = ["read"] }\n', str(tmp_path))
    config = approle_config(bao, tmp_path, role, {"late": {"backend": "vault", "path": "secret/ready/late", "refresh": "1s"}})
    other = Sidecar(agent, tmp_path, config).start()
    try:
        begin = time.monotonic()
        done = run("ready", "--socket", other.socket, "--wait", "1s")
        assert done.returncode == 69 and time.monotonic() - begin >= 1, done.stderr
        other.wait_state("late", "missing")
        done = run("ready", "--socket", other.socket)
        assert done.returncode == 69 and "late" in done.stderr, done.stderr
        bao.put("ready/late", value="v")
        other.process.send_signal(signal.SIGHUP)
        done = run("ready", "--socket", other.socket, "--wait", "60s")
        assert done.returncode == 0, done.stderr
    finally:
        other.stop(signal.SIGKILL)
