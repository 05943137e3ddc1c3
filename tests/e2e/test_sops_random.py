# SPDX-License-Identifier: Apache-2.0
"""Random documents and edits, with the real sops as the judge.

What sops encrypts we read, what we encrypt sops reads, and after each edit sops finds what was changed and nothing
else, while every other byte of the file is as before. SOPS_DOCUMENTS sets how many (`make soak` takes more); a test's
name holds the seed that makes its document again.
"""
import copy
import json
import os
import random
import re

import pytest
import yaml

import sops_documents
from test_sops import Desk

DOCUMENTS = int(os.environ.get("SOPS_DOCUMENTS", "60"))
EDITS = 3
CASES = [(("yaml", "yaml", "yaml", "json", "yaml", "env")[seed % 6], seed) for seed in range(DOCUMENTS)]


@pytest.fixture
def desk(tmp_path, sops):
    return Desk(tmp_path, sops)


def values(done):
    """The document in JSON; a number counts as its value, not its spelling. None where JSON cannot say it (.nan)."""
    if done.returncode != 0:
        assert b"unsupported value" in done.stderr, done.stderr
        return None
    return json.loads(done.stdout, parse_int=lambda text: ("number", float(text)), parse_float=lambda text: ("number", float(text)))


# What sops 3.11.0 refuses. Some comments it moves so that it cannot read its own file any more.
REFUSED = (b"unknown type: uint", b"control characters are not allowed")
ITS_OWN_FAULT = (b"did not find expected '-' indicator", b"did not find expected key", b"MAC mismatch")


def any_of(reasons, message):
    return any(reason in message for reason in reasons)


@pytest.mark.parametrize("suffix, seed", CASES)
def test_both_programs_read_what_the_other_encrypts(desk, suffix, seed):
    plain = desk.write(f"plain.{suffix}", sops_documents.document(random.Random(seed), suffix))
    theirs = desk.sops("encrypt", "--age", desk.recipient, plain, check=False)
    ours = desk.agent("secrets", "encrypt", plain, check=False)
    if theirs.returncode != 0:
        assert any_of(REFUSED, theirs.stderr), theirs.stderr
        assert ours.returncode == 65 and b"plain.yaml: line " in ours.stderr, ours.stderr
        return
    assert ours.returncode == 0, ours.stderr
    desk.write(f"ours.{suffix}", ours.stdout)
    desk.write(f"theirs.{suffix}", theirs.stdout)

    judged = desk.sops("decrypt", "--output-type", "json", f"theirs.{suffix}", check=False)
    if any_of(ITS_OWN_FAULT, judged.stderr):
        return
    expected = values(judged)
    assert values(desk.sops("decrypt", "--output-type", "json", f"ours.{suffix}", check=False)) == expected
    for name in (f"theirs.{suffix}", f"ours.{suffix}"):
        found = values(desk.agent("secrets", "decrypt", "--format", "json", name))
        assert found == expected or expected is None
    # The decrypted text is a document again, and means the same.
    again = desk.write(f"again.{suffix}", desk.agent("secrets", "decrypt", f"theirs.{suffix}").stdout)
    if desk.read(again).strip():
        name = desk.sops_encrypt(again, f"back.{suffix}")
        assert values(desk.sops("decrypt", "--output-type", "json", name, check=False)) == expected


def pointer(path):
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def places(node, at=()):
    """Every path of the document, collections included."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield at + (key,)
        yield from places(value, at + (key,))


def look_up(node, path):
    for part in path:
        node = node[part]
    return node


def is_collection(node):
    return isinstance(node, (dict, list))


def plan_set(rng, model, flat):
    found = [path for path in places(model) if not is_collection(look_up(model, path))]
    if not found:
        return plan_add(rng, model, flat)
    path = rng.choice(found)
    value = sops_documents.text(rng)
    look_up(model, path[:-1])[path[-1]] = value
    return "set", path, value


def plan_add(rng, model, flat):
    homes = [()] if flat else [()] + [path for path in places(model) if is_collection(look_up(model, path))]
    home = rng.choice(homes)
    node, path = look_up(model, home), list(home)
    value = sops_documents.text(rng)
    for depth in range(1 if flat else rng.choice([1, 1, 1, 2, 3])):
        if isinstance(node, list):
            path.append(len(node))
            node.append({})
        else:
            name = rng.choice(["NEW", "A1"] if flat else sops_documents.KEYS + sops_documents.QUOTED_KEYS)
            while name in node or (not path and name == "sops"):
                name = f"added{rng.randint(0, 999)}"
            path.append(name)
            node[name] = {}
        parent, node = node, node[path[-1]]
    parent[path[-1]] = value
    return "add", tuple(path), value


def plan_remove(rng, model, flat):
    found = list(places(model))
    if not found:
        return plan_add(rng, model, flat)
    path = rng.choice(found)
    del look_up(model, path[:-1])[path[-1]]
    return "rm", path, None


def without_seal(text):
    """The file with its MAC and its time left out."""
    text = re.sub(rb'(mac"?[:=] ?"?)ENC\[[^]]*\]', rb"\1", text)
    return re.sub(rb'(lastmodified"?[:=] ?"?)[-0-9T:]+Z', rb"\1", text)


def changed_span(before, after):
    """What is different, with what both begin and end with taken off."""
    start = len(os.path.commonprefix([before, after]))
    tail = len(os.path.commonprefix([before[start:][::-1], after[start:][::-1]]))
    return before[start : len(before) - tail], after[start : len(after) - tail]


def check_bytes(action, before, after):
    """One place of the file changed: a value, a new line or its comma, a removed member."""
    gone, come = changed_span(without_seal(before), without_seal(after))
    if action == "set":
        assert gone.count(b"ENC[") <= 1 and come.count(b"ENC[") <= 1, (gone, come)
        assert b"\n" not in gone or b"ENC[" not in gone, (gone, come)
    elif action == "add":
        assert gone == b"", (gone, come)
    else:
        assert b"ENC[" not in come and len(come) <= len(b": {}\r\n"), (gone, come)


@pytest.mark.parametrize("suffix, seed", CASES)
def test_an_edit_changes_what_it_names_and_no_other_byte(desk, suffix, seed):
    rng = random.Random(seed)
    plain = desk.write(f"plain.{suffix}", sops_documents.document(rng, suffix))
    made = desk.sops("encrypt", "--age", desk.recipient, plain, check=False)
    if rng.random() < 0.3:
        made = desk.agent("secrets", "encrypt", plain, check=False)
    name = desk.write(f"enc.{suffix}", made.stdout)
    first = desk.sops("decrypt", "--output-type", "json", name, check=False)
    if made.returncode != 0 or first.returncode != 0:
        assert made.returncode != 0 or any_of(ITS_OWN_FAULT + (b"unsupported value",), first.stderr), first.stderr
        return
    model = json.loads(first.stdout)
    for _ in range(EDITS):
        before = desk.read(name)
        planned = copy.deepcopy(model)
        plan = rng.choice([plan_set, plan_set, plan_add, plan_remove])
        action, path, value = plan(rng, planned, suffix == "env")
        if action == "rm":
            desk.agent("secrets", "rm", pointer(path), "-f", name)
        else:
            desk.agent("secrets", "set", pointer(path), "--raw", "-f", name, stdin=value)
            assert desk.agent("secrets", "get", pointer(path), "-f", name).stdout.decode() == value
        found = desk.sops("decrypt", "--output-type", "json", name, check=False)
        assert found.returncode == 0, (action, path, value, found.stderr)
        assert json.loads(found.stdout) == planned, (action, path, value)
        assert list(json.loads(found.stdout)) == list(planned), (action, path)
        check_bytes(action, before, desk.read(name))
        model = planned


def encrypted(desk, rng, suffix):
    """A random document that sops encrypted and can read, and what is in it; None where it cannot."""
    name = f"enc.{suffix}"
    plain = desk.write(f"plain.{suffix}", sops_documents.document(rng, suffix))
    made = desk.sops("encrypt", "--age", desk.recipient, plain, check=False)
    desk.write(name, made.stdout)
    found = desk.sops("decrypt", "--output-type", "json", name, check=False)
    return name, json.loads(found.stdout) if made.returncode == found.returncode == 0 else None


def holds_comments_alone(node):
    """sops writes the comments of an empty list as its items; in plain text that is [] with comments below."""
    if isinstance(node, dict):
        return any(map(holds_comments_alone, node.values()))
    if not isinstance(node, list):
        return False
    return bool(node) and all(str(item).endswith("type:comment]") for item in node) or any(map(holds_comments_alone, node))


@pytest.mark.parametrize("suffix, seed", [case for case in CASES[::2] if case[0] != "json"])
def test_a_line_added_in_an_editor_changes_no_other_byte(desk, suffix, seed):
    name, model = encrypted(desk, random.Random(seed), suffix)
    if model is None:
        return
    line = "ZZ_ADDED: new" if suffix == "yaml" else "ZZ_ADDED=new"
    script = desk.folder / "editor"
    script.write_text(f'#!/bin/sh\n[ -z "$(tail -c 1 "$1")" ] || echo >>"$1"\necho "{line}" >>"$1"\n')
    script.chmod(0o755)
    before = desk.read(name)
    desk.agent("secrets", "edit", "-f", name, env={"EDITOR": str(script)})
    assert desk.sops_json(name) == {**model, "ZZ_ADDED": "new"}
    if suffix != "yaml" or not holds_comments_alone(yaml.load(before, yaml.BaseLoader)):
        check_bytes("add", before, desk.read(name))


def merged(old, new):
    """What an import makes of them; None where a value and a collection meet."""
    if isinstance(old, dict) and isinstance(new, dict):
        both = {key: merged(old[key], new[key]) if key in old else new[key] for key in new}
        return None if any(both[key] is None and new[key] is not None for key in new) else {**old, **both}
    if isinstance(old, list) and isinstance(new, list):
        both = [merged(a, b) for a, b in zip(old, new)]
        return None if any(a is None and b is not None for a, b in zip(both, new)) else both + new[len(both) :] + old[len(new) :]
    return None if is_collection(old) or is_collection(new) else new


@pytest.mark.parametrize("suffix, seed", CASES[1::2])
def test_an_import_sets_what_it_has_and_keeps_the_rest(desk, suffix, seed):
    rng = random.Random(seed)
    name, model = encrypted(desk, rng, suffix)
    kind = suffix if suffix != "env" else "json"
    added = desk.write(f"added.{kind}", sops_documents.document(rng, "env" if suffix == "env" else kind))
    if suffix == "env":  # a flat document, whose quotes are data
        desk.write("flat.env", desk.read(added))
        desk.write(added, desk.sops("decrypt", "--output-type", "json", desk.sops_encrypt("flat.env", "flat.enc.env")).stdout)
    new = desk.sops("encrypt", "--age", desk.recipient, added, check=False)
    desk.write(f"new.{kind}", new.stdout)
    new = desk.sops("decrypt", "--output-type", "json", f"new.{kind}", check=False)
    if model is None or new.returncode != 0:
        return
    expected = merged(model, json.loads(new.stdout))
    done = desk.agent("secrets", "import", "-f", name, added, check=False)
    if expected is None:
        assert done.returncode == 65 and b"what is added" in done.stderr, done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert desk.sops_json(name) == expected
