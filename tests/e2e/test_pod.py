# SPDX-License-Identifier: Apache-2.0
"""What an injected pod needs of the agent itself, tried with a real server and without an injector."""
import base64
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


def as_user(uid, *command, groups=None, capability=None):
    """The command line that runs as this uid, with one capability at most and without a way to others."""
    group = f"--groups={groups}" if groups else "--clear-groups"
    kept = [f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"] if capability else ["--bounding-set=-all"]
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", group, *kept, "--no-new-privs", *command]


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
        ("size=64k", 69, ["No space left on device", "which needs room for"]),
        ("noexec", 78, ["mounted noexec"]),
        ("ro", 78, ["Read-only file system"]),
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


def test_what_a_verbatim_secret_nests_is_had_one_by_one(bao, pod):
    bao.put("literal/nested", password="one", **{"a/b": "two", "n": {"list": [1, "three"]}})
    sidecar = pod(
        {"x": {"backend": "vault", "path": "secret/data/literal/nested", "verbatim": True}},
        env={"P": "x#/data/password", "AB": "x#/data/a~1b"},
    )
    sidecar.config["sinks"]["files"]["entries"] = {
        "password": {"secret": "x", "field": "/data/password"},
        "three": {"secret": "x", "field": "/data/n/list/1"},
        "AB": {"secret": "x", "field": "/data/a~1b", "format": "kubelet-env", "variable": "AB"},
    }
    sidecar.write(sidecar.config)
    assert sidecar.run("run", "--", "sh", "-c", "echo $P $AB").stdout == "one two\n"
    sidecar.start().wait_ready()
    assert [sidecar.read(name) for name in ("password", "three", "AB")] == ["one", "three", "AB='two'\n"]
    ran = sidecar.run("run", "--socket", sidecar.socket, "--env", "Q=x#/data/a~1b", "--", "printenv", "Q")
    assert ran.stdout == "two\n", ran.stderr
    assert sidecar.run("get", "x#/data/n/list/1").stdout == "three"


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
    wait_until(lambda: os.path.isdir(sidecar.files) and len(variables_of(sidecar)) == 3, what="files")
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


# ---- from the init container to the sidecar ----

LEASED_POLICY = READ_POLICY + """
path "database/creds/*" { capabilities = ["read"] }
path "pki/issue/web" { capabilities = ["update"] }
"""


@pytest.fixture
def memory():
    """A folder in memory, for what may lie nowhere else."""
    folder = tempfile.mkdtemp(prefix="agent-pod-", dir="/dev/shm")
    yield folder
    shutil.rmtree(folder)


def leasing(bao, pod, influx, memory, **more):
    bao.put("hand/kv", value="one")
    if "pki/" not in bao.call("GET", "sys/mounts")["data"]:
        bao.call("POST", "sys/mounts/pki", {"type": "pki"})
        bao.call("POST", "pki/root/generate/internal", {"common_name": "test", "ttl": "24h"})
        bao.call("POST", "pki/roles/web", {"allow_any_name": True, "max_ttl": "1h", "key_type": "ec", "key_bits": 256})
    return pod(
        {
            "creds": {"backend": "vault", "path": "database/creds/short"},
            "cert": {"backend": "vault", "path": "pki/issue/web", "write": {"common_name": "web.example", "ttl": "1h"}},
            "kv": {"backend": "vault", "path": "secret/hand/kv"},
        },
        LEASED_POLICY,
        hand_over=memory,
        **more,
    )


def paths_since(bao, before):
    return [request["path"] for request in bao.requests()[before:]]


def test_a_sidecar_takes_up_what_the_init_container_left(bao, pod, influx, memory):
    sidecar = leasing(bao, pod, influx, memory)
    before, made = len(bao.requests()), len(influx.made)
    done = sidecar.run("serve", "--once", "--timeout", "20s")
    assert done.returncode == 0, done.stderr
    left = os.path.join(memory, "hand-over.json")
    status = os.stat(left)
    assert status.st_mode & 0o777 == 0o600 and status.st_uid == os.getuid()
    assert os.listdir(memory) == ["hand-over.json"]
    user, certificate, generation = sidecar.read("creds/username"), sidecar.read("cert/certificate"), os.readlink(sidecar.files + "/..data")

    sidecar.start().wait_ready()
    assert not os.path.exists(left)
    assert "hand-over taken up" in sidecar.read_log() and "sessions=1 secrets=2" in sidecar.read_log()
    assert sidecar.read("creds/username") == user and sidecar.read("cert/certificate") == certificate
    assert os.readlink(sidecar.files + "/..data") == generation, "the same set stands: nobody is told of anything"
    wait_until(lambda: "sys/leases/renew" in paths_since(bao, before), 10, "a renewal")
    assert sidecar.secret("creds")["state"] == "fresh" and sidecar.read("creds/username") == user
    paths = paths_since(bao, before)
    assert sum("login" in path for path in paths) == 1, "one login for both"
    assert len(influx.made) == made + 1 and paths.count("pki/issue/web") == 1, "no second credential"

    sidecar.stop()
    sidecar.start().wait_ready()
    assert sum("login" in path for path in paths_since(bao, before)) == 2, "what was taken up is gone"


def test_an_init_container_that_runs_again_takes_up_its_own(bao, pod, influx, memory):
    sidecar = leasing(bao, pod, influx, memory)
    before, made = len(bao.requests()), len(influx.made)
    for _ in range(3):
        assert sidecar.run("serve", "--once", "--timeout", "20s").returncode == 0
    assert sum("login" in path for path in paths_since(bao, before)) == 1 and len(influx.made) == made + 1


def spoil_owner(path):
    os.chown(path, 12345, -1)


def spoil_mode(path):
    os.chmod(path, 0o640)


def spoil_link(path):
    os.rename(path, path + ".real")
    os.symlink(path + ".real", path)


def spoil_bytes(path):
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)


def spoil_time(path):
    with open(path) as file:
        document = json.load(file)
    for entry in document["sessions"]:
        entry["version"]["lease"]["issued"] = [1, 1]
    with open(path, "w") as file:
        json.dump(document, file)


def spoil_schema(path):
    with open(path) as file:
        document = json.load(file)
    with open(path, "w") as file:
        json.dump({**document, "schema": 2}, file)


@needs_root
@pytest.mark.parametrize("spoil", [spoil_owner, spoil_mode, spoil_link, spoil_bytes, spoil_time, spoil_schema])
def test_a_hand_over_that_cannot_be_trusted_is_ignored_in_one_line(bao, pod, influx, memory, spoil):
    sidecar = leasing(bao, pod, influx, memory)
    assert sidecar.run("serve", "--once", "--timeout", "20s").returncode == 0
    before = len(bao.requests())
    spoil(os.path.join(memory, "hand-over.json"))
    sidecar.start().wait_ready()
    assert sidecar.read_log().count("hand-over ignored") == 1
    assert sum("login" in path for path in paths_since(bao, before)) == 1


def test_a_hand_over_of_another_configuration_is_ignored(bao, pod, influx, memory, tmp_path):
    sidecar = leasing(bao, pod, influx, memory)
    assert sidecar.run("serve", "--once", "--timeout", "20s").returncode == 0
    before = len(bao.requests())
    # The same file by another name is another configuration.
    auth = sidecar.config["backends"]["vault"]["auth"]
    auth["role_id_file"] = auth["role_id_file"].replace(str(tmp_path), str(tmp_path) + "/.")
    sidecar.write(sidecar.config)
    sidecar.start().wait_ready()
    assert "it is of another configuration of backend 'vault'" in sidecar.read_log()
    assert sum("login" in path for path in paths_since(bao, before)) == 1
    assert os.listdir(memory) == []


def test_a_session_that_was_revoked_meanwhile_is_replaced(bao, pod, influx, memory):
    sidecar = leasing(bao, pod, influx, memory)
    assert sidecar.run("serve", "--once", "--timeout", "20s").returncode == 0
    with open(os.path.join(memory, "hand-over.json")) as file:
        session = json.load(file)["sessions"][0]
    token = next(field["value"] for field in session["version"]["fields"] if field["name"] == "token")
    bao.call("POST", "auth/token/revoke", {"token": base64.b64decode(token).decode()})
    sidecar.start().wait_ready()
    wait_until(lambda: sidecar.read("kv/value") == "one" and sidecar.secret("kv")["state"] == "fresh", 15, "a new session")
    wait_until(lambda: sidecar.read("creds/username") in influx.users, 15, "a new credential")


def test_a_folder_on_a_disk_is_given_no_token(bao, pod, influx, tmp_path):
    if subprocess.run(["stat", "-f", "-c", "%T", str(tmp_path)], capture_output=True, text=True).stdout.strip() == "tmpfs":
        pytest.skip("this machine's temporary folder is in memory")
    folder = tmp_path / "disk"
    folder.mkdir()
    sidecar = leasing(bao, pod, influx, str(folder))
    done = sidecar.run("serve", "--once", "--timeout", "20s")
    assert done.returncode == 0 and "is not in memory" in done.stderr and os.listdir(folder) == []


# ---- who may read what, and who may be signalled ----


def reads(uid, path, groups=None):
    return subprocess.run(as_user(uid, "cat", path, groups=groups), capture_output=True, text=True).stdout


class UserAgent(PodAgent):
    """The agent as a pod's own user, 65532, with the pod's fsGroup beside its own group or without one."""

    groups = None
    capability = None

    def start(self, *arguments):
        self.process = subprocess.Popen(
            as_user(UID, self.agent, "serve", *arguments, groups=self.groups, capability=self.capability),
            stdout=subprocess.DEVNULL,
            stderr=open(self.log, "ab"),
            cwd="/",
            env=self.environ(),
        )
        return self


@pytest.fixture
def user_agent(agent, bao, volume):
    agents = []

    def make(secrets, files, groups=None):
        role = bao.approle("user", READ_POLICY, volume)
        for path in role:
            os.chown(path, UID, UID)
        config = approle_config(bao, volume, role, secrets)
        config["sinks"]["files"] = files
        agents.append(UserAgent(agent, volume, config))
        agents[-1].groups = groups
        agents[-1].files = files["directory"]
        return agents[-1]

    yield make
    for one in agents:
        if one.process:
            one.stop()


@needs_root
@pytest.mark.parametrize(
    "fs_group, mode, readers, others",
    [
        (2000, None, [(1000, 2000), (65532, None)], [(1000, None), (1000, 2001)]),
        (2000, "0444", [(1000, 2000), (1000, None)], []),
        (2000, "0400", [(65532, None)], [(1000, 2000), (1000, None)]),
        (None, None, [(65532, None)], [(1000, None), (1000, 2000)]),
        (None, "0444", [(1000, None), (1000, 2000)], []),
    ],
)
def test_files_of_a_pod_are_read_by_whom_the_mode_says(bao, user_agent, volume, fs_group, mode, readers, others):
    """As the kubelet makes a volume: root's, 0777, or with an fsGroup that group's with set-group-ID."""
    bao.put("modes", password="one")
    directory = os.path.join(volume, "secrets")
    os.mkdir(directory)
    if fs_group:
        os.chown(directory, 0, fs_group)
    os.chmod(directory, 0o3777 if fs_group else 0o777)
    files = {"directory": directory, "entries": {"a/b/password": {"secret": "db", "field": "password"}, "db": {"secret": "db"}}}
    if mode:
        files["mode"] = mode
    user_agent({"db": {"backend": "vault", "path": "secret/modes"}}, files, groups=fs_group).start().wait_ready()
    status = os.stat(os.path.join(directory, "a/b/password"))
    assert status.st_mode & 0o7777 == int(mode or "0440", 8)
    assert (status.st_uid, status.st_gid) == (UID, fs_group or UID)
    for path in ("a/b/password", "db/password"):
        for uid, groups in readers:
            assert reads(uid, os.path.join(directory, path), groups) == "one", (path, uid, groups)
        for uid, groups in others:
            assert reads(uid, os.path.join(directory, path), groups) == "", (path, uid, groups)


@needs_root
def test_an_entry_s_own_mode_opens_the_way_to_it_and_to_nothing_else(bao, user_agent, volume):
    bao.put("modes", password="one", public="two")
    directory = os.path.join(volume, "secrets")
    os.mkdir(directory)
    os.chmod(directory, 0o777)
    entries = {
        "open/public": {"secret": "db", "field": "public", "mode": "0444"},
        "open/password": {"secret": "db", "field": "password"},
        "closed/password": {"secret": "db", "field": "password"},
    }
    user_agent({"db": {"backend": "vault", "path": "secret/modes"}}, {"directory": directory, "entries": entries}).start().wait_ready()
    assert reads(1000, directory + "/open/public") == "two"
    assert reads(1000, directory + "/open/password") == reads(1000, directory + "/closed/password") == ""
    listing = subprocess.run(as_user(1000, "ls", directory + "/closed/"), capture_output=True, text=True)
    assert listing.returncode != 0 and "password" not in listing.stdout


@needs_root
@pytest.mark.parametrize("target", ["other user", "nobody"])
def test_a_signal_that_cannot_be_sent_says_what_would_help(bao, user_agent, volume, target):
    bao.put("signal", password="one")
    application = subprocess.Popen(as_user(1000, "sleep", "60"))
    pid_file = os.path.join(volume, "pid")
    if target == "nobody":
        application.kill()
        application.wait()
    with open(pid_file, "w") as file:
        file.write(f"{application.pid}\n")
    os.mkdir(os.path.join(volume, "secrets"))
    os.chmod(os.path.join(volume, "secrets"), 0o777)
    sidecar = user_agent(
        {"db": {"backend": "vault", "path": "secret/signal", "refresh": "1s"}},
        {"directory": os.path.join(volume, "secrets"), "on_change": {"signal": "HUP", "pid_file": pid_file}},
    )
    try:
        sidecar.start().wait_ready()
        wait_until(lambda: "not told" in sidecar.read_log(), what="the log to say so")
        words = "CAP_KILL" if target == "other user" else "shareProcessNamespace"
        assert words in sidecar.read_log() and f"signal HUP to process {application.pid}" in sidecar.read_log()
        assert sidecar.is_ready(), "the files are published all the same"
    finally:
        application.kill()
        application.wait()


@needs_root
def test_a_signal_to_another_user_needs_one_capability(bao, user_agent, volume):
    bao.put("signal", password="one")
    application = subprocess.Popen(as_user(1000, "sh", "-c", "trap 'exit 7' HUP; sleep 60 & wait"))
    pid_file = os.path.join(volume, "pid")
    with open(pid_file, "w") as file:
        file.write(f"{application.pid}\n")
    os.mkdir(os.path.join(volume, "secrets"))
    os.chmod(os.path.join(volume, "secrets"), 0o777)
    sidecar = user_agent(
        {"db": {"backend": "vault", "path": "secret/signal"}},
        {"directory": os.path.join(volume, "secrets"), "on_change": {"signal": "HUP", "pid_file": pid_file}},
    )
    sidecar.capability = "kill"
    try:
        sidecar.start()
        assert application.wait(15) == 7
    finally:
        application.kill()
        application.wait()


def test_one_backend_that_changed_costs_the_other_nothing(bao, pod, influx, memory, tmp_path):
    sidecar = leasing(bao, pod, influx, memory)
    again = bao.approle("pod-again", LEASED_POLICY, str(tmp_path))
    sidecar.config["backends"]["again"] = {
        "type": "vault",
        "address": bao.address,
        "auth": {"method": "approle", "role_id_file": again[0], "secret_id_file": again[1]},
    }
    sidecar.config["secrets"]["other"] = {"backend": "again", "path": "database/creds/short"}
    sidecar.write(sidecar.config)
    made = len(influx.made)
    assert sidecar.run("serve", "--once", "--timeout", "20s").returncode == 0
    user, other, before = sidecar.read("creds/username"), sidecar.read("other/username"), len(bao.requests())
    sidecar.config["backends"]["again"]["tls"] = {"server_name": "elsewhere"}
    sidecar.write(sidecar.config)
    sidecar.start().wait_ready()
    wait_until(lambda: sidecar.read("other/username") != other, what="a credential of the new session")
    assert sidecar.read("creds/username") == user and len(influx.made) == made + 3
    assert sum("login" in path for path in paths_since(bao, before)) == 1
    assert sidecar.read_log().count("hand-over ignored") == 1 and "sessions=1" in sidecar.read_log()
