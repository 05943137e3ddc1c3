# SPDX-License-Identifier: Apache-2.0
"""A whole node: webhook, kubelet, our own image as a native sidecar, OpenBao with the pod's own token as identity."""
import os
import signal

import pytest

from conftest import Bao, real, wait_until
from injector import Injector
from kube import ADMIN, POD
from node import BUSYBOX, Node

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="runs a kubelet and containerd: needs root")

IMAGE_ARCHIVE = os.environ.get("AGENT_IMAGE", os.path.abspath("build/agent-image.tar"))
with open(os.path.join(os.path.dirname(__file__), "..", "..", "VERSION.mk")) as version:
    IMAGE = "secrets-agent:" + version.read().split("=")[1].strip()
OWN = {"secrets-agent/inject": "true", "secrets-agent/role": "web", "secrets-agent/secret.db": "secret/db"}
PEER = {"vault.hashicorp.com/agent-inject": "true", "vault.hashicorp.com/role": "web"}


class Cluster:
    def __init__(self, kube, bao, folder):
        self.kube, self.bao, self.folder = kube, bao, folder
        self.namespace = kube.namespace()
        with open(kube.authority.file) as file:
            self.ca = file.read()
        kube.call("POST", f"/api/v1/namespaces/{self.namespace}/configmaps",
                  {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": self.ca}})  # fmt: skip
        self._sign_in()
        self.node = Node(kube, folder, [IMAGE_ARCHIVE]).start()
        self.token = os.path.join(folder, "admin.token")
        with open(self.token, "w") as file:
            file.write(ADMIN)
        self.injector = self.inject(folder, "new")
        self.numbers = 0

    def _sign_in(self):
        """Both ways in which OpenBao believes a pod's own token: by asking the API server, and by its public keys."""
        kube, bao = self.kube, self.bao
        review = [{"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}]
        with open(kube.account(self.namespace, "reviewer", self.folder, [], review)) as file:
            reviewer = file.read()
        kube.call("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
            "metadata": {"name": f"keys-{self.namespace}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                        "name": "system:service-account-issuer-discovery"},
            "subjects": [{"kind": "Group", "name": "system:unauthenticated", "apiGroup": "rbac.authorization.k8s.io"}],
        })  # fmt: skip
        bao.call("PUT", "sys/policies/acl/web", {"policy": 'path "secret/data/*" { capabilities = ["read"] }\n'
                                                 'path "sys/internal/ui/mounts/*" { capabilities = ["read"] }'})  # fmt: skip
        bao.call("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        bao.call("POST", "auth/kubernetes/config", {"kubernetes_host": kube.address, "kubernetes_ca_cert": self.ca,
                                                    "token_reviewer_jwt": reviewer, "disable_local_ca_jwt": True})  # fmt: skip
        bao.call("POST", "auth/kubernetes/role/web", {
            "bound_service_account_names": "default", "bound_service_account_namespaces": self.namespace,
            "audience": "vault", "token_policies": "web"})  # fmt: skip
        bao.call("POST", "sys/auth/jwt", {"type": "jwt"})
        bao.call("POST", "auth/jwt/config", {"jwks_url": kube.address + "/openid/v1/jwks", "jwks_ca_pem": self.ca})
        bao.call("POST", "auth/jwt/role/web", {
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "token_policies": "web",
            "bound_subject": f"system:serviceaccount:{self.namespace}:default"})  # fmt: skip

    def inject(self, folder, name, *arguments):
        profile = {"address": self.bao.address, "image": IMAGE, "pull_policy": "Never", "host_network": True,
                   "insecure_http": True, "auth": {"audience": "vault"}}  # fmt: skip
        config = {"profiles": {"default": profile,
                               "keys": {**profile, "auth": {"method": "jwt", "audience": "vault"}}}}  # fmt: skip
        injector = Injector(os.path.join(folder, f"injector-{name}"), config)
        asked = [] if arguments else ["--kube", self.kube.address, "--kube-ca", self.kube.authority.file,
                                      "--kube-token", self.token]  # fmt: skip
        injector.start(*arguments, *asked)
        if not arguments:
            wait_until(lambda: 'injector_oldest_kubelet_version{version="1.36"}' in injector.get("/metrics")[1], 15,
                       "the kubelet's version")  # fmt: skip
        self.kube.webhook(f"{name}-{self.namespace}", injector.port, injector.authority.file, [self.namespace],
                          objectSelector={"matchLabels": {"webhook": name}})  # fmt: skip
        return injector

    def run(self, annotations, script, webhook="new", containers=(), **spec):
        """Creates a pod whose application runs the script."""
        self.numbers += 1
        made = {**POD, "metadata": {"name": f"pod-{self.numbers}", "annotations": annotations, "labels": {"webhook": webhook}}}
        made["spec"] = {
            "nodeName": self.node.name, "hostNetwork": True, "restartPolicy": "Never", "terminationGracePeriodSeconds": 2,
            "containers": [{"name": "app", "image": BUSYBOX, "imagePullPolicy": "Never",
                            "command": ["/bin/busybox", "sh", "-c", script]}, *containers], **spec,
        }  # fmt: skip
        return wait_until(lambda: self._create(made), 10, "the webhook")

    def _create(self, made):
        created = self.kube.create(self.namespace, made, dry_run=True)
        return len(created["spec"].get("initContainers", [])) > 0 and self.kube.create(self.namespace, made)

    def get(self, pod):
        return self.kube.call("GET", f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}")

    def ends(self, pod, seconds=60):
        """The phase in which it ends, after which its output is there."""
        def ended():
            phase = self.get(pod)["status"].get("phase")
            return phase if phase in ("Succeeded", "Failed") else None

        try:
            return wait_until(ended, seconds, "the pod's end")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.explain(pod)}") from error

    def explain(self, pod):
        events = self.kube.call("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
        name = pod["metadata"]["name"]
        texts = [event["message"] for event in events if event["involvedObject"].get("name") == name]
        outputs = [f"{container}: {self.node.output(pod, container)[-800:]}"
                   for container in ("secrets-agent", "secrets-agent-init", "vault-agent", "vault-agent-init", "app")]  # fmt: skip
        return "\n".join(texts[-8:] + outputs)

    def output(self, pod, container="app"):
        return self.node.output(pod, container)

    def prints(self, pod, text, container, seconds=40):
        """Waits until the container has printed it."""
        try:
            wait_until(lambda: text in self.output(pod, container), seconds, f"{text!r} of {container}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.explain(pod)}") from error

    def logins(self):
        """How often a pod's own token was shown."""
        return len(self.bao.requests("auth/kubernetes/login"))

    def stop(self):
        self.node.stop()
        self.injector.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def cluster(kube, tmp_path_factory):
    if not os.path.exists(IMAGE_ARCHIVE):
        if os.environ.get("CI") == "true":
            pytest.fail(f"{IMAGE_ARCHIVE} is not there: run `make image`")
        pytest.skip(f"{IMAGE_ARCHIVE} is not there: run `make image`")
    folder = str(tmp_path_factory.mktemp("node"))
    bao = Bao(real("BAO_BIN", "bao"), str(tmp_path_factory.mktemp("bao"))).start()
    bao.put("db", password="first", user="web")
    made = Cluster(kube, bao, folder)
    yield made
    made.stop()
    bao.stop()


def test_files_variables_and_socket_of_a_job(cluster):
    """The application starts with its secrets there, ends, and the pod with it."""
    reader = {"name": "reader", "image": IMAGE, "imagePullPolicy": "Never",
              "command": ["/bin/agent", "get", "db.password", "--socket", "/run/agent/socket/agent.sock"]}  # fmt: skip
    pod = cluster.run(
        {**OWN, "secrets-agent/env.DB_PASSWORD": "db.password", "secrets-agent/socket": "reader"},
        "echo file=$(/bin/busybox cat /run/agent/secrets/db/password) user=$(/bin/busybox cat /run/agent/secrets/db/user)"
        " env=$DB_PASSWORD; /bin/busybox touch /run/agent/secrets/x || echo read-only",
        containers=[reader],
    )
    assert cluster.ends(pod) == "Succeeded", cluster.explain(pod)
    assert "file=first user=web env=first\n" in cluster.output(pod)
    assert "read-only\n" in cluster.output(pod)
    assert cluster.output(pod, "reader").strip() == "first"


def test_variables_through_the_wrapper(cluster):
    pod = cluster.run(
        {**OWN, "secrets-agent/env.DB_PASSWORD": "db.password", "secrets-agent/env-method": "run"},
        "echo env=$DB_PASSWORD; exit 3",
    )
    assert cluster.ends(pod) == "Failed", "the application's own status"
    assert cluster.output(pod) == "env=first\n", cluster.explain(pod)
    statuses = cluster.get(pod)["status"]["containerStatuses"]
    assert next(one for one in statuses if one["name"] == "app")["state"]["terminated"]["exitCode"] == 3


def test_the_clusters_keys_as_identity(cluster):
    pod = cluster.run({**OWN, "secrets-agent/profile": "keys"}, "/bin/busybox cat /run/agent/secrets/db/password")
    assert cluster.ends(pod) == "Succeeded", cluster.explain(pod)
    assert cluster.output(pod).strip() == "first"


def test_a_pod_of_the_peer_sees_a_rotation(cluster):
    annotations = {**PEER, "vault.hashicorp.com/agent-inject-secret-db": "secret/data/changing",
                   "vault.hashicorp.com/template-static-secret-render-interval": "1s"}  # fmt: skip
    cluster.bao.put("changing", password="before")
    pod = cluster.run(
        annotations,
        "f=/vault/secrets/db; /bin/busybox cat $f; /bin/busybox cp $f /tmp/first; "
        "while /bin/busybox cmp -s $f /tmp/first; do /bin/busybox sleep 0.1; done; /bin/busybox cat $f",
    )
    cluster.prints(pod, "before", "app")
    cluster.bao.put("changing", password="after")
    assert cluster.ends(pod) == "Succeeded", cluster.explain(pod)
    text = cluster.output(pod)
    assert text.index("map[password:before]") < text.index("map[password:after]"), text


def test_a_secret_that_is_refused_holds_the_application_and_says_why(cluster):
    cluster.bao.call("POST", "auth/kubernetes/role/nothing", {
        "bound_service_account_names": "default", "bound_service_account_namespaces": cluster.namespace,
        "audience": "vault", "token_policies": "default"})  # fmt: skip
    pod = cluster.run({**OWN, "secrets-agent/role": "nothing"}, "echo started")
    events = f"/api/v1/namespaces/{cluster.namespace}/events"

    def told():
        return [event["message"] for event in cluster.kube.call("GET", events)["items"]
                if event["involvedObject"].get("name") == pod["metadata"]["name"] and "Startup probe" in event["message"]]  # fmt: skip

    messages = wait_until(told, 40, "the kubelet to tell it")
    assert any("db" in message for message in messages), messages
    assert cluster.output(pod) == "", "the application has not started"
    cluster.kube.call("DELETE", f"/api/v1/namespaces/{cluster.namespace}/pods/{pod['metadata']['name']}?gracePeriodSeconds=0")


def test_where_sidecars_are_not_native_one_login_serves_both(cluster):
    old = cluster.inject(cluster.folder, "old", "--server-version", "v1.28.0")
    try:
        before = cluster.logins()
        pod = cluster.run(OWN, "echo $(/bin/busybox cat /run/agent/secrets/db/password); /bin/busybox sleep 60", webhook="old",
                          restartPolicy="Always")  # fmt: skip
        assert "restartPolicy" not in pod["spec"]["initContainers"][0]
        cluster.prints(pod, "first", "app")
        cluster.prints(pod, "ready", "secrets-agent")
        assert cluster.logins() == before + 1
        cluster.kube.call("DELETE", f"/api/v1/namespaces/{cluster.namespace}/pods/{pod['metadata']['name']}?gracePeriodSeconds=0")
    finally:
        old.stop(signal.SIGKILL)


def test_where_sidecars_are_not_native_a_job_ends(cluster):
    old = cluster.inject(cluster.folder, "jobs", "--server-version", "v1.28.0")
    try:
        pod = cluster.run(OWN, "/bin/busybox cat /run/agent/secrets/db/password", webhook="jobs")
        assert cluster.ends(pod) == "Succeeded", cluster.explain(pod)
        assert cluster.output(pod).strip() == "first"
    finally:
        old.stop(signal.SIGKILL)
