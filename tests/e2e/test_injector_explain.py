# SPDX-License-Identifier: Apache-2.0
"""`injector explain` and `check` by hand and by script, and the agent's own word on what it is told to do."""
import glob
import json
import os
import subprocess

import pytest
import yaml

INJECTOR = os.environ.get("INJECTOR_BIN", os.path.abspath("build/injector/injector"))
CASES = sorted(glob.glob(os.path.join(os.path.dirname(__file__), "../injector/cases/*.json")))

OPERATOR = """
profiles:
  default: { address: "https://vault.vault.svc:8200", image: "agent@sha256:1", auth: { role: web } }
"""

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations: { secrets-agent/inject: "true", secrets-agent/secret.db: secret/db, secrets-agent/env.DB_PASSWORD: db.password }
spec:
  containers:
    - { name: web, image: "web:1", command: [ /web ] }
"""


@pytest.fixture
def injector(tmp_path):
    (tmp_path / "injector.yaml").write_text(OPERATOR)

    def injector(*arguments, input=None):
        return subprocess.run([INJECTOR, *arguments], input=input, capture_output=True, text=True, cwd=tmp_path, timeout=20)

    return injector


def explain(injector, text, *options):
    return injector("explain", "-c", "injector.yaml", *options, "-", input=text)


def test_says_in_words_what_would_happen(injector):
    result = explain(injector, POD, "--server-version", "v1.36.0")
    assert result.returncode == 0, result.stderr
    assert "Pod web: injected, profile default\n" in result.stdout
    for line in ("  + init container secrets-agent\n", "    mounts secrets-agent-secrets at /run/agent/secrets, read-only\n",
                 "    variable DB_PASSWORD from a secret\n", "  + volume secrets-agent-env\n", "  agent.yaml of secrets-agent:\n"):
        assert line in result.stdout


def test_an_unknown_version_is_old(injector):
    result = explain(injector, POD)
    assert "+ init container secrets-agent-init" in result.stdout and "+ container secrets-agent\n" in result.stdout
    assert '"/run/agent/bin/agent","run","--socket"' in result.stdout


def test_a_refusal_is_status_65_and_says_why(injector):
    result = explain(injector, POD.replace("secrets-agent/secret.db", "secrets-agent/secrte.db"))
    assert result.returncode == 65
    assert "Pod web: refused (annotation), profile default\n" in result.stdout
    assert "secrets-agent/secrte.db: there is no such annotation (did you mean secrets-agent/secret.?)" in result.stdout


def test_yaml_and_json_are_the_pod_that_comes_out(injector):
    as_yaml = explain(injector, POD, "--server-version", "v1.36.0", "-o", "yaml")
    as_json = explain(injector, POD, "--server-version", "v1.36.0", "-o", "json")
    pod = yaml.safe_load(as_yaml.stdout)
    assert pod == json.loads(as_json.stdout)
    assert pod["spec"]["initContainers"][0]["restartPolicy"] == "Always"
    assert yaml.safe_load(pod["spec"]["initContainers"][0]["env"][0]["value"])["secrets"] == {"db": {"backend": "vault", "path": "secret/db"}}


def test_what_makes_pods_is_explained_and_the_rest_is_named(injector):
    pod = yaml.safe_load(POD)
    template = {"metadata": pod["metadata"], "spec": pod["spec"]}
    documents = [
        {"kind": "Service", "metadata": {"name": "web"}},
        {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": template}},
        {"kind": "CronJob", "metadata": {"name": "night"}, "spec": {"jobTemplate": {"spec": {"template": template}}}},
        {"kind": "Pod", "metadata": {"name": "plain"}, "spec": {}},
    ]
    result = explain(injector, "---\n" + yaml.safe_dump_all(documents), "--server-version", "v1.36.0")
    assert result.returncode == 0, result.stderr
    for line in ("Service web: makes no pods", "Deployment web: injected", "CronJob night: injected", "Pod plain: skipped (not_annotated)"):
        assert line in result.stdout


def test_a_list_is_explained_item_by_item(injector):
    pod = yaml.safe_load(POD)
    other = {"kind": "Pod", "metadata": {"name": "plain"}, "spec": {}}
    result = explain(injector, yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [pod, other]}), "--server-version", "v1.36.0")
    assert "Pod web: injected" in result.stdout and "Pod plain: skipped" in result.stdout


def test_the_namespace_is_the_manifests_own_or_the_options(injector):
    assert "system_namespace" in explain(injector, POD, "-n", "kube-system").stdout
    assert "injected" in explain(injector, POD.replace("name: web\n", "name: web\n  namespace: apps\n", 1), "-n", "kube-system").stdout


@pytest.mark.parametrize("arguments, status, said", [
    (["explain"], 64, "no file"),
    (["explain", "-c", "injector.yaml", "a", "b"], 64, "one file at a time"),
    (["explain", "-o", "xml", "-"], 64, "none of text, yaml, json"),
    (["explain", "--server-version", "new", "-"], 64, "is no version"),
    (["explain", "-c", "missing.yaml", "-"], 78, "missing.yaml"),
    (["explain", "-c", "injector.yaml", "missing.yaml"], None, "missing.yaml"),
    (["check", "-c", "missing.yaml"], 78, "missing.yaml"),
    (["check", "x"], 64, "unexpected argument"),
    (["explian"], 64, "did you mean 'explain'"),
    ([], 64, "Usage: injector COMMAND"),
])
def test_usage(injector, arguments, status, said):
    result = injector(*arguments, input="")
    assert result.returncode == status or (status is None and result.returncode != 0)
    assert said in result.stderr


def test_bad_yaml_is_told_with_its_place(injector):
    result = explain(injector, "kind: Pod\nmetadata: [\n")
    assert result.returncode == 78 and "line" in result.stderr


def test_help_and_version(injector):
    assert "explain" in injector("--help").stdout
    assert "--server-version" in injector("explain", "--help").stdout
    assert injector("--version").stdout.startswith("injector ")


def test_check_tells_every_mistake_with_its_place(injector, tmp_path):
    assert injector("check", "-c", "injector.yaml").stdout == "injector.yaml: 1 profile: good\n"
    (tmp_path / "bad.yaml").write_text("strict: perhaps\nprofiles:\n  a: { address: v, image: x, rolle: y }\n")
    result = injector("check", "-c", "bad.yaml")
    assert result.returncode == 78
    assert result.stderr.splitlines() == [
        "bad.yaml:1:9: strict: 'perhaps' is neither true nor false",
        "bad.yaml:3:30: unknown key 'rolle' in profiles.a",
    ]


def made_pods():
    """The agent's configuration in every pod that the data cases would inject."""
    for file in CASES:
        family = json.load(open(file, encoding="utf-8"))
        for case in family["cases"]:
            merged = {**family["defaults"], **case}
            if merged["expect"]["verdict"] == "injected":
                yield os.path.basename(file), case, merged


def test_the_agent_takes_every_configuration_that_is_made_for_it(agent, injector, tmp_path):
    checked = 0
    for file, case, merged in made_pods():
        pod = json.loads(json.dumps(merged["pod"]))
        annotations = pod.setdefault("metadata", {}).setdefault("annotations", {})
        for target, changes in ((annotations, case.get("annotations", {})), (pod["spec"], case.get("spec", {}))):
            for key, value in changes.items():
                target.pop(key, None) if value is None else target.update({key: value})
        pod["kind"] = "Pod"
        (tmp_path / "injector.yaml").write_text(json.dumps(merged["config"]))
        versions = [word for option, name in (("--server-version", "server"), ("--kubelet-version", "kubelet"))
                    if merged.get("versions", {}).get(name) for word in (option, merged["versions"][name])]
        # What the server says nothing about stays unknown; explain takes the server's for an absent kubelet's.
        result = explain(injector, json.dumps(pod), "-o", "json", "-n", merged.get("namespace", "default"), *versions)
        assert result.returncode == 0, (file, case["name"], result.stdout, result.stderr)
        spec = json.loads(result.stdout)["spec"]
        texts = {variable["value"] for container in spec.get("initContainers", []) + spec["containers"]
                 for variable in container.get("env") or [] if variable["name"] == "AGENT_CONFIG_YAML"}
        for text in texts:
            checked_by = subprocess.run([agent, "check"], env={"AGENT_CONFIG_YAML": text, "PATH": os.environ["PATH"]},
                                        capture_output=True, text=True, cwd=tmp_path, timeout=20)
            assert checked_by.returncode == 0, (file, case["name"], checked_by.stderr, text)
            checked += 1
    assert checked > 100


@pytest.mark.parametrize("nothing", ["", "\n", "---\n# a comment\n---\n"])
def test_what_holds_no_manifest_is_no_success(injector, nothing):
    result = injector("explain", "-c", "injector.yaml", "-", input=nothing)
    assert (result.returncode, "it holds no manifest" in result.stderr) == (65, True), result
