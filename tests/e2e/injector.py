# SPDX-License-Identifier: Apache-2.0
"""`injector serve` as a test's own webhook, and a client that speaks to it as an API server does."""
import base64
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys

import yaml

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))

from certificates import Authority
from conftest import free_port, wait_until

INJECTOR = os.environ.get("INJECTOR_BIN", os.path.abspath("build/injector/injector"))
IMAGE = "registry.example/agent@sha256:" + "ab" * 32
CONFIG = {"profiles": {"default": {"address": "https://openbao.example:8200", "image": IMAGE}}}


class Injector:
    """`names` are what its certificate is for."""

    def __init__(self, folder, config=None, names="IP:127.0.0.1", drain="0s", own_authority=False):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.authority = None if own_authority else Authority(self.folder, "webhook-ca")
        self.file, self.cert, self.key, self.log = (
            os.path.join(self.folder, name) for name in ("injector.yaml", "tls.crt", "tls.key", "injector.log")
        )
        self.port = free_port()
        self.drain = drain
        self.process = None
        self.arguments = []
        self.configure(config or CONFIG)
        if self.authority:
            self.renew(names)

    def configure(self, config):
        text = config if isinstance(config, str) else yaml.safe_dump(config)
        with open(self.file + ".new", "w") as file:
            file.write(text)
        os.rename(self.file + ".new", self.file)

    def renew(self, names="IP:127.0.0.1", days=1):
        """A new certificate in the place of the old one; returns its file."""
        certificate, key = self.authority.issue("leaf", names, days)
        for made, place in ((key, self.key), (certificate, self.cert)):
            shutil.copy(made, place + ".new")
            os.rename(place + ".new", place)
        return self.cert

    def start(self, *arguments):
        self.arguments = arguments or self.arguments
        files = ["--cert", self.cert, "--key", self.key] if self.authority else []
        self.process = subprocess.Popen(
            [INJECTOR, "serve", "-c", self.file, "--listen", f"[::]:{self.port}", "--drain", self.drain, *files,
             *self.arguments],
            stdout=subprocess.DEVNULL,
            stderr=open(self.log, "ab"),
            env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        wait_until(self.live, 10, "the injector to answer")
        return self

    def stop(self, number=signal.SIGTERM, seconds=20):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(seconds)

    def read_log(self):
        with open(self.log, errors="replace") as file:
            return file.read()

    def trust(self):
        if self.authority is None:  # who believes it is a test's own question
            return ssl._create_unverified_context()
        return ssl.create_default_context(cafile=self.authority.file)

    def connect(self, timeout=10):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.trust())
        connection.connect()
        return connection

    def get(self, path):
        connection = self.connect()
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()

    def live(self):
        assert self.process.poll() is None, self.read_log()
        try:
            return self.get("/live")[0] == 200
        except OSError:
            return False

    def metric(self, name, labels=""):
        """The value of one line of /metrics, such as metric("injector_refused_total", 'reason="annotation"')."""
        wanted = name + (f"{{{labels}}}" if labels else "")
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(wanted + " "):
                return float(line.split()[-1])
        raise AssertionError(f"no {wanted} in /metrics")

    def review(self, pod, namespace="shop", connection=None, **request):
        """The response's fields for a pod that is created; `patch` decoded."""
        own = connection or self.connect()
        own.request("POST", "/mutate?timeout=5s", json.dumps(review_of(pod, namespace, **request)),
                    {"Content-Type": "application/json", "Accept": "application/json, */*"})  # fmt: skip
        reply = own.getresponse()
        text = reply.read()
        if connection is None:
            own.close()
        assert reply.status == 200, (reply.status, text)
        answer = json.loads(text)
        assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        response = answer["response"]
        if "patch" in response:
            response["patch"] = json.loads(base64.b64decode(response["patch"]))
        return response


def review_of(pod, namespace="shop", **request):
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
            "requestResource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": pod,
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
            **request,
        },
    }


def apply_patch(document, patch):
    """RFC 6902, what the API server does with an answer; independent of the program's own."""
    for step in patch:
        keys = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        at = document
        for key in keys[:-1]:
            at = at[int(key)] if isinstance(at, list) else at[key]
        key = keys[-1]
        if isinstance(at, list):
            assert key == "-" or re.fullmatch("0|[1-9][0-9]*", key), step
            index = len(at) if key == "-" else int(key)
            if step["op"] == "add":
                at.insert(index, step["value"])
            elif step["op"] == "replace":
                at[index] = step["value"]
            else:
                del at[index]
        elif step["op"] == "remove":
            del at[key]
        else:
            assert step["op"] == "add" or key in at, step
            at[key] = step["value"]
    return document
