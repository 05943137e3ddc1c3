# SPDX-License-Identifier: Apache-2.0
"""How long a running agent's loop was away, as a reader of its socket sees it."""
import socket
import time

REQUEST = b"GET /v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def waited_for_core_ns(path):
    """How long a thread was ready to run and another ran in its place, since its start."""
    with open(path) as file:
        return int(file.read().split()[1])


def longest_stall_ms(pid, path, seconds):
    """Reads from the socket at `path` without a pause; returns the longest read and how many there were. What either
    side spent waiting for a core is taken off: on a busy machine everybody waits for those."""
    clocks = (f"/proc/{pid}/schedstat", "/proc/thread-self/schedstat")
    longest, reads = 0, 0
    with socket.socket(socket.AF_UNIX) as reader:
        reader.settimeout(60)
        reader.connect(path)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            before = sum(map(waited_for_core_ns, clocks))
            start = time.perf_counter_ns()
            reader.sendall(REQUEST)
            assert reader.recv(65536).startswith(b"HTTP/1.1 200"), "an answer"
            took = time.perf_counter_ns() - start
            longest = max(longest, took - (sum(map(waited_for_core_ns, clocks)) - before))
            reads += 1
            time.sleep(0.0005)
    return longest / 1e6, reads
