# SPDX-License-Identifier: Apache-2.0
"""The Helm chart: rendered by helm, taken by a real API server as it stands, and enough for the injector to work."""
import json
import os
import signal
import subprocess

import pytest
import yaml

from conftest import real, wait_until
from injector import INJECTOR, Injector
from kube import CONFIGURATIONS, PROGRAMS, Refused, events_of, pod, replica_set

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
CHART = os.path.join(ROOT, "deploy", "chart")
MANIFESTS = os.path.join(ROOT, "deploy", "manifests")
NAME = "secrets-agent-injector"
PLURALS = {"NetworkPolicy": "networkpolicies"}


@pytest.fixture(scope="session")
def helm():
    return real("HELM_BIN", os.path.join(os.path.dirname(PROGRAMS), "helm"))


def render(helm, *arguments, namespace="secrets-agent"):
    done = subprocess.run(
        [helm, "template", NAME, CHART, "--namespace", namespace, "--kube-version", "1.36.3", *arguments],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def path_of(document, namespaced=None):
    group = document["apiVersion"]
    root = "/api/v1" if group == "v1" else f"/apis/{group}"
    plural = PLURALS.get(document["kind"], document["kind"].lower() + "s")
    namespace = document["metadata"].get("namespace")
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def install(kube, documents, dry_run=False):
    """Creates all, with an error for every field that the API server does not know."""
    for document in documents:
        query = "?fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
        kube.call("POST", path_of(document) + query, document)


def test_lint(helm):
    done = subprocess.run([helm, "lint", "--strict", CHART], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_install_yaml_is_what_the_chart_renders(helm):
    made = subprocess.run([MANIFESTS, helm], capture_output=True, text=True, check=True).stdout
    with open(os.path.join(ROOT, "deploy", "install.yaml")) as file:
        assert file.read() == made, "make manifests"


@pytest.mark.parametrize(
    "setting, word",
    [
        ("replicas=0", "replicas"),
        ("webhook.failurePolicy=Maybe", "failurePolicy"),
        ("webhook.timeoutSeconds=31", "timeoutSeconds"),
        ("image.digest=sha256:12", "digest"),
        ("certificate.mode=files", "secretName"),
        ("replica=2", "replica"),
        ("config.profiles=null", "profiles"),
        ("config.events=maybe", "events"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(helm, setting, word):
    done = subprocess.run([helm, "template", NAME, CHART, "--set", setting], capture_output=True, text=True)
    assert done.returncode != 0 and word in done.stderr, done.stderr


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("webhook.match=label",),
        ("certificate.mode=files", "certificate.secretName=webhook-tls"),
        ("runAsUser=null", "networkPolicy.enabled=false", "podDisruptionBudget.enabled=false"),
        ("dashboard.enabled=true",),
    ],
)
def test_the_api_server_knows_every_field(kube, helm, settings):
    namespace = kube.namespace()
    arguments = [part for setting in settings for part in ("--set", setting)]
    documents = render(helm, *arguments, namespace=namespace)
    assert {"Deployment", "Service", "MutatingWebhookConfiguration", "ConfigMap"} <= {one["kind"] for one in documents}
    install(kube, documents, dry_run=True)


def test_the_budget_of_one_replica_would_keep_its_node_from_being_drained(helm):
    for replicas, there in ((1, False), (2, True)):
        kinds = [document["kind"] for document in render(helm, "--set", f"replicas={replicas}")]
        assert ("PodDisruptionBudget" in kinds) is there


def test_its_pods_may_run_where_pods_are_restricted(kube, helm):
    namespace = kube.namespace(labels={"pod-security.kubernetes.io/enforce": "restricted"})
    documents = render(helm, namespace=namespace)
    account = next(one for one in documents if one["kind"] == "ServiceAccount")
    install(kube, [account])
    for document in documents:
        template = document["spec"]["template"] if document["kind"] == "Deployment" else document
        if "containers" in template.get("spec", {}):
            made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": template["spec"]}
            kube.create(namespace, made, dry_run=True)


def test_its_configuration_is_one_that_the_injector_reads(helm, tmp_path):
    documents = render(helm)
    text = next(one for one in documents if one["kind"] == "ConfigMap")["data"]["injector.yaml"]
    file = tmp_path / "injector.yaml"
    file.write_text(text)
    done = subprocess.run([INJECTOR, "check", "-c", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(text)["own_namespace"] == "secrets-agent"


def test_what_it_installs_is_enough_to_inject(kube, helm, tmp_path):
    """The chart's account, Secret and configuration, with the webhook by its URL, since no Service is routed here."""
    namespace, target = kube.namespace(), kube.namespace()
    documents = render(helm, namespace=namespace)
    install(kube, documents)
    token = kube.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{NAME}/token",
                      {"spec": {"expirationSeconds": 3600}})["status"]["token"]  # fmt: skip
    token_file = tmp_path / "token"
    token_file.write_text(token)
    injector = Injector(tmp_path, own_authority=True)
    kube.call("PATCH", f"{CONFIGURATIONS}/{NAME}",
              [{"op": "replace", "path": "/webhooks/0/clientConfig",
                "value": {"url": f"https://127.0.0.1:{injector.port}/mutate"}}],
              content_type="application/json-patch+json")  # fmt: skip
    container = next(one for one in documents if one["kind"] == "Deployment")["spec"]["template"]["spec"]["containers"][0]
    theirs = [argument for argument in container["args"][1:] if not argument.startswith(("--config", "--drain"))]
    try:
        injector.start(*theirs, "--name", "127.0.0.1", "--kube", kube.address, "--kube-ca", kube.authority.file,
                       "--kube-token", str(token_file))  # fmt: skip
        wait_until(lambda: injector.get("/ready")[0] == 200, 10, "ready")
        annotations = {"secrets-agent/inject": "true", "secrets-agent/role": "web", "secrets-agent/secret.db": "secret/db"}
        made = wait_until(lambda: injected(kube, target, annotations), 10, "the API server to have loaded the bundle")
        assert made["metadata"]["annotations"]["secrets-agent/status"] == "injected"
        events_reach_the_owner(kube, injector, target)
        assert kube.create(target, pod(name="other"))["spec"].get("initContainers") is None
        assert "secrets-agent/status" not in kube.create(namespace, pod(annotations, "own"))["metadata"]["annotations"]
        bundle = kube.call("GET", f"{CONFIGURATIONS}/{NAME}")["webhooks"][0]["clientConfig"]["caBundle"]
        upgrade(kube, documents, injector.port)
        assert kube.call("GET", f"{CONFIGURATIONS}/{NAME}")["webhooks"][0]["clientConfig"]["caBundle"] == bundle
        kept = kube.call("GET", f"/api/v1/namespaces/{namespace}/secrets/{NAME}-ca")
        assert kept["data"]["ca.key"], "an upgrade leaves the authority alone"
        assert injector.metric("injector_server_version", 'version="1.36"') == 1
        injector.stop(signal.SIGKILL)
        assert kube.create(target, pod(name="another")), "who does not ask does not depend on us"
        with pytest.raises(Refused):
            kube.create(target, pod(annotations, "asking"))
    finally:
        injector.stop(signal.SIGKILL)
        kube.forget_webhook(NAME)


def events_reach_the_owner(kube, injector, namespace):
    """Whom the chart's role lets it tell: with no right to read any."""
    owner = replica_set(kube, namespace)
    with pytest.raises(Refused):
        kube.create(namespace, pod({"secrets-agent/inject": "perhaps"}, "owned", owner=owner))
    wait_until(lambda: events_of(kube, namespace, owner), 10, "the Event")
    assert injector.metric("injector_events_sent_total") == 1


def rights_to(documents, resource):
    rules = [rule for one in documents if one["kind"] == "ClusterRole" for rule in one["rules"]]
    return [rule["verbs"] for rule in rules if resource in rule["resources"]]


def test_rights_to_events_go_with_them(helm):
    assert rights_to(render(helm), "events") == [["create", "patch"]]
    assert rights_to(render(helm, "--set", "config.events=false"), "events") == []


def upgrade(kube, documents, port):
    """Applies the chart's objects once more, as `kubectl apply --server-side` does."""
    for document in documents:
        document = json.loads(json.dumps(document))
        if document["kind"] == "MutatingWebhookConfiguration":
            document["webhooks"][0]["clientConfig"] = {"url": f"https://127.0.0.1:{port}/mutate"}
        if document["kind"] in ("MutatingWebhookConfiguration", "Secret", "ConfigMap"):
            kube.call("PATCH", f"{path_of(document)}/{document['metadata']['name']}?fieldManager=upgrade&force=true",
                      document, content_type="application/apply-patch+yaml")  # fmt: skip


def injected(kube, namespace, annotations):
    try:
        return kube.create(namespace, pod(annotations, "asks"))
    except Refused:
        return None
