# SPDX-License-Identifier: Apache-2.0
"""What an environment can ask of libraries has no effect on the agent, and reaches the program unchanged."""
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest
import yaml

from conftest import wait_until
from relay import Relay, make_ca
from running import status_of
from sidecar import READ_POLICY, approle_config

PASSWORD = "hunter2-hunter2"


class Trap:
    """A listener that whoever obeys the environment comes to."""

    def __init__(self):
        self.seen = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.count, daemon=True).start()

    def count(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.seen.append(connection.recv(200))
            connection.close()


@pytest.fixture
def trap():
    trap = Trap()
    yield trap
    trap.listener.close()


@pytest.fixture
def hostile(trap, tmp_path):
    """Every file that it names is in a folder of its own, so that a trace shows who asked for one."""
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "openssl.cnf").write_text(
        "openssl_conf = start\n[start]\nssl_conf = ssl\n[ssl]\nsystem_default = all\n[all]\nMaxProtocol = TLSv1.1\n"
        "CipherString = NULL\n")
    (evil / "hosts").write_text("localhost 203.0.113.1\n127.0.0.1 203.0.113.1\n")
    (evil / "curlrc").write_text(f"proxy = {trap.address}\n")
    (evil / ".netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    proxies = {name: f"http://{trap.address}" for name in (
        "http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "HTTP_PROXY")}
    return {
        **proxies,
        "no_proxy": "", "NO_PROXY": "",
        "SSLKEYLOGFILE": str(evil / "keys.log"),
        "SSL_CERT_FILE": str(evil / "certs.pem"), "SSL_CERT_DIR": str(evil),
        "CURL_CA_BUNDLE": str(evil / "bundle.pem"), "CURL_HOME": str(evil), "CURL_SSL_BACKEND": "gnutls",
        "NETRC": str(evil / ".netrc"),
        "OPENSSL_CONF": str(evil / "openssl.cnf"), "OPENSSL_MODULES": str(evil), "OPENSSL_ENGINES": str(evil),
        "OPENSSL_ia32cap": "0", "OPENSSL_TRACE": "ALL", "CTLOG_FILE": str(evil / "ctlog"), "RANDFILE": str(evil / "rnd"),
        "LD_LIBRARY_PATH": str(evil), "LD_BIND_NOW": "1",
        "RES_OPTIONS": "attempts:1 timeout:1", "LOCALDOMAIN": "evil.invalid", "HOSTALIASES": str(evil / "hosts"),
        "RESOLV_HOST_CONF": str(evil / "host.conf"), "GETCONF_DIR": str(evil), "CARES_HOSTS": str(evil / "hosts"),
        "MALLOC_PERTURB_": "170", "MALLOC_CHECK_": "3", "MALLOC_ARENA_MAX": "1", "MALLOC_TRACE": str(evil / "mtrace"),
        "MALLOC_TOP_PAD_": "0", "GLIBC_TUNABLES": "glibc.malloc.perturb=170",
        "GCONV_PATH": str(evil), "LOCPATH": str(evil), "NLSPATH": str(evil / "%N"), "LANGUAGE": "evil", "LC_ALL": "tr_TR.UTF-8",
        "TZ": f":{evil}/zone", "TZDIR": str(evil), "TMPDIR": str(evil),
        "UV_THREADPOOL_SIZE": "1000", "UV_USE_IO_URING": "1",
        "ARGP_HELP_FMT": "usage-indent=1", "POSIXLY_CORRECT": "1",
        "BASH_ENV": str(evil / "bashrc"), "IFS": "x", "PS4": "$(touch evil)",
    }  # fmt: skip


@pytest.fixture
def secure(bao, tmp_path):
    """An OpenBao behind TLS with a private CA, by the name of localhost."""
    ca, certificate = make_ca(str(tmp_path), "ours")
    relay = Relay(bao.port, certificate)
    bao.put("hostile", password=PASSWORD)
    role = bao.approle("hostile", READ_POLICY, str(tmp_path))
    config = approle_config(bao, tmp_path, role, {"hostile": {"backend": "vault", "path": "secret/hostile", "refresh": "1s"}})
    config["backends"]["vault"].update(address=relay.address, tls={"ca_file": ca})
    file = tmp_path / "agent.yaml"
    file.write_text(yaml.safe_dump(config))
    yield str(file), relay, config
    relay.close()


SHOW = ["--", "env", "-0"]


def given(shown):
    return dict(line.split("=", 1) for line in shown.split("\0") if line)


def run(agent, folder, file, environment, *arguments, command=SHOW, trace=None):
    strace = ["strace", "-f", "-qq", "-e", "trace=%file,connect,prctl", "-o", trace] if trace else []
    return subprocess.run([*strace, agent, "run", "-c", file, *arguments, *command], cwd=folder, env=environment, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)


def test_it_reaches_the_program_unchanged_and_moves_nothing_of_ours(agent, secure, trap, hostile, tmp_path):
    file, relay, _ = secure
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "evil"), **hostile}
    before = set(os.listdir(tmp_path / "evil"))
    result = run(agent, tmp_path, file, environment)
    assert result.returncode == 0, result.stderr
    assert given(result.stdout) == {**environment, "PASSWORD": PASSWORD}
    assert result.stderr == ""
    assert relay.paths and trap.seen == []
    # No TLS secrets, no heap trace, nothing else was written.
    assert set(os.listdir(tmp_path / "evil")) == before
    # And supervised alike.
    masked = run(agent, tmp_path, file, environment, "--mask", "always")
    assert masked.returncode == 0, masked.stderr
    assert given(masked.stdout) == {**environment, "PASSWORD": "***"}
    assert trap.seen == [] and set(os.listdir(tmp_path / "evil")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="follows a process that allows no debugger: needs root")
def test_no_file_that_it_names_is_opened_and_nobody_else_is_connected_to(agent, secure, hostile, tmp_path):
    """From main's first statement on: before that the dynamic linker has looked where LD_LIBRARY_PATH says."""
    if not shutil.which("strace"):
        pytest.fail("strace is not there: make test-deps installs it")
    file, relay, _ = secure
    trace = str(tmp_path / "trace")
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **hostile}
    result = run(agent, tmp_path, file, environment, command=["--", "/bin/true"], trace=trace)
    assert result.returncode == 0, result.stderr
    lines = open(trace).read().splitlines()
    program = next(i for i, line in enumerate(lines) if 'execve("/bin/true"' in line)
    ours = lines[next(i for i, line in enumerate(lines) if "PR_SET_DUMPABLE" in line) : program]
    assert any(file in line for line in ours), "the trace shows what was opened"
    assert [line for line in ours if "/evil" in line] == []
    connected = {port for line in ours for port in re.findall(r"connect\(.*htons\((\d+)\)", line)}
    assert connected == {str(relay.port)}


def test_a_serving_agent_keeps_none_of_it(agent, secure, trap, hostile, tmp_path):
    file, relay, config = secure
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "evil"), **hostile}
    before = set(os.listdir(tmp_path / "evil"))
    process = subprocess.Popen([agent, "serve", "-c", file], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    try:
        password = os.path.join(config["sinks"]["files"]["directory"], "hostile/password")
        wait_until(lambda: os.path.exists(password), what="the file")
        asked = len(relay.paths)
        wait_until(lambda: len(relay.paths) > asked, what="a refresh")
        assert trap.seen == [] and set(os.listdir(tmp_path / "evil")) == before
        assert int(status_of(process.pid)["Threads"]) < 8, "UV_THREADPOOL_SIZE made threads"
        if os.geteuid() == 0:
            kept = open(f"/proc/{process.pid}/environ", "rb").read().split(b"\0")
            names = {entry.split(b"=")[0].decode() for entry in kept if entry.strip(b"\0")}
            # glibc has put a copy of this one in its place before main.
            assert names.isdisjoint(set(hostile) - {"GLIBC_TUNABLES"})
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
