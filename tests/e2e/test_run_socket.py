# SPDX-License-Identifier: Apache-2.0
"""`agent run --socket`: the program's secrets come from the agent that runs already."""
import os
import re
import signal
import subprocess
import time

import pytest
import yaml
from conftest import wait_until
from running import TALKER, Running
from sidecar import Sidecar, approle_config, READ_POLICY

SHOW = ["--", "sh", "-c", "env | grep -E '^(PASS|PASSWORD|USER_NAME|KEY|PLAIN|N)=' | sort"]


def has_broker(launcher):
    """Until it has forked the one that waits for the secrets."""
    children = f"/proc/{launcher.pid}/task/{launcher.pid}/children"
    return int(wait_until(lambda: open(children).read(), what="the broker"))


@pytest.fixture
def serve(agent, run, tmp_path):
    """A sidecar on an encrypted file with two secrets."""
    started = []

    def serve(limits=None, late=False, **more):
        assert run("secrets", "init").returncode == 0
        for name, value in (("db.password", "hunter2"), ("db.user_name", "ada"), ("app.key", "k1")):
            assert run("secrets", "set", name, input=value).returncode == 0
        config = {
            "backends": {"local": {"type": "sops", "file": "secrets.enc.yaml"}},
            "secrets": {name: {"backend": "local", "path": name} for name in ("db", "app", "late")[: 2 + late]},
            "sinks": {"socket": {"path": str(tmp_path / "agent.sock"), **(limits or {})}},
            **more,
        }
        started.append(Sidecar(agent, tmp_path, config).start())
        wait_until(lambda: os.path.exists(started[-1].socket), what="the socket")
        return started[-1] if late else started[-1].wait_ready()

    yield serve
    for sidecar in started:
        if sidecar.process.poll() is None:
            sidecar.stop(signal.SIGKILL)


@pytest.fixture
def away(run):
    """Runs where there is neither a configuration nor an encrypted file."""
    def away(*arguments, **options):
        return run("run", *arguments, cwd="/", **options)

    return away


def test_without_mapping_every_field_is_given(serve, away):
    result = away("--socket", serve().socket, *SHOW)
    assert (result.stdout, result.stderr) == ("KEY=k1\nPASSWORD=hunter2\nUSER_NAME=ada\n", "")
    assert result.returncode == 0


def test_the_running_agents_mapping_is_given(serve, away):
    sidecar = serve(env={"PASS": "db.password"})
    assert away("--socket", sidecar.socket, *SHOW).stdout == "PASS=hunter2\n"
    assert away("--socket", sidecar.socket, "--env", "N=app.key", *SHOW).stdout == "N=k1\n"


def test_names_files_only_and_env_files_choose(serve, away, tmp_path):
    socket = serve().socket
    assert away("--socket", socket, "--env", "N=db#user_name", *SHOW).stdout == "N=ada\n"
    assert away("--socket", socket, "--only", "app", *SHOW).stdout == "KEY=k1\n"
    (tmp_path / "plain").write_text("PLAIN=1\n")
    given = away("--socket", socket, "--env-file", str(tmp_path / "plain"), "--only", "app", *SHOW)
    assert given.stdout == "KEY=k1\nPLAIN=1\n"
    file = tmp_path / "password"
    read = away("--socket", socket, "--file", f"{file}=db.password", "--", "cat", str(file))
    assert (read.stdout, read.stderr) == ("hunter2", "")
    assert not os.path.lexists(file)


def test_what_is_not_there_is_bad_data_and_the_command_does_not_run(serve, away, tmp_path):
    socket = serve().socket
    ran = tmp_path / "ran"
    for reference in ("db.nothing", "nothing.key", "db/password"):
        result = away("--socket", socket, "--env", f"N={reference}", "--", "touch", str(ran))
        assert result.returncode == 65, result.stderr
        assert "N" in result.stderr and reference.split(".")[-1] in result.stderr
    assert not ran.exists()


def test_a_secret_that_the_uid_may_not_see_is_not_there(serve, away):
    socket = serve({"allow": [{"uid": os.getuid(), "secrets": ["app"]}]}).socket
    assert away("--socket", socket, *SHOW).stdout == "KEY=k1\n"
    denied = away("--socket", socket, "--env", "N=db.password", *SHOW)
    assert (denied.returncode, denied.stdout) == (65, "")
    assert "hunter2" not in denied.stderr


def test_nobody_listens(away, tmp_path):
    result = away("--socket", str(tmp_path / "agent.sock"), "--", "true")
    assert result.returncode == 69
    assert str(tmp_path / "agent.sock") in result.stderr


def test_status_and_signals_are_the_commands_own(serve, away):
    socket = serve().socket
    assert away("--socket", socket, "--", "sh", "-c", "exit 7").returncode == 7
    assert away("--socket", socket, "--", "no-such-program").returncode == 127
    assert away("--socket", socket, "--", "sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM
    # The command stands in the launcher's place, and nothing of the broker is left on it.
    facts = ["sh", "-c", "grep -E '^(Umask|SigBlk|SigIgn|NoNewPrivs|Seccomp):' /proc/self/status; ls /proc/self/fd"]
    alone = subprocess.run(facts, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    assert "Umask" in alone and away("--socket", socket, "--", *facts).stdout == alone


def test_what_does_not_go_together_is_a_usage_error(serve, away, tmp_path):
    sidecar = serve()
    for unfit in (["-c", sidecar.file], ["--env", "N=vault://secret/db#key"],
                  ["--env", "N=sops://secrets.enc.yaml#/db/password"], ["--max-stale", "1h"],
                  ["--file", "/tmp/never=vault://secret/db#key"]):
        result = away("--socket", sidecar.socket, *unfit, "--", "true")
        assert result.returncode == 64, (unfit, result.stderr)
        assert "--socket" in result.stderr
    (tmp_path / "references").write_text("N=vault://secret/db#key\n")
    result = away("--socket", sidecar.socket, "--env-file", str(tmp_path / "references"), "--", "true")
    assert (result.returncode, "references: line 1" in result.stderr) == (64, True)


def test_agent_socket_applies_where_nothing_else_does(serve, away, run, tmp_path):
    environment = {"AGENT_SOCKET": serve().socket}
    assert away(*SHOW, env=environment).stdout == "KEY=k1\nPASSWORD=hunter2\nUSER_NAME=ada\n"
    assert away("--env", "N=app.key", *SHOW, env=environment).stdout == "N=k1\n"
    # The nearest encrypted file stands before it.
    (tmp_path / "below").mkdir()
    os.rename(tmp_path / "agent.yaml", tmp_path / "moved.yaml")
    near = run("run", "--", "sh", "-c", "echo $DB_PASSWORD", cwd=tmp_path / "below", env=environment)
    assert near.stdout == "hunter2\n"


@pytest.fixture
def serve_bao(bao, agent, tmp_path):
    """A sidecar on a real server."""
    started = []

    def serve_bao(**secrets):
        role = bao.approle("socket", READ_POLICY, str(tmp_path))
        secrets = {name: {"backend": "vault", "path": f"secret/{name}", "refresh": "1s", **more}
                   for name, more in secrets.items()}
        started.append(Sidecar(agent, tmp_path, approle_config(bao, tmp_path, role, secrets)).start())
        wait_until(lambda: os.path.exists(started[-1].socket), what="the socket")
        return started[-1]

    yield serve_bao
    for sidecar in started:
        if sidecar.process.poll() is None:
            sidecar.stop(signal.SIGKILL)


def test_numbers_and_lists_arrive_as_they_were_spelled(bao, serve_bao, away):
    bao.put("typed", user_name="ada", n=5432, key=[1, "b"])
    shown = away("--socket", serve_bao(typed={}).wait_ready().socket, *SHOW)
    assert (shown.stdout, shown.stderr) == ('KEY=[1,"b"]\nN=5432\nUSER_NAME=ada\n', "")


def test_a_secret_that_has_not_come_is_waited_for(serve, agent, away, run):
    sidecar = serve(late=True)
    sidecar.wait_state("late", "missing")
    assert away("--socket", sidecar.socket, "--only", "app", *SHOW).stdout == "KEY=k1\n"
    late = away("--socket", sidecar.socket, "--timeout", "300ms", *SHOW)
    assert (late.returncode, late.stdout) == (69, "")
    assert "'late' has not been fetched yet" in late.stderr and "300ms" in late.stderr
    waiting = subprocess.Popen([agent, "run", "--socket", sidecar.socket, "--only", "app,late", *SHOW], cwd="/",
                               text=True, stdout=subprocess.PIPE)
    has_broker(waiting)
    assert run("secrets", "set", "late.n", input="1").returncode == 0
    assert waiting.communicate(timeout=60)[0] == "KEY=k1\nN=1\n"
    assert waiting.returncode == 0


def test_a_secret_that_is_not_required_is_not_waited_for(bao, serve_bao, away):
    bao.put("here", key="k1")
    sidecar = serve_bao(here={}, never={"required": False}).wait_ready()
    assert away("--socket", sidecar.socket, *SHOW).stdout == "KEY=k1\n"


def test_an_interrupt_ends_the_wait_of_a_hardened_broker(serve_bao, agent):
    sidecar = serve_bao(nowhere={})
    waiting = subprocess.Popen([agent, "run", "--socket", sidecar.socket, "--", "true"], cwd="/",
                               stderr=subprocess.DEVNULL)
    broker = has_broker(waiting)
    wait_until(lambda: "Seccomp:\t2" in open(f"/proc/{broker}/status").read(), what="the hardening")
    waiting.send_signal(signal.SIGTERM)
    assert waiting.wait(10) == -signal.SIGTERM


# ---- --watch ----

@pytest.fixture
def watching(agent, tmp_path):
    started = []

    def watching(socket, how, *arguments, **environment):
        started.append(Running(agent, tmp_path, "--socket", socket, "--watch", how, *arguments,
                               "--", "sh", "-c", TALKER, cwd="/", **environment))
        return started[-1]

    yield watching
    for running in started:
        running.stop()


def wait_watched(sidecar):
    """Two connections: ours that asks, and the broker's."""
    wait_until(lambda: re.search(rb"agent_socket_connections{.*} 2\n", sidecar.get("/metrics")[1]), what="the long poll")


def set_secret(run, name, value):
    result = run("secrets", "set", name, input=value)
    assert result.returncode == 0, result.stderr


def test_watch_restart_starts_the_command_anew_with_each_version(serve, run, watching):
    running = watching(serve().socket, "restart")
    running.wait_shown("started hunter2\n")
    set_secret(run, "db.password", "second")
    running.wait_shown("started hunter2\nended hunter2\nstarted second\n")
    set_secret(run, "db.password", "third")
    running.wait_shown("ended second\nstarted third\n")
    assert running.end() == 0
    assert running.shown().endswith("ended third\n") and running.said() == ""


def test_watch_signal_tells_the_command_when_its_file_is_new(serve, run, watching, tmp_path):
    file = str(tmp_path / "password")
    running = watching(serve().socket, "signal:HUP", "--file", f"{file}=db.password", FILE=file)
    running.wait_shown("started\n")
    assert open(file).read() == "hunter2"
    set_secret(run, "db.password", "second")
    running.wait_shown("started\ntold\nsecond")
    assert running.end() == 0
    assert not os.path.lexists(file)


def test_no_env_gives_nothing_and_still_tells_of_changes(serve, run, watching):
    sidecar = serve()
    running = watching(sidecar.socket, "signal:HUP", "--no-env")
    running.wait_shown("started\n")
    sidecar.stop(signal.SIGKILL)
    running.wait_said("cannot be asked")
    sidecar.start().wait_ready()
    wait_watched(sidecar)
    assert running.shown() == "started\n"  # the same contents, told by another agent
    set_secret(run, "db.password", "second")
    running.wait_shown("started\ntold\n")
    assert running.end() == 0


def test_no_env_and_env_exclude_each_other(serve, run):
    result = run("run", "--socket", serve().socket, "--no-env", "--env", "A=db.password", "--", "true")
    assert result.returncode == 64 and "--no-env excludes --env" in result.stderr


def test_what_the_command_was_not_given_does_not_disturb_it(serve, run, watching):
    sidecar = serve()
    running = watching(sidecar.socket, "restart", "--env", "PASSWORD=db.password")
    running.wait_shown("started hunter2\n")
    set_secret(run, "app.key", "k2")
    set_secret(run, "db.user_name", "eve")
    wait_until(lambda: sidecar.get("/v1/secrets/db/user_name")[1] == b"eve", what="the agent to have both")
    set_secret(run, "db.password", "second")
    running.wait_shown("ended hunter2\nstarted second\n")
    assert running.shown().count("started") == 2


def test_the_command_lives_on_without_the_agent_and_gets_what_is_new_after(serve, run, watching):
    sidecar = serve()
    running = watching(sidecar.socket, "restart", "--env", "PASSWORD=db.password")
    running.wait_shown("started hunter2\n")
    sidecar.stop(signal.SIGKILL)
    running.wait_said("cannot be asked")
    # The same values again are nothing new, whatever the next agent calls their version.
    sidecar.start().wait_ready()
    wait_watched(sidecar)
    sidecar.stop()
    set_secret(run, "db.password", "second")
    sidecar.start().wait_ready()
    running.wait_shown("started second\n")
    assert running.shown() == "started hunter2\nended hunter2\nstarted second\n"
    assert running.end() == 0


def test_a_vanished_secret_stays_with_the_command(serve, run, watching):
    sidecar = serve()
    running = watching(sidecar.socket, "restart", "--env", "PASSWORD=db.password")
    running.wait_shown("started hunter2\n")
    text = open(sidecar.file).read()
    sidecar.write({**yaml.safe_load(text), "secrets": {"app": {"backend": "local", "path": "app"}}})
    sidecar.process.send_signal(signal.SIGHUP)
    running.wait_said("a secret keeps its version")
    sidecar.write(yaml.safe_load(text))
    set_secret(run, "db.password", "second")
    sidecar.process.send_signal(signal.SIGHUP)
    running.wait_shown("ended hunter2\nstarted second\n")


def test_a_killed_broker_is_started_again_and_goes_on_watching(serve, run, watching):
    running = watching(serve().socket, "restart")
    running.wait_shown("started hunter2\n")
    first = running.broker()
    os.kill(first, signal.SIGKILL)
    running.wait_said("the broker died")
    assert wait_until(lambda: [pid for pid in running.brokers() if pid != first], what="the next broker")
    assert running.shown() == "started hunter2\n"
    set_secret(run, "db.password", "second")
    running.wait_shown("ended hunter2\nstarted second\n")


def test_the_commands_end_is_not_held_up_by_the_watch(serve, watching):
    sidecar = serve()
    running = watching(sidecar.socket, "restart")
    running.wait_shown("started hunter2\n")
    wait_watched(sidecar)
    # A broker that does not see the end would be waited for for 4 s.
    began = time.monotonic()
    assert running.end() == 0
    assert time.monotonic() - began < 3
