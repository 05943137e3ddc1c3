# SPDX-License-Identifier: Apache-2.0
"""The encrypted file under `agent secrets`: editors that misbehave, kills, several at once, odd places, large values."""
import fcntl
import os
import pty
import re
import signal
import stat
import subprocess

import pytest

from conftest import AGENT, wait_until
from test_sops import Desk

FILE = "first.enc.yaml"


@pytest.fixture
def desk(tmp_path, sops):
    desk = Desk(tmp_path, sops)
    desk.agent("secrets", "set", "db.password", "-f", FILE, stdin="old")
    desk.agent("secrets", "set", "other", "-f", FILE, stdin="stays")
    return desk


def editor(desk, body):
    """The environment with an editor that runs this; it also leaves its file's name in `editor.file`."""
    script = desk.folder / "editor"
    script.write_text(f'#!/bin/sh\necho "$1" >editor.file\n{body}\n')
    script.chmod(0o755)
    return {"EDITOR": str(script)}


MISTAKES = [
    ("exit 3", 78, "failed, so nothing was changed"),
    ('echo "a: b" >"$1"; exit 1', 78, "failed, so nothing was changed"),
    ("kill -9 $$", 78, "failed, so nothing was changed"),
    (': >"$1"', 65, "the editor left nothing"),
    ('printf "\\n  \\n" >"$1"', 65, "the editor left nothing"),
    ('rm "$1"', 65, "No such file"),
    ('rm "$1"; mkdir "$1"', 78, "is a directory"),
    ('echo "a: [1" >>"$1"', 65, "that began in line 4"),
    ('echo "other: twice" >>"$1"', 65, "the key 'other' is there twice"),
    ('echo "- list" >"$1"', 65, "a document must be a map"),
    ('printf "a: \\377\\n" >>"$1"', 65, "is not UTF-8 text"),
    ('echo "sops: {}" >>"$1"', 78, "top-level 'sops'"),
    ('printf "a: b" >"$1.tmp" && mkdir "$1.d" && touch "$1.d/x"; exit 1', 78, "failed"),
]


@pytest.mark.parametrize("body, status, says", MISTAKES)
def test_an_edit_that_goes_wrong_changes_nothing_and_leaves_no_plain_text(desk, body, status, says):
    before = desk.read(FILE)
    done = desk.agent("secrets", "edit", "-f", FILE, env=editor(desk, body), check=False)
    assert done.returncode == status and says in done.stderr.decode(), done.stderr
    assert desk.read(FILE) == before
    assert not os.path.exists(os.path.dirname(desk.read("editor.file").decode().strip()))


@pytest.mark.parametrize("key, status", [(b"\n", 0), (b"\x04", 65)])
def test_a_mistake_at_a_terminal_can_be_edited_again_or_given_up(desk, key, status):
    before = desk.read(FILE)
    env = {**desk.env, **editor(desk, 'if [ -e once ]; then sed -i "/wrong/d" "$1"; echo "new: here" >>"$1"; else touch once; echo "wrong: [" >>"$1"; fi')}
    master, slave = pty.openpty()
    edit = subprocess.Popen([AGENT, "secrets", "edit", "-f", FILE], cwd=desk.folder, env=env, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    while b"gives up" not in seen:
        seen += os.read(master, 1000)
    assert b"not YAML" in seen and b"Enter edits again" in seen
    os.write(master, key)
    assert edit.wait(20) == status
    assert (desk.read(FILE) == before) == (status != 0)
    if status == 0:
        assert desk.sops_json(FILE) == {"db": {"password": "old"}, "other": "stays", "new": "here"}
    assert not os.path.exists(os.path.dirname(desk.read("editor.file").decode().strip()))
    os.close(master)


def test_nobody_is_asked_for_a_value_that_cannot_be_kept(desk):
    master, slave = pty.openpty()
    for options in (["-f", "nowhere.yaml"], ["-f", FILE]):
        env = {**desk.env, "SOPS_AGE_KEY_FILE": str(desk.folder / "nokeys.txt")}
        done = subprocess.run(
            [AGENT, "secrets", "set", "a", *options], cwd=desk.folder, env=env, stdin=slave, capture_output=True, timeout=20, check=False
        )
        assert done.returncode == 78 and b"Value of" not in done.stderr, done.stderr


def test_an_edit_without_a_change_writes_nothing(desk):
    before = (desk.folder / FILE).stat()
    desk.agent("secrets", "edit", "-f", FILE, env=editor(desk, 'cp "$1" "$1.new"; mv "$1.new" "$1"; touch "$1"'))
    after = (desk.folder / FILE).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_who_reads_does_not_wait_for_an_editor_and_who_writes_says_that_it_does(desk):
    env = {**desk.env, **editor(desk, 'echo "new: here" >>"$1"; while [ ! -e close ]; do sleep 0.02; done')}
    edit = subprocess.Popen([AGENT, "secrets", "edit", "-f", FILE], cwd=desk.folder, env=env)
    wait_until(lambda: (desk.folder / "editor.file").exists(), what="the editor to start")
    assert desk.agent("secrets", "get", "db.password", "-f", FILE).stdout == b"old"
    assert b"other" in desk.agent("secrets", "list", "-f", FILE).stdout
    setting = subprocess.Popen(
        [AGENT, "secrets", "set", "db.password", "-f", FILE], cwd=desk.folder, env=desk.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    setting.stdin.write(b"set")
    setting.stdin.close()
    assert b"waiting" in setting.stderr.readline()
    (desk.folder / "close").touch()
    assert edit.wait(20) == 0 and setting.wait(20) == 0
    assert desk.sops_json(FILE) == {"db": {"password": "set"}, "other": "stays", "new": "here"}


def traced(desk, *options):
    """`set` under strace: its exit status and what was traced from the lock on."""
    done = desk.run(
        "strace", "-f", "-o", "trace", *options, AGENT, "secrets", "set", "db.password", "-f", FILE, stdin="new", check=False
    )
    calls = re.findall(r"^\d+ +(\w+)\((.*)", (desk.folder / "trace").read_text(), re.MULTILINE)
    return done.returncode, calls


def somebody_waits_for(file):
    return any(
        line.split()[1] == "->" and line.split()[6].endswith(f":{file.stat().st_ino}")
        for line in open("/proc/locks")
    )


def test_who_waits_for_several_writers_says_it_once(desk):
    file = desk.folder / FILE
    with open(file) as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        writer = subprocess.Popen(
            [AGENT, "secrets", "set", "other", "-f", FILE],
            cwd=desk.folder, env=desk.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        writer.stdin.write(b"new")
        writer.stdin.close()
        wait_until(lambda: somebody_waits_for(file))
        with open(desk.folder / desk.write("next", desk.read(FILE))) as second:
            fcntl.flock(second, fcntl.LOCK_EX)
            os.rename(desk.folder / "next", file)
            fcntl.flock(first, fcntl.LOCK_UN)
            wait_until(lambda: somebody_waits_for(file))
    said = writer.stderr.read().decode()
    assert writer.wait(10) == 0 and said.count("waiting for its end") == 1, said
    assert desk.agent("secrets", "get", "other", "-f", FILE).stdout == b"new"


def test_killed_at_any_call_the_file_is_the_old_or_the_new_one(desk):
    status, calls = traced(desk)
    assert status == 0
    locked = next(i for i, (name, _) in enumerate(calls) if name == "flock")
    points = {}
    for i, (name, _) in enumerate(calls):
        points.setdefault(name, []).append(i)
    killed = 0
    seen = set()
    for i in range(locked, len(calls)):
        name = calls[i][0]
        if name in ("exit_group", "rt_sigreturn"):
            continue
        desk.agent("secrets", "set", "db.password", "-f", FILE, stdin="old")
        status, _ = traced(desk, "-e", f"inject={name}:signal=KILL:when={points[name].index(i) + 1}")
        killed += status in (-signal.SIGKILL, 128 + signal.SIGKILL)
        found = desk.agent("secrets", "get", "db.password", "-f", FILE).stdout
        assert found in (b"old", b"new"), (name, i)
        seen.add(found)
        assert desk.agent("secrets", "get", "other", "-f", FILE).stdout == b"stays"
    assert killed > 5 and seen == {b"old", b"new"}
    assert desk.sops_json(FILE)["other"] == "stays"


def test_a_failing_disk_is_said_and_leaves_the_old_file_and_no_other(desk):
    before = desk.read(FILE)
    for name, code in (("fsync", "EIO"), ("write", "ENOSPC"), ("renameat", "EROFS"), ("openat", "EACCES")):
        status, calls = traced(desk)
        assert status == 0
        desk.write(FILE, before)
        whens = [i for i, call in enumerate([c for c in calls if c[0] == name]) if "first.enc.yaml" in call[1] or name in ("fsync", "write")]
        status, _ = traced(desk, "-e", f"inject={name}:error={code}:when={whens[-1 if name != 'fsync' else 0] + 1}")
        assert status not in (0, -signal.SIGKILL), name
        assert desk.read(FILE) == before
        assert [entry for entry in os.listdir(desk.folder) if entry.startswith("." + FILE)] == []


def test_a_link_stays_a_link_and_mode_and_owner_stay_as_they_are(desk):
    folder = desk.folder / "elsewhere"
    folder.mkdir()
    (desk.folder / FILE).rename(folder / "real.yaml")
    (desk.folder / FILE).symlink_to("elsewhere/real.yaml")
    os.chmod(folder / "real.yaml", 0o640)
    if os.geteuid() == 0:
        os.chown(folder / "real.yaml", 1234, 2345)
    before = (folder / "real.yaml").stat()
    desk.agent("secrets", "set", "db.password", "-f", FILE, stdin="new")
    after = (folder / "real.yaml").stat()
    assert (desk.folder / FILE).is_symlink() and stat.S_IMODE(after.st_mode) == 0o640
    assert (before.st_uid, before.st_gid) == (after.st_uid, after.st_gid)
    assert os.listdir(folder) == ["real.yaml"]
    assert desk.sops_json(FILE)["db"] == {"password": "new"}


def test_a_folder_that_may_not_be_written_is_named(desk):
    before = desk.read(FILE)
    desk.folder.chmod(0o555)
    for folder in desk.folder.parents[:3]:
        if os.geteuid() == 0 and str(folder) not in ("/", "/tmp"):
            folder.chmod(folder.stat().st_mode | 0o011)
    (desk.folder / "keys.txt").chmod(0o644)
    try:
        as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        done = desk.run(*as_nobody, AGENT, "secrets", "set", "db.password", "-f", FILE, stdin="new", check=False)
    finally:
        desk.folder.chmod(0o755)
    assert done.returncode != 0 and b"first.enc.yaml: Permission denied" in done.stderr, done.stderr
    assert desk.read(FILE) == before


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 1 << 20])
def test_large_values_come_back_whole(desk, size):
    value = b"x" * size
    desk.agent("secrets", "set", "large", "-f", FILE, stdin=value + b"\n")
    assert desk.agent("secrets", "get", "large", "-f", FILE).stdout == value
    assert desk.sops_json(FILE)["large"] == value.decode()


def test_a_pipe_that_brings_nothing_takes_no_value_away(desk):
    before = desk.read(FILE)
    done = desk.agent("secrets", "set", "db.password", "-f", FILE, check=False)
    assert done.returncode == 65 and b"'db.password' stays as it is" in done.stderr and desk.read(FILE) == before
    desk.agent("secrets", "set", "db.password", "--raw", "-f", FILE)
    assert desk.agent("secrets", "get", "db.password", "-f", FILE).stdout == b""


@pytest.mark.parametrize("value, says", [(b"a\0b", b"base64"), (b"\xff\xfe", b"base64"), (b"x" * (4 << 20) + b"y", b"larger than")])
def test_values_that_cannot_be_kept_are_refused_with_a_way_out(desk, value, says):
    before = desk.read(FILE)
    done = desk.agent("secrets", "set", "db.password", "-f", FILE, stdin=value, check=False)
    assert done.returncode in (65, 69) and says in done.stderr and b"xxxx" not in done.stderr, done.stderr
    assert desk.read(FILE) == before
