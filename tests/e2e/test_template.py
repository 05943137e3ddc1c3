# SPDX-License-Identifier: Apache-2.0
"""`agent template` as people who write templates and their CI use it: output, exit statuses, what is said and what never is."""
import json
import subprocess

import pytest

from conftest import AGENT

CANARY = "c4nary-value"
ANSWERS = {
    "secret/data/db": {"data": {"data": {"user": "ann", "password": CANARY, "port": 1.5}, "metadata": {"version": 3}}},
    "LIST secret/metadata": {"data": {"keys": ["b", "a"]}},
    "PUT pki/sign": {"data": {"value": "signed"}},
    "FILE /etc/motd": "hello\n",
}


@pytest.fixture
def template(tmp_path):
    def run(text, *options, answers=ANSWERS):
        (tmp_path / "t.tmpl").write_text(text)
        (tmp_path / "answers.json").write_text(json.dumps(answers))
        arguments = [AGENT, "template", "--data", "answers.json", *options, "t.tmpl"]
        return subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, timeout=30)

    return run


def test_renders_each_kind_of_answer(template):
    done = template(
        '{{ with secret "secret/data/db" }}{{ .Data.data.user }}:{{ .Data.data.port }}{{ end }}'
        ' {{ secrets "secret/metadata" | join "," }} {{ (secret "pki/sign" "a=b").Data.value }} {{ file "/etc/motd" }}'
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ann:1.5 a,b signed hello\n", "")


def test_lists_what_a_template_asks_for(template):
    text = '{{ secret "one" }}{{ secret "two" "k=v" }}{{ secrets "three" }}{{ file "/four" }}{{ secret "one" }}'
    done = template(text, "--deps", answers={})
    assert (done.returncode, done.stdout) == (0, "one\nPUT two\nLIST three\nFILE /four\n")


def test_an_answer_that_is_missing_is_named(template):
    done = template('{{ with secret "secret/data/none" }}{{ .Data.x }}{{ end }}')
    assert done.returncode == 65 and done.stdout == ""
    assert "'secret/data/none'" in done.stderr and "--deps" in done.stderr


@pytest.mark.parametrize(
    "text, said",
    [
        ("a\n {{ if }}", "t.tmpl:2:"),
        ('{{ service "web" }}', "t.tmpl:1:4: the function 'service' is not supported: it needs Consul"),
        ('{{ "x" | sprig_bcrypt }}', "'sprig_bcrypt' is not supported"),
        ('\n{{ with secret "secret/data/db" }}{{ parseInt .Data.data.password }}{{ end }}', "t.tmpl:2:38: parseInt:"),
        ('{{ with secret "secret/data/db" }}{{ parseJSON .Data.data.password }}{{ end }}', "t.tmpl:1:38: parseJSON:"),
        ('{{ with secret "secret/data/db" }}{{ index .Data.data 1 }}{{ end }}', "t.tmpl:1:38: index:"),
        ('{{ with secret "secret/data/db" }}{{ regexMatch .Data.data.password "(" }}{{ regexMatch "(" "" }}{{ end }}', "regexMatch:"),
    ],
)
def test_an_error_has_its_place_and_no_value(template, text, said):
    done = template(text)
    assert done.returncode == 65 and done.stdout == ""
    assert said in done.stderr
    assert CANARY not in done.stderr


def test_options(template):
    assert template("<<print 1>>{{", "--left-delimiter", "<<", "--right-delimiter", ">>").stdout == "1{{"
    missing = '{{ with secret "secret/data/db" }}{{ .Data.data.nope }}{{ end }}'
    assert template(missing).stdout == "<no value>"
    assert template(missing, "--error-on-missing-key").returncode == 65
    denied = template('{{ env "HOME" }}', "--function-denylist", "e*v")
    assert denied.returncode == 65 and "env is denied" in denied.stderr


def test_bad_answers(template, tmp_path):
    done = template('{{ secret "x" }}', answers={"x": 3})
    assert done.returncode == 65 and "'x' is no map" in done.stderr
    (tmp_path / "answers.json").write_text('{"x": ')
    done = subprocess.run([AGENT, "template", "--data", "answers.json", "t.tmpl"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 65 and "answers.json" in done.stderr


def test_usage():
    assert subprocess.run([AGENT, "template"], capture_output=True).returncode == 64
    assert subprocess.run([AGENT, "template", "--nope", "x"], capture_output=True).returncode == 64
