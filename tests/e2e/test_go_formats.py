# SPDX-License-Identifier: Apache-2.0
"""Formats go-map and go-json against Go itself, over answers of a real server."""
import json
import os
import random
import subprocess
import urllib.error
import urllib.request

import pytest

from conftest import real
from sidecar import Sidecar, approle_config

ORACLE = os.path.join(os.path.dirname(__file__), "go_templates", "main.go")
POLICY = """
path "secret/data/*" { capabilities = ["read"] }
path "flat/*" { capabilities = ["read"] }
"""

# Each is JSON text, since Python would not write most of them so.
NUMBERS = ["0", "-0", "1", "5432", "1.50", "1e5", "1E+10", "-2.5E-3", "12345678901234567890", "0.1", "1e308", "9" * 40]
STRINGS = [
    r'""', r'"plain"', r'"it\'s"'.replace(r"\'", "'"), r'"<a href=\"x\">&amp;</a>"', r'"line\nline\r\n\ttab"', r'"\\ \/ back"',
    r'"\u0000\u0001\b\f\u001f\u007f"', r'"é ü 漢字"', r'"🎉 😀"', r'"\ud83d\ude00"', r'"\u2028 \u2029 \u2027"',
    r'"\ud800"', r'"\udfff\ud800x"', r'"\ufffd \ufeff \uffff"', r'"{{ .Data }} map[a:b] <nil>"', r'"' + "x" * 3000 + r'"',
]  # fmt: skip
KEYS = ["a", "b", "A", "a b", "a.b", "é", "日本", "<k>", "k&v", "\\u2028", "\\ud800", "10", "9", "_", "-", "zz", "Z"]


def value(chance, depth):
    kind = chance.random()
    if depth > 0 and kind < 0.18:
        return "[" + ",".join(value(chance, depth - 1) for _ in range(chance.randrange(4))) + "]"
    if depth > 0 and kind < 0.4:
        return document(chance, depth - 1, least=0)
    if kind < 0.55:
        return chance.choice(NUMBERS)
    if kind < 0.68:
        return chance.choice(["null", "true", "false"])
    return chance.choice(STRINGS)


def document(chance, depth, least=1, keys=None):
    names = chance.sample(keys or KEYS + ["", "\\u0000"], chance.randint(least, 6))
    return "{" + ",".join(f'"{name}":{value(chance, depth)}' for name in names) + "}"


def ask(bao, method, path, body=None):
    """Bytes to the server and its bytes back: json.dumps would spell numbers and escapes its own way."""
    request = urllib.request.Request(
        f"{bao.address}/v1/{path}", body and body.encode(), {"X-Vault-Token": bao.token}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.read()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {path} {body}: {error.code} {error.read().decode()}") from error


@pytest.fixture(scope="module")
def answers(bao):
    """Four hundred secrets, written as raw JSON, and what the server answers for each: path → reply."""
    chance = random.Random(20260825)
    bao.call("POST", "sys/mounts/flat", {"type": "kv", "options": {"version": "1"}})
    found = {}
    for number in range(400):
        # A top-level name of our own may hold neither NUL nor nothing.
        path = f"flat/go/{number}" if number % 2 else f"secret/data/go/{number}"
        body = document(chance, 4, keys=KEYS)
        ask(bao, "POST", path, body if number % 2 else '{"data":%s}' % body)
        found[path] = ask(bao, "GET", path).replace(b"\n", b"")
    return found


def test_bytes_are_those_of_go(agent, bao, answers, tmp_path):
    oracle = subprocess.run(
        [real("GO_BIN", "go"), "run", ORACLE],
        input=b"\n".join(answers.values()) + b"\n",
        capture_output=True,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off", "GOPROXY": "off"},
        timeout=300,
    )
    assert oracle.returncode == 0, oracle.stderr.decode()
    expected = dict(zip(answers, (json.loads(line) for line in oracle.stdout.decode().splitlines()), strict=True))

    names = {path: path.replace("/", "-") for path in answers}
    secrets = {name: {"backend": "vault", "path": path, "verbatim": True} for path, name in names.items()}
    config = approle_config(bao, tmp_path, bao.approle("go", POLICY, str(tmp_path)), secrets)
    config["sinks"]["files"]["entries"] = {
        f"{name}.{format}": {"secret": name, "format": f"go-{format}"} for name in secrets for format in ("map", "json")
    }
    sidecar = Sidecar(agent, tmp_path, config)
    done = subprocess.run([agent, "serve", "-c", sidecar.file, "--once", "--timeout", "60s"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    different = []
    for path, name in names.items():
        for format in ("map", "json"):
            with open(os.path.join(sidecar.files, f"{name}.{format}"), "rb") as file:
                got = file.read()
            if got != expected[path][format].encode():
                different.append((path, answers[path], got, expected[path][format].encode()))
    assert not different, f"{len(different)} of {2 * len(answers)}, the first: {different[0]}"
    # What the documents are for was in them.
    joined = "".join(entry["map"] + entry["json"] for entry in expected.values())
    for sample in ("<no value>", "<nil>", "map[]", "[]", "\\u003c", "\\u2028", "\ufffd", "1e308", "-0", "🎉", "\\u0000"):
        assert sample in joined, sample
