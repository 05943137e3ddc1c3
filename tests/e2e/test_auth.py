# SPDX-License-Identifier: Apache-2.0
"""Every way to sign in, against a real OpenBao: that it works, and what is said when it is refused."""
import base64
import json
import os
import shutil
import signal
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from conftest import free_port, real
from sidecar import MOUNT_POLICY, READ_POLICY, Sidecar, approle_config
from standing_bao import StandingBao

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))
from certificates import Authority, openssl  # noqa: E402


def private(path, text):
    """A file that only we may read, as credentials are kept."""
    with open(path, "w", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(text)
    return str(path)


def config(bao, folder, auth, path="secret/auth", **backend):
    whole = approle_config(bao, folder, ("-", "-"), {"a": {"backend": "vault", "path": path}})
    whole["backends"]["vault"].update(auth=auth, **backend)
    return whole


@pytest.fixture
def once(agent, run, tmp_path):
    """`agent serve --once` with this way to sign in: the end of the process and what was published."""

    def once(bao, auth, env=None, **more):
        sidecar = Sidecar(agent, tmp_path, config(bao, tmp_path, auth, **more))
        done = run("serve", "-c", sidecar.file, "--once", "--timeout", "5s", env=env)
        return done, sidecar

    return once


def assert_published(result, value="here"):
    done, sidecar = result
    assert done.returncode == 0, done.stderr
    assert sidecar.read("a/value") == value


def assert_refused(result, status, *words):
    done, sidecar = result
    assert done.returncode == status, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    assert not os.path.exists(os.path.join(sidecar.files, "..data", "a")), "something was published"


@pytest.fixture(scope="module")
def server(bao):
    """The server with something to read and a policy that lets read it."""
    bao.put("auth", value="here")
    bao.call("PUT", "sys/policies/acl/auth", {"policy": READ_POLICY})
    return bao


def enable(bao, method, mount=None):
    mount = mount or method
    if f"{mount}/" not in bao.call("GET", "sys/auth")["data"]:
        bao.call("POST", f"sys/auth/{mount}", {"type": method})


# ---- approle ----


def approle(role_id, secret_id, **more):
    return {"method": "approle", "role_id_file": role_id, "secret_id_file": secret_id, **more}


def test_approle_signs_in_and_each_wrong_half_is_refused(server, once, tmp_path):
    role_id, secret_id = server.approle("auth", READ_POLICY, str(tmp_path))
    assert_published(once(server, approle(role_id, secret_id)))
    wrong = private(tmp_path / "wrong", "11111111-2222-3333-4444-555555555555\n")
    assert_refused(once(server, approle(wrong, secret_id)), 77, "auth/approle/login", "auth.role")
    assert_refused(once(server, approle(role_id, wrong)), 77, "auth/approle/login")
    assert_refused(once(server, approle(role_id, secret_id, mount="elsewhere")), 77, "auth/elsewhere/login", "auth.mount")
    assert_refused(once(server, approle(role_id, private(tmp_path / "empty", "\n"))), 78, str(tmp_path / "empty"), "empty")
    assert_refused(once(server, approle(role_id, str(tmp_path / "nowhere"))), 78, str(tmp_path / "nowhere"))


def wrap(bao, path, ttl="60s"):
    """A wrapping token with what a POST to this path answers."""
    request = urllib.request.Request(
        f"{bao.address}/v1/{path}", method="POST", data=b"{}",
        headers={"X-Vault-Token": bao.token, "X-Vault-Wrap-TTL": ttl},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.loads(reply.read())["wrap_info"]["token"]


def test_a_wrapped_secret_id_is_unwrapped_once_and_only_if_it_is_one(server, once, tmp_path):
    role_id, _ = server.approle("wrapped", READ_POLICY, str(tmp_path))
    wrapping = str(tmp_path / "wrapping")
    auth = approle(role_id, wrapping, secret_id_wrapped=True)
    private(wrapping, wrap(server, "auth/approle/role/wrapped/secret-id") + "\n")
    assert_published(once(server, auth))
    forget(tmp_path)
    assert_refused(once(server, auth), 77, wrapping, "used already")
    # Somebody who reads the file could put a token of their own there: what it wraps is looked at first.
    private(wrapping, wrap(server, "sys/wrapping/wrap"))
    assert_refused(once(server, auth), 77, wrapping, "was not made by")


def forget(folder):
    """What was published goes, so that the next run is seen by what it publishes."""
    shutil.rmtree(os.path.join(str(folder), "secrets"), ignore_errors=True)


# ---- token, token_file ----


def test_a_token_of_the_environment_is_used_and_never_revoked(server, once, tmp_path):
    token = server.call("POST", "auth/token/create", {"policies": ["auth"], "ttl": "10m"})["auth"]["client_token"]
    assert_published(once(server, {"method": "token"}, env={"VAULT_TOKEN": "not-this-one", "BAO_TOKEN": token}))
    assert_published(once(server, {"method": "token"}, env={"VAULT_TOKEN": token}))
    server.call("GET", "auth/token/lookup-self", token=token)
    forget(tmp_path)
    assert_refused(once(server, {"method": "token"}), 78, "$BAO_TOKEN", "$VAULT_TOKEN")
    server.call("POST", "auth/token/revoke", {"token": token})
    result = once(server, {"method": "token"}, env={"BAO_TOKEN": token})
    assert_refused(result, 77, "$BAO_TOKEN")
    assert token not in result[0].stderr


def test_a_token_file_is_read_again_at_each_login(server, agent, once, tmp_path):
    tokens = [
        server.call("POST", "auth/token/create", {"policies": ["auth"], "ttl": "10m"})["auth"]["client_token"]
        for _ in range(2)
    ]
    path = private(tmp_path / "token", tokens[0] + "\n")
    auth = {"method": "token_file", "token_file": path}
    whole = config(server, tmp_path, auth)
    whole["secrets"]["a"]["refresh"] = "1s"
    sidecar = Sidecar(agent, tmp_path, whole).start()
    try:
        sidecar.wait_ready()
        private(path, tokens[1])
        time.sleep(5)
        server.call("POST", "auth/token/revoke", {"token": tokens[0]})
        server.put("auth", value="again")
        sidecar.wait_file("a/value", "again", 15)
        assert sidecar.secret("a")["state"] == "fresh"
    finally:
        server.put("auth", value="here")
        sidecar.stop(signal.SIGKILL)
    forget(tmp_path)
    assert_refused(once(server, {**auth, "token_file": str(tmp_path / "nothing")}), 78, str(tmp_path / "nothing"))
    private(path, "two words")
    assert_refused(once(server, auth), 78, path, "space")
    private(path, "s.nobodyknowsthistoken")
    assert_refused(once(server, auth), 77, path, "revoked")


# ---- jwt ----


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sign(key, issued=0, life=300, **claims):
    """A JWT by RS256."""
    now = int(time.time()) + issued
    claims = {"iss": "tests", "sub": "web", "aud": "vault", "iat": now, "nbf": now, "exp": now + life, **claims}
    head = encode(b'{"alg":"RS256","typ":"JWT"}') + b"." + encode(json.dumps(claims).encode())
    return (head + b"." + encode(openssl("dgst", "-sha256", "-sign", key, input=head))).decode()


@pytest.fixture(scope="module")
def jwt_key(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("jwt")
    key = str(folder / "key.pem")
    openssl("genrsa", "-out", key, "2048")
    public = openssl("rsa", "-in", key, "-pubout").decode()
    enable(server, "jwt")
    server.call("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [public], "bound_issuer": "tests"})
    role = {"role_type": "jwt", "bound_audiences": ["vault"], "user_claim": "sub", "token_policies": ["auth"]}
    server.call("POST", "auth/jwt/role/web", {**role, "bound_subject": "web", "clock_skew_leeway": -1, "expiration_leeway": -1})
    return key


def test_jwt_signs_in_and_a_spoiled_one_is_refused(server, once, jwt_key, tmp_path):
    path = private(tmp_path / "jwt", sign(jwt_key) + "\n")
    auth = {"method": "jwt", "role": "web", "token_file": path}
    assert_published(once(server, auth))
    forget(tmp_path)
    assert_refused(once(server, {**auth, "role": "nobody"}), 77, "auth/jwt/login", "auth.role")
    for spoiled in (
        sign(jwt_key, issued=-7200),
        sign(jwt_key, aud="others"),
        sign(jwt_key, sub="somebody"),
        sign(jwt_key)[:-8] + "AAAAAAAA",
    ):
        private(path, spoiled)
        result = once(server, auth)
        assert_refused(result, 77, "auth/jwt/login", "the credential")
        assert spoiled not in result[0].stderr
    private(path, sign(jwt_key, issued=-7200))
    assert "expired" in once(server, auth)[0].stderr
    assert_refused(once(server, {**auth, "token_file": str(tmp_path / "gone")}), 78, str(tmp_path / "gone"))
    assert_refused(once(server, {**auth, "token_file": str(tmp_path)}), 78, str(tmp_path))


def test_a_token_that_its_owner_renews_is_read_anew_and_an_expired_one_waited_for(server, agent, jwt_key, tmp_path):
    """The sidecar comes up with an expired token and mends itself when the file does."""
    path = private(tmp_path / "jwt", sign(jwt_key, issued=-7200))
    sidecar = Sidecar(agent, tmp_path, config(server, tmp_path, {"method": "jwt", "role": "web", "token_file": path}))
    before = len(server.requests("auth/jwt/login"))
    sidecar.start()
    try:
        end = time.monotonic() + 5
        while time.monotonic() < end and "sign-in failed" not in sidecar.read_log():
            time.sleep(0.05)
        assert "sign-in failed" in sidecar.read_log()
        time.sleep(4)
        assert sidecar.status()["backends"][0]["state"] == "failed"
        assert len(server.requests("auth/jwt/login")) - before <= 4
        assert "token is expired" in sidecar.status()["backends"][0]["error"]["text"]
        # The kubelet's way: the name leads to another file. Nobody tells the agent.
        private(tmp_path / "jwt.new", sign(jwt_key))
        os.rename(tmp_path / "jwt.new", path)
        sidecar.wait_ready(8)
        assert len(server.requests("auth/jwt/login")) - before <= 5
    finally:
        sidecar.stop(signal.SIGKILL)


# ---- kubernetes ----


class TokenReviewer:
    """The one endpoint of a Kubernetes API server that this way to sign in needs."""

    def __init__(self, authority):
        self.reviews = []
        reviewer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                token = review["spec"]["token"]
                reviewer.reviews.append((self.path, token))
                good = token == reviewer.token
                status = {"authenticated": good}
                if good:
                    status["audiences"] = review["spec"].get("audiences", ["vault"])
                    status["user"] = {"username": "system:serviceaccount:shop:web", "uid": "1234",
                                      "groups": ["system:serviceaccounts", "system:serviceaccounts:shop"]}  # fmt: skip
                else:
                    status["error"] = "invalid bearer token"
                body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status})
                self.send_response(201)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *arguments):
                pass

        self.token = None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = authority.server().wrap_socket(self.server.socket, server_side=True)
        self.address = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def test_kubernetes_signs_in_by_the_cluster_s_own_word(server, once, jwt_key, tmp_path):
    authority = Authority(tmp_path, "cluster-ca")
    reviewer = TokenReviewer(authority)
    try:
        enable(server, "kubernetes")
        reviewer_token = sign(jwt_key, sub="system:serviceaccount:kube-system:vault")
        server.call(
            "POST",
            "auth/kubernetes/config",
            {
                "kubernetes_host": reviewer.address,
                "kubernetes_ca_cert": open(authority.file).read(),
                "token_reviewer_jwt": reviewer_token,
                "disable_local_ca_jwt": True,
            },
        )
        role = {"bound_service_account_names": "web", "bound_service_account_namespaces": "shop", "token_policies": ["auth"]}
        server.call("POST", "auth/kubernetes/role/web", {**role, "audience": "vault"})

        def projected(**claims):
            account = {"serviceaccount": {"name": "web", "uid": "1234"}, "namespace": "shop"}
            about = {"sub": "system:serviceaccount:shop:web", "aud": ["vault"], "kubernetes.io": account, **claims}
            return sign(jwt_key, **about)

        reviewer.token = projected()
        path = private(tmp_path / "projected", reviewer.token)
        auth = {"method": "kubernetes", "role": "web", "token_file": path}
        assert_published(once(server, auth))
        assert reviewer.reviews[-1][1] == reviewer.token
        forget(tmp_path)
        assert_refused(once(server, {**auth, "role": "nobody"}), 77, "auth/kubernetes/login", "auth.role")
        private(path, projected(jti="another, which the cluster does not know"))
        assert_refused(once(server, auth), 77, "auth/kubernetes/login")
        assert_refused(once(server, {"method": "kubernetes", "role": "web"}), 78, "/var/run/secrets/kubernetes.io")
    finally:
        reviewer.close()


# ---- cert, namespaces: a server with TLS that keeps its data ----


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    authority = Authority(folder, "server-ca")
    server = StandingBao(real("BAO_BIN", "bao"), str(folder), tls=authority.issue("bao"), tls_port=free_port())
    server.authority = authority
    server.start()
    yield server
    server.stop()


def test_a_client_certificate_signs_in_and_a_stranger_s_does_not(guarded, once, tmp_path):
    guarded.put("auth", value="here")
    guarded.call("PUT", "sys/policies/acl/auth", {"policy": READ_POLICY})
    clients, strangers = Authority(tmp_path, "client-ca"), Authority(tmp_path, "stranger-ca")
    enable(guarded, "cert")
    guarded.call("POST", "auth/cert/certs/web", {"certificate": open(clients.file).read(), "token_policies": ["auth"]})

    def tls(certificate, key):
        return {"ca_file": guarded.authority.file, "cert_file": certificate, "key_file": key}

    address = f"https://127.0.0.1:{guarded.tls_port}"
    good = clients.issue("web")
    auth = {"method": "cert", "role": "web"}
    assert_published(once(guarded, auth, address=address, tls=tls(*good)))
    forget(tmp_path)
    assert_refused(once(guarded, auth, address=address, tls=tls(*strangers.issue("web"))), 77, "auth/cert/login")
    assert_refused(once(guarded, {**auth, "role": "nobody"}, address=address, tls=tls(*good)), 77, "auth/cert/login")
    other_key = clients.issue("other")[1]
    assert_refused(once(guarded, auth, address=address, tls=tls(good[0], other_key)), 78, other_key, "is not the one")
    nothing = str(tmp_path / "nothing.pem")
    assert_refused(once(guarded, auth, address=address, tls=tls(nothing, good[1])), 78, nothing)


def test_namespaces_are_asked_for_and_kept_apart(server, once, tmp_path):
    server.call("POST", "sys/namespaces/team-a", {})
    server.call("POST", "team-a/sys/mounts/secret", {"type": "kv", "options": {"version": "1"}})
    server.call("POST", "team-a/secret/auth", {"value": "of the team"})
    server.call("PUT", "team-a/sys/policies/acl/auth", {"policy": MOUNT_POLICY + 'path "secret/*" { capabilities = ["read"] }\n'})
    token = server.call("POST", "team-a/auth/token/create", {"policies": ["auth"]})["auth"]["client_token"]
    env = {"BAO_TOKEN": token}
    assert_published(once(server, {"method": "token"}, env=env, namespace="team-a"), "of the team")
    forget(tmp_path)
    done, _ = once(server, {"method": "token"}, env=env)
    assert done.returncode == 77, done.stderr
    done, _ = once(server, {"method": "token"}, env=env, namespace="team-b")
    assert done.returncode == 77, done.stderr


# ---- what KV says of what is not there ----


def test_kv_of_both_versions_and_what_was_deleted_destroyed_or_never_there(server, once, tmp_path):
    role = approle(*server.approle("kinds", MOUNT_POLICY + 'path "secret/data/*" { capabilities = ["read"] }\n'
                                   'path "old/*" { capabilities = ["read"] }\n', str(tmp_path)))  # fmt: skip
    server.call("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    server.call("POST", "old/thing", {"value": "of version 1"})
    for name in ("deleted", "destroyed", "newer"):
        server.put(f"kinds/{name}", value="was here")
    server.call("DELETE", "secret/data/kinds/deleted")
    server.call("PUT", "secret/destroy/kinds/destroyed", {"versions": [1]})
    server.call("DELETE", "secret/data/kinds/newer")
    server.put("kinds/newer", value="is here again")

    assert_published(once(server, role, path="old/thing"), "of version 1")
    assert_published(once(server, role, path="secret/kinds/newer"), "is here again")
    forget(tmp_path)
    for path, words in {
        "secret/kinds/deleted": ["was deleted", "undelete"],
        "secret/kinds/destroyed": ["was destroyed", "version 1"],
        "secret/kinds/never": ["nothing was ever written there"],
        "old/never": ["nothing was ever written there"],
    }.items():
        assert_refused(once(server, role, path=path), 65, "secret 'a'", path, *words)
    assert_refused(once(server, role, path="nowhere/at/all"), 77, "nowhere/at/all")
