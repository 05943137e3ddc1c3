# SPDX-License-Identifier: Apache-2.0
"""`agent run` is invisible: exit status, signals, terminal and streams are the program's own."""
import os
import pty
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

from conftest import AGENT

SECRET = "hunter2-hunter2"
# Each run by itself: a shell in between would have its own idea of signals.
FACTS = [["cat", f"/proc/self/{name}"] for name in (
    "status", "limits", "timerslack_ns", "coredump_filter", "oom_score_adj", "cgroup", "personality")]
FACTS += [["ls", "/proc/self/fd"], ["nice"], ["sort", "-z", "/proc/self/environ"]]
STATUS = re.compile(r"(Umask|Sig(Blk|Ign|Cgt)|NoNewPrivs|Seccomp.*|Cap.*|[UG]id|Groups|Threads|THP.*|Spec.*):")


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """A folder with a key and an encrypted file."""
    environment = dict(os.environ, SOPS_AGE_KEY_FILE=str(tmp_path / "keys.txt"))
    for name in ("AGENT_CONFIG", "SOPS_AGE_KEY", "CI"):
        environment.pop(name, None)
    subprocess.run([AGENT, "secrets", "init"], cwd=tmp_path, env=environment, check=True,
                   stderr=subprocess.DEVNULL)
    for name, value in (("db.password", SECRET), ("api-key", "k1k2k3k4")):
        subprocess.run([AGENT, "secrets", "set", name], cwd=tmp_path, env=environment, check=True,
                       input=value.encode())
    return tmp_path, environment


def run(folder, *arguments, **options):
    path, environment = folder
    return subprocess.run([AGENT, "run", *arguments], cwd=path, env=environment, text=True,
                          stdin=options.pop("stdin", subprocess.DEVNULL), capture_output=True,
                          check=False, timeout=60, **options)


def test_nearest_file_gives_its_values_as_variables(folder):
    (folder[0] / "a" / "b").mkdir(parents=True)
    below = (folder[0] / "a" / "b", folder[1])
    result = run(below, "--", "sh", "-c", "echo $DB_PASSWORD $API_KEY; exit 7")
    assert (result.stdout, result.stderr, result.returncode) == (f"{SECRET} k1k2k3k4\n", "", 7)


@pytest.mark.parametrize("way", [[], ["--mask", "always"]])
def test_exit_statuses_are_the_programs(folder, way):
    assert run(folder, *way, "--", "true").returncode == 0
    assert run(folder, *way, "--", "sh", "-c", "exit 255").returncode == 255
    assert run(folder, *way, "--", "no-such-program").returncode == 127
    assert run(folder, *way, "--", "/").returncode == 126
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
        result = run(folder, *way, "--", "sh", "-c", f"kill -{number.value} $$")
        assert result.returncode == -number


@pytest.mark.skipif(os.geteuid() != 0, reason="every directory is open to root: needs root to be somebody else")
@pytest.mark.parametrize("way", [[], ["--mask", "always"]])
def test_a_closed_directory_of_the_path_is_no_program_that_may_not_be_run(way):
    """As bash tells them apart."""
    with tempfile.TemporaryDirectory() as folder:
        for name, mode in (("closed", 0), ("open", 0o755), (".", 0o755)):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
            os.chmod(os.path.join(folder, name), mode)
        for name, text in (("open/unexecutable", ""), ("env", "A=1\n")):
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        environment = {"PATH": f"{folder}/closed:{folder}/open:/usr/bin:/bin"}
        for program, status in (("no-such-program", 127), ("unexecutable", 126), ("true", 0)):
            result = subprocess.run([AGENT, "run", *way, "--env-file", "env", "--", program], cwd=folder, env=environment,
                                    text=True, capture_output=True, check=False, timeout=60,
                                    user=65534, group=65534, extra_groups=[])
            assert result.returncode == status, result.stderr


def test_usage_and_configuration_errors_have_their_own_statuses(folder, tmp_path):
    assert run(folder).returncode == 64
    assert run(folder, "--mask", "maybe", "--", "true").returncode == 64
    assert run(folder, "--watch", "signal:NOPE", "--", "true").returncode == 64
    assert run(folder, "-c", "/nonexistent.yaml", "--", "true").returncode == 78
    missing = run(folder, "--env", "X=sops://secrets.enc.yaml#/db/nothing", "--", "true")
    assert missing.returncode == 65
    assert "X" in missing.stderr
    (tmp_path / "empty").mkdir()
    elsewhere = subprocess.run([AGENT, "run", "--", "true"], cwd="/", env=folder[1], check=False,
                               capture_output=True, text=True)
    assert elsewhere.returncode == 78
    assert "secrets.enc.yaml" in elsewhere.stderr


def test_an_env_file_may_be_a_pipe_and_standard_input(folder):
    path, environment = folder
    show = ["--", "sh", "-c", "echo $PLAIN $REF"]
    lines = "PLAIN=1\nREF=sops://secrets.enc.yaml#api-key\n"
    for name in ("-", "/dev/stdin"):
        result = subprocess.run([AGENT, "run", "--env-file", name, *show], cwd=path, env=environment, text=True,
                                input=lines, capture_output=True, check=False, timeout=60)
        assert (result.stdout, result.returncode) == ("1 k1k2k3k4\n", 0), result.stderr
    os.mkfifo(path / "fifo")
    with subprocess.Popen([AGENT, "run", "--env-file", "fifo", *show], cwd=path, env=environment, text=True,
                          stdout=subprocess.PIPE) as waiting:
        with open(path / "fifo", "w") as fifo:
            fifo.write(lines)
        assert waiting.communicate(timeout=60)[0] == "1 k1k2k3k4\n"
    (path / "large").write_text("A=" + "x" * (1 << 20))
    assert run(folder, "--env-file", "large", "--", "true").returncode == 78
    assert run(folder, "--env-file", "nowhere", "--", "true").returncode == 78
    assert run(folder, "--env-file", ".", "--", "true").returncode == 78


@pytest.mark.parametrize("unfit, named", [
    (["--env", "K"], "NAME=REF"),
    (["--env", "1K=sops://secrets.enc.yaml#a"], "1K"),
    (["--env", "K=foo://x"], "foo"),
    (["--env", "K=sops://"], "no path"),
    (["--env", "K=sops://secrets.enc.yaml#"], "no field"),
    (["--env", "K=sops://secrets.enc.yaml#%zz"], "%25"),
    (["--env", "K=sops://secrets.enc.yaml#a", "--env", "K=sops://secrets.enc.yaml#b"], "twice"),
    (["--file", "K"], "PATH=REF"),
    (["--file", "K=foo://x"], "foo"),
    (["--timeout", "soon"], "soon"),
    (["--only", ""], "--only"),
    (["--only", ","], "--only"),
    (["--watch", "signal:"], "--watch"),
])
def test_what_cannot_be_meant_is_a_usage_error(folder, unfit, named):
    result = run(folder, *unfit, "--", "touch", "ran")
    assert (result.returncode, result.stdout) == (64, ""), result.stderr
    assert named in result.stderr and "agent run --help" in result.stderr
    assert not (folder[0] / "ran").exists()


def test_what_is_missing_is_said_once_with_its_remedy(folder):
    path, environment = folder
    keyless = (path, {**environment, "SOPS_AGE_KEY_FILE": str(path / "none")})
    result = run(keyless, "--", "true")
    assert result.returncode == 78
    assert "agent secrets init" in result.stderr and str(path / "none") in result.stderr
    assert result.stderr.count("\n") == 1
    result = run(folder, "--env", "K=sops://other.yaml#/a", "--", "true")
    assert result.returncode == 65 and result.stderr.count("other.yaml: No such file") == 1
    result = run(folder, "--env", "K=db.password", "--", "true")
    assert result.returncode == 65 and "TYPE://PATH" in result.stderr


def test_references_env_files_and_only_choose_what_is_given(folder):
    show = ["--", "sh", "-c", "env | grep -E '^(X|DB_PASSWORD|API_KEY|PLAIN|REF)=' | sort"]
    assert run(folder, "--env", "X=sops://secrets.enc.yaml#/db/password", *show).stdout == f"X={SECRET}\n"
    assert run(folder, "--only", "API_KEY", *show).stdout == "API_KEY=k1k2k3k4\n"
    assert run(folder, "--only", "api-key", *show).stdout == "API_KEY=k1k2k3k4\n"
    assert run(folder, "--only", "nothing", *show).returncode == 65
    (folder[0] / ".env").write_text(
        "# a comment\n\nPLAIN='some value'\nexport REF=sops://secrets.enc.yaml#api-key\n")
    assert run(folder, "--env-file", ".env", *show).stdout == "PLAIN=some value\nREF=k1k2k3k4\n"
    (folder[0] / ".env").write_text("A=1\nnot a line\n")
    broken = run(folder, "--env-file", ".env", *show)
    assert broken.returncode == 78
    assert ".env: line 2: neither NAME=value" in broken.stderr


def test_dangerous_names_need_to_be_named(folder):
    path, environment = folder
    subprocess.run([AGENT, "secrets", "set", "ld_preload"], cwd=path, env=environment, check=True,
                   input=b"/tmp/evil.so")
    refused = run(folder, "--", "true")
    assert refused.returncode == 65
    assert "LD_PRELOAD" in refused.stderr
    assert run(folder, "--only", "api-key", "--", "true").returncode == 0
    meant = run(folder, "--env", "PYTHONPATH=sops://secrets.enc.yaml#api-key", "--",
                "sh", "-c", "echo $PYTHONPATH")
    assert meant.stdout == "k1k2k3k4\n"


def test_strict_and_pristine(folder):
    path, environment = folder
    taken = (path, dict(environment, API_KEY="old", OTHER="x"))
    refused = run(taken, "--strict", "--", "true")
    assert refused.returncode == 65
    assert "API_KEY" in refused.stderr
    assert run(taken, "--", "sh", "-c", "echo $API_KEY").stdout == "k1k2k3k4\n"
    pristine = run(taken, "--pristine", "--", "env").stdout
    assert "OTHER=" not in pristine
    assert "API_KEY=k1k2k3k4" in pristine
    assert "PATH=" in pristine


def test_file_stands_while_the_program_runs(folder):
    target = folder[0] / "password"
    result = run(folder, "--file", f"{target}=sops://secrets.enc.yaml#/db/password", "--",
                 "sh", "-c", f"cat {target}; stat -L -c %a {target}")
    assert result.stdout == f"{SECRET}600\n"
    assert not os.path.lexists(target)


def test_what_a_killed_run_left_is_swept_by_the_next(folder):
    """Bytes in the tmpfs and the link to them; what a living one has stays."""
    path, environment = folder
    places = {"killed": None, "living": None}
    processes = {}
    for name in places:
        processes[name] = subprocess.Popen(
            [AGENT, "run", "--file", f"{name}=sops://secrets.enc.yaml#/db/password", "--", "sh", "-c", "echo up; exec cat"],
            cwd=path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert processes[name].stdout.readline() == "up\n"
        places[name] = os.path.dirname(os.readlink(path / name))
    processes["killed"].kill()
    processes["killed"].wait()
    assert os.path.isdir(places["killed"])
    again = run(folder, "--file", "killed=sops://secrets.enc.yaml#/db/password", "--", "cat", "killed")
    assert (again.stdout, again.returncode) == (SECRET, 0), again.stderr
    assert not os.path.exists(places["killed"]) and not os.path.lexists(path / "killed")
    assert (path / "living").read_text() == SECRET
    processes["living"].communicate(timeout=20)
    assert processes["living"].returncode == 0 and not os.path.exists(places["living"])


def peculiar():
    """Everything that a parent may hand on, unlike its default."""
    os.umask(0o027)
    os.nice(3)
    for number in (signal.SIGUSR2, signal.SIGPIPE, signal.SIGCHLD, signal.SIGHUP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR1, signal.SIGTERM, signal.SIGALRM})
    resource.setrlimit(resource.RLIMIT_CORE, (12345, 1 << 20))
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, 500))
    resource.setrlimit(resource.RLIMIT_STACK, (4 << 20, 64 << 20))


@pytest.mark.parametrize("before", [None, peculiar])
@pytest.mark.parametrize("way", [[], ["--mask", "always"], ["--watch", "restart"], ["--file", "f=sops://secrets.enc.yaml#/db/password"]])
def test_child_has_what_it_would_have_without_us(folder, way, before):
    """Whether we are beside it or have become it; with descriptors that somebody left open for it."""
    path, environment = folder
    named = ["--env", "DB_PASSWORD=sops://secrets.enc.yaml#/db/password", "--env", "API_KEY=sops://secrets.enc.yaml#/api-key"]
    environment = dict(environment, DB_PASSWORD=SECRET, API_KEY="k1k2k3k4")
    shown = ["***" if "--mask" in way else value for value in (SECRET, "k1k2k3k4")]
    with open("/dev/null") as left:
        options = {"cwd": path, "env": environment, "text": True, "stdin": subprocess.DEVNULL, "capture_output": True,
                   "check": False, "timeout": 60, "preexec_fn": before, "pass_fds": [left.fileno()], "restore_signals": False}
        for fact in FACTS:
            plain = subprocess.run(fact, **options)
            ours = subprocess.run([AGENT, "run", *named, *way, "--", *fact], **options)
            assert plain.stdout and (ours.returncode, ours.stderr) == (plain.returncode, plain.stderr)
            wanted = plain.stdout.replace(SECRET, shown[0]).replace("k1k2k3k4", shown[1])
            assert facts_of(ours.stdout) == facts_of(wanted), fact


def facts_of(text):
    """Of /proc/self/status what is handed on; all of everything else."""
    return [line for line in text.splitlines() if "Umask:" not in text or STATUS.match(line)]


def test_the_pid_is_kept_and_the_streams_are_passed(folder):
    process = subprocess.Popen([AGENT, "run", "--", "sh", "-c", "echo $$; cat"], cwd=folder[0],
                               env=folder[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate("typed\n", timeout=30)
    assert out == f"{process.pid}\ntyped\n"


def test_masks_on_pipes_and_leaves_the_streams_apart(folder):
    result = run(folder, "--mask", "always", "--", "sh", "-c",
                 "echo out $DB_PASSWORD; echo err $DB_PASSWORD >&2; printf %s $DB_PASSWORD | base64")
    assert result.stdout == "out ***\n***\n"
    assert result.stderr == "err ***\n"
    assert run((folder[0], dict(folder[1], CI="true")), "--mask", "auto", "--",
               "sh", "-c", "echo $DB_PASSWORD").stdout == "***\n"
    assert run(folder, "--mask", "auto", "--", "sh", "-c", "echo $DB_PASSWORD").stdout == f"{SECRET}\n"


@pytest.mark.parametrize("way", [[], ["--mask", "always"]])
def test_a_reader_that_goes_ends_the_program_that_writes(folder, way):
    """Masked or not, `| head -1` ends what would write for ever."""
    process = subprocess.Popen([AGENT, "run", *way, "--", "yes"], cwd=folder[0], env=folder[1], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "y\n"
        process.stdout.close()
        assert process.wait(20) == -signal.SIGPIPE
        assert process.stderr.read() == ""
    finally:
        process.kill()


def test_masked_output_that_is_lost_is_said(folder):
    with open("/dev/full", "w") as full:
        result = subprocess.run([AGENT, "run", "--mask", "always", "--", "sh", "-c", "echo hi"], cwd=folder[0], env=folder[1],
                                stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert "No space left" in result.stderr


def test_names_of_signals_are_taken_as_they_are_written(folder):
    for name in ("HUP", "hup", "SIGHUP", "sighup"):
        assert run(folder, "--watch", f"signal:{name}", "--", "sh", "-c", "exit 3").returncode == 3


def on_terminal(folder, arguments, keys=b"", until=None):
    """Runs on a pseudo terminal; types when `until` is seen. Returns what was shown and the wait status."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(folder[0])
        os.execve(AGENT, [AGENT, "run", *arguments], folder[1])
    shown = b""
    typed = until is None
    while True:
        ready, _, _ = select.select([master], [], [], 30)
        assert ready, shown
        try:
            chunk = os.read(master, 4096)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
        if not typed and until in shown:
            os.write(master, keys)
            typed = True
    _, status = os.waitpid(pid, 0)
    os.close(master)
    return shown.decode(), status


@pytest.mark.parametrize("mask", ["never", "auto"])
def test_a_terminal_stays_a_terminal(folder, mask):
    script = "tty -s && test -t 1 && test -t 2 && echo terminal; stty size; read line; echo got $line $DB_PASSWORD; exit 5"
    shown, status = on_terminal(folder, ["--mask", mask, "--", "sh", "-c", script], b"hello\n", b"terminal")
    assert os.waitstatus_to_exitcode(status) == 5
    assert "got hello " + ("***" if mask == "auto" else SECRET) in shown
    assert (SECRET in shown) == (mask == "never")


@pytest.mark.parametrize("mask", ["never", "auto"])
def test_control_c_reaches_the_program_once(folder, mask):
    script = ("import signal,sys,time\ncount=[]\nsignal.signal(signal.SIGINT, lambda *_: count.append(1))\n"
              "print('ready',flush=True)\nwhile not count: signal.pause()\ntime.sleep(0.2)\n"
              "print('count',len(count),flush=True)")
    shown, status = on_terminal(folder, ["--mask", mask, "--", sys.executable, "-c", script], b"\x03", b"ready")
    assert "count 1" in shown
    assert os.waitstatus_to_exitcode(status) == 0


def test_reaps_as_pid_1(folder):
    if not shutil.which("unshare"):
        pytest.skip("unshare is not there")
    zombies = "cat /proc/[0-9]*/status 2>/dev/null | grep -c '^State:.Z'"
    script = f"(sh -c 'sleep 0.1 & echo $! >orphan' &); sleep 0.4; test -s orphan && {zombies}; exit 6"
    result = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", AGENT, "run", "--mask", "always",
                             "--", "sh", "-c", script], cwd=folder[0], env=folder[1], text=True,
                            capture_output=True, check=False, timeout=60)
    if "unshare" in result.stderr:
        pytest.skip("no namespaces here: " + result.stderr)
    assert (result.stdout, result.returncode) == ("0\n", 6)


def test_nothing_is_readable_of_the_waiting_launcher_and_broker(folder):
    """Not even by the same uid: proven by the kernel's word, since root may read everything."""
    process = subprocess.Popen([AGENT, "run", "--mask", "always", "--", "sh", "-c", "echo up; exec cat"],
                               cwd=folder[0], env=folder[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
    assert process.stdout.readline() == "up\n"
    assert os.stat(f"/proc/{process.pid}/environ").st_uid == 0
    process.stdin.close()
    assert process.wait(timeout=30) == 0


def test_a_value_for_a_closed_stream_is_no_success(folder):
    """Neither is a value from one: nothing that nobody wrote is kept."""
    path, environment = folder
    shell = ['sh', '-c', '"$0" secrets get db.password >&-', AGENT]
    assert subprocess.run(shell, cwd=path, env=environment, check=False, timeout=60).returncode == 69
    shell[2] = '"$0" secrets set db.password <&-'
    assert subprocess.run(shell, cwd=path, env=environment, check=False, timeout=60).returncode == 69
    assert run(folder, "--", "sh", "-c", "echo $DB_PASSWORD").stdout == f"{SECRET}\n"


def test_a_directory_that_takes_no_files_is_named_and_is_not_ready(folder):
    path, environment = folder
    (path / "stands").write_text("a file")
    (path / "agent.yaml").write_text(
        "backends: { local: { type: sops, file: secrets.enc.yaml } }\n"
        "secrets: { db: { backend: local, path: db } }\n"
        "sinks: { files: { directory: stands/out } }\n")
    result = subprocess.run([AGENT, "serve", "--once", "--timeout", "1s"], cwd=path, env=environment, text=True,
                            capture_output=True, check=False, timeout=60)
    assert result.returncode in (69, 78)
    assert "stands/out" in result.stderr.splitlines()[-1], result.stderr
    assert " ready " not in result.stderr

    with subprocess.Popen([AGENT, "serve"], cwd=path, env=environment, text=True, stderr=subprocess.PIPE) as serving:
        seen = ""
        while "not published" not in seen:
            seen += serving.stderr.readline()
        (path / "stands").unlink()
        (path / "stands").mkdir()
        while " ready " not in seen:
            line = serving.stderr.readline()
            assert line, seen
            seen += line
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(20) == 0
    assert seen.index("files published") < seen.index(" ready "), seen


def test_a_file_that_no_value_can_make_is_no_success(folder):
    path, environment = folder
    (path / "agent.yaml").write_text(
        "backends: { local: { type: sops, file: secrets.enc.yaml } }\n"
        "secrets: { db: { backend: local, path: db } }\n"
        "sinks: { files: { directory: out, entries: { p: { secret: db, field: password },\n"
        "                                            q: { secret: db, field: nothing } } } }\n")
    command = [AGENT, "serve", "--once"]
    result = subprocess.run(command, cwd=path, env=environment, text=True, capture_output=True, check=False, timeout=60)
    assert result.returncode == 65, result.stderr
    assert "no field 'nothing'" in result.stderr.splitlines()[-1]
    text = (path / "agent.yaml").read_text()
    (path / "agent.yaml").write_text(text.replace("path: db }", "path: db, required: false }"))
    assert subprocess.run(command, cwd=path, env=environment, check=False, timeout=60).returncode == 0
    (path / "agent.yaml").write_text(text.replace("field: nothing", "field: password"))
    assert subprocess.run(command, cwd=path, env=environment, check=False, timeout=60).returncode == 0
    assert (path / "out" / "q").read_text() == SECRET
