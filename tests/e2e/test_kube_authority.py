# SPDX-License-Identifier: Apache-2.0
"""The replicas' own certificate authority, on a real API server and with no more rights than the chart gives."""
import base64
import contextlib
import os
import signal
import socket
import ssl
import threading
import time

import pytest

from conftest import wait_until
from injector import Injector
from kube import CONFIGURATIONS, Refused, pod

NAME = "injector.secrets.svc"
# Rotations that clients are connected through; `make soak` does 200.
ROTATIONS = int(os.environ.get("ROTATIONS", "8"))


def rules(secret, webhook):
    """What the chart's role and cluster role say."""
    return (
        [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [secret], "verbs": ["get", "update"]}],
        [
            {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["mutatingwebhookconfigurations"],
             "resourceNames": [webhook], "verbs": ["get", "patch"]},
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
        ],
    )  # fmt: skip


class Installation:
    """Namespace, empty Secret, configuration with two webhooks and no bundle, and an account: all that a chart gives."""

    def __init__(self, kube, folder):
        self.kube, self.folder = kube, folder
        self.namespace = kube.namespace()
        self.webhook = f"injector-{self.namespace}"
        self.secret = f"/api/v1/namespaces/{self.namespace}/secrets/injector-ca"
        kube.call("POST", self.secret.rsplit("/", 1)[0], {"metadata": {"name": "injector-ca", "labels": {"a": "b"}}})
        self.token = kube.account(self.namespace, "injector", folder, *rules("injector-ca", self.webhook))
        self.replicas = []

    def register(self, port):
        """Two webhooks, the second of which matches nothing."""
        self.target = self.kube.namespace()
        self.kube.webhook(self.webhook, port, None, [self.target])
        hooks = self.configuration()["webhooks"]
        second = {**hooks[0], "name": "second.secrets-agent.test"}
        second["rules"] = [{**hooks[0]["rules"][0], "resources": ["bindings"]}]
        self.kube.call("PATCH", f"{CONFIGURATIONS}/{self.webhook}", [{"op": "add", "path": "/webhooks/-", "value": second}],
                       content_type="application/json-patch+json")  # fmt: skip

    def configuration(self):
        return self.kube.call("GET", f"{CONFIGURATIONS}/{self.webhook}")

    def bundles(self):
        return [base64.b64decode(hook["clientConfig"].get("caBundle", "")).decode()
                for hook in self.configuration()["webhooks"]]  # fmt: skip

    def replica(self, *arguments):
        replica = Injector(os.path.join(str(self.folder), f"replica-{len(self.replicas)}"), own_authority=True)
        replica.arguments = [
            "--authority", "injector-ca", "--webhook", self.webhook, "--namespace", self.namespace,
            "--name", NAME, "--name", "127.0.0.1",
            "--kube", self.kube.address, "--kube-ca", self.kube.authority.file, "--kube-token", self.token,
            "--leaf-life", "60s", "--ca-life", "24h", "--propagation", "2s", "--check", "300ms", *arguments,
        ]  # fmt: skip
        self.replicas.append(replica)
        return replica

    def empty(self):
        """What makes the replicas agree on another authority."""
        self.kube.call("PATCH", self.secret, {"data": None}, content_type="application/merge-patch+json")

    def stop(self):
        for replica in self.replicas:
            if replica.process:
                replica.stop(signal.SIGKILL)
        with contextlib.suppress(Refused):
            self.kube.forget_webhook(self.webhook)


@pytest.fixture
def installation(kube, tmp_path):
    made = Installation(kube, tmp_path)
    yield made
    made.stop()


def ready(replica):
    return replica.get("/ready")[0] == 200


def handshake(replica, bundle):
    """True when a client that believes the bundle talks to the replica by its service's name."""
    context = ssl.create_default_context(cadata=bundle)
    with socket.create_connection(("127.0.0.1", replica.port), 5) as plain:
        with context.wrap_socket(plain, server_hostname=NAME) as secure:
            secure.sendall(b"GET /live HTTP/1.1\r\n\r\n")
            return secure.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_an_empty_secret_becomes_an_authority_that_the_api_server_believes(kube, installation):
    replica = installation.replica()
    installation.register(replica.port)
    with pytest.raises(Refused):
        kube.create(installation.target, pod(name="early"))
    replica.start()
    wait_until(lambda: ready(replica), 10, "ready")
    assert len(set(installation.bundles())) == 1 and len(installation.bundles()) == 2
    assert handshake(replica, installation.bundles()[0])
    wait_until(lambda: created(kube, installation.target), 10, "the API server to have loaded the bundle")
    kept = kube.call("GET", installation.secret)
    assert sorted(kept["data"]) == ["ca-earlier.crt", "ca.crt", "ca.key"]
    assert kept["metadata"]["labels"] == {"a": "b"}
    assert replica.metric("injector_certificate_authorities_total") == 1


def created(kube, namespace):
    try:
        return kube.create(namespace, pod(name=f"pod-{time.monotonic_ns()}"), dry_run=True)
    except Refused:
        return None


def test_replicas_that_race_agree(kube, installation):
    replicas = [installation.replica() for _ in range(4)]
    installation.register(replicas[0].port)
    threads = [threading.Thread(target=replica.start) for replica in replicas]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for replica in replicas:
        wait_until(lambda replica=replica: ready(replica), 15, "ready")
    bundle = installation.bundles()[0]
    assert bundle.count("BEGIN CERTIFICATE") == 1
    assert all(handshake(replica, bundle) for replica in replicas)
    assert sum(replica.metric("injector_certificate_authorities_total") for replica in replicas) == 1


def test_a_bundle_that_was_taken_away_comes_back(kube, installation):
    replica = installation.replica()
    installation.register(replica.port)
    replica.start()
    wait_until(lambda: ready(replica), 10, "ready")
    before = installation.bundles()
    kube.call("PATCH", f"{CONFIGURATIONS}/{installation.webhook}",
              [{"op": "remove", "path": "/webhooks/1/clientConfig/caBundle"}],
              content_type="application/json-patch+json")  # fmt: skip
    wait_until(lambda: installation.bundles() == before, 5, "the bundle")


def test_no_more_rights_than_needed(kube, installation):
    """What the account may do is what the rules say, and the replica says which right it lacks."""
    with open(installation.token) as file:
        token = file.read()
    namespace = f"/api/v1/namespaces/{installation.namespace}"
    for method, path in (
        ("GET", f"{namespace}/secrets"),
        ("GET", f"{namespace}/secrets/another"),
        ("GET", f"{CONFIGURATIONS}/another"),
        ("GET", CONFIGURATIONS),
        ("GET", "/api/v1/pods"),
        ("DELETE", installation.secret),
    ):
        assert kube.raw(method, path, token=token)[0] == 403, (method, path)
    kube.call("DELETE", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{installation.namespace}/roles/injector")
    replica = installation.replica()
    installation.register(replica.port)
    replica.start()
    wait_until(lambda: "cannot read the Secret" in replica.read_log(), 10, "the log")
    assert "the API server answered 403" in replica.read_log()
    status, text = replica.get("/ready")
    assert status == 503 and "do not believe" in text
    assert replica.get("/live")[0] == 200


def test_a_secret_that_is_not_there_is_named(kube, installation):
    replica = installation.replica("--authority", "absent")
    installation.register(replica.port)
    replica.start()
    wait_until(lambda: "cannot read" in replica.read_log(), 10, "the log")
    assert ready(replica) is False


def test_versions_of_the_cluster(kube, installation):
    replica = installation.replica()
    installation.register(replica.port)
    kube.node(f"old-{installation.namespace}", "v1.33.4")
    kube.node(f"new-{installation.namespace}", "v1.36.3")
    try:
        replica.start()
        wait_until(lambda: 'injector_server_version{version="1.36"}' in replica.get("/metrics")[1], 10, "the version")
        assert replica.metric("injector_oldest_kubelet_version", 'version="1.33"') == 1
    finally:
        for name in ("old", "new"):
            kube.call("DELETE", f"/api/v1/nodes/{name}-{installation.namespace}")


def test_no_handshake_fails_while_authorities_change(kube, installation):
    """Clients that load bundles late, as API servers do, connect to two replicas all the while."""
    replicas = [installation.replica("--propagation", "1s", "--leaf-life", "30s", "--check", "100ms") for _ in range(2)]
    installation.register(replicas[0].port)
    for replica in replicas:
        replica.start()
    for replica in replicas:
        wait_until(lambda replica=replica: ready(replica), 15, "ready")
    loaded = [installation.bundles()[0]]
    counts = {"handshakes": 0, "rotations": 0}
    failures = []
    done = threading.Event()

    def client(replica):
        while not done.is_set():
            try:
                assert handshake(replica, loaded[0])
                counts["handshakes"] += 1
            except (OSError, AssertionError) as error:
                failures.append(repr(error))
            time.sleep(0.005)

    def load():
        """Takes what is stored half of the time of propagation later."""
        while not done.is_set():
            stored = installation.bundles()[0]
            time.sleep(0.5)
            loaded[0] = stored

    threads = [threading.Thread(target=client, args=(replica,)) for replica in replicas] + [threading.Thread(target=load)]
    for thread in threads:
        thread.start()
    try:
        for number in range(ROTATIONS):
            switches = [replica.metric("injector_certificate_switches_total") for replica in replicas]
            installation.empty()
            for replica, before in zip(replicas, switches):
                wait_until(lambda replica=replica, before=before:
                           replica.metric("injector_certificate_switches_total") > before, 15, f"rotation {number}")
            counts["rotations"] += 1
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert counts["rotations"] == ROTATIONS
    assert not failures, (len(failures), failures[:3], counts)
    assert counts["handshakes"] > 10 * ROTATIONS
    assert created(kube, installation.target), "and the API server's own is among them"


def test_the_api_server_may_go_and_come_back(kube, installation):
    replica = installation.replica()
    installation.register(replica.port)
    replica.start()
    wait_until(lambda: ready(replica), 10, "ready")
    bundle = installation.bundles()[0]
    kube.restart()
    assert ready(replica) and handshake(replica, bundle)
    wait_until(lambda: created(kube, installation.target), 10, "a pod")
