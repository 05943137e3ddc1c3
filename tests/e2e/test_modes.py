# SPDX-License-Identifier: Apache-2.0
"""Permissions are right at creation, never repaired afterwards: every call that makes or changes a name, as the kernel
sees it. With a umask of 0, so that nothing but the program itself keeps others out."""
import os
import re
import shutil
import signal
import stat
import subprocess

import pytest
import yaml

from conftest import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="follows a process that allows no debugger: needs root")

CALLS = ("open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,bind,symlink,symlinkat,link,linkat,rename,renameat,"
         "renameat2,chmod,fchmod,fchmodat,chown,lchown,fchown,fchownat,umask,close,setxattr,fsetxattr")
# By path, or on what everybody can see already.
BY_PATH = {"chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat", "setxattr"}
LINE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)")


def calls(trace):
    """(pid, call, arguments, result) of all that succeeded, interrupted lines put together."""
    unfinished = {}
    for line in open(trace):
        begun = re.match(r"^(\d+) +(.*) <unfinished \.\.\.>$", line.rstrip())
        resumed = re.match(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$", line.rstrip())
        if begun:
            unfinished[begun[1]] = begun[2]
            continue
        if resumed:
            line = f"{resumed[1]} {unfinished.pop(resumed[1])}{resumed[2]}"
        found = LINE.match(line)
        if found and int(found[4]) >= 0:
            yield int(found[1]), found[2], found[3], int(found[4])


def last_name(arguments):
    names = re.findall(r'"([^"]*)"', arguments)
    return names[-1] if names else ""


def is_hidden(path):
    """A name that nobody is to look at yet: a generation that is being written, a temporary."""
    return any(part.startswith((".agent-", "..gen-", "..data_tmp")) or part.endswith(".new") or
               re.match(r"\..*\.(tmp|[0-9a-f]+)$", part) for part in path.split("/"))


class Creations:
    """What was made with which mode, and what was wrong on the way."""

    def __init__(self, trace):
        self.modes = []
        self.wrong = []
        umasks, opened, hidden = {}, {}, {}
        for pid, call, arguments, result in calls(trace):
            umask = umasks.get(pid, 0)
            name = last_name(arguments)
            if call == "umask":
                umasks[pid] = int(arguments, 8)
            elif call in BY_PATH:
                self.wrong.append(f"{call}({arguments})")
            elif call == "close":
                opened.pop((pid, arguments), None)
            elif call in ("fchmod", "fchown", "fsetxattr"):
                fd = arguments.split(",")[0]
                if not opened.get((pid, fd)) or not hidden.get(pid):
                    self.wrong.append(f"{call}({arguments}) on {opened.get((pid, fd), 'what stands')}")
            elif call in ("rename", "renameat", "renameat2"):
                hidden[pid] = False
            elif call in ("mkdir", "mkdirat"):
                hidden[pid] = True
                self.modes.append((call, name, int(arguments.split(",")[-1], 8) & ~umask))
            elif call == "bind" and "AF_UNIX" in arguments:
                self.modes.append((call, name, 0o777 & ~umask))
            elif call.startswith("open"):
                created = "O_CREAT" in arguments
                fresh = created and (is_hidden(name) or hidden.get(pid, False))
                directory = hidden.get(pid, False) and "O_DIRECTORY" in arguments
                opened[(pid, str(result))] = name if fresh or directory else None
                if created:
                    hidden[pid] = hidden.get(pid, False) or fresh
                    mode = re.search(r"mode=(0\d+)|, (0\d+)$", arguments)
                    self.modes.append((call, name, int(mode[1] or mode[2], 8) & ~umask))

    def widest(self, kinds):
        return max((mode for call, _, mode in self.modes if call in kinds), default=None)


@pytest.fixture
def desk(agent, tmp_path):
    if not shutil.which("strace"):
        pytest.fail("strace is not there: make test-deps installs it")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": "/dev/shm"}
    traces, started = [], []

    def start(*arguments, **options):
        traces.append(str(tmp_path / f"trace{len(traces)}"))
        started.append(subprocess.Popen(
            ["strace", "-f", "-qq", "-s", "300", "-e", f"trace={CALLS}", "-o", traces[-1], agent, *arguments],
            cwd=tmp_path, env=environment, text=True, umask=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options))
        return started[-1]

    def run(*arguments, input=""):
        process = start(*arguments, stdin=subprocess.PIPE)
        out, err = process.communicate(input, timeout=60)
        assert process.returncode == 0, err
        return out

    yield start, run, traces
    for process in started:
        if process.poll() is None:
            os.kill(traced(process), signal.SIGKILL)
            process.wait(20)


def traced(process):
    """The program below strace."""
    return int(open(f"/proc/{process.pid}/task/{process.pid}/children").read())


def mode_of(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def check(trace, least):
    found = Creations(trace)
    assert found.wrong == []
    assert len(found.modes) >= least, "the trace shows what was made"
    # No file and no directory is for others before somebody says so.
    assert (found.widest(["open", "openat", "openat2", "creat"]) or 0) & 0o177 == 0, found.modes
    assert (found.widest(["mkdir", "mkdirat"]) or 0) & 0o077 == 0, found.modes
    return found


def test_key_and_encrypted_file(desk, tmp_path):
    start, run, traces = desk
    run("secrets", "init")
    run("secrets", "set", "db.password", input="hunter2")
    check(traces[0], 2)
    check(traces[1], 1)
    assert mode_of(tmp_path / ".config/sops/age/keys.txt") == 0o600
    assert mode_of(tmp_path / ".config/sops/age") == 0o700
    # The file may be wider: it is encrypted, and checked in.
    os.chmod(tmp_path / "secrets.enc.yaml", 0o644)
    run("secrets", "set", "db.password", input="hunter3")
    check(traces[2], 1)
    assert mode_of(tmp_path / "secrets.enc.yaml") == 0o644


def test_a_file_of_run(desk):
    start, run, traces = desk
    run("secrets", "init")
    run("secrets", "set", "db.password", input="hunter2")
    show = "stat -L -c %a pw; stat -c %a $(dirname $(readlink pw))"
    shown = run("run", "--file", "pw=sops://secrets.enc.yaml#/db/password", "--", "sh", "-c", show)
    assert shown == "600\n700\n"
    check(traces[2], 2)


@pytest.mark.parametrize("allow, mode", [(None, 0o600), ([{"uid": 1}], 0o666)])
def test_files_socket_and_audit_of_serve(desk, tmp_path, allow, mode):
    start, run, traces = desk
    run("secrets", "init")
    run("secrets", "set", "db.password", input="one")
    socket = str(tmp_path / "agent.sock")
    sinks = {
        "files": {"directory": str(tmp_path / "out"), "mode": "0440",
                  "entries": {"a/password": {"secret": "db", "field": "password"},
                              "b/for-all": {"secret": "db", "field": "password", "mode": "0444"}}},
        "socket": {"path": socket, **({"allow": allow} if allow else {})},
    }
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump({
        "backends": {"local": {"type": "sops", "file": "secrets.enc.yaml"}},
        "secrets": {"db": {"backend": "local", "path": "db"}}, "sinks": sinks,
        "audit": {"file": str(tmp_path / "audit.log")}}))
    password = tmp_path / "out/a/password"
    process = start("serve", stdin=subprocess.DEVNULL)
    wait_until(password.exists, what="the file")
    assert (mode_of(socket), mode_of(tmp_path / "audit.log")) == (mode, 0o600)
    run("secrets", "set", "db.password", input="two")
    wait_until(lambda: password.read_text() == "two", what="the new version")
    assert (mode_of(password), mode_of(tmp_path / "out/b/for-all")) == (0o440, 0o444)
    os.kill(traced(process), signal.SIGTERM)
    assert process.wait(20) == 0
    found = check(traces[2], 8)
    assert [made for call, _, made in found.modes if call == "bind"] == [mode]
