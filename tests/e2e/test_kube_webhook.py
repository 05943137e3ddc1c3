# SPDX-License-Identifier: Apache-2.0
"""Pods created on a real API server that asks our webhook."""
import base64
import http.server
import itertools
import json
import signal
import threading

import pytest

from conftest import wait_until
from injector import Authority, Injector
from injector_cases import agent_yaml
from kube import Refused, pod

INJECT = {
    "secrets-agent/inject": "true",
    "secrets-agent/role": "web",
    "secrets-agent/secret.db": "secret/db",
}
CONDITIONS = [
    {
        "name": "annotated",
        "expression": "has(object.metadata.annotations) && object.metadata.annotations.exists(k, "
        "k.startsWith('secrets-agent/') || k == 'vault.hashicorp.com/agent-inject' || "
        "k == 'openbao.org/agent-inject')",
    }
]
names = (f"web-{number}" for number in itertools.count())


class Hooked:
    """A namespace whose pods go through a webhook of its own."""

    def __init__(self, kube, folder, labels=None, config=None, arguments=("--server-version", "v1.36.3"), **options):
        self.kube = kube
        self.namespace = kube.namespace(labels=labels)
        self.webhook = f"webhook-{self.namespace}"
        self.injector = Injector(folder, config).start(*arguments)
        kube.webhook(self.webhook, self.injector.port, self.injector.authority.file, [self.namespace], **options)
        wait_until(self.known, 10, "the API server to know the webhook")

    def known(self):
        """A pod that any of our webhooks refuses is refused."""
        try:
            self.kube.create(self.namespace, pod({"secrets-agent/inject": "perhaps"}), dry_run=True)
        except Refused as refused:
            return "perhaps" in refused.message
        return False

    def create(self, annotations=None, dry_run=False, **spec):
        return self.kube.create(self.namespace, pod(annotations, next(names), **spec), dry_run=dry_run)

    def refusal(self, annotations, **spec):
        with pytest.raises(Refused) as refused:
            self.create(annotations, **spec)
        return refused.value.message

    def stop(self):
        self.kube.forget_webhook(self.webhook)
        self.injector.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def hooked(kube, tmp_path_factory):
    """A cluster whose parts are all new."""
    made = Hooked(kube, tmp_path_factory.mktemp("webhook"))
    yield made
    made.stop()


def by_name(items, name):
    return next(item for item in items if item["name"] == name)


def agent_of(made):
    return by_name(made["spec"].get("initContainers", []) + made["spec"]["containers"], "secrets-agent")


# ---- what comes out ----


def test_two_annotations_make_a_native_sidecar(hooked):
    made = hooked.create(INJECT)
    agent = agent_of(made)
    assert agent["restartPolicy"] == "Always", "the API server kept it"
    assert agent["startupProbe"]["exec"]["command"][1] == "ready"
    assert made["metadata"]["annotations"]["secrets-agent/status"] == "injected"
    mount = by_name(made["spec"]["containers"][0]["volumeMounts"], "secrets-agent-secrets")
    assert (mount["mountPath"], mount["readOnly"]) == ("/run/agent/secrets", True)
    assert agent_yaml(made)["secrets"]["db"]["path"] == "secret/db"


def test_the_default_token_is_where_the_api_server_puts_it(hooked):
    """ServiceAccount admission ran before us; ours is a token of its own, with its own audience."""
    made = hooked.create(INJECT)
    tokens = [source["serviceAccountToken"] for volume in made["spec"]["volumes"]
              for source in volume.get("projected", {}).get("sources", []) if "serviceAccountToken" in source]  # fmt: skip
    assert len(tokens) == 2
    assert "/var/run/secrets/kubernetes.io/serviceaccount" in [
        mount["mountPath"] for mount in made["spec"]["containers"][0]["volumeMounts"]
    ]


def test_without_a_mounted_token_of_its_own_a_pod_is_injected_all_the_same(hooked):
    made = hooked.create(INJECT, automountServiceAccountToken=False)
    assert by_name(made["spec"]["volumes"], "secrets-agent-identity")["projected"]
    assert agent_of(made)


def test_variables_by_the_kubelet(hooked):
    made = hooked.create({**INJECT, "secrets-agent/env.DB_PASSWORD": "db.password"})
    variable = by_name(made["spec"]["containers"][0]["env"], "DB_PASSWORD")
    assert variable["valueFrom"]["fileKeyRef"]["key"] == "DB_PASSWORD", "the API server kept it"
    assert made["spec"]["containers"][0]["command"] == ["/bin/app"]


def test_the_containers_own_variables_can_be_made_of_them(hooked):
    """A kubelet expands $(NAME) of those that stand before."""
    own = [{"name": "URL", "value": "postgres://app:$(DB_PASSWORD)@db"}]
    container = {"name": "app", "image": "x", "env": own}
    made = hooked.create(
        {**INJECT, "secrets-agent/env.DB_PASSWORD": "db.password", "secrets-agent/env.API_KEY": "db.key"},
        containers=[container],
    )
    assert [item["name"] for item in made["spec"]["containers"][0]["env"]] == ["API_KEY", "DB_PASSWORD", "URL"]


@pytest.mark.parametrize("whole", [{}, {"limits": {"cpu": "1", "memory": "1Gi"}}])
def test_a_pod_whose_containers_have_all_of_what_it_has_as_a_whole(hooked, whole):
    """The API server refuses containers that together ask for more than their pod has."""
    all_of_it = {"requests": {"cpu": "1", "memory": "1Gi"}, **whole}
    made = hooked.create(INJECT, resources=all_of_it, containers=[
        {"name": "app", "image": "x", "resources": all_of_it}])  # fmt: skip
    assert made["status"]["qosClass"] == ("Guaranteed" if whole else "Burstable")
    assert agent_of(made)["resources"] == {}


def test_the_most_containers_that_a_pod_may_have(hooked):
    """The API server asks about a changed pod again, with our container in it."""
    made = hooked.create(INJECT, containers=[{"name": f"c{i}", "image": "x"} for i in range(100)])
    assert agent_of(made)
    assert "more than 100 containers" in hooked.refusal(
        INJECT, containers=[{"name": f"c{i}", "image": "x"} for i in range(101)])


def test_variables_by_the_wrapper(hooked):
    made = hooked.create(
        {**INJECT, "secrets-agent/env.DB_PASSWORD": "db.password", "secrets-agent/env-method": "run"}
    )
    command = made["spec"]["containers"][0]["command"]
    assert command[1] == "run" and command[-2:] == ["--", "/bin/app"]
    assert "env" not in made["spec"]["containers"][0]


@pytest.mark.parametrize("prefix", ["vault.hashicorp.com/", "openbao.org/"])
def test_a_pod_of_the_peer(hooked, prefix):
    made = hooked.create(
        {f"{prefix}agent-inject": "true", f"{prefix}role": "web", f"{prefix}agent-inject-secret-db": "secret/data/db"}
    )
    assert made["metadata"]["annotations"][f"{prefix}agent-inject-status"] == "injected"
    assert "/vault/secrets" in [mount["mountPath"] for mount in made["spec"]["containers"][0]["volumeMounts"]]


def test_an_old_cluster_gets_init_and_sidecar(kube, tmp_path):
    old = Hooked(kube, tmp_path, arguments=("--server-version", "v1.28.9"))
    try:
        made = old.create(INJECT, restartPolicy="Always")
        assert "restartPolicy" not in agent_of(made)
        assert [item["name"] for item in made["spec"]["initContainers"]] == ["secrets-agent-init"]
        assert agent_of(made) in made["spec"]["containers"]
        job = old.create(INJECT)
        assert len(job["spec"]["containers"]) == 1, "a sidecar would keep it from ending"
    finally:
        old.stop()


# ---- refusals and warnings ----


@pytest.mark.parametrize(
    "annotations, parts",
    [
        ({"secrets-agent/inject": "perhaps"}, ["secrets-agent/inject", "perhaps"]),
        ({**INJECT, "secrets-agent/secrt.db": "x"}, ["secrets-agent/secrt.db", "secrets-agent/secret."]),
        ({**INJECT, "secrets-agent/mode.db": "rw"}, ["secrets-agent/mode.db", "rw"]),
        ({**INJECT, "secrets-agent/profile": "other"}, ["secrets-agent/profile", "other"]),
        ({**INJECT, "secrets-agent/containers": "nobody"}, ["secrets-agent/containers", "nobody"]),
    ],
)
def test_what_is_wrong_is_told_to_who_creates_the_pod(hooked, annotations, parts):
    message = hooked.refusal(annotations)
    assert all(part in message for part in parts), message


def test_a_warning_reaches_who_creates_the_pod(hooked):
    annotations = {"vault.hashicorp.com/agent-inject": "true", "vault.hashicorp.com/role": "web",
                   "vault.hashicorp.com/agent-inject-secret-db": "secret/data/db",
                   "vault.hashicorp.com/go-max-procs": "2"}  # fmt: skip
    warnings = hooked.kube.warnings(hooked.namespace, pod(annotations))
    assert any("go-max-procs" in text for text in warnings), warnings


def test_pods_that_do_not_ask_are_left_alone(hooked):
    assert hooked.create({"other": "annotation"})["spec"].get("initContainers") is None
    assert hooked.create({"secrets-agent/inject": "false"})["spec"].get("initContainers") is None


# ---- how the API server asks ----


def test_a_dry_run_is_answered_and_changes_nothing(hooked):
    made = hooked.create(INJECT, dry_run=True)
    assert agent_of(made)
    with pytest.raises(Refused) as refused:
        hooked.kube.call("GET", f"/api/v1/namespaces/{hooked.namespace}/pods/{made['metadata']['name']}")
    assert refused.value.status == 404


@pytest.mark.parametrize("shape", ["sidecar", "init", "both"])
def test_a_restricted_namespace_takes_it(kube, tmp_path, shape):
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    restricted = Hooked(kube, tmp_path, labels)
    good = {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {"name": "app", "image": "app:1", "command": ["/bin/app"],
             "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
        ],
    }  # fmt: skip
    try:
        with pytest.raises(Refused):
            restricted.create({})
        annotations = {**INJECT, "secrets-agent/shape": shape, "secrets-agent/env.A": "db.a"}
        for method in ("kubelet", "run"):
            if shape != "init" or method == "kubelet":
                assert restricted.create({**annotations, "secrets-agent/env-method": method}, **good)
    finally:
        restricted.stop()


class Late(http.server.BaseHTTPRequestHandler):
    """Somebody else's webhook, which adds a container to each pod that has none of its own."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        response = {"uid": request["uid"], "allowed": True}
        if "late" not in [container["name"] for container in request["object"]["spec"]["containers"]]:
            late = {"name": "late", "image": "late:1", "command": ["/bin/late"]}
            patch = [{"op": "add", "path": "/spec/containers/-", "value": late}]
            response.update(patchType="JSONPatch", patch=base64.b64encode(json.dumps(patch).encode()).decode())
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments):
        pass


def test_a_container_that_another_webhook_adds_later_is_completed(kube, hooked, tmp_path):
    """The API server asks again (IfNeeded): what is missing is added, nothing twice."""
    authority = Authority(str(tmp_path), "late-ca")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Late)
    server.socket = authority.server("late").wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    kube.webhook("zz-late", server.server_address[1], authority.file, [hooked.namespace])
    try:
        wait_until(lambda: len(hooked.create({}, dry_run=True)["spec"]["containers"]) == 2, 10, "the other webhook")
        made = hooked.create(INJECT)
        late = by_name(made["spec"]["containers"], "late")
        assert by_name(late["volumeMounts"], "secrets-agent-secrets")["mountPath"] == "/run/agent/secrets"
        assert [item["name"] for item in made["spec"]["initContainers"]] == ["secrets-agent"]
    finally:
        kube.forget_webhook("zz-late")
        server.shutdown()
        wait_until(lambda: len(hooked.create({}, dry_run=True)["spec"]["containers"]) == 1, 10, "its end")


def test_many_pods_at_once(hooked):
    failures = []

    def ten():
        for _ in range(10):
            try:
                assert agent_of(hooked.create(INJECT))
            except Exception as error:  # the thread's own would be lost
                failures.append(repr(error))

    threads = [threading.Thread(target=ten) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]


def test_match_conditions_keep_other_pods_from_depending_on_us(kube, tmp_path):
    """With the webhook down and Fail: who does not ask is created, whoever asks, in any spelling, is not."""
    down = Hooked(kube, tmp_path, matchConditions=CONDITIONS)
    try:
        assert agent_of(down.create(INJECT))
        down.injector.stop(signal.SIGKILL)
        assert down.create({})
        assert down.create({"other": "annotation"})
        for annotations in (
            {"secrets-agent/inject": "true"},
            {"secrets-agent/inject": "1"},
            {"secrets-agent/injct": "true"},
            {"vault.hashicorp.com/agent-inject": "True"},
            {"openbao.org/agent-inject": "true"},
        ):
            message = down.refusal(annotations)
            assert "failed calling webhook" in message, message
        down.injector.start()
        assert agent_of(down.create(INJECT)), "and it is back at once"
    finally:
        down.stop()


def test_the_api_server_is_restarted(kube, hooked):
    kube.restart()
    assert agent_of(hooked.create(INJECT))


def test_a_replica_that_drains_loses_no_pod(kube, tmp_path):
    """For as long as it says that it drains, whatever the API server asks is answered."""
    draining = Hooked(kube, tmp_path)
    draining.injector.stop()
    draining.injector.drain = "30s"
    draining.injector.start()
    wait_until(draining.known, 10, "the webhook")
    try:
        draining.injector.process.send_signal(signal.SIGTERM)
        wait_until(lambda: draining.injector.get("/ready")[0] == 503, 5, "draining")
        for _ in range(30):
            assert agent_of(draining.create(INJECT))
    finally:
        draining.stop()
