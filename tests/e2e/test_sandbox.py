# SPDX-License-Identifier: Apache-2.0
"""What the sandbox closed at the start stays closed after a reload, and who goes on without it says so."""
import os
import shutil
import signal
import subprocess

import pytest

from conftest import wait_until
from sidecar import READ_POLICY, Sidecar, approle_config


@pytest.fixture
def sidecar(agent, bao, tmp_path):
    bao.put("sandbox", value="one")
    role = bao.approle("sandbox", READ_POLICY, str(tmp_path))
    folder = tmp_path / "sidecar"
    folder.mkdir()
    secrets = {"a": {"backend": "vault", "path": "secret/sandbox", "refresh": "1s"}}
    sidecar = Sidecar(agent, folder, approle_config(bao, folder, role, secrets))
    sidecar.config = approle_config(bao, folder, role, secrets)
    yield sidecar
    if sidecar.process is not None and sidecar.process.poll() is None:
        sidecar.stop(signal.SIGKILL)


def outside(tmp_path):
    return {
        "files": (lambda c: c["sinks"]["files"].update(directory=str(tmp_path / "elsewhere" / "out")), "elsewhere"),
        "socket": (lambda c: c["sinks"]["socket"].update(path=str(tmp_path / "other" / "s.sock")), "other"),
        "credential": (lambda c: c["backends"]["vault"]["auth"].update(role_id_file="/opt/role-id"), "/opt"),
        "port": (lambda c: c["backends"]["vault"].update(address="http://127.0.0.1:9"), "port 9"),
        "metrics": (lambda c: c.update(metrics={"listen": "127.0.0.1:9"}), "metrics.listen"),
    }


@pytest.mark.parametrize("what", ["files", "socket", "credential", "port", "metrics"])
def test_a_reload_that_needs_more_is_refused_whole(sidecar, bao, tmp_path, what):
    for name in ("elsewhere", "other"):
        (tmp_path / name).mkdir()
    change, word = outside(tmp_path)[what]
    sidecar.start().wait_ready()
    change(sidecar.config)
    sidecar.config["secrets"]["b"] = {"backend": "vault", "path": "secret/sandbox"}
    sidecar.write(sidecar.config)
    wait_until(lambda: "restart needed" in sidecar.read_log(), 10, sidecar.read_log())
    line = next(line for line in sidecar.read_log().splitlines() if "restart needed" in line)
    assert word in line and "the old one stays" in line, line
    assert [secret["name"] for secret in sidecar.status()["secrets"]] == ["a"]
    bao.put("sandbox", value="two")
    sidecar.wait_file("a/value", "two")
    assert sidecar.stop() == 0
    bao.put("sandbox", value="one")


def test_without_landlock_it_ends_unless_that_is_allowed_and_shown(sidecar, agent):
    """A kernel that lacks it, by strace."""
    if os.geteuid() != 0 or shutil.which("strace") is None:
        message = "only root's strace may follow the agent"
        (pytest.fail if os.environ.get("CI") == "true" and os.geteuid() == 0 else pytest.skip)(message)
    call = "landlock_create_ruleset"
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=ENOSYS"]
    command = [*strace, agent, "serve", "-c", sidecar.file]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=environment)
    assert done.returncode not in (0, None) and not os.path.exists(sidecar.files), done.stderr
    assert "landlock" in done.stderr and "--allow-degraded" in done.stderr, done.stderr

    process = subprocess.Popen([*command, "--allow-degraded"], stderr=open(sidecar.log, "wb"), env=environment)
    sidecar.process = process
    sidecar.wait_ready(30)
    assert sidecar.status()["hardening"]["landlock"] == "off", sidecar.status()["hardening"]
    assert sidecar.status()["hardening"]["seccomp"] == "on"
    child = int(open(f"/proc/{process.pid}/task/{process.pid}/children").read().split()[0])
    os.kill(child, signal.SIGTERM)
    assert process.wait(10) == 0
