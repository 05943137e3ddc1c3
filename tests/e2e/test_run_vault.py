# SPDX-License-Identifier: Apache-2.0
"""`agent run` against a real OpenBao: what it gives, what it says, what it leaves behind."""
import os

import pytest
import yaml

from conftest import free_port
from sidecar import READ_POLICY, approle_config

PASSWORD = "hunter2-hunter2"
SHOW = ["--", "sh", "-c", "echo $DB_PASSWORD"]


@pytest.fixture(name="config")
def _config(bao, tmp_path):
    """A file that signs in by AppRole and has one secret, without sinks."""
    bao.put("db", password=PASSWORD, user="web")
    role = bao.approle("run", READ_POLICY, str(tmp_path))
    content = approle_config(bao, tmp_path, role, {"db": {"backend": "vault", "path": "secret/db"}},
                             env={"DB_PASSWORD": "db.password"})
    del content["sinks"]

    def write(**changed):
        content.update(changed)
        path = tmp_path / "agent.yaml"
        path.write_text(yaml.safe_dump(content))
        return str(path)

    return write


def test_gives_the_mapping_and_returns_its_token(bao, run, config):
    before = len(bao.requests("auth/token/revoke-self"))
    result = run("run", "-c", config(), *SHOW)
    assert (result.stdout, result.stderr, result.returncode) == (PASSWORD + "\n", "", 0)
    assert len(bao.requests("auth/token/revoke-self")) == before + 1


def test_a_reference_and_a_token_need_no_configuration(bao, run):
    before = len(bao.requests("auth/token/revoke-self"))
    bao.put("plain", password=PASSWORD)
    result = run("run", "--env", "DB_PASSWORD=vault://secret/plain#password", *SHOW,
                 env={"BAO_ADDR": bao.address, "BAO_TOKEN": bao.token})
    assert (result.stdout, result.stderr, result.returncode) == (PASSWORD + "\n", "", 0)
    # The token is the user's own.
    assert len(bao.requests("auth/token/revoke-self")) == before


def test_statuses_before_the_program_starts(run, config, tmp_path):
    missing = run("run", "-c", config(env={"X": "db.nothing"}), "--", "true")
    assert missing.returncode == 65
    assert "password" in missing.stderr and "user" in missing.stderr
    denied = run("run", "-c", config(env={}, secrets={"x": {"backend": "vault", "path": "sys/raw/x"}}), "--", "true")
    assert (denied.returncode, denied.stderr.count("\n")) == (77, 1), denied.stderr
    refused = config(env={}, secrets={"x": {"backend": "vault", "path": "secret/db"}})
    (tmp_path / "run-secret-id").write_text("11111111-2222-3333-4444-555555555555\n")
    refused = run("run", "-c", refused, "--", "true")
    assert (refused.returncode, refused.stderr.count("\n")) == (77, 1), refused.stderr
    (tmp_path / "elsewhere").mkdir()
    unreachable = run("run", "--timeout", "1s", "--env", "X=vault://secret/db#password", "--", "true",
                      env={"BAO_ADDR": f"http://127.0.0.1:{free_port()}", "BAO_TOKEN": "t"},
                      cwd=tmp_path / "elsewhere")
    assert unreachable.returncode == 69
    assert "1s" in unreachable.stderr
    # What need not be there is said in the log: nothing else tells it.
    optional = {"x": {"backend": "vault", "path": "secret/db", "required": False}}
    without = run("run", "-c", config(env={}, secrets=optional), "--", "true")
    assert (without.returncode, without.stderr.count("sign-in failed")) == (0, 1), without.stderr
    broken = run("run", "-c", config(nonsense=1), "--", "true")
    assert broken.returncode == 78
    assert "nonsense" in broken.stderr


def test_a_whole_secret_with_ld_preload_is_refused(bao, run, config):
    bao.put("evil", ld_preload="/tmp/evil.so")
    result = run("run", "-c", config(env={}, secrets={"evil": {"backend": "vault", "path": "secret/evil"}}),
                 "--", "true")
    assert result.returncode == 65
    assert "LD_PRELOAD" in result.stderr
    named = run("run", "--env", "OK=vault://secret/evil#ld_preload", "--", "sh", "-c", "echo $OK")
    assert named.stdout == "/tmp/evil.so\n"


@pytest.mark.parametrize("number", [9, 15])
def test_masked_output_and_the_programs_own_end(run, config, number):
    result = run("run", "--mask", "always", "-c", config(), "--", "sh", "-c", f"echo $DB_PASSWORD; kill -{number} $$")
    assert (result.stdout, result.returncode) == ("***\n", -number)
    assert run("run", "-c", config(), "--", "no-such-program").returncode == 127
    assert run("run", "-c", config(), "--", os.sep).returncode == 126


def test_what_is_not_required_is_given_when_it_is_there(bao, run, config):
    """Whichever of them comes first."""
    secrets = {name: {"backend": "vault", "path": path, "required": name == "must"}
               for name, path in (("must", "secret/must"), ("may", "secret/db"), ("gone", "secret/gone"))}
    bao.put("must", key="k1k2k3k4")
    result = run("run", "-c", config(env={}, secrets=secrets), "--", "sh", "-c", "echo $KEY $PASSWORD")
    assert (result.stdout, result.returncode) == (f"k1k2k3k4 {PASSWORD}\n", 0), result.stderr
    assert "secret=gone" in result.stderr


def test_get_of_what_is_not_required_and_not_there(run, config):
    gone = {"gone": {"backend": "vault", "path": "secret/gone", "required": False}}
    result = run("get", "-c", config(env={}, secrets=gone), "gone.password")
    assert (result.returncode, result.stdout) == (65, "")
    assert "secret/gone" in result.stderr
