# SPDX-License-Identifier: Apache-2.0
"""A relay before a real server, that speaks TLS when asked to and may change what passes; and throw-away CAs."""
import http.client
import http.server
import os
import ssl
import subprocess
import threading


def make_ca(folder, name):
    """A CA and a certificate of it for 127.0.0.1; returns the CA's file and the server's chain and key."""
    base = os.path.join(folder, name)

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    openssl("req", "-x509", *curve, "-keyout", f"{base}-ca.key", "-out", f"{base}-ca.pem", "-subj", f"/CN={name}")
    openssl(
        "req", "-x509", *curve, "-CA", f"{base}-ca.pem", "-CAkey", f"{base}-ca.key", "-keyout", f"{base}.key",
        "-out", f"{base}.pem", "-subj", "/CN=server", "-addext", "subjectAltName=IP:127.0.0.1",
        "-addext", "basicConstraints=critical,CA:FALSE",
    )  # fmt: skip
    os.chmod(f"{base}-ca.pem", 0o644)
    return f"{base}-ca.pem", (f"{base}.pem", f"{base}.key")


class Relay:
    """`change(path, status, body)` returns the status and body that the client sees."""

    def __init__(self, upstream_port, certificate=None):
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                upstream = http.client.HTTPConnection("127.0.0.1", upstream_port, timeout=20)
                upstream.request(self.command, self.path, body or None, dict(self.headers))
                reply = upstream.getresponse()
                status, content = relay.change(self.path, reply.status, reply.read())
                upstream.close()
                relay.paths.append(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_LIST = pass_on

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def get_request(self):
                relay.connections += 1
                return super().get_request()

            def handle_error(self, request, client_address):
                pass

        self.change = lambda path, status, body: (status, body)
        self.paths = []
        self.connections = 0
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.address = f"http://127.0.0.1:{self.port}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
            self.address = f"https://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
