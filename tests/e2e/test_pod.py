# SPDX-License-Identifier: Apache-2.0
"""What an injected pod needs of the agent itself, tried with a real server and without an injector."""
import os
import signal
import subprocess

import pytest
import yaml

from conftest import wait_until
from sidecar import READ_POLICY, Sidecar, approle_config


class PodAgent(Sidecar):
    """A sidecar whose configuration is in its environment, in a working directory that has none."""

    def write(self, config):
        self.text = yaml.safe_dump(config)

    def environ(self):
        return {
            "PATH": os.environ["PATH"],
            "HOME": self.folder,
            "AGENT_CONFIG_YAML": self.text,
            **self.environment,
        }

    def start(self, *arguments):
        self.process = subprocess.Popen(
            [self.agent, "serve", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=open(self.log, "ab"),
            cwd="/",
            env=self.environ(),
        )
        return self

    def run(self, *arguments, timeout=30, **options):
        """Another process of the same container: a probe, a person."""
        return subprocess.run(
            [self.agent, *arguments],
            cwd="/",
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=timeout,
            **options,
        )


@pytest.fixture
def pod(agent, bao, tmp_path):
    """Makes a pod's agent that may read `secret/`, and stops it in the end."""
    agents = []

    def make(secrets, policy=READ_POLICY, **more):
        role = bao.approle("pod", policy, str(tmp_path))
        agents.append(PodAgent(agent, tmp_path, approle_config(bao, tmp_path, role, secrets, **more)))
        return agents[-1]

    yield make
    for one in agents:
        if one.process:
            one.stop()


# ---- the configuration in the environment ----


def test_every_command_takes_the_configuration_from_the_environment(bao, pod):
    bao.put("pod/db", password="first")
    sidecar = pod({"db": {"backend": "vault", "path": "secret/pod/db"}}, env={"DB_PASSWORD": "db.password"})
    assert sidecar.run("check").stdout.startswith("$AGENT_CONFIG_YAML: 1 secret from 1 backend")
    ran = sidecar.run("run", "--", "printenv", "DB_PASSWORD")
    assert ran.stdout == "first\n", ran.stderr
    assert sidecar.run("get", "db.password").stdout == "first"

    sidecar.start().wait_ready()
    assert sidecar.read("db/password") == "first"
    assert "landlock" in str(sidecar.status()["hardening"])
    assert sidecar.run("ready").returncode == 0
    assert "fresh" in sidecar.run("status").stdout
    assert sidecar.run("get", "db.password").stdout == "first"


def test_a_configuration_in_the_environment_cannot_be_read_again_and_says_so(bao, pod):
    bao.put("pod/db", password="first")
    sidecar = pod({"db": {"backend": "vault", "path": "secret/pod/db"}}).start().wait_ready()
    sidecar.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "nothing to reload" in sidecar.read_log(), what="the log to say so")
    assert "$AGENT_CONFIG_YAML" in sidecar.read_log()
    assert sidecar.is_ready()
