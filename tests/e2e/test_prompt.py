# SPDX-License-Identifier: Apache-2.0
"""A value typed on a terminal: not shown, refused when there is none, and the terminal as it was whatever happens."""
import os
import pty
import select
import signal
import termios

import pytest

from conftest import wait_until


class Typing:
    """`agent secrets set db.password` with a terminal of its own, in whose foreground it is."""

    def __init__(self, agent, folder):
        self.shown = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
            os.execve(agent, [agent, "secrets", "set", "db.password"], environment)

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.shown += os.read(self.master, 1000)
            except OSError:  # nobody holds the other side any more
                break
        return self.shown

    def wait_prompt(self, times=1):
        """The question stands, and the terminal is silent since before that."""
        wait_until(lambda: self.read().count(b"(not shown): ") == times, what=f"the prompt; shown: {self.shown}")
        assert not self.echoes()

    def type(self, keys):
        os.write(self.master, keys)

    def wait(self):
        def status():
            self.read()
            pid, found = os.waitpid(self.pid, os.WNOHANG)
            return (found,) if pid else None

        found = wait_until(status, what=f"its end; shown: {self.shown}")[0]
        self.read()
        return os.waitstatus_to_exitcode(found)


@pytest.fixture
def typing(agent, run, tmp_path):
    assert run("secrets", "init").returncode == 0
    assert run("secrets", "set", "db.password", input="before").returncode == 0
    started = Typing(agent, tmp_path)
    started.wait_prompt()
    yield started
    os.close(started.master)


def value(run):
    return run("secrets", "get", "db.password").stdout


def test_what_is_typed_is_kept_and_not_shown(typing, run):
    typing.type(b"hunter2\n")
    assert typing.wait() == 0
    assert b"hunter2" not in typing.shown and typing.echoes()
    assert value(run) == "hunter2"


def test_enter_alone_is_an_empty_value(typing, run):
    typing.type(b"\n")
    assert typing.wait() == 0
    assert value(run) == ""


def test_the_end_of_the_input_alone_changes_nothing(typing, run):
    typing.type(b"\x04")
    assert typing.wait() == 78
    assert b"nothing was changed" in typing.shown and typing.echoes()
    assert value(run) == "before"


def test_an_end_after_something_is_an_end_of_line(typing, run):
    typing.type(b"half\x04\x04")
    assert typing.wait() == 0
    assert value(run) == "half"


@pytest.mark.parametrize("key, number", [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT), (None, signal.SIGTERM)])
def test_a_signal_ends_it_and_the_terminal_shows_again(typing, run, key, number):
    if key:
        typing.type(key)
    else:
        os.kill(typing.pid, number)
    assert typing.wait() == -number
    assert typing.echoes()
    assert value(run) == "before"


def test_stopped_the_terminal_shows_and_continued_it_asks_again(typing, run):
    typing.type(b"half")
    os.kill(typing.pid, signal.SIGTSTP)
    # A lone process of a session has no shell that would continue it: the kernel lets no terminal stop it.
    typing.wait_prompt(2)
    typing.type(b"whole\n")
    assert typing.wait() == 0
    assert value(run) == "whole"
