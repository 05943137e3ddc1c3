# SPDX-License-Identifier: Apache-2.0
"""What is wrong on this side gets an answer that names the thing, the place and what to do, and loses nothing."""
import os
import pwd
import shutil
import subprocess
import tempfile

import pytest
import yaml


class Place:
    """A folder of a plain user's, for whom permissions count: root has them all."""

    def __init__(self, agent, root):
        self.agent = agent
        self.root = root
        self.user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        self.directory = os.path.join(root, "secrets")
        self.socket = os.path.join(root, "agent.sock")
        self.config = {
            "backends": {"local": {"type": "sops", "file": "secrets.enc.yaml", "age_key_file": "keys.txt"}},
            "secrets": {"app": {"backend": "local", "path": "app"}},
            "sinks": {"files": {"directory": self.directory}},
        }
        assert self.run("secrets", "init").returncode == 0
        assert self.run("secrets", "set", "app.key", input="correct horse").returncode == 0
        shutil.copy(os.path.join(root, ".config/sops/age/keys.txt"), root)
        self.own("keys.txt")

    def own(self, name):
        if self.user is not None:
            os.chown(os.path.join(self.root, name), self.user, -1)

    def run(self, *arguments, input=None, env=None):
        return subprocess.run(
            [self.agent, *arguments],
            cwd=self.root,
            env={"PATH": os.environ["PATH"], "HOME": self.root, **(env or {})},
            input=input,
            capture_output=True,
            text=True,
            timeout=30,
            user=self.user,
        )

    def once(self, timeout="2s"):
        path = os.path.join(self.root, "agent.yaml")
        with open(path, "w") as file:
            yaml.safe_dump(self.config, file)
        return self.run("serve", "-c", path, "--once", "--timeout", timeout)

    def published(self, name="app/key"):
        try:
            with open(os.path.join(self.directory, name)) as file:
                return file.read()
        except OSError:
            return None


@pytest.fixture
def place(agent):
    root = tempfile.mkdtemp()
    os.chmod(root, 0o755)
    if os.geteuid() == 0:
        os.chown(root, pwd.getpwnam("nobody").pw_uid, -1)
    yield Place(agent, root)
    subprocess.run(["chmod", "-R", "u+rwx", root], check=False)
    shutil.rmtree(root, ignore_errors=True)


def forbid(name):
    return lambda place: os.chmod(os.path.join(place.root, name), 0)


def locked_directory(place):
    os.mkdir(place.directory, 0o555)
    place.own("secrets")


def file_instead(place):
    with open(place.directory, "w") as file:
        file.write("mine")


def locked_parent(place):
    os.mkdir(os.path.join(place.root, "locked"), 0o555)
    place.own("locked")
    place.directory = os.path.join(place.root, "locked/inner/secrets")
    place.config["sinks"]["files"]["directory"] = place.directory


def socket_at(path):
    def change(place):
        os.mkdir(os.path.join(place.root, "locked"), 0o555)
        place.own("locked")
        place.config["sinks"]["socket"] = {"path": os.path.join(place.root, path)}

    return change


def rename_secret(name):
    def change(place):
        place.config["secrets"] = {name: {"backend": "local", "path": "app"}}

    return change


def entry(path, **options):
    def change(place):
        place.config["sinks"]["files"]["entries"] = {path: {"secret": "app", **options}}

    return change


CASES = {
    "encrypted file": (forbid("secrets.enc.yaml"), 78, ["secrets.enc.yaml", "Permission denied"]),
    "key": (forbid("keys.txt"), 78, ["keys.txt", "Permission denied"]),
    "directory": (locked_directory, 78, ["{root}/secrets", "Permission denied", "let the agent write"]),
    "its parent": (locked_parent, 78, ["{root}/locked/inner", "Permission denied", "let the agent write"]),
    "a file instead": (file_instead, 78, ["{root}/secrets", "name a directory"]),
    "name with a slash": (rename_secret("a/b"), 78, ["agent.yaml:", "a/b"]),
    "name with dots": (rename_secret("..b"), 78, ["agent.yaml:", "..b"]),
    "entry that leaves": (entry("../key"), 78, ["agent.yaml:", "../key"]),
    "field": (entry("key", field="kee"), 65, ["app", "kee"]),
}


@pytest.mark.parametrize("name", CASES)
def test_once_ends_with_the_status_and_the_words_for_it(place, name):
    change, status, words = CASES[name]
    change(place)
    done = place.once()
    assert done.returncode == status, done.stderr
    for word in words:
        assert word.format(root=place.root) in done.stderr, (word, done.stderr)
    assert "correct horse" not in done.stderr


SOCKETS = {
    "directory that is locked": (socket_at("locked/agent.sock"), ["locked/agent.sock", "Permission denied"]),
    "directory that is not there": (socket_at("nowhere/agent.sock"), ["nowhere/agent.sock", "make it, or name another"]),
    "path over 107 bytes": (socket_at("s" * 120), ["107"]),
}


@pytest.mark.parametrize("name", SOCKETS)
def test_a_socket_that_cannot_be_is_a_matter_of_the_configuration(place, name):
    change, words = SOCKETS[name]
    change(place)
    place.once()
    done = place.run("serve", "-c", os.path.join(place.root, "agent.yaml"))
    assert done.returncode == 78, done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)


def test_the_same_for_who_signs_in_alone(place):
    place.once()
    path = os.path.join(place.root, "agent.yaml")
    assert place.run("get", "app.key", "-c", path).stdout == "correct horse"
    forbid("secrets.enc.yaml")(place)
    for arguments in (["get", "app.key", "-c", path], ["run", "-c", path, "--", "true"], ["secrets", "get", "app.key"]):
        done = place.run(*arguments)
        assert done.returncode == 78, (arguments, done.stderr)
        assert "secrets.enc.yaml" in done.stderr and "Permission denied" in done.stderr, (arguments, done.stderr)
    forbid("agent.yaml")(place)
    done = place.run("get", "app.key", "-c", path)
    assert done.returncode == 78 and "agent.yaml" in done.stderr, done.stderr


@pytest.mark.parametrize("size, fits", [(65535, True), (65536, True), (65537, False)])
def test_a_value_over_64_kib_is_refused_by_name_and_keeps_what_stands(place, size, fits):
    assert place.run("secrets", "set", "other.key", input="o").returncode == 0
    place.config["secrets"]["other"] = {"backend": "local", "path": "other"}
    assert place.once().returncode == 0
    assert place.run("secrets", "set", "app.key", input="v" * size).returncode == 0
    assert place.run("secrets", "set", "other.key", input="p").returncode == 0
    done = place.once()
    assert place.published("other/key") == "p", "one secret's failure is no other's"
    if fits:
        assert done.returncode == 0 and place.published() == "v" * size, done.stderr
        return
    assert done.returncode == 65, done.stderr
    for word in ("app", "'key'", str(size), "64 KiB"):
        assert word in done.stderr, (word, done.stderr)
    assert place.published() == "correct horse"
