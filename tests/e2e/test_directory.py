# SPDX-License-Identifier: Apache-2.0
"""The directory of published files while the sidecar runs: gone, replaced, full, read-only; and the end at any moment."""
import json
import os
import random
import shutil
import signal
import time

import pytest
import yaml

from sidecar import Sidecar

FIELDS = 20


@pytest.fixture
def prepared(run):
    """An encrypted file, and how to change all of its values at once."""

    def write(value):
        document = json.dumps({"app": {f"f{number}": f"{value}-{number}" for number in range(FIELDS)}})
        assert run("secrets", "import", "--format", "json", "-", input=document).returncode == 0

    assert run("secrets", "init").returncode == 0
    write("one")
    return write


@pytest.fixture
def sidecar(agent, tmp_path, prepared):
    sidecar = Sidecar(
        agent,
        tmp_path,
        {
            "backends": {"local": {"type": "sops", "file": "secrets.enc.yaml"}},
            "secrets": {"app": {"backend": "local", "path": "app", "refresh": "1h"}},
            "sinks": {
                "files": {"directory": str(tmp_path / "out" / "secrets")},
                "socket": {"path": str(tmp_path / "agent.sock")},
            },
        },
    )
    sidecar.files = str(tmp_path / "out" / "secrets")
    yield sidecar
    if sidecar.process is not None and sidecar.process.poll() is None:
        sidecar.stop(signal.SIGKILL)


def assert_whole(sidecar, *values):
    """What ..data leads to is one of these sets, whole."""
    found = {sidecar.read(f"..data/app/f{number}").rpartition("-")[0] for number in range(FIELDS)}
    assert len(found) == 1 and found <= set(values), found


@pytest.mark.parametrize("what", ["", "..data"], ids=["directory", "link"])
def test_files_that_somebody_removes_come_back(sidecar, what):
    sidecar.start().wait_ready()
    time.sleep(0.3)  # what comes and goes within the 0.1 s of a watch is not seen
    path = os.path.join(sidecar.files, what)
    if what == "":
        shutil.rmtree(path)
    else:
        os.unlink(path)
    sidecar.wait_file("app/f0", "one-0", 5)
    assert_whole(sidecar, "one")
    assert "published files are gone" in sidecar.read_log()


def test_a_directory_that_is_replaced_is_filled_and_no_publication_of_ours_is_taken_for_a_loss(sidecar, prepared):
    sidecar.start().wait_ready()
    prepared("two")
    sidecar.wait_file("app/f0", "two-0")
    time.sleep(0.5)
    assert "published files are gone" not in sidecar.read_log()
    os.rename(sidecar.files, sidecar.files + ".old")
    os.mkdir(sidecar.files)
    sidecar.wait_file("app/f0", "two-0", 5)
    assert_whole(sidecar, "two")


def test_the_end_at_any_moment_comes_soon_and_leaves_nothing_half_written(sidecar, prepared):
    """From the first instruction on; also while the directory is swung over, again and again."""
    chance = random.Random(11)
    for number in range(40):
        if number % 8 == 0:
            shutil.rmtree(os.path.dirname(sidecar.files), ignore_errors=True)
        sidecar.start()
        time.sleep(chance.uniform(0, 0.06) if number % 2 else chance.uniform(0, 0.3))
        begin = time.monotonic()
        status = sidecar.stop(seconds=5)
        assert time.monotonic() - begin < 2, sidecar.read_log()
        assert status in (0, -signal.SIGTERM), (status, sidecar.read_log())
        names = os.listdir(sidecar.files) if os.path.isdir(sidecar.files) else []
        assert "..data_tmp" not in names
        if "..data" in names:
            assert_whole(sidecar, "one")
            assert [name for name in names if name.startswith("..gen-")] == [os.readlink(os.path.join(sidecar.files, "..data"))]
        assert not os.path.exists(sidecar.socket) or status != 0, "the name of the socket stays behind"


def test_the_end_while_values_change_leaves_one_set(sidecar, prepared):
    chance = random.Random(12)
    values = ["one"]
    for number in range(6):
        sidecar.start().wait_ready()
        values.append(f"v{number}")
        prepared(values[-1])
        time.sleep(chance.uniform(0, 0.25))
        assert sidecar.stop(seconds=5) == 0
        assert_whole(sidecar, *values[-2:])
        assert "..data_tmp" not in os.listdir(sidecar.files)


def test_one_sink_that_fails_touches_no_other(sidecar, prepared, tmp_path):
    config = yaml.safe_load(open(sidecar.file))
    (tmp_path / "file").write_text("mine")
    config["sinks"]["files"] = [{"directory": str(tmp_path / "file" / "out")}, {"directory": sidecar.files}]
    sidecar.write(config)
    sidecar.start()
    sidecar.wait_file("app/f0", "one-0")
    prepared("two")
    sidecar.wait_file("app/f0", "two-0")
    assert_whole(sidecar, "two")
    assert sidecar.get("/v1/secrets/app/f0")[:2] == (200, b"two-0")
    states = {sink["name"].rpartition("/")[2]: sink["state"] for sink in sidecar.status()["sinks"]}
    assert states == {"out": "failed", "secrets": "published", "agent.sock": "listening"}
    assert sidecar.get("/v1/ready")[0] == 503, "what is required is not everywhere"

    # It mends itself, and the other does not move.
    generation = os.readlink(os.path.join(sidecar.files, "..data"))
    os.unlink(tmp_path / "file")
    os.mkdir(tmp_path / "file")
    sidecar.wait_ready(40)
    assert (tmp_path / "file" / "out" / "app" / "f0").read_text() == "two-0"
    assert os.readlink(os.path.join(sidecar.files, "..data")) == generation
