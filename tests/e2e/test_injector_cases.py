# SPDX-License-Identifier: Apache-2.0
"""Every data case of the injector over HTTPS, and every pod that comes out before a real API server."""
import copy
import signal

import pytest

from injector import Injector, apply_patch
from injector_cases import all_cases, by_operator
from kube import Refused


def version_arguments(versions):
    arguments = []
    if "server" in versions:
        arguments += ["--server-version", versions["server"], "--kubelet-version", versions.get("kubelet", "0.0")]
    return arguments


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """[(case, response, the pod that comes out)]."""
    found = []
    for number, (config, versions, cases) in enumerate(by_operator(all_cases())):
        injector = Injector(tmp_path_factory.mktemp(f"cases{number}"), config).start(*version_arguments(versions))
        connection = injector.connect()
        for case in cases:
            response = injector.review(case.pod, case.namespace, connection)
            again = injector.review(case.pod, case.namespace, connection)
            assert response == again, f"{case.name}: the same request, another answer"
            found.append((case, response, apply_patch(copy.deepcopy(case.pod), response.get("patch", []))))
        connection.close()
        injector.stop(signal.SIGKILL)
    return found


def test_every_case_over_https(answers):
    wrong = [f"{case.name}: {text}" for case, response, made in answers for text in case.judge(response, made)]
    assert not wrong, "\n".join(wrong)
    assert len(answers) > 0


def test_every_pod_that_comes_out_is_taken_by_the_api_server(kube, answers):
    """Where the API server takes the pod that went in, it takes the one that came out."""
    namespace = kube.namespace()
    checked, wrong = 0, []
    injected = [(case, made) for case, response, made in answers if "patch" in response]
    for case, made in injected:
        for pod, came_out in ((case.pod, False), (made, True)):
            pod = copy.deepcopy(pod)
            pod["metadata"].pop("namespace", None)
            pod.setdefault("apiVersion", "v1")
            pod.setdefault("kind", "Pod")
            try:
                kube.create(namespace, pod, dry_run=True)
            except Refused as refused:
                if came_out:
                    wrong.append(f"{case.name}: {refused.message}")
                else:
                    break
            checked += came_out
    assert not wrong, "\n".join(wrong)
    assert checked > 0.9 * len(injected), f"{checked} of {len(injected)}"
