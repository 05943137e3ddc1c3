# SPDX-License-Identifier: Apache-2.0
"""`agent run` that stays beside its program, against a real OpenBao: leases kept alive, new versions handed over, a
broker that dies, a server that is away."""
import os
import pty
import select
import signal
import sys

import pytest
import yaml

from conftest import wait_until
from running import TALKER, Running, is_agent, status_of
from sidecar import READ_POLICY, approle_config

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))
import influxdb  # noqa: E402
from fault_proxy import FaultProxy, silence, when  # noqa: E402

POLICY = READ_POLICY + 'path "database/creds/*" { capabilities = ["read"] }\n'
TALK = ["--", "sh", "-c", TALKER]


@pytest.fixture(scope="module")
def influx(bao):
    influx = influxdb.Influx()
    influxdb.mount(bao, influx, "short")
    influxdb.mount(bao, influx, "brief", ttl="4s", max_ttl="8s")
    yield influx
    influx.close()


@pytest.fixture
def declare(bao, influx, tmp_path):
    """Writes a configuration for `run`: secrets by name and path, without sinks."""
    role = bao.approle("leases", POLICY, str(tmp_path))

    def declare(env=None, address=None, sinks=None, **paths):
        secrets = {name: {"backend": "vault", "path": path, "refresh": "1s"} for name, path in paths.items()}
        content = approle_config(bao, tmp_path, role, secrets, **({"env": env} if env else {}))
        content["backends"]["vault"]["address"] = address or bao.address
        content["sinks"] = sinks or {}
        if not sinks:
            del content["sinks"]
        path = tmp_path / "agent.yaml"
        path.write_text(yaml.safe_dump(content))
        return str(path)

    return declare


@pytest.fixture
def start(agent, tmp_path):
    started = []

    def start(*arguments, **options):
        started.append(Running(agent, tmp_path, *arguments, **options))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def proxy(bao):
    proxy = FaultProxy(("127.0.0.1", bao.port))
    yield proxy
    proxy.close()


# ---- leases ----


def test_a_leased_secret_is_renewed_while_the_program_runs(bao, influx, declare, start):
    config = declare(env={"PASSWORD": "creds.username"}, creds="database/creds/short")
    renewed, revoked = (len(bao.requests(path)) for path in ("sys/leases/renew", "auth/token/revoke-self"))
    running = start("-c", config, *TALK, STATUS="7")
    running.wait_shown("\n")
    user = running.shown().split()[1]
    assert user in influx.users
    # Somebody must renew: the program has a parent, which has a broker beside it.
    assert running.program() != running.pid and running.broker()
    wait_until(lambda: len(bao.requests("sys/leases/renew")) >= renewed + 2, 20, "two renewals")
    assert running.shown() == f"started {user}\n"
    assert running.end() == 7
    assert running.shown() == f"started {user}\nended {user}\n"
    # What somebody may still use is not taken away: the lease would go with the token.
    assert user in influx.users
    assert len(bao.requests("auth/token/revoke-self")) == revoked


def test_a_supervised_programs_end_is_ours(declare, start):
    config = declare(creds="database/creds/short")
    assert start("-c", config, "--", "sh", "-c", "exit 5").process.wait(20) == 5
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV):
        assert start("-c", config, "--", "sh", "-c", f"kill -{number.value} $$").process.wait(20) == -number
    assert start("-c", config, "--", "no-such-program").process.wait(20) == 127


def test_a_lease_at_its_end_is_replaced_and_the_program_started_with_the_new_one(influx, declare, start):
    config = declare(env={"PASSWORD": "creds.username"}, creds="database/creds/brief")
    running = start("-c", config, "--watch", "restart", *TALK)
    wait_until(lambda: running.shown().count("started") >= 2, 30, f"a restart; {running.shown()} {running.said()}")
    lines = [line.split() for line in running.shown().splitlines()[:3]]
    assert [line[0] for line in lines] == ["started", "ended", "started"]
    first, new = lines[0][1], lines[2][1]
    assert lines[1][1] == first != new
    assert new in influx.users


def test_no_credential_is_kept_alive_for_nobody_after_a_killed_broker_unless_it_is_said(declare, start):
    config = declare(env={"PASSWORD": "creds.username"}, creds="database/creds/short")
    running = start("-c", config, *TALK, STATUS="4")
    running.wait_shown("\n")
    before, broker, program = running.shown(), running.broker(), running.program()
    os.kill(broker, signal.SIGKILL)
    running.wait_said("the broker died")
    wait_until(lambda: [pid for pid in running.brokers() if pid != broker], what="the next broker")
    running.wait_said("nobody keeps alive")
    assert running.program() == program and running.shown() == before
    assert running.end() == 4


def test_a_killed_broker_costs_a_static_secret_nothing(bao, declare, start):
    bao.put("killed", password="one")
    config = declare(killed="secret/killed")
    running = start("-c", config, "--watch", "restart", *TALK)
    running.wait_shown("started one\n")
    for _ in range(2):
        broker = running.broker()
        os.kill(broker, signal.SIGKILL)
        wait_until(lambda: [pid for pid in running.brokers() if pid != broker], 20, "the next broker")
    bao.put("killed", password="two")
    running.wait_shown("started two\n")
    assert running.shown() == "started one\nended one\nstarted two\n"


def test_a_broker_that_dies_again_and_again_is_waited_for_longer_each_time(bao, declare, start):
    bao.put("again", password="one")
    running = start("-c", declare(again="secret/again"), "--watch", "restart", *TALK)
    running.wait_shown("started one\n")
    for times in (1, 2):
        os.kill(agent_of(running), signal.SIGKILL)
        wait_until(lambda: running.said().count("again_in_ms") == times, what="the wait")
    assert "again_in_ms=1000" in running.said() and "again_in_ms=2000" in running.said()
    assert running.end() == 0


def agent_of(running):
    """The broker, also before it is hardened and has handed anything over."""
    program = running.program()
    return wait_until(lambda: [pid for pid in running.children() if pid != program], what="the broker")[0]


# ---- new versions ----


def test_watch_restart_ends_the_old_program_before_the_new_one_starts(bao, declare, start):
    bao.put("watched", password="one")
    running = start("-c", declare(watched="secret/watched"), "--watch", "restart", *TALK)
    running.wait_shown("started one\n")
    bao.put("watched", password="two")
    running.wait_shown("started one\nended one\nstarted two\n")
    # The same value again is a new version at the server, and nothing new for the program.
    bao.put("watched", password="two")
    read = len(bao.requests("secret/data/watched"))
    wait_until(lambda: len(bao.requests("secret/data/watched")) >= read + 2, what="the new version to be read")
    bao.put("watched", password="three")
    running.wait_shown("ended two\nstarted three\n")
    assert running.shown().count("started") == 3
    assert running.end() == 0 and running.said() == ""


def test_watch_signal_comes_when_the_file_is_new(bao, declare, start, tmp_path):
    bao.put("told", password="one")
    file = str(tmp_path / "password")
    running = start("-c", declare(told="secret/told"), "--file", f"{file}=told.password", "--watch", "signal:HUP",
                    *TALK, FILE=file)
    running.wait_shown("started\n")
    assert open(file).read() == "one"
    bao.put("told", password="two")
    running.wait_shown("started\ntold\ntwo")
    assert running.end() == 0
    assert not os.path.lexists(file)


def test_an_end_that_the_user_asks_for_is_no_restart(bao, declare, start):
    """Also when a restart is under way already."""
    bao.put("asked", password="one")
    slow = "trap 'echo ending; sleep 1; echo ended; exit 3' TERM; trap '' INT; echo started; while :; do sleep 0.02; done"
    for number in (signal.SIGTERM, signal.SIGINT):
        running = start("-c", declare(asked="secret/asked"), "--watch", "restart", "--", "sh", "-c", slow)
        running.wait_shown("started\n")
        bao.put("asked", password=f"two-{number}")
        running.wait_shown("ending\n")
        running.process.send_signal(number)
        assert running.process.wait(20) == 3
        assert running.shown().count("started") == 1 and running.shown().endswith("ended\n")


# ---- choosing, and ages ----


def test_strict_only_and_pristine(bao, declare, run):
    bao.put("first", password="one")
    bao.put("second", key="two")
    config = declare(first="secret/first", second="secret/second")
    show = ["--", "sh", "-c", "env | grep -E '^(PASSWORD|KEY|OTHER|PATH)=' | sed 's/^PATH=.*/PATH/' | sort"]
    taken = {"PASSWORD": "mine", "OTHER": "x"}
    strict = run("run", "-c", config, "--strict", *show, env=taken)
    assert (strict.returncode, strict.stdout) == (65, "")
    assert "PASSWORD" in strict.stderr and "one" not in strict.stderr
    assert run("run", "-c", config, *show, env=taken).stdout == "KEY=two\nOTHER=x\nPASSWORD=one\nPATH\n"
    assert run("run", "-c", config, "--pristine", *show, env=taken).stdout == "KEY=two\nPASSWORD=one\nPATH\n"
    before = len(bao.requests("secret/data/first"))
    assert run("run", "-c", config, "--only", "second", *show, env=taken).stdout == "KEY=two\nOTHER=x\nPASSWORD=mine\nPATH\n"
    # What the program is not given is not asked for.
    assert len(bao.requests("secret/data/first")) == before


def test_time_over_is_said_and_ends_with_69(bao, declare, proxy, run, tmp_path):
    bao.put("late", password="one")
    proxy.fault = when("secret/data/late", silence())
    config = declare(late="secret/late", address=proxy.address)
    result = run("run", "-c", config, "--timeout", "1s", "--", "touch", "ran")
    assert (result.returncode, result.stdout) == (69, "")
    assert "1s" in result.stderr.splitlines()[-1] and "late" in result.stderr.splitlines()[-1]
    assert not (tmp_path / "ran").exists()


def test_max_stale_takes_back_what_is_older_and_leaves_the_program(bao, declare, proxy, start, run, tmp_path):
    bao.put("aged", password="one")
    socket = str(tmp_path / "agent.sock")
    config = declare(aged="secret/aged", address=proxy.address, sinks={"socket": {"path": socket}})
    running = start("-c", config, "--max-stale", "2s", *TALK)
    running.wait_shown("started one\n")
    assert run("get", "--socket", socket, "aged.password").stdout == "one"
    proxy.connection = "refuse"
    proxy.drop()
    wait_until(lambda: run("get", "--socket", socket, "aged.password").returncode == 69, 20, "the old value to be gone")
    assert running.shown() == "started one\n"
    proxy.connection = "serve"
    wait_until(lambda: run("get", "--socket", socket, "aged.password").stdout == "one", 40, "the value to be back")
    assert running.end() == 0


# ---- signals and the terminal ----


def test_the_second_term_kills_the_whole_group(declare, start, tmp_path):
    deaf = ("trap 'echo deaf' TERM; (trap '' TERM; exec sleep 1000) & echo $! >grandchild; echo started;"
            "while :; do sleep 0.02; done")
    running = start("-c", declare(creds="database/creds/short"), "--", "sh", "-c", deaf)
    running.wait_shown("started\n")
    running.process.send_signal(signal.SIGTERM)
    running.wait_shown("deaf\n")
    assert running.process.poll() is None
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(20) == -signal.SIGKILL
    grandchild = int((tmp_path / "grandchild").read_text())
    wait_until(lambda: status_of(grandchild).get("State", "Z")[0] == "Z", what="the grandchild's end")


class Terminal:
    """A shell with job control on a terminal of its own."""

    def __init__(self, folder):
        self.shown = ""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PS1": "", "TERM": "dumb"}
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], environment)

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.shown += os.read(self.master, 4096).decode()
            except OSError:
                break
        return self.shown

    def wait(self, text, times=1):
        wait_until(lambda: self.read().count(text) >= times, what=f"{text!r}; shown: {self.shown!r}")

    def type(self, keys):
        os.write(self.master, keys.encode())

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.master)


@pytest.fixture
def terminal(tmp_path):
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.close()


# Shows each signal as the kernel delivers it: Python itself would make one call of two that come close together.
COUNTER = """import os, select, signal
told, tell = os.pipe()
os.set_blocking(tell, False)
signal.set_wakeup_fd(tell)
signal.signal(signal.SIGINT, lambda *_: None)
signal.signal(signal.SIGQUIT, lambda *_: None)
signal.signal(signal.SIGTERM, lambda *_: os._exit(9))
print('<ready %d>' % os.getpid(), flush=True)
while True:
    if select.select([told], [], [], 0.05)[0]:
        for number in os.read(told, 100):
            print('<told %d>' % number, flush=True)
    elif os.path.exists('tick'):
        os.unlink('tick')
        print('<ticked>', flush=True)
"""


def ready_pid(terminal):
    terminal.wait("<ready ")
    return int(terminal.shown.split("<ready ")[1].split(">")[0])


@pytest.mark.parametrize("mask", ["never", "auto"])
def test_what_the_terminal_sends_comes_once(agent, declare, terminal, tmp_path, mask):
    (tmp_path / "counter.py").write_text(COUNTER)
    config = declare(creds="database/creds/short")
    terminal.type(f"{agent} run -c {config} --mask {mask} -- {sys.executable} counter.py; echo status $?\n")
    program = ready_pid(terminal)
    for key, number in (("\x03", signal.SIGINT), ("\x1c", signal.SIGQUIT)):
        terminal.type(key)
        terminal.wait(f"<told {number.value}>")
        # A second one would have come before an answer to what is asked now.
        (tmp_path / "tick").touch()
        terminal.wait("<ticked>", terminal.shown.count("<ticked>") + 1)
        assert terminal.shown.count(f"<told {number.value}>") == 1
    os.kill(program, signal.SIGTERM)
    terminal.wait("status 9")


@pytest.mark.parametrize("mask", ["never", "auto"])
def test_a_stopped_job_is_stopped_whole_and_goes_on(agent, declare, terminal, tmp_path, mask):
    (tmp_path / "counter.py").write_text(COUNTER)
    config = declare(creds="database/creds/short")
    terminal.type(f"{agent} run -c {config} --mask {mask} -- {sys.executable} counter.py; echo status $?\n")
    program = ready_pid(terminal)
    above = [int(status_of(program)["PPid"])]
    while is_agent(int(status_of(above[-1])["PPid"])):
        above.append(int(status_of(above[-1])["PPid"]))
    launcher = above[-1]
    terminal.type("\x1a")
    terminal.wait("Stopped")
    # Who leads the program's session holds nothing open but the terminal.
    assert mask == "never" or sorted(os.listdir(f"/proc/{above[0]}/fd")) == ["0", "1", "2"]
    for pid in (program, *above):
        wait_until(lambda pid=pid: status_of(pid)["State"][0] == "T", what=f"{pid} to be stopped")
    # Somebody must renew, stopped or not.
    children = map(int, open(f"/proc/{launcher}/task/{launcher}/children").read().split())
    assert [status_of(pid)["State"][0] for pid in children if status_of(pid)["Seccomp"] == "2"] == ["S"]
    # The shell has its terminal back as it was: it echoes.
    terminal.type("echo in $((1+1)) between\n")
    terminal.wait("echo in $((1+1)) between")
    terminal.wait("in 2 between")
    for times in (1, 2):
        terminal.type("fg; echo then $?\n")
        (tmp_path / "tick").touch()
        terminal.wait("<ticked>", times)
        assert not any(status_of(pid)["State"][0] == "T" for pid in (program, *above))
        if times == 1:
            terminal.type("\x1a")
            terminal.wait("Stopped", 2)
    os.kill(program, signal.SIGTERM)
    terminal.wait("then 9")


@pytest.mark.parametrize("mask", ["never", "auto"])
def test_a_job_of_a_shell_ends_as_its_program(agent, declare, terminal, mask):
    config = declare(creds="database/creds/short")
    for number, (command, status) in enumerate((("sh -c 'exit 7'", 7), ("sh -c 'kill -TERM $$'", 143), ("no-such-program", 127),
                                                ("/", 126), ("sh -c 'kill -9 $$'", 137), ("sh -c 'tty -s && test -t 1'", 0))):
        terminal.type(f"{agent} run -c {config} --mask {mask} -- {command}; echo status {number} $?.\n")
        terminal.wait(f"status {number} {status}.")


@pytest.mark.parametrize("number, shown", [(signal.SIGKILL, "Killed"), (signal.SIGTERM, "")])
def test_who_ends_the_job_ends_the_program(agent, declare, terminal, tmp_path, number, shown):
    """The launcher's kill -9 too, and also while both are stopped."""
    (tmp_path / "counter.py").write_text(COUNTER)
    config = declare(creds="database/creds/short")
    terminal.type(f"{agent} run -c {config} --mask auto -- {sys.executable} counter.py &\n")
    program = ready_pid(terminal)
    launcher = int(terminal.shown.split("] ")[1].split()[0])
    os.kill(launcher, number)
    wait_until(lambda: status_of(program).get("State", "Z")[0] == "Z", what="the program's end")
    wait_until(lambda: status_of(launcher).get("State", "Z")[0] == "Z", what="the launcher's end")
    terminal.type("\n")
    terminal.wait(shown)


def test_a_shell_inside_has_jobs_of_its_own(agent, declare, terminal):
    config = declare(creds="database/creds/short")
    terminal.type(f"{agent} run -c {config} --mask auto -- bash --norc --noprofile --noediting -i; echo out $?\n")
    terminal.type("echo inside $((40+2)) ${#USERNAME}\n")
    terminal.wait("inside 42 ")
    terminal.type("sleep 1000\n")
    terminal.wait("sleep 1000\r\n")
    terminal.type("\x1a")
    terminal.wait("Stopped")
    terminal.type("jobs -l; kill %1; echo still $((1+1))\n")
    terminal.wait("still 2")
    terminal.type("exit 3\n")
    terminal.wait("out 3")
