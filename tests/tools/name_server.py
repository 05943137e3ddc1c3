# SPDX-License-Identifier: Apache-2.0
"""A name server that misbehaves as it is told, and what makes a program believe that it is the machine's only one."""
import os
import socket
import threading

HEADER, QUESTION_TAIL = 12, 4
A, ANSWER = 1, 0x8180
# The response codes of RFC 1035 §4.1.1.
CODES = {"SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}


class NameServer:
    """Answers over UDP what `zone` says of a name: an IPv4 address, a response code's name or "garbage"; of others
    nothing, ever. The zone may change at any time."""

    def __init__(self, zone=None):
        # Every address of 127/8 is this machine's; one of our own, so that nobody else's port 53 is in the way.
        pid = os.getpid()
        self.address = f"127.{64 + (pid >> 16) % 128}.{pid >> 8 & 255}.{pid & 255}"
        self.zone = zone or {}
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            if not query:
                return
            name = self.name(query)
            self.asked.append(name)
            reply = self.reply(query, self.zone.get(name))
            if reply is not None:
                self.socket.sendto(reply, peer)

    @staticmethod
    def name(query):
        labels, at = [], HEADER
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        return ".".join(labels)

    @staticmethod
    def reply(query, says):
        if says is None:
            return None
        if says == "garbage":
            return query[:2] + b"\xff" * 40
        end = query.index(0, HEADER) + 1 + QUESTION_TAIL
        question = query[HEADER:end]
        code = CODES.get(says, 0)
        record = b""
        if code == 0 and int.from_bytes(question[-4:-2], "big") == A:
            # the name by a pointer to the question's, type A, class IN, 1 s, four bytes
            record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(says)
        counts = (1, 1 if record else 0, 0, 0)
        return (
            query[:2]
            + (ANSWER | code).to_bytes(2, "big")
            + b"".join(count.to_bytes(2, "big") for count in counts)
            + question
            + record
        )

    def close(self):
        # A datagram of nothing ends the thread, which else waits on.
        self.socket.sendto(b"", (self.address, 53))
        self.thread.join()
        self.socket.close()

    def program(self, program, folder):
        """A program that runs `program` with this as the only name server: a mount namespace of its own (needs root)."""
        resolv, nsswitch = os.path.join(folder, "resolv.conf"), os.path.join(folder, "nsswitch.conf")
        with open(resolv, "w") as file:
            file.write(f"nameserver {self.address}\n")
        with open(nsswitch, "w") as file:
            file.write("hosts: files dns\n")
        wrapper = os.path.join(folder, "agent-with-name-server")
        with open(wrapper, "w") as file:
            file.write(
                "#!/bin/sh\n"
                f"exec unshare --mount sh -ec '"
                f"mount --bind {resolv} /etc/resolv.conf; "
                f"[ ! -e /etc/nsswitch.conf ] || mount --bind {nsswitch} /etc/nsswitch.conf; "
                f'exec {program} "$@"\' sh "$@"\n'
            )
        os.chmod(wrapper, 0o755)
        return wrapper
