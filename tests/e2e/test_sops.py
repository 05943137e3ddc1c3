# SPDX-License-Identifier: Apache-2.0
"""`agent secrets` against the real sops, both ways: what one writes the other reads, value by value."""
import fcntl
import json
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import AGENT, real


@pytest.fixture(scope="module")
def sops():
    return real("SOPS_BIN", "sops")


class Desk:
    """A folder with a key, and both programs."""

    def __init__(self, folder, program):
        self.folder = folder
        self.program = program
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "SOPS_AGE_KEY_FILE": str(folder / "keys.txt"),
        }
        self.agent("secrets", "init", "-f", "first.enc.yaml")
        self.recipient = re.search(r"age1\w+", (folder / "keys.txt").read_text()).group()

    def run(self, program, *arguments, stdin=b"", check=True, env=None):
        done = subprocess.run(
            [program, *arguments],
            cwd=self.folder,
            input=stdin if isinstance(stdin, bytes) else stdin.encode(),
            capture_output=True,
            env={**self.env, **(env or {})},
            timeout=30,
            check=False,
        )
        if check:
            assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done

    def agent(self, *arguments, **options):
        return self.run(AGENT, *arguments, **options)

    def sops(self, *arguments, **options):
        return self.run(self.program, *arguments, **options)

    def write(self, name, text):
        (self.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return name

    def read(self, name):
        return (self.folder / name).read_bytes()

    def sops_encrypt(self, plain, encrypted, *arguments):
        out = self.sops("encrypt", "--age", self.recipient, *arguments, plain).stdout
        return self.write(encrypted, out)

    def sops_json(self, name):
        return json.loads(self.sops("decrypt", "--output-type", "json", name).stdout)

    def agent_json(self, name):
        return json.loads(self.agent("secrets", "decrypt", "--format", "json", name).stdout)


@pytest.fixture
def desk(tmp_path, sops):
    return Desk(tmp_path, sops)


YAML = """\
# top of the file

# and a second comment
app:
    # about the database
    db: hello # at the end of the line
    "n": 12
    negative: -7
    hex: 0x1F
    octal: 0123
    under: 1_000
    half: 1.50
    whole: 3.0
    tiny: 1.5e-9
    huge: 1e21
    yes: yes
    on: true
    off: FALSE
    nothing: null
    tilde: ~
    date: 2024-01-02
    moment: 2001-12-14t21:59:43.10-05:00
    empty: ""
    unicode: "h\\u00e9llo \\U0001F600 ünïcödé"
    tabs: "a\\tb\\r\\nc"
    quoted: 'it''s'
    colon: "a: b # c"
    lines: |
        one
        two

        three
    folded: >-
        a
        b
    keep: |+
        x

    no_secret_unencrypted: plain
    deep_unencrypted:
        number: 1.50
        flag: True
        list: [1, two, 3.5]
    void: {}
    none: []
list:
    # first comment
    - a # line
    - b: 1
      c: two
      # foot
    - [1, 2.5, no]
    - - nested
      - twice
flow: {a: 1, b: [x, {c: d}], "e f": 'g'}
"quoted key": value
"key: with # signs": value
anchor: &x {p: 1, q: [r]}
alias: *x
merged:
    <<: *x
    own: 2
# the end
"""

JSON = """{
  "a": {"b": 1, "c": [1, 2.0, "x", null, true, {"d": false}], "d": 1e3, "big": 12345678901234567890},
  "plain_unencrypted": "p", "u": "é\\u0001<\\ud83d\\ude00>\\"\\\\", "empty": "", "o": {}, "l": [], "": "no name",
  "q\\"uote\\\\": "k"
}
"""

DOTENV = "# comment\nA=1\nB=\"x y\"\n\nC=l1\\nl2\nD_unencrypted=zz\nE=\nF=a=b#c\n"

PLAIN = {"plain.yaml": YAML, "plain.json": JSON, "plain.env": DOTENV}


@pytest.mark.parametrize("plain", PLAIN)
def test_what_sops_encrypts_we_read(desk, plain):
    desk.write(plain, PLAIN[plain])
    name = desk.sops_encrypt(plain, "enc." + plain)
    assert desk.agent_json(name) == desk.sops_json(name)


@pytest.mark.parametrize("plain", PLAIN)
def test_what_we_encrypt_sops_reads_and_finds_the_same(desk, plain):
    desk.write(plain, PLAIN[plain])
    expected = desk.sops_json(desk.sops_encrypt(plain, "theirs." + plain))
    before = desk.read(plain)
    ours = desk.write("ours." + plain, desk.agent("secrets", "encrypt", plain).stdout)
    assert desk.read(plain) == before
    assert desk.sops_json(ours) == expected
    assert desk.agent_json(ours) == expected
    desk.agent("secrets", "encrypt", "-i", plain)
    assert desk.sops_json(plain) == expected


@pytest.mark.parametrize("plain", PLAIN)
def test_no_value_stays_readable(desk, plain):
    desk.write(plain, PLAIN[plain])
    ours = desk.agent("secrets", "encrypt", plain).stdout.decode()
    for word in ("hello", "12345678", "# comment", "first comment", "ünï", "twice", "first", "about", "x y", "a=b"):
        assert word not in ours, word


def test_comments_are_encrypted_and_read_back_both_ways(desk):
    desk.write("plain.yaml", YAML)
    comments = sorted(re.findall(r"# .*", desk.sops("decrypt", desk.sops_encrypt("plain.yaml", "t.yaml")).stdout.decode()))
    desk.write("o.yaml", desk.agent("secrets", "encrypt", "plain.yaml").stdout)
    assert comments == sorted(re.findall(r"# .*", desk.sops("decrypt", "o.yaml").stdout.decode()))
    assert "ENC" not in desk.agent("secrets", "decrypt", "t.yaml").stdout.decode()
    assert "ENC" not in desk.agent("secrets", "decrypt", "o.yaml").stdout.decode()


@pytest.mark.parametrize("plain", PLAIN)
def test_decrypted_text_encrypts_to_the_same_values(desk, plain):
    desk.write(plain, PLAIN[plain])
    name = desk.sops_encrypt(plain, "enc." + plain)
    again = desk.write("again." + plain, desk.agent("secrets", "decrypt", name).stdout)
    assert desk.sops_json(desk.sops_encrypt(again, "enc2." + plain)) == desk.sops_json(name)


RULES = {
    "unencrypted_suffix": ["--unencrypted-suffix", "_open"],
    "encrypted_suffix": ["--encrypted-suffix", "_secret"],
    "unencrypted_regex": ["--unencrypted-regex", "^(kind|meta.*)$"],
    "encrypted_regex": ["--encrypted-regex", "^(data|stringData)$"],
}
RULED = """\
kind: Secret
metadata:
    name: x
    count: 3
    ratio: 1.50
data:
    # comment
    a: b
    n: 1
sub:
    deep_secret: {x: 1, y: [2, three]}
    a_open: [true, 2024-01-02]
list:
    - data: x
    - kind: y
"""


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_rules_of_what_is_encrypted(desk, rule, suffix):
    desk.write("plain.yaml", RULED)
    plain = "plain.yaml"
    if suffix == "json":
        out = desk.sops("decrypt", "--output-type", "json", desk.sops_encrypt("plain.yaml", "x.yaml")).stdout
        plain = desk.write("plain.json", out)
    name = desk.sops_encrypt(plain, "enc." + suffix, *RULES[rule])
    assert desk.agent_json(name) == desk.sops_json(name)
    for path in ("kind", "data.a", "sub.new", "sub.new_secret", "new_open", "data.deep.er", "metadata.name", "list.0.data"):
        desk.agent("secrets", "set", path, "-f", name, stdin="changed " + path)
    assert desk.agent_json(name) == desk.sops_json(name)
    text = desk.read(name).decode()
    visible = {path for path in ("kind", "data.a", "sub.new_secret", "new_open", "metadata.name") if "changed " + path in text}
    assert visible == {
        "unencrypted_suffix": {"new_open"},
        "encrypted_suffix": {"kind", "data.a", "new_open", "metadata.name"},
        "unencrypted_regex": {"kind", "metadata.name"},
        "encrypted_regex": {"kind", "sub.new_secret", "new_open", "metadata.name"},
    }[rule]


@pytest.mark.parametrize("rule", ["encrypted_comment_regex", "unencrypted_comment_regex"])
def test_rules_about_comments_and_a_mac_over_encrypted_values_only(desk, rule):
    desk.write(".sops.yaml", f"creation_rules:\n  - age: {desk.recipient}\n    {rule}: sops:mark\n    mac_only_encrypted: true\n")
    desk.write(
        "plain.yaml",
        "a: 1\n# sops:mark\nb: two\nc: 3\nd:\n    # other\n    x: y\n    # sops:mark\n    # next\n    z: w\n"
        "# sops:mark\nmap:\n    k: v\n    l:\n        - 1\n        # sops:mark\n        - two\nlast: 5\n",
    )
    name = desk.write("enc.yaml", desk.sops("encrypt", "plain.yaml").stdout)
    assert desk.agent_json(name) == desk.sops_json(name)
    for path in ("a", "b", "d.x", "d.z", "map.k", "map.l.1", "last"):
        desk.agent("secrets", "set", path, "-f", name, stdin="new")
    assert desk.agent_json(name) == desk.sops_json(name)
    text = desk.read(name).decode().replace("a: new", "a: other") if rule.startswith("enc") else None
    if text:
        desk.write(name, text)
        assert desk.agent_json(name)["a"] == "other" == desk.sops_json(name)["a"]


def test_several_recipients(desk):
    others = []
    for i in range(3):
        desk.env["SOPS_AGE_KEY_FILE"] = str(desk.folder / f"key{i}")
        desk.agent("secrets", "init", "-f", f"x{i}.yaml")
        others.append(re.search(r"age1\w+", desk.read(f"key{i}").decode()).group())
    desk.agent("secrets", "init", "-f", "all.yaml", "--age", others[0], "--age", others[1])
    assert oct((desk.folder / "key0").stat().st_mode) == "0o100600"
    for i in range(2):
        env = {"SOPS_AGE_KEY_FILE": str(desk.folder / f"key{i}")}
        desk.agent("secrets", "set", f"k{i}", "-f", "all.yaml", stdin=f"v{i}", env=env)
        assert desk.sops("decrypt", "all.yaml", env=env).stdout
    third = desk.agent("secrets", "get", "k0", "-f", "all.yaml", check=False, env={"SOPS_AGE_KEY_FILE": str(desk.folder / "key2")})
    assert third.returncode == 78 and b"no usable age key" in third.stderr
    assert others[0].encode() in third.stderr and others[2].encode() in third.stderr
    key = [line for line in desk.read("key1").decode().splitlines() if line.startswith("AGE")][0]
    by_value = desk.agent("secrets", "get", "k0", "-f", "all.yaml", env={"SOPS_AGE_KEY": key})
    assert by_value.stdout == b"v0"


@pytest.mark.parametrize("plain", PLAIN)
def test_an_edit_touches_its_value_and_the_metadata_alone(desk, plain):
    desk.write(plain, PLAIN[plain])
    name = desk.sops_encrypt(plain, "enc." + plain)
    before = desk.read(name).decode().splitlines()
    path = {"plain.yaml": "app.db", "plain.json": "a.d", "plain.env": "B"}[plain]
    desk.agent("secrets", "set", path, "-f", name, stdin="changed\n")
    after = desk.read(name).decode().splitlines()
    assert len(before) == len(after)
    changed = [new.split("ENC")[0].strip() for old, new in zip(before, after) if old != new]
    assert len(changed) in (2, 3) and re.match(r'"?(db:|d"|B=)', changed[0]), changed
    assert all("mac" in line or "lastmodified" in line for line in changed[1:])
    assert desk.agent("secrets", "get", path, "-f", name).stdout == b"changed"
    assert desk.sops_json(name) == desk.agent_json(name)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_many_sets_and_removals_agree_with_sops(desk, suffix):
    name = "enc." + suffix
    desk.agent("secrets", "init", "-f", name)
    model = {}
    rng = random.Random(7)
    for step in range(60):
        path = [rng.choice("abc") for _ in range(rng.randint(1, 3))]
        node = model
        for part in path[:-1]:
            node = node.get(part) if isinstance(node, dict) else None
            if node is None:
                break
        exists = isinstance(node, dict) and path[-1] in node
        if exists and rng.random() < 0.5:
            del node[path[-1]]
            desk.agent("secrets", "rm", ".".join(path), "-f", name)
        else:
            value = rng.choice(["x", "two\nlines\n", "ü", "", "3", "true", "a: b", "-----BEGIN-----\nkey\n"]) + str(step)
            done = desk.agent("secrets", "set", ".".join(path), "-f", name, "--raw", stdin=value, check=False)
            node, fits = model, True
            for part in path[:-1]:
                node = node.setdefault(part, {}) if fits and isinstance(node, dict) else None
                fits = isinstance(node, dict)
            if fits and not isinstance(node.get(path[-1]), dict):
                node[path[-1]] = value
                assert done.returncode == 0, done.stderr
            else:
                assert done.returncode == 65, done.stderr
        assert desk.agent_json(name) == model, (step, path)
        if step % 10 == 9:
            assert desk.sops_json(name) == model


def test_names_reach_into_lists_and_odd_keys(desk):
    desk.write("plain.yaml", YAML)
    name = desk.sops_encrypt("plain.yaml", "enc.yaml")
    for path in ("list.0", "list.1.b", "list.4.0", "/list/5", "flow.b.0", "flow.b.1.c", "flow.new", "/quoted key", "app.void.x", "app.none.0", "/a~1b~0c"):
        desk.agent("secrets", "set", path, "-f", name, stdin="new " + path)
        assert desk.agent("secrets", "get", path, "-f", name).stdout.decode() == "new " + path
    assert desk.agent_json(name) == desk.sops_json(name)
    for path in ("list.4", "list.1.b", "list.0", "flow.a", "flow.new", "/quoted key", "/a~1b~0c", "app.void.x", "app.none.0", "app"):
        desk.agent("secrets", "rm", path, "-f", name)
        gone = desk.agent("secrets", "rm", path, "-f", name, check=False)
        assert gone.returncode == 65 or path.startswith("list."), path
        if gone.returncode == 0:
            continue
    assert desk.agent_json(name) == desk.sops_json(name)


@pytest.mark.parametrize("format", ["yaml", "json", "dotenv"])
def test_import_takes_a_document_over_as_it_is(desk, format):
    plain = {"yaml": "plain.yaml", "json": "plain.json", "dotenv": "plain.env"}[format]
    text = PLAIN[plain]
    desk.write(plain, text)
    expected = desk.sops_json(desk.sops_encrypt(plain, "enc." + plain))
    if format == "dotenv":  # read as dotenv libraries do, for whom quotes are no data
        expected.update(B="x y", C="l1\nl2")
        text = text.replace("C=l1\\nl2", 'C="l1\\nl2"')
    desk.agent("secrets", "init", "-f", "mine.yaml")
    desk.agent("secrets", "set", "stays", "-f", "mine.yaml", stdin="here")
    for _ in range(2):
        desk.agent("secrets", "import", "--format", format, "-f", "mine.yaml", "-", stdin=text)
        assert desk.sops_json("mine.yaml") == {"stays": "here", **expected}


DOTENV_OF_PEOPLE = """\
# what people have
export A=1
B='single $HOME'
C="two\\nlines and \\"quotes\\""
D="-----BEGIN KEY-----
MIIB
-----END KEY-----
"
E=plain # a comment
F=p@ss#word
G = spaces
"""


def test_import_of_what_shells_read(desk):
    desk.agent("secrets", "init", "-f", "mine.yaml")
    desk.agent("secrets", "import", "-f", "mine.yaml", desk.write(".env", DOTENV_OF_PEOPLE))
    assert desk.sops_json("mine.yaml") == {
        "A": "1", "B": "single $HOME", "C": 'two\nlines and "quotes"', "D": "-----BEGIN KEY-----\nMIIB\n-----END KEY-----\n",
        "E": "plain", "F": "p@ss#word", "G": "spaces",
    }
    before = desk.read("mine.yaml")
    for text, says in (
        ("A=1\nB=\"x\n", b"import.env: line 2: the quote that opens the value is never closed"),
        ("A=1\nA=2\n", b"line 2: 'A' is there twice"),
        ("A=a\\nb\n", b"line 1: \\n outside of quotes"),
        ("A\n", b"line 1: neither NAME=value"),
        ("A=\x00\n", b"not UTF-8 text"),
    ):
        done = desk.agent("secrets", "import", "-f", "mine.yaml", desk.write("import.env", text), check=False)
        assert done.returncode == 65 and says in done.stderr, done.stderr
    assert desk.read("mine.yaml") == before


def test_what_is_decrypted_as_dotenv_is_what_a_shell_sources(desk):
    rng = random.Random(11)
    values = {f"V{i}": "".join(rng.choice("ab \"'`$\\#\n\t!&;~=") for _ in range(rng.randint(0, 8))) for i in range(60)}
    desk.write("plain.json", json.dumps(values))
    desk.agent("secrets", "encrypt", "-i", "plain.json")
    desk.write("out.env", desk.agent("secrets", "decrypt", "--format", "dotenv", "plain.json").stdout)
    shell = "set -a; . ./out.env; exec python3 -c 'import os, json; print(json.dumps(dict(os.environ)))'"
    found = json.loads(desk.run("bash", "-c", shell).stdout)
    assert {name: found[name] for name in values} == values
    desk.agent("secrets", "import", "-f", "first.enc.yaml", "out.env")
    assert desk.sops_json("first.enc.yaml") == values


TAMPERINGS = {
    "flipped": lambda text: re.sub(r"(b: ENC\[AES256_GCM,data:)(..)", lambda m: m[1] + ("AA" if m[2] != "AA" else "BB"), text),
    "removed": lambda text: re.sub(r"    b: ENC.*\n", "", text),
    "swapped": lambda text: re.sub(r"(    a: )(ENC.*)\n(    b: )(ENC.*)\n", r"\1\4\n\3\2\n", text),
    "reordered": lambda text: re.sub(r"(    a: ENC.*\n)(    b: ENC.*\n)", r"\2\1", text),
    "renamed": lambda text: text.replace("    b: ENC", "    bb: ENC"),
    "open value": lambda text: text.replace("visible", "changed"),
    "duplicate": lambda text: re.sub(r"(    b: ENC.*\n)", r"\1\1", text),
    "mac": lambda text: re.sub(r"(mac: ENC\[AES256_GCM,data:)(..)", lambda m: m[1] + ("AA" if m[2] != "AA" else "BB"), text),
    "time": lambda text: re.sub(r'lastmodified: "20..', 'lastmodified: "2001', text),
}


@pytest.mark.parametrize("kind", TAMPERINGS)
def test_tampering_is_refused_and_the_file_stays(desk, kind):
    desk.write("plain.yaml", "m:\n    a: one\n    b: two\n    c_unencrypted: visible\n")
    name = desk.sops_encrypt("plain.yaml", "enc.yaml")
    text = desk.read(name).decode()
    changed = TAMPERINGS[kind](text)
    assert changed != text
    desk.write(name, changed)
    assert desk.sops("decrypt", name, check=False).returncode != 0
    for command in (["get", "m.a"], ["set", "m.a"], ["decrypt"]):
        done = desk.agent("secrets", *command, "-f", name, stdin="x", check=False)
        assert done.returncode == 65, done.stderr
        assert b"enc.yaml: line " in done.stderr and b"one" not in done.stderr
    assert desk.read(name) == changed.encode()


def test_files_of_other_kinds_say_what_is_not_supported(desk):
    name = desk.sops_encrypt(desk.write("plain.yaml", "a: b\n"), "enc.yaml")
    text = desk.read(name).decode()
    for old, new, says in (
        ("    age:", "    pgp:", b"other.yaml: line 3: it is encrypted for pgp keys, which are not supported yet; add an age recipient"),
        ("sops:", "other:", b"no sops metadata"),
    ):
        desk.write("other.yaml", text.replace(old, new, 1))
        done = desk.agent("secrets", "get", "a", "-f", "other.yaml", check=False)
        assert done.returncode == 78 and says in done.stderr, done.stderr


def test_what_sops_can_and_we_cannot_is_named_with_its_line(desk):
    """Each file is made by the real sops."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", desk.folder / "ssh"], check=True)
    public = " ".join(desk.read("ssh.pub").decode().split()[:2])
    desk.write(
        ".sops.yaml",
        f"creation_rules:\n  - path_regex: group\n    key_groups: [{{age: [{desk.recipient}]}}, {{age: [{desk.recipient}]}}]\n"
        f"    shamir_threshold: 2\n  - path_regex: ssh\n    age: {public}\n  - age: {desk.recipient}\n",
    )
    plain = desk.write("plain.yaml", "a: b\n")
    for name, text, says in (
        ("group.yaml", "a: b\n", b"group.yaml: line 4: key groups are not supported yet"),
        ("ssh.yaml", "a: b\n", b"ssh.yaml: line 4: it is for 'ssh-ed25519"),
        ("several.yaml", "a: b\n---\nc: d\n", b"line 17: several documents in one file are not supported: give each"),
        ("enc.ini", "[a]\nb = c\n", b"enc.ini: INI files are not supported yet"),
    ):
        desk.write(name, text)
        desk.sops("encrypt", "-i", name)
        for command in (["secrets", "get", "a", "-f", name], ["run", "--env", f"A=sops://{name}#a", "--", "true"]):
            done = desk.agent(*command, check=False)
            assert done.returncode in (65, 78) and says in done.stderr, done.stderr
    assert desk.read(plain) == b"a: b\n"


def test_get_adds_a_newline_on_a_terminal_only_and_set_drops_one(desk):
    desk.agent("secrets", "set", "a", "-f", "first.enc.yaml", stdin="x\n\n")
    assert desk.agent("secrets", "get", "a", "-f", "first.enc.yaml").stdout == b"x\n"
    desk.agent("secrets", "set", "a", "--raw", "-f", "first.enc.yaml", stdin="x\n")
    assert desk.agent("secrets", "get", "a", "-f", "first.enc.yaml").stdout == b"x\n"
    desk.agent("secrets", "set", "a", "-f", "first.enc.yaml", stdin="x")
    master, slave = pty.openpty()
    subprocess.run([AGENT, "secrets", "get", "a", "-f", "first.enc.yaml"], cwd=desk.folder, env=desk.env, stdout=slave, check=True)
    assert os.read(master, 100) == b"x\r\n"


def test_set_on_a_terminal_does_not_echo(desk):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [AGENT, "secrets", "set", "a", "-f", "first.enc.yaml"],
        cwd=desk.folder, env=desk.env, stdin=slave, stdout=slave, stderr=slave,
    )
    seen = b""
    while b": " not in seen:
        seen += os.read(master, 1000)
    while True:  # the prompt comes before the terminal is silenced
        import termios

        if not termios.tcgetattr(slave)[3] & termios.ECHO:
            break
        time.sleep(0.01)
    os.write(master, b"hunter2\n")
    assert process.wait(10) == 0
    os.set_blocking(master, False)
    try:
        seen += os.read(master, 1000)
    except BlockingIOError:
        pass
    assert b"hunter2" not in seen
    assert desk.agent("secrets", "get", "a", "-f", "first.enc.yaml").stdout == b"hunter2"


@pytest.mark.parametrize(
    "line, says",
    [
        ("import --format xml a", "--format is yaml, json or dotenv"),
        ("lst", "did you mean 'list'"),
        ("init x", "init takes no argument"),
        ("get", "get needs a name"),
        ("import", "import needs a file"),
        ("get a..b", "is not a name"),
        ("encrypt -i -", "standard input cannot be replaced"),
        ("get --raw a", "get does not take --raw"),
        ("decrypt -i x", "decrypt does not take --in-place"),
        ("init --age foo", "is not an age recipient"),
        ("", "say what to do"),
    ],
)
def test_a_mistake_of_usage_is_said_and_touches_nothing(desk, line, says):
    before = sorted(os.listdir(desk.folder))
    done = desk.agent("secrets", *line.split(), check=False)
    assert done.returncode == 64 and says in done.stderr.decode() and done.stdout == b"", done.stderr
    assert sorted(os.listdir(desk.folder)) == before


def test_a_value_is_never_taken_from_an_argument(desk):
    done = desk.agent("secrets", "set", "a", "hunter2", "-f", "first.enc.yaml", check=False)
    assert done.returncode == 64 and b"standard input" in done.stderr


def test_the_nearest_file_upwards_is_found(desk):
    desk.agent("secrets", "init")
    (desk.folder / "sub" / "deeper").mkdir(parents=True)
    done = subprocess.run(
        [AGENT, "secrets", "set", "a.b"], input=b"x", cwd=desk.folder / "sub" / "deeper", env=desk.env, check=True
    )
    assert done.returncode == 0
    assert desk.sops_json("secrets.enc.yaml") == {"a": {"b": "x"}}
    assert desk.agent("secrets", "init", check=False).returncode == 78
    assert desk.agent("secrets", "list").stdout == b"a.b\n"


def test_init_makes_a_key_where_there_is_none(desk):
    env = {"HOME": str(desk.folder / "home"), "SOPS_AGE_KEY_FILE": ""}
    done = desk.agent("secrets", "init", "-f", "n.yaml", env=env)
    keys = desk.folder / "home/.config/sops/age/keys.txt"
    assert b"made a key" in done.stderr and b"AGE-SECRET" not in done.stderr + done.stdout
    assert oct(keys.stat().st_mode) == "0o100600"
    content = keys.read_bytes()
    desk.agent("secrets", "init", "-f", "o.yaml", env=env)
    assert keys.read_bytes() == content
    assert desk.sops("decrypt", "n.yaml", env={"SOPS_AGE_KEY_FILE": str(keys)})


def test_concurrent_sets_lose_nothing(desk):
    children = [
        subprocess.Popen([AGENT, "secrets", "set", f"k{i}", "-f", "first.enc.yaml"], cwd=desk.folder, env=desk.env, stdin=subprocess.PIPE)
        for i in range(16)
    ]
    for i, child in enumerate(children):
        child.communicate(f"v{i}".encode())
        assert child.returncode == 0
    assert desk.sops_json("first.enc.yaml") == {f"k{i}": f"v{i}" for i in range(16)}


def test_an_interrupted_set_loses_nothing(desk):
    for i in range(20):
        desk.agent("secrets", "set", f"k{i}", "-f", "first.enc.yaml", stdin="x" * 500)
    rng = random.Random(3)
    for i in range(40):
        child = subprocess.Popen(
            [AGENT, "secrets", "set", "k0", "-f", "first.enc.yaml"], cwd=desk.folder, env=desk.env, stdin=subprocess.PIPE
        )
        child.stdin.write(b"y" * i)
        child.stdin.close()
        time.sleep(rng.random() * 0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert len(desk.agent_json("first.enc.yaml")) == 20
    assert len(desk.sops_json("first.enc.yaml")) == 20


EDITOR = """#!/bin/sh
stat -f -c %T "$1" > editor.fs
stat -c %a "$1" > editor.mode
cp "$1" editor.saw
{ sed -i 's/hello/goodbye/' "$1" && printf 'added: new\\n' >> "$1"; }
"""


def test_edit_shows_the_plain_text_and_keeps_what_did_not_change(desk):
    desk.write("plain.yaml", YAML)
    name = desk.sops_encrypt("plain.yaml", "enc.yaml")
    script = desk.folder / "editor"
    script.write_text(EDITOR)
    script.chmod(0o755)
    before = desk.read(name).decode().splitlines()
    expected = desk.sops_json(name)
    desk.agent("secrets", "edit", "-f", name, env={"EDITOR": str(script)})
    expected["app"]["db"] = "goodbye"
    expected["added"] = "new"
    assert desk.sops_json(name) == expected == desk.agent_json(name)
    assert b"ENC[" not in desk.read("editor.saw") and b"about the database" in desk.read("editor.saw")
    assert desk.read("editor.mode") == b"600\n"
    assert desk.read("editor.fs") == b"tmpfs\n"
    after = set(desk.read(name).decode().splitlines())
    lost = [line for line in before if line not in after]
    assert len(lost) <= 3, lost


def test_edit_that_changes_nothing_or_fails_leaves_the_file(desk):
    desk.agent("secrets", "set", "a", "-f", "first.enc.yaml", stdin="x")
    before = desk.read("first.enc.yaml")
    desk.agent("secrets", "edit", "-f", "first.enc.yaml", env={"EDITOR": "true"})
    assert desk.read("first.enc.yaml") == before
    failed = desk.agent("secrets", "edit", "-f", "first.enc.yaml", env={"EDITOR": "false"}, check=False)
    assert failed.returncode != 0 and desk.read("first.enc.yaml") == before
