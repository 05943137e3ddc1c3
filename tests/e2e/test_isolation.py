# SPDX-License-Identifier: Apache-2.0
"""Who gets at the processes that hold secrets: a debugger of the same uid, another uid, a core dump. Nobody.

Each refusal is measured against an ordinary process beside it, for which the same attempt succeeds.
"""
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest
import yaml

from conftest import wait_until
from running import Running, status_of

ROOT = os.geteuid() == 0
# Root may look at everything, so the agent and whoever attacks it are somebody else.
OWN, OTHER = (65534, 65533) if ROOT else (os.getuid(), None)
PASSWORD = "hunter2-hunter2"


def as_uid(uid):
    return {"user": uid, "group": uid, "extra_groups": []} if ROOT else {}


# ---- the attacks ----

# Runs as a program of its own: prints, for a pid, what each attempt came to: "got in" or an error's name.
ATTACKER = r"""
import ctypes, errno, json, os, sys
pid = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    ctypes.set_errno(0)
    if getattr(libc, name)(*(ctypes.c_long(value) for value in arguments)) < 0:
        raise OSError(ctypes.get_errno(), name)

def read(name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        if name != "mem":
            assert file.read(1)

def ptrace(request):
    call("ptrace", request, pid, 0, 0)
    os.waitpid(pid, 0) if request == 16 else None
    call("ptrace", 17, pid, 0, 0) if request == 16 else None

def process_vm():
    # Nothing is mapped there: who may ask is told that.
    byte = ctypes.create_string_buffer(1)
    here, there = (ctypes.c_long * 2)(ctypes.addressof(byte), 1), (ctypes.c_long * 2)(0x1000, 1)
    try:
        call("process_vm_readv", pid, ctypes.addressof(here), 1, ctypes.addressof(there), 1, 0)
    except OSError as error:
        if error.errno != errno.EFAULT:
            raise

def steal_fd():
    pidfd = os.pidfd_open(pid)
    call("syscall", 438, pidfd, 1, 0)  # pidfd_getfd

attempts = {
    **{f"read {name}": (lambda name=name: read(name)) for name in ("environ", "mem", "maps", "smaps", "auxv")},
    **{f"list {name}": (lambda name=name: os.listdir(f"/proc/{pid}/{name}")) for name in ("fd", "fdinfo", "map_files")},
    **{f"follow {name}": (lambda name=name: os.readlink(f"/proc/{pid}/{name}")) for name in ("exe", "cwd", "root")},
    "process_vm_readv": process_vm,
    "pidfd_getfd": steal_fd,
    "ptrace attach": lambda: ptrace(16),
    "ptrace seize": lambda: ptrace(0x4206),
}
found = {}
for name, attempt in attempts.items():
    try:
        attempt()
        found[name] = "got in"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
print(json.dumps(found))
"""


def attack(pid, uid=OWN):
    done = subprocess.run([sys.executable, "-c", ATTACKER, str(pid)], capture_output=True, text=True, check=False,
                          timeout=60, cwd="/", **as_uid(uid))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def let_in(found, possible):
    """The attempts that were not refused, of those that are possible at all."""
    return [(attempt, found[attempt]) for attempt in sorted(possible) if found[attempt] not in ("EACCES", "EPERM")]


@pytest.fixture(scope="module")
def possible():
    """What a process of the same uid can do to an ordinary one here: the rest says nothing about us."""
    with subprocess.Popen(["sleep", "1000"], **as_uid(OWN)) as ordinary:
        found = attack(ordinary.pid)
        ordinary.kill()
    possible = {name for name, result in found.items() if result == "got in"}
    for name in ("read environ", "read mem", "read maps", "list fd", "process_vm_readv", "pidfd_getfd"):
        assert name in possible, found
    return possible


# ---- the processes ----


class Desk:
    """A folder of the unprivileged user with an encrypted file and a configuration."""

    def __init__(self, agent):
        self.agent = agent
        self.folder = tempfile.mkdtemp(prefix="agent-isolation-")
        os.chmod(self.folder, 0o755)
        if ROOT:
            os.chown(self.folder, OWN, OWN)
        self.socket = os.path.join(self.folder, "agent.sock")
        self.env = {"PATH": os.environ["PATH"], "HOME": self.folder, "LANG": "C.UTF-8"}
        self.started = []
        self.call("secrets", "init")
        self.call("secrets", "set", "db.password", input=PASSWORD)
        self.call("secrets", "set", "app.key", input="k1k2k3k4")

    def call(self, *arguments, **options):
        return subprocess.run([self.agent, *arguments], cwd=self.folder, env=self.env, text=True, check=True, timeout=60,
                              capture_output=True, **as_uid(OWN), **options).stdout

    def configure(self, hooks=False, **socket):
        files = {"directory": os.path.join(self.folder, "out")}
        if hooks:
            files["on_change"] = {"exec": ["true"]}
        content = {
            "backends": {"local": {"type": "sops", "file": "secrets.enc.yaml"}},
            "secrets": {name: {"backend": "local", "path": name} for name in ("db", "app")},
            "sinks": {"files": files, "socket": {"path": self.socket, **socket}},
        }
        with open(os.path.join(self.folder, "agent.yaml"), "w") as file:
            yaml.safe_dump(content, file)

    def start(self, *arguments, before=None):
        self.started.append(subprocess.Popen(
            [self.agent, *arguments], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(os.path.join(self.folder, "log"), "ab"), preexec_fn=before, start_new_session=True, **as_uid(OWN)))
        return self.started[-1]

    def close(self):
        for process in self.started:
            if process.poll() is None:
                for pid in below(process.pid):
                    os.kill(pid, signal.SIGKILL)
                process.kill()
                process.wait()
        shutil.rmtree(self.folder)


@pytest.fixture
def desk(agent):
    desk = Desk(agent)
    yield desk
    desk.close()


def below(pid):
    return [int(child) for child in open(f"/proc/{pid}/task/{pid}/children").read().split()]


def is_hardened(pid):
    return status_of(pid).get("Seccomp") == "2"


STAY = ["--", "sleep", "1000"]


def serve(desk, **options):
    desk.configure(**options)
    process = desk.start("serve")
    wait_until(lambda: os.path.exists(desk.socket), what="the socket")
    subprocess.run([desk.agent, "ready", "--wait", "20s", "--socket", desk.socket], check=True, **as_uid(OWN))
    return process.pid


def start_run(desk, *arguments):
    launcher = desk.start("run", *arguments, "--watch", "restart", *STAY).pid
    wait_until(lambda: len(below(launcher)) == 2 and any(map(is_hardened, below(launcher))), what="broker and program")
    broker = next(pid for pid in below(launcher) if is_hardened(pid))
    program = next(pid for pid in below(launcher) if pid != broker)
    wait_until(lambda: open(f"/proc/{program}/comm").read() == "sleep\n", what="the program")
    return {"launcher": launcher, "broker": broker}, program


def processes(desk, kind):
    """By name, the processes of a kind of agent that hold secrets or will."""
    if kind == "run":
        return start_run(desk)[0]
    if kind == "run --socket":
        desk_pid = serve(desk)
        return {"agent": desk_pid, **start_run(desk, "--socket", desk.socket)[0]}
    if kind == "serve":
        return {"agent": serve(desk)}
    launcher = serve(desk, hooks=True)
    return {"launcher": launcher, "broker": wait_until(lambda: below(launcher), what="the broker")[0]}


KINDS = ["run", "run --socket", "serve", "serve with hooks"]


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_of_the_same_uid_reads_or_debugs_us(desk, possible, kind):
    for name, pid in processes(desk, kind).items():
        found = attack(pid)
        assert let_in(found, possible) == [], name


@pytest.mark.parametrize("kind", KINDS)
def test_the_debugger_that_people_use_is_refused_too(desk, kind):
    if not shutil.which("gdb"):
        pytest.skip("gdb is not there: make test-deps installs it")
    for name, pid in processes(desk, kind).items():
        done = subprocess.run(["gdb", "-p", str(pid), "-batch", "-ex", "generate-core-file taken"], cwd=desk.folder,
                              env=desk.env, capture_output=True, text=True, check=False, timeout=60, **as_uid(OWN))
        assert "Operation not permitted" in done.stderr + done.stdout, (name, done.stdout, done.stderr)
        assert not os.path.exists(os.path.join(desk.folder, "taken"))


def test_the_program_is_as_open_to_its_own_uid_as_without_us(desk, possible):
    program = start_run(desk)[1]
    found = attack(program)
    assert {found[attempt] for attempt in possible} == {"got in"}, found
    assert PASSWORD.encode() in open(f"/proc/{program}/environ", "rb").read()


@pytest.mark.skipif(not ROOT, reason="needs root to be two other users")
@pytest.mark.parametrize("kind", KINDS)
def test_another_uid_gets_at_no_process(desk, possible, kind):
    for name, pid in processes(desk, kind).items():
        found = attack(pid, OTHER)
        assert let_in(found, possible) == [], name


# ---- the socket and the files ----

ASK = r"""
import http.client, json, socket, sys
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
found = {}
for target in ("/v1/secrets", "/v1/env", "/v1/secrets/db", "/v1/secrets/db/password", "/v1/secrets/app/key", "/v1/secrets/no"):
    try:
        connection = Connection("localhost")
        connection.request("GET", target)
        reply = connection.getresponse()
        found[target] = [reply.status, reply.read().decode()]
    except OSError as error:
        found[target] = [type(error).__name__, ""]
print(json.dumps(found))
"""


def ask(desk, uid):
    done = subprocess.run([sys.executable, "-c", ASK, desk.socket], capture_output=True, text=True, check=True,
                          timeout=60, cwd="/", **as_uid(uid))
    return json.loads(done.stdout)


@pytest.mark.skipif(not ROOT, reason="needs root to be two other users")
def test_another_uid_cannot_even_connect(desk):
    serve(desk)
    assert ask(desk, OWN)["/v1/secrets/db/password"] == [200, PASSWORD]
    assert {status for status, _ in ask(desk, OTHER).values()} == {"PermissionError"}


@pytest.mark.skipif(not ROOT, reason="needs root to be two other users")
def test_another_uid_that_is_named_sees_what_it_was_given_and_nothing_else(desk):
    serve(desk, allow=[{"uid": OTHER, "secrets": ["app"]}])
    found = ask(desk, OTHER)
    assert found["/v1/secrets/app/key"] == [200, "k1k2k3k4"]
    assert [entry["name"] for entry in json.loads(found["/v1/secrets"][1])["secrets"]] == ["app"]
    # What it may not have and what there is not are the same.
    assert found["/v1/secrets/db"] == found["/v1/secrets/no"]
    assert found["/v1/secrets/db/password"][0] == 404
    assert PASSWORD not in json.dumps(found)
    # Nor does the agent's own uid see anything: nobody named it.
    assert {found[0] for found in ask(desk, OWN).values()} <= {404, 200}
    assert PASSWORD not in json.dumps(ask(desk, OWN))


@pytest.mark.skipif(not ROOT, reason="needs root to be two other users")
def test_another_uid_reads_no_file(desk):
    serve(desk)
    launcher = desk.start("run", "--file", f"{desk.folder}/taken=db.password", "--watch", "restart", *STAY)
    wait_until(lambda: os.path.islink(os.path.join(desk.folder, "taken")), what="the file")
    assert launcher.poll() is None
    for file in ("out/db/password", "taken", "secrets.enc.yaml"):
        for uid, refused in ((OWN, False), (OTHER, file != "secrets.enc.yaml")):
            done = subprocess.run(["cat", os.path.join(desk.folder, file)], capture_output=True, text=True, check=False,
                                  **as_uid(uid))
            assert (done.returncode != 0) == refused, (file, uid, done.stderr)
            assert not refused or "Permission denied" in done.stderr


# ---- core dumps ----


def allow_cores():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def cores(folder):
    return [name for name in os.listdir(folder) if name.startswith("core")]


def dumped(pid):
    """How a child of ours ended: whether the kernel made a dump, into a file or for a program."""
    return os.waitid(os.P_PID, pid, os.WEXITED).si_code == os.CLD_DUMPED


@pytest.fixture
def dumps(desk):
    """An ordinary process leaves a dump here; else nothing is proven."""
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 and not ROOT:
        pytest.skip("the hard limit of core dumps is 0 here")
    with subprocess.Popen(["sleep", "1000"], cwd=desk.folder, preexec_fn=allow_cores, **as_uid(OWN)) as ordinary:
        ordinary.send_signal(signal.SIGSEGV)
        assert dumped(ordinary.pid), "this machine makes no core dumps at all"
        ordinary.returncode = -signal.SIGSEGV
    for name in cores(desk.folder):
        os.unlink(os.path.join(desk.folder, name))


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT])
def test_a_killed_agent_leaves_no_core(desk, dumps, number):
    desk.configure()
    process = desk.start("serve", before=allow_cores)
    wait_until(lambda: os.path.exists(desk.socket), what="the socket")
    process.send_signal(number)
    assert not dumped(process.pid)
    process.returncode = -number
    assert cores(desk.folder) == []


@pytest.mark.parametrize("which", ["launcher", "broker"])
def test_neither_launcher_nor_broker_leaves_a_core(desk, dumps, which):
    running = Running(desk.agent, desk.folder, "--watch", "restart", "--mask", "always", *STAY, before=allow_cores,
                      **as_uid(OWN))
    try:
        broker = running.broker()
        wait_until(lambda: len(running.children()) == 2, what="the program")
        if which == "broker":
            os.kill(broker, signal.SIGSEGV)
            # 0x80 would say that there was one.
            running.wait_said(f"wait_status={signal.SIGSEGV.value} ")
        else:
            os.kill(running.pid, signal.SIGSEGV)
            assert not dumped(running.pid)
            running.process.returncode = -signal.SIGSEGV
        assert cores(desk.folder) == []
    finally:
        running.stop()


def test_the_programs_own_core_is_its_own_affair(desk, dumps):
    """It is dumped where it would have been without us, whether we are beside it or not."""
    for way in ([], ["--mask", "always"]):
        process = desk.start("run", *way, "--", "sh", "-c", "kill -SEGV $$", before=allow_cores)
        assert process.wait(20) == -signal.SIGSEGV
        assert len(cores(desk.folder)) == 1, way
        os.unlink(os.path.join(desk.folder, cores(desk.folder)[0]))
