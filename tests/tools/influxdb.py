# SPDX-License-Identifier: Apache-2.0
"""As much of InfluxDB as OpenBao's database engine needs to make users in it and to drop them.

It gives the tests real dynamic credentials with real, renewable leases, and counts what was made.
"""
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse


class Influx:
    def __init__(self):
        self.users = {"root"}
        self.made = []
        self.dropped = []
        influx = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.reply(204, b"")

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                query = {**parse_qs(urlparse(self.path).query), **parse_qs(body)}
                self.reply(200, json.dumps({"results": [influx.perform(query.get("q", [""])[0])]}).encode())

            def reply(self, status, body):
                self.send_response(status)
                self.send_header("X-Influxdb-Version", "1.8.10")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def perform(self, query):
        made = re.search(r'CREATE USER "([^"]+)"', query)
        dropped = re.search(r'DROP USER "([^"]+)"', query)
        if made:
            self.made.append(made[1])
            self.users.add(made[1])
        if dropped:
            self.dropped.append(dropped[1])
            self.users.discard(dropped[1])
        if query.upper().startswith("SHOW USERS"):
            users = [[user, user == "root"] for user in sorted(self.users)]
            return {"statement_id": 0, "series": [{"columns": ["user", "admin"], "values": users}]}
        return {"statement_id": 0}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def mount(bao, influx, role, ttl="6s", max_ttl="1h"):
    """The database engine with this role in it: `database/creds/ROLE` makes a user."""
    if "database/" not in bao.call("GET", "sys/mounts")["data"]:
        bao.call("POST", "sys/mounts/database", {"type": "database"})
    bao.call(
        "POST",
        f"database/config/influx-{influx.port}",
        {
            "plugin_name": "influxdb-database-plugin",
            "host": "127.0.0.1",
            "port": influx.port,
            "username": "root",
            "password": "root",
            "allowed_roles": "*",
        },
    )
    bao.call(
        "POST",
        f"database/roles/{role}",
        {
            "db_name": f"influx-{influx.port}",
            "creation_statements": "CREATE USER \"{{username}}\" WITH PASSWORD '{{password}}'",
            "default_ttl": ttl,
            "max_ttl": max_ttl,
        },
    )
