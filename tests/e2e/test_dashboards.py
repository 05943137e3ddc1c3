# SPDX-License-Identifier: Apache-2.0
"""Dashboard and alerts name only metrics that the programs print, and the documentation names all of them.

The expressions are not parsed as Prometheus does (its package is 90 MB): names and label matchers are looked at here.
"""
import json
import os
import re
import signal
import subprocess

import pytest
import yaml

from conftest import wait_until
from injector import Injector
from sidecar import Sidecar
from test_chart import CHART, ROOT, helm, render  # noqa: F401

DASHBOARD = os.path.join(CHART, "dashboards", "secrets-agent.json")
RULES = os.path.join(CHART, "dashboards", "rules.yaml")
# What stands in an expression besides metrics.
WORDS = {"and", "or", "unless", "bool", "offset"}
GROUPINGS = r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)"
# Labels that Prometheus adds.
ADDED = {"instance", "job", "le"}


def parse(page):
    """{metric: its labels} of a page of /metrics; None for the labels of one that has no sample at present."""
    metrics = {line.split()[2]: None for line in page.splitlines() if line.startswith("# TYPE ")}
    for line in page.splitlines():
        if not line.startswith("#"):
            name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()
            found = set(re.findall(r'(\w+)="(?:\\.|[^"\\])*"', labels or ""))
            metrics[name] = (metrics.get(name) or set()) | found
    return metrics


@pytest.fixture(scope="module")
def of_the_agent(agent, tmp_path_factory):
    """With a file, a socket, and a variable that no kubelet can read."""
    folder = tmp_path_factory.mktemp("agent")
    keys = str(folder / "keys.txt")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "SOPS_AGE_KEY_FILE": keys}

    def secrets(*arguments, value=None):
        subprocess.run([agent, "secrets", *arguments], cwd=folder, env=environment, input=value, check=True, text=True,
                       capture_output=True)  # fmt: skip

    secrets("init")
    secrets("set", "db.password", value="it's")
    sidecar = Sidecar(agent, folder, {
        "backends": {"local": {"type": "sops", "file": str(folder / "secrets.enc.yaml"), "age_key_file": keys}},
        "secrets": {"db": {"backend": "local", "path": "db"}},
        "sinks": {
            "files": {"directory": str(folder / "secrets"), "entries": {
                "password": {"secret": "db", "field": "password"},
                "PASSWORD": {"secret": "db", "field": "password", "format": "kubelet-env", "variable": "PASSWORD"}}},
            "socket": {"path": str(folder / "agent.sock")},
        },
    })  # fmt: skip
    sidecar.start()
    try:
        wait_until(lambda: os.path.exists(sidecar.socket), what="the socket")
        sidecar.wait_state("db", "fresh")
        wait_until(lambda: b"agent_file_unwritten{" in sidecar.get("/metrics")[1], what="the variable to be left out")
        yield parse(sidecar.get("/metrics")[1].decode())
    finally:
        sidecar.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def of_the_injector(tmp_path_factory):
    injector = Injector(tmp_path_factory.mktemp("injector")).start()
    try:
        yield parse(injector.get("/metrics")[1])
    finally:
        injector.stop(signal.SIGKILL)


def alerts():
    with open(RULES) as file:
        return [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]


def panels():
    with open(DASHBOARD) as file:
        return [panel for panel in json.load(file)["panels"] if panel["type"] != "row"]


def expressions():
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in alerts()] + shown


def wrong(expression, printed):
    """The names in an expression that no program prints."""
    selected = dict(re.findall(r"(\w+)\{([^}]*)\}", expression))
    matched = {(name, label) for name, text in selected.items() for label in re.findall(r"(\w+)\s*[=!]", text)}
    rest = re.sub(r"\{[^}]*\}|\[[^\]]*\]|" + GROUPINGS, "", expression)
    names = set(re.findall(r"\b[a-zA-Z_]\w*\b(?!\s*\()", rest)) - WORDS
    labels = set().union(*(printed.get(name) or set() for name in names)) | ADDED
    grouped = {label.strip() for group in re.findall(GROUPINGS, expression) for label in group.split(",")}
    # Where a metric has no sample its labels cannot be known.
    known = all(printed.get(name) is not None for name in names)
    return (
        [name for name in names if name not in printed]
        + [f"{name}{{{label}}}" for name, label in matched if label not in (printed.get(name) or set())]
        + [label for label in grouped if known and label not in labels]
    )


def test_every_name_in_dashboard_and_rules_is_printed(of_the_agent, of_the_injector):
    printed = {**of_the_agent, **of_the_injector}
    assert len(expressions()) > 20
    assert {expression: wrong(expression, printed) for expression in expressions() if wrong(expression, printed)} == {}


@pytest.mark.parametrize(
    "expression, names",
    [
        ("agnet_ready == 0", ["agnet_ready"]),
        ("sum by (state) (rate(agent_ready[5m])) > 0", ["state"]),
        ('agent_secret_state{status="stale"} == 1', ["agent_secret_state{status}"]),
        ("agent_ready and ignoring (state) agent_secret_stat", ["agent_secret_stat"]),
    ],
)
def test_a_wrong_name_would_be_found(of_the_agent, expression, names):
    assert wrong(expression, of_the_agent) == names


def test_every_printed_metric_is_documented(of_the_agent, of_the_injector):
    for metrics, page in ((of_the_agent, "operations.md"), (of_the_injector, "injector.md")):
        with open(os.path.join(ROOT, "docs", page)) as file:
            named = set(re.findall(r"`(\w+)(?:\{\w+\})?`", file.read()))
        families = {re.sub("_(bucket|sum|count)$", "", name) for name in metrics}
        assert families - named == set(), page
        assert {name for name in named if re.match("agent_|injector_", name)} >= families


def test_every_alert_is_complete_and_documented():
    text = "".join(open(os.path.join(ROOT, "docs", page)).read() for page in ("operations.md", "injector.md"))
    for rule in alerts():
        assert rule["labels"]["severity"] in ("warning", "critical") and rule["annotations"]["summary"], rule
        assert f"| `{rule['alert']}` |" in text, rule["alert"]
    tables = "".join(re.findall(r"^\| alert \|.*\n(?:\|.*\n)+", text, re.M))
    rows = set(re.findall(r"^\| `(\w+)` \|", tables, re.M))
    assert rows == {rule["alert"] for rule in alerts()}


def test_the_panels_do_not_overlap():
    cells = set()
    for panel in panels():
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells and at["x"] + at["w"] <= 24, panel["title"]
        cells |= own


def test_the_chart_installs_both_where_they_are_asked_for(helm):  # noqa: F811
    assert "PrometheusRule" not in {one["kind"] for one in render(helm)}
    made = render(helm, "--set", "dashboard.enabled=true,prometheusRule.enabled=true,prometheusRule.labels.release=main")
    rule = next(one for one in made if one["kind"] == "PrometheusRule")
    with open(RULES) as file:
        assert rule["spec"] == yaml.safe_load(file)
    assert rule["metadata"]["labels"]["release"] == "main"
    board = next(one for one in made if one["metadata"]["name"].endswith("-dashboard"))
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    with open(DASHBOARD) as file:
        assert json.loads(board["data"]["secrets-agent.json"]) == json.load(file)
