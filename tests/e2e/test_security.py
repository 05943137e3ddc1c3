# SPDX-License-Identifier: Apache-2.0
"""The promises to the security reviewer, asked of running programs: where a secret's bytes are, and who gets at them."""
import base64
import json
import os
import re
import secrets
import signal
import stat
import time
import urllib.request

import pytest
import yaml

from conftest import free_port, wait_until
from relay import Relay, make_ca
from running import Running
from sidecar import READ_POLICY, Sidecar, approle_config

TOKEN = re.compile(rb"\bs\.[A-Za-z0-9]{24}\b")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="reads another process's memory and changes uid: needs root")


def canary():
    return "cnry" + secrets.token_hex(20)


def forms(value):
    """A value as it is, and in base64 at each of the three offsets."""
    raw = value.encode()
    found = [raw]
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw)
        found.append(encoded[4 if offset else 0 : -4])
    return found


def mappings(pid):
    """(name, start, end, flags) of what can be read; the arena is what is not, or is kept out of dumps and children."""
    name, start, end, readable = None, 0, 0, False
    for line in open(f"/proc/{pid}/smaps"):
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
        if head:
            start, end = int(head[1], 16), int(head[2], 16)
            name, readable = head[4] or "anonymous", head[3].startswith("r")
        elif line.startswith("VmFlags:") and readable and name not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
            yield name, start, end, line.split()[1:]


def is_arena(name, flags):
    return name.startswith("/secretmem") or ("dd" in flags and "dc" in flags)


def outside_arena(pid):
    """All of the process's memory but the arena, as (mapping, bytes)."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for name, start, end, flags in mappings(pid):
            if is_arena(name, flags):
                continue
            content = bytearray()
            memory.seek(start)
            while len(content) < end - start:
                part = memory.read(end - start - len(content))
                assert part, f"{name} could not be read"
                content += part
            yield name, bytes(content)


def copies(pid, *values):
    """Where the memory of the process outside of its arena holds a value, with what stands around it."""
    found = []
    needles = [form for value in values for form in forms(value)]
    for name, content in outside_arena(pid):
        for needle in needles:
            at = content.find(needle)
            while at >= 0:
                found.append((name, content[max(0, at - 60) : at + 60]))
                at = content.find(needle, at + 1)
    return found


def tokens(pid):
    return [(name, match.group()) for name, content in outside_arena(pid) for match in TOKEN.finditer(content)]


def settled(look, *arguments):
    """A transfer may be in flight when we look: what is there each time, half a second apart, stays."""
    for _ in range(6):
        found = look(*arguments)
        if not found:
            return []
        time.sleep(0.5)
    return found


def texts_with(value, folder, *but):
    """The files of the folder that hold the value, those under `but` left out."""
    found = []
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if os.path.join(path, name) not in but]
        for name in names:
            file = os.path.join(path, name)
            if file in but or not stat.S_ISREG(os.lstat(file).st_mode):
                continue
            content = open(file, "rb").read()
            found += [file for form in forms(value) if form in content]
    return found


def public_words(sidecar, metrics=None):
    """Everything that the process says to whoever asks."""
    words = [sidecar.get("/v1/status")[1], sidecar.get("/metrics")[1], sidecar.get("/v1/secrets")[1]]
    words += [open(f"/proc/{sidecar.process.pid}/{name}", "rb").read() for name in ("cmdline", "environ", "comm")]
    if metrics:
        words.append(urllib.request.urlopen(f"http://{metrics}/metrics").read())
    return b"\n".join(words)


@pytest.fixture
def serve(agent, tmp_path):
    started = []

    def serve(config, *arguments, folder=None, **options):
        started.append(Sidecar(agent, folder or tmp_path, config, **options).start(*arguments))
        return started[-1]

    yield serve
    for sidecar in started:
        if sidecar.process.poll() is None:
            sidecar.stop(signal.SIGKILL)


@pytest.fixture
def relay(bao):
    opened = []

    def relay(certificate=None):
        opened.append(Relay(bao.port, certificate))
        return opened[-1]

    yield relay
    for one in opened:
        one.close()


def kv(path, **more):
    return {"backend": "vault", "path": f"secret/{path}", "refresh": "1s", **more}


def loud(config, tmp_path, metrics):
    """Everything that could say too much, switched on."""
    return {
        **config,
        "log": {"level": "trace"},
        "audit": {"file": str(tmp_path / "audit.log")},
        "metrics": {"listen": metrics},
    }


# ---- where the bytes are ----


# What a server that went wrong may send, with the value's bytes in it. (What it says in `errors` is for people to read
# and is quoted to them: it is no secret.)
GARBAGE = [
    lambda body, text: (200, body[:-3]),
    lambda body, text: (200, body.replace(b'"password"', b'"password":1,"password"')),
    lambda body, text: (200, b'["' + text + b'"]' + body),
    lambda body, text: (200, b'{"data":{"data":{"' + text + b'":}}}'),
    lambda body, text: (200, b'{"data":{"data":{"x":"' + text + b'\xff"}}}'),
    lambda body, text: (200, b'{"data":{"data":{"x":"' + text + b'","x":"y"}}}'),
    lambda body, text: (200, b'{"data":"' + text + b'"}'),
    lambda body, text: (400, b'{"errors":["bad"],"data":"' + text + b'"}'),
    lambda body, text: (404, b'{"data":{"data":null,"metadata":{"deletion_time":"' + text + b'"}}}'),
    lambda body, text: (500, b'{"errors":["bad"],"data":"' + text + b'"}'),
    lambda body, text: (302, text),
]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_values_and_tokens_are_in_the_arena_alone(bao, relay, serve, tmp_path, scheme):
    """After fetches, refusals, garbage of every kind and a rotation, at the highest log level."""
    ca, certificate = make_ca(str(tmp_path), "ours")
    before = relay(certificate if scheme == "https" else None)
    place = f"memory-{scheme}"
    value, broken, new = canary(), canary(), canary()
    names = ["kept", "deleted", "denied", *(f"garbage{number}" for number in range(len(GARBAGE)))]
    for name in names:
        bao.put(f"{place}/{name}", password=value, nested={"deep": [value]})
    policy = READ_POLICY + f'path "secret/data/{place}/denied" {{ capabilities = ["deny"] }}\n'
    role = bao.approle(place, policy, str(tmp_path))
    credential = open(role[1]).read().strip()
    metrics = f"127.0.0.1:{free_port()}"
    secrets_ = {name: kv(f"{place}/{name}") for name in names}
    config = loud(approle_config(bao, tmp_path, role, secrets_, on_missing="remove"), tmp_path, metrics)
    config["backends"]["vault"].update(address=before.address, **({"tls": {"ca_file": ca}} if scheme == "https" else {}))
    sidecar = serve(config)
    pid = sidecar.process.pid
    for name in names:
        if name != "denied":
            sidecar.wait_file(f"{name}/password", value)
    sidecar.wait_state("denied", "denied")
    assert sidecar.get("/v1/secrets/kept/password")[1] == value.encode()
    assert value in sidecar.get("/v1/secrets/kept")[1].decode()
    assert copies(pid, f"{place}/kept"), "what is not secret is found: the search works"
    assert settled(copies, pid, value, credential) == []
    assert settled(tokens, pid) == []

    spoiled = set()

    def spoil(path, status, body):
        number = re.search(r"/garbage(\d+)$", path)
        if number is None:
            return status, body
        spoiled.add(int(number[1]))
        return GARBAGE[int(number[1])](body, broken.encode())

    before.change = spoil
    bao.call("DELETE", f"secret/data/{place}/deleted")
    sidecar.wait_state("deleted", "missing")
    wait_until(lambda: len(spoiled) == len(GARBAGE), what="every kind of garbage to be asked for")
    for number in range(len(GARBAGE)):
        wait_until(lambda: sidecar.secret(f"garbage{number}")["error"], what=f"an error of garbage{number}")
    assert settled(copies, pid, value, broken, credential) == []

    bao.put(f"{place}/kept", password=new, nested={"deep": [new]})
    sidecar.wait_file("kept/password", new)
    assert sidecar.get("/v1/secrets/kept/password")[1] == new.encode()
    assert settled(copies, pid, value, broken, new, credential) == []
    assert settled(tokens, pid) == []

    said = public_words(sidecar, metrics) + sidecar.read_log().encode()
    for text in (value, broken, new, credential):
        assert not any(form in said for form in forms(text))
        assert texts_with(text, str(tmp_path), sidecar.files, *role) == []
    assert TOKEN.search(said) is None
    assert os.path.getsize(tmp_path / "audit.log") > 0
    assert sidecar.stop() == 0
    assert texts_with(new, str(tmp_path), sidecar.files) == []


def test_an_encrypted_file_leaves_no_copies_and_no_key(run, serve, tmp_path):
    """Decrypted, edited, and with a wrong MAC."""
    old, new = canary(), canary()
    assert run("secrets", "init").returncode == 0
    assert run("secrets", "set", "app.key", input=old).returncode == 0
    config = {
        "backends": {"local": {"type": "sops", "file": "secrets.enc.yaml"}},
        "secrets": {"app": {"backend": "local", "path": "app"}},
        "sinks": {"socket": {"path": str(tmp_path / "agent.sock")}, "files": {"directory": str(tmp_path / "secrets")}},
        "log": {"level": "trace"},
    }
    sidecar = serve(config).wait_ready()
    pid = sidecar.process.pid
    key = re.search(r"AGE-SECRET-KEY-1\w+", open(tmp_path / ".config/sops/age/keys.txt").read())[0]
    assert sidecar.get("/v1/secrets/app/key")[1] == old.encode()
    assert settled(copies, pid, old, key) == []
    assert run("secrets", "set", "app.key", input=new).returncode == 0
    sidecar.wait_file("app/key", new)
    assert settled(copies, pid, old, new, key) == []
    assert not any(form in public_words(sidecar) for form in forms(new) + forms(old))
    assert texts_with(new, str(tmp_path), sidecar.files) == []
    assert old not in sidecar.read_log() and new not in sidecar.read_log()

    # Nothing is half-decrypted: a wrong MAC leaves no plaintext behind either.
    text = open(tmp_path / "secrets.enc.yaml").read()
    spoiled = re.sub(r"(?m)^( +mac: .{40})(.)", lambda mac: mac[1] + ("A" if mac[2] != "A" else "B"), text)
    assert spoiled != text
    with open(tmp_path / "secrets.enc.yaml", "w") as file:
        file.write(spoiled)
    wait_until(lambda: sidecar.secret("app")["error"], what="the wrong MAC to be seen")
    assert settled(copies, pid, old, new, key) == []


def test_a_token_in_the_environment_leaves_it(bao, serve, tmp_path):
    """It is read once, moved to the arena and overwritten where the kernel shows it; so is what nobody declared."""
    bao.put("environment/a", password=canary())
    bao.call("PUT", "sys/policies/acl/environment", {"policy": READ_POLICY})
    token = bao.call("POST", "auth/token/create", {"policies": ["environment"], "ttl": "1h"})["auth"]["client_token"]
    assert TOKEN.fullmatch(token.encode())
    stray = canary()
    config = approle_config(bao, tmp_path, ("x", "x"), {"a": kv("environment/a")}, log={"level": "trace"})
    config["backends"]["vault"]["auth"] = {"method": "token"}
    sidecar = serve(config, environment={"BAO_TOKEN": token, "DATABASE_PASSWORD": stray}).wait_ready()
    pid = sidecar.process.pid
    assert settled(copies, pid, token, stray) == []
    environ = open(f"/proc/{pid}/environ", "rb").read()
    assert token.encode() not in environ and stray.encode() not in environ
    assert token not in sidecar.read_log() + sidecar.get("/v1/status")[1].decode()


# ---- run ----


def texts_of(pid):
    """What everybody may read of a process, and what root may of its strings."""
    return b"".join(open(f"/proc/{pid}/{name}", "rb").read() for name in ("cmdline", "environ", "comm"))


@pytest.mark.parametrize("source", ["backends", "socket"])
def test_run_leaves_its_values_to_the_program_alone(bao, agent, serve, tmp_path, source):
    """Through two versions and a broker's death, at the highest level: the broker's memory, argv, environments, the log
    and every file. (The launcher holds what the next program is given; it is not dumpable.)"""
    values = [canary() for _ in range(3)]
    bao.put("run-canary", password=values[0], other=values[0][::-1])
    role = bao.approle("run-canary", READ_POLICY, str(tmp_path))
    credential = open(role[1]).read().strip()
    config = approle_config(bao, tmp_path, role, {"run-canary": kv("run-canary")}, log={"level": "trace"})
    if source == "socket":
        sidecar = serve(config).wait_ready()
        where = ["--socket", sidecar.socket]
    else:
        del config["sinks"]
        (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
        where = ["-c", str(tmp_path / "run.yaml")]
    (tmp_path / "home").mkdir()
    stray = canary()
    running = Running(agent, tmp_path / "home", *where, "--watch", "restart", "--mask", "always", "--", "sh", "-c",
                      "echo $PASSWORD | cksum; exec sleep 1000", STRAY=stray)
    try:
        for number, value in enumerate(values):
            wait_until(lambda n=number: running.shown().count("\n") > n, 30, f"version {number}: {running.said()}")
            broker = running.broker()
            assert settled(copies, broker, *values, credential, stray) == []
            said = texts_of(broker) + texts_of(running.pid).replace(stray.encode(), b"") + running.said().encode()
            assert not any(form in said for text in (*values, credential) for form in forms(text))
            assert value.encode() in texts_of(running.program())
            if number == 1:
                os.kill(broker, signal.SIGKILL)
                running.wait_said("the broker died")
            if number < 2:
                bao.put("run-canary", password=values[number + 1], other="x")
        keep = (os.path.join(str(tmp_path), "secrets"), *role)
        assert [path for value in values for path in texts_with(value, str(tmp_path), *keep)] == []
        assert not any(form in running.shown().encode() for value in values for form in forms(value))
    finally:
        running.stop()


def test_no_error_of_run_tells_a_value(bao, run, tmp_path):
    value = canary()
    bao.put("run-errors", nul="a\0" + value, short=value)
    bao.put("run-large", large=value * 2000)
    env = {"BAO_ADDR": bao.address, "BAO_TOKEN": bao.token, "TAKEN": value, "AGENT_LOG": "trace"}
    reference = "vault://secret/run-errors"
    cases = {
        "NUL": ["--env", f"X={reference}#nul"],
        "at most": ["--env", "X=vault://secret/run-large#large"],
        "no field": ["--env", f"X={reference}#nothing"],
        "TAKEN": ["--strict", "--env", f"TAKEN={reference}#short"],
    }
    (tmp_path / "file").write_text(value)
    cases["stands there already"] = ["--file", f"{tmp_path}/file={reference}#short"]
    (tmp_path / "env").write_text(f"A=1\n{value}\n")
    cases["line 2"] = ["--env-file", str(tmp_path / "env")]
    for says, arguments in cases.items():
        result = run("run", *arguments, "--", "true", env=env)
        assert result.returncode in (65, 78) and says in result.stderr, (says, result.stderr)
        assert not any(form.decode() in result.stderr for form in forms(value)), says
