# SPDX-License-Identifier: Apache-2.0
"""What the shells themselves offer with the completions that the program writes, and what man makes of its pages."""
import os
import subprocess

import pytest

from conftest import AGENT, real

COMMANDS = {"run", "serve", "get", "secrets", "status", "ready", "check", "completion"}
ACTIONS = {"init", "set", "get", "list", "rm", "edit", "import", "encrypt", "decrypt"}

BASH = """
source <(agent completion bash)
complete -p agent >/dev/null || exit 1
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_agent
printf '%s\\n' "${COMPREPLY[@]}"
"""

# Types the line into a shell with a terminal and presses tab; what can be completed is shown in a list.
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PS1=READY; fpath=($PWD $fpath); autoload -U compinit; compinit -u -d $PWD/dump'
zpty -w shell 'zstyle ":completion:*" list-separator " == "; zstyle ":completion:*:default" list-prompt ""'
zpty -w shell 'LISTMAX=1000; setopt list_rows_first no_list_beep; bindkey "^I" list-choices; echo START''ED'
zpty -r shell seen '*STARTED*'
zpty -w -n shell "$1"$'\\t'
sleep 0.2
zpty -w -n shell $'\\x15echo FINI''SHED\\n'
zpty -r shell seen '*FINISHED*'
print -r -- "$seen"
"""


class Desk:
    """A folder with an encrypted file, in which each shell is asked."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "bin/agent").symlink_to(AGENT)
        self.env = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb", "LANG": "C.UTF-8", "COLUMNS": "200"}
        self.run("agent", "secrets", "init")
        self.run("agent", "secrets", "init", "-f", "other.yaml")
        for name in ("db.password", "db.user", "/$(touch pwned)", "key"):
            self.run("agent", "secrets", "set", name, stdin="x")
        self.run("agent", "secrets", "set", "elsewhere", "-f", "other.yaml", stdin="x")
        (folder / "plain.env").write_text("A=1\n")

    def run(self, *command, stdin=""):
        done = subprocess.run(command, cwd=self.folder, env=self.env, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def bash(self, line):
        words = line.replace("=", " = ").split(" ")
        return set(self.run("bash", "--norc", "-c", BASH, "bash", *[word for word in words[:-1] if word], words[-1]).split("\n")) - {""}

    def fish(self, line):
        (self.folder / ".config/fish/completions").mkdir(parents=True, exist_ok=True)
        (self.folder / ".config/fish/completions/agent.fish").write_text(self.run("agent", "completion", "fish"))
        out = self.run(real("FISH_BIN", "fish"), "-c", "complete -C $argv[1]", "--", line)
        return {row.split("\t")[0].removeprefix(line.rpartition(" ")[2].rpartition("=")[0] + "=") for row in out.splitlines()}

    def zsh(self, line):
        (self.folder / "_agent").write_text(self.run("agent", "completion", "zsh"))
        seen = self.run(real("ZSH_BIN", "zsh"), "-f", "-c", ZSH, "zsh", line)
        seen = seen.split("STARTED")[-1].replace("\r", "\n")
        return {word for row in seen.splitlines() for word in row.split(" == ")[0].split()}


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


CASES = [
    ("agent ", COMMANDS, set()),
    ("agent se", {"serve", "secrets"}, {"run"}),
    ("agent secrets ", ACTIONS, {"plain.env"}),
    ("agent secrets -f other.yaml ", ACTIONS, {"plain.env"}),
    ("agent secrets get ", {"db.password", "db.user", "key"}, {"plain.env", "init", "elsewhere"}),
    ("agent secrets get db", {"db.password", "db.user"}, {"key"}),
    ("agent secrets -f other.yaml rm ", {"elsewhere"}, {"db.user"}),
    ("agent secrets import ", {"plain.env"}, {"db.user"}),
    ("agent secrets import --format ", {"yaml", "json", "dotenv"}, {"plain.env"}),
    ("agent secrets import --format=", {"yaml", "json", "dotenv"}, {"plain.env"}),
    ("agent run --mask ", {"never", "always", "auto"}, {"plain.env"}),
    ("agent run --env-file ", {"plain.env"}, set()),
    ("agent check --po", {"--policy"}, {"--online"}),
    ("agent completion ", {"bash", "zsh", "fish", "man"}, {"run"}),
    ("agent completion man ", COMMANDS, {"bash"}),
]


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_a_shell_offers_what_fits(desk, shell):
    for line, offered, absent in CASES:
        found = getattr(desk, shell)(line)
        assert offered <= found, (line, offered - found, found)
        assert not absent & found, (line, absent & found)
    assert not (desk.folder / "pwned").exists()


def test_the_program_of_run_is_completed_as_a_command(desk):
    for line in ("agent run -- sle", "agent run sle", "agent run --only a -- sle"):
        assert "sleep" in desk.bash(line), line
        assert "sleep" in desk.fish(line), line


def test_manual_pages_render_without_warnings(desk):
    for page in ("", *COMMANDS):
        (desk.folder / "page").write_text(desk.run("agent", "completion", "man", *page.split()))
        done = subprocess.run(
            ["groff", "-ww", "-man", "-Tutf8", "-rLL=78n", "page"], cwd=desk.folder, capture_output=True, text=True, check=True
        )
        assert done.stderr == "", (page, done.stderr)
        assert "agent" in done.stdout
