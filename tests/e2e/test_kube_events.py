# SPDX-License-Identifier: Apache-2.0
"""Events on the owners of pods, on a real API server, by an account that may create and patch them and nothing else."""
import signal
from datetime import datetime, timezone
import time

import pytest

from conftest import wait_until
from injector import CONFIG, Injector
from kube import Refused, events_of, pod, replica_set

INJECT = {"secrets-agent/inject": "true", "secrets-agent/role": "web", "secrets-agent/secret.db": "secret/db"}
WARNED = {"vault.hashicorp.com/agent-inject": "true", "vault.hashicorp.com/role": "web",
          "vault.hashicorp.com/agent-inject-secret-db": "secret/data/db", "vault.hashicorp.com/go-max-procs": "2"}  # fmt: skip
RULES = [{"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}]


class Telling:
    def __init__(self, kube, folder, rules, config=None):
        self.kube, self.namespace = kube, kube.namespace()
        token = kube.account(self.namespace, "injector", folder, [], rules)
        self.injector = Injector(folder, config).start(
            "--server-version", "v1.36.3", "--kube", kube.address, "--kube-ca", kube.authority.file, "--kube-token", token)  # fmt: skip
        self.webhook = f"events-{self.namespace}"
        kube.webhook(self.webhook, self.injector.port, self.injector.authority.file, [self.namespace])
        wait_until(self.known, 10, "the API server to know the webhook")

    def known(self):
        return self.refused({"secrets-agent/inject": "perhaps"}, dry_run=True)

    def refused(self, annotations, dry_run=False, **options):
        try:
            self.kube.create(self.namespace, pod(annotations, "refused", **options), dry_run=dry_run)
        except Refused as refused:
            return refused.message
        return None

    def events(self, owner):
        return events_of(self.kube, self.namespace, owner)

    def sent(self):
        return self.injector.metric("injector_events_sent_total")

    def stop(self):
        self.kube.forget_webhook(self.webhook)
        self.injector.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def telling(kube, tmp_path_factory):
    made = Telling(kube, tmp_path_factory.mktemp("events"), RULES)
    yield made
    made.stop()


def test_a_refusal_is_an_event_on_the_owner_counted_up(telling):
    owner = replica_set(telling.kube, telling.namespace, "refused")
    before = telling.sent()
    message = telling.refused({**INJECT, "secrets-agent/mode.db": "rw"}, owner=owner)
    (event,) = wait_until(lambda: telling.events(owner), 10, "the Event")
    assert event["reason"] == "PodRefused" and event["type"] == "Warning"
    assert "secrets-agent/mode.db" in event["message"] and event["message"] in message
    assert event["count"] == 1 and event["source"]["component"] == "secrets-agent-injector"
    wait_until(lambda: datetime.now(timezone.utc).strftime("%FT%TZ") > event["firstTimestamp"], 3, "the next second")
    for _ in range(3):
        telling.refused({**INJECT, "secrets-agent/mode.db": "rw"}, owner=owner)
    wait_until(lambda: telling.events(owner)[0]["count"] == 4, 45, "the count, half a minute later")
    (event,) = telling.events(owner)
    assert event["lastTimestamp"] > event["firstTimestamp"]
    assert telling.sent() == before + 2


def test_warnings_are_told_and_the_pod_is_there(telling):
    owner = replica_set(telling.kube, telling.namespace, "warned")
    assert telling.kube.create(telling.namespace, pod(WARNED, "warned", owner=owner))
    (event,) = wait_until(lambda: telling.events(owner), 10, "the Event")
    assert event["reason"] == "SecretsInjectedWithWarnings" and "go-max-procs" in event["message"]


def test_a_pod_left_without_secrets_is_told_of(telling):
    owner = replica_set(telling.kube, telling.namespace, "host")
    assert telling.kube.create(telling.namespace, pod(INJECT, "host", owner=owner, hostNetwork=True))
    (event,) = wait_until(lambda: telling.events(owner), 10, "the Event")
    assert event["reason"] == "SecretsNotInjected"


def test_nobody_is_told_what_needs_no_eyes(telling):
    """Told of last is one that is: what was to be told before it has been by then."""
    owner, last = (replica_set(telling.kube, telling.namespace, name) for name in ("quiet", "last"))
    telling.kube.create(telling.namespace, pod(INJECT, "injected", owner=owner))
    telling.kube.create(telling.namespace, pod({"secrets-agent/inject": "false"}, "disabled", owner=owner))
    telling.kube.create(telling.namespace, pod({"other": "annotation"}, "other", owner=owner))
    assert telling.refused({"secrets-agent/inject": "perhaps"}, dry_run=True, owner=owner)
    assert telling.kube.create(telling.namespace, pod(WARNED, "dry", owner=owner), dry_run=True)
    assert telling.refused({"secrets-agent/inject": "perhaps"}), "who has no owner has the answer"
    assert telling.refused({"secrets-agent/inject": "perhaps"}, owner=last)
    wait_until(lambda: telling.events(last), 10, "the last")
    assert telling.events(owner) == []


def test_an_account_without_the_right_still_answers(kube, tmp_path):
    poor = Telling(kube, tmp_path, [])
    try:
        owner = replica_set(kube, poor.namespace)
        assert "perhaps" in poor.refused({"secrets-agent/inject": "perhaps"}, owner=owner)
        wait_until(lambda: poor.injector.metric("injector_events_dropped_total", 'reason="refused"') == 1, 10, "the drop")
        assert "answered 403" in poor.injector.read_log()
        assert kube.create(poor.namespace, pod(INJECT, "fine"))["metadata"]["annotations"]["secrets-agent/status"]
    finally:
        poor.stop()


def test_an_operator_can_turn_them_off(kube, tmp_path):
    silent = Telling(kube, tmp_path, RULES, config={**CONFIG, "events": False})
    try:
        owner = replica_set(kube, silent.namespace)
        assert silent.refused({"secrets-agent/inject": "perhaps"}, owner=owner)
        silent.injector.configure({**CONFIG, "events": True})
        wait_until(lambda: "configuration reloaded" in silent.injector.read_log(), 10, "the new file")
        other = replica_set(kube, silent.namespace, "other")
        assert silent.refused({"secrets-agent/inject": "perhaps"}, owner=other)
        wait_until(lambda: silent.events(other), 10, "the Event")
        assert silent.events(owner) == [] and silent.sent() == 1
    finally:
        silent.stop()
