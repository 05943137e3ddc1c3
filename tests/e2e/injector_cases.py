# SPDX-License-Identifier: Apache-2.0
"""The data cases of tests/injector/cases, as tests/injector/cases.c reads and judges them."""
import copy
import glob
import json
import os

import yaml

FOLDER = os.path.join(os.path.dirname(__file__), "..", "injector", "cases")


class Case:
    def __init__(self, file, given, defaults):
        def either(key, otherwise=None):
            return given.get(key, defaults.get(key, otherwise))

        self.name = f"{os.path.basename(file)[:-5]}: {given['name']}"
        self.config = either("config")
        self.versions = either("versions", {})
        self.namespace = either("namespace", "default")
        self.expect = either("expect")
        self.pod = copy.deepcopy(either("pod"))
        metadata = self.pod.setdefault("metadata", {})
        if "annotations" in given:
            merge(metadata, "annotations", given["annotations"])
        if "spec" in given:
            merge(self.pod, "spec", given["spec"])

    def judge(self, response, made):
        """What is wrong with an answer and the pod that it makes, in words; none: []."""
        expect, wrong = self.expect, []
        allowed = expect["verdict"] != "refused"
        if response["allowed"] is not allowed or ("patch" in response) is not (expect["verdict"] == "injected"):
            wrong.append(f"{expect['verdict']} was expected: {json.dumps(response)[:300]}")
        message = response.get("status", {}).get("message", "")
        texts = expect.get("text", [])
        wrong += [f"{part!r} is not in {message!r}" for part in ([texts] if isinstance(texts, str) else texts)
                  if part not in message]  # fmt: skip
        warnings = response.get("warnings", [])
        wanted = expect.get("warnings", [])
        if len(warnings) != len(wanted) or any(part not in text for part, text in zip(wanted, warnings)):
            wrong.append(f"warnings {warnings}, expected {wanted}")
        if "pod" in expect:
            wrong += differences(expect["pod"], made)
        if "agent_yaml" in expect:
            wrong += differences(expect["agent_yaml"], agent_yaml(made))
        for list_name, names in expect.get("order", {}).items():
            found = [item["name"] for item in made["spec"].get(list_name, [])]
            if found != names:
                wrong.append(f"{list_name} are {found}, expected {names}")
        return wrong


def merge(into, key, members):
    if not isinstance(into.get(key), dict):
        into[key] = {}
    for name, value in members.items():
        if value is None:
            into[key].pop(name, None)
        else:
            into[key][name] = value


def same_item(one, other):
    keys = [key for key in ("name", "mountPath") if key in one]
    return bool(keys) and all(one[key] == other.get(key) for key in keys)


def differences(wanted, found, where=""):
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return [f"{where} is {found!r}"]
        return [text for key, value in wanted.items() for text in differences(value, found.get(key), f"{where}/{key}")]
    if isinstance(wanted, list) and wanted and isinstance(wanted[0], dict) and same_item(wanted[0], wanted[0]):
        texts = []
        for item in wanted:
            twin = next((other for other in found or [] if same_item(item, other)), None)
            texts += differences(item, twin, f"{where}/{item.get('name', '')}{item.get('mountPath', '')}")
        return texts
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [text for i, value in enumerate(wanted) for text in differences(value, found[i], f"{where}/{i}")]
    return [] if wanted == found else [f"{where} is {found!r}, expected {wanted!r}"]


def agent_yaml(pod):
    """The configuration that the pod's agent gets: the kubelet makes one dollar of two."""
    for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
        for variable in container.get("env", []):
            if variable["name"] == "AGENT_CONFIG_YAML":
                return yaml.safe_load(variable["value"].replace("$$", "$"))
    return {}


def all_cases():
    found = []
    for file in sorted(glob.glob(os.path.join(FOLDER, "*.json"))):
        with open(file) as text:
            family = json.load(text)
        found += [Case(file, given, family.get("defaults", {})) for given in family["cases"]]
    return found


def by_operator(cases):
    """[(config, versions, cases)], so that one program serves all that share both."""
    groups = {}
    for case in cases:
        groups.setdefault(json.dumps([case.config, case.versions], sort_keys=True), []).append(case)
    return [(group[0].config, group[0].versions, group) for group in groups.values()]
