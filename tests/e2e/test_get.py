# SPDX-License-Identifier: Apache-2.0
"""`agent get`: one value, from a running agent or by signing in for it; what that costs is counted at the server."""
import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from conftest import wait_until
from sidecar import READ_POLICY, Sidecar, approle_config

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))
import influxdb  # noqa: E402

SECRETS = {
    "db": {"backend": "vault", "path": "secret/get/db"},
    "db.dotted": {"backend": "vault", "path": "secret/get/one"},
    "one": {"backend": "vault", "path": "secret/get/one"},
    "creds": {"backend": "vault", "path": "database/creds/get", "required": False},
    "missing": {"backend": "vault", "path": "secret/get/missing", "required": False},
    "denied": {"backend": "vault", "path": "denied/get", "required": False},
}


@pytest.fixture(scope="module")
def influx(bao):
    influx = influxdb.Influx()
    influxdb.mount(bao, influx, "get")
    yield influx
    influx.close()


@pytest.fixture(scope="module")
def sidecar(agent, bao, influx, tmp_path_factory):
    """Running; its configuration is for those who sign in too."""
    folder = tmp_path_factory.mktemp("get")
    bao.put("get/db", password="correct horse", port=5432, tls={"on": True}, empty="", lines="a\nb\n")
    bao.put("get/one", value="only")
    policy = READ_POLICY + 'path "database/creds/*" { capabilities = ["read"] }\n'
    role = bao.approle("get", policy, str(folder))
    sidecar = Sidecar(agent, folder, approle_config(bao, folder, role, SECRETS)).start().wait_ready()
    yield sidecar
    sidecar.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def alone(agent, bao, sidecar, tmp_path_factory):
    """The same configuration, where nobody runs."""
    folder = tmp_path_factory.mktemp("alone")
    role = [os.path.join(sidecar.folder, f"get-{kind}-id") for kind in ("role", "secret")]
    return Sidecar(agent, folder, approle_config(bao, folder, role, SECRETS))


VALUES = [
    ("db.password", [], "correct horse"),
    ("db#password", [], "correct horse"),
    ("db.port", [], "5432"),
    ("db.tls", [], '{"on":true}'),
    ("db.empty", [], ""),
    ("db.lines", [], "a\nb\n"),
    ("db#/tls/on", [], "true"),
    ("one", [], "only"),
    ("db.dotted", [], "only"),
    ("db.dotted.value", [], "only"),
    ("db.password", ["--output", "json"], '"correct horse"'),
    ("db.port", ["--output", "json"], "5432"),
    ("db.lines", ["--output", "json"], '"a\\nb\\n"'),
]


@pytest.mark.parametrize("name, arguments, expected", VALUES, ids=lambda value: " ".join(value) if isinstance(value, list) else value)
def test_a_value_is_the_same_from_the_agent_and_from_the_server(sidecar, alone, run, name, arguments, expected):
    for where in (["--socket", sidecar.socket], ["-c", sidecar.file], ["-c", alone.file]):
        done = run("get", name, *arguments, *where)
        assert (done.returncode, done.stdout, done.stderr) == (0, expected, ""), where


def test_a_whole_secret_as_json(sidecar, alone, run):
    for where in (["--socket", sidecar.socket], ["-c", alone.file]):
        done = run("get", "db", "--output", "json", *where)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"password": "correct horse", "port": 5432, "tls": {"on": True}, "empty": "", "lines": "a\nb\n"}


def test_the_environment_names_the_socket_or_the_configuration(sidecar, alone, run):
    for env in ({"AGENT_SOCKET": sidecar.socket}, {"AGENT_CONFIG": sidecar.file}, {"AGENT_CONFIG": alone.file}):
        done = run("get", "one", env=env)
        assert (done.returncode, done.stdout) == (0, "only"), done.stderr


def on_a_terminal(agent, *arguments):
    ours, theirs = pty.openpty()
    process = subprocess.Popen([agent, *arguments], stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    text = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        text += part
    os.close(ours)
    assert process.wait(10) == 0, process.stderr.read()
    return text


def test_a_newline_is_added_on_a_terminal_alone_and_where_there_is_none(sidecar, agent):
    assert on_a_terminal(agent, "get", "db.password", "--socket", sidecar.socket) == b"correct horse\r\n"
    assert on_a_terminal(agent, "get", "db.lines", "--socket", sidecar.socket) == b"a\r\nb\r\n"
    assert on_a_terminal(agent, "get", "db.empty", "--socket", sidecar.socket) == b"\r\n"


REFUSALS = [
    ("nosuch", 65, ["nosuch"]),
    ("db.nosuch", 65, ["nosuch", "db"]),
    ("db", 65, ["db", "5 fields", "password"]),
    ("missing.value", 65, ["missing"]),
    ("denied.value", 77, ["denied", "policy"]),
]


@pytest.mark.parametrize("name, status, words", REFUSALS, ids=[row[0] for row in REFUSALS])
def test_what_cannot_be_had_is_said_with_the_status_for_it(alone, run, name, status, words):
    done = run("get", name, "-c", alone.file)
    assert done.returncode == status and done.stdout == "", (done.returncode, done.stderr)
    for word in words:
        assert word in done.stderr, done.stderr
    assert "correct horse" not in done.stderr


def test_the_running_agent_refuses_alike(sidecar, run):
    for name, status, words in REFUSALS[:3]:
        done = run("get", name, "--socket", sidecar.socket)
        assert done.returncode == status and done.stdout == "", (name, done.stderr)
        for word in words:
            assert word in done.stderr, (name, done.stderr)
    done = run("get", "db.password", "--socket", "/nowhere/agent.sock")
    assert done.returncode == 69 and "/nowhere/agent.sock" in done.stderr, done.stderr
    done = run("get", "db.password")
    assert done.returncode == 78 and "--socket" in done.stderr, done.stderr
    assert run("get").returncode == 64
    assert run("get", "db", "--output", "xml").returncode == 64


def asked(bao, since):
    return [request["path"] for request in bao.requests()[since:]]


def test_from_the_agent_nothing_is_asked_of_the_server(sidecar, bao, run):
    before = len(bao.requests())
    for _ in range(5):
        assert run("get", "db.password", "--socket", sidecar.socket).stdout == "correct horse"
    assert asked(bao, before) == []


def test_by_signing_in_it_asks_for_one_secret_and_ends_its_token(alone, bao, run):
    before = len(bao.requests())
    assert run("get", "db.password", "-c", alone.file).stdout == "correct horse"
    assert asked(bao, before) == [
        "auth/approle/login",
        "sys/internal/ui/mounts/secret/get/db",
        "secret/data/get/db",
        "auth/token/revoke-self",
    ]


def test_what_is_leased_is_not_revoked_with_the_token(alone, bao, influx, run):
    before = len(bao.requests())
    user = run("get", "creds.username", "-c", alone.file).stdout
    assert user in influx.users
    assert not [path for path in asked(bao, before) if "revoke" in path], asked(bao, before)
    time.sleep(0.5)
    assert user in influx.users, "the credential ended with the command that handed it out"


def test_a_refused_read_still_ends_the_token(alone, bao, run):
    before = len(bao.requests())
    assert run("get", "denied.value", "-c", alone.file).returncode == 77
    assert asked(bao, before)[-1] == "auth/token/revoke-self", asked(bao, before)


def test_a_server_that_is_away_ends_it_in_time(alone, run):
    text = open(alone.file).read()
    path = alone.file + ".away"
    with open(path, "w") as file:
        file.write(text.replace(text.split("address: ")[1].split("\n")[0], "http://127.0.0.1:1"))
    begin = time.monotonic()
    done = run("get", "db.password", "-c", path, "--timeout", "1s")
    assert done.returncode == 69 and time.monotonic() - begin < 4, done.stderr
    assert "127.0.0.1:1" in done.stderr
