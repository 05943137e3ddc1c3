# SPDX-License-Identifier: Apache-2.0
"""A real API server with its etcd on loopback, spoken to over plain HTTPS with a static token: no kubectl."""
import base64
import copy
import itertools
import json
import os
import platform
import signal
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))

from certificates import Authority, openssl
from conftest import free_port, real, wait_until

PROGRAMS = os.environ.get("KUBE_BIN", os.path.expanduser("~/.cache/secrets-agent/kube"))
ADMIN = "admin-of-the-tests"
# Unprivileged, but a container that the API server takes as it is.
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web"},
    "spec": {
        "containers": [{"name": "app", "image": "registry.example/app:1", "command": ["/bin/app"]}],
        "restartPolicy": "Never",
    },
}
numbers = itertools.count(1)


class Refused(Exception):
    """An answer of the API server that is no success."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status = status
        try:
            self.message = json.loads(body).get("message", "")
        except ValueError:
            self.message = body


class Etcd:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.address = f"http://127.0.0.1:{free_port()}"
        self.process = None

    def start(self):
        peer = f"http://127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            [self.program, "--data-dir", os.path.join(self.folder, "etcd"), "--unsafe-no-fsync",
             "--listen-client-urls", self.address, "--advertise-client-urls", self.address,
             "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
             "--initial-cluster", f"default={peer}"],
            stdout=subprocess.DEVNULL,
            stderr=open(os.path.join(self.folder, "etcd.log"), "ab"),
            env={**os.environ, "ETCD_UNSUPPORTED_ARCH": {"aarch64": "arm64"}.get(platform.machine(), "")},
        )  # fmt: skip
        wait_until(self.healthy, 30, "etcd to answer")
        return self

    def healthy(self):
        assert self.process.poll() is None, open(os.path.join(self.folder, "etcd.log")).read()
        try:
            with urllib.request.urlopen(self.address + "/health", timeout=2) as reply:
                return b"true" in reply.read()
        except OSError:
            return False


def end(process):
    if process is not None and process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Kube:
    """`token` is an administrator's; users of `tokens` have what RBAC gives them."""

    def __init__(self, programs, folder):
        self.programs, self.folder = programs, str(folder)
        self.etcd = Etcd(os.path.join(programs, "etcd"), self.folder)
        self.authority = Authority(self.folder, "kube")
        self.port = free_port()
        self.address = f"https://127.0.0.1:{self.port}"
        self.trust = ssl.create_default_context(cafile=self.authority.file)
        self.log = os.path.join(self.folder, "kube-apiserver.log")
        self.process = None
        self.certificate, self.key = self.authority.issue("apiserver", "IP:127.0.0.1,DNS:localhost")
        self.tokens = os.path.join(self.folder, "tokens.csv")
        with open(self.tokens, "w") as file:
            file.write(f'{ADMIN},admin,1,"system:masters"\n')
        self.signer = os.path.join(self.folder, "service-accounts.key")
        openssl("genrsa", "-out", self.signer, "2048")

    def start(self):
        self.etcd.start()
        return self.serve()

    def serve(self):
        self.process = subprocess.Popen(
            [os.path.join(self.programs, "kube-apiserver"),
             f"--etcd-servers={self.etcd.address}",
             "--bind-address=127.0.0.1", f"--secure-port={self.port}", "--endpoint-reconciler-type=none",
             f"--tls-cert-file={self.certificate}", f"--tls-private-key-file={self.key}",
             f"--cert-dir={self.folder}/generated",
             f"--service-account-key-file={self.signer}", f"--service-account-signing-key-file={self.signer}",
             "--service-account-issuer=https://kubernetes.default.svc",
             "--api-audiences=https://kubernetes.default.svc,vault",
             "--service-cluster-ip-range=10.0.0.0/24",
             f"--token-auth-file={self.tokens}", "--authorization-mode=Node,RBAC",
             "--enable-admission-plugins=MutatingAdmissionWebhook,ValidatingAdmissionWebhook,ServiceAccount,PodSecurity",
             "--allow-privileged=true", "--shutdown-delay-duration=0s", "--v=1"],
            stdout=subprocess.DEVNULL,
            stderr=open(self.log, "ab"),
        )  # fmt: skip
        wait_until(self.healthy, 90, "kube-apiserver to be ready")
        return self

    def healthy(self):
        assert self.process.poll() is None, open(self.log).read()[-4000:]
        try:
            return self.raw("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def restart(self):
        end(self.process)
        return self.serve()

    def stop(self):
        end(self.process)
        end(self.etcd.process)

    # ---- talking to it ----

    def raw(self, method, path, body=None, token=ADMIN, content_type="application/json"):
        """(status, bytes, headers), whatever the status is."""
        request = urllib.request.Request(
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, timeout=40, context=self.trust) as reply:
                return reply.status, reply.read(), reply.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def call(self, method, path, body=None, **options):
        status, text, _ = self.raw(method, path, body, **options)
        if status >= 300:
            raise Refused(status, text.decode())
        return json.loads(text) if text else {}

    def namespace(self, name=None, labels=None):
        """A namespace with its service account; those who would make that are not running."""
        name = name or f"test-{next(numbers)}"
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels or {}}})
        self.call("POST", f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
        return name

    def account(self, namespace, name, folder, rules, cluster_rules):
        """A service account with these rules of RBAC; returns the file with a token of it."""
        self.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
        who = [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        for scope, kind, granted in ((f"/namespaces/{namespace}", "Role", rules), ("", "ClusterRole", cluster_rules)):
            role = f"{name}-{namespace}" if kind == "ClusterRole" else name
            path = f"{rbac}{scope}/{kind.lower()}"
            self.call("POST", f"{path}s", {"metadata": {"name": role}, "rules": granted})
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
            self.call("POST", f"{path}bindings", {"metadata": {"name": role}, "roleRef": reference, "subjects": who})
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token = self.call("POST", path, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        file = os.path.join(str(folder), f"{name}.token")
        with open(file, "w") as out:
            out.write(token)
        return file

    def node(self, name, kubelet):
        """A node that says its kubelet has this version; no kubelet runs."""
        made = self.call("POST", "/api/v1/nodes", {"metadata": {"name": name}})
        made["status"] = {"nodeInfo": {key: "" for key in (
            "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion",
            "kubeProxyVersion", "operatingSystem", "architecture")}}  # fmt: skip
        made["status"]["nodeInfo"]["kubeletVersion"] = kubelet
        self.call("PUT", f"/api/v1/nodes/{name}/status", made)

    def create(self, namespace, pod, dry_run=False, **options):
        """The pod as the API server keeps it; raises Refused."""
        path = f"/api/v1/namespaces/{namespace}/pods" + ("?dryRun=All" if dry_run else "")
        return self.call("POST", path, pod, **options)

    def warnings(self, namespace, pod):
        """The admission warnings of a dry run."""
        _, _, headers = self.raw("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)
        return [line.split('"', 1)[1].rsplit('"', 1)[0] for line in headers.get_all("Warning") or []]

    def webhook(self, name, port, ca_file, namespaces, **options):
        """Registers a webhook by its URL for the pods of these namespaces."""
        client = {"url": f"https://127.0.0.1:{port}/mutate"}
        if ca_file:
            with open(ca_file, "rb") as file:
                client["caBundle"] = base64.b64encode(file.read()).decode()
        hook = {
            "name": f"{name}.secrets-agent.test",
            "clientConfig": client,
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 5,
            "reinvocationPolicy": "IfNeeded",
            "namespaceSelector": {
                "matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(namespaces)}
                ]
            },
            **options,
        }
        self.call("POST", CONFIGURATIONS, {"metadata": {"name": name}, "webhooks": [hook]})

    def forget_webhook(self, name):
        self.call("DELETE", f"{CONFIGURATIONS}/{name}")


CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


def replica_set(kube, namespace, name="web-1"):
    """One that makes no pods, since its controller is not running; what a pod says of it as its owner."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": POD["spec"] | {"restartPolicy": "Always"}}
    made = kube.call("POST", f"/apis/apps/v1/namespaces/{namespace}/replicasets",
                     {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}})  # fmt: skip
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": made["metadata"]["uid"], "controller": True}


def events_of(kube, namespace, owner):
    """As `kubectl describe` asks for them."""
    selector = f"involvedObject.uid={owner['uid']},involvedObject.name={owner['name']},involvedObject.namespace={namespace}"
    return kube.call("GET", f"/api/v1/namespaces/{namespace}/events?fieldSelector={selector}")["items"]


def pod(annotations=None, name="web", owner=None, **spec):
    """A pod of one container, with these annotations, this owner and further fields of its spec."""
    made = copy.deepcopy(POD)
    made["metadata"] = {"name": name, "annotations": annotations or {}, "ownerReferences": [owner] if owner else []}
    made["spec"].update(spec)
    return made


def start_kube(folder):
    return Kube(os.path.dirname(real("KUBE_APISERVER_BIN", os.path.join(PROGRAMS, "kube-apiserver"))), folder).start()
