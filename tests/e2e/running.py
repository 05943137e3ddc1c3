# SPDX-License-Identifier: Apache-2.0
"""`agent run` while it runs: what its program has shown so far, and the processes it is made of."""
import os
import signal
import subprocess

from conftest import wait_until


# A program that shows what it was given, and each signal; it ends when it is told to, and says so.
TALKER = """
trap 'echo ended $PASSWORD; exit ${STATUS:-0}' TERM
trap 'echo told; test -z "$FILE" || cat $FILE' HUP
trap 'echo interrupted' INT
echo started $PASSWORD
while :; do sleep 0.02; done
"""


class Running:
    """Both streams of the program go to files, so that nobody has to read along."""

    def __init__(self, agent, folder, *arguments, cwd=None, before=None, user=None, group=None, extra_groups=None,
                 **environment):
        self.shown_in, self.said_in = os.path.join(str(folder), "shown"), os.path.join(str(folder), "said")
        self.process = subprocess.Popen(
            [agent, "run", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=open(self.shown_in, "wb"),
            stderr=open(self.said_in, "wb"),
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **environment},
            cwd=cwd or str(folder),
            start_new_session=True,
            preexec_fn=before,
            user=user,
            group=group,
            extra_groups=extra_groups,
        )
        self.pid = self.process.pid

    def shown(self):
        return open(self.shown_in).read()

    def said(self):
        return open(self.said_in).read()

    def wait_shown(self, text, seconds=30):
        wait_until(lambda: self.shown().endswith(text), seconds,
                   f"{text!r}; shown: {self.shown()!r}; said: {self.said()!r}")

    def wait_said(self, text, seconds=30):
        wait_until(lambda: text in self.said(), seconds, f"{text!r}; said: {self.said()!r}")

    def children(self):
        return [int(pid) for pid in open(f"/proc/{self.pid}/task/{self.pid}/children").read().split()]

    def brokers(self):
        """The child that is the program itself, hardened."""
        return [pid for pid in self.children() if status_of(pid).get("Seccomp") == "2" and is_agent(pid)]

    def broker(self):
        return wait_until(self.brokers, what="the broker")[0]

    def program(self):
        """The child that is not the program itself."""
        return wait_until(lambda: [pid for pid in self.children() if not is_agent(pid)], what="the command")[0]

    def end(self, number=signal.SIGTERM, seconds=20):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def stop(self):
        if self.process.poll() is None:
            for pid in [*self.children(), self.pid]:
                os.kill(pid, signal.SIGKILL)
            self.process.wait()


def status_of(pid):
    """The kernel's own words about a process; nothing of one that is gone."""
    try:
        return dict(line.rstrip("\n").split(":\t", 1) for line in open(f"/proc/{pid}/status") if ":\t" in line)
    except (FileNotFoundError, ProcessLookupError):
        return {}


def is_agent(pid):
    try:
        return open(f"/proc/{pid}/comm").read() == "agent\n"
    except (FileNotFoundError, ProcessLookupError):
        return False
