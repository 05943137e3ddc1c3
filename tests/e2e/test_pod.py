# SPDX-License-Identifier: Apache-2.0
"""What an injected pod needs of the agent itself, tried with a real server and without an injector."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest
import yaml

from conftest import wait_until
from sidecar import READ_POLICY, Sidecar, approle_config

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))
import influxdb  # noqa: E402

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes uid and mounts: needs root")
UID = 65532


def as_user(uid, *command, groups=None):
    """The command line that runs as this uid, without capabilities and without a way back to them."""
    group = f"--groups={groups}" if groups else "--clear-groups"
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", group, "--bounding-set=-all", "--no-new-privs", *command]


@pytest.fixture
def volume():
    """A folder that every uid can reach, as an emptyDir is; pytest's own are closed to others."""
    folder = tempfile.mkdtemp(prefix="agent-pod-")
    os.chmod(folder, 0o1777)
    yield folder
    shutil.rmtree(folder)


class PodAgent(Sidecar):
    """A sidecar whose configuration is in its environment, in a working directory that has none."""

    def write(self, config):
        self.config = config
        self.text = yaml.safe_dump(config)

    def environ(self):
        return {
            "PATH": os.environ["PATH"],
            "HOME": self.folder,
            "AGENT_CONFIG_YAML": self.text,
            **self.environment,
        }

    def start(self, *arguments):
        self.process = subprocess.Popen(
            [self.agent, "serve", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=open(self.log, "ab"),
            cwd="/",
            env=self.environ(),
        )
        return self

    def run(self, *arguments, timeout=30, **options):
        """Another process of the same container: a probe, a person."""
        return subprocess.run(
            [self.agent, *arguments],
            cwd="/",
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=timeout,
            **options,
        )


@pytest.fixture
def pod(agent, bao, tmp_path):
    """Makes a pod's agent that may read `secret/`, and stops it in the end."""
    agents = []

    def make(secrets, policy=READ_POLICY, **more):
        role = bao.approle("pod", policy, str(tmp_path))
        agents.append(PodAgent(agent, tmp_path, approle_config(bao, tmp_path, role, secrets, **more)))
        return agents[-1]

    yield make
    for one in agents:
        if one.process:
            one.stop()


# ---- the configuration in the environment ----


def test_every_command_takes_the_configuration_from_the_environment(bao, pod):
    bao.put("pod/db", password="first")
    sidecar = pod({"db": {"backend": "vault", "path": "secret/pod/db"}}, env={"DB_PASSWORD": "db.password"})
    assert sidecar.run("check").stdout.startswith("$AGENT_CONFIG_YAML: 1 secret from 1 backend")
    ran = sidecar.run("run", "--", "printenv", "DB_PASSWORD")
    assert ran.stdout == "first\n", ran.stderr
    assert sidecar.run("get", "db.password").stdout == "first"

    sidecar.start().wait_ready()
    assert sidecar.read("db/password") == "first"
    assert "landlock" in str(sidecar.status()["hardening"])
    assert sidecar.run("ready").returncode == 0
    assert "fresh" in sidecar.run("status").stdout
    assert sidecar.run("get", "db.password").stdout == "first"


def test_a_configuration_in_the_environment_cannot_be_read_again_and_says_so(bao, pod):
    bao.put("pod/db", password="first")
    sidecar = pod({"db": {"backend": "vault", "path": "secret/pod/db"}}).start().wait_ready()
    sidecar.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "nothing to reload" in sidecar.read_log(), what="the log to say so")
    assert "$AGENT_CONFIG_YAML" in sidecar.read_log()
    assert sidecar.is_ready()


# ---- the program for images that lack it ----


@needs_root
def test_a_copy_runs_as_another_user_and_is_replaced_while_it_runs(agent, run, volume):
    copied = os.path.join(volume, "agent")
    assert run("copy", volume).returncode == 0
    assert open(copied, "rb").read() == open(agent, "rb").read()
    assert os.stat(copied).st_mode & 0o777 == 0o755
    running = subprocess.Popen([copied, "run", "--env-file", "/dev/null", "--", "sleep", "20"])
    copies = [subprocess.Popen([agent, "copy", volume]) for _ in range(8)]
    assert [copy.wait(30) for copy in copies] == [0] * 8
    running.terminate()
    running.wait(10)
    version = subprocess.run(as_user(UID, copied, "--version"), capture_output=True)
    assert version.stdout.startswith(b"agent ")
    assert os.listdir(volume) == ["agent"]


@needs_root
def test_another_user_without_privileges_can_copy(agent, volume):
    copied = subprocess.run(as_user(UID, agent, "copy", volume), capture_output=True, text=True)
    assert copied.returncode == 0, copied.stderr
    assert os.stat(os.path.join(volume, "agent")).st_mode & 0o777 == 0o755


@needs_root
@pytest.mark.parametrize(
    "options, status, words",
    [
        ("size=64k", 69, ["No space left on device", "KiB are needed there"]),
        ("noexec", 78, ["mounted noexec"]),
        ("ro", 77, ["Read-only file system"]),
    ],
)
def test_a_volume_that_cannot_hold_the_program_is_named(agent, tmp_path, options, status, words):
    mounted = f'mount -t tmpfs -o {options} none "$1" && "$2" copy "$1"; code=$?; ls -A "$1"; exit $code'
    copied = subprocess.run(
        ["unshare", "-m", "sh", "-c", mounted, "sh", str(tmp_path), agent], capture_output=True, text=True
    )
    assert copied.returncode == status, copied.stderr
    assert copied.stdout == "", "nothing is left behind"
    assert all(word in copied.stderr for word in [str(tmp_path), *words])


# ---- paths as they are written ----

LITERAL_POLICY = """
path "secret/data/*" { capabilities = ["read"] }
path "secret/metadata/*" { capabilities = ["read"] }
path "flat/*" { capabilities = ["read"] }
path "database/creds/*" { capabilities = ["read"] }
"""


@pytest.fixture(scope="module")
def influx(bao):
    influx = influxdb.Influx()
    influxdb.mount(bao, influx, "short")
    yield influx
    influx.close()


def test_a_verbatim_path_is_asked_as_written_and_answered_whole(bao, pod, influx):
    bao.put("literal/db", password="one", port=5432)
    bao.put("literal/db", password="two", port=5432)
    bao.put("literal/data/x", data="data/data is a path like any other")
    bao.call("POST", "sys/mounts/flat", {"type": "kv", "options": {"version": "1"}})
    bao.call("POST", "flat/db", {"user": "u", "port": 1})
    before = len(bao.requests())
    secrets = {
        "whole": {"path": "secret/data/literal/db"},
        "older": {"path": "secret/data/literal/db?version=1"},
        "twice": {"path": "secret/data/literal/data/x"},
        "meta": {"path": "secret/metadata/literal/db"},
        "flat": {"path": "flat/db"},
        "creds": {"path": "database/creds/short"},
    }
    for secret in secrets.values():
        secret.update(backend="vault", verbatim=True)
    sidecar = pod(secrets, LITERAL_POLICY).start().wait_ready()

    whole = json.loads(sidecar.read("whole/data"))
    assert whole == {"password": "two", "port": 5432}
    assert json.loads(sidecar.read("whole/metadata"))["version"] == 2 == int(sidecar.secret("whole")["version"])
    assert json.loads(sidecar.read("older/data"))["password"] == "one"
    assert sidecar.secret("older")["version"] == "1"
    assert json.loads(sidecar.read("twice/data")) == {"data": "data/data is a path like any other"}
    assert json.loads(sidecar.read("meta/current_version")) == 2
    assert (sidecar.read("flat/user"), sidecar.read("flat/port")) == ("u", "1")
    user = sidecar.read("creds/username")
    assert user in influx.users

    paths = [request["path"] for request in bao.requests()[before:]]
    assert not [path for path in paths if "mounts" in path], "nobody needs to know the mounts"
    assert sorted(path for path in paths if "literal/db" in path) == ["secret/data/literal/db"] * 2 + ["secret/metadata/literal/db"]
    wait_until(lambda: "sys/leases/renew" in [request["path"] for request in bao.requests()[before:]], 10, "a renewal")
    assert sidecar.read("creds/username") == user


def test_a_verbatim_path_sees_changes_and_deletion(bao, pod):
    bao.put("literal/change", value="one")
    sidecar = pod({"x": {"backend": "vault", "path": "secret/data/literal/change", "verbatim": True, "refresh": "1s"}})
    sidecar.start().wait_ready()
    bao.put("literal/change", value="two")
    sidecar.wait_file("x/data", '{"value":"two"}')
    bao.call("DELETE", "secret/data/literal/change")
    sidecar.wait_state("x", "missing")
    assert "version 2 was deleted" in sidecar.secret("x")["error"]["text"]
    assert sidecar.read("x/data") == '{"value":"two"}', "on_missing: keep"


def test_a_verbatim_answer_finds_the_path_as_always(bao, pod):
    bao.put("literal/short", value="one")
    secrets = {
        "found": {"backend": "vault", "path": "secret/literal/short", "verbatim": "answer"},
        "lost": {"backend": "vault", "path": "secret/literal/short", "verbatim": True, "required": False},
    }
    sidecar = pod(secrets, READ_POLICY + 'path "secret/literal/*" { capabilities = ["read"] }\n').start().wait_ready()
    assert sidecar.read("found/data") == '{"value":"one"}'
    assert "`verbatim: answer` finds it" in sidecar.secret("lost")["error"]["text"]


# ---- variables that the kubelet reads from files ----


def variables_of(sidecar):
    """What `fileKeyRef` would give, by the kubelet's rules: nothing can be escaped, an empty value is not there."""
    found = {}
    for name in os.listdir(sidecar.files):
        if not name.startswith(".."):
            text = open(os.path.join(sidecar.files, name), newline="").read()
            assert text.startswith(f"{name}='") and text.endswith("'\n") and text.count("'") == 2
            found[name] = text[len(name) + 2 : -2]
    return found


def test_a_variable_that_no_kubelet_can_read_is_named_and_harms_no_other(bao, pod):
    bao.put("pod/env", user="u\nv $x # \\", quote="it's", cr="a\rb", empty="", long="x" * (60 << 10), most="y" * ((60 << 10) - 1), port=5432)
    fields = ["user", "quote", "cr", "empty", "long", "most", "port"]
    sidecar = pod({"db": {"backend": "vault", "path": "secret/pod/env", "refresh": "1s"}})
    sidecar.config["sinks"]["files"]["entries"] = {
        f"DB_{field.upper()}": {"secret": "db", "field": field, "format": "kubelet-env", "variable": f"DB_{field.upper()}"}
        for field in fields
    }
    sidecar.write(sidecar.config)
    sidecar.start()
    wait_until(lambda: os.path.isdir(sidecar.files), what="files")
    assert variables_of(sidecar) == {"DB_USER": "u\nv $x # \\", "DB_MOST": "y" * ((60 << 10) - 1), "DB_PORT": "5432"}

    bad = {"DB_QUOTE": "single quote", "DB_CR": "carriage return", "DB_EMPTY": "empty", "DB_LONG": "60 KiB"}
    probe = sidecar.run("ready")
    assert probe.returncode == 69 and "env-method: run" in probe.stderr
    assert any(f"variable {name} of secret db" in probe.stderr for name in bad)
    assert sidecar.get("/v1/ready")[0] == 503
    status, metrics, log = sidecar.run("status").stdout, sidecar.get("/metrics")[1].decode(), sidecar.read_log()
    problems = {entry["variable"]: entry["error"]["text"] for entry in sidecar.status()["sinks"][0]["problems"]}
    assert sorted(problems) == sorted(bad)
    assert "agent_ready 0\n" in metrics
    for name, word in bad.items():
        assert word in problems[name] and "env-method: run" in problems[name]
        assert f"variable {name} of secret db" in status and f"variable {name} of secret db" in log
        assert f'path="{name}",variable="{name}"}} 1' in metrics
    assert "it's" not in status + metrics + log

    bao.put("pod/env", user="u", quote="its", cr="ab", empty=".", long="x", most="y", port=5432)
    sidecar.wait_ready()
    assert variables_of(sidecar)["DB_QUOTE"] == "its" and len(variables_of(sidecar)) == len(fields)
    bao.put("pod/env", user="new", quote="it's", cr="ab", empty=".", long="x", most="y", port=5432)
    wait_until(lambda: variables_of(sidecar)["DB_USER"] == "new", what="the others to go on")
    assert "DB_QUOTE" not in variables_of(sidecar), "an old value beside new ones"
    assert sidecar.run("ready").returncode == 69


# ---- the probe ----


def probe_of(agent, *arguments, seconds=20):
    begin = time.monotonic()
    done = subprocess.run([agent, "ready", *arguments], capture_output=True, text=True, timeout=seconds, env={"PATH": "/bin"}, cwd="/")
    return done, time.monotonic() - begin


def test_a_probe_has_a_socket_whatever_the_configuration_says(agent, bao, volume, tmp_path):
    bao.put("probe/a", value="one")
    secrets = {"a": {"backend": "vault", "path": "secret/probe/a", "refresh": "1s"}}
    config = approle_config(bao, tmp_path, bao.approle("probe", READ_POLICY, str(tmp_path)), secrets)
    del config["sinks"]["socket"]
    sidecar = Sidecar(agent, tmp_path, config)
    sidecar.socket = os.path.join(volume, "agent.sock")
    sidecar.start("--status-socket", sidecar.socket)
    try:
        done, _ = probe_of(agent, "--socket", sidecar.socket, "--wait", "5s")
        assert done.returncode == 0, done.stderr
        assert sidecar.get("/v1/secrets/a/value")[0] == 404 and b"value" not in sidecar.get("/v1/secrets")[1]
        assert sidecar.secret("a")["state"] == "fresh"
        assert os.stat(sidecar.socket).st_mode & 0o777 == 0o600

        secrets["b"] = {"backend": "vault", "path": "secret/probe/missing"}
        sidecar.write(config)
        wait_until(lambda: sidecar.get("/v1/ready")[0] == 503, what="the reload")
        done, seconds = probe_of(agent, "--socket", sidecar.socket)
        assert done.returncode == 69 and "secret 'b': secret/probe/missing" in done.stderr and seconds < 2

        config["sinks"]["socket"] = {"path": sidecar.socket}
        sidecar.write(config)
        wait_until(lambda: "a path of its own" in sidecar.read_log(), what="the refusal")
        assert sidecar.get("/v1/ready")[0] == 503, "the old configuration stays"
    finally:
        sidecar.stop()
    assert not os.path.exists(sidecar.socket)


def test_a_probe_never_hangs(agent, bao, pod, volume):
    """Nobody there, somebody who never answers, and an agent that is stopped: each ends soon after the wait."""
    missing = os.path.join(volume, "missing.sock")
    silent = os.path.join(volume, "silent.sock")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(silent)
    listener.listen(8)
    bao.put("probe/a", value="one")
    sidecar = pod({"a": {"backend": "vault", "path": "secret/probe/a"}}).start().wait_ready()
    sidecar.process.send_signal(signal.SIGSTOP)
    try:
        for path, words in ((missing, "no agent listens"), (silent, "in time"), (sidecar.socket, "in time")):
            done, seconds = probe_of(agent, "--socket", path)
            assert done.returncode == 69 and words in done.stderr and seconds < 1.5, (path, seconds)
        done, seconds = probe_of(agent, "--socket", silent, "--wait", "5s")
        assert done.returncode == 69 and 4.9 < seconds < 6
    finally:
        sidecar.process.send_signal(signal.SIGCONT)
        listener.close()
    assert sidecar.run("ready", "--wait", "5s").returncode == 0


def test_a_status_socket_is_nothing_for_an_init_container(run, tmp_path):
    done = run("serve", "--once", "--status-socket", str(tmp_path / "s"), env={"AGENT_CONFIG_YAML": "secrets: {}"})
    assert done.returncode == 64 and "leave out --status-socket" in done.stderr
