# SPDX-License-Identifier: Apache-2.0
"""Want of memory while a pod is looked at: no answer, or the right one."""
import json
import os
import subprocess

PROGRAM = os.path.join(os.environ.get("FAULT_PROGRAMS", os.path.abspath("build/tests/fault")), "review_memory")


def review(annotations, spec):
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE", "namespace": "d",
        "object": {"metadata": {"annotations": annotations}, "spec": spec}}}


def test_no_answer_is_made_of_half_a_text(tmp_path):
    own = {"secrets-agent/inject": "true", "secrets-agent/socket": "true", "secrets-agent/format.s1": "json"}
    for i in range(30):
        own[f"secrets-agent/secret.s{i}"] = f"secret/s{i}"
        own[f"secrets-agent/env.V{i}"] = f"s{i}.f"
    peer = {"vault.hashicorp.com/agent-inject": "true", "vault.hashicorp.com/go-max-procs": "1",
            "vault.hashicorp.com/secret-volume-path-S1": "/etc//tls/"}
    peer.update({f"vault.hashicorp.com/agent-inject-secret-S{i}": f"secret/data/s{i}" for i in range(30)})
    application = {"name": "w", "image": "w", "command": ["w"], "volumeMounts": [{"name": "t", "mountPath": "/t"}], "env": [
        {"name": "L", "value": "vault:secret/data/db#a$b"}, {"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": "/t/x"}]}
    files = []
    for name, body in {
        "own": review(own, {"containers": [application], "volumes": [{"name": "t", "emptyDir": {}}]}),
        "peer": review(peer, {"containers": [{"name": "w"}], "initContainers": [{"name": "i"}]}),
        "refused": review({"secrets-agent/inject": "true", "secrets-agent/secretz.a": "b"}, {"containers": []}),
        "plain": review({"a": "b"}, {"containers": []}),
    }.items():
        (tmp_path / name).write_text(json.dumps(body))
        files.append(str(tmp_path / name))
    result = subprocess.run([PROGRAM, *files], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert [line.rsplit(", ")[1] for line in lines] == ["injected"] * 4 + ["refused"] * 2 + ["skipped"] * 2
    assert int(lines[0].split(": ")[1].split()[0]) > 50
