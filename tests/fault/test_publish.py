# SPDX-License-Identifier: Apache-2.0
"""Publishing survives being killed anywhere and every refusal of the kernel.

tests/fault/publish_kill.c publishes sets whose every byte follows from the set's number, so that a torn, mixed or
missing file shows. PUBLISH_KILLS sets how many random kills there are (2 000; `make soak`: 20 000).
"""
import collections
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

PROGRAM = os.path.join(os.environ.get("FAULT_PROGRAMS", os.path.abspath("build/tests/fault")), "publish_kill")
KILLS = int(os.environ.get("PUBLISH_KILLS", "2000"))
NO_FAULT = re.compile(r"^(exit|exit_group|getppid|brk|munmap|mmap|mprotect)$")


@pytest.fixture
def folder():
    """In memory, as in a pod."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as path:
        yield pathlib.Path(path)


@pytest.fixture(scope="module", autouse=True)
def tools():
    for tool in (PROGRAM, "strace"):
        if shutil.which(tool) is None:
            message = f"{tool} is not there: make run-tests builds it, make test-deps installs strace"
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(message)


def run(*arguments):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)


def prepare(directory, standing):
    """A directory with `standing` sets published one after the other, each change a new number."""
    for number in range(1, standing + 1):
        assert run("write", directory, number).returncode == 0


def calls_of_a_publish(directory, number):
    """(name, how often it was called before in the process) for each system call of one publish."""
    log = directory.parent / "strace.log"
    subprocess.run(["strace", "-o", log, PROGRAM, "write", directory, str(number)], check=True)
    seen, calls, inside = collections.Counter(), [], False
    for line in log.read_text(errors="replace").splitlines():
        name = line.split("(", 1)[0]
        if not re.fullmatch(r"[a-z0-9_]+", name):
            continue
        seen[name] += 1
        if name == "getppid":
            inside = not inside
        elif inside:
            calls.append((name, seen[name]))
    return calls


def struck(directory, number, call, fault):
    name, when = call
    return subprocess.run(
        ["strace", "-o", "/dev/null", "-e", f"trace={name}", "-e", f"inject={name}:{fault}:when={when}", PROGRAM,
         "write", directory, str(number)],
        capture_output=True, text=True)


@pytest.mark.parametrize("standing", [0, 2])
def test_killed_at_every_system_call(folder, standing):
    prepare(folder / "model", standing)
    calls = calls_of_a_publish(folder / "model", standing + 1)
    assert len(calls) > 80
    for position, call in enumerate(calls):
        directory = folder / "out"
        prepare(directory, standing)
        struck(directory, standing + 1, call, "signal=SIGKILL")
        after = run("recover", directory, 100)
        assert after.returncode == 0, f"call {position} {call}: {after.stdout}{after.stderr}"
        allowed = {f"whole {standing + 1}", f"whole {standing}" if standing else "nothing 0"}
        assert after.stdout.strip() in allowed, f"call {position} {call}"
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("error", ["ENOSPC", "EMFILE"])
def test_refused_at_every_system_call(folder, error):
    """Each publish says that it failed or has succeeded, and never leaves less than there was."""
    prepare(folder / "model", 1)
    calls = [call for call in calls_of_a_publish(folder / "model", 2) if not NO_FAULT.match(call[0])]
    failed = 0
    for position, call in enumerate(calls):
        directory = folder / "out"
        prepare(directory, 1)
        done = struck(directory, 2, call, f"error={error}")
        assert done.returncode in (0, 1), f"call {position} {call}: {done.stderr}"
        if done.returncode == 1:
            failed += 1
            assert str(directory) in done.stderr and "what is published stays" in done.stderr
        after = run("recover", directory, 100)
        assert after.returncode == 0, f"call {position} {call}: {after.stdout}{after.stderr}"
        if done.returncode == 0:
            assert after.stdout.strip() == "whole 2", f"call {position} {call} was said to have succeeded"
        shutil.rmtree(directory, ignore_errors=True)
    assert failed > 20


def test_random_kills_under_a_reader_that_never_stops(folder):
    done = run("storm", folder / "out", KILLS, 1)
    print(done.stdout, done.stderr)
    seen = json.loads(done.stdout)
    assert (seen["torn"], seen["mixed"], seen["missing"], seen["stuck"]) == (0, 0, 0, 0), done.stderr
    assert seen["kills"] == KILLS and seen["reads"] > 0
    assert seen["caught"] > 0, "no kill came in the middle of a publish: the test shows nothing"
