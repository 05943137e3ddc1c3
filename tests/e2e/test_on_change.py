# SPDX-License-Identifier: Apache-2.0
"""on_change: the application is told of each change at least once, also across the agent's death."""
import os
import signal
import stat

import pytest

from conftest import wait_until
from sidecar import Sidecar

HOOK = """#!/bin/sh
# Says what it was told of, when it may.
seen=$(cat {files}/app/key)
echo "begun $seen" >> {log}
while ! [ -e {gate} ]; do sleep 0.02; done
echo "told $seen" >> {log}
"""


class Application:
    def __init__(self, folder):
        self.files = folder / "secrets"
        self.log = folder / "told"
        self.gate = folder / "gate"
        self.hook = folder / "hook"
        self.hook.write_text(HOOK.format(files=self.files, log=self.log, gate=self.gate))
        self.hook.chmod(stat.S_IRWXU)
        self.gate.touch()

    def lines(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def wait(self, *lines):
        wait_until(lambda: self.lines() == list(lines), 10, f"{lines}, not {self.lines()}")


@pytest.fixture
def application(tmp_path):
    return Application(tmp_path)


@pytest.fixture
def serve(agent, run, tmp_path, application):
    started = []

    def serve(on_change=None):
        config = {
            "backends": {"local": {"type": "sops", "file": "secrets.enc.yaml"}},
            "secrets": {"app": {"backend": "local", "path": "app"}},
            "sinks": {
                "files": {"directory": str(application.files), "on_change": on_change or {"exec": [str(application.hook)]}},
                "socket": {"path": str(tmp_path / "agent.sock")},
            },
        }
        started.append(Sidecar(agent, tmp_path, config).start().wait_ready())
        return started[-1]

    assert run("secrets", "init").returncode == 0
    assert run("secrets", "set", "app.key", input="one").returncode == 0
    yield serve
    application.gate.touch()
    for sidecar in started:
        if sidecar.process.poll() is None:
            sidecar.stop(signal.SIGKILL)


def test_each_change_is_told_once_and_a_restart_tells_nothing_new(serve, run, application):
    sidecar = serve()
    application.wait("begun one", "told one")
    assert run("secrets", "set", "app.key", input="two").returncode == 0
    application.wait("begun one", "told one", "begun two", "told two")
    assert sidecar.stop() == 0
    sidecar = serve()
    assert run("secrets", "set", "app.key", input="three").returncode == 0
    application.wait("begun one", "told one", "begun two", "told two", "begun three", "told three")


def test_what_nobody_was_told_of_when_the_agent_died_is_told_by_the_next(serve, application):
    application.gate.unlink()
    sidecar = serve()
    application.wait("begun one")
    # The whole container dies: the launcher, its broker, and the command that is being run.
    for path in os.listdir("/proc"):
        if path.isdigit() and parent_of(path) == sidecar.process.pid:
            os.kill(int(path), signal.SIGKILL)
    sidecar.process.kill()
    sidecar.process.wait()
    application.gate.touch()
    serve()
    application.wait("begun one", "begun one", "told one")


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_changes_while_the_command_runs_are_told_by_one_more_run(serve, run, application):
    application.gate.unlink()
    sidecar = serve()
    application.wait("begun one")
    for value in ("two", "three"):
        assert run("secrets", "set", "app.key", input=value).returncode == 0
        sidecar.wait_file("app/key", value)
    assert application.lines() == ["begun one"], "one at a time"
    application.gate.touch()
    application.wait("begun one", "told one", "begun three", "told three")
    assert "hook not run" not in sidecar.read_log()


def test_a_reload_that_needs_somebody_to_run_commands_asks_for_a_restart(serve, application):
    sidecar = serve({"signal": "HUP", "pid_file": str(application.files.parent / "pid")})
    text = open(sidecar.file).read()
    before, _, _ = text.partition("    on_change:")
    assert before != text
    with open(sidecar.file + ".new", "w") as file:
        file.write(text.replace("pid_file: " + str(application.files.parent / "pid"), f"exec: [ {application.hook} ]")
                   .replace("      signal: HUP\n", ""))  # fmt: skip
    os.rename(sidecar.file + ".new", sidecar.file)
    wait_until(lambda: "restart needed" in sidecar.read_log(), 10, sidecar.read_log())
    assert application.lines() == []
